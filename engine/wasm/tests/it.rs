//! The host against real components: the fixtures that the workspace builds.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use potok_dsl::{ErrorType, Problem, TaskPath, Timestamp};
use potok_wasm::{
    Answered, Asked, CallContext, Grants, Host, HostConfig, ImportKind, InstallError, Ledger, Provider, Turn,
    Unavailable,
};
use serde_json::{Value, json};

/// The fixtures, by name, unpacked once.
fn fixture(name: &str) -> Vec<u8> {
    let component = potok_plugins::fixtures()
        .iter()
        .find(|component| component.name == name)
        .unwrap();
    component.decompress().unwrap()
}

/// A host whose compiled code is kept between test runs.
fn host() -> Host {
    let cache_dir = Some(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("code"));
    Host::new(HostConfig {
        cache_dir,
        ..HostConfig::default()
    })
    .unwrap()
}

/// One host with the demo plugin for all tests that only call it.
fn demo() -> &'static (Host, String) {
    static DEMO: OnceLock<(Host, String)> = OnceLock::new();
    DEMO.get_or_init(|| {
        let host = host();
        let info = host.install(&fixture("demo"), &Grants::none()).unwrap();
        assert!(info.pure);
        (host, info.hash.clone())
    })
}

fn context_for(key: &str, allowed: Duration) -> CallContext {
    CallContext {
        run: None,
        path: TaskPath("/do/0/test".into()),
        idempotency_key: key.into(),
        sequence: 0,
        confidential: false,
        deadline: Instant::now() + allowed,
        now: Timestamp(1_700_000_000_000),
        tables: Arc::new(Unavailable),
    }
}

fn context() -> CallContext {
    context_for("key", Duration::from_secs(60))
}

async fn call(function: &str, args: Value) -> Result<Value, Problem> {
    let (host, hash) = demo();
    host.call(hash, &format!("demo.{function}:1.0.0"), args, context())
        .await
}

async fn fails(function: &str, args: Value) -> Problem {
    call(function, args).await.expect_err("the call should fail")
}

fn everything() -> Value {
    json!({
        "truth": true, "tiny": 255, "tiny_signed": -128, "short": 65535, "short_signed": -32768,
        "plain": u32::MAX, "plain_signed": i32::MIN, "big": u64::MAX, "big_signed": i64::MIN,
        "ratio": 0.1, "single": 0.1, "letter": "ж", "text": "hello", "bytes": "AQID/w==",
        "numbers": [1, 2, 3], "pair": ["a", 1], "maybe": null, "colour": "deep-blue",
        "shape": {"circle": 1.5}, "rights": ["read", "pin-messages"], "sizes": [{"width": 1, "height": 2}],
        "outcome": {"err": "no"},
    })
}

#[tokio::test]
async fn every_type_goes_in_and_comes_out() {
    assert_eq!(call("echo", everything()).await.unwrap(), everything());
    let mut other = everything();
    other["maybe"] = json!("some");
    other["shape"] = json!("nothing");
    other["outcome"] = json!({"ok": 7});
    other["rights"] = json!([]);
    assert_eq!(call("echo", other.clone()).await.unwrap(), other);
    let mut kebab = everything();
    let short = kebab.as_object_mut().unwrap().remove("short_signed").unwrap();
    kebab["short-signed"] = short;
    kebab.as_object_mut().unwrap().remove("maybe");
    assert_eq!(call("echo", kebab).await.unwrap()["short_signed"], json!(-32768));
    assert_eq!(call("join", json!({"texts": ["a", "b"]})).await.unwrap(), json!("ab"));
    assert_eq!(
        call("join", json!({"texts": ["a", "b"], "separator": "-"}))
            .await
            .unwrap(),
        json!("a-b")
    );
    assert_eq!(call("nothing", json!(null)).await.unwrap(), json!(null));
    assert_eq!(call("nothing", json!({})).await.unwrap(), json!(null));
}

