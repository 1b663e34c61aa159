//! Accounts as a capability, `potok:telegram/accounts`: JSON on one side, [`Accounts`] on the other. Secrets come in sealed by whoever took
//! them in, and nothing of them goes out.

use potok_dsl::{ErrorType, Problem, Timestamp};
use potok_secrets::IN_FLIGHT;
use potok_wasm::CallContext;
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{
    Account, AccountChange, AccountError, AccountFilter, AccountStatus, NewAccount, Proxy, ProxyChange, Qr, SignedIn,
    rows,
};
use crate::{ACCOUNTS, TelegramProvider, arguments, unknown_function};

/// A request that names an account.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    id: i64,
}

/// `add-account-request` of the WIT.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Add {
    name: Option<String>,
    phone: Option<String>,
    api_id: i32,
    api_hash: String,
    comment: Option<String>,
    daily_limit: Option<i64>,
    proxy: Option<String>,
    proxy_id: Option<i64>,
}

/// `update-account-request` of the WIT.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    id: i64,
    name: Option<String>,
    phone: Option<String>,
    comment: Option<String>,
    daily_limit: Option<i64>,
    status: Option<String>,
    proxy: Option<String>,
    proxy_id: Option<i64>,
}

/// `accounts-request` of the WIT.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    status: Option<String>,
    phone: Option<String>,
    search: Option<String>,
    limit: Option<i64>,
    offset: Option<i64>,
}

/// `sign-in-request` of the WIT.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Code {
    id: i64,
    code: String,
}

/// `enter-password-request` of the WIT.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Password {
    id: i64,
    password: String,
}

/// `add-proxy-request` of the WIT.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddProxy {
    name: Option<String>,
    host: String,
    port: i64,
    username: Option<String>,
    password: Option<String>,
}

/// `update-proxy-request` of the WIT.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UpdateProxy {
    id: i64,
    name: Option<String>,
    host: Option<String>,
    port: Option<i64>,
    username: Option<String>,
    password: Option<String>,
}

/// `proxies-request` of the WIT.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Proxies {
    limit: Option<i64>,
    offset: Option<i64>,
}

/// `members-request` of the WIT.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    account: i64,
    chat: String,
    limit: Option<i64>,
}

