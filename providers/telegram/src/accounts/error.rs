//! What can go wrong with an account, what it means for the account, and what people do about it.

use grammers_mtsender::{InvocationError, RpcError};
use potok_dsl::{ErrorType, Problem, Timestamp};
use potok_secrets::SealError;
use potok_wasm::TableError;

use super::model::AccountStatus;

/// Why something could not be done with an account.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccountError {
    /// There is none.
    #[error("there is no account {0}")]
    NotFound(i64),
    /// Another account has the number.
    #[error("another account has the phone number {0}: change that one, or remove it first")]
    PhoneTaken(String),
    /// No phone number.
    #[error("'{0}' is not a phone number: write it in international form, such as +79990001122")]
    PhoneInvalid(String),
    /// It has no number to send a code to.
    #[error("the account {0} has no phone number: give it one, or sign in by QR code")]
    NoPhone(i64),
    /// A limit that is none.
    #[error("{0} is no daily limit: it is 0 to {1}")]
    LimitInvalid(i64, i64),
    /// A proxy that cannot be used.
    #[error("the proxy cannot be used: write socks5://name:password@host:port")]
    ProxyInvalid,
    /// Its user name or password cannot be written into an address.
    #[error(
        "the proxy's user name and password may have letters, digits and -._~!$&'()*+, but nothing else: choose another password"
    )]
    ProxySecret,
    /// There is no such proxy.
    #[error("there is no proxy {0}")]
    NoSuchProxy(i64),
    /// It is kept already.
    #[error("the proxy {0} is kept already with this user name")]
    ProxyTaken(String),
    /// Accounts go through it.
    #[error("{1} account(s) go through the proxy {0}: give them another one first")]
    ProxyUsed(i64, i64),
    /// It cannot be used.
    #[error(
        "the account {id} is {status}{}: {}",
        problem.as_deref().map(|why| format!(" ({why})")).unwrap_or_default(),
        status.way_out()
    )]
    NotActive {
        /// Which.
        id: i64,
        /// What it is.
        status: AccountStatus,
        /// Why.
        problem: Option<String>,
    },
    /// The step of a sign-in is not the one that is due.
    #[error("the account {id} is {status}: {}", status.way_out())]
    NotDue {
        /// Which.
        id: i64,
        /// What it is.
        status: AccountStatus,
    },
    /// It waits out a flood.
    #[error("the account {id} rests for {} s more, as Telegram has asked", (until.0 - now.0).div_euclid(1_000) + 1)]
    Rests {
        /// Which.
        id: i64,
        /// Until when.
        until: Timestamp,
        /// What time it is.
        now: Timestamp,
    },
    /// The code was wrong.
    #[error("the code is wrong: look at the newest message from Telegram and try again")]
    CodeWrong,
    /// The code has expired.
    #[error("the code has expired: request a new one")]
    CodeExpired,
    /// The password was wrong.
    #[error("the password of the second factor is wrong: try again")]
    PasswordWrong,
    /// Nobody has the number.
    #[error("nobody has an account with this phone number: create it with Telegram's own app first")]
    NoSuchUser,
    /// Telegram wants something that only its own app can do.
    #[error("Telegram asks for {0}, which only its own app can do: sign in there first")]
    OwnApp(&'static str),
    /// Too fast.
    #[error("Telegram asks to wait {0} s ({1})")]
    Flood(u32, String),
    /// Reported for spam.
    #[error(
        "Telegram says that the account was reported for spam ({0}): it was disabled; ask @SpamBot before it is used again"
    )]
    Reported(String),
    /// The session is no more.
    #[error("Telegram has ended the session ({0}): sign in again")]
    SessionLost(String),
    /// The account is no more.
    #[error("Telegram has banned the account ({0}): write to recover@telegram.org, or remove it")]
    Banned(String),
    /// Any other refusal.
    #[error("Telegram refuses: {name} ({code})")]
    Refused {
        /// As HTTP has them.
        code: i32,
        /// Telegram's word for it.
        name: String,
    },
    /// Listing or writing where the account has no business.
    #[error("{0}")]
    NotAdministered(String),
    /// Nothing came in time. What was asked may have been done.
    #[error("Telegram did not answer within {0:?}")]
    NoAnswer(std::time::Duration),
    /// There was no connection, or it broke. What was asked may have been done.
    #[error(
        "the connection to Telegram broke or could not be made: {0}; look at the network and at the account's proxy"
    )]
    Unreachable(String),
    /// An answer that cannot be meant.
    #[error("Telegram's answer is not what was asked for: {0}")]
    Odd(String),
    /// The secrets.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The store.
    #[error(transparent)]
    Store(#[from] TableError),
}

/// What an error says of the account that met with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noted {
    Nothing,
    RestsUntil(Timestamp),
    Reported,
    SessionLost,
    Banned,
}