#[tokio::test]
async fn arguments_that_do_not_fit_are_refused_with_their_place() {
    let mut cases = vec![
        ("add", json!({"number": "1"})),
        ("add", json!({"number": 1.5})),
        ("add", json!({"number": 9_223_372_036_854_775_808_u64})),
        ("add", json!({"nubmer": 1})),
        ("add", json!({})),
        ("add", json!([1])),
        ("add", json!({"number": 1, "more": 2})),
        ("join", json!({"texts": ["a", 1]})),
        ("nothing", json!({"x": 1})),
    ];
    for (pointer, value) in [
        ("/tiny", json!(256)),
        ("/tiny_signed", json!(-129)),
        ("/letter", json!("ab")),
        ("/bytes", json!("*")),
        ("/pair", json!(["a"])),
        ("/colour", json!("deep-blu")),
        ("/shape", json!({"circle": 1, "nothing": 2})),
        ("/shape", json!("circle")),
        ("/rights/0", json!("reed")),
        ("/sizes/0/width", json!(-1)),
        ("/outcome", json!({"okay": 1})),
        ("/single", json!(1e300)),
    ] {
        let mut args = everything();
        *args.pointer_mut(pointer).unwrap() = value;
        cases.push(("echo", args));
    }
    let mut messages = Vec::new();
    for (function, args) in cases {
        let problem = fails(function, args).await;
        assert!(problem.is(ErrorType::Validation), "{problem}");
        messages.push(problem.detail.unwrap());
    }
    insta::assert_snapshot!(messages.join("\n"));
}

#[tokio::test]
async fn errors_keep_their_types() {
    assert_eq!(
        call("divide", json!({"dividend": 6, "divisor": 3})).await.unwrap(),
        json!(2)
    );
    let problem = fails("divide", json!({"dividend": 6, "divisor": 0})).await;
    assert_eq!(
        (problem.kind.as_str(), problem.status, problem.detail),
        ("urn:potok:demo:by-zero", 500, None)
    );
    let problem = fails("divide", json!({"dividend": 7, "divisor": 2})).await;
    assert_eq!(
        (problem.kind.as_str(), problem.data),
        ("urn:potok:demo:not-whole", Some(json!([7, 2])))
    );
    let fault = json!({"kind": "busy", "status": 503, "title": "Busy", "detail": "later", "retry_after_ms": 2000, "data": "[1]"});
    let problem = fails("fail", fault).await;
    assert_eq!(
        (problem.kind.as_str(), problem.status, problem.retry_after_ms),
        ("urn:potok:demo:busy", 503, Some(2000))
    );
    assert_eq!(problem.data, Some(json!([1])));
    let problem = fails("read-file", json!({"path": "/etc/passwd"})).await;
    assert_eq!(problem.kind, "urn:potok:demo:error");
    let problem = fails("not-a-number", json!({})).await;
    assert!(problem.is(ErrorType::Runtime) && problem.detail.unwrap().contains("NaN"));
}

#[tokio::test]
async fn nothing_is_inherited_and_time_and_chance_are_the_calls() {
    assert_eq!(call("environment", json!({})).await.unwrap(), json!(0));
    assert_eq!(call("now", json!({})).await.unwrap(), json!(1_700_000_000));
    let (host, hash) = demo();
    let random = async |key: &str| {
        let cx = context_for(key, Duration::from_secs(10));
        host.call(hash, "demo.random:1.0.0", json!({}), cx).await.unwrap()
    };
    assert_eq!(random("a").await, random("a").await);
    assert_ne!(random("a").await, random("b").await);
}

#[tokio::test]
async fn a_trap_says_where_and_what_was_said_last() {
    let problem = fails("trap", json!({"message": "the last words"})).await;
    assert!(problem.is(ErrorType::Runtime));
    assert!(
        problem.detail.as_deref().unwrap().contains("the last words"),
        "{problem}"
    );
    let data = problem.data.unwrap();
    assert!(data["stderr"].as_str().unwrap().contains("the last words"));
    let frames = data["backtrace"].to_string();
    assert!(frames.contains("trap"), "{frames}");
    let problem = fails("recurse", json!({"depth": 0})).await;
    assert!(problem.is(ErrorType::Runtime), "{problem}");
    assert_eq!(call("add", json!({"number": 1})).await.unwrap(), json!(2));
}

