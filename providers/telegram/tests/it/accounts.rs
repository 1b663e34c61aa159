//! User accounts over the real protocol, against the sandbox's data centre.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use grammers_tl_types::functions as f;
use potok_dsl::{ErrorType, Problem, Timestamp};
use potok_sandbox::world::{DEFAULT_CHANNEL, ELSEWHERE_CHANNEL, WorldSeed};
use potok_sandbox::{DATA_CENTRES, Fault, FaultKind, RunningSandbox, Sandbox, SandboxConfig, Target};
use potok_secrets::{Keeper, KeyPlace};
use potok_telegram::accounts::{
    Account, AccountChange, AccountError, AccountFilter, AccountStatus, Accounts, AccountsConfig, AuthKeys, Centre,
    NewAccount, Qr, Sent, SignedIn,
};
use potok_testing::MemoryTables;

pub(super) const NOW: Timestamp = Timestamp(1_769_846_400_000);
pub(super) const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OLGA: &str = "+70000000011";
const PAVEL: &str = "+7 (000) 000-00-12";
const SECRET: &str = "the secret of the application";

fn keeper() -> Arc<Keeper> {
    Arc::new(Keeper::new(KeyPlace::text(KEY.to_owned(), "a test")))
}

/// A node with accounts, a store, and a sandbox at the other end.
pub(super) struct Node {
    pub(super) sandbox: Arc<RunningSandbox>,
    pub(super) tables: Arc<MemoryTables>,
    pub(super) accounts: Accounts,
}

pub(super) struct Keys(pub(super) Arc<RunningSandbox>);

#[async_trait]
impl AuthKeys for Keys {
    async fn new_key(&self) -> std::io::Result<[u8; 256]> {
        self.0.new_auth_key().await
    }
}

impl Node {
    pub(super) async fn new() -> Self {
        Self::in_world(|_| {}, |_| {}).await
    }

    async fn in_world(world: impl FnOnce(&mut WorldSeed), config: impl FnOnce(&mut AccountsConfig)) -> Self {
        let mut seed = WorldSeed::default();
        world(&mut seed);
        let settings = SandboxConfig {
            world: seed,
            ..SandboxConfig::default()
        };
        let sandbox = Arc::new(Sandbox::start(settings).await.unwrap());
        let tables = MemoryTables::new(&potok_telegram::accounts::MIGRATIONS);
        let accounts = accounts(&sandbox, config);
        Self {
            sandbox,
            tables,
            accounts,
        }
    }

    /// The same store, a process of its own.
    async fn restarted(self) -> Self {
        self.accounts.disconnect().await;
        Self {
            accounts: accounts(&self.sandbox, |_| {}),
            ..self
        }
    }

    async fn add(&self, phone: Option<&str>) -> i64 {
        let new = NewAccount {
            name: String::new(),
            phone: phone.map(str::to_owned),
            api_id: 7,
            api_hash: SECRET.to_owned(),
            comment: "a test".to_owned(),
            daily_limit: 40,
            proxy: None,
            proxy_id: None,
        };
        self.accounts.add(&*self.tables, new, NOW).await.unwrap().id
    }

    /// An account of the channels' owner that is signed in.
    pub(super) async fn olga(&self) -> i64 {
        let id = self.add(Some(OLGA)).await;
        self.request_code(id).await.unwrap();
        self.sign_in(id, "12345").await.unwrap();
        id
    }

    pub(super) async fn request_code(&self, id: i64) -> Result<Account, AccountError> {
        self.accounts.request_code(&*self.tables, id, NOW).await
    }

    pub(super) async fn sign_in(&self, id: i64, code: &str) -> Result<SignedIn, AccountError> {
        self.accounts.sign_in(&*self.tables, id, code, NOW).await
    }

    async fn password(&self, id: i64, password: &str) -> Result<Account, AccountError> {
        self.accounts.password(&*self.tables, id, password, NOW).await
    }

    pub(super) async fn state(&self, id: i64, now: Timestamp) -> Result<(), AccountError> {
        let state = f::updates::GetState {};
        self.accounts.call(&*self.tables, id, &state, now).await.map(drop)
    }

    pub(super) async fn get(&self, id: i64) -> Account {
        self.accounts.get(&*self.tables, id).await.unwrap()
    }