impl TelegramProvider {
    /// Serves a function of the accounts.
    pub(crate) async fn account_calls(&self, cx: &CallContext, function: &str, args: Value) -> Result<Value, Problem> {
        let (accounts, tables, now) = (self.accounts(), &*cx.tables, cx.now);
        match function {
            "add-account" => self.add_account(cx, arguments(args)?).await,
            "update-account" => self.update_account(cx, arguments(args)?).await,
            "remove-account" => {
                let id = arguments::<Named>(args)?.id;
                accounts.remove(tables, id, now).await?;
                Ok(json!({ "id": id }))
            }
            "accounts" => self.list_accounts(cx, arguments(args)?).await,
            "account" => Ok(shown(&accounts.get(tables, arguments::<Named>(args)?.id).await?)),
            "request-code" => {
                let account = accounts.request_code(tables, arguments::<Named>(args)?.id, now).await?;
                Ok(shown(&account))
            }
            "sign-in" => {
                let Code { id, code } = arguments(args)?;
                let code = self.opened(code)?;
                let signed = accounts.sign_in(tables, id, code.trim(), now).await?;
                self.signed(cx, id, signed).await
            }
            "enter-password" => {
                let Password { id, password } = arguments(args)?;
                let password = self.opened(password)?;
                Ok(shown(&accounts.password(tables, id, &password, now).await?))
            }
            "qr-code" => self.show_qr(cx, arguments::<Named>(args)?.id).await,
            "check-account" => Ok(shown(&accounts.check(tables, arguments::<Named>(args)?.id, now).await?)),
            "members" => {
                let Members { account, chat, limit } = arguments(args)?;
                let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(0));
                let members = accounts.members(tables, account, &chat, limit, now).await?;
                serde_json::to_value(members)
                    .map_err(|error| Problem::new(ErrorType::Runtime, "members cannot be told", error.to_string()))
            }
            _ => self.proxy_calls(cx, function, args).await,
        }
    }

    /// Serves a function of the proxies.
    async fn proxy_calls(&self, cx: &CallContext, function: &str, args: Value) -> Result<Value, Problem> {
        let (accounts, tables, now) = (self.accounts(), &*cx.tables, cx.now);
        let opened = |password: Option<String>| {
            let opened = password.map(|password| self.opened(password)).transpose();
            opened.map(|password| password.map(|password| password.to_string()))
        };
        match function {
            "add-proxy" => {
                let request: AddProxy = arguments(args)?;
                let new = ProxyChange {
                    name: request.name,
                    host: Some(request.host),
                    port: Some(request.port),
                    username: request.username,
                    password: opened(request.password)?,
                };
                Ok(shown_proxy(
                    &accounts.add_proxy(tables, new, &cx.call_key(), now).await?,
                ))
            }
            "update-proxy" => {
                let request: UpdateProxy = arguments(args)?;
                let change = ProxyChange {
                    name: request.name,
                    host: request.host,
                    port: request.port,
                    username: request.username,
                    password: opened(request.password)?,
                };
                Ok(shown_proxy(
                    &accounts.change_proxy(tables, request.id, change, now).await?,
                ))
            }
            "remove-proxy" => {
                let id = arguments::<Named>(args)?.id;
                accounts.remove_proxy(tables, id).await?;
                Ok(json!({ "id": id }))
            }
            "proxies" => {
                let Proxies { limit, offset } = arguments(args)?;
                let listed = accounts.proxies(tables, limit.unwrap_or(100), offset.unwrap_or(0));
                let (proxies, total) = listed.await?;
                Ok(json!({ "total": total, "proxies": proxies.iter().map(shown_proxy).collect::<Vec<_>>() }))
            }
            "proxy" => Ok(shown_proxy(
                &accounts.proxy(tables, arguments::<Named>(args)?.id).await?,
            )),
            "check-proxy" => {
                let id = arguments::<Named>(args)?.id;
                Ok(shown_proxy(&accounts.check_proxy(tables, id, now).await?))
            }
            _ => Err(unknown_function(ACCOUNTS, function)),
        }
    }

    async fn add_account(&self, cx: &CallContext, request: Add) -> Result<Value, Problem> {
        let new = NewAccount {
            name: request.name.unwrap_or_default(),
            phone: request.phone,
            api_id: request.api_id,
            api_hash: self.opened(request.api_hash)?.trim().to_owned(),
            comment: request.comment.unwrap_or_default(),
            daily_limit: request.daily_limit.unwrap_or_else(super::model::usual_limit),
            proxy: self.opened_proxy(request.proxy)?.flatten(),
            proxy_id: request.proxy_id,
        };
        let key = cx.call_key();
        let added = self.accounts().add_once(&*cx.tables, new, Some(&key), cx.now);
        Ok(shown(&added.await?))
    }

    async fn update_account(&self, cx: &CallContext, request: Update) -> Result<Value, Problem> {
        let change = AccountChange {
            name: request.name,
            phone: request.phone,
            comment: request.comment,
            daily_limit: request.daily_limit,
            status: request.status.as_deref().map(status).transpose()?,
            proxy: self.opened_proxy(request.proxy)?,
            proxy_id: request.proxy_id,
        };
        let changed = self.accounts().change(&*cx.tables, request.id, change, cx.now);
        Ok(shown(&changed.await?))
    }

    async fn list_accounts(&self, cx: &CallContext, request: List) -> Result<Value, Problem> {
        let filter = AccountFilter {
            status: request.status.as_deref().map(status).transpose()?,
            phone: request.phone,
            search: request.search.unwrap_or_default(),
            after: 0,
            offset: request.offset.unwrap_or(0),
            limit: request.limit,
        };
        let accounts = self.accounts().list(&*cx.tables, &filter).await?;
        let total = rows::count(&*cx.tables, &filter).await?;
        Ok(json!({ "total": total, "accounts": accounts.iter().map(shown).collect::<Vec<_>>() }))
    }

    async fn show_qr(&self, cx: &CallContext, id: i64) -> Result<Value, Problem> {
        let account = self.accounts().get(&*cx.tables, id).await?;
        if account.status.works() {
            return Ok(step(&account, false, None, None));
        }
        let (link, expires_at) = match self.accounts().qr(&*cx.tables, id, cx.now).await? {
            Qr::Waiting { link, expires_at } => (link, expires_at),
            Qr::Scanned(signed_in) => return self.signed(cx, id, signed_in).await,
        };
        let account = self.accounts().get(&*cx.tables, id).await?;
        Ok(step(&account, false, None, Some((link, expires_at))))
    }

    /// `sign-in-state` of the WIT: how far a sign-in has come.
    async fn signed(&self, cx: &CallContext, id: i64, signed: SignedIn) -> Result<Value, Problem> {
        Ok(match signed {
            SignedIn::Done { account } => step(&account, false, None, None),
            SignedIn::PasswordNeeded { hint } => step(&self.accounts().get(&*cx.tables, id).await?, true, hint, None),
        })
    }

    /// A secret, unsealed when whoever took it in has sealed it.
    fn opened(&self, given: String) -> Result<Zeroizing<String>, Problem> {
        let given = Zeroizing::new(given);
        let opened = self.keeper.open_text(IN_FLIGHT, &given);
        opened
            .map(|opened| opened.unwrap_or(given))
            .map_err(|error| AccountError::from(error).into())
    }

    /// A proxy that is given; an empty one is none.
    fn opened_proxy(&self, given: Option<String>) -> Result<Option<Option<String>>, Problem> {
        let Some(given) = given else { return Ok(None) };
        let proxy = self.opened(given)?;
        Ok(Some(Some(proxy.trim().to_owned()).filter(|proxy| !proxy.is_empty())))
    }
}

