//! User accounts: keeping them, signing in by a code or by a QR code.

use poem_openapi::{
    Enum, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
    types::ToJSON,
};
use potok_dsl::Problem;
use serde_json::{Value, json};

use super::{
    Desk, Room, page,
    qr::picture,
    words::{IsRemoved, Text, Word, read},
};
use crate::{
    failure::{BODY, CHANGES, CONFLICT, CROWDED, Failure, MALFORMED, MISSING, TYPED, UNUSABLE, refusal},
    payload,
};

/// What an operation that changes an account may answer.
const CHANGING: u16 = MALFORMED | CHANGES | MISSING | CONFLICT | UNUSABLE | CROWDED | BODY | TYPED;
/// The same of one without a body.
const TURNING: u16 = MALFORMED | CHANGES | MISSING | CONFLICT | UNUSABLE | CROWDED;

/// What an account is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum AccountStatus {
    /// It has yet to sign in.
    New,
    /// A code is on its way.
    CodeRequested,
    /// The password of the second factor is due.
    PasswordRequested,
    /// It works.
    Active,
    /// It was turned off.
    Disabled,
    /// Telegram has banned it.
    Blocked,
    /// It works, carefully.
    Warming,
}

/// What people make of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
enum Turned {
    /// It works.
    Active,
    /// It works, carefully.
    Warming,
    /// It is turned off.
    Disabled,
}

/// A user account to keep.
#[derive(Debug, Object)]
pub(super) struct NewAccount {
    /// What people call it; the person's own name without one.
    name: Option<Text>,
    /// In international form. No two accounts have the same.
    #[oai(validator(max_length = "40", pattern = "^[+ ()-]*([0-9][+ ()-]*){7,15}$"))]
    phone: Option<Text>,
    /// The application's number, from my.telegram.org.
    #[oai(validator(minimum(value = "1")))]
    api_id: i32,
    /// The application's secret.
    #[oai(validator(min_length = "1", max_length = "256"))]
    api_hash: Text,
    comment: Option<Text>,
    /// How many people it may contact a day: 0 to 200, 40 without one.
    #[oai(validator(minimum(value = "0"), maximum(value = "200")))]
    daily_limit: Option<i64>,
    /// Its one proxy: `socks5://name:password@host:port`.
    proxy: Option<Text>,
    /// Or one of the proxies that are kept.
    proxy_id: Option<i64>,
}

/// What is to be otherwise with an account. What is not said stays.
#[derive(Debug, Default, Object)]
pub(super) struct AccountChange {
    name: Option<Text>,
    #[oai(validator(max_length = "40", pattern = "^[+ ()-]*([0-9][+ ()-]*){7,15}$"))]
    phone: Option<Text>,
    comment: Option<Text>,
    #[oai(validator(minimum(value = "0"), maximum(value = "200")))]
    daily_limit: Option<i64>,
    /// `active` and `warming` are for one that has signed in.
    status: Option<Turned>,
    /// Another proxy; an empty text is none.
    proxy: Option<Text>,
    /// One of the proxies that are kept.
    proxy_id: Option<i64>,
}

/// An account as it is to be. What is not said is as in a new one; the phone number and the status stay.
#[derive(Debug, Object)]
pub(super) struct WholeAccount {
    name: Text,
    #[oai(validator(max_length = "40", pattern = "^[+ ()-]*([0-9][+ ()-]*){7,15}$"))]
    phone: Option<Text>,
    comment: Option<Text>,
    #[oai(validator(minimum(value = "0"), maximum(value = "200")))]
    daily_limit: Option<i64>,
    status: Option<Turned>,
    /// Its own proxy: `socks5://name:password@host:port`.
    proxy: Option<Text>,
    /// Or one of the proxies that are kept.
    proxy_id: Option<i64>,
}

/// The code that Telegram has sent.
#[derive(Debug, Object)]
pub(super) struct Code {
    code: Text,
}

/// The password of the second factor.
#[derive(Debug, Object)]
pub(super) struct Password {
    password: Text,
}

/// An account that signs in by QR code: a new one, or, with `account_id`, one whose code is shown already.
#[derive(Debug, Object)]
pub(super) struct ByQr {
    /// Without one a new account is kept.
    account_id: Option<i64>,
    /// What people call it; the person's own name without one.
    name: Option<Text>,
    /// The application's number; a new account needs it.
    #[oai(validator(minimum(value = "1")))]
    api_id: Option<i32>,
    /// The application's secret; a new account needs it.
    api_hash: Option<Text>,
    comment: Option<Text>,
    #[oai(validator(minimum(value = "0"), maximum(value = "200")))]
    daily_limit: Option<i64>,
    proxy: Option<Text>,
    /// Or one of the proxies that are kept.
    proxy_id: Option<i64>,
    /// The password of the second factor, when it is due.
    password: Option<Text>,
}

