//! Calls: functions, `use.functions`, HTTP; keys and digests.

use potok_dsl::Millis;
use potok_machine::{CallId, Effect, Event, HttpOutput, Made, Request, TraceKind};
use serde_json::{Value, json};

use crate::support::{completed, echo, error, faulted, output, run_with, start, started, unavailable};

#[test]
fn a_function_gets_its_arguments_and_gives_the_output() {
    let mut driver = start(
        "do: [{ ask: { call: test.effect, with: { a: '${ .x }', b: [1] } } }]",
        json!({ "x": 5 }),
    );
    let call = driver.calls().next().unwrap().clone();
    assert_eq!(
        (call.call, call.path.to_string(), call.reference.as_str()),
        (CallId(1), "/do/0/ask".to_owned(), "/do/0/ask")
    );
    assert!(!call.pure);
    let Request::Function { function, args } = &call.request else {
        panic!("{call:?}")
    };
    assert_eq!(
        (function.function.as_str(), args.as_ref()),
        ("test.effect:1.0.0", &json!({ "a": 5, "b": [1] }))
    );
    driver.apply(driver.completion(call.call, Ok(json!("answer")))).unwrap();
    assert_eq!(completed(driver.machine.outcome().unwrap().clone()), json!("answer"));
    assert_eq!(output("do: [{ ask: { call: test.pure } }]", json!(1)), json!({}));
}

#[test]
fn what_a_call_made_in_turn_is_told() {
    let mut driver = start("do: [{ ask: { call: test.effect } }]", json!({}));
    let call = driver.calls().next().unwrap().clone();
    assert_eq!(call.at, Some(driver.now), "its clock begins at the run's time");
    let Event::CallCompleted {
        path, digest, outcome, ..
    } = driver.completion(call.call, Ok(json!(1)))
    else {
        panic!("no completion")
    };
    let made = Some(Made {
        calls: 3,
        took: Millis(70),
    });
    let event = Event::CallCompleted {
        call: call.call,
        path,
        digest,
        outcome,
        made,
    };
    driver.apply(event).unwrap();
    let kinds: Vec<_> = driver.traces.iter().map(|trace| &trace.kind).collect();
    assert!(
        matches!(
            kinds[..],
            [
                TraceKind::Started { .. },
                TraceKind::Called {
                    calls: 3,
                    took: Millis(70)
                },
                TraceKind::Completed { .. }
            ]
        ),
        "{kinds:?}"
    );
}

#[test]
fn a_failed_call_is_the_error_of_its_task() {
    let (outcome, _) = run_with("do: [{ ask: { call: test.pure } }]", json!({}), &mut |_| {
        Err(unavailable())
    });
    let problem = faulted(outcome);
    assert_eq!((problem.status, problem.instance.as_deref()), (503, Some("/do/0/ask")));
}

#[test]
fn digests_and_keys_name_what_is_called() {
    let body = r"
do:
  - each:
      for: { in: '[1, 1, 2]' }
      do: [{ ask: { call: test.pure, with: { n: '${ $item }' } } }]
  - keyed: { call: test.pure, with: { n: 2 }, metadata: { potok: { idempotencyKey: '${ $task.name }' } } }
";
    let (_, driver) = run_with(body, json!({}), &mut echo);
    let calls = driver.effects.iter().filter_map(|effect| match effect {
        Effect::Call(call) => Some(call),
        _ => None,
    });
    let calls: Vec<_> = calls.collect();
    assert_eq!(calls[0].digest, calls[1].digest);
    assert_ne!(calls[1].digest, calls[2].digest);
    assert_eq!(calls[2].digest, calls[3].digest);
    assert_eq!(calls[0].digest.len(), 16);
    assert_ne!(calls[0].idempotency_key, calls[1].idempotency_key);
    assert!(calls[..3].iter().all(|call| call.idempotency_key.len() == 32));
    assert_eq!(calls[3].idempotency_key, "keyed");
    assert_eq!(calls[1].path.to_string(), "/do/0/each[1]/do/0/ask");
    let problem = error(
        "do: [{ t: { call: test.pure, metadata: { potok: { idempotencyKey: '${ .none }' } } } }]",
        json!({}),
    );
    assert_eq!(
        problem.detail.as_deref(),
        Some("metadata.potok.idempotencyKey must give text, not nothing")
    );
}

