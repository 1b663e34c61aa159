//! `potok secret`, and what a command says of secrets that are missing, not granted, or sealed with another key.

use crate::rig::Potok;

const ECHO: &str = "
document: { dsl: '1.0.3', namespace: tests, name: echo, version: '1.0.0' }
use: { secrets: [first, my-key] }
do:
  - join: { call: demo.join, with: { texts: ['${ $secrets.first }', '${ $secrets[\"my-key\"].token }'], separator: '-' } }
  - length: { set: { text: '${ . }' } }
";

async fn set(potok: &Potok, name: &str, value: &str) {
    let set = potok
        .run_with_stdin(&["secret", "set", name, "--data-dir", "data"], value.as_bytes())
        .await;
    assert_eq!(set.success(), "");
}

#[tokio::test]
async fn secrets_are_set_listed_and_removed_and_never_shown() {
    let potok = Potok::new();
    set(&potok, "first", "the-first-value\n").await;
    potok.write("value", "{\"token\": \"the-second-value\"}");
    let from_file = ["secret", "set", "my-key", "--from-file", "value", "--data-dir", "data"];
    assert_eq!(potok.run(&from_file).await.success(), "");
    let replaced = potok.run(&from_file).await;
    assert!(replaced.err.contains("replaced my-key"), "{replaced:?}");
    let listed = potok.run(&["secret", "list", "--data-dir", "data"]).await.success();
    let lines: Vec<&str> = listed.lines().collect();
    assert!(
        lines[0].starts_with("first  version 1") && lines[1].starts_with("my-key  version 2"),
        "{listed}"
    );
    let list = potok
        .run(&["secret", "list", "--json", "--data-dir", "data"])
        .await
        .json();
    assert_eq!((&list[1]["name"], &list[1]["version"]), (&"my-key".into(), &2.into()));
    potok
        .run(&["secret", "remove", "first", "--data-dir", "data"])
        .await
        .success();
    let missing = potok
        .run(&["secret", "remove", "first", "--data-dir", "data"])
        .await
        .refused(3);
    assert!(missing.contains("no secret 'first'"), "{missing}");
    for (arguments, said) in [
        (
            &["secret", "set", "a/b", "--data-dir", "data"][..],
            "not a secret's name",
        ),
        (
            &["secret", "set", "x", "--from-file", "no-such", "--data-dir", "data"],
            "cannot read no-such",
        ),
        (&["secret", "set", "x", "--data-dir", "data"], "empty"),
    ] {
        let refused = potok.run(arguments).await.refused(3);
        assert!(refused.contains(said), "{refused}");
    }
    let short = potok
        .run_with_stdin(&["secret", "set", "pin", "--data-dir", "data"], b"12")
        .await;
    assert!(short.code == Some(0) && short.err.contains("warning"), "{short:?}");
    let unknown = potok.run(&["secret", "get", "first"]).await;
    assert_eq!(unknown.code, Some(3), "there is no way to read a secret back");
}

#[tokio::test]
async fn a_secret_must_be_there_and_granted() {
    let potok = Potok::with_demo().await;
    potok.write("echo.yaml", ECHO);
    let validated = potok.run(&["validate", "echo.yaml", "--data-dir", "data"]).await;
    assert_eq!(validated.code, Some(0), "{validated:?}");
    for name in ["first", "my-key"] {
        let warning = format!("warning: the secret '{name}' is not set here");
        assert!(validated.err.contains(&warning), "{validated:?}");
    }
    let run = ["run", "echo.yaml", "--data-dir", "data"];
    let problem = potok.run(&run).await.problem();
    let ungranted = problem["detail"].as_str().unwrap();
    assert!(
        problem["status"] == 403 && ungranted.contains("grant 'secret:first'"),
        "{problem}"
    );

    let add = [
        "plugin",
        "add",
        "demo.wasm",
        "--grant",
        "secret:*",
        "--data-dir",
        "data",
    ];
    potok.run(&add).await.success();
    let problem = potok.run(&run).await.problem();
    let missing = problem["detail"].as_str().unwrap();
    assert!(
        problem["status"] == 403 && missing.contains("there is no secret 'first'"),
        "{problem}"
    );
    assert!(
        missing.contains("POTOK_SECRETS_FIRST") && missing.contains("potok secret set first"),
        "{problem}"
    );

    set(&potok, "first", "the-first-value").await;
    let potok = potok.with("POTOK_SECRETS_MY_KEY", "{\"token\": \"the-second-value\"}");
    let output = potok.run(&run).await.json();
    assert_eq!(output["text"], "[secret:first]-[secret:my-key.token]");
    // What is kept is there for a run that is not.
    let potok = potok.with("POTOK_DATA_DIR", "data");
    assert_eq!(potok.run(&["run", "echo.yaml"]).await.json()["text"], output["text"]);
    let validated = potok.run(&["validate", "echo.yaml"]).await;
    assert!(!validated.err.contains("warning"), "{validated:?}");
}

#[tokio::test]
async fn another_key_is_told_from_a_missing_secret() {
    let potok = Potok::with_demo().await;
    potok.write("echo.yaml", ECHO);
    set(&potok, "first", "the-first-value").await;
    let key = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
    let potok = potok.with("POTOK_SECRETS_KEY", key);
    let validated = potok.run(&["validate", "echo.yaml", "--data-dir", "data"]).await;
    assert!(validated.err.contains("was sealed with the key"), "{validated:?}");
    let shown = potok.run(&["config"]).await.success();
    assert!(shown.contains("secrets.key = ") && !shown.contains(key), "{shown}");
    let potok = potok.with("POTOK_SECRETS_KEY", "too short");
    let bad = potok
        .run_with_stdin(&["secret", "set", "x", "--data-dir", "data"], b"value")
        .await
        .refused(1);
    assert!(bad.contains("is no key") && bad.contains("openssl rand"), "{bad}");
}
