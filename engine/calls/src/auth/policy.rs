//! `oauth2` and `oidc`: what is asked of whom (RFC 6749).

use base64::{Engine, engine::general_purpose::STANDARD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use potok_dsl::Problem;
use reqwest::Url;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::request::wrong;

/// Where a server describes itself (OpenID Connect Discovery, RFC 8414).
const OPENID: &str = "/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server";

/// What is not encoded in a client's name and secret.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'*');

/// How a token is to be had. It holds secrets, so it is never printed.
pub(crate) struct Policy {
    /// Where.
    pub(super) place: Place,
    /// The parameters of the request, the client's own among them.
    pub(super) parameters: Vec<(&'static str, String)>,
    /// The client's authentication in a header.
    pub(super) basic: Option<String>,
    /// Whether the request leaves as JSON instead of a form.
    pub(super) json: bool,
    /// Who may have made the token; anyone when it is empty.
    pub(super) issuers: Vec<String>,
    /// What all of this is known by.
    pub(super) key: [u8; 32],
}

/// Where tokens are to be had.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// There.
    Endpoint(Url),
    /// Where the server says that it is, in this description of itself.
    Described(Url),
}

impl Policy {
    /// The policy that `oauth2` describes.
    pub(super) fn oauth2(members: &Value) -> Result<Self, Problem> {
        let reader = Reader {
            scheme: "oauth2",
            members,
        };
        let authority = reader.needed("/authority")?;
        let place = if authority.ends_with(OPENID) || authority.ends_with(OAUTH) {
            Place::Described(reader.url(authority)?)
        } else {
            let endpoint = reader.text("/endpoints/token")?.unwrap_or("/oauth2/token");
            Place::Endpoint(reader.url(&beneath(authority, endpoint))?)
        };
        reader.policy(place)
    }

    /// The policy that `oidc` describes.
    pub(super) fn oidc(members: &Value) -> Result<Self, Problem> {
        let reader = Reader {
            scheme: "oidc",
            members,
        };
        let authority = reader.needed("/authority")?;
        let place = if authority.ends_with(OPENID) {
            reader.url(authority)?
        } else {
            reader.url(&beneath(authority, OPENID))?
        };
        reader.policy(Place::Described(place))
    }

    fn digest(&self) -> [u8; 32] {
        let parts = (&self.place, &self.parameters, &self.basic, self.json, &self.issuers);
        Sha256::digest(format!("{parts:?}")).into()
    }

    /// The parameters with a refresh token, which a server gave, instead of what the policy says.
    pub(super) fn refreshing(&self, refresh_token: &str) -> Vec<(&'static str, String)> {
        let client = self.parameters.iter().filter(|(name, _)| name.starts_with("client_"));
        [
            ("grant_type", "refresh_token".to_owned()),
            ("refresh_token", refresh_token.to_owned()),
        ]
        .into_iter()
        .chain(client.cloned())
        .collect()
    }
}

/// An endpoint's path under its authority: the path is relative, whether it begins with a slash or not. A whole URL stands for itself.
fn beneath(authority: &str, endpoint: &str) -> String {
    if Url::parse(endpoint).is_ok() {
        return endpoint.to_owned();
    }
    format!(
        "{}/{}",
        authority.trim_end_matches('/'),
        endpoint.trim_start_matches('/')
    )
}

/// Reads the members of a policy, which may have come from a secret: nothing is sure yet.
struct Reader<'m> {
    scheme: &'static str,
    members: &'m Value,
}

impl<'m> Reader<'m> {
    fn policy(&self, place: Place) -> Result<Policy, Problem> {
        let mut parameters = self.grant()?;
        let list = |name| self.list(name);
        let scopes = list("/scopes")?;
        if !scopes.is_empty() {
            parameters.push(("scope", scopes.join(" ")));
        }
        parameters.extend(list("/audiences")?.into_iter().map(|audience| ("audience", audience)));
        let basic = self.client(&mut parameters)?;
        let json = match self.text("/request/encoding")? {
            None | Some("application/x-www-form-urlencoded") => false,
            Some("application/json") => true,
            Some(_) => return Err(self.wrong("request.encoding", "is neither a form nor JSON")),
        };
        let mut policy = Policy {
            place,
            parameters,
            basic,
            json,
            issuers: list("/issuers")?,
            key: [0; 32],
        };
        policy.key = policy.digest();
        Ok(policy)
    }

    fn grant(&self) -> Result<Vec<(&'static str, String)>, Problem> {
        let needed = |place, name| Ok::<_, Problem>((name, self.needed(place)?.to_owned()));
        let grant = self.needed("/grant")?;
        let mut parameters = vec![("grant_type", grant.to_owned())];
        match grant {
            "client_credentials" => {}
            "password" => {
                parameters.push(needed("/username", "username")?);
                parameters.push(needed("/password", "password")?);
            }
            // The specification has no other member for it: the subject is who the token is for.
            "refresh_token" => parameters.push(needed("/subject/token", "refresh_token")?),
            _ => return Err(self.wrong("grant", "is not supported yet")),
        }
        Ok(parameters)
    }