    fn script(&self, method: &str, kind: FaultKind) {
        assert!(self.sandbox.inject(Fault {
            target: Target::Mtproto,
            method: Some(method.to_owned()),
            after: 0,
            times: 1,
            kind,
        }));
    }

    pub(super) fn refuse(&self, method: &str, code: u16, message: &str) {
        let message = message.to_owned();
        self.script(method, FaultKind::Rpc { code, message });
    }
}

fn accounts(sandbox: &Arc<RunningSandbox>, change: impl FnOnce(&mut AccountsConfig)) -> Accounts {
    let centre = |id| Centre {
        id,
        address: sandbox.mtproto_address(),
    };
    let mut config = AccountsConfig {
        centres: DATA_CENTRES.map(centre).to_vec(),
        keys: Some(Arc::new(Keys(sandbox.clone()))),
        ..AccountsConfig::default()
    };
    change(&mut config);
    Accounts::new(config, keeper())
}

#[tokio::test]
async fn a_code_and_a_password_sign_in_step_by_step() {
    let node = Node::new().await;
    let id = node.add(Some(PAVEL)).await;
    let due = node.sign_in(id, "12345").await;
    assert!(matches!(due, Err(AccountError::NotDue { .. })), "{due:?}");
    assert_eq!(
        node.request_code(id).await.unwrap().status,
        AccountStatus::CodeRequested
    );
    assert!(matches!(node.sign_in(id, "54321").await, Err(AccountError::CodeWrong)));
    assert_eq!(
        node.get(id).await.status,
        AccountStatus::CodeRequested,
        "another try is open"
    );
    let next = node.sign_in(id, " 12345 ").await.unwrap();
    let hint = Some("what this is".to_owned());
    assert_eq!(next, SignedIn::PasswordNeeded { hint });
    assert_eq!(node.get(id).await.status, AccountStatus::PasswordRequested);
    assert!(matches!(
        node.password(id, "horse").await,
        Err(AccountError::PasswordWrong)
    ));
    let account = node.password(id, "sandbox").await.unwrap();
    assert_eq!(account.status, AccountStatus::Active);
    assert_eq!(account.telegram_id, Some(12));
    assert_eq!(
        (account.name.as_str(), account.phone.as_deref()),
        ("Pavel", Some("+70000000012"))
    );
    node.state(id, NOW).await.unwrap();
}

#[tokio::test]
async fn a_sign_in_survives_a_restart_at_every_step() {
    let node = Node::new().await;
    let id = node.add(Some(PAVEL)).await;
    node.refuse("auth.sendCode", 303, "PHONE_MIGRATE_4");
    node.request_code(id).await.unwrap();
    let node = node.restarted().await;
    node.sign_in(id, "12345").await.unwrap();
    let node = node.restarted().await;
    node.password(id, "sandbox").await.unwrap();
    let node = node.restarted().await;
    assert_eq!(node.accounts.connected(), 0, "a connection is made when it is needed");
    node.state(id, NOW).await.unwrap();
    assert_eq!(node.accounts.connected(), 1);
    assert_eq!(
        node.sandbox.mtproto_calls("auth.sendCode"),
        2,
        "once at each data centre"
    );
}

#[tokio::test]
async fn an_expired_code_asks_for_a_new_one() {
    let node = Node::in_world(|world| world.accounts[0].code_seconds = 0, |_| {}).await;
    let id = node.add(Some(OLGA)).await;
    node.request_code(id).await.unwrap();
    let expired = node.sign_in(id, "12345").await.unwrap_err();
    assert_eq!(expired.to_string(), "the code has expired: request a new one");
    assert_eq!(node.get(id).await.status, AccountStatus::New);
    let again = node.sign_in(id, "12345").await.unwrap_err();
    assert_eq!(Problem::from(again).status, 409);
}

