//! How an account that is used carefully comes to its full quota. It begins with [`PACE`] contacts a day, and each day on
//! which it contacts somebody adds as many, up to its daily limit; then it is active. The statement that takes a contact out
//! of the quota counts the day ([`rows::lease`](super::rows::lease)); here is what else moves the count.

use super::model::{Account, AccountStatus};

/// How many contacts each day of warming adds.
pub(super) const PACE: i64 = 5;

/// What becomes of an account that people turn.
pub(super) struct Turned {
    pub(super) status: AccountStatus,
    /// Whether warming begins again from the first day.
    pub(super) afresh: bool,
}

/// What an account becomes when people want it to have a status, with this daily limit. One that was reported or banned
/// comes back by warming only.
pub(super) fn turn(account: &Account, wanted: AccountStatus, daily_limit: i64) -> Turned {
    let warm = is_warm(account, daily_limit);
    let back = wanted == AccountStatus::Active && account.status != AccountStatus::Active;
    let status = if back && account.ban_count > 0 && !warm {
        AccountStatus::Warming
    } else {
        wanted
    };
    let afresh = wanted == AccountStatus::Warming
        && account.status != AccountStatus::Warming
        && (account.status == AccountStatus::Active || warm);
    Turned { status, afresh }
}

/// What an account is once it has signed in: a new session does not end a warming that was under way or is due.
pub(super) fn signed_in(account: &Account) -> AccountStatus {
    let begun = account.warmup_count > 0 || account.ban_count > 0;
    if begun && !is_warm(account, account.daily_limit) {
        AccountStatus::Warming
    } else {
        AccountStatus::Active
    }
}

/// Whether the days that were counted are enough for the limit.
fn is_warm(account: &Account, daily_limit: i64) -> bool {
    account.warmup_count > 0 && account.warmup_count.saturating_mul(PACE) >= daily_limit
}