impl AccountError {
    /// What Telegram's own errors mean.
    pub(super) fn from_rpc(error: &RpcError) -> Self {
        let name = match error.value {
            Some(value) => format!("{}_{value}", error.name),
            None => error.name.clone(),
        };
        match error.name.as_str() {
            "FLOOD_WAIT" | "FLOOD_PREMIUM_WAIT" | "FLOOD_TEST_PHONE_WAIT" => {
                Self::Flood(error.value.unwrap_or(1), name)
            }
            "PEER_FLOOD" => Self::Reported(name),
            "USER_DEACTIVATED" | "USER_DEACTIVATED_BAN" | "PHONE_NUMBER_BANNED" => Self::Banned(name),
            "AUTH_KEY_UNREGISTERED"
            | "AUTH_KEY_INVALID"
            | "AUTH_KEY_DUPLICATED"
            | "AUTH_KEY_PERM_EMPTY"
            | "SESSION_REVOKED"
            | "SESSION_EXPIRED" => Self::SessionLost(name),
            "PHONE_CODE_INVALID" | "PHONE_CODE_EMPTY" => Self::CodeWrong,
            "PHONE_CODE_EXPIRED" | "PHONE_CODE_HASH_EMPTY" => Self::CodeExpired,
            "PASSWORD_HASH_INVALID" => Self::PasswordWrong,
            "PHONE_NUMBER_UNOCCUPIED" => Self::NoSuchUser,
            _ => Self::Refused { code: error.code, name },
        }
    }

    pub(super) fn from_invocation(error: InvocationError) -> Self {
        match error {
            InvocationError::Rpc(error) => Self::from_rpc(&error),
            // The server does not know the key: whoever gave it has forgotten it.
            InvocationError::Transport(error) => Self::Unreachable(format!("the data centre says: {error}")),
            InvocationError::Deserialize(error) => Self::Odd(error.to_string()),
            other => Self::Unreachable(other.to_string()),
        }
    }

    /// Whether the connection is of no use any more.
    pub(super) fn connection_is_lost(&self) -> bool {
        matches!(self, Self::NoAnswer(_) | Self::Unreachable(_) | Self::Odd(_))
    }

    pub(super) fn noted(&self, now: Timestamp) -> Noted {
        match self {
            Self::Flood(seconds, _) => Noted::RestsUntil(Timestamp(now.0 + i64::from(*seconds) * 1_000)),
            Self::Reported(_) => Noted::Reported,
            Self::SessionLost(_) => Noted::SessionLost,
            Self::Banned(_) => Noted::Banned,
            _ => Noted::Nothing,
        }
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        use AccountError as E;
        let (kind, title, status) = match &error {
            E::NotFound(_) => (ErrorType::Validation, "no such account", 404),
            E::PhoneTaken(_) => (ErrorType::Validation, "phone number taken", 409),
            E::PhoneInvalid(_) => (ErrorType::Validation, "invalid phone number", 400),
            E::NoPhone(_) => (ErrorType::Validation, "no phone number", 409),
            E::LimitInvalid(..) => (ErrorType::Validation, "invalid limit", 400),
            E::NoSuchProxy(_) => (ErrorType::Validation, "no such proxy", 404),
            E::ProxyTaken(_) => (ErrorType::Validation, "proxy taken", 409),
            E::ProxyUsed(..) => (ErrorType::Validation, "proxy in use", 409),
            E::ProxySecret => (ErrorType::Validation, "invalid proxy", 400),
            E::ProxyInvalid => (ErrorType::Validation, "invalid proxy", 400),
            E::NotActive { .. } => (ErrorType::Authorization, "account not active", 409),
            E::NotDue { .. } => (ErrorType::Validation, "not the next step", 409),
            E::Rests { .. } | E::Flood(..) => (ErrorType::Communication, "flood wait", 429),
            E::CodeWrong => (ErrorType::Authentication, "wrong code", 401),
            E::CodeExpired => (ErrorType::Authentication, "code expired", 410),
            E::PasswordWrong => (ErrorType::Authentication, "wrong password", 401),
            E::NoSuchUser => (ErrorType::Authentication, "no such user", 404),
            E::OwnApp(_) => (ErrorType::Authentication, "Telegram's own app is needed", 409),
            E::Reported(_) => (ErrorType::Authorization, "reported for spam", 403),
            E::SessionLost(_) => (ErrorType::Authentication, "session ended", 401),
            E::Banned(_) => (ErrorType::Authorization, "account banned", 403),
            E::NotAdministered(_) => (ErrorType::Authorization, "not an administrator", 403),
            E::Refused { code, .. } => (ErrorType::Communication, "refused by Telegram", refusal(*code)),
            E::NoAnswer(_) => (ErrorType::Timeout, "no answer in time", 408),
            E::Unreachable(_) => (ErrorType::Communication, "Telegram cannot be reached", 503),
            E::Odd(_) => (ErrorType::Communication, "odd answer", 502),
            E::Seal(_) => (ErrorType::Configuration, "the account's secrets cannot be read", 500),
            E::Store(error) => return crate::store_problem(error),
        };
        let problem = Self::new(kind, title, error.to_string()).with_status(status);
        match error {
            E::Flood(seconds, _) => problem.with_retry_after(u64::from(seconds) * 1_000),
            E::Rests { until, now, .. } => problem.with_retry_after((until.0 - now.0).unsigned_abs()),
            _ => problem,
        }
    }
}

fn refusal(code: i32) -> u16 {
    u16::try_from(code)
        .ok()
        .filter(|code| (400..600).contains(code))
        .unwrap_or(502)
}
