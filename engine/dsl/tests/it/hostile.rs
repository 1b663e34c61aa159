//! Text that means harm, and text that was only hurt: always a diagnostic, never a panic, an overflow or a long wait.

use std::sync::LazyLock;

use proptest::{prelude::*, sample::Index};
use serde_json::Value;

use super::files;

/// What must hold of any answer.
fn check(bytes: &[u8]) {
    match potok_dsl::parse_bytes("hostile.yaml", bytes) {
        Ok(parsed) => {
            assert_eq!(parsed.workflow.to_value(), *parsed.document);
            let _ = potok_dsl::unsupported(&parsed.workflow);
            assert!(potok_dsl::graph(&parsed.workflow).starts_with("---\ntitle: "));
        }
        Err(diagnostics) => {
            assert!(!diagnostics.list.is_empty() && diagnostics.list.len() <= potok_dsl::MAX_DIAGNOSTICS);
            let lines = diagnostics.source.split(['\n', '\r']).count();
            for diagnostic in &diagnostics.list {
                assert!(!diagnostic.message.is_empty());
                assert!(
                    (1..=lines).contains(&(diagnostic.at.line as usize)),
                    "{diagnostic:?} of {lines}"
                );
                assert!(diagnostic.at.column >= 1);
            }
            assert!(diagnostics.to_string().len() < 200_000);
        }
    }
}

/// The first message about a text that must be refused.
fn refused(text: &str) -> String {
    check(text.as_bytes());
    let Err(diagnostics) = potok_dsl::parse("hostile.yaml", text) else {
        panic!("accepted: {text:.60}")
    };
    let diagnostic = diagnostics.list.first().unwrap();
    format!(
        "{}:{}: {}",
        diagnostic.at.line, diagnostic.at.column, diagnostic.message
    )
}

const HEAD: &str = "document: { dsl: '1.0.3', namespace: tests, name: hostile, version: '1.0.0' }\ndo:\n  - a:\n      set:\n        b: ";

#[test]
fn deep_text_is_refused() {
    let deep = "values nest deeper than 128 here";
    for text in [
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "[{a: ".repeat(50_000),
        "- ".repeat(100_000),
        (0..1_000)
            .map(|depth| format!("{}a:\n", " ".repeat(depth)))
            .collect::<String>(),
        (0..1_000)
            .map(|depth| format!("{}-\n", " ".repeat(depth)))
            .collect::<String>(),
        format!("{HEAD}{}{}", "[".repeat(200), "]".repeat(200)),
    ] {
        let message = refused(&text);
        assert!(message.contains(deep), "{message}");
    }
    for text in ["{".repeat(100_000), "? ".repeat(100_000)] {
        let message = refused(&text);
        assert!(
            message.contains("a key must be text") || message.contains(deep),
            "{message}"
        );
    }
    let at_depth = |depth: usize| format!("{HEAD}{}{}", "[".repeat(depth - 5), "]".repeat(depth - 5));
    assert!(potok_dsl::parse("w", &at_depth(128)).is_ok());
    assert!(refused(&at_depth(129)).contains(deep));
    // Tasks as deep as they can nest fit the stack of a thread.
    for (open, close) in [
        ("{ do: [ { t: ", " } ] }"),
        ("{ try: [ { t: ", " } ], catch: {} }"),
        ("{ for: { in: .a }, do: [ { t: ", " } ] }"),
    ] {
        let tasks = format!("{}{{ set: {{ a: 1 }} }}{}", open.repeat(40), close.repeat(40));
        let text =
            format!("document: {{ dsl: '1.0.3', namespace: a, name: b, version: '1.0.0' }}\ndo: [ {{ t: {tasks} }} ]");
        assert!(potok_dsl::parse("w", &text).is_ok());
        check(text.as_bytes());
    }
}