/// An account that is to be otherwise.
#[derive(Debug, Object)]
pub(super) struct Named {
    account_id: i64,
    #[oai(flatten)]
    change: AccountChange,
}

/// A user account. None of its secrets is told.
#[derive(Debug, Object)]
pub(super) struct Account {
    id: i64,
    name: String,
    /// Unknown until a QR code was scanned.
    phone: Option<String>,
    /// Its number at Telegram, once it has signed in.
    telegram_id: Option<i64>,
    api_id: i32,
    comment: String,
    status: AccountStatus,
    /// Why it is so, when that is no good news.
    problem: Option<String>,
    daily_limit: i64,
    /// How many people it has contacted since `reset_date`.
    used_today: i64,
    messages_sent: i64,
    warmup_count: i64,
    ban_count: i64,
    reset_date: Option<String>,
    last_used: Option<String>,
    /// Until when it rests, as Telegram has asked.
    flood_until: Option<String>,
    /// Whether it goes through a proxy.
    proxied: bool,
    /// Which of those that are kept, if it is one of them.
    proxy_id: Option<i64>,
    created_at: String,
    updated_at: String,
}

/// An account.
#[derive(Debug, Object)]
pub(super) struct OneAccount {
    /// `ok`.
    status: Word,
    data: Account,
}

/// A page of accounts.
#[derive(Debug, Object)]
pub(super) struct SomeAccounts {
    /// `ok`.
    status: Word,
    data: Vec<Account>,
    /// How many there are on all pages.
    total: i64,
}

/// How far a sign-in has come.
#[derive(Debug, Object)]
pub(super) struct SignIn {
    account_id: i64,
    account: Account,
    /// Whether the password of the second factor is due.
    password_needed: bool,
    /// What reminds its owner of it.
    hint: Option<String>,
    /// The picture of the QR code, as a `data:` URL, until it was scanned.
    qr_code: Option<String>,
    /// What the picture shows.
    link: Option<String>,
    /// When that is worth nothing; ask again with the `account_id`.
    expires_at: Option<String>,
}

/// How far a sign-in has come.
#[derive(Debug, Object)]
pub(super) struct SignInState {
    /// `ok`.
    status: Word,
    data: SignIn,
}

#[derive(Clone)]
pub(super) struct Accounts(pub Desk);

#[OpenApi(tag = "Room::Telegram")]
impl Accounts {
    /// Add an account.
    ///
    /// It has yet to sign in. Its secrets are kept sealed and never told.
    #[oai(path = "/accounts", method = "post", operation_id = "addAccount")]
    async fn add(&self, account: payload::Json<NewAccount>) -> Result<Json<OneAccount>, Failure<CHANGING>> {
        one(self.keep(account.0).await?)
    }

    /// List accounts.
    #[oai(path = "/accounts", method = "get", operation_id = "listAccounts")]
    async fn list(
        &self,
        /// Those with this status.
        status: Query<Option<AccountStatus>>,
        /// The one with this number.
        #[oai(validator(max_length = "40", pattern = "^[+ ()-]*([0-9][+ ()-]*){7,15}$"))]
        phone: Query<Option<String>>,
        /// Those whose name, comment or number has this in it.
        #[oai(validator(max_length = "200"))]
        search: Query<Option<String>>,
        /// At most so many.
        #[oai(validator(minimum(value = "0"), maximum(value = "1000")), default = "page")]
        limit: Query<i64>,
        /// After so many.
        #[oai(validator(minimum(value = "0")), default)]
        offset: Query<i64>,
    ) -> Result<Json<SomeAccounts>, Failure<MALFORMED>> {
        self.some(status.0, phone.0, search.0, limit.0, offset.0).await
    }

    /// Look at an account.
    #[oai(path = "/accounts/:account_id", method = "get", operation_id = "getAccount")]
    async fn get(&self, account_id: Path<i64>) -> Result<Json<OneAccount>, Failure<{ MALFORMED | MISSING }>> {
        one(self.0.look("telegram.account", json!({ "id": account_id.0 })).await?)
    }

    /// Replace what is said of an account.
    #[oai(path = "/accounts/:account_id", method = "put", operation_id = "replaceAccount")]
    async fn replace(
        &self,
        account_id: Path<i64>,
        whole: payload::Json<WholeAccount>,
    ) -> Result<Json<OneAccount>, Failure<CHANGING>> {
        let whole = whole.0;
        let change = AccountChange {
            name: Some(whole.name),
            phone: whole.phone,
            comment: Some(whole.comment.unwrap_or_default()),
            daily_limit: Some(whole.daily_limit.unwrap_or(40)),
            status: whole.status,
            proxy: Some(whole.proxy.unwrap_or_default()),
            proxy_id: whole.proxy_id,
        };
        self.change_one(account_id.0, change).await
    }

