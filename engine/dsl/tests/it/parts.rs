//! Generated parts of models: texts, values, durations, policies, endpoints, schemas.

use potok_dsl::model::*;
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::{Value, json};

pub fn at<T>(value: T) -> At<T> {
    At {
        value,
        at: Location::default(),
    }
}

pub fn text(texts: &'static [&'static str]) -> impl Strategy<Value = Text> {
    select(texts).prop_map(|text| at(text.to_owned()))
}

pub fn written() -> impl Strategy<Value = Option<Location>> {
    option::of(Just(Location::default()))
}

pub const EXPRESSIONS: &[&str] = &[
    ".a",
    "${ .a }",
    "$context.count > 1 and .b",
    "'it''s'",
    "a: b # c",
    "yes",
    "12",
    "",
    "é\n\"\\ \t",
];

pub fn expression() -> impl Strategy<Value = Text> {
    text(EXPRESSIONS)
}

pub fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("finite", |n| n.is_finite())
            .prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        select(EXPRESSIONS).prop_map(Value::from),
        select(
            &[
                "null", "~", "true", "0x1f", "1e3", "-", "<<", "- a", "{", "# no", "*a", "!t", " a ", "...", "---"
            ][..]
        )
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec(("\\PC{0,6}", inner), 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

pub fn object(least: usize) -> impl Strategy<Value = Json> {
    vec(("[a-z ]{1,5}", value()), least..4).prop_map(|members| at(Value::Object(members.into_iter().collect())))
}

/// An expression or an object.
pub fn shape() -> impl Strategy<Value = Json> {
    prop_oneof![select(EXPRESSIONS).prop_map(|text| at(text.into())), object(0)]
}

pub fn duration() -> BoxedStrategy<At<Duration>> {
    let fixed = |written: Value| {
        at(Duration::Fixed {
            span: Duration::from_value(&written).unwrap().rest,
            written,
        })
    };
    prop_oneof![
        select(&["PT30S", "P1DT2H", "PT0.5S", "P1W", "PT1.25H"][..]).prop_map(move |text| fixed(text.into())),
        vec(
            (
                select(&["days", "hours", "minutes", "seconds", "milliseconds"][..]),
                0_u32..100
            ),
            1..4
        )
        .prop_map(move |members| fixed(
            members
                .into_iter()
                .map(|(name, count)| (name.to_owned(), Value::from(count)))
                .collect()
        )),
        Just(at(Duration::Expression("${ .wait }".to_owned()))),
    ]
    .boxed()
}

pub fn authentication() -> impl Strategy<Value = Authentication> {
    use AuthenticationScheme::{Basic, Bearer, Digest, OAuth2, Oidc};
    let by_secret =
        select(&[Basic, Bearer, Digest, OAuth2, Oidc][..]).prop_map(|scheme| (scheme, json!({ "use": "secret" })));
    let inline = select(vec![
        (Basic, json!({ "username": "a", "password": "${ .b }" })),
        (Bearer, json!({ "token": "a" })),
        (
            OAuth2,
            json!({ "authority": "https://example.com", "grant": "password", "scopes": ["a"], "endpoints": { "token": "/t" } }),
        ),
        (
            Oidc,
            json!({ "authority": "https://example.com", "grant": "client_credentials", "client": { "id": "a" } }),
        ),
    ]);
    prop_oneof![by_secret, inline].prop_map(|(scheme, properties)| Authentication {
        scheme,
        properties: at(properties),
    })
}

pub fn policy() -> impl Strategy<Value = AuthenticationRef> {
    prop_oneof![
        Just(AuthenticationRef::Use(at("policy".to_owned()))),
        authentication().prop_map(AuthenticationRef::Inline),
    ]
}

pub fn resource() -> impl Strategy<Value = ExternalResource> {
    (option::of(expression()), endpoint()).prop_map(|(name, endpoint)| ExternalResource { name, endpoint })
}

pub fn endpoint() -> impl Strategy<Value = Endpoint> {
    let uri = text(&["https://example.com/{id}?a=b", "/relative", "${ .uri }"]);
    (uri, any::<bool>(), option::of(policy().prop_map(at))).prop_map(|(uri, shorthand, authentication)| Endpoint {
        uri,
        shorthand,
        authentication: authentication.filter(|_| !shorthand),
    })
}

pub fn schema() -> impl Strategy<Value = Schema> {
    let source = prop_oneof![
        object(0).prop_map(SchemaSource::Document),
        any::<bool>().prop_map(|any| SchemaSource::Document(at(any.into()))),
        resource().prop_map(|resource| SchemaSource::Resource(at(resource))),
    ];
    (option::of(text(&["json", "avro"])), source).prop_map(|(format, source)| Schema { format, source })
}

pub fn input() -> impl Strategy<Value = Input> {
    (option::of(schema()), option::of(shape())).prop_map(|(schema, from)| Input { schema, from })
}

pub fn output() -> impl Strategy<Value = Output> {
    (option::of(schema()), option::of(shape())).prop_map(|(schema, shape)| Output { schema, shape })
}

pub fn timeout() -> impl Strategy<Value = At<Timeout>> {
    duration().prop_map(|after| at(Timeout { after }))
}

pub fn timeout_ref() -> impl Strategy<Value = TimeoutRef> {
    prop_oneof![
        Just(TimeoutRef::Use(at("timeout".to_owned()))),
        timeout().prop_map(TimeoutRef::Inline)
    ]
}

pub fn error() -> impl Strategy<Value = ErrorDefinition> {
    let kind = text(&["https://example.com/error", "${ .type }"]);
    let status = select(vec![json!(404), json!("${ .status }")]).prop_map(at);
    let instance = text(&["/do/0/a", "${ .at }", ""]);
    (
        kind,
        status,
        option::of(instance),
        option::of(expression()),
        option::of(expression()),
    )
        .prop_map(|(kind, status, instance, title, detail)| ErrorDefinition {
            kind,
            status,
            instance,
            title,
            detail,
        })
}

pub fn retry() -> impl Strategy<Value = At<RetryPolicy>> {
    let backoff = (
        select(&[Backoff::Constant, Backoff::Linear, Backoff::Exponential][..]),
        any::<bool>(),
    );
    let limit = (
        option::of(duration()),
        option::of((option::of(0_u64..9), option::of(duration()))),
    );
    let zero = || {
        at(Duration::Fixed {
            span: potok_dsl::Millis(0),
            written: "PT0S".into(),
        })
    };
    (
        option::of(expression()),
        option::of(expression()),
        option::of(duration()),
        option::of(backoff),
        option::of(limit),
        option::of(duration()),
    )
        .prop_map(move |(when, except_when, delay, backoff, limit, jitter)| {
            let (backoff, grows) = backoff.map_or((Backoff::default(), None), |(kind, grows)| (kind, Some(grows)));
            let multiplier = Some(at(1.5)).filter(|_| grows == Some(true) && backoff == Backoff::Exponential);
            let backoff_properties = grows.map(|_| match multiplier {
                Some(_) => at(json!({ "multiplier": 1.5 })),
                None => at(json!({})),
            });
            let limit_at = limit.is_some().then(Location::default);
            let (duration, attempt) = limit.unwrap_or_default();
            let attempt_at = attempt.is_some().then(Location::default);
            let (attempts, attempt_duration) = attempt.unwrap_or_default();
            at(RetryPolicy {
                when,
                except_when,
                delay,
                backoff,
                backoff_properties,
                increment: None,
                multiplier,
                max_delay: None,
                limit_at,
                attempt_at,
                attempts,
                attempt_duration,
                duration,
                jitter_from: jitter.is_some().then(zero),
                jitter_to: jitter,
            })
        })
}