#[test]
fn aliases_cost_what_they_stand_for() {
    let laughs = |leaf: &str| {
        let mut text = format!("a0: &a0 {leaf}\n");
        for level in 1..30 {
            let below = format!("*a{}, ", level - 1).repeat(9);
            text.push_str(&format!("a{level}: &a{level} [{below}]\n"));
        }
        text
    };
    let message = refused(&laughs("x"));
    assert!(message.contains("more than 250000 values"), "{message}");
    let message = refused(&laughs(&format!("[{}]", "y".repeat(10_000))));
    assert!(message.contains("bytes of text"), "{message}");
    let nested = (1..200).fold("a0: &a0 [x]\n".to_owned(), |text, level| {
        format!("{text}a{level}: &a{level} [*a{}]\n", level - 1)
    });
    assert!(refused(&nested).contains("nest deeper"));
    let many = format!("a: &a {}\nb: [{}]\n", "x".repeat(500_000), "*a, ".repeat(100_000));
    assert!(refused(&many).contains("bytes of text"));
}

#[test]
fn aliases_stand_for_what_they_name() {
    let text = format!("{HEAD}&shared [ 1, {{ c: two }} ]\n        d: *shared\n        *shared : 1\n");
    assert!(refused(&text).contains("a key must be text"));
    let text = format!("{HEAD}&shared [ 1, {{ c: two }} ]\n        d: *shared\n");
    let parsed = potok_dsl::parse("w", &text).unwrap();
    assert_eq!(
        parsed.document.pointer("/do/0/a/set/d"),
        parsed.document.pointer("/do/0/a/set/b")
    );
}

#[test]
fn odd_characters_are_placed() {
    assert_eq!(refused("a: \u{0}b"), "1:4: the character U+0000 is not allowed in YAML");
    assert_eq!(
        refused("a: 1\r\nb: é\u{1b}[31m"),
        "2:5: the character U+001B is not allowed in YAML"
    );
    assert_eq!(refused(""), "1:1: there is no document here");
    assert_eq!(refused("\u{feff}"), "1:1: there is no document here");
    let Err(diagnostics) = potok_dsl::parse_bytes("w", b"a: 1\nb: \xff") else {
        panic!("accepted")
    };
    assert_eq!(
        diagnostics.list[0].to_string(),
        "this is not UTF-8 text; save the file as UTF-8 (line 2)"
    );
    assert_eq!(diagnostics.list[0].at.column, 4);
    assert!(refused(&"a".repeat((1 << 20) + 1)).contains("more than the 1048576"));
}

#[test]
fn line_ends_and_a_byte_order_mark_change_nothing() {
    for (name, text) in files("examples") {
        let plain = potok_dsl::parse(&name, &text).unwrap();
        let text = text.replace("\r\n", "\n");
        for text in [text.replace('\n', "\r\n"), format!("\u{feff}{text}")] {
            let other = potok_dsl::parse(&name, &text).unwrap_or_else(|diagnostics| panic!("{diagnostics}"));
            assert_eq!(other.document, plain.document, "{name}");
        }
    }
    let text = "document:\r\n  dsl: 1.0.3\r\n  nmae: a\r\n";
    assert!(
        potok_dsl::parse("w", text)
            .unwrap_err()
            .to_string()
            .contains("w:3:3: unknown property 'nmae'")
    );
}

#[test]
fn much_that_is_wrong_is_said() {
    let head = "document: { dsl: '1.0.3', namespace: tests, name: hostile, version: '1.0.0' }\n";
    let wrong: String = (0..20_000)
        .map(|n| format!("- a{n}: {{ set: {{ a: 1 }}, then: b{n} }}\n"))
        .collect();
    assert!(refused(&format!("{head}do:\n{wrong}")).contains("'then' leads to 'b0'"));
    let unknown: String = (0..40_000).map(|n| format!("unknown{n}: 1\n")).collect();
    assert!(refused(&format!("{head}{unknown}")).contains("unknown property"));
    let functions: String = (0..10_000)
        .map(|n| format!("    f{n}: {{ call: f{} }}\n", (n + 1) % 10_000))
        .collect();
    let circle = format!("{head}use:\n  functions:\n{functions}do:\n  - a: {{ call: f0 }}\n");
    let workflow = potok_dsl::parse("w", &circle).unwrap().workflow;
    assert_eq!(potok_dsl::unsupported(&workflow), []);
    let nested = (0..40).fold(format!("{{ set: {{ a: [{}] }} }}", "1,".repeat(100_000)), |inner, _| {
        format!("{{ do: [ {{ t: {inner} }} ] }}")
    });
    assert!(refused(&format!("{head}do: [ {{ t: {nested} }} ]")).contains("holds too much data so deep"));
}

