//! Who a request comes from: a name and a password, a token, or a policy by which a token is to be had.
//!
//! What a policy says arrives with its secrets in it. None of them gets into a message: errors name members, never what they hold.

mod policy;
mod tokens;

use base64::{Engine, engine::general_purpose::STANDARD};
use potok_dsl::Problem;
use reqwest::header::HeaderValue;
use serde_json::Value;

use crate::{egress::Egress, request::wrong};
use policy::Policy;
pub(crate) use tokens::Tokens;

/// What a request authenticates itself with.
pub(crate) enum Credentials {
    /// This.
    Fixed(HeaderValue),
    /// A token that has to be asked for.
    Token(Box<Policy>),
}

impl Credentials {
    /// Reads an object with one member that is named for the scheme.
    pub(crate) fn read(authentication: &Value) -> Result<Self, Problem> {
        let mut schemes = authentication.as_object().into_iter().flatten();
        let Some((scheme, members)) = schemes.next() else {
            return Err(wrong("the authentication names no scheme".to_owned()));
        };
        let text = |member: &str| members[member].as_str();
        match scheme.as_str() {
            "basic" => match (text("username"), text("password")) {
                (Some(username), Some(password)) => basic(username, password).map(Self::Fixed),
                _ => Err(wrong("basic authentication needs a username and a password".to_owned())),
            },
            "bearer" => match text("token") {
                Some(token) => bearer(token).map(Self::Fixed),
                None => Err(wrong("bearer authentication needs a token".to_owned())),
            },
            "oauth2" => Ok(Self::Token(Box::new(Policy::oauth2(members)?))),
            "oidc" => Ok(Self::Token(Box::new(Policy::oidc(members)?))),
            other => Err(wrong(format!("authentication by '{other}' is not supported yet"))),
        }
    }

    /// The header that says it. Another one than `refused`, if that is possible, which the server did not accept.
    pub(crate) async fn header(
        &self,
        tokens: &Tokens,
        egress: &Egress,
        refused: Option<&HeaderValue>,
    ) -> Result<HeaderValue, Problem> {
        match self {
            Self::Fixed(header) => Ok(header.clone()),
            Self::Token(policy) => tokens.header(policy, egress, refused).await,
        }
    }

    /// Whether asking again may give another header.
    pub(crate) fn can_be_renewed(&self) -> bool {
        matches!(self, Self::Token(_))
    }
}

/// Basic authentication (RFC 7617).
pub(crate) fn basic(username: &str, password: &str) -> Result<HeaderValue, Problem> {
    if username.contains(':') {
        return Err(wrong("a username of basic authentication cannot have a ':'".to_owned()));
    }
    secret(&format!("Basic {}", STANDARD.encode(format!("{username}:{password}"))))
}

/// A bearer token (RFC 6750).
fn bearer(token: &str) -> Result<HeaderValue, Problem> {
    secret(&format!("Bearer {token}"))
}

/// A header's value that nobody prints.
fn secret(text: &str) -> Result<HeaderValue, Problem> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| wrong("the credentials have characters that no header can have".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}
