//! The second factor: the server's side of SRP, so that a password is really proven and never sent.

use num_bigint::BigUint;
use ring::pbkdf2::{PBKDF2_HMAC_SHA512, derive};

use super::cipher::sha256;
use super::random;

/// The generator, which is allowed with this prime.
pub(super) const GENERATOR: i32 = 3;

pub(super) const SALT_1: &[u8] = b"potok sandbox, the first salt";
pub(super) const SALT_2: &[u8] = b"potok sandbox, the second salt";

const PRIME: &str = "c71caeb9c6b1c9048e6c522f70f13f73980d40238e3e21c14934d037563d930f48198a0aa7c14058229493d22530f4db\
                     fa336f6e0ac925139543aed44cce7c3720fd51f69458705ac68cd4fe6b6b13abdc9746512969328454f18faf8c595f64\
                     2477fe96bb2a941d5bcd1d4ac8cc49880708fa9b378e3c4f3a9060bee67cf9a4a4a695811051907e162753b56b0f6b41\
                     0dba74d8a84b2a14b3144e0ef1284754fd17ed950d5965b4b9dd46582db1178d169c6bc465b0d6ff9ca3928fef5b9ae4\
                     e418fc15e83ebea0f87fa9ff5eed70050ded2849f47bf959d956850ce929851f0d8115f635b105ee2e4e15d04b2454bf\
                     6f4fadf034b10403119cd8e3b92fcc5b";

/// What was given to a client that is to prove a password. It is good once.
#[derive(Debug)]
pub(super) struct Challenge {
    /// Names it.
    pub(super) id: i64,
    secret: BigUint,
    verifier: BigUint,
    /// The server's public number.
    pub(super) public: [u8; 256],
}

/// The prime, as the client is told it.
pub(super) fn prime() -> [u8; 256] {
    padded(&modulus())
}

fn modulus() -> BigUint {
    BigUint::parse_bytes(PRIME.as_bytes(), 16).unwrap_or_default()
}

impl Challenge {
    pub(super) fn new(password: &str) -> Self {
        let (mut bytes, mut id) = ([0; 256], [0; 8]);
        random(&mut bytes);
        random(&mut id);
        let (p, g) = (modulus(), BigUint::from(GENERATOR.unsigned_abs()));
        let secret = BigUint::from_bytes_be(&bytes);
        let verifier = g.modpow(&BigUint::from_bytes_be(&hashed(password)), &p);
        let k = BigUint::from_bytes_be(sha256(&[&prime(), &padded(&g)]).as_ref());
        let public = (k * &verifier + g.modpow(&secret, &p)) % &p;
        Self {
            id: i64::from_le_bytes(id),
            secret,
            verifier,
            public: padded(&public),
        }
    }

    /// Whether the client knows the password.
    pub(super) fn proven(&self, public: &[u8], proof: &[u8]) -> bool {
        let (p, a) = (modulus(), BigUint::from_bytes_be(public));
        if public.len() > 256 || &a % &p == BigUint::default() {
            return false;
        }
        let a_bytes = padded(&a);
        let u = BigUint::from_bytes_be(sha256(&[&a_bytes, &self.public]).as_ref());
        let shared = (a * self.verifier.modpow(&u, &p)).modpow(&self.secret, &p);
        let key = sha256(&[&padded(&shared)]);
        let (hash_p, hash_g) = (
            sha256(&[&prime()]),
            sha256(&[&padded(&BigUint::from(GENERATOR.unsigned_abs()))]),
        );
        let mixed: Vec<u8> = hash_p
            .as_ref()
            .iter()
            .zip(hash_g.as_ref())
            .map(|(p, g)| p ^ g)
            .collect();
        let (salt_1, salt_2) = (sha256(&[SALT_1]), sha256(&[SALT_2]));
        let expected = sha256(&[
            &mixed,
            salt_1.as_ref(),
            salt_2.as_ref(),
            &a_bytes,
            &self.public,
            key.as_ref(),
        ]);
        expected.as_ref() == proof
    }
}

/// The password as it enters the computation: `SH(pbkdf2(SH(SH(password, 1), 2), 1), 2)`.
fn hashed(password: &str) -> [u8; 32] {
    let salted = |data: &[u8], salt: &[u8]| sha256(&[salt, data, salt]);
    let once = salted(password.as_bytes(), SALT_1);
    let twice = salted(once.as_ref(), SALT_2);
    let mut derived = [0; 64];
    derive(PBKDF2_HMAC_SHA512, ROUNDS, SALT_1, twice.as_ref(), &mut derived);
    let mut out = [0; 32];
    out.copy_from_slice(salted(&derived, SALT_2).as_ref());
    out
}

const ROUNDS: std::num::NonZeroU32 = match std::num::NonZeroU32::new(100_000) {
    Some(rounds) => rounds,
    None => std::num::NonZeroU32::MIN,
};

fn padded(number: &BigUint) -> [u8; 256] {
    let bytes = number.to_bytes_be();
    let mut out = [0; 256];
    let skip = bytes.len().saturating_sub(256);
    let bytes = &bytes[skip..];
    out[256 - bytes.len()..].copy_from_slice(bytes);
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use grammers_crypto::two_factor_auth::{calculate_2fa, check_p_and_g};

    #[test]
    fn a_client_proves_the_password_and_no_other() {
        assert!(
            check_p_and_g(&prime(), &GENERATOR),
            "a client would not take this prime"
        );
        let challenge = Challenge::new("хорёк");
        let prove = |password: &str| {
            let (public, secret) = (challenge.public.to_vec(), vec![0x33; 256]);
            calculate_2fa(SALT_1, SALT_2, &prime(), &GENERATOR, public, secret, password)
        };
        let (proof, public) = prove("хорёк");
        assert!(challenge.proven(&public, &proof));
        assert!(
            !challenge.proven(&[0; 256], &proof),
            "a public number that proves everything"
        );
        let (proof, public) = prove("horse");
        assert!(!challenge.proven(&public, &proof));
        let again = Challenge::new("хорёк");
        assert!(!again.proven(&public, &proof), "another challenge");
    }
}