static EXAMPLES: LazyLock<Vec<String>> =
    LazyLock::new(|| files("examples").into_iter().map(|(_, text)| text).collect());

static DOCUMENTS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    EXAMPLES
        .iter()
        .map(|text| Value::clone(&potok_dsl::parse("example", text).unwrap().document))
        .collect()
});

/// The language's own schema.
static SCHEMA: LazyLock<jsonschema::Validator> =
    LazyLock::new(|| jsonschema::validator_for(&potok_dsl::schema::language()).unwrap());

/// Pieces that mean something to YAML or to the language.
fn piece() -> impl Strategy<Value = String> {
    let pieces = [
        "",
        "\n",
        "\t",
        " ",
        "  ",
        ":",
        ": ",
        "- ",
        "-",
        "? ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "'",
        "\"",
        "|\n",
        ">-\n",
        "&a ",
        "*a",
        "!!str ",
        "!x ",
        "# ",
        "---\n",
        "...\n",
        "%YAML 1.1\n",
        "<<: ",
        "\u{feff}",
        "\u{0}",
        "\r",
        "é",
        "null",
        "~",
        "1e999",
        "0x",
        "do:",
        "then: end",
        "for:",
        "while: .a",
        "try:",
        "catch: {}",
        "call: http",
        "with: {}",
        "set: {}",
        "${ . }",
        "\\",
        "@",
        "`",
        "metadata:",
        "potok: {}",
    ];
    prop_oneof![4 => prop::sample::select(pieces.to_vec()).prop_map(str::to_owned), 1 => "\\PC{0,8}"]
}

/// Cuts and insertions at places given as fractions of the text.
fn hurt(text: &str, wounds: &[(Index, usize, String)]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for (at, cut, piece) in wounds {
        let at = at.index(chars.len() + 1);
        let end = chars.len().min(at + cut);
        chars.splice(at..end, piece.chars());
    }
    chars.into_iter().collect()
}

/// Every place in a value, as a JSON pointer.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, item)| places(item, &format!("{at}/{index}"), found)),
        Value::Object(members) => members.iter().for_each(|(key, item)| {
            places(
                item,
                &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")),
                found,
            );
        }),
        _ => {}
    }
}

/// Something else in a place: a member too many, too few, under another name, or another value.
fn change(document: &mut Value, at: Index, how: u8, key: &str, other: &Value) {
    let mut found = Vec::new();
    places(document, "", &mut found);
    let place = at.get(&found).clone();
    let Some(target) = document.pointer_mut(&place) else {
        return;
    };
    match (how % 4, target) {
        (0, Value::Object(members)) => drop(members.insert(key.to_owned(), other.clone())),
        (1, Value::Object(members)) if !members.is_empty() => drop(take(members, at)),
        (2, Value::Object(members)) if !members.is_empty() => {
            if let Some((_, value)) = take(members, at) {
                members.insert(key.to_owned(), value);
            }
        }
        (3, Value::Array(items)) => items.push(other.clone()),
        (_, target) => *target = other.clone(),
    }
}

/// Takes some member out.
fn take(members: &mut serde_json::Map<String, Value>, at: Index) -> Option<(String, Value)> {
    let key = members.keys().nth(at.index(members.len()))?.clone();
    members.shift_remove_entry(&key)
}

