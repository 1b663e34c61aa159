//! Plugins: looked at, added, listed; and plugins that misbehave.

use serde_json::{Value, json};

use crate::rig::{Potok, fixture};

#[tokio::test]
async fn a_component_is_inspected_without_being_installed() {
    let potok = Potok::new();
    potok.write("demo.wasm", fixture("demo"));
    let info = potok.run(&["plugin", "inspect", "demo.wasm"]).await.json();
    assert_eq!(
        (&info["package"], &info["version"], &info["pure"]),
        (&json!("potok:demo"), &json!("1.0.0"), &json!(true))
    );
    let functions: Vec<_> = info["functions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["name"].as_str().unwrap())
        .collect();
    assert!(
        functions.contains(&"demo.add") && functions.contains(&"demo.echo"),
        "{functions:?}"
    );
    let list = potok.run(&["plugin", "list"]).await.success();
    assert!(!list.contains("potok:demo"), "{list}");
}

#[tokio::test]
async fn what_a_component_wants_is_shown() {
    let potok = Potok::new();
    potok.write("wants.wasm", fixture("ungranted"));
    let info = potok.run(&["plugin", "inspect", "wants.wasm"]).await.json();
    assert_eq!(info["imports"][0]["interface"], "potok:ungranted/nobody", "{info}");
    assert_eq!(info["pure"], false, "{info}");
}

#[tokio::test]
async fn an_added_plugin_is_listed_and_callable_afterwards() {
    let potok = Potok::with_demo().await;
    let list = potok.run(&["plugin", "list", "--data-dir", "data"]).await.success();
    let line = list.lines().find(|line| line.starts_with("potok:demo@1.0.0")).unwrap();
    assert!(line.contains("  pure  ") && line.contains(" demo.add "), "{line}");
    let functions = potok.run(&["functions", "--data-dir", "data"]).await.success();
    let line = functions
        .lines()
        .find(|line| line.starts_with("demo.add:1.0.0 "))
        .unwrap();
    assert!(line.ends_with(" Adds one."), "{line}");
    let call = ["call", "demo.add", "--data-dir", "data", "--input", r#"{"number": 41}"#];
    assert_eq!(potok.run(&call).await.json(), 42);
    potok.workflow("adds", "  - add: { call: demo.add, with: { number: '${ .n }' } }");
    let run = ["run", "adds.yaml", "--data-dir", "data", "--input", r#"{"n": 1}"#];
    assert_eq!(potok.run(&run).await.json(), 2);
    // The same bytes again change nothing.
    potok
        .run(&["plugin", "add", "demo.wasm", "--data-dir", "data"])
        .await
        .success();
    // Somewhere else it is not installed.
    potok
        .run(&["call", "demo.add", "--input", r#"{"number": 1}"#])
        .await
        .refused(3);
}

#[tokio::test]
async fn what_was_added_without_a_directory_is_there_for_runs_without_one() {
    let potok = Potok::new();
    potok.write("demo.wasm", fixture("demo"));
    potok.run(&["plugin", "add", "demo.wasm"]).await.success();
    let call = ["call", "demo.add", "--input", r#"{"number": 41}"#];
    assert_eq!(potok.run(&call).await.json(), 42);
    potok.workflow("adds", "  - add: { call: demo.add, with: { number: '${ .n }' } }");
    potok.run(&["validate", "adds.yaml"]).await.success();
    assert_eq!(
        potok.run(&["run", "adds.yaml", "--input", r#"{"n": 1}"#]).await.json(),
        2
    );
}

#[tokio::test]
async fn what_is_no_component_is_refused() {
    let potok = Potok::new();
    potok.write("no.wasm", b"hello");
    potok.write("module.wasm", b"\0asm\x01\0\0\0");
    for file in ["no.wasm", "module.wasm"] {
        let told = potok.run(&["plugin", "inspect", file]).await.refused(3);
        assert!(
            told.contains(file) && told.contains("not a WebAssembly component"),
            "{told}"
        );
        let ran = potok.run(&["plugin", "add", file, "--data-dir", "data"]).await;
        assert!(matches!(ran.code, Some(1 | 3)) && ran.out.is_empty(), "{ran:?}");
        assert!(ran.err.contains("not a WebAssembly component"), "{ran:?}");
    }
    potok.run(&["plugin", "inspect", "absent.wasm"]).await.refused(3);
}

#[tokio::test]
async fn an_import_that_was_not_granted_is_refused_by_name() {
    let potok = Potok::new();
    potok.write("wants.wasm", fixture("ungranted"));
    potok.write("count.wasm", fixture("count"));
    for (file, interface) in [
        ("wants.wasm", "potok:ungranted/nobody"),
        ("count.wasm", "potok:test/counter"),
    ] {
        let problem = potok
            .run(&["plugin", "add", file, "--data-dir", "data"])
            .await
            .problem();
        assert!(problem["detail"].as_str().unwrap().contains(interface), "{problem}");
    }
    let list = potok.run(&["plugin", "list", "--data-dir", "data"]).await.success();
    assert!(!list.contains("ungranted") && !list.contains("test:demo"), "{list}");
}

/// The shipped plugins get what the configuration grants: without `ai` the one that needs it is refused, by name.
#[tokio::test]
async fn a_shipped_plugin_gets_nothing_that_is_not_granted() {
    let potok = Potok::new().with("POTOK_PLUGINS_GRANTS", r#"["blob", "library", "telegram"]"#);
    let ran = potok.run(&["functions"]).await;
    assert_ne!(ran.code, Some(0), "{ran:?}");
    assert!(
        ran.err.contains("content") && ran.err.contains("potok:ai/chat"),
        "{ran:?}"
    );
}

async fn misbehaves(potok: &Potok, function: &str, input: &str) -> Value {
    potok
        .run(&["call", function, "--data-dir", "data", "--input", input])
        .await
        .problem()
}

fn detail(problem: &Value) -> &str {
    problem["detail"].as_str().unwrap()
}

#[tokio::test]
async fn a_plugin_that_misbehaves_is_an_error_of_its_step() {
    let potok = Potok::with_demo().await.with("POTOK_NODE_CALL_TIMEOUT", "3");

    let trap = misbehaves(&potok, "demo.trap", r#"{"message": "ouch"}"#).await;
    assert!(trap["type"].as_str().unwrap().ends_with("/errors/runtime"), "{trap}");
    assert!(
        detail(&trap).contains("demo.trap") && detail(&trap).contains("ouch"),
        "{trap}"
    );
    let frames = trap["data"]["backtrace"].as_array().unwrap();
    assert!(
        frames.iter().any(|frame| frame.as_str().unwrap().ends_with("#trap")),
        "{trap}"
    );

    let spin = misbehaves(&potok, "demo.spin", "{}").await;
    assert!(
        spin["type"].as_str().unwrap().ends_with("/errors/timeout") && spin["status"] == 408,
        "{spin}"
    );
    assert!(
        detail(&spin).contains("demo.spin") && detail(&spin).contains("had not finished after 3."),
        "{spin}"
    );

    let memory = misbehaves(&potok, "demo.eat-memory", "{}").await;
    assert_eq!(memory["title"], "Memory limit reached");
    assert!(detail(&memory).contains("256 MiB"), "{memory}");

    let large = misbehaves(&potok, "demo.large", r#"{"bytes": 100000000}"#).await;
    assert_eq!(large["title"], "Result too large");
    assert!(detail(&large).contains("64 MiB"), "{large}");

    let stack = misbehaves(&potok, "demo.recurse", r#"{"depth": 0}"#).await;
    assert!(stack["type"].as_str().unwrap().ends_with("/errors/runtime"), "{stack}");
    // A guest's stack lies in its memory: where it ends, an access is out of bounds. The backtrace shows the recursion.
    assert!(
        detail(&stack).contains("demo.recurse") && detail(&stack).contains("trapped"),
        "{stack}"
    );
    assert!(
        stack["data"]["backtrace"][1].as_str().unwrap().contains("recurse"),
        "{stack}"
    );

    let own = misbehaves(&potok, "demo.divide", r#"{"dividend": 1, "divisor": 0}"#).await;
    assert_eq!(own["type"], "urn:potok:demo:by-zero");
}

#[tokio::test]
async fn arguments_of_the_wrong_shape_are_named() {
    let potok = Potok::with_demo().await;
    for (input, said) in [
        (r#"{"numbr": 1}"#, "numbr"),
        ("{}", "number"),
        (r#"{"number": "one"}"#, "one"),
        (r#"{"number": 1.5}"#, "1.5"),
        (r#"{"number": 99999999999999999999}"#, "9223372036854775807"),
        ("[]", "object"),
    ] {
        let problem = misbehaves(&potok, "demo.add", input).await;
        assert!(
            problem["type"].as_str().unwrap().ends_with("/errors/validation"),
            "{problem}"
        );
        assert!(
            problem["status"] == 400 && detail(&problem).contains(said),
            "{input}: {problem}"
        );
    }
}
