//! Broken files, and what is said about them.

use crate::rig::Potok;

/// Line 14 has the call.
const GRPC: &str = "\
document:
  dsl: '1.0.3'
  namespace: tests
  name: orders
  version: '1.0.0'
  title: Asks for an order

do:
  - greet:
      set:
        said: hello

  - order:
      call: grpc
      with:
        proto: { endpoint: https://shop.example.com/order.proto }
        service: { name: Orders, host: shop.example.com }
        method: Next
";

#[tokio::test]
async fn what_is_not_executed_yet_is_refused_with_its_line() {
    let potok = Potok::new();
    potok.write("orders.yaml", GRPC);
    for command in ["run", "validate"] {
        let told = potok.run(&[command, "orders.yaml"]).await.refused(2);
        assert!(told.contains("not supported yet: call: grpc (line 14)"), "{told}");
        assert!(
            told.contains("orders.yaml:14:7:") && told.contains("   14 |       call: grpc"),
            "{told}"
        );
    }
}

#[tokio::test]
async fn broken_files_are_shown_where_they_are_broken() {
    let deep = format!(
        "  - deep: {{ set: {{ x: {}{} }} }}",
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    let mut aliases = "x0: &x0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
    for level in 1..9 {
        let alias = format!("*x{}, ", level - 1).repeat(9);
        aliases.push_str(&format!("x{level}: &x{level} [{alias}1]\n"));
    }
    let header = "document: { dsl: '1.0.3', namespace: tests, name: broken, version: '1.0.0' }\n";
    let mut told = String::new();
    for (name, text) in [
        ("empty", String::new()),
        ("scalar", "hello".to_owned()),
        ("unclosed", format!("{header}do: [ a: {{ set: {{ x: 1 }} }}\n")),
        ("tabs", format!("{header}do:\n\t- a: {{ set: {{ x: 1 }} }}\n")),
        ("no-document", "do:\n  - a: { set: { x: 1 } }\n".to_owned()),
        (
            "twice",
            format!("{header}do:\n  - a: {{ set: {{ x: 1 }} }}\ndo:\n  - b: {{ set: {{ x: 1 }} }}\n"),
        ),
        (
            "version",
            "document: { dsl: '3.0.0', namespace: a, name: b, version: one }\ndo:\n  - a: { set: { x: 1 } }\n"
                .to_owned(),
        ),
        (
            "typo",
            format!("{header}schedule:\n  evry: {{ hours: 1 }}\ndo:\n  - a: {{ set: {{ x: 1 }} }}\n"),
        ),
        (
            "two-kinds",
            format!("{header}do:\n  - a: {{ set: {{ x: 1 }}, wait: {{ seconds: 1 }} }}\n"),
        ),
        (
            "expression",
            format!("{header}do:\n  - a: {{ set: {{ x: '${{ .a | }}' }} }}\n"),
        ),
        (
            "nowhere",
            format!("{header}do:\n  - a: {{ set: {{ x: 1 }}, then: elsewhere }}\n"),
        ),
        (
            "function",
            format!("{header}do:\n  - a: {{ call: text.splt, with: {{}} }}\n"),
        ),
        ("deep", format!("{header}do:\n{deep}\n")),
        (
            "aliases",
            format!("{aliases}{header}do:\n  - a: {{ set: {{ x: *x8 }} }}\n"),
        ),
    ] {
        let potok = Potok::new();
        let file = format!("{name}.yaml");
        potok.write(&file, text);
        told.push_str(&format!("{}\n", potok.run(&["validate", &file]).await.refused(2)));
    }
    insta::assert_snapshot!("broken", told);
}

#[tokio::test]
async fn a_file_that_is_no_text_is_refused() {
    let potok = Potok::new();
    potok.write("latin.yaml", b"document:\n  dsl: '\xff'\n");
    let told = potok.run(&["validate", "latin.yaml"]).await.refused(2);
    assert!(
        told.starts_with("latin.yaml:2:9: this is not UTF-8 text; save the file as UTF-8"),
        "{told}"
    );
}

#[tokio::test]
async fn every_file_gets_its_verdict() {
    let potok = Potok::new();
    potok.workflow("good", "  - a: { set: { x: 1 } }");
    potok.workflow("bad", "  - a: { st: { x: 1 } }");
    potok.workflow("better", "  - a: { set: { x: 1 } }");
    let ran = potok.run(&["validate", "good.yaml", "bad.yaml", "better.yaml"]).await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    let good = "good.yaml: tests/good:1.0.0 is valid\nbetter.yaml: tests/better:1.0.0 is valid\n";
    assert_eq!(ran.out, good);
    assert!(
        ran.err.starts_with("bad.yaml:3:10: unknown property 'st' in task 'a'"),
        "{ran:?}"
    );
    assert_eq!(
        potok.run(&["validate", "good.yaml", "better.yaml"]).await.success(),
        good
    );
    let absent = potok.run(&["validate", "good.yaml", "absent.yaml"]).await;
    assert_eq!(absent.code, Some(3), "{absent:?}");
}