    /// Change an account.
    #[oai(path = "/accounts/:account_id", method = "patch", operation_id = "changeAccount")]
    async fn change(
        &self,
        account_id: Path<i64>,
        change: payload::Json<AccountChange>,
    ) -> Result<Json<OneAccount>, Failure<CHANGING>> {
        self.change_one(account_id.0, change.0).await
    }

    /// Remove an account.
    ///
    /// Its session at Telegram ends, when Telegram can be reached.
    #[oai(path = "/accounts/:account_id", method = "delete", operation_id = "removeAccount")]
    async fn remove(&self, account_id: Path<i64>) -> Result<Json<IsRemoved>, Failure<TURNING>> {
        let removed = self
            .step("telegram.remove-account", json!({ "id": account_id.0 }))
            .await?;
        Ok(Json(IsRemoved::new(read(removed)?)))
    }

    /// Request a code.
    ///
    /// Telegram sends it to the account's own app, or to its number.
    #[oai(
        path = "/accounts/:account_id/request_code",
        method = "post",
        operation_id = "requestCode"
    )]
    async fn request_code(&self, account_id: Path<i64>) -> Result<Json<OneAccount>, Failure<TURNING>> {
        one(self
            .step("telegram.request-code", json!({ "id": account_id.0 }))
            .await?)
    }

    /// Sign in with the code.
    ///
    /// 422 says that the code is wrong or has expired.
    #[oai(path = "/accounts/:account_id/sign_in", method = "post", operation_id = "signIn")]
    async fn sign_in(
        &self,
        account_id: Path<i64>,
        code: payload::Json<Code>,
    ) -> Result<Json<SignInState>, Failure<CHANGING>> {
        let request = json!({ "id": account_id.0, "code": self.0.seal(code.0.code.0)? });
        state(self.step("telegram.sign-in", request).await?)
    }

    /// Give the password of the second factor.
    #[oai(
        path = "/accounts/:account_id/password",
        method = "post",
        operation_id = "enterPassword"
    )]
    async fn password(
        &self,
        account_id: Path<i64>,
        password: payload::Json<Password>,
    ) -> Result<Json<OneAccount>, Failure<CHANGING>> {
        self.enter(account_id.0, password.0.password).await
    }

    /// Add an account by QR code.
    ///
    /// Without `account_id` a new account is kept, which needs `api_id` and `api_hash`; the answer has the picture to scan. With it the answer says whether
    /// the code was scanned, and has a fresh picture until then. A password that is due goes with it.
    #[oai(path = "/api/accounts/add", method = "post", operation_id = "addAccountByQr")]
    async fn by_qr(&self, wanted: payload::Json<ByQr>) -> Result<Json<SignInState>, Failure<CHANGING>> {
        let ByQr {
            account_id,
            name,
            api_id,
            api_hash,
            comment,
            daily_limit,
            proxy,
            proxy_id,
            password,
        } = wanted.0;
        let id = match (account_id, api_id, api_hash) {
            (Some(id), ..) => id,
            (None, Some(api_id), Some(api_hash)) => {
                let new = NewAccount {
                    name,
                    phone: None,
                    api_id,
                    api_hash,
                    comment,
                    daily_limit,
                    proxy,
                    proxy_id,
                };
                let added = self.keep(new).await?;
                read::<Account, CHANGING>(added)?.id
            }
            _ => {
                let detail = "a new account needs its api_id and api_hash";
                return Err(Failure(refusal(422, "Incomplete", detail)));
            }
        };
        if let Some(password) = password {
            let account = self.enter(id, password).await?.0.data;
            return Ok(Json(SignInState {
                status: Word::Ok,
                data: SignIn {
                    account_id: id,
                    account,
                    password_needed: false,
                    hint: None,
                    qr_code: None,
                    link: None,
                    expires_at: None,
                },
            }));
        }
        state(self.step("telegram.qr-code", json!({ "id": id })).await?)
    }

    /// List accounts, as `GET /accounts/` does.
    #[oai(path = "/api/accounts", method = "get", operation_id = "listAllAccounts")]
    async fn all(
        &self,
        /// At most so many.
        #[oai(validator(minimum(value = "0"), maximum(value = "1000")), default = "page")]
        limit: Query<i64>,
        /// After so many.
        #[oai(validator(minimum(value = "0")), default)]
        offset: Query<i64>,
    ) -> Result<Json<SomeAccounts>, Failure<MALFORMED>> {
        self.some(None, None, None, limit.0, offset.0).await
    }

    /// Change an account that is named in the body.
    #[oai(path = "/api/accounts/update", method = "post", operation_id = "updateAccount")]
    async fn update(&self, named: payload::Json<Named>) -> Result<Json<OneAccount>, Failure<CHANGING>> {
        let Named { account_id, change } = named.0;
        self.change_one(account_id, change).await
    }
}