#[tokio::test]
async fn memory_and_output_are_limited_by_name() {
    let problem = fails("eat-memory", json!({})).await;
    assert_eq!(
        problem.detail.unwrap(),
        "demo.eat-memory:1.0.0 tried to use more than 256 MiB of memory"
    );
    let problem = fails("large", json!({"bytes": 100_000_000})).await;
    assert_eq!(problem.detail.unwrap(), "demo.large:1.0.0 returned more than 64 MiB");
    let text = call("large", json!({"bytes": 1_000_000})).await.unwrap();
    assert_eq!(text.as_str().unwrap().len(), 1_000_000);
}

#[tokio::test]
async fn a_deadline_ends_what_computes_and_what_sleeps() {
    let (host, hash) = demo();
    for (function, args) in [
        ("demo.spin:1.0.0", json!({})),
        ("demo.sleep:1.0.0", json!({"milliseconds": 60_000})),
    ] {
        let started = Instant::now();
        let problem = host
            .call(hash, function, args, context_for("k", Duration::from_millis(100)))
            .await
            .unwrap_err();
        assert!(problem.is(ErrorType::Timeout), "{problem}");
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    }
    assert_eq!(call("sleep", json!({"milliseconds": 5})).await.unwrap(), json!(5));
    let problem = host
        .call(
            hash,
            "demo.add:1.0.0",
            json!({"number": 1}),
            context_for("k", Duration::ZERO),
        )
        .await;
    assert!(problem.is_ok() || problem.unwrap_err().is(ErrorType::Timeout));
}

/// Others get their turn while a guest computes, on one thread.
#[tokio::test(flavor = "current_thread")]
async fn a_guest_that_computes_blocks_nobody() {
    let (host, hash) = demo();
    let spin = host.call(
        hash,
        "demo.spin:1.0.0",
        json!({}),
        context_for("k", Duration::from_secs(30)),
    );
    tokio::select! {
        biased;
        ended = spin => panic!("it ended before the other began: {ended:?}"),
        added = call("add", json!({"number": 1})) => assert_eq!(added.unwrap(), json!(2)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_calls_at_once() {
    let (host, hash) = demo();
    let calls: Vec<_> = (0..200)
        .map(|number| {
            let (host, hash) = (host.clone(), hash.clone());
            tokio::spawn(async move {
                host.call(&hash, "demo.add:1.0.0", json!({ "number": number }), context())
                    .await
            })
        })
        .collect();
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap().unwrap(), json!(number + 1));
    }
}

/// A small pool makes calls wait, not fail.
#[tokio::test]
async fn calls_wait_for_the_pool() {
    let host = Host::new(HostConfig {
        pool_instances: 2,
        ..HostConfig::default()
    })
    .unwrap();
    let hash = host.install(&fixture("demo"), &Grants::none()).unwrap().hash.clone();
    let sleep = || host.call(&hash, "demo.sleep:1.0.0", json!({"milliseconds": 20}), context());
    let (a, b, c, d, e) = tokio::join!(sleep(), sleep(), sleep(), sleep(), sleep());
    for outcome in [a, b, c, d, e] {
        assert_eq!(outcome.unwrap(), json!(20));
    }
    let long = || {
        host.call(
            &hash,
            "demo.sleep:1.0.0",
            json!({"milliseconds": 60_000}),
            context_for("k", Duration::from_millis(50)),
        )
    };
    let (a, b, c) = tokio::join!(long(), long(), long());
    for outcome in [a, b, c] {
        assert!(outcome.unwrap_err().is(ErrorType::Timeout));
    }
}

/// The smallest effectful capability.
#[derive(Default)]
struct Counter {
    count: AtomicU64,
    fails: bool,
}

#[async_trait]
impl Provider for Counter {
    fn interfaces(&self) -> &[&'static str] {
        &["potok:test/counter"]
    }

    fn narrowed(self: Arc<Self>, to: &str) -> Option<Arc<dyn Provider>> {
        (to == "all").then_some(self)
    }

    async fn call(&self, cx: &CallContext, interface: &str, function: &str, args: Value) -> Result<Value, Problem> {
        assert_eq!(
            (interface, function, args),
            ("potok:test/counter", "increment", json!({}))
        );
        assert_eq!((cx.sequence, cx.call_key()), (1, "key/1".to_owned()));
        if self.fails {
            return Err(Problem::new(ErrorType::Communication, "Gone", "the counter is gone").with_status(503));
        }
        Ok((self.count.fetch_add(1, Ordering::SeqCst) + 1).into())
    }
}

#[tokio::test]
async fn capability_calls_reach_their_provider_and_make_a_plugin_effectful() {
    let host = host();
    let counter = Arc::new(Counter::default());
    let unserved = host.install(&fixture("count"), &Grants::all()).unwrap_err();
    assert!(matches!(unserved, InstallError::NoProvider { .. }), "{unserved}");
    host.add_provider(counter.clone()).unwrap();
    assert!(host.add_provider(counter.clone()).is_err());
    let refused = host
        .install(&fixture("count"), &"telegram".parse().unwrap())
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "'test:demo' imports 'potok:test/counter@1.0.0', which was not granted; to allow it, grant 'test'"
    );
    assert!(host.plugins().is_empty());
    let narrow = host
        .install(&fixture("count"), &"test:some".parse().unwrap())
        .unwrap_err();
    assert!(matches!(narrow, InstallError::UnknownNarrowing { .. }), "{narrow}");
    let inspected = host.inspect(&fixture("count"), None).unwrap();
    assert!(!inspected.pure);

    let info = host.install(&fixture("count"), &"test:all".parse().unwrap()).unwrap();
    assert!(!info.pure && !info.functions[0].pure);
    let import = info
        .imports
        .iter()
        .find(|import| import.interface == "potok:test/counter")
        .unwrap();
    assert_eq!(
        (import.kind, import.granted_by.as_deref()),
        (ImportKind::Capability, Some("test:all"))
    );
    for number in 1..=3 {
        let answer = host
            .call(&info.hash, "demo.count:1.0.0", json!({"number": 10}), context())
            .await
            .unwrap();
        assert_eq!(answer, json!(11));
        assert_eq!(counter.count.load(Ordering::SeqCst), number);
    }
}

