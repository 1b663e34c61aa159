//! Calls: which method is meant, who may call it, and how it is answered.

use std::sync::Arc;

use grammers_tl_types::{self as tl, Cursor, Deserializable, Identifiable, RemoteCall, Serializable, functions as f};

use super::{auth, channels, contacts, messages};
use crate::state::{NotKept, Shared};
use crate::world::{InviteRefusal, KeyId, PrivateRefusal, Refusal, SignInRefusal, UserId, World};

/// More than this many wrappers around a call are no call.
const MAX_WRAPPERS: usize = 8;

/// An error as the protocol has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RpcError {
    code: i32,
    message: String,
}

impl RpcError {
    pub(super) fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, message)
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let error = tl::types::RpcError {
            error_code: self.code,
            error_message: self.message.clone(),
        };
        tl::enums::RpcError::Error(error).to_bytes()
    }
}

impl From<tl::deserialize::Error> for RpcError {
    fn from(error: tl::deserialize::Error) -> Self {
        Self::bad_request(format!("INPUT_REQUEST_INVALID: {error}"))
    }
}

impl From<SignInRefusal> for RpcError {
    fn from(refusal: SignInRefusal) -> Self {
        let (code, message) = match refusal {
            SignInRefusal::NotSignedIn => (401, "AUTH_KEY_UNREGISTERED"),
            SignInRefusal::Revoked => (401, "SESSION_REVOKED"),
            SignInRefusal::Deactivated => (401, "USER_DEACTIVATED_BAN"),
            SignInRefusal::PhoneInvalid => (400, "PHONE_NUMBER_INVALID"),
            SignInRefusal::PhoneBanned => (400, "PHONE_NUMBER_BANNED"),
            SignInRefusal::CodeInvalid => (400, "PHONE_CODE_INVALID"),
            SignInRefusal::CodeExpired => (400, "PHONE_CODE_EXPIRED"),
            SignInRefusal::Unoccupied => (400, "PHONE_NUMBER_UNOCCUPIED"),
            SignInRefusal::PasswordNeeded => (401, "SESSION_PASSWORD_NEEDED"),
            SignInRefusal::TokenInvalid => (400, "AUTH_TOKEN_INVALID"),
            SignInRefusal::TokenExpired => (400, "AUTH_TOKEN_EXPIRED"),
        };
        Self::new(code, message)
    }
}

impl From<InviteRefusal> for RpcError {
    fn from(refusal: InviteRefusal) -> Self {
        Self::bad_request(match refusal {
            InviteRefusal::NoRight => "CHAT_ADMIN_REQUIRED",
            InviteRefusal::Flood => "PEER_FLOOD",
            InviteRefusal::TooMany => "USERS_TOO_MUCH",
            InviteRefusal::Already => "USER_ALREADY_PARTICIPANT",
            InviteRefusal::Kicked => "USER_KICKED",
            InviteRefusal::NotMutual => "USER_NOT_MUTUAL_CONTACT",
            InviteRefusal::Nobody => "USER_ID_INVALID",
        })
    }
}

impl From<PrivateRefusal> for RpcError {
    fn from(refusal: PrivateRefusal) -> Self {
        match refusal {
            PrivateRefusal::Restricted => Self::new(403, "USER_PRIVACY_RESTRICTED"),
            PrivateRefusal::Flood => Self::bad_request("PEER_FLOOD"),
            PrivateRefusal::Nobody | PrivateRefusal::NotStarted | PrivateRefusal::ToBot => {
                Self::bad_request("PEER_ID_INVALID")
            }
        }
    }
}

impl From<Refusal> for RpcError {
    fn from(refusal: Refusal) -> Self {
        let message = match refusal {
            Refusal::ChatNotFound => "CHANNEL_INVALID",
            Refusal::NotMember(_) => "CHANNEL_PRIVATE",
            Refusal::Kicked(_) => "USER_BANNED_IN_CHANNEL",
            Refusal::NeedAdministratorRights | Refusal::MembersHidden => "CHAT_ADMIN_REQUIRED",
            Refusal::MemberNotFound => "USER_NOT_PARTICIPANT",
            Refusal::TooFast { seconds } => return Self::new(420, format!("FLOOD_WAIT_{seconds}")),
            _ => "MESSAGE_ID_INVALID",
        };
        Self::bad_request(message)
    }
}

/// A call that is being answered.
pub(super) struct Call<'a> {
    pub(super) shared: &'a Shared,
    pub(super) world: &'a mut World,
    /// The key that it came with.
    pub(super) device: KeyId,
    /// Unix milliseconds.
    pub(super) now: i64,
}

impl Call<'_> {
    /// Who calls, if anybody is signed in.
    pub(super) fn me(&self) -> Result<UserId, RpcError> {
        Ok(self.world.signed_in(self.device)?.id)
    }
}