#[tokio::test]
async fn a_scanned_code_signs_in_and_tells_who_it_was() {
    let node = Node::new().await;
    let id = node.add(None).await;
    let scan = |link: String| {
        use base64::Engine as _;
        let token = link.strip_prefix("tg://login?token=").unwrap().to_owned();
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token).unwrap()
    };
    let Qr::Waiting { link, .. } = node.accounts.qr(&*node.tables, id, NOW).await.unwrap() else {
        panic!("nobody has scanned it")
    };
    let same = node.accounts.qr(&*node.tables, id, NOW).await.unwrap();
    assert!(matches!(same, Qr::Waiting { link: same, .. } if same == link));
    node.sandbox.scan(&scan(link), PAVEL).await.unwrap();
    let scanned = node.accounts.qr(&*node.tables, id, NOW).await.unwrap();
    assert!(
        matches!(scanned, Qr::Scanned(SignedIn::PasswordNeeded { .. })),
        "{scanned:?}"
    );
    let account = node.password(id, "sandbox").await.unwrap();
    assert_eq!(account.phone.as_deref(), Some("+70000000012"));
}

#[tokio::test]
async fn a_session_that_was_ended_has_to_be_signed_in_anew() {
    let node = Node::new().await;
    let id = node.olga().await;
    node.sandbox.revoke_sessions(OLGA).await.unwrap();
    let lost = node.state(id, NOW).await.unwrap_err();
    assert!(
        matches!(&lost, AccountError::SessionLost(name) if name == "SESSION_REVOKED"),
        "{lost:?}"
    );
    let account = node.get(id).await;
    assert_eq!(account.status, AccountStatus::New);
    assert_eq!(
        account.problem.as_deref(),
        Some("Telegram has ended the session (SESSION_REVOKED): sign in again")
    );
    let problem = Problem::from(node.state(id, NOW).await.unwrap_err());
    assert!(problem.is(ErrorType::Authorization), "{problem:?}");
    node.request_code(id).await.unwrap();
    node.sign_in(id, "12345").await.unwrap();
    node.state(id, NOW).await.unwrap();
    assert_eq!(node.get(id).await.problem, None);
}

#[tokio::test]
async fn a_flood_wait_is_noted_and_kept() {
    let node = Node::new().await;
    let id = node.olga().await;
    node.refuse("updates.getState", 420, "FLOOD_WAIT_37");
    let flood = Problem::from(node.state(id, NOW).await.unwrap_err());
    assert_eq!((flood.status, flood.retry_after_ms), (429, Some(37_000)));
    let until = Timestamp(NOW.0 + 37_000);
    assert_eq!(node.get(id).await.flood_until, Some(until));
    let node = node.restarted().await;
    let calls = node.sandbox.mtproto_calls("updates.getState");
    let rests = node.state(id, Timestamp(until.0 - 1)).await.unwrap_err();
    assert!(matches!(rests, AccountError::Rests { .. }), "{rests:?}");
    assert_eq!(
        node.sandbox.mtproto_calls("updates.getState"),
        calls,
        "nothing was sent"
    );
    node.state(id, until).await.unwrap();
}

