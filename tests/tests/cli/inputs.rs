//! Input from the command line, from files and from standard input; and inputs that are too much.

use serde_json::json;

use crate::rig::Potok;

fn echo() -> Potok {
    let potok = Potok::new();
    potok.workflow("echo", "  - echo: { set: '${ . }' }");
    potok
}

#[tokio::test]
async fn input_comes_in_place_from_a_file_and_from_standard_input() {
    let potok = echo();
    let value = json!({ "who": "ты", "n": [1, 2.5, null] });
    let text = value.to_string();
    potok.write("input.json", &text);
    assert_eq!(potok.run(&["run", "echo.yaml", "--input", &text]).await.json(), value);
    assert_eq!(
        potok.run(&["run", "echo.yaml", "--input", "@input.json"]).await.json(),
        value
    );
    assert_eq!(
        potok
            .run_with_stdin(&["run", "echo.yaml", "--input", "@-"], text.as_bytes())
            .await
            .json(),
        value
    );
    assert_eq!(potok.run(&["run", "echo.yaml"]).await.json(), json!({}));
    let cut = potok
        .run_with_stdin(&["run", "echo.yaml", "--input", "@-"], b"{")
        .await
        .refused(3);
    assert!(cut.contains("standard input is not JSON"), "{cut}");
}

#[tokio::test]
async fn a_file_becomes_a_blob_under_its_name_in_the_input() {
    let potok = echo();
    potok.write("a.txt", "abc");
    potok.write("b.txt", "abcd");
    let ran = potok
        .run(&[
            "run",
            "echo.yaml",
            "--input",
            r#"{"x": 1}"#,
            "--file",
            "a=a.txt",
            "--file",
            "b=b.txt",
        ])
        .await
        .json();
    let a = "blob:sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let b = "blob:sha256:88d4266fd4e6338d13b845fcf289579d209c897823b9217da3e161936f031589";
    assert_eq!(ran, json!({ "x": 1, "a": a, "b": b }));
}

#[tokio::test]
async fn a_large_value_comes_back_whole() {
    let potok = echo();
    let value = json!({ "text": "x".repeat(5_000_000) });
    potok.write("large.json", value.to_string());
    assert_eq!(
        potok.run(&["run", "echo.yaml", "--input", "@large.json"]).await.json(),
        value
    );
}

#[tokio::test]
async fn a_huge_input_is_refused() {
    let potok = echo();
    potok.write("huge.json", format!("\"{}\"", "x".repeat(64 << 20)));
    let told = potok
        .run(&["run", "echo.yaml", "--input", "@huge.json"])
        .await
        .refused(3);
    assert!(told.contains("huge.json is over the ceiling of 64 MiB"), "{told}");
}

#[tokio::test]
async fn deep_json_is_refused_and_what_is_not_so_deep_is_not() {
    let potok = echo();
    let nested = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    potok.run(&["run", "echo.yaml", "--input", &nested(100)]).await.json();
    for depth in [200, 20_000] {
        let told = potok
            .run(&["run", "echo.yaml", "--input", &nested(depth)])
            .await
            .refused(3);
        assert!(told.contains("recursion limit") || told.contains("deep"), "{told}");
    }
}

/// A workflow cannot build what could not have come in.
#[tokio::test]
async fn a_value_that_grows_too_deep_or_too_large_faults_its_run() {
    let potok = Potok::new();
    let deeper = "  - deeper:\n      for: { each: n, in: '${ [range(200)] }' }\n      do:\n        - wrap: { set: { a: '${ . }' } }";
    potok.workflow("deep", deeper);
    let problem = potok.run(&["run", "deep.yaml"]).await.problem();
    assert!(problem["detail"].as_str().unwrap().contains("128"), "{problem}");
    potok.workflow("large", "  - large: { set: { text: '${ [range(1000000000000)] }' } }");
    let problem = potok.run(&["run", "large.yaml"]).await.problem();
    assert_eq!(problem["status"], 400, "{problem}");
}