#[test]
fn an_effectful_call_can_leave_at_most_once() {
    let once = |call: &str, delivery: &str| {
        let body = format!("do: [{{ ask: {{ {call}, metadata: {{ potok: {{ delivery: {delivery} }} }} }} }}]");
        let driver = start(&body, json!({}));
        driver.calls().next().unwrap().once
    };
    assert!(once("call: test.effect", "atMostOnce"));
    let http = "call: http, with: { method: get, endpoint: 'https://example.com' }";
    assert!(once(http, "atMostOnce"));
    assert!(!once(http, "atLeastOnce"));
    assert!(
        !once("call: test.pure", "atMostOnce"),
        "nobody can tell how often it was made"
    );
}

const FUNCTIONS: &str = r"
use:
  functions:
    double:
      if: .n != null
      input: { from: .n }
      do:
        - ask: { call: test.pure, with: { twice: '${ . * 2 }' } }
      output: { as: .twice }
      export: { as: '{ doubled: . }' }
    fetch:
      call: http
      with: { method: get, endpoint: 'https://example.com/{id}' }
    both:
      do:
        - one: { call: double, with: { n: '${ .n + 1 }' } }
do:
  - each:
      for: { in: '[1, 2]' }
      do: [{ use: { call: both, with: { n: '${ $item * 10 }' } } }]
      metadata: { potok: { collect: true } }
      output: { as: '{ all: ., context: $context }' }
  - last: { call: double }
";

#[test]
fn a_function_of_the_workflow_is_a_task_of_its_own() {
    let (outcome, driver) = run_with(FUNCTIONS, json!({}), &mut echo);
    // The last one is skipped: its input is the empty object of a call without arguments.
    assert_eq!(completed(outcome), json!({}));
    let each = driver
        .traces
        .iter()
        .find(|trace| trace.name == "each" && json!(trace)["event"] == "completed");
    assert_eq!(
        json!(each)["output"],
        json!({ "all": [22, 42], "context": { "doubled": 42 } })
    );
    let expected = [
        "/do/0/each",
        "/do/0/each[0]/do/0/use",
        "/do/0/each[0]/do/0/use/both",
        "/do/0/each[0]/do/0/use/both/do/0/one",
        "/do/0/each[0]/do/0/use/both/do/0/one/double",
        "/do/0/each[0]/do/0/use/both/do/0/one/double/do/0/ask",
    ];
    assert_eq!(started(&driver)[..6], expected);
    let ask = driver.traces.iter().find(|trace| trace.name == "ask").unwrap();
    assert_eq!(ask.reference, "/use/functions/double/do/0/ask");
}

#[test]
fn a_fault_in_a_function_goes_up_through_its_caller() {
    let body = format!("{}\n", FUNCTIONS.split("do:\n  - each").next().unwrap())
        + r"do:
  - outer:
      try: [{ use: { call: fetch, with: { id: 7 } } }]
      catch: { do: [{ h: { set: { at: '${ $error.instance }', again: '${ $error.status }' } } }] }
";
    let (outcome, driver) = run_with(&body, json!({}), &mut |_| Err(unavailable()));
    assert_eq!(
        completed(outcome),
        json!({ "at": "/use/functions/fetch", "again": 503 })
    );
    let Some(Effect::Call(call)) = driver.effects.first() else {
        panic!()
    };
    let Request::Http(request) = &call.request else {
        panic!()
    };
    assert_eq!(
        (request.uri.as_str(), call.path.to_string().as_str()),
        ("https://example.com/7", "/do/0/outer/try/0/use/fetch")
    );
}

