//! The second factor: proving a password without sending it.

use grammers_crypto::two_factor_auth::{calculate_2fa, check_p_and_g};
use grammers_tl_types as tl;
use ring::rand::{SecureRandom, SystemRandom};

use super::error::AccountError;

/// What proves the password to whoever asked. It takes a while to compute, on a thread of its own.
pub(super) async fn prove(
    asked: tl::types::account::Password,
    password: String,
) -> Result<tl::enums::InputCheckPasswordSrp, AccountError> {
    let proof = tokio::task::spawn_blocking(move || compute(&asked, &password)).await;
    proof.map_err(|error| AccountError::Odd(error.to_string()))?
}

fn compute(
    asked: &tl::types::account::Password,
    password: &str,
) -> Result<tl::enums::InputCheckPasswordSrp, AccountError> {
    let odd = |what: &str| AccountError::Odd(format!("{what} of the password's proof"));
    let Some(tl::enums::PasswordKdfAlgo::Sha256Sha256Pbkdf2Hmacsha512iter100000Sha256ModPow(algorithm)) =
        &asked.current_algo
    else {
        return Err(AccountError::OwnApp("a kind of password that Potok does not know"));
    };
    let (public, id) = (asked.srp_b.clone(), asked.srp_id);
    let (Some(public), Some(id)) = (public, id) else {
        return Err(odd("a number is missing"));
    };
    // The library panics on what is checked here.
    let sound = (2..=7).contains(&algorithm.g) && algorithm.p.len() == 256 && public.len() <= 256;
    if !sound || !check_p_and_g(&algorithm.p, &algorithm.g) {
        return Err(odd("the parameters are unsafe"));
    }
    let mut secret = vec![0; 256];
    SystemRandom::new()
        .fill(&mut secret)
        .map_err(|_| odd("there is no randomness"))?;
    let (m1, a) = calculate_2fa(
        &algorithm.salt1,
        &algorithm.salt2,
        &algorithm.p,
        &algorithm.g,
        public,
        secret,
        password,
    );
    Ok(tl::types::InputCheckPasswordSrp {
        srp_id: id,
        a: a.to_vec(),
        m1: m1.to_vec(),
    }
    .into())
}