    /// How the client says who it is: by parameters, or by a header that is given back.
    fn client(&self, parameters: &mut Vec<(&'static str, String)>) -> Result<Option<String>, Problem> {
        let id = self.text("/client/id")?.map(str::to_owned);
        let secret = self.text("/client/secret")?.map(str::to_owned);
        match self.text("/client/authentication")? {
            None | Some("client_secret_post") => {
                let id = id.ok_or_else(|| self.wrong("client.id", "is missing"))?;
                parameters.push(("client_id", id));
                parameters.extend(secret.map(|secret| ("client_secret", secret)));
                Ok(None)
            }
            Some("client_secret_basic") => {
                let encoded = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
                let id = id.ok_or_else(|| self.wrong("client.id", "is missing"))?;
                let secret = secret.ok_or_else(|| self.wrong("client.secret", "is missing"))?;
                let pair = format!("{}:{}", encoded(&id), encoded(&secret));
                Ok(Some(format!("Basic {}", STANDARD.encode(pair))))
            }
            Some("none") => {
                parameters.extend(id.map(|id| ("client_id", id)));
                Ok(None)
            }
            Some(_) => Err(self.wrong("client.authentication", "is not supported yet")),
        }
    }

    fn text(&self, place: &str) -> Result<Option<&'m str>, Problem> {
        match self.members.pointer(place) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(&dotted(place), "is not text")),
        }
    }

    fn needed(&self, place: &str) -> Result<&'m str, Problem> {
        let text = self.text(place)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| self.wrong(&dotted(place), "is missing"))
    }

    fn list(&self, place: &str) -> Result<Vec<String>, Problem> {
        let wrong = || self.wrong(&dotted(place), "is not a list of texts");
        match self.members.pointer(place) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned).ok_or_else(wrong))
                .collect(),
            Some(_) => Err(wrong()),
        }
    }

    fn url(&self, text: &str) -> Result<Url, Problem> {
        let url = Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"));
        url.ok_or_else(|| self.wrong("authority", "is no http or https URI"))
    }

    fn wrong(&self, member: &str, what: &str) -> Problem {
        wrong(format!("'{member}' of the {} authentication {what}", self.scheme))
    }
}

fn dotted(place: &str) -> String {
    place.trim_start_matches('/').replace('/', ".")
}

/// Parameters as JSON; those that come several times are lists.
pub(super) fn json(parameters: &[(&'static str, String)]) -> Value {
    let mut object = Map::new();
    for (name, value) in parameters {
        match object.get_mut(*name) {
            Some(Value::Array(values)) => values.push(value.clone().into()),
            Some(first) => *first = Value::Array(vec![first.take(), value.clone().into()]),
            None => drop(object.insert((*name).to_owned(), value.clone().into())),
        }
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn endpoint(members: &Value) -> String {
        match Policy::oauth2(members).unwrap().place {
            Place::Endpoint(url) => url.to_string(),
            Place::Described(url) => format!("described by {url}"),
        }
    }

    #[test]
    fn the_endpoint_is_under_the_authority() {
        let with = |authority: &str, token: Option<&str>| {
            endpoint(&json!({
                "authority": authority, "grant": "client_credentials", "client": { "id": "a" },
                "endpoints": token.map(|token| json!({ "token": token })),
            }))
        };
        assert_eq!(with("http://h/realms/r", None), "http://h/realms/r/oauth2/token");
        assert_eq!(
            with("http://h/realms/r/", Some("/auth/token")),
            "http://h/realms/r/auth/token"
        );
        assert_eq!(with("http://h", Some("token")), "http://h/token");
        assert_eq!(with("http://h", Some("https://other/token")), "https://other/token");
        let described = "described by http://h/.well-known/openid-configuration";
        assert_eq!(with("http://h/.well-known/openid-configuration", None), described);
    }

    #[test]
    fn a_policy_that_lacks_something_names_it_and_shows_nothing() {
        let client = json!({ "id": "hush", "secret": "hush" });
        for (members, said) in [
            (json!({}), "'authority'"),
            (json!({ "authority": "http://h" }), "'grant'"),
            (
                json!({ "authority": "hush", "grant": "client_credentials", "client": client }),
                "'authority'",
            ),
            (
                json!({ "authority": "http://h", "grant": "authorization_code", "client": client }),
                "'grant'",
            ),
            (
                json!({ "authority": "http://h", "grant": "client_credentials" }),
                "'client.id'",
            ),
            (
                json!({ "authority": "http://h", "grant": "password", "client": client }),
                "'username'",
            ),
            (
                json!({ "authority": "http://h", "grant": "refresh_token", "client": client }),
                "'subject.token'",
            ),
            (
                json!({ "authority": "http://h", "grant": "client_credentials", "client": client, "scopes": "hush" }),
                "'scopes'",
            ),
            (
                json!({ "authority": "http://h", "grant": "client_credentials",
                    "client": { "id": "hush", "authentication": "client_secret_jwt" } }),
                "'client.authentication'",
            ),
            (
                json!({ "authority": "http://h", "grant": "client_credentials",
                    "client": { "id": "hush", "authentication": "client_secret_basic" } }),
                "'client.secret'",
            ),
        ] {
            let problem = Policy::oauth2(&members).err().unwrap().to_string();
            assert!(problem.contains(said) && !problem.contains("hush"), "{problem}");
        }
    }

    #[test]
    fn every_difference_is_another_policy() {
        let base =
            json!({ "authority": "http://h", "grant": "client_credentials", "client": { "id": "a", "secret": "b" } });
        let key = |change: &dyn Fn(&mut Value)| {
            let mut members = base.clone();
            change(&mut members);
            Policy::oauth2(&members).unwrap().key
        };
        let same = key(&|_| {});
        assert_eq!(same, key(&|_| {}));
        assert_ne!(same, key(&|m| m["client"]["secret"] = json!("c")));
        assert_ne!(same, key(&|m| m["scopes"] = json!(["x"])));
        assert_ne!(same, key(&|m| m["issuers"] = json!(["x"])));
        assert_ne!(same, key(&|m| m["authority"] = json!("http://i")));
    }
}
