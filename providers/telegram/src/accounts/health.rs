//! Whether an account is well, and whose turn it is.

use grammers_tl_types::{enums as e, functions as f};
use potok_dsl::Timestamp;
use potok_wasm::Tables;

use super::error::{AccountError, Noted};
use super::model::Account;
use super::{Accounts, rows};

impl Accounts {
    /// Looks whether an account's session is alive, by asking who it is. What Telegram says of its health is in the answer's
    /// status, problem and rest, not an error.
    ///
    /// # Errors
    /// When it is not signed in or rests, Telegram cannot be asked, or the store does not serve.
    pub async fn check(&self, tables: &dyn Tables, id: i64, now: Timestamp) -> Result<Account, AccountError> {
        let who = f::users::GetUsers {
            id: vec![e::InputUser::UserSelf],
        };
        match self.call(tables, id, &who, now).await {
            Err(error) if error.noted(now) == Noted::Nothing => Err(error),
            _ => self.get(tables, id).await,
        }
    }

    /// The account whose turn it is to contact somebody: of those that work and do not rest, and that have contacted fewer
    /// people today than they may, the one that has been used longest ago. The contact is counted, whatever becomes of it.
    /// `None` when there is none: then it is over for today.
    ///
    /// # Errors
    /// When the store does not serve.
    pub async fn lease(&self, tables: &dyn Tables, now: Timestamp) -> Result<Option<Account>, AccountError> {
        match rows::lease(tables, "", now).await? {
            Some(id) => self.get(tables, id).await.map(Some),
            None => Ok(None),
        }
    }
}
