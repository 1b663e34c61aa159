//! Proxies that accounts go through.

use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};
use serde_json::{Value, json};

use super::{
    Desk, Room, page, unusable,
    words::{IsRemoved, Text, Word, read},
};
use crate::{
    failure::{BODY, CHANGES, CONFLICT, Failure, MALFORMED, MISSING, TYPED, UNUSABLE, refusal},
    payload,
};

/// What an operation that changes a proxy may answer.
const CHANGING: u16 = MALFORMED | CHANGES | MISSING | CONFLICT | UNUSABLE | BODY | TYPED;

/// The workflow that looks at all of them.
const HEALTH: &str = "proxy-health";

/// What was found when a proxy was last looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum ProxyState {
    /// Nobody has looked.
    New,
    /// Telegram can be reached through it.
    Valid,
    /// It cannot, for the reason that is told.
    Invalid,
}

/// A SOCKS5 proxy to keep.
#[derive(Debug, Object)]
pub(super) struct NewProxy {
    name: Option<Text>,
    /// A name or an address.
    #[oai(validator(min_length = "1", max_length = "253"))]
    host: Text,
    #[oai(validator(minimum(value = "1"), maximum(value = "65535")))]
    port: i64,
    #[oai(validator(max_length = "255"))]
    username: Option<Text>,
    #[oai(validator(max_length = "255"))]
    password: Option<Text>,
}

/// What is to be otherwise with a proxy. What is not said stays.
#[derive(Debug, Object)]
pub(super) struct ProxyChange {
    name: Option<Text>,
    /// Only while no account goes through it.
    #[oai(validator(min_length = "1", max_length = "253"))]
    host: Option<Text>,
    /// As the host.
    #[oai(validator(minimum(value = "1"), maximum(value = "65535")))]
    port: Option<i64>,
    /// An empty text is none.
    #[oai(validator(max_length = "255"))]
    username: Option<Text>,
    /// An empty text is none.
    #[oai(validator(max_length = "255"))]
    password: Option<Text>,
}

/// A proxy. Its password is not told.
#[derive(Debug, Object)]
pub(super) struct Proxy {
    id: i64,
    name: String,
    host: String,
    port: i64,
    username: Option<String>,
    state: ProxyState,
    /// Why it is `invalid`.
    problem: Option<String>,
    /// How long it took to reach Telegram through it, in milliseconds.
    latency_ms: Option<i64>,
    checked_at: Option<String>,
    /// How many accounts go through it.
    accounts: i64,
    created_at: String,
    updated_at: String,
}

/// A proxy.
#[derive(Debug, Object)]
pub(super) struct OneProxy {
    /// `ok`.
    status: Word,
    data: Proxy,
}

/// A page of proxies.
#[derive(Debug, Object)]
pub(super) struct SomeProxies {
    /// `ok`.
    status: Word,
    data: Vec<Proxy>,
    /// How many there are on all pages.
    total: i64,
}

#[derive(Clone)]
pub(super) struct Proxies(pub Desk);

#[OpenApi(tag = "Room::Telegram")]
impl Proxies {
    /// Add a proxy.
    ///
    /// It is looked at at once and every hour; the answer's `state` says whether Telegram can be reached through it. Its password is kept sealed and
    /// never told.
    #[oai(path = "/proxies", method = "post", operation_id = "addProxy")]
    async fn add(&self, proxy: payload::Json<NewProxy>) -> Result<Json<OneProxy>, Failure<CHANGING>> {
        self.0.ready(HEALTH).await?;
        let proxy = proxy.0;
        let request = json!({
            "name": text(proxy.name),
            "host": proxy.host.0,
            "port": proxy.port,
            "username": text(proxy.username),
            "password": self.sealed(proxy.password)?,
        });
        let added = self.step("telegram.add-proxy", request).await?;
        one(self.step("telegram.check-proxy", json!({ "id": added["id"] })).await?)
    }

