//! The secrets of one call in the clear, for as long as the call takes.

use std::{borrow::Cow, collections::BTreeMap, fmt, fmt::Write};

use base64::{Engine, engine::general_purpose::STANDARD};
use potok_dsl::Problem;
use potok_expr::{
    SecretPath,
    secret::{Form, Piece, is_in_text, pieces},
};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::{scrub::Scrubber, secret::Secret, vault::refused};

/// What was opened for one call.
pub struct Opened {
    secrets: BTreeMap<String, Secret>,
    scrubber: Scrubber,
}

impl Opened {
    pub(crate) fn new<'p>(
        secrets: BTreeMap<String, Secret>,
        paths: impl Iterator<Item = &'p SecretPath>,
    ) -> Result<Self, Problem> {
        let texts = paths.filter_map(|path| {
            let value = secrets.get(path.name())?.at(path.fields()).ok()?;
            Some(Secret::texts(path, value))
        });
        let scrubber = Scrubber::new(texts.flatten().collect())?;
        Ok(Self { secrets, scrubber })
    }

    /// What takes these secrets out of whatever comes back.
    #[must_use]
    pub fn scrubber(&self) -> &Scrubber {
        &self.scrubber
    }

    /// A text with its placeholders resolved.
    ///
    /// # Errors
    /// Authorization: for a field that is not there, an object where text is wanted, a placeholder that was cut.
    pub fn text<'t>(&self, text: &'t str) -> Result<Cow<'t, str>, Problem> {
        if !is_in_text(text) {
            return Ok(Cow::Borrowed(text));
        }
        let mut resolved = String::with_capacity(text.len());
        for piece in pieces(text) {
            match piece {
                Piece::Text(text) => resolved.push_str(text),
                Piece::Secret(path, form) => {
                    let text = self.written(&path)?;
                    match form {
                        Form::Plain => resolved.push_str(&text),
                        Form::Percent => percent(&text, &mut resolved),
                    }
                }
                Piece::Base64(inner, form) => {
                    let clear = Zeroizing::new(self.text(inner)?.into_owned());
                    let encoded = Zeroizing::new(STANDARD.encode(clear.as_bytes()));
                    match form {
                        Form::Plain => resolved.push_str(&encoded),
                        Form::Percent => percent(&encoded, &mut resolved),
                    }
                }
                Piece::Broken => {
                    return Err(refused(
                        "a placeholder of a secret was cut; a secret can be put together with other text, not taken apart".to_owned(),
                    ));
                }
            }
        }
        Ok(Cow::Owned(resolved))
    }

    /// Resolves the placeholders in a value. A text that is one placeholder becomes what the secret is: text, a number, an object.
    ///
    /// # Errors
    /// As [`Opened::text`].
    pub fn value(&self, value: &mut Value) -> Result<(), Problem> {
        match value {
            Value::String(text) if is_in_text(text) => {
                let whole = match pieces(text).as_slice() {
                    [Piece::Secret(path, Form::Plain)] => Some(self.find(path)?.clone()),
                    _ => None,
                };
                *value = match whole {
                    Some(whole) => whole,
                    None => Value::String(self.text(text)?.into_owned()),
                };
                Ok(())
            }
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.value(item)),
            Value::Object(map) => {
                self.names(map)?;
                map.values_mut().try_for_each(|item| self.value(item))
            }
            _ => Ok(()),
        }
    }

    /// Resolves the placeholders in a value whose every member is text: names, headers, addresses.
    ///
    /// # Errors
    /// As [`Opened::text`].
    pub fn texts(&self, value: &mut Value) -> Result<(), Problem> {
        match value {
            Value::String(text) => {
                if let Cow::Owned(resolved) = self.text(text)? {
                    *text = resolved;
                }
                Ok(())
            }
            Value::Array(items) => items.iter_mut().try_for_each(|item| self.texts(item)),
            Value::Object(map) => {
                self.names(map)?;
                map.values_mut().try_for_each(|item| self.texts(item))
            }
            _ => Ok(()),
        }
    }

    fn names(&self, map: &mut Map<String, Value>) -> Result<(), Problem> {
        if map.keys().any(|key| is_in_text(key)) {
            let members = std::mem::take(map).into_iter();
            *map = members
                .map(|(key, item)| Ok((self.text(&key)?.into_owned(), item)))
                .collect::<Result<Map<_, _>, Problem>>()?;
        }
        Ok(())
    }

    /// Resolves an authentication, `{ scheme: { … } }`: its placeholders, and `use`, which takes all members from a secret.
    ///
    /// # Errors
    /// As [`Opened::text`], and when the secret that is to be used has no fields.
    pub fn authentication(&self, authentication: &mut Value) -> Result<(), Problem> {
        if let Some(path) = used(authentication)
            && let Some(members) = authentication
                .as_object_mut()
                .and_then(|schemes| schemes.values_mut().next())
        {
            let fields = self.find(&path)?;
            if !fields.is_object() {
                return Err(refused(format!(
                    "the secret '{path}' is text; an authentication takes its members from the fields of a secret, such as {{\"token\": \"…\"}}"
                )));
            }
            *members = fields.clone();
            return Ok(());
        }
        self.value(authentication)
    }

    fn find(&self, path: &SecretPath) -> Result<&Value, Problem> {
        let secret = self
            .secrets
            .get(path.name())
            .ok_or_else(|| refused(format!("the secret '{}' was not opened for this call", path.name())))?;
        secret.at(path.fields()).map_err(|field| {
            refused(format!(
                "the secret '{}' has no field '{field}', which {path} asks for",
                path.name()
            ))
        })
    }

    /// A secret as a part of a text.
    fn written(&self, path: &SecretPath) -> Result<String, Problem> {
        match self.find(path)? {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(truth) => Ok(truth.to_string()),
            _ => Err(refused(format!(
                "the secret '{path}' is no text; name one of its fields"
            ))),
        }
    }
}