#[tokio::test]
async fn a_providers_problem_is_the_steps_where_the_plugin_cannot_take_it() {
    let host = host();
    host.add_provider(Arc::new(Counter {
        fails: true,
        ..Counter::default()
    }))
    .unwrap();
    let info = host.install(&fixture("count"), &"test".parse().unwrap()).unwrap();
    let problem = host
        .call(&info.hash, "demo.count:1.0.0", json!({"number": 1}), context())
        .await
        .unwrap_err();
    assert!(problem.is(ErrorType::Communication), "{problem}");
    assert_eq!(
        (problem.status, problem.detail.as_deref()),
        (503, Some("the counter is gone"))
    );
}

/// A ledger in memory, and what became of it.
#[derive(Default)]
struct Memory {
    /// What was asked, and what it gave and when.
    records: Mutex<Vec<(String, Option<Answered>)>>,
    /// How many records were there before.
    known: usize,
    asked: AtomicU64,
}

impl Memory {
    /// As a crash leaves it: with the first records.
    fn after_a_crash(&self, known: usize) -> Arc<Self> {
        let records = self.records.lock().unwrap()[..known].to_vec();
        Arc::new(Self {
            records: Mutex::new(records),
            known,
            asked: AtomicU64::new(0),
        })
    }
}

#[async_trait]
impl Ledger for Memory {
    async fn ask(&self, asked: Asked<'_>) -> Result<Turn, Problem> {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst) as usize;
        let what = format!("{} {}.{} {}", asked.number, asked.interface, asked.function, asked.args);
        let mut records = self.records.lock().unwrap();
        if turn < self.known {
            assert_eq!(records[turn].0, what);
            return Ok(Turn::Known(records[turn].1.clone().unwrap()));
        }
        if turn == 7 {
            return Err(Problem::new(ErrorType::Runtime, "Enough", "that was the last one"));
        }
        records.push((what, None));
        Ok(Turn::Make(Timestamp(1_800_000_000_000)))
    }