#[tokio::test]
async fn spam_disables_and_a_ban_blocks() {
    let node = Node::new().await;
    let id = node.olga().await;
    node.refuse("updates.getState", 400, "PEER_FLOOD");
    let reported = Problem::from(node.state(id, NOW).await.unwrap_err());
    assert_eq!(reported.status, 403);
    let account = node.get(id).await;
    assert_eq!((account.status, account.ban_count), (AccountStatus::Disabled, 1));
    assert!(node.state(id, NOW).await.is_err(), "nothing more is done with it");
    let active = AccountChange {
        status: Some(AccountStatus::Active),
        ..AccountChange::default()
    };
    node.accounts
        .change(&*node.tables, id, active.clone(), NOW)
        .await
        .unwrap();
    node.refuse("updates.getState", 401, "USER_DEACTIVATED_BAN");
    assert!(matches!(node.state(id, NOW).await, Err(AccountError::Banned(_))));
    assert_eq!(node.get(id).await.status, AccountStatus::Blocked);
    let refused = node.accounts.change(&*node.tables, id, active, NOW).await;
    assert!(matches!(refused, Err(AccountError::NotDue { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_message_is_sent_once_whatever_breaks() {
    let node = Node::new().await;
    let id = node.olga().await;
    let send = async |node: &Node, key: &str| {
        node.accounts
            .send(&*node.tables, id, (DEFAULT_CHANNEL, "hello"), key, NOW)
            .await
    };
    let first = send(&node, "one").await.unwrap();
    assert_eq!(first, Sent::Now { message_id: Some(1) });
    assert_eq!(send(&node, "one").await.unwrap(), Sent::Before);
    node.script("messages.sendMessage", FaultKind::CloseBeforeAnswer);
    let lost = send(&node, "two").await.unwrap_err();
    assert!(matches!(lost, AccountError::Unreachable(_)), "{lost:?}");
    let node = node.restarted().await;
    assert_eq!(send(&node, "two").await.unwrap(), Sent::Before);
    assert_eq!(node.sandbox.messages(DEFAULT_CHANNEL).len(), 2);
}

#[tokio::test]
async fn silence_ends_in_time_and_holds_up_nobody() {
    let quick = |config: &mut AccountsConfig| config.timeout = Duration::from_millis(300);
    let node = Node::in_world(|_| {}, quick).await;
    let id = node.olga().await;
    node.script("updates.getState", FaultKind::Hang);
    let silent = node.state(id, NOW).await.unwrap_err();
    assert!(matches!(silent, AccountError::NoAnswer(_)), "{silent:?}");
    assert_eq!(node.accounts.connected(), 0, "that connection is not used again");
    node.state(id, NOW).await.unwrap();
    // A server that takes connections and says nothing at all.
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = nobody.local_addr().unwrap();
    let config = AccountsConfig {
        centres: vec![Centre { id: 2, address }],
        timeout: Duration::from_millis(200),
        ..AccountsConfig::default()
    };
    let accounts = Accounts::new(config, keeper());
    let id = node.add(Some("+79990001122")).await;
    let silent = accounts.request_code(&*node.tables, id, NOW).await;
    assert!(matches!(silent, Err(AccountError::NoAnswer(_))), "{silent:?}");
    assert_eq!(accounts.connected(), 0);
}

#[tokio::test]
async fn an_idle_account_is_disconnected() {
    let hasty = |config: &mut AccountsConfig| config.idle = Duration::from_millis(100);
    let node = Node::in_world(|_| {}, hasty).await;
    let id = node.olga().await;
    let gone = async {
        while node.accounts.connected() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.unwrap();
    node.state(id, NOW).await.unwrap();
}

#[tokio::test]
async fn members_are_listed_where_the_account_administers() {
    let node = Node::new().await;
    let olga = node.olga().await;
    let vera = node.add(Some("+70000000013")).await;
    node.request_code(vera).await.unwrap();
    node.sign_in(vera, "12345").await.unwrap();
    let list = async |id, chat, limit| node.accounts.members(&*node.tables, id, chat, limit, NOW).await;
    let members = list(olga, DEFAULT_CHANNEL, 1_000).await.unwrap();
    let names: Vec<_> = members
        .iter()
        .map(|member| (member.id, member.administrator, member.bot))
        .collect();
    assert_eq!(
        names,
        [
            (11, true, false),
            (12, false, false),
            (13, false, false),
            (1_000_001, true, true)
        ]
    );
    assert_eq!(list(olga, ELSEWHERE_CHANNEL, 2).await.unwrap().len(), 2);
    for chat in [DEFAULT_CHANNEL, "@potok_group"] {
        let refused = list(vera, chat, 10).await.unwrap_err();
        assert!(
            matches!(refused, AccountError::NotAdministered(_)),
            "{chat}: {refused:?}"
        );
    }
    assert_eq!(
        node.sandbox.mtproto_calls("channels.getParticipants"),
        2,
        "nobody was asked for what is refused"
    );
}

#[tokio::test]
async fn accounts_are_kept_without_a_secret_in_sight() {
    let node = Node::new().await;
    let id = node.olga().await;
    let proxied = NewAccount {
        name: "Second".to_owned(),
        phone: Some("+79990001122".to_owned()),
        api_id: 7,
        api_hash: SECRET.to_owned(),
        comment: String::new(),
        daily_limit: 40,
        proxy: Some("socks5://me:word@127.0.0.1:1".to_owned()),
        proxy_id: None,
    };
    assert!(!format!("{proxied:?}").contains("word"));
    let taken = NewAccount {
        phone: Some("+7 000 000 00 11".to_owned()),
        ..proxied.clone()
    };
    let taken = node.accounts.add(&*node.tables, taken, NOW).await.unwrap_err();
    assert_eq!(Problem::from(taken).status, 409);
    let wrong = NewAccount {
        phone: Some("call me".to_owned()),
        ..proxied.clone()
    };
    assert!(matches!(
        node.accounts.add(&*node.tables, wrong, NOW).await,
        Err(AccountError::PhoneInvalid(_))
    ));
    let wrong = NewAccount {
        proxy: Some("http://127.0.0.1:1".to_owned()),
        ..proxied.clone()
    };
    assert!(matches!(
        node.accounts.add(&*node.tables, wrong, NOW).await,
        Err(AccountError::ProxyInvalid)
    ));
    let second = node.accounts.add(&*node.tables, proxied, NOW).await.unwrap();
    assert!(second.proxied && second.status == AccountStatus::New);
    let dead = node.request_code(second.id).await.unwrap_err();
    assert!(matches!(dead, AccountError::Unreachable(_)), "{dead:?}");
    let kept = format!("{:?}", node.tables.query("SELECT * FROM telegram_accounts"));
    let shown = serde_json::to_string(&node.get(id).await).unwrap();
    for secret in [SECRET, "word", "socks5"] {
        assert!(!kept.contains(secret) && !shown.contains(secret), "{secret}");
    }
    let active = AccountFilter {
        status: Some(AccountStatus::Active),
        ..AccountFilter::default()
    };
    assert_eq!(node.accounts.list(&*node.tables, &active).await.unwrap().len(), 1);
    assert_eq!(
        node.accounts
            .list(&*node.tables, &AccountFilter::default())
            .await
            .unwrap()
            .len(),
        2
    );
    node.accounts.remove(&*node.tables, id, NOW).await.unwrap();
    assert_eq!(node.sandbox.mtproto_calls("auth.logOut"), 1);
    assert_eq!(
        Problem::from(node.accounts.get(&*node.tables, id).await.unwrap_err()).status,
        404
    );
}

#[tokio::test]
async fn the_account_that_was_used_longest_ago_is_leased_within_its_quota() {
    let node = Node::new().await;
    let (olga, vera) = (node.olga().await, node.add(Some("+70000000013")).await);
    node.add(Some("+79990001122")).await;
    node.request_code(vera).await.unwrap();
    node.sign_in(vera, "12345").await.unwrap();
    for (id, limit) in [(olga, 2), (vera, 1)] {
        let change = AccountChange {
            daily_limit: Some(limit),
            ..AccountChange::default()
        };
        node.accounts.change(&*node.tables, id, change, NOW).await.unwrap();
    }
    let lease = async |after: i64| {
        let leased = node.accounts.lease(&*node.tables, Timestamp(NOW.0 + after)).await;
        leased.unwrap().map(|account| account.id)
    };
    assert_eq!(lease(1).await, Some(olga));
    assert_eq!(lease(2).await, Some(vera), "the one that was not yet used");
    assert_eq!(lease(3).await, Some(olga), "the other has reached its limit");
    assert_eq!(lease(4).await, None, "nobody is left for today");
    let day = 86_400_000;
    assert_eq!(lease(day).await, None);
    assert_eq!(lease(day + 1).await, Some(olga), "the day of the first contact is over");
    assert_eq!(node.get(olga).await.used_today, 1);
}

#[tokio::test]
async fn a_check_tells_whether_an_account_is_well() {
    let node = Node::new().await;
    let id = node.olga().await;
    let check = async |now| node.accounts.check(&*node.tables, id, now).await;
    assert_eq!(check(NOW).await.unwrap().status, AccountStatus::Active);
    node.refuse("users.getUsers", 420, "FLOOD_WAIT_5");
    assert_eq!(check(NOW).await.unwrap().flood_until, Some(Timestamp(NOW.0 + 5_000)));
    node.sandbox.revoke_sessions(OLGA).await.unwrap();
    let ill = check(Timestamp(NOW.0 + 5_000)).await.unwrap();
    assert_eq!(ill.status, AccountStatus::New);
    assert!(ill.problem.unwrap().contains("SESSION_REVOKED"));
}