fn http(with: &str, input: Value) -> Result<potok_machine::HttpRequest, potok_dsl::Problem> {
    let body = format!("do: [{{ ask: {{ call: http, with: {with} }} }}]");
    let driver = start(&body, input);
    let call = driver.calls().next().cloned();
    match call.map(|call| call.request) {
        Some(Request::Http(request)) => Ok(request),
        _ => Err(faulted(driver.machine.outcome().unwrap().clone())),
    }
}

#[test]
fn an_http_request_is_evaluated_whole() {
    let with = r"
      method: POST
      endpoint:
        uri: 'https://example.com/{a}/{b}{none}?x={c}'
        authentication: { basic: { username: '${ .user }', password: secret } }
      headers: { X-One: '${ .a }', X-Two: '2', X-None: '${ .none }' }
      query: { q: '${ .q }', flag: '${ .c }' }
      body: { deep: ['${ .q }'] }
      output: response
      redirect: true
";
    let body = format!("do:\n- ask:\n    call: http\n    with:{with}");
    let driver = start(
        &body,
        json!({ "a": "x y", "b": 1.5, "c": true, "user": "me", "q": "ы" }),
    );
    let Some(Effect::Call(call)) = driver.effects.first() else {
        panic!("{:?}", driver.machine.outcome())
    };
    let Request::Http(request) = &call.request else {
        panic!()
    };
    assert_eq!(request.uri, "https://example.com/x%20y/1.5?x=true");
    assert_eq!(json!(request.headers), json!({ "X-One": "x y", "X-Two": "2" }));
    assert_eq!(json!(request.query), json!({ "q": "ы", "flag": "true" }));
    assert_eq!(request.body, Some(json!({ "deep": ["ы"] })));
    assert_eq!(
        (request.output, request.redirect, request.method.as_str()),
        (HttpOutput::Response, true, "POST")
    );
    assert_eq!(
        request.authentication,
        Some(json!({ "basic": { "username": "me", "password": "secret" } }))
    );
}

#[test]
fn an_http_request_that_cannot_be_made_says_why() {
    let found = http(
        "{ method: get, endpoint: 'https://example.com/{a}' }",
        json!({ "a": [1] }),
    )
    .unwrap_err();
    assert_eq!(
        found.detail.as_deref(),
        Some("with.endpoint: {a} must be text or a number, not an array of 1 items")
    );
    let found = http("{ method: get, endpoint: '${ .a }' }", json!({ "a": 1 })).unwrap_err();
    assert_eq!(found.detail.as_deref(), Some("with.endpoint must give text, not 1"));
    let found = http(
        "{ method: get, endpoint: 'https://x.y', headers: '${ .a }' }",
        json!({ "a": 1 }),
    )
    .unwrap_err();
    assert_eq!(found.detail.as_deref(), Some("with.headers must give an object, not 1"));
    let found = http(
        "{ method: get, endpoint: '${ .a }' }",
        json!({ "a": "https://x.y/{b}" }),
    )
    .unwrap();
    assert_eq!(
        (found.uri.as_str(), found.output),
        ("https://x.y/{b}", HttpOutput::Content)
    );
}

#[test]
fn a_call_carries_how_long_its_task_lets_it_take() {
    let body = r"
use:
  functions:
    quick: { call: test.effect }
do:
  - own: { call: test.effect, timeout: { after: { minutes: 10 } } }
  - lent: { call: quick, timeout: { after: { minutes: 20 } } }
  - none: { call: test.effect }
";
    let (_, driver) = run_with(body, json!({}), &mut echo);
    let limits: Vec<_> = driver
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Call(call) => Some(call.limit.map(|limit| limit.0)),
            _ => None,
        })
        .collect();
    assert_eq!(limits, [Some(600_000), Some(1_200_000), None]);
}