    async fn answer(&self, outcome: Result<Value, Problem>) -> Answered {
        let mut records = self.records.lock().unwrap();
        let at = Timestamp(1_700_000_000_000 + 1_000 * i64::try_from(records.len()).unwrap());
        let answered = Answered { outcome, at };
        records.last_mut().unwrap().1 = Some(answered.clone());
        answered
    }

    async fn returned(&self) -> Result<(), Problem> {
        if (self.asked.load(Ordering::SeqCst) as usize) < self.known {
            return Err(Problem::new(ErrorType::Runtime, "Too early", "there was more before"));
        }
        Ok(())
    }
}

/// Counts, and sees each call with its number and the time that the ledger says.
#[derive(Default)]
struct Diary {
    count: AtomicU64,
}

#[async_trait]
impl Provider for Diary {
    fn interfaces(&self) -> &[&'static str] {
        &["potok:test/counter"]
    }

    async fn call(&self, cx: &CallContext, _: &str, _: &str, _: Value) -> Result<Value, Problem> {
        assert_eq!(cx.now, Timestamp(1_800_000_000_000));
        let count = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        assert!(cx.call_key().starts_with("key/"));
        Ok(count.into())
    }
}

#[tokio::test]
async fn a_call_that_is_made_again_goes_on_where_it_was_and_sees_the_same() {
    let host = host();
    let provider = Arc::new(Diary::default());
    host.add_provider(provider.clone()).unwrap();
    let info = host.install(&fixture("count"), &Grants::all()).unwrap();
    let diary = async |counts: u32, ledger: Arc<Memory>| {
        let args = json!({ "counts": counts });
        host.call_kept(&info.hash, "demo.diary:1.0.0", args, context(), ledger)
            .await
    };
    let whole = Arc::new(Memory::default());
    let first = diary(5, whole.clone()).await.unwrap();
    assert_eq!(provider.count.load(Ordering::SeqCst), 5);
    let entries = first.as_array().unwrap();
    let time = |entry: &Value| entry["time"].as_u64().unwrap();
    assert_eq!(time(&entries[0]), 1_700_000_000_000_000);
    // Each answer moves the clock on to when it came.
    assert!(
        (1..=5).all(|n| time(&entries[n]) / 1_000_000 == 1_700_000_000 + n as u64),
        "{first}"
    );

    // Everything is known: nothing is made, and everything is seen again.
    assert_eq!(diary(5, whole.after_a_crash(5)).await.unwrap(), first);
    assert_eq!(provider.count.load(Ordering::SeqCst), 5);
    // Three are known: the fourth and the fifth are made, and what came before is as it was.
    let later = diary(5, whole.after_a_crash(3)).await.unwrap();
    assert_eq!(provider.count.load(Ordering::SeqCst), 7);
    let seen = |diary: &Value, n: usize| {
        (
            diary[n]["count"].clone(),
            diary[n]["time"].clone(),
            diary[n]["chance"].clone(),
        )
    };
    assert!((0..=3).all(|n| seen(&later, n) == seen(&first, n)), "{later}");
    assert_eq!((&later[4]["count"], &later[5]["count"]), (&json!(6), &json!(7)));

    // What the ledger does not allow ends the call, whatever the guest would make of it.
    let problem = diary(2, whole.after_a_crash(3)).await.unwrap_err();
    assert_eq!(problem.title.as_deref(), Some("Too early"));
    let problem = diary(9, Arc::default()).await.unwrap_err();
    assert_eq!(problem.title.as_deref(), Some("Enough"));
    assert_eq!(provider.count.load(Ordering::SeqCst), 14);
}

