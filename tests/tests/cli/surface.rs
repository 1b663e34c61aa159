//! `functions`, `graph` and `config`.

use std::fs;

use crate::rig::{Potok, repository};

#[tokio::test]
async fn functions_are_listed_with_what_they_do() {
    let potok = Potok::new();
    let text = potok.run(&["functions"]).await.success();
    for function in [
        "book.extract:1.0.0",
        "text.split:1.0.0",
        "content.summarize:1.0.0",
        "telegram.post:1.0.0",
    ] {
        let line = text
            .lines()
            .find(|line| line.starts_with(function))
            .unwrap_or_else(|| panic!("no {function}: {text}"));
        assert!(line.len() > function.len() + 10, "{line}");
    }
    let json = potok.run(&["functions", "--json"]).await.json();
    let listed = json.as_array().unwrap();
    assert_eq!(listed.len(), text.lines().count());
    for function in listed {
        assert!(
            function["inputSchema"].is_object() && function["docs"].is_string(),
            "{function}"
        );
    }
}

#[tokio::test]
async fn plugins_are_listed_as_json_too() {
    let json = Potok::new().run(&["plugin", "list", "--json"]).await.json();
    let packages: Vec<_> = json
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["package"].as_str().unwrap())
        .collect();
    for package in ["potok:book", "potok:text", "potok:content", "potok:telegram"] {
        assert!(packages.contains(&package), "{packages:?}");
    }
}

#[tokio::test]
async fn every_shipped_workflow_is_valid_and_can_be_drawn() {
    let potok = Potok::new();
    let mut seen = 0;
    for entry in fs::read_dir(repository().join("workflows")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml")
            || path.display().to_string().ends_with(".test.yaml")
        {
            continue;
        }
        seen += 1;
        let file = path.display().to_string();
        let valid = potok.run(&["validate", &file]).await.success();
        assert!(valid.ends_with(" is valid\n"), "{valid}");
        let drawn = potok.run(&["graph", &file]).await.success();
        assert!(drawn.contains("flowchart TD") && drawn.contains("-->"), "{drawn}");
    }
    assert!(seen > 0, "there is no workflow");
}

#[tokio::test]
async fn a_workflow_is_drawn_with_its_branches() {
    let potok = Potok::new();
    potok.workflow(
        "branches",
        "  - ask:
      switch:
        - yes: { when: '${ .ok }', then: good }
        - no: { then: bad }
  - good: { set: { x: 1 }, then: end }
  - bad: { raise: { error: { type: 'urn:a:b', status: 400, title: \"it's \\\"bad\\\"\" } } }",
    );
    insta::assert_snapshot!("graph", potok.run(&["graph", "branches.yaml"]).await.success());
    potok.workflow("typo", "  - a: { st: 1 }");
    potok.run(&["graph", "typo.yaml"]).await.refused(2);
    potok.run(&["graph", "absent.yaml"]).await.refused(3);
}

const CONFIG: &str = r#"
data_dir = "here"
[ai]
api_key = "sk-secret-1"
model = "from-the-file"
[telegram.bots]
main = "1:secret-2"
"#;

#[tokio::test]
async fn the_configuration_tells_where_it_comes_from_and_keeps_its_secrets() {
    let potok = Potok::new()
        .with("POTOK_AI_MODEL", "from-a-variable")
        .with("POTOK_TELEGRAM_BOTS_OTHER", "2:secret-3");
    potok.write("potok.toml", CONFIG);
    let shown = potok.run(&["config"]).await.success();
    assert!(!shown.contains("secret-"), "{shown}");
    let line = |key: &str| {
        let line = shown.lines().find(|line| line.starts_with(&format!("{key} = ")));
        line.unwrap_or_else(|| panic!("no {key}: {shown}"))
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(line("data_dir"), r#"data_dir = "here" # potok.toml"#);
    assert_eq!(line("ai.model"), r#"ai.model = "from-a-variable" # $POTOK_AI_MODEL"#);
    assert_eq!(line("ai.timeout"), "ai.timeout = 120 # default");
    assert_eq!(line("ai.api_key"), r#"ai.api_key = "…" # potok.toml"#);
    assert_eq!(line("telegram.bots.main"), r#"telegram.bots.main = "…" # potok.toml"#);
    assert_eq!(
        line("telegram.bots.other"),
        r#"telegram.bots.other = "…" # $POTOK_TELEGRAM_BOTS_OTHER"#
    );
    // The file that is named takes the place of the one that is here.
    potok.write("other.toml", "data_dir = 'there'");
    let shown = potok.run(&["--config", "other.toml", "config"]).await.success();
    assert!(
        shown.contains("there") && shown.contains("# other.toml") && !shown.contains("potok.toml"),
        "{shown}"
    );
}

/// A secret under a name with a typing error is still a secret.
#[tokio::test]
async fn an_unknown_key_is_bad_usage_and_named() {
    for (text, key) in [
        ("data_dr = 'x'", "data_dr"),
        ("[ai]\napi_kye = 'sk-secret'", "api_kye"),
        ("[node]\ncalls = 'many'", "calls"),
    ] {
        let potok = Potok::new();
        potok.write("potok.toml", text);
        let ran = potok.run(&["config"]).await;
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert!(ran.err.contains(key), "{ran:?}");
        assert!(
            !ran.out.contains("sk-secret") && !ran.err.contains("sk-secret"),
            "{ran:?}"
        );
    }
}
