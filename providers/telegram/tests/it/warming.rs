//! An account that warms up contacts a few people a day, and a few more each day, until it has its full quota.

use potok_dsl::Timestamp;
use potok_telegram::accounts::{Account, AccountChange, AccountStatus};

use super::accounts::{NOW, Node};

const DAY: i64 = 86_400_000;

/// The time on a day, some milliseconds after it began.
fn on(day: i64, after: i64) -> Timestamp {
    Timestamp(NOW.0 + day * DAY + after)
}

async fn change(node: &Node, id: i64, status: AccountStatus, daily_limit: i64) -> Account {
    let change = AccountChange {
        status: Some(status),
        daily_limit: Some(daily_limit),
        ..AccountChange::default()
    };
    node.accounts.change(&*node.tables, id, change, NOW).await.unwrap()
}

/// How many contacts are to be had on a day.
async fn contacts(node: &Node, day: i64) -> usize {
    let mut taken = 0;
    while node.accounts.lease(&*node.tables, on(day, 1)).await.unwrap().is_some() {
        taken += 1;
        assert!(taken <= 200, "no account may contact more");
    }
    taken
}

/// Telegram says that the account was reported for spam.
async fn report(node: &Node, id: i64) {
    node.refuse("updates.getState", 400, "PEER_FLOOD");
    node.state(id, NOW).await.unwrap_err();
}

#[tokio::test]
async fn the_quota_grows_by_the_day_until_the_account_is_active() {
    let node = Node::new().await;
    let id = node.olga().await;
    change(&node, id, AccountStatus::Warming, 12).await;
    for (day, quota) in [(0, 5), (1, 10)] {
        assert_eq!(contacts(&node, day).await, quota);
        let account = node.get(id).await;
        assert_eq!(account.status, AccountStatus::Warming);
        assert_eq!(account.warmup_count, day + 1, "a day is counted once");
    }
    // Days on which nobody is contacted do not count.
    let first = node.accounts.lease(&*node.tables, on(9, 1)).await.unwrap().unwrap();
    assert_eq!((first.status, first.warmup_count), (AccountStatus::Active, 3));
    assert_eq!(contacts(&node, 9).await, 11, "its limit is 12");
    assert_eq!(contacts(&node, 10).await, 12);
    assert_eq!(node.get(id).await.warmup_count, 3, "an active account counts no days");
}

#[tokio::test]
async fn a_limit_below_the_first_days_quota_is_kept() {
    let node = Node::new().await;
    let id = node.olga().await;
    change(&node, id, AccountStatus::Warming, 0).await;
    assert_eq!(contacts(&node, 0).await, 0);
    assert_eq!(node.get(id).await.warmup_count, 0, "nobody was contacted");
    change(&node, id, AccountStatus::Warming, 3).await;
    assert_eq!(contacts(&node, 1).await, 3);
    assert_eq!(node.get(id).await.status, AccountStatus::Active);
}

#[tokio::test]
async fn what_was_used_before_warming_counts_for_the_day() {
    let node = Node::new().await;
    let id = node.olga().await;
    change(&node, id, AccountStatus::Active, 3).await;
    assert_eq!(contacts(&node, 0).await, 3);
    change(&node, id, AccountStatus::Warming, 40).await;
    assert_eq!(contacts(&node, 0).await, 2, "five in all");
    assert_eq!(contacts(&node, 1).await, 5, "the first day that begins with warming");
}

#[tokio::test]
async fn a_report_begins_the_warming_anew() {
    let node = Node::new().await;
    let id = node.olga().await;
    change(&node, id, AccountStatus::Warming, 12).await;
    for day in 0..3 {
        contacts(&node, day).await;
    }
    assert_eq!(node.get(id).await.status, AccountStatus::Active);
    report(&node, id).await;
    let reported = node.get(id).await;
    assert_eq!((reported.status, reported.warmup_count), (AccountStatus::Disabled, 0));
    assert_eq!(contacts(&node, 3).await, 0, "it is not used");
    let back = change(&node, id, AccountStatus::Active, 12).await;
    assert_eq!(back.status, AccountStatus::Warming);
    assert_eq!(contacts(&node, 3).await, 5);
    let asked = change(&node, id, AccountStatus::Active, 12).await;
    assert_eq!(asked.status, AccountStatus::Warming, "not before it is warm");
    assert_eq!(contacts(&node, 4).await, 10);
}

#[tokio::test]
async fn a_new_session_does_not_end_a_warming() {
    let node = Node::new().await;
    let id = node.olga().await;
    change(&node, id, AccountStatus::Warming, 40).await;
    assert_eq!(contacts(&node, 0).await, 5);
    node.sandbox.revoke_sessions("+70000000011").await.unwrap();
    node.state(id, NOW).await.unwrap_err();
    assert_eq!(node.get(id).await.status, AccountStatus::New);
    assert_eq!(contacts(&node, 1).await, 0, "it is not signed in");
    node.request_code(id).await.unwrap();
    node.sign_in(id, "12345").await.unwrap();
    assert_eq!(node.get(id).await.status, AccountStatus::Warming);
    assert_eq!(contacts(&node, 1).await, 10);
}