#[test]
fn what_nobody_offers_is_refused_by_name() {
    let refused = host().install(&fixture("ungranted"), &Grants::all()).unwrap_err();
    assert!(
        matches!(&refused, InstallError::NoProvider { interface, .. } if interface == "potok:ungranted/nobody@1.0.0"),
        "{refused}"
    );
    let info = host().inspect(&fixture("ungranted"), None).unwrap();
    assert!(!info.pure && info.imports.iter().any(|import| import.kind == ImportKind::Unknown));
}

#[tokio::test]
async fn installing_is_all_or_nothing_and_a_version_is_a_promise() {
    let host = host();
    let demo = fixture("demo");
    let info = host.install(&demo, &Grants::none()).unwrap();
    assert!(Arc::ptr_eq(&info, &host.install(&demo, &Grants::none()).unwrap()));
    assert_eq!(host.install(&demo, &Grants::all()).unwrap(), info);
    assert_eq!(host.plugins().len(), 1);

    let other = potok_wasm::with_wit(&demo, info.wit.as_deref().unwrap_or("package potok:demo;"));
    let refused = host.install(&other, &Grants::none()).unwrap_err();
    assert!(matches!(refused, InstallError::VersionTaken { .. }), "{refused}");
    assert_eq!(host.plugins().len(), 1);
    assert_eq!(host.resolve(&"demo.add".parse().unwrap()).unwrap().component, info.hash);

    let running = tokio::spawn({
        let (host, hash) = (host.clone(), info.hash.clone());
        async move {
            host.call(&hash, "demo.sleep:1.0.0", json!({"milliseconds": 50}), context())
                .await
        }
    });
    tokio::task::yield_now().await;
    host.uninstall(&info.hash).unwrap();
    assert!(host.uninstall(&info.hash).is_err());
    running.await.unwrap().unwrap();
    let gone = host
        .call(&info.hash, "demo.add:1.0.0", json!({"number": 1}), context())
        .await
        .unwrap_err();
    assert!(gone.is(ErrorType::Configuration), "{gone}");
    host.install(&other, &Grants::none()).unwrap();
}