fn other() -> impl Strategy<Value = Value> {
    let texts = [
        "",
        "a",
        "PT1S",
        "P1",
        "${ .a }",
        "1.0.0",
        "https://example.com",
        "a b",
        "end",
        "data",
        "content",
        "/do/0",
        "0 0 * * *",
        "-",
        "always",
        "client_credentials",
        "message/send",
        "tools/call",
        "kafka",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..1000).prop_map(Value::from),
        Just(Value::from(1.5)),
        prop::sample::select(texts.to_vec()).prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    let keys = [
        "a",
        "if",
        "do",
        "for",
        "while",
        "in",
        "each",
        "at",
        "try",
        "catch",
        "as",
        "retry",
        "call",
        "with",
        "set",
        "then",
        "when",
        "switch",
        "wait",
        "raise",
        "error",
        "errors",
        "type",
        "status",
        "title",
        "detail",
        "instance",
        "listen",
        "to",
        "any",
        "all",
        "one",
        "until",
        "read",
        "foreach",
        "item",
        "emit",
        "event",
        "source",
        "time",
        "data",
        "run",
        "await",
        "return",
        "container",
        "script",
        "shell",
        "workflow",
        "image",
        "command",
        "code",
        "language",
        "lifetime",
        "cleanup",
        "after",
        "every",
        "cron",
        "on",
        "seconds",
        "days",
        "input",
        "output",
        "export",
        "schema",
        "document",
        "resource",
        "format",
        "from",
        "timeout",
        "endpoint",
        "uri",
        "authentication",
        "use",
        "basic",
        "bearer",
        "digest",
        "oauth2",
        "oidc",
        "username",
        "password",
        "token",
        "authority",
        "grant",
        "client",
        "scopes",
        "fork",
        "branches",
        "compete",
        "metadata",
        "tags",
        "summary",
        "name",
        "namespace",
        "version",
        "dsl",
        "evaluate",
        "mode",
        "schedule",
        "retries",
        "functions",
        "secrets",
        "timeouts",
        "catalogs",
        "extensions",
        "extend",
        "before",
        "backoff",
        "constant",
        "limit",
        "attempt",
        "count",
        "duration",
        "jitter",
        "delay",
        "method",
        "headers",
        "query",
        "body",
        "redirect",
        "operationId",
        "parameters",
        "proto",
        "service",
        "host",
        "port",
        "arguments",
        "operation",
        "channel",
        "message",
        "subscription",
        "consume",
        "amount",
        "filter",
        "transport",
        "http",
        "stdio",
        "agentCard",
        "server",
        "correlate",
        "expect",
        "stdin",
        "environment",
        "pullPolicy",
        "exceptWhen",
        "subject",
    ];
    prop::sample::select(keys.to_vec()).prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&bytes);
    }

    #[test]
    fn any_pieces(pieces in prop::collection::vec(piece(), 0..40)) {
        check(pieces.concat().as_bytes());
    }

    #[test]
    fn hurt_examples(which: Index, wounds in prop::collection::vec((any::<Index>(), 0_usize..20, piece()), 1..4)) {
        let example: &String = which.get(EXAMPLES.as_slice());
        check(hurt(example, &wounds).as_bytes());
    }

    /// What the schema of the language refuses is refused; what is accepted is written back unchanged.
    #[test]
    fn the_reader_is_as_strict_as_the_schema(
        which: Index,
        changes in prop::collection::vec((any::<Index>(), any::<u8>(), key(), other()), 1..4),
    ) {
        let mut document = which.get(DOCUMENTS.as_slice()).clone();
        for (at, how, key, other) in &changes {
            change(&mut document, *at, *how, key, other);
        }
        let text = serde_json::to_string_pretty(&document).unwrap();
        check(text.as_bytes());
        if let Ok(parsed) = potok_dsl::parse("changed.json", &text) {
            prop_assert_eq!(&*parsed.document, &document);
            if let Err(error) = SCHEMA.validate(&document) {
                return Err(TestCaseError::fail(format!("accepted, but {error} at {}: {text}", error.instance_path())));
            }
        }
    }
}