    /// List proxies.
    #[oai(path = "/proxies", method = "get", operation_id = "listProxies")]
    async fn list(
        &self,
        /// At most so many.
        #[oai(validator(minimum(value = "0"), maximum(value = "1000")), default = "page")]
        limit: Query<i64>,
        /// After so many.
        #[oai(validator(minimum(value = "0")), default)]
        offset: Query<i64>,
    ) -> Result<Json<SomeProxies>, Failure<MALFORMED>> {
        let request = json!({ "limit": limit.0, "offset": offset.0 });
        let mut page = self.0.look("telegram.proxies", request).await?;
        Ok(Json(SomeProxies {
            status: Word::Ok,
            data: read(page["proxies"].take())?,
            total: read(page["total"].take())?,
        }))
    }

    /// Look at a proxy.
    #[oai(path = "/proxies/:id", method = "get", operation_id = "getProxy")]
    async fn get(&self, id: Path<i64>) -> Result<Json<OneProxy>, Failure<{ MALFORMED | MISSING }>> {
        one(self.0.look("telegram.proxy", json!({ "id": id.0 })).await?)
    }

    /// Change a proxy.
    ///
    /// Where it is can be changed while no account goes through it (409): an exit address that changes looks like theft of the session.
    #[oai(path = "/proxies/:id", method = "patch", operation_id = "changeProxy")]
    async fn change(
        &self,
        id: Path<i64>,
        change: payload::Json<ProxyChange>,
    ) -> Result<Json<OneProxy>, Failure<CHANGING>> {
        let change = change.0;
        if change.is_empty() {
            let detail = "say what is to be otherwise";
            return Err(Failure(refusal(422, "Nothing to change", detail)));
        }
        let request = json!({
            "id": id.0,
            "name": text(change.name),
            "host": text(change.host),
            "port": change.port,
            "username": text(change.username),
            "password": self.sealed(change.password)?,
        });
        one(self.step("telegram.update-proxy", request).await?)
    }

    /// Remove a proxy.
    ///
    /// While accounts go through it, it stays (409).
    #[oai(path = "/proxies/:id", method = "delete", operation_id = "removeProxy")]
    async fn remove(
        &self,
        id: Path<i64>,
    ) -> Result<Json<IsRemoved>, Failure<{ MALFORMED | CHANGES | MISSING | CONFLICT }>> {
        let removed = self.0.step("telegram.remove-proxy", json!({ "id": id.0 })).await?;
        Ok(Json(IsRemoved::new(read(removed)?)))
    }

    /// Look whether Telegram can be reached through a proxy.
    #[oai(path = "/proxies/:id/check", method = "post", operation_id = "checkProxy")]
    async fn check(&self, id: Path<i64>) -> Result<Json<OneProxy>, Failure<{ MALFORMED | CHANGES | MISSING }>> {
        one(self.0.step("telegram.check-proxy", json!({ "id": id.0 })).await?)
    }
}

impl ProxyChange {
    fn is_empty(&self) -> bool {
        let texts = [&self.name, &self.host, &self.username, &self.password];
        texts.iter().all(|text| text.is_none()) && self.port.is_none()
    }
}

impl Proxies {
    /// A step of one function; what stands against a well-formed request is 422.
    async fn step(&self, function: &str, request: Value) -> Result<Value, Failure<CHANGING>> {
        self.0.step(function, request).await.map_err(unusable)
    }

    fn sealed(&self, secret: Option<Text>) -> Result<Value, Failure<CHANGING>> {
        secret.map_or(Ok(Value::Null), |secret| self.0.seal(secret.0))
    }
}

fn text(given: Option<Text>) -> Option<String> {
    given.map(|text| text.0)
}

fn one<const KINDS: u16>(proxy: Value) -> Result<Json<OneProxy>, Failure<KINDS>> {
    Ok(Json(OneProxy {
        status: Word::Ok,
        data: read(proxy)?,
    }))
}
