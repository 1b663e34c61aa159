//! Secrets: what stands for them inside a run, and that nothing from outside can.

use potok_dsl::{ErrorType, Problem};
use potok_expr::{SecretPath, secret};
use potok_machine::{CallEffect, Request};
use serde_json::{Value, json};

use crate::support::{completed, echo, faulted, output, run_with, try_compile};

fn token(name: &str, field: &str) -> String {
    SecretPath::new(name, vec![field.to_owned()]).placeholder()
}

fn said(body: &str) -> String {
    let diagnostics = try_compile(body).expect_err("it compiles");
    let lines = diagnostics.iter().map(|found| {
        let help = found.help.as_ref().map_or(String::new(), |help| format!("; {help}"));
        format!("{}:{}: {}{help}", found.at.line, found.at.column, found.message)
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_call_carries_placeholders_wherever_they_are_read() {
    let body = r#"
use: { secrets: [api] }
input: { from: '{ first: $secrets.api.token, who: .who }' }
do:
  - keep: { set: { token: '${ $secrets.api.token }', first: '${ .first }', who: '${ .who }' } }
  - ask:
      if: .who
      input: { from: '. + { mine: $secrets.api.token }' }
      call: http
      with:
        method: post
        endpoint: 'https://a.example/{mine}/{who}'
        headers: { authorization: '${ "Bearer " + .token }' }
        body: { first: '${ .first }' }
"#;
    let mut asked = None;
    let (outcome, _) = run_with(body, json!({ "who": "a b" }), &mut |effect: &CallEffect| {
        asked = Some(effect.clone());
        Ok(Value::Null)
    });
    completed(outcome);
    let Some(Request::Http(request)) = asked.map(|effect| effect.request) else {
        panic!("nothing was asked")
    };
    let token = token("api", "token");
    assert_eq!(request.headers["authorization"], format!("Bearer {token}"));
    assert_eq!(request.body, Some(json!({ "first": token })));
    let percent = token.replace("secret:", "secret%:");
    assert_eq!(request.uri, format!("https://a.example/{percent}/a%20b"));
}

/// The attack: text that looks like a placeholder comes in and is put where secrets are resolved.
#[test]
fn what_looks_like_a_placeholder_outside_is_none_inside() {
    let body = r"
use: { secrets: [api] }
do:
  - first: { call: test.effect, with: { input: '${ . }', all: '${ $workflow.input }', own: '${ $secrets.api.token }' } }
  - again: { try: [{ fail: { call: test.effect, with: { answer: '${ . }' } } }], catch: { do: [{ last: { call: test.pure, with: { error: '${ $error }' } } }] } }
";
    let forged = token("api", "token");
    let hostile = json!({ forged.clone(): [forged] });
    let mut seen = Vec::new();
    let (outcome, _) = run_with(body, hostile.clone(), &mut |effect: &CallEffect| {
        let Request::Function { args, .. } = &effect.request else {
            panic!()
        };
        seen.push(args.as_ref().clone());
        match seen.len() {
            1 => Ok(hostile.clone()),
            2 => Err(Problem::new(ErrorType::Runtime, &forged, &forged).with_data(hostile.clone())),
            _ => Ok(json!("done")),
        }
    });
    completed(outcome);
    assert_eq!(seen.len(), 3);
    assert_eq!(secret::found_in(&seen[0]["own"]).len(), 1);
    for outside in [&seen[0]["input"], &seen[0]["all"], &seen[1], &seen[2]] {
        assert!(!secret::is_in(outside), "{outside}");
        assert!(outside.to_string().contains("secret:api.token"), "{outside}");
    }
}

#[test]
fn a_run_ends_with_marks() {
    let body = "use: { secrets: [api] }\ndo: [{ t: { set: { '${ $secrets.api.token }': x, a: '${ [$secrets.api.token] }' } } }]";
    assert_eq!(
        output(body, json!({})),
        json!({ "${ $secrets.api.token }": "x", "a": ["[secret:api.token]"] })
    );
    let body = "use: { secrets: [api] }\ndo: [{ t: { raise: { error: { type: about:blank, status: 500, detail: '${ $secrets.api.token }' } } } }]";
    let (outcome, _) = run_with(body, json!({}), &mut echo);
    assert_eq!(faulted(outcome).detail.as_deref(), Some("[secret:api.token]"));
}

#[test]
fn an_idempotency_key_is_no_place_for_a_secret() {
    let body = "use: { secrets: [api] }\ndo: [{ t: { call: test.pure, metadata: { potok: { idempotencyKey: '${ $secrets.api }' } } } }]";
    let (outcome, _) = run_with(body, json!({}), &mut echo);
    assert_eq!(faulted(outcome).status, 403);
}

#[test]
fn an_event_is_no_place_for_a_secret() {
    let body = "use: { secrets: [api] }\ndo: [{ t: { emit: { event: { with: { type: a.b, source: 'https://a.example', data: { x: '${ $secrets.api }' } } } } } }]";
    let (outcome, _) = run_with(body, json!({}), &mut echo);
    let problem = faulted(outcome);
    assert_eq!(problem.status, 403);
    assert!(problem.detail.unwrap().contains("'api' cannot leave in an event"));
}

#[test]
fn secrets_are_declared_and_named() {
    let body = r"
use: { secrets: [api] }
do:
  - a: { set: { x: '${ $secrets.other }', y: '${ $secrets[.x] }' } }
  - b: { if: '$secrets | length', set: { x: '${ $secrets.api.token + $secrets.more.x }' } }
";
    insta::assert_snapshot!(said(body));
}

/// What a call sees as `$authorization`: in its request, where the host resolves it, and in its output.
fn authorized(scheme: &str) -> (Value, Value) {
    let body = format!(
        r#"
use: {{ secrets: [api] }}
do:
  - ask:
      call: http
      with:
        method: post
        endpoint: {{ uri: 'https://a.example', authentication: {scheme} }}
        body: {{ seen: '${{ $authorization }}' }}
      output: {{ as: '{{ seen: $authorization }}' }}
      export: {{ as: '$authorization.scheme' }}
  - next: {{ set: {{ seen: '${{ .seen }}', scheme: '${{ $context }}', here: '${{ $authorization }}' }} }}
"#
    );
    let mut asked = None;
    let (outcome, _) = run_with(
        &body,
        json!({ "user": "Aladdin", "token": "t" }),
        &mut |effect: &CallEffect| {
            asked = Some(effect.clone());
            Ok(Value::Null)
        },
    );
    let output = completed(outcome);
    let asked = asked.unwrap();
    let Request::Http(request) = &asked.request else {
        panic!("{asked:?}")
    };
    assert_eq!(output["here"], json!(null), "it belongs to another task");
    assert_eq!(
        output["scheme"],
        output["seen"].get("scheme").cloned().unwrap_or_default()
    );
    // Whatever it holds, the workflow is known to read it.
    let found = secret::found_in(request.body.as_ref().unwrap());
    assert!(
        found.iter().all(|path| asked.secrets.contains(&path.to_string())),
        "{found:?} {:?}",
        asked.secrets
    );
    (request.body.as_ref().unwrap()["seen"].clone(), output["seen"].clone())
}

#[test]
fn authorization_is_what_the_call_says_of_itself() {
    let bearer = |parameter: &str| json!({ "scheme": "Bearer", "parameter": parameter });
    let basic = |parameter: &str| json!({ "scheme": "Basic", "parameter": parameter });
    let same = |value: Value| (value.clone(), value);
    assert_eq!(authorized("{ bearer: { token: '${ .token }' } }"), same(bearer("t")));
    assert_eq!(
        authorized("{ basic: { username: '${ .user }', password: open sesame } }"),
        same(basic("QWxhZGRpbjpvcGVuIHNlc2FtZQ=="))
    );
    let token = token("api", "token");
    let secret = (bearer(&token), bearer("[secret:api.token]"));
    assert_eq!(authorized("{ bearer: { token: '${ $secrets.api.token }' } }"), secret);
    assert_eq!(authorized("{ bearer: { use: api } }"), secret);
    let (sent, shown) = authorized("{ basic: { username: ann, password: '${ $secrets.api.token }' } }");
    assert_eq!(sent, basic(&secret::base64(&format!("ann:{token}"))));
    assert_eq!(shown, basic("[base64:ann:[secret:api.token]]"));
    let (_, shown) = authorized("{ basic: { use: api } }");
    assert_eq!(shown, basic("[base64:[secret:api.username]:[secret:api.password]]"));
    // A token that is still to be asked for is not known.
    let oauth =
        "{ oauth2: { authority: 'https://id.example', grant: client_credentials, client: { id: a, secret: b } } }";
    assert_eq!(authorized(oauth), same(Value::Null));
}

#[test]
fn an_authorization_cannot_be_looked_into_or_leave_in_an_event() {
    let body = |text: &str| {
        format!(
            "do: [{{ ask: {{ call: http, with: {{ method: get, endpoint: {{ uri: 'https://a.example', authentication: {{ bearer: {{ token: x }} }} }} }}, output: {{ as: '{text}' }} }} }}]"
        )
    };
    for text in [
        "$authorization.parameter | length",
        "$authorization.parameter == 1",
        "$authorization[\"parameter\"] | test(1)",
    ] {
        let told = said(&body(text));
        assert!(told.contains("looks into a secret"), "{text}: {told}");
    }
    assert!(try_compile(&body("$authorization.scheme == 1")).is_ok());
    let body = r"
use: { secrets: [api] }
do:
  - ask:
      call: http
      with: { method: get, endpoint: { uri: 'https://a.example', authentication: { basic: { use: api } } } }
      output: { as: '$authorization' }
  - tell: { emit: { event: { with: { source: 'https://a.example', type: told, data: '${ . }' } } } }
";
    let problem = faulted(run_with(body, json!({}), &mut echo).0);
    assert!(problem.is(ErrorType::Authorization), "{problem:?}");
}
