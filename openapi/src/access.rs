//! Who may ask: people by a name and a password, programs by a token. Who is let in may do everything; there are no roles yet.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use poem::{IntoResponse, Request, Response, http::HeaderValue, http::header};
use potok_dsl::{ErrorType, Problem};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::failure::Failure;

/// The shortest password, in bytes.
const PASSWORD: usize = 8;

/// The shortest token, in bytes: as much as nobody guesses over a network.
const TOKEN: usize = 16;

/// What is asked for without a name: whoever watches over the server may look whether it is well.
const OPEN: &str = "/api/health";

/// Who may use the server. Without anybody, whoever reaches its address may.
#[derive(Clone, Default)]
pub struct Access {
    /// Of `name:password`, as a request has it.
    users: Vec<[u8; 32]>,
    tokens: Vec<[u8; 32]>,
}

/// Somebody who cannot be let in like that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// A name that no request can carry.
    #[error("the user name '{0}' cannot be used: it is empty or has a colon in it")]
    Name(String),
    /// A password that is guessed too easily.
    #[error("the password of '{0}' is too short: it needs at least {PASSWORD} bytes")]
    Password(String),
    /// A token that is guessed too easily, or that no request can carry.
    #[error("a token needs at least {TOKEN} visible ASCII characters and no spaces; 'openssl rand -hex 32' makes one")]
    Token,
}

impl Access {
    /// These people with their passwords, and whoever shows one of these tokens.
    ///
    /// # Errors
    /// When a name, a password or a token cannot be used.
    pub fn new(
        users: impl IntoIterator<Item = (String, String)>,
        tokens: impl IntoIterator<Item = String>,
    ) -> Result<Self, AccessError> {
        let mut access = Self::default();
        for (name, password) in users {
            if name.is_empty() || name.contains(':') {
                return Err(AccessError::Name(name));
            }
            if password.len() < PASSWORD {
                return Err(AccessError::Password(name));
            }
            access.users.push(hash(format!("{name}:{password}").as_bytes()));
        }
        for token in tokens {
            if token.len() < TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(AccessError::Token);
            }
            access.tokens.push(hash(token.as_bytes()));
        }
        Ok(access)
    }

    /// Whether whoever reaches the address may use it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.users.is_empty() && self.tokens.is_empty()
    }

    /// The answer to a request of somebody who may not ask.
    pub(crate) fn refuse(&self, request: &Request) -> Option<Response> {
        if self.is_open() || request.uri().path() == OPEN || self.admits(request) {
            return None;
        }
        let detail = "show a name and a password (Basic) or a token (Bearer) that the server knows";
        let problem = Problem::new(ErrorType::Authentication, "Unauthorized", detail).with_status(401);
        let mut response = Failure::<0>(problem).into_response();
        let schemes = ["Basic realm=\"potok\", charset=\"UTF-8\"", "Bearer realm=\"potok\""];
        for scheme in schemes {
            let scheme = HeaderValue::from_static(scheme);
            response.headers_mut().append(header::WWW_AUTHENTICATE, scheme);
        }
        Some(response)
    }

    fn admits(&self, request: &Request) -> bool {
        let shown = request.header("authorization").and_then(|shown| shown.split_once(' '));
        let Some((scheme, shown)) = shown else { return false };
        let shown = shown.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            return is_among(&self.tokens, shown.as_bytes());
        }
        let basic = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(shown));
        basic.is_some_and(|decoded| decoded.is_ok_and(|user| is_among(&self.users, &user)))
    }

    /// Says in the document what a request has to show.
    pub(crate) fn describe(&self, document: &mut Value) {
        if self.is_open() {
            return;
        }
        document["components"]["securitySchemes"] = json!({
            "basic": { "type": "http", "scheme": "basic" },
            "token": { "type": "http", "scheme": "bearer" },
        });
        document["security"] = json!([{ "basic": [] }, { "token": [] }]);
    }
}

/// How many there are, and nothing else.
impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counts = (self.users.len(), self.tokens.len());
        f.debug_tuple("Access").field(&counts.0).field(&counts.1).finish()
    }
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Takes as long whichever it is, or none.
fn is_among(known: &[[u8; 32]], shown: &[u8]) -> bool {
    let shown = hash(shown);
    let differs = |known: &[u8; 32]| known.iter().zip(&shown).fold(0, |sum, (a, b)| sum | (a ^ b));
    known.iter().fold(false, |found, known| found | (differs(known) == 0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn access() -> Access {
        let user = ("olga".to_owned(), "pass:word".to_owned());
        Access::new([user], ["0123456789abcdef".to_owned()]).unwrap()
    }

    fn shown(authorization: &str) -> Request {
        Request::builder().header("authorization", authorization).finish()
    }

    #[test]
    fn who_is_known_is_let_in() {
        let basic = |user: &str| format!("Basic {}", STANDARD.encode(user));
        for known in [
            &basic("olga:pass:word"),
            "bearer 0123456789abcdef",
            "Bearer  0123456789abcdef",
        ] {
            assert!(access().admits(&shown(known)), "{known}");
        }
        for unknown in [
            &basic("olga:password"),
            &basic("igor:pass:word"),
            &basic("0123456789abcdef"),
            "Bearer 0123456789abcdeF",
            "Bearer",
            "Basic %%%",
            "0123456789abcdef",
            "",
        ] {
            assert!(!access().admits(&shown(unknown)), "{unknown}");
        }
        assert!(!access().admits(&Request::default()));
        assert!(Access::default().refuse(&Request::default()).is_none());
        assert!(!format!("{:?}", access()).contains("olga"));
    }

    #[test]
    fn what_is_guessed_easily_is_refused() {
        let user = |name: &str, password: &str| Access::new([(name.to_owned(), password.to_owned())], []).unwrap_err();
        assert_eq!(user("a:b", "long enough"), AccessError::Name("a:b".to_owned()));
        assert_eq!(user("olga", "short"), AccessError::Password("olga".to_owned()));
        for token in ["short", "", "with a space in the middle", "длинный-но-не-ascii"] {
            assert_eq!(
                Access::new([], [token.to_owned()]).unwrap_err(),
                AccessError::Token,
                "{token}"
            );
        }
    }
}
