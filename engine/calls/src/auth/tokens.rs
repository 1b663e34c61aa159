//! Tokens that were asked for, kept until they end. They are in memory alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use potok_dsl::{ErrorType, Problem};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request, Response, Url};
use serde_json::Value;

use super::policy::{Place, Policy, json};
use super::{bearer, secret};
use crate::body::form;
use crate::egress::Egress;
use crate::request::{place, wrong};
use crate::{broken, response, unsent};

/// How many policies are remembered.
const KEPT: usize = 1_000;

/// The largest answer that is read, in bytes.
const ANSWER: usize = 1 << 20;

/// How long a token is used whose server does not say.
const UNSAID: Duration = Duration::from_secs(300);

/// The longest that a token is used, whatever its server says.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// A token is not used so near to its end: it has yet to arrive.
const MARGIN: Duration = Duration::from_secs(30);

/// How long a server's description of itself is believed.
const DESCRIBED: Duration = Duration::from_secs(3600);

/// Tokens by their policies.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    /// One lock a policy: who comes second waits for the first one's token.
    known: Mutex<HashMap<[u8; 32], Arc<tokio::sync::Mutex<Option<Token>>>>>,
    /// Token endpoints by the descriptions that name them.
    described: Mutex<HashMap<Url, (Url, Instant)>>,
}

#[derive(Clone)]
struct Token {
    header: HeaderValue,
    until: Instant,
    refresh: Option<String>,
}

/// Without what is secret in it.
impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token")
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

impl Tokens {
    /// The header with the policy's token: the one that is known, unless it has ended or is the one that was refused.
    pub(super) async fn header(
        &self,
        policy: &Policy,
        egress: &Egress,
        refused: Option<&HeaderValue>,
    ) -> Result<HeaderValue, Problem> {
        let entry = self.entry(policy.key);
        let mut known = entry.lock().await;
        if let Some(token) = &*known
            && Instant::now() < token.until
            && refused != Some(&token.header)
        {
            return Ok(token.header.clone());
        }
        let refresh = known.take().and_then(|token| token.refresh);
        let token = self.ask(policy, egress, refresh).await?;
        let header = token.header.clone();
        *known = Some(token);
        Ok(header)
    }

    fn entry(&self, key: [u8; 32]) -> Arc<tokio::sync::Mutex<Option<Token>>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT && !known.contains_key(&key) {
            // Those that nobody waits for; a token can always be asked for again.
            known.retain(|_, entry| Arc::strong_count(entry) > 1);
        }
        Arc::clone(known.entry(key).or_default())
    }

    /// Asks for a token: by the refresh token that came with the last one, else as the policy says.
    async fn ask(&self, policy: &Policy, egress: &Egress, refresh: Option<String>) -> Result<Token, Problem> {
        let endpoint = self.endpoint(&policy.place, egress).await?;
        if let Some(refresh) = refresh {
            match request(policy, egress, &endpoint, &policy.refreshing(&refresh)).await {
                // It may have ended, too.
                Err(problem) if problem.is(ErrorType::Authentication) => {}
                Ok(mut token) => {
                    token.refresh.get_or_insert(refresh);
                    return Ok(token);
                }
                Err(problem) => return Err(problem),
            }
        }
        request(policy, egress, &endpoint, &policy.parameters).await
    }

    async fn endpoint(&self, place: &Place, egress: &Egress) -> Result<Url, Problem> {
        let description = match place {
            Place::Endpoint(url) => return Ok(url.clone()),
            Place::Described(url) => url,
        };
        let known = |described: &HashMap<Url, (Url, Instant)>| {
            let (url, until) = described.get(description)?;
            (Instant::now() < *until).then(|| url.clone())
        };
        let found = known(&self.described.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(url) = found {
            return Ok(url);
        }
        let url = describe(description, egress).await?;
        let mut described = self.described.lock().unwrap_or_else(PoisonError::into_inner);
        if described.len() >= KEPT {
            described.clear();
        }
        described.insert(description.clone(), (url.clone(), Instant::now() + DESCRIBED));
        Ok(url)
    }
}

/// Where a server says that tokens are to be had.
async fn describe(description: &Url, egress: &Egress) -> Result<Url, Problem> {
    let place = place(description);
    let mut request = Request::new(Method::GET, description.clone());
    request
        .headers_mut()
        .insert(ACCEPT, HeaderValue::from_static("application/json"));
    let response = egress.send(request).await.map_err(|error| unsent(&place, error))?;
    if !response.status().is_success() {
        return Err(response::status_problem(&response, &place));
    }
    let said = read(response, &place).await?;
    let url = said["token_endpoint"].as_str().and_then(|url| Url::parse(url).ok());
    url.filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| unreadable(format!("{place} names no token endpoint")))
}