fn status(word: &str) -> Result<AccountStatus, Problem> {
    AccountStatus::parse(word).ok_or_else(|| {
        let words = AccountStatus::words().join(", ");
        let detail = format!("'{word}' is no status of an account: {words} are");
        Problem::new(ErrorType::Validation, "invalid status", detail).with_status(400)
    })
}

fn step(account: &Account, password_needed: bool, hint: Option<String>, qr: Option<(String, Timestamp)>) -> Value {
    let (link, expires_at) = qr.map_or((None, None), |(link, at)| (Some(link), Some(at.rfc3339())));
    json!({
        "account": shown(account),
        "password_needed": password_needed,
        "hint": hint,
        "link": link,
        "expires_at": expires_at,
    })
}

/// `kept-proxy` of the WIT.
fn shown_proxy(proxy: &Proxy) -> Value {
    json!({
        "id": proxy.id,
        "name": proxy.name,
        "host": proxy.host,
        "port": proxy.port,
        "username": proxy.username,
        "state": proxy.state,
        "problem": proxy.problem,
        "latency_ms": proxy.latency_ms,
        "checked_at": proxy.checked_at.map(Timestamp::rfc3339),
        "accounts": proxy.accounts,
        "created_at": proxy.created_at.rfc3339(),
        "updated_at": proxy.updated_at.rfc3339(),
    })
}

/// `kept-account` of the WIT.
fn shown(account: &Account) -> Value {
    let time = |at: Option<Timestamp>| at.map(Timestamp::rfc3339);
    json!({
        "id": account.id,
        "name": account.name,
        "phone": account.phone,
        "telegram_id": account.telegram_id,
        "api_id": account.api_id,
        "comment": account.comment,
        "status": account.status.name(),
        "problem": account.problem,
        "daily_limit": account.daily_limit,
        "used_today": account.used_today,
        "messages_sent": account.messages_sent,
        "warmup_count": account.warmup_count,
        "ban_count": account.ban_count,
        "reset_date": time(account.reset_date),
        "last_used": time(account.last_used),
        "flood_until": time(account.flood_until),
        "proxied": account.proxied,
        "proxy_id": account.proxy_id,
        "created_at": account.created_at.rfc3339(),
        "updated_at": account.updated_at.rfc3339(),
    })
}