/// A call's method and its body, out of what is wrapped around it.
pub(super) fn method(body: &[u8]) -> Result<(&'static str, &[u8]), RpcError> {
    let mut body = body;
    for _ in 0..MAX_WRAPPERS {
        let mut cursor = Cursor::from_slice(body);
        match u32::deserialize(&mut cursor)? {
            // invokeWithLayer, invokeWithoutUpdates, initConnection: the rest is the call.
            0xda9b_0d0d => {
                i32::deserialize(&mut cursor)?;
            }
            0xbf94_59b7 => {}
            0xc1cd_5ea9 => connection(&mut cursor)?,
            constructor => return Ok((tl::name_for_id(constructor), body)),
        }
        body = &body[cursor.pos()..];
    }
    Err(RpcError::bad_request("INPUT_REQUEST_INVALID"))
}

fn connection(cursor: &mut Cursor<'_>) -> Result<(), RpcError> {
    let flags = u32::deserialize(cursor)?;
    i32::deserialize(cursor)?;
    for _ in 0..6 {
        String::deserialize(cursor)?;
    }
    if flags & 1 != 0 {
        tl::enums::InputClientProxy::deserialize(cursor)?;
    }
    if flags & 2 != 0 {
        tl::enums::Jsonvalue::deserialize(cursor)?;
    }
    Ok(())
}

/// Answers a call out of the world.
pub(super) async fn answer(
    shared: &Arc<Shared>,
    device: KeyId,
    method: &'static str,
    query: &[u8],
) -> Result<Vec<u8>, RpcError> {
    let (query, sharing) = (query.to_vec(), shared.clone());
    let answered = shared.change(move |world, now| {
        let mut call = Call {
            shared: &sharing,
            world,
            device,
            now,
        };
        dispatch(&mut call, method, &query)
    });
    answered
        .await
        .map_err(|error: NotKept| RpcError::new(500, format!("SANDBOX_NOT_KEPT: {error}")))?
}

macro_rules! methods {
    ($call:ident, $method:ident, $query:ident: $($function:ty => $handler:path,)*) => {
        match u32::from_bytes($query)? {
            $(<$function as Identifiable>::CONSTRUCTOR_ID => run::<$function>($call, $query, $handler),)*
            _ => Err(RpcError::bad_request(format!("METHOD_NOT_IN_SANDBOX: {}", $method))),
        }
    };
}

fn dispatch(call: &mut Call<'_>, method: &str, query: &[u8]) -> Result<Vec<u8>, RpcError> {
    methods! { call, method, query:
        f::help::GetConfig => auth::get_config,
        f::auth::SendCode => auth::send_code,
        f::auth::SignIn => auth::sign_in,
        f::account::GetPassword => auth::get_password,
        f::auth::CheckPassword => auth::check_password,
        f::auth::LogOut => auth::log_out,
        f::auth::ExportLoginToken => auth::export_login_token,
        f::auth::ImportLoginToken => auth::import_login_token,
        f::updates::GetState => auth::get_state,
        f::users::GetUsers => contacts::get_users,
        f::contacts::ResolveUsername => contacts::resolve_username,
        f::contacts::ImportContacts => contacts::import_contacts,
        f::contacts::DeleteContacts => contacts::delete_contacts,
        f::channels::GetChannels => channels::get_channels,
        f::channels::GetFullChannel => channels::get_full_channel,
        f::channels::GetParticipants => channels::get_participants,
        f::channels::GetParticipant => channels::get_participant,
        f::channels::InviteToChannel => channels::invite_to_channel,
        f::messages::ExportChatInvite => channels::export_chat_invite,
        f::messages::SendMessage => messages::send_message,
        f::messages::GetHistory => messages::get_history,
        f::channels::GetMessages => messages::get_messages,
    }
}

fn run<R>(
    call: &mut Call<'_>,
    query: &[u8],
    handler: fn(&mut Call<'_>, R) -> Result<R::Return, RpcError>,
) -> Result<Vec<u8>, RpcError>
where
    R: RemoteCall + Deserializable,
    R::Return: Serializable,
{
    let request = R::from_bytes(&query[4..])?;
    handler(call, request).map(|answer| answer.to_bytes())
}

/// A TL type out of its mandatory members, flags included, in the order of the schema; every optional one is left out.
macro_rules! blank {
    ($type:ty; $($member:expr),* $(,)?) => {{
        let mut bytes: Vec<u8> = Vec::new();
        $(::grammers_tl_types::Serializable::serialize(&$member, &mut bytes);)*
        <$type as ::grammers_tl_types::Deserializable>::from_bytes(&bytes)
    }};
}
pub(super) use blank;
