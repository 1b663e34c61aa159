//! Signing in, step by step. After each step the row says which is next, so that a restart loses nothing.
//!
//! ```text
//! new ──request_code──▶ code_requested ──sign_in──▶ active
//!  │                          │ a password is set      ▲
//!  └──qr, scanned─────────────┴──▶ password_requested ─┘ password
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grammers_tl_types::{self as tl, RemoteCall, enums as e, functions as f};
use potok_dsl::Timestamp;
use potok_wasm::Tables;
use serde::Serialize;

use super::error::AccountError;
use super::model::{Account, AccountStatus, Person};
use super::{Accounts, Held, rows, srp};

/// How far a sign-in is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SignedIn {
    /// The account is active.
    Done {
        /// As it is now.
        account: Account,
    },
    /// The password of the second factor is due.
    PasswordNeeded {
        /// What reminds its owner of it.
        hint: Option<String>,
    },
}

/// How far a sign-in by QR code is.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Qr {
    /// It waits to be scanned.
    Waiting {
        /// What the QR code shows: `tg://login?token=…`.
        link: String,
        /// When it is worth nothing and has to be asked for anew.
        expires_at: Timestamp,
    },
    /// It was scanned.
    Scanned(SignedIn),
}

impl Accounts {
    /// Asks Telegram to send the account's owner a code.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn request_code(&self, tables: &dyn Tables, id: i64, now: Timestamp) -> Result<Account, AccountError> {
        let mut held = self.hold_signing_in(tables, id, now).await?;
        let phone = held.account.phone.clone();
        let phone = phone.ok_or(AccountError::NoPhone(id))?;
        let request = f::auth::SendCode {
            phone_number: phone,
            api_id: held.account.api_id,
            api_hash: held.vault.api_hash.clone(),
            settings: settings(),
        };
        match self.ask_where_it_lives(&mut held, &request).await? {
            e::auth::SentCode::Code(code) => {
                let hash = Some(code.phone_code_hash);
                self.keep(&mut held, |document| document.code_hash = hash).await?;
                rows::set_status(tables, id, AccountStatus::CodeRequested, None, now).await?;
                self.get(tables, id).await
            }
            e::auth::SentCode::Success(success) => match self.finish(held, success.authorization).await? {
                SignedIn::Done { account } => Ok(account),
                SignedIn::PasswordNeeded { .. } => self.get(tables, id).await,
            },
            e::auth::SentCode::PaymentRequired(_) => Err(AccountError::OwnApp("payment for the code")),
        }
    }

    /// Signs in with the code.
    ///
    /// # Errors
    /// [`AccountError`]: after a wrong code another try is open, after an expired one a new code is due.
    pub async fn sign_in(
        &self,
        tables: &dyn Tables,
        id: i64,
        code: &str,
        now: Timestamp,
    ) -> Result<SignedIn, AccountError> {
        let mut held = self.hold(tables, id, now).await?;
        let (phone, hash) = (held.account.phone.clone(), held.vault.code_hash.clone());
        let due = held.account.status == AccountStatus::CodeRequested;
        let (Some(phone), Some(hash), true) = (phone, hash, due) else {
            let status = held.account.status;
            return Err(AccountError::NotDue { id, status });
        };
        let request = f::auth::SignIn {
            phone_number: phone,
            phone_code_hash: hash,
            phone_code: Some(code.trim().to_owned()),
            email_verification: None,
        };
        match self.ask(&mut held, &request).await {
            Ok(authorization) => self.finish(held, authorization).await,
            Err(error) if needs_password(&error) => self.ask_for_password(held).await,
            Err(AccountError::CodeExpired) => {
                self.keep(&mut held, |document| document.code_hash = None).await?;
                rows::set_status(tables, id, AccountStatus::New, Some("the code had expired"), now).await?;
                Err(AccountError::CodeExpired)
            }
            Err(error) => Err(error),
        }
    }

    /// Shows the password of the second factor.
    ///
    /// # Errors
    /// [`AccountError`]: after a wrong password another try is open.
    pub async fn password(
        &self,
        tables: &dyn Tables,
        id: i64,
        password: &str,
        now: Timestamp,
    ) -> Result<Account, AccountError> {
        let mut held = self.hold(tables, id, now).await?;
        let status = held.account.status;
        if status != AccountStatus::PasswordRequested {
            return Err(AccountError::NotDue { id, status });
        }
        let e::account::Password::Password(asked) = self.ask(&mut held, &f::account::GetPassword {}).await?;
        let password = srp::prove(asked, password.to_owned()).await?;
        let authorization = self.ask(&mut held, &f::auth::CheckPassword { password }).await?;
        match self.finish(held, authorization).await? {
            SignedIn::Done { account } => Ok(account),
            SignedIn::PasswordNeeded { .. } => Err(AccountError::NotDue { id, status }),
        }
    }

    /// The QR code that signs in, or what its being scanned has led to. To be asked again until it was scanned, and when the
    /// code has expired.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn qr(&self, tables: &dyn Tables, id: i64, now: Timestamp) -> Result<Qr, AccountError> {
        let mut held = self.hold_signing_in(tables, id, now).await?;
        let request = f::auth::ExportLoginToken {
            api_id: held.account.api_id,
            api_hash: held.vault.api_hash.clone(),
            except_ids: Vec::new(),
        };
        let mut answer = self.ask(&mut held, &request).await;
        if let Ok(e::auth::LoginToken::MigrateTo(there)) = answer {
            self.migrate(&mut held, there.dc_id).await?;
            let import = f::auth::ImportLoginToken { token: there.token };
            answer = self.ask(&mut held, &import).await;
        }
        match answer {
            Ok(e::auth::LoginToken::Token(token)) => Ok(Qr::Waiting {
                link: format!("tg://login?token={}", URL_SAFE_NO_PAD.encode(token.token)),
                expires_at: Timestamp(i64::from(token.expires) * 1_000),
            }),
            Ok(e::auth::LoginToken::Success(success)) => {
                self.finish(held, success.authorization).await.map(Qr::Scanned)
            }
            Ok(e::auth::LoginToken::MigrateTo(_)) => Err(AccountError::Odd("it migrates without end".to_owned())),
            Err(error) if needs_password(&error) => self.ask_for_password(held).await.map(Qr::Scanned),
            Err(error) => Err(error),
        }
    }

    /// Takes an account that is not signed in, with a session to sign in with.
    async fn hold_signing_in<'a>(
        &self,
        tables: &'a dyn Tables,
        id: i64,
        now: Timestamp,
    ) -> Result<Held<'a>, AccountError> {
        let mut held = self.hold(tables, id, now).await?;
        let status = held.account.status;
        if !status.signs_in() {
            return Err(AccountError::NotDue { id, status });
        }
        held.rested()?;
        if held.vault.session.is_none() {
            let keys = self.pool.fresh_keys().await?;
            self.keep(&mut held, |document| document.session = Some(keys)).await?;
        }
        Ok(held)
    }

    /// A call that may be answered with the data centre at which the account lives.
    async fn ask_where_it_lives<R: RemoteCall + Sync>(
        &self,
        held: &mut Held<'_>,
        request: &R,
    ) -> Result<R::Return, AccountError> {
        match self.ask(held, request).await {
            Err(AccountError::Refused { code: 303, name }) => {
                let centre = name.rsplit('_').next().and_then(|number| number.parse().ok());
                let centre = centre.ok_or(AccountError::Refused { code: 303, name })?;
                self.migrate(held, centre).await?;
                self.ask(held, request).await
            }
            other => other,
        }
    }

    async fn migrate(&self, held: &mut Held<'_>, centre: i32) -> Result<(), AccountError> {
        self.connection(held).await?.move_to(centre).await
    }

    /// The code was right, and the password is due.
    async fn ask_for_password(&self, mut held: Held<'_>) -> Result<SignedIn, AccountError> {
        let e::account::Password::Password(asked) = self.ask(&mut held, &f::account::GetPassword {}).await?;
        self.keep(&mut held, |document| document.code_hash = None).await?;
        let status = AccountStatus::PasswordRequested;
        rows::set_status(held.tables, held.account.id, status, None, held.now).await?;
        Ok(SignedIn::PasswordNeeded { hint: asked.hint })
    }

    /// Somebody is signed in: the account is active.
    async fn finish(
        &self,
        mut held: Held<'_>,
        authorization: e::auth::Authorization,
    ) -> Result<SignedIn, AccountError> {
        let e::auth::Authorization::Authorization(authorization) = authorization else {
            return Err(AccountError::NoSuchUser);
        };
        let e::User::User(user) = authorization.user else {
            return Err(AccountError::Odd("nobody is signed in".to_owned()));
        };
        self.keep(&mut held, |document| {
            document.signed_in = true;
            document.code_hash = None;
        })
        .await?;
        let person = Person {
            telegram_id: user.id,
            phone: user.phone,
            name: user.first_name,
        };
        rows::signed_in(held.tables, &held.account, &person, held.now).await?;
        let account = self.get(held.tables, held.account.id).await?;
        Ok(SignedIn::Done { account })
    }
}

fn needs_password(error: &AccountError) -> bool {
    matches!(error, AccountError::Refused { name, .. } if name == "SESSION_PASSWORD_NEEDED")
}

fn settings() -> e::CodeSettings {
    tl::types::CodeSettings {
        allow_flashcall: false,
        current_number: false,
        allow_app_hash: false,
        allow_missed_call: false,
        allow_firebase: false,
        unknown_number: false,
        logout_tokens: None,
        token: None,
        app_sandbox: None,
    }
    .into()
}
