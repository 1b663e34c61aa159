//! What a run ends with: its exit code, and what it leaves on which stream.

use serde_json::{Value, json};

use crate::rig::Potok;

const GREET: &str = "  - greet: { set: { greeting: '${ \"hello \" + .name }' } }";

#[tokio::test]
async fn a_completed_run_is_0_with_its_output_on_stdout_and_nothing_else() {
    let potok = Potok::new();
    potok.workflow("greet", GREET);
    let ran = potok.run(&["run", "greet.yaml", "--input", r#"{"name": "you"}"#]).await;
    assert!(ran.err.contains("done     greet  /do/0/greet"), "{ran:?}");
    assert_eq!(ran.json(), json!({ "greeting": "hello you" }));
    assert_eq!(
        std::fs::read_dir(potok.path("")).unwrap().count(),
        1,
        "a run without --data-dir leaves nothing behind"
    );
}

#[tokio::test]
async fn a_faulted_run_is_1_with_the_problem_on_stderr() {
    let potok = Potok::new();
    potok.workflow(
        "shop",
        "  - sell:\n      raise:\n        error: { type: 'urn:shop:empty', status: 404, title: Empty, detail: 'The shelf is empty.' }",
    );
    let problem = potok.run(&["run", "shop.yaml"]).await.problem();
    let expected = json!({
        "type": "urn:shop:empty", "status": 404, "title": "Empty", "detail": "The shelf is empty.", "instance": "/do/0/sell",
    });
    assert_eq!(problem, expected);
}

#[tokio::test]
async fn an_invalid_definition_is_2_with_line_column_and_the_line_itself() {
    let potok = Potok::new();
    potok.workflow("typo", "  - greet: { sett: { greeting: hello } }");
    let said = potok.run(&["run", "typo.yaml"]).await.refused(2);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(
        lines[0], "typo.yaml:3:14: unknown property 'sett' in task 'greet'; did you mean 'set'?",
        "{said}"
    );
    assert_eq!(lines[1], "    3 |   - greet: { sett: { greeting: hello } }", "{said}");
    assert_eq!(lines[2].find('^'), lines[1].find("sett"), "{said}");
}

#[tokio::test]
async fn an_unusable_command_line_is_3() {
    let potok = Potok::new();
    potok.workflow("greet", GREET);
    for (arguments, said) in [
        (&["run", "greet.yaml", "--input", "{name"][..], "--input is not JSON"),
        (
            &["run", "greet.yaml", "--input", "@absent.json"],
            "cannot read absent.json",
        ),
        (
            &["run", "greet.yaml", "--input", "@greet.yaml"],
            "greet.yaml is not JSON",
        ),
        (&["run", "absent.yaml"], "cannot read absent.yaml"),
        (
            &["run", "greet.yaml", "--file", "book"],
            "--file takes NAME=PATH, not 'book'",
        ),
        (
            &["run", "greet.yaml", "--file", "=x"],
            "--file takes NAME=PATH, not '=x'",
        ),
        (&["run", "greet.yaml", "--file", "book=absent"], "cannot read absent"),
        (
            &["run", "greet.yaml", "--input", "5", "--file", "book=greet.yaml"],
            "--file needs an input that is an object",
        ),
        (
            &["run", "greet.yaml", "--trace", "absent/trace"],
            "cannot write absent/trace",
        ),
        (&["call", "text.absent"], "there is no function 'text.absent'"),
        (&["call", "text.splt"], "did you mean 'text.split'?"),
        (&["call", "not a name"], "'not a name' is not a function name"),
        (
            &["--config", "absent.toml", "config"],
            "the configuration file absent.toml cannot be read",
        ),
        (&["--config", "greet.yaml", "config"], "greet.yaml is not valid TOML"),
    ] {
        let told = potok.run(arguments).await.refused(3);
        assert!(
            told.starts_with("potok: ") && told.contains(said),
            "{arguments:?}: {told}"
        );
        assert_eq!(told.matches(said).count(), 1, "said twice: {told}");
    }
}

#[tokio::test]
async fn an_unknown_command_or_flag_is_3_and_points_to_the_help() {
    let potok = Potok::new();
    for (arguments, said) in [
        (&["frobnicate"][..], "unrecognized subcommand 'frobnicate'"),
        (&["run", "x.yaml", "--frobnicate"], "unexpected argument '--frobnicate'"),
        (&["run"], "<FILE>"),
        (&["validate"], "<FILES>..."),
        (&["plugin"], "inspect"),
        (&[], "Usage: potok [OPTIONS] <COMMAND>"),
    ] {
        let told = potok.run(arguments).await.refused(3);
        assert!(
            told.contains(said) && told.contains("Usage: potok") && told.contains("--help"),
            "{arguments:?}: {told}"
        );
    }
}

#[tokio::test]
async fn an_interrupted_run_is_4() {
    let potok = Potok::new();
    potok.workflow("nap", "  - first: { set: { a: 1 } }\n  - nap: { wait: { minutes: 5 } }");
    let mut running = potok.start(&["run", "nap.yaml", "--trace", "trace.jsonl"]);
    running.told("done     first").await;
    running.signal("INT");
    let (code, out, err) = running.ended().await;
    assert_eq!((code, out.as_str()), (Some(4), ""), "{err}");
    assert!(err.contains("potok: the run was cancelled"), "{err}");
    let trace = std::fs::read_to_string(potok.path("trace.jsonl")).unwrap();
    assert!(trace.contains(r#""event":"cancelled""#), "{trace}");
}

#[tokio::test]
async fn a_trace_has_a_line_for_each_task_event() {
    let potok = Potok::new();
    potok.workflow(
        "each",
        "  - twice:\n      for: { each: n, in: '${ [1, 2] }' }\n      do:\n        - note: { set: { n: '${ $n }' } }\n  - not: { if: '${ false }', set: { a: 1 } }",
    );
    potok.run(&["run", "each.yaml", "--trace", "trace.jsonl"]).await.json();
    let trace = std::fs::read_to_string(potok.path("trace.jsonl")).unwrap();
    let lines: Vec<Value> = trace.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        let keys: Vec<_> = line.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["time", "event", "reference", "path"], "{line}");
        let time = line["time"].as_str().unwrap();
        assert!(
            time.len() > 19 && time.ends_with('Z') && time.as_bytes()[10] == b'T',
            "{line}"
        );
    }
    let seen: Vec<_> = lines
        .iter()
        .map(|l| {
            ["event", "reference", "path"]
                .map(|key| l[key].as_str().unwrap())
                .join(" ")
        })
        .collect();
    insta::assert_snapshot!("trace", seen.join("\n"));
}
