//! Signing in and out, and what a client asks when it connects.

use grammers_tl_types::{self as tl, functions as f};

use super::rpc::{Call, RpcError, blank};
use super::srp::{self, Challenge};
use super::{DATA_CENTRES, peers, random, seconds};
use crate::world::{LoginToken, UserId};

pub(super) fn get_config(call: &mut Call<'_>, _: f::help::GetConfig) -> Result<tl::enums::Config, RpcError> {
    let address = call
        .shared
        .mtproto
        .address()
        .ok_or_else(|| RpcError::new(500, "SANDBOX_HAS_NO_ADDRESS"))?;
    let centres = DATA_CENTRES.map(|id| -> Result<tl::enums::DcOption, RpcError> {
        let port = i32::from(address.port());
        let mut option = blank!(tl::types::DcOption; 0i32, id, address.ip().to_string(), port)?;
        option.r#static = true;
        option.ipv6 = address.is_ipv6();
        Ok(option.into())
    });
    let centres = centres.into_iter().collect::<Result<Vec<_>, _>>()?;
    let (now, empty) = (seconds(call.now), String::new);
    let config = blank!(tl::types::Config; 0i32, now, now + 3_600, false, DATA_CENTRES[0], centres, empty(),
        200i32, 200_000i32, 100i32, 210_000i32, 5_000i32, 30_000i32, 300_000i32, 30_000i32, 1_500i32, 60_000i32, 2i32,
        172_800i32, 172_800i32, 172_800i32, 2_419_200i32, 200i32, 604_800i32, 20_000i32, 90_000i32, 30_000i32, 10_000i32,
        "https://t.me/".to_owned(), 1_024i32, 4_096i32, 4i32)?;
    Ok(config.into())
}

pub(super) fn get_state(call: &mut Call<'_>, _: f::updates::GetState) -> Result<tl::enums::updates::State, RpcError> {
    call.me()?;
    let state = tl::types::updates::State {
        pts: 1,
        qts: 0,
        date: seconds(call.now),
        seq: 1,
        unread_count: 0,
    };
    Ok(state.into())
}

pub(super) fn send_code(
    call: &mut Call<'_>,
    request: f::auth::SendCode,
) -> Result<tl::enums::auth::SentCode, RpcError> {
    application(request.api_id, &request.api_hash)?;
    let (hash, length) = call.world.send_code(&request.phone_number, call.now)?;
    let kind = tl::types::auth::SentCodeTypeApp {
        length: i32::try_from(length).unwrap_or(i32::MAX),
    };
    let sent = blank!(tl::types::auth::SentCode; 0i32, tl::enums::auth::SentCodeType::App(kind), hash)?;
    Ok(sent.into())
}

pub(super) fn sign_in(
    call: &mut Call<'_>,
    request: f::auth::SignIn,
) -> Result<tl::enums::auth::Authorization, RpcError> {
    let code = request.phone_code.unwrap_or_default();
    if code.is_empty() {
        return Err(RpcError::bad_request("PHONE_CODE_EMPTY"));
    }
    let (phone, hash) = (&request.phone_number, &request.phone_code_hash);
    let user = call.world.sign_in(call.device, phone, hash, &code, call.now)?;
    authorization(call, user)
}

pub(super) fn get_password(
    call: &mut Call<'_>,
    _: f::account::GetPassword,
) -> Result<tl::enums::account::Password, RpcError> {
    let (algorithm, secure) = (
        tl::enums::PasswordKdfAlgo::Unknown,
        tl::enums::SecurePasswordKdfAlgo::Unknown,
    );
    let mut seed = vec![0; 256];
    random(&mut seed);
    let mut shown = blank!(tl::types::account::Password; 0i32, algorithm, secure, seed)?;
    if let Some(password) = &call.world.password_account(call.device)?.password {
        let challenge = Challenge::new(&password.text);
        let algorithm = tl::types::PasswordKdfAlgoSha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow {
            salt1: srp::SALT_1.to_vec(),
            salt2: srp::SALT_2.to_vec(),
            g: srp::GENERATOR,
            p: srp::prime().to_vec(),
        };
        shown.has_password = true;
        shown.current_algo = Some(algorithm.into());
        shown.srp_b = Some(challenge.public.to_vec());
        shown.srp_id = Some(challenge.id);
        shown.hint.clone_from(&password.hint);
        call.shared.mtproto.challenges().insert(call.device, challenge);
    }
    Ok(shown.into())
}

pub(super) fn check_password(
    call: &mut Call<'_>,
    request: f::auth::CheckPassword,
) -> Result<tl::enums::auth::Authorization, RpcError> {
    call.world.password_account(call.device)?;
    let tl::enums::InputCheckPasswordSrp::Srp(shown) = request.password else {
        return Err(RpcError::bad_request("PASSWORD_HASH_INVALID"));
    };
    let challenge = call.shared.mtproto.challenges().remove(&call.device);
    let challenge = challenge
        .filter(|challenge| challenge.id == shown.srp_id)
        .ok_or_else(|| RpcError::bad_request("SRP_ID_INVALID"))?;
    if !challenge.proven(&shown.a, &shown.m1) {
        return Err(RpcError::bad_request("PASSWORD_HASH_INVALID"));
    }
    let user = call.world.pass(call.device)?;
    authorization(call, user)
}

pub(super) fn log_out(call: &mut Call<'_>, _: f::auth::LogOut) -> Result<tl::enums::auth::LoggedOut, RpcError> {
    call.me()?;
    call.world.sign_out(call.device);
    Ok(tl::types::auth::LoggedOut {
        future_auth_token: None,
    }
    .into())
}

pub(super) fn export_login_token(
    call: &mut Call<'_>,
    request: f::auth::ExportLoginToken,
) -> Result<tl::enums::auth::LoginToken, RpcError> {
    application(request.api_id, &request.api_hash)?;
    let mut fresh = [0; 32];
    random(&mut fresh);
    let token = call.world.login_token(call.device, fresh, call.now)?;
    login_token(call, token)
}

pub(super) fn import_login_token(
    call: &mut Call<'_>,
    request: f::auth::ImportLoginToken,
) -> Result<tl::enums::auth::LoginToken, RpcError> {
    let token = call.world.import_token(call.device, &request.token, call.now)?;
    login_token(call, token)
}

fn login_token(call: &Call<'_>, token: LoginToken) -> Result<tl::enums::auth::LoginToken, RpcError> {
    match token {
        LoginToken::Waiting { token, expires } => Ok(tl::types::auth::LoginToken {
            expires: seconds(expires),
            token: token.to_vec(),
        }
        .into()),
        LoginToken::SignedIn(user) => Ok(tl::types::auth::LoginTokenSuccess {
            authorization: authorization(call, user)?,
        }
        .into()),
    }
}

fn application(api_id: i32, api_hash: &str) -> Result<(), RpcError> {
    if api_id <= 0 || api_hash.is_empty() {
        return Err(RpcError::bad_request("API_ID_INVALID"));
    }
    Ok(())
}

fn authorization(call: &Call<'_>, user: UserId) -> Result<tl::enums::auth::Authorization, RpcError> {
    let found = call
        .world
        .user(user)
        .ok_or_else(|| RpcError::bad_request("USER_ID_INVALID"))?;
    let shown = peers::user(call.world, user, found)?;
    Ok(blank!(tl::types::auth::Authorization; 0i32, shown)?.into())
}