/// The secret that an authentication takes its members from.
#[must_use]
pub fn used(authentication: &Value) -> Option<SecretPath> {
    let members = authentication.as_object()?.values().next()?;
    Some(SecretPath::new(members.get("use")?.as_str()?, Vec::new()))
}

/// Everything but unreserved characters is encoded.
fn percent(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.secrets.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{collections::BTreeSet, sync::Arc};

    use serde_json::json;

    use super::*;
    use crate::{Environment, Vault};

    fn vault() -> Vault {
        let variables = [
            (
                "POTOK_SECRETS_API",
                r#"{"token": "t/1", "pin": 1234, "deep": {"user": "u"}}"#,
            ),
            ("POTOK_SECRETS_TEXT", "a b"),
        ];
        Vault::new(vec![Arc::new(Environment::new(
            variables.map(|(name, value)| (name.to_owned(), value.to_owned())),
        ))])
    }

    fn path(name: &str, fields: &[&str]) -> SecretPath {
        SecretPath::new(name, fields.iter().map(|field| (*field).to_owned()).collect())
    }

    async fn opened(paths: &[SecretPath]) -> Opened {
        let needed = paths.iter().cloned().collect();
        vault().open(&needed, &BTreeSet::new()).await.unwrap()
    }

    #[tokio::test]
    async fn placeholders_become_secrets() {
        let (token, text) = (path("api", &["token"]), path("text", &[]));
        let opened = opened(&[token.clone(), text.clone()]).await;
        let mut value = json!({
            "plain": format!("Bearer {}", token.placeholder()),
            token.placeholder(): [path("api", &["pin"]).placeholder(), path("api", &[]).placeholder(), 1],
        });
        opened.value(&mut value).unwrap();
        let whole = json!({ "token": "t/1", "pin": 1234, "deep": { "user": "u" } });
        assert_eq!(value, json!({ "plain": "Bearer t/1", "t/1": [1234, whole, 1] }));
        let mut uri = String::new();
        potok_expr::secret::percent_around(&text.placeholder(), &mut uri, &mut |text, into| into.push_str(text));
        assert_eq!(opened.text(&uri).unwrap(), "a%20b");
        let basic = potok_expr::secret::base64(&format!("ann:{}", token.placeholder()));
        assert_eq!(opened.text(&format!("Basic {basic}")).unwrap(), "Basic YW5uOnQvMQ==");
        let mut uri = String::new();
        potok_expr::secret::percent_around(&basic, &mut uri, &mut |text, into| into.push_str(text));
        assert_eq!(opened.text(&uri).unwrap(), "YW5uOnQvMQ%3D%3D");
        let mut headers = json!({ "pin": path("api", &["pin"]).placeholder() });
        opened.texts(&mut headers).unwrap();
        assert_eq!(headers, json!({ "pin": "1234" }));
        assert!(!format!("{opened:?}").contains("t/1"));
    }

    #[tokio::test]
    async fn what_cannot_be_resolved_is_named() {
        let opened = opened(&[path("api", &[])]).await;
        let detail = |text: &str| opened.text(text).unwrap_err().detail.unwrap();
        assert!(detail(&path("api", &["no"]).placeholder()).contains("no field 'no'"));
        assert!(detail(&format!("x{}", path("api", &["deep"]).placeholder())).contains("name one of its fields"));
        assert!(detail(&path("text", &[]).placeholder()).contains("'text' was not opened"));
        assert!(detail(&path("api", &["token"]).placeholder()[..8]).contains("cut"));
        let missing = vault()
            .open(&BTreeSet::from([path("my-key", &[])]), &BTreeSet::new())
            .await;
        let problem = missing.unwrap_err();
        assert_eq!(problem.status, 403);
        let detail = problem.detail.unwrap();
        assert!(
            detail.contains("'my-key'") && detail.contains("POTOK_SECRETS_MY_KEY"),
            "{detail}"
        );
        // One that is not needed may be missing.
        assert!(
            vault()
                .open(&BTreeSet::new(), &BTreeSet::from([path("no", &[])]))
                .await
                .is_ok()
        );
    }

    #[tokio::test]
    async fn an_authentication_takes_its_members_from_a_secret() {
        let opened = opened(&[path("api", &[]), path("text", &[])]).await;
        let mut bearer = json!({ "bearer": { "use": "api" } });
        opened.authentication(&mut bearer).unwrap();
        assert_eq!(bearer["bearer"]["token"], "t/1");
        let mut inline = json!({ "basic": { "username": "u", "password": path("text", &[]).placeholder() } });
        opened.authentication(&mut inline).unwrap();
        assert_eq!(inline["basic"]["password"], "a b");
        let refused = opened
            .authentication(&mut json!({ "bearer": { "use": "text" } }))
            .unwrap_err();
        assert!(refused.detail.unwrap().contains("is text"));
    }
}