#[test]
fn names_resolve_or_offer_the_nearest() {
    let (host, hash) = demo();
    let resolve = |name: &str| {
        host.resolve(&name.parse().unwrap())
            .map(|function| function.canonical.clone())
    };
    assert_eq!(resolve("demo.add").unwrap(), "demo.add:1.0.0");
    assert_eq!(resolve("demo.add:1.0.0@default").unwrap(), "demo.add:1.0.0");
    let errors: Vec<_> = ["demo.ad", "mail.send", "demo.add:2.0.0", "demo.add@elsewhere"]
        .map(|n| resolve(n).unwrap_err().to_string())
        .into();
    insta::assert_snapshot!(errors.join("\n"), @r"
    there is no function 'demo.ad'; did you mean 'demo.add'?
    there is no function 'mail.send'
    there is no version 2.0.0 of the function 'demo.add'; installed: 1.0.0
    there is no catalog 'elsewhere'; plugins are in the catalog 'default'
    ");
    assert_eq!(host.function(hash, "demo.add:1.0.0").unwrap().name, "demo.add");
    assert!(host.function(hash, "demo.add:9.0.0").is_none());
}

#[test]
fn functions_are_described_by_their_wit() {
    let (host, hash) = demo();
    let info = host.plugins().into_iter().find(|plugin| plugin.hash == *hash).unwrap();
    assert_eq!((info.package.as_str(), info.version.as_str()), ("potok:demo", "1.0.0"));
    assert_eq!(
        info.docs.as_deref(),
        Some("Pure functions for tests and measurements: well-behaved ones and others.")
    );
    let described: Vec<_> = ["echo", "divide", "fail", "join", "nothing"]
        .map(|name| host.function(hash, &format!("demo.{name}:1.0.0")).unwrap())
        .into();
    let mut described = serde_json::to_value(described).unwrap();
    for function in described.as_array_mut().unwrap() {
        function.as_object_mut().unwrap().remove("component").unwrap();
    }
    insta::assert_json_snapshot!(described);
}

/// What the binary carries can be read, and says what it does.
#[test]
fn shipped_plugins_are_described() {
    let host = host();
    for component in potok_plugins::shipped() {
        let info = host.inspect(&component.decompress().unwrap(), None).unwrap();
        assert!(info.docs.is_some() && info.wit.is_some(), "{}", component.name);
        for function in &info.functions {
            assert!(function.docs.is_some(), "{}", function.canonical);
            assert_eq!(function.input_schema["type"], "object", "{}", function.canonical);
        }
    }
}

#[test]
fn hostile_bytes_are_refused() {
    let host = host();
    let demo = fixture("demo");
    let mut noise = b"\0asm\x0d\0\x01\0".to_vec();
    noise.extend((0..4096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8));
    let deep = format!(
        "package a:b; interface i {{ f: func(a: {}u8{}); }}",
        "list<".repeat(5000),
        ">".repeat(5000)
    );
    for bytes in [
        Vec::new(),
        b"hello".to_vec(),
        b"\0asm\x01\0\0\0".to_vec(),
        b"\0asm\x0d\0\x01\0".to_vec(),
        noise,
        demo[..demo.len() / 2].to_vec(),
        demo[..100].to_vec(),
        demo[8..].to_vec(),
    ] {
        let refused = host.install(&bytes, &Grants::all()).unwrap_err();
        assert!(
            matches!(
                refused,
                InstallError::NotAComponent(_) | InstallError::NoFunctions { .. }
            ),
            "{refused}"
        );
    }
    assert!(matches!(host.inspect(&demo, Some(&deep)), Err(InstallError::Wit(_))));
    assert!(matches!(
        host.inspect(&demo, Some("interface {")),
        Err(InstallError::Wit(_))
    ));
    // A text that lies or cannot be read costs the documentation, not the plugin.
    let described = host
        .install(&potok_wasm::with_wit(&demo, &deep), &Grants::none())
        .unwrap();
    assert!(described.functions.iter().all(|function| function.docs.is_none()));
}

/// A bit that flipped anywhere makes a component that is refused or one that works; never a panic.
#[test]
fn flipped_bits_panic_nowhere() {
    let host = Host::new(HostConfig {
        pool_instances: 4,
        ..HostConfig::default()
    })
    .unwrap();
    let count = fixture("ungranted");
    for step in 0..40 {
        let mut bytes = count.clone();
        let at = (step * 2_654_435_761_usize) % bytes.len();
        bytes[at] ^= 1 << (step % 8);
        let _ = host.inspect(&bytes, None);
    }
}

/// Compiled code that was damaged on disk is compiled again.
#[tokio::test]
async fn damaged_code_is_not_run() {
    let dir = tempfile::tempdir().unwrap();
    let config = || HostConfig {
        cache_dir: Some(dir.path().join("code")),
        pool_instances: 2,
        ..HostConfig::default()
    };
    let files = || -> Vec<PathBuf> {
        let entries = std::fs::read_dir(dir.path().join("code")).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    Host::new(config())
        .unwrap()
        .install(&fixture("demo"), &Grants::none())
        .unwrap();
    let whole = std::fs::read(&files()[0]).unwrap();
    assert_eq!(files().len(), 1);
    type Damage = fn(&mut Vec<u8>);
    let damages: [Damage; 4] = [
        |b| b.truncate(b.len() / 2),
        Vec::clear,
        |b| b[100] ^= 1,
        |b| *b = b"something else".to_vec(),
    ];
    for damage in damages {
        let mut bytes = whole.clone();
        damage(&mut bytes);
        std::fs::write(&files()[0], &bytes).unwrap();
        let host = Host::new(config()).unwrap();
        let hash = host.install(&fixture("demo"), &Grants::none()).unwrap().hash.clone();
        assert_eq!(
            host.call(&hash, "demo.add:1.0.0", json!({"number": 1}), context())
                .await
                .unwrap(),
            json!(2)
        );
        assert_ne!(std::fs::read(&files()[0]).unwrap(), bytes);
    }
}

mod jq {
    use super::*;
    use potok_expr::Jq;

    fn jq() -> &'static Arc<dyn Jq> {
        static JQ: OnceLock<Arc<dyn Jq>> = OnceLock::new();
        JQ.get_or_init(|| host().jq())
    }

    fn eval(filter: &str, input: Value) -> Result<Value, String> {
        jq().eval(filter, &input, &[])
    }

    #[test]
    fn filters_give_their_first_output() {
        assert_eq!(eval(".a | map(. * 2)", json!({"a": [1, 2]})), Ok(json!([2, 4])));
        assert_eq!(eval("empty", json!(1)), Ok(Value::Null));
        assert_eq!(eval("1, 2", json!(1)), Ok(json!(1)));
        assert_eq!(eval("10 / 2", json!(null)), Ok(json!(5)));
        assert_eq!(eval(r#"test("x"; "i")"#, json!("aXb")), Ok(json!(true)));
        assert_eq!(
            eval(r#"gsub("(?<d>[0-9])"; "<\(.d)>")"#, json!("a1b2")),
            Ok(json!("a<1>b<2>"))
        );
        assert_eq!(
            eval(".", json!([u64::MAX, i64::MIN, 0.1, 1e300])),
            Ok(json!([u64::MAX, i64::MIN, 0.1, 1e300]))
        );
        let variables = [("context", Arc::new(json!({"n": 1}))), ("x", Arc::new(json!(2)))];
        assert_eq!(jq().eval("$context.n + $x + .", &json!(3), &variables), Ok(json!(6)));
        assert_eq!(
            eval(r#"error("no")"#, json!(1)).map_err(|e| e.contains("no")),
            Err(true)
        );
    }

    #[test]
    fn what_does_not_compile_says_why() {
        assert_eq!(jq().check(".a | map(. + $x)", &["x"]), Ok(()));
        for bad in [".a |", "$nothing", "nothing(1)", "}{"] {
            assert!(jq().check(bad, &["x"]).is_err(), "{bad}");
            assert!(eval(bad, json!(1)).is_err(), "{bad}");
        }
    }

    /// Whatever ran before: the same expression on the same value ends the same way, and the next one works.
    #[test]
    fn hostile_filters_end_in_their_limits_and_always_the_same() {
        let doubling = format!(".{}", " | . + .".repeat(40));
        let deep = format!("{}1{}", "[".repeat(3000), "]".repeat(3000));
        let filters = [
            ("[repeat(1)]", ""),
            ("[range(1e12)]", ""),
            ("last(range(1e12))", "too long"),
            (doubling.as_str(), ""),
            ("def f: 1 + f; f", ""),
            ("def f: [f]; f", ""),
            (deep.as_str(), ""),
            ("reduce range(100000) as $i (0; [.])", ""),
            ("\"x\" * 100000000", "memory"),
        ];
        let first: Vec<_> = filters.iter().map(|(filter, _)| eval(filter, json!("ab"))).collect();
        assert_eq!(eval(". + 1", json!(1)), Ok(json!(2)));
        for (again, ((filter, expected), outcome)) in filters.iter().zip(&first).enumerate() {
            let message = outcome.as_ref().expect_err(filter);
            assert!(message.contains(expected), "{filter}: {message}");
            // Once in a warm instance, once more in whatever comes after it.
            assert_eq!(eval(". * 2", json!(again)), Ok(json!(again * 2)));
            assert_eq!(&eval(filter, json!("ab")), outcome, "{filter}");
        }
        let messages: Vec<_> = filters
            .iter()
            .zip(&first)
            .map(|((filter, _), m)| format!("{:.40}: {}", filter, m.as_ref().unwrap_err()))
            .collect();
        insta::assert_snapshot!(messages.join("\n"));
    }

    #[test]
    fn many_threads_share_the_instances() {
        std::thread::scope(|scope| {
            for thread in 0..8 {
                scope.spawn(move || {
                    for number in 0..50 {
                        assert_eq!(
                            eval(&format!(".n + {thread}"), json!({ "n": number })),
                            Ok(json!(number + thread))
                        );
                    }
                });
            }
        });
        for number in 0..2000 {
            assert_eq!(eval(&format!(". + {number}"), json!(1)), Ok(json!(number + 1)));
        }
    }
}
