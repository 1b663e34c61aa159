//! What to do about a mistake, where the mistake alone does not say it: what an object looks like, and where a member belongs.

/// What an object looks like that people write as text, a number or a list, by what a message calls it.
pub(super) fn example(what: &str) -> Option<&'static str> {
    let name = what.trim_matches('\'');
    Some(match name {
        "document" => "{ dsl: 1.0.3, namespace: examples, name: hello, version: 1.0.0 }",
        "input" => "{ from: .order }",
        "output" | "export" => "{ as: .order }",
        "schema" => "{ document: { type: object } }",
        "timeout" => "{ after: PT30S }",
        "schedule" => "{ every: PT1H }",
        "evaluate" => "{ language: jq }",
        "metadata" | "tags" => "{ team: books }",
        "use" => "{ secrets: [ token ] }",
        "authentication" => "{ use: main }",
        "retry" => "{ limit: { attempt: { count: 3 } } }",
        "backoff" => "{ exponential: {} }",
        "limit" => "{ attempt: { count: 3 } }",
        "attempt" => "{ count: 3 }",
        "jitter" => "{ from: PT0S, to: PT1S }",
        "errors" => "{ with: { status: 404 } }",
        "a catalog" => "{ endpoint: https://example.com/catalog }",
        "with' of an HTTP call" => "{ method: get, endpoint: https://example.com }",
        "raise" => "{ error: notFound }",
        "error" => "{ type: https://example.com/errors/late, status: 408 }",
        "emit" => "{ event: { with: { type: com.example.done } } }",
        "event" => "{ with: { type: com.example.done } }",
        "listen" => "{ to: { one: { with: { type: com.example.done } } } }",
        "to" | "on" => "{ one: { with: { type: com.example.done } } }",
        "correlate" => "{ order: { from: .data.order } }",
        "for" => "{ in: .items }",
        "run" => "{ shell: { command: make } }",
        _ if name.starts_with("task '") => "{ set: { a: 1 } }",
        _ if name.starts_with("case '") => "{ when: .a > 1, then: end }",
        _ if name.starts_with("extension '") => "{ extend: all, before: [ … ] }",
        _ => return None,
    })
}

/// Where tasks go that stand where an object is expected.
pub(super) fn tasks_belong(what: &str) -> Option<&'static str> {
    match what {
        "'catch'" | "'foreach'" => Some("put the tasks under 'do'"),
        "'fork'" => Some("put the branches under 'branches'"),
        "'one'" => Some("write 'any' or 'all' for several filters"),
        _ => None,
    }
}

/// What to do about a member that does not belong where it is.
pub(super) struct Home {
    pub help: &'static str,
    /// The member that is not missing when this one is moved or renamed.
    pub instead_of: Option<&'static str>,
}

/// Where a member belongs that people put one level too high or too low, or what it is called there.
pub(super) fn home_of(what: &str, key: &str) -> Option<Home> {
    let home = |help, instead_of| Some(Home { help, instead_of });
    let what = what.trim_matches('\'');
    match (what, key) {
        ("emit", "with") => return home("write event: { with: … }", Some("event")),
        ("to" | "on", "with") => return home("write one: { with: … }", Some("one")),
        ("raise", "type" | "status" | "title" | "detail" | "instance") => {
            return home("put the error under 'error'", Some("error"));
        }
        ("errors", "type" | "status" | "title" | "detail" | "instance") => return home("put it under 'with'", None),
        ("one" | "any" | "all", "type" | "source" | "subject" | "id" | "data") => {
            return home("attributes of the event go under 'with'", Some("with"));
        }
        ("one" | "any" | "all", "when" | "if") => {
            return home(
                "write an expression for an attribute under 'with', such as data: ${ .a > 1 }",
                None,
            );
        }
        ("schema", _) => return home("put the JSON schema under 'document'", None),
        ("input", "as") => return home("did you mean 'from'?", None),
        ("output" | "export", "from") => return home("did you mean 'as'?", None),
        ("limit", "count") => return home("write attempt: { count: … }", None),
        ("foreach", "each") => return home("did you mean 'item'?", None),
        ("workflow", "with") => return home("did you mean 'input'?", None),
        ("error", "message") => return home("did you mean 'detail'?", None),
        ("container" | "script" | "shell", "env") => return home("did you mean 'environment'?", None),
        ("script", "file" | "command") => {
            return home("write the text under 'code', or where it is under 'source'", None);
        }
        ("endpoint", "url") => return home("did you mean 'uri'?", Some("uri")),
        ("with", "operation") => return home("did you mean 'operationId'?", Some("operationId")),
        ("with", "args") => return home("did you mean 'arguments'?", None),
        ("with", "payload") => return home("put it under 'message'", Some("message")),
        ("retry", "interval") => return home("did you mean 'delay'?", None),
        ("jitter", "max") => return home("did you mean 'to'?", None),
        (_, "if") if what.starts_with("case '") => return home("did you mean 'when'?", None),
        _ => {}
    }
    let help = match key {
        "while" => "'while' belongs beside 'for' and 'do'",
        "catch" => "'catch' belongs beside 'try'",
        "foreach" => "'foreach' belongs beside 'listen'",
        "until" => "'until' belongs beside 'any'",
        "with" => "'with' belongs beside 'call'",
        "retry" => "'retry' belongs inside 'catch'",
        "parallel" | "collect" | "label" | "idempotencyKey" | "rate" | "delivery" | "concurrency" | "overlap"
        | "catchUp" | "timezone" => "it belongs under 'metadata.potok'",
        _ => return None,
    };
    home(help, None)
}