/// Whoever has accounts wants to know when they fall ill.
const HEALTH: &str = "account-health";

impl AccountChange {
    fn is_empty(&self) -> bool {
        let texts = [&self.name, &self.phone, &self.comment, &self.proxy];
        texts.iter().all(|text| text.is_none())
            && self.daily_limit.is_none()
            && self.status.is_none()
            && self.proxy_id.is_none()
    }
}

impl Accounts {
    /// A step of one function, its refusals in statuses that clients of this API know.
    async fn step<const KINDS: u16>(&self, function: &str, request: Value) -> Result<Value, Failure<KINDS>> {
        let given = self.0.step(function, request).await;
        given.map_err(|failure: Failure| Failure(known(failure.0)))
    }

    async fn keep(&self, new: NewAccount) -> Result<Value, Failure<CHANGING>> {
        // First, so that nothing fails once the account is kept.
        self.0.ready(HEALTH).await?;
        let request = json!({
            "name": text(new.name),
            "phone": text(new.phone),
            "api_id": new.api_id,
            "api_hash": self.0.seal(new.api_hash.0)?,
            "comment": text(new.comment),
            "daily_limit": new.daily_limit,
            "proxy": self.sealed(new.proxy)?,
            "proxy_id": new.proxy_id,
        });
        self.step("telegram.add-account", request).await
    }

    async fn change_one(&self, id: i64, change: AccountChange) -> Result<Json<OneAccount>, Failure<CHANGING>> {
        if change.is_empty() {
            return Err(Failure(refusal(
                422,
                "Nothing to change",
                "say what is to be otherwise",
            )));
        }
        let request = json!({
            "id": id,
            "name": text(change.name),
            "phone": text(change.phone),
            "comment": text(change.comment),
            "daily_limit": change.daily_limit,
            "status": change.status.to_json(),
            "proxy": self.sealed(change.proxy)?,
            "proxy_id": change.proxy_id,
        });
        one(self.step("telegram.update-account", request).await?)
    }

    async fn enter(&self, id: i64, password: Text) -> Result<Json<OneAccount>, Failure<CHANGING>> {
        let request = json!({ "id": id, "password": self.0.seal(password.0)? });
        one(self.step("telegram.enter-password", request).await?)
    }

    async fn some<const KINDS: u16>(
        &self,
        status: Option<AccountStatus>,
        phone: Option<String>,
        search: Option<String>,
        limit: i64,
        offset: i64,
    ) -> Result<Json<SomeAccounts>, Failure<KINDS>> {
        let request =
            json!({ "status": status.to_json(), "phone": phone, "search": search, "limit": limit, "offset": offset });
        let mut page = self.0.look("telegram.accounts", request).await?;
        Ok(Json(SomeAccounts {
            status: Word::Ok,
            data: read(page["accounts"].take())?,
            total: read(page["total"].take())?,
        }))
    }

    fn sealed<const KINDS: u16>(&self, secret: Option<Text>) -> Result<Value, Failure<KINDS>> {
        secret.map_or(Ok(Value::Null), |secret| self.0.seal(secret.0))
    }
}

fn text(given: Option<Text>) -> Option<String> {
    given.map(|text| text.0)
}

fn one<const KINDS: u16>(account: Value) -> Result<Json<OneAccount>, Failure<KINDS>> {
    Ok(Json(OneAccount {
        status: Word::Ok,
        data: read(account)?,
    }))
}

fn state<const KINDS: u16>(mut state: Value) -> Result<Json<SignInState>, Failure<KINDS>> {
    state["account_id"] = state["account"]["id"].clone();
    state["qr_code"] = json!(state["link"].as_str().and_then(picture));
    Ok(Json(SignInState {
        status: Word::Ok,
        data: read(state)?,
    }))
}

/// The request was well-formed: what the account or Telegram has against it is 422; that Telegram cannot be asked, 503.
fn known(problem: Problem) -> Problem {
    let status = match problem.status {
        status @ (404 | 409 | 422 | 429 | 500) => status,
        400 | 401 | 403 | 406 | 410 => 422,
        420 => 429,
        _ => 503,
    };
    problem.with_status(status)
}