#[test]
fn a_query_may_have_a_list_and_a_template_several_names() {
    let with = "{ method: get, endpoint: 'https://example.com/{a,none,b}/{c:2}', query: '${ .q }' }";
    let input =
        json!({ "a": 1, "b": "x y", "c": "long", "q": { "tag": ["a", 2, true], "one": "1", "none": null, "no": [] } });
    let found = http(with, input).unwrap();
    assert_eq!(found.uri, "https://example.com/1,x%20y/lo");
    assert_eq!(
        json!(found.query),
        json!({ "tag": ["a", "2", "true"], "one": "1", "no": [] })
    );
    let found = http(
        "{ method: get, endpoint: 'https://x.y', query: '${ . }' }",
        json!({ "a": [[1]] }),
    )
    .unwrap_err();
    let said = "with.query.a must be text or a number, not an array of 1 items";
    assert_eq!(found.detail.as_deref(), Some(said));
}

#[test]
fn the_uris_of_a_policy_are_templates() {
    let with = r"
      method: get
      endpoint:
        uri: https://example.com
        authentication:
          oauth2:
            authority: 'https://login.example.com/{tenant}'
            endpoints: { token: '/{tenant}/token' }
            grant: client_credentials
            client: { id: '${ .id }', secret: '{tenant}' }
";
    let body = format!("do:\n- ask:\n    call: http\n    with:{with}");
    let driver = start(&body, json!({ "tenant": "a/b", "id": "me" }));
    let Some(Request::Http(request)) = driver.calls().next().map(|call| call.request.clone()) else {
        panic!("{:?}", driver.machine.outcome())
    };
    let policy = &request.authentication.unwrap()["oauth2"];
    assert_eq!(policy["authority"], "https://login.example.com/a%2Fb");
    assert_eq!(policy["endpoints"]["token"], "/a%2Fb/token");
    assert_eq!(policy["client"], json!({ "id": "me", "secret": "{tenant}" }));
}

const PET: &str = r"
use: { authentications: { mine: { bearer: { token: '${ .token }' } } } }
do:
  - ask:
      call: openapi
      with:
        document: { endpoint: https://api.example/openapi.json }
        operationId: getPet
        parameters: { petId: '${ .id }', tags: [a, '${ .tag }'] }
        authentication: { use: mine }
        output: response
        redirect: true
";

#[test]
fn an_operation_goes_with_its_parameters() {
    let driver = start(PET, json!({ "id": 7, "tag": "b", "token": "hush" }));
    let call = driver.calls().next().unwrap().clone();
    assert!(!call.pure);
    let Request::OpenApi(request) = &call.request else {
        panic!("{call:?}")
    };
    assert_eq!(
        (request.document.as_str(), request.operation_id.as_str()),
        ("https://api.example/openapi.json", "getPet")
    );
    assert_eq!(json!(request.parameters), json!({ "petId": 7, "tags": ["a", "b"] }));
    assert_eq!(*request.operation, json!({ "method": "get" }));
    assert_eq!(request.authentication, Some(json!({ "bearer": { "token": "hush" } })));
    assert_eq!((request.output, request.redirect), (HttpOutput::Response, true));
    assert_eq!(
        serde_json::from_value::<Request>(json!(call.request)).unwrap(),
        call.request
    );
    let other = start(PET, json!({ "id": 8, "tag": "b", "token": "hush" }));
    assert_ne!(other.calls().next().unwrap().digest, call.digest);
    let (outcome, _) = run_with(PET, json!({ "id": 7 }), &mut |_| Ok(json!("pet")));
    assert_eq!(completed(outcome), "pet");
}

#[test]
fn a_schema_that_is_kept_elsewhere_is_held_to() {
    let body =
        "input: { schema: { resource: { endpoint: https://api.example/pet.json } } }\ndo: [{ t: { set: { x: 1 } } }]";
    assert_eq!(output(body, json!({ "id": 1 })), json!({ "x": 1 }));
    assert!(error(body, json!({})).is(potok_dsl::ErrorType::Validation));
}