/// Asks an endpoint for a token.
async fn request(
    policy: &Policy,
    egress: &Egress,
    endpoint: &Url,
    parameters: &[(&'static str, String)],
) -> Result<Token, Problem> {
    let place = place(endpoint);
    let mut request = Request::new(Method::POST, endpoint.clone());
    let (kind, body) = if policy.json {
        ("application/json", json(parameters).to_string())
    } else {
        (
            "application/x-www-form-urlencoded",
            form(parameters.iter().map(|(name, value)| (*name, value.as_str()))),
        )
    };
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if let Some(basic) = &policy.basic {
        headers.insert(AUTHORIZATION, secret(basic)?);
    }
    *request.body_mut() = Some(body.into());
    let response = egress.send(request).await.map_err(|error| unsent(&place, error))?;
    let status = response.status();
    if matches!(status.as_u16(), 400 | 401 | 403) {
        let said = read(response, &place).await.unwrap_or_default();
        return Err(refusal(&place, status.as_u16(), said["error"].as_str()));
    }
    if !status.is_success() {
        return Err(response::status_problem(&response, &place));
    }
    token(&read(response, &place).await?, &policy.issuers, &place)
}

fn token(said: &Value, issuers: &[String], place: &str) -> Result<Token, Problem> {
    let Some(token) = said["access_token"].as_str() else {
        return Err(unreadable(format!("{place} answered without an access token")));
    };
    let kind = said["token_type"].as_str().unwrap_or("bearer");
    if !kind.eq_ignore_ascii_case("bearer") {
        return Err(wrong(format!("{place} gives tokens that are no bearer tokens")));
    }
    if !issuers.is_empty() {
        let issuer = issuer(token);
        if !issuer.is_some_and(|issuer| issuers.contains(&issuer)) {
            let detail =
                format!("{place} gave a token that none of the 'issuers' has issued, or that does not say who has");
            return Err(Problem::new(ErrorType::Authentication, "Token not accepted", detail));
        }
    }
    let span = seconds(&said["expires_in"]).unwrap_or(UNSAID).min(LONGEST);
    Ok(Token {
        header: bearer(token)?,
        until: Instant::now() + (span - MARGIN.min(span / 2)),
        refresh: said["refresh_token"].as_str().map(str::to_owned),
    })
}

/// A number of seconds, which some servers write as text.
fn seconds(value: &Value) -> Option<Duration> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    Duration::try_from_secs_f64(number).ok()
}

/// Who has issued a token, as a JWT (RFC 7519) says. Its signature is for whoever accepts the token.
fn issuer(token: &str) -> Option<String> {
    let mut parts = token.split('.');
    let (_, payload, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else {
        return None;
    };
    let bytes = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let claims: Value = serde_json::from_slice(&bytes).ok()?;
    claims["iss"].as_str().map(str::to_owned)
}

/// The server will not give a token. Only its code is told: a description may repeat what it was sent.
fn refusal(place: &str, status: u16, code: Option<&str>) -> Problem {
    let known =
        |code: &&str| code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    let code = code.filter(known).map_or(String::new(), |code| format!(": {code}"));
    let detail = format!("{place} refused to give a token (status {status}){code}");
    Problem::new(ErrorType::Authentication, "Token refused", detail)
}

async fn read(response: Response, place: &str) -> Result<Value, Problem> {
    let (bytes, whole) = response::read(response, ANSWER)
        .await
        .map_err(|error| broken(place, &error))?;
    if !whole {
        return Err(unreadable(format!("{place} answered with more than {ANSWER} bytes")));
    }
    // What it says may be a token: the message does not quote it.
    serde_json::from_slice(&bytes).map_err(|_| unreadable(format!("{place} answered with what is no JSON")))
}

fn unreadable(detail: String) -> Problem {
    Problem::new(ErrorType::Communication, "Answer cannot be read", detail).with_status(502)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn jwt(claims: &Value) -> String {
        format!(
            "{}.{}.sig",
            URL_SAFE_NO_PAD.encode("{}"),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        )
    }

    #[test]
    fn the_issuer_is_the_one_that_the_token_names() {
        let issuers = ["https://me".to_owned()];
        let give = |token: String| super::token(&json!({ "access_token": token }), &issuers, "there").map(|_| ());
        assert!(give(jwt(&json!({ "iss": "https://me" }))).is_ok());
        for token in [
            jwt(&json!({ "iss": "https://you" })),
            jwt(&json!({})),
            "opaque".to_owned(),
            "a.b.c".to_owned(),
        ] {
            let problem = give(token.clone()).unwrap_err();
            assert!(
                problem.is(ErrorType::Authentication) && !problem.to_string().contains(&token),
                "{problem}"
            );
        }
    }

    #[test]
    fn a_token_is_not_used_to_its_last_moment() {
        let left = |expires: Value| {
            let token = token(&json!({ "access_token": "x", "expires_in": expires }), &[], "there").unwrap();
            token
                .until
                .saturating_duration_since(Instant::now())
                .as_secs_f64()
                .round()
        };
        assert_eq!(left(json!(3600)), 3570.0);
        assert_eq!(left(json!("3600")), 3570.0);
        assert_eq!(left(json!(10)), 5.0);
        assert_eq!(left(json!(0)), 0.0);
        assert_eq!(left(Value::Null), 270.0);
        assert_eq!(left(json!(-5)), 270.0);
        assert_eq!(left(json!(1e300)), 270.0);
        assert_eq!(left(json!(1e9)), 24.0 * 3600.0 - 30.0);
    }

    #[test]
    fn what_is_secret_is_not_printed() {
        let token = token(
            &json!({ "access_token": "hush", "refresh_token": "hush" }),
            &[],
            "there",
        )
        .unwrap();
        assert!(!format!("{token:?}").contains("hush"));
    }
}
