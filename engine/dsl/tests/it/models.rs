//! Generated models: what is written from a model, as JSON or as YAML, is read back as the same model.

#[path = "parts.rs"]
mod parts;

use potok_dsl::model::*;
use proptest::{collection::vec, option, prelude::*, sample::select, test_runner::TestRunner};
use serde_json::{Map, Value, json};

use parts::*;

fn rate() -> impl Strategy<Value = Rate> {
    let per = select(&[RatePer::Second, RatePer::Minute, RatePer::Hour, RatePer::Day][..]);
    (1_u32..=10_000, per, option::of(expression())).prop_map(|(limit, per, key)| Rate { limit, per, key })
}

/// A typed part of `metadata`, and that part of `metadata`.
fn task_potok(kind: &TaskKind) -> BoxedStrategy<(TaskPotok, Map<String, Value>)> {
    let is_for = matches!(kind, TaskKind::For(_));
    let may_be_parallel = matches!(kind, TaskKind::For(For { condition: None, .. }));
    let is_call = matches!(kind, TaskKind::Call(_));
    let deliveries = select(&[Delivery::AtLeastOnce, Delivery::AtMostOnce][..]);
    (
        option::of(1_u32..=1000),
        option::of(any::<bool>()),
        option::of(rate()),
        option::of(expression()),
        option::of(deliveries),
        option::of(expression()),
    )
        .prop_map(move |(parallel, collect, rate, idempotency_key, delivery, label)| {
            let potok = TaskPotok {
                parallel: parallel.filter(|_| may_be_parallel).map(at),
                collect: collect.filter(|_| is_for).map(at),
                rate: rate.map(at),
                idempotency_key: idempotency_key.filter(|_| is_call),
                delivery: delivery.filter(|_| is_call).map(at),
                bind: None,
                label,
            };
            let mut members = Map::new();
            let mut put = |key: &str, value: Option<Value>| value.map(|value| members.insert(key.to_owned(), value));
            put(
                "parallel",
                potok.parallel.as_ref().map(|parallel| parallel.value.into()),
            );
            put("collect", potok.collect.as_ref().map(|collect| collect.value.into()));
            put(
                "idempotencyKey",
                potok.idempotency_key.as_ref().map(|key| key.value.clone().into()),
            );
            put("label", potok.label.as_ref().map(|label| label.value.clone().into()));
            put(
                "delivery",
                potok.delivery.as_ref().map(|delivery| match delivery.value {
                    Delivery::AtLeastOnce => "atLeastOnce".into(),
                    Delivery::AtMostOnce => "atMostOnce".into(),
                }),
            );
            put(
                "rate",
                potok.rate.as_ref().map(|rate| {
                    let per = format!("{:?}", rate.value.per).to_lowercase();
                    let mut value = json!({ "limit": rate.value.limit, "per": per });
                    if let Some(key) = &rate.value.key {
                        value["key"] = key.value.clone().into();
                    }
                    value
                }),
            );
            (potok, members)
        })
        .boxed()
}

fn call() -> impl Strategy<Value = Call> {
    let texts = || {
        prop_oneof![
            Just(at(json!({ "a": "b", "c": "${ .d }" }))),
            Just(at(json!("${ .all }")))
        ]
    };
    let outputs = select(&[HttpOutput::Raw, HttpOutput::Content, HttpOutput::Response][..]);
    let http = (
        text(&["get", "POST", "${ .method }"]),
        endpoint(),
        option::of(texts()),
        option::of(value().prop_map(at)),
        option::of(texts()),
        (outputs, written(), any::<bool>(), written()),
    )
        .prop_map(
            |(method, endpoint, headers, body, query, (output, output_at, redirect, redirect_at))| {
                Call::Http(Box::new(HttpCall {
                    method,
                    endpoint,
                    headers,
                    body,
                    query,
                    output: if output_at.is_some() {
                        output
                    } else {
                        HttpOutput::default()
                    },
                    output_at,
                    redirect: redirect && redirect_at.is_some(),
                    redirect_at,
                }))
            },
        );
    let outputs = select(&[HttpOutput::Raw, HttpOutput::Content, HttpOutput::Response][..]);
    let openapi = (
        parts::resource(),
        text(&["getPet", "${ .id }"]),
        option::of(object(0)),
        option::of(parts::policy().prop_map(at)),
        (outputs, written(), any::<bool>(), written()),
    )
        .prop_map(
            |(document, operation, parameters, authentication, (output, output_at, redirect, redirect_at))| {
                Call::OpenApi(Box::new(OpenApiCall {
                    document: at(document),
                    operation,
                    parameters,
                    authentication,
                    output: output_at.map_or_else(HttpOutput::default, |_| output),
                    output_at,
                    redirect: redirect && redirect_at.is_some(),
                    redirect_at,
                }))
            },
        );
    let name = text(&[
        "function",
        "book.extract",
        "book.extract:1.0.0@default",
        "log:1.0.0@catalog",
        "https://example.com/f.yaml",
    ]);
    let resource = json!({ "endpoint": { "uri": "https://example.com" } });
    let others = vec![
        Call::AsyncApi(at(
            json!({ "document": resource, "channel": "a", "message": { "payload": {} } }),
        )),
        Call::Grpc(at(
            json!({ "proto": resource, "service": { "name": "a", "host": "b" }, "method": "c" }),
        )),
        Call::A2a(at(json!({ "method": "tasks/get", "parameters": "${ . }" }))),
        Call::Mcp(at(
            json!({ "method": "tools/list", "transport": { "stdio": { "command": "a" } } }),
        )),
    ];
    prop_oneof![
        3 => http,
        2 => openapi,
        3 => (name, option::of(object(0))).prop_map(|(name, with)| Call::Function { name, with }),
        1 => select(others),
    ]
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let attribute = prop_oneof![
        select(vec![
            ("type", json!("a")),
            ("source", json!("https://example.com")),
            ("extension", json!(1))
        ]),
        Just(("id", json!("${ .id }"))),
        value().prop_map(|value| ("data", value)),
    ];
    vec(attribute, 1..4).prop_map(|members| {
        let members = members.into_iter().map(|(name, value)| (name.to_owned(), at(value)));
        members.collect()
    })
}

fn event_filter() -> impl Strategy<Value = At<EventFilter>> {
    let correlate = (expression(), option::of(expression())).prop_map(|(from, expect)| {
        let location = Location::default();
        [(
            "b".to_owned(),
            Correlate {
                at: location,
                from,
                expect,
            },
        )]
        .into()
    });
    (attributes(), option::of(correlate)).prop_map(|(with, correlate)| at(EventFilter { with, correlate }))
}

fn events() -> impl Strategy<Value = At<Consumption>> {
    let filters = || vec(event_filter(), 0..3);
    let plain = move || {
        prop_oneof![
            event_filter().prop_map(|filter| Consumption::One(Box::new(filter))),
            filters().prop_map(Consumption::All),
            filters().prop_map(|filters| Consumption::Any { filters, until: None }),
        ]
    };
    let until = prop_oneof![
        expression().prop_map(Until::Condition),
        plain().prop_map(|events| Until::Events(Box::new(at(events)))),
    ];
    let until = (filters(), until).prop_map(|(filters, until)| Consumption::Any {
        filters,
        until: Some(until),
    });
    prop_oneof![2 => plain(), 1 => until].prop_map(at)
}

fn event_read() -> impl Strategy<Value = Option<At<EventRead>>> {
    option::of(select(&[EventRead::Data, EventRead::Envelope, EventRead::Raw][..]).prop_map(at))
}

fn leaf() -> BoxedStrategy<TaskKind> {
    let event = attributes().prop_map(|mut with| {
        with.entry("type".to_owned()).or_insert_with(|| at(json!("a")));
        Emit { with }
    });
    let set = prop_oneof![object(1), select(EXPRESSIONS).prop_map(|text| at(text.into()))];
    let raised = prop_oneof![
        Just(ErrorRef::Use(at("error".to_owned()))),
        error().prop_map(ErrorRef::Inline)
    ];
    let processes = vec![
        (RunProcess::Shell, json!({ "command": "ls", "environment": { "A": 1 } })),
        (RunProcess::Script, json!({ "language": "js", "code": "a\n  b\n" })),
        (
            RunProcess::Container,
            json!({ "image": "a", "lifetime": { "cleanup": "eventually", "after": "PT1S" } }),
        ),
        (
            RunProcess::Workflow,
            json!({ "namespace": "a", "name": "b", "version": "latest" }),
        ),
    ];
    let run = (
        select(processes),
        any::<bool>(),
        written(),
        option::of(text(&["stdout", "all", "none"])),
    );
    prop_oneof![
        4 => call().prop_map(TaskKind::Call),
        1 => event.prop_map(TaskKind::Emit),
        3 => set.prop_map(TaskKind::Set),
        2 => duration().prop_map(TaskKind::Wait),
        1 => raised.prop_map(|error| TaskKind::Raise(at(error))),
        1 => run.prop_map(|((process, properties), wait, wait_at, output)| TaskKind::Run(Run {
            process,
            properties: at(properties),
            wait: wait || wait_at.is_none(),
            wait_at,
            output,
        })),
        1 => (events(), event_read()).prop_map(|(to, read)| TaskKind::Listen(Listen { to, read, foreach: None })),
    ]
    .boxed()
}

fn flow() -> impl Strategy<Value = At<Flow>> {
    // A name is put in once the names are known.
    select(vec![Flow::Continue, Flow::Exit, Flow::End, Flow::To(String::new())]).prop_map(at)
}

fn kind(depth: u32) -> BoxedStrategy<TaskKind> {
    if depth == 0 {
        return leaf();
    }
    let tasks = move || task_list(depth - 1, true);
    let names = || option::of(text(&["x", "y_1"]));
    let items = prop_oneof![Just(at(json!(".items"))), Just(at(json!([{ "a": 1 }, {}])))];
    let each = (names(), items, option::of(expression()), tasks()).prop_map(|(each, items, condition, tasks)| {
        TaskKind::For(For {
            each,
            items,
            at: Some(at("z".to_owned())),
            condition,
            tasks,
        })
    });
    let filter = (
        option::of(text(&["https://a"])),
        option::of(400_u16..500),
        option::of(expression()),
        option::of(expression()),
    );
    let filter = filter.prop_map(|(kind, status, title, detail)| ErrorFilter {
        kind,
        status: status.map(at),
        instance: None,
        title,
        detail,
    });
    let retries = prop_oneof![
        Just(RetryRef::Use(at("retry".to_owned()))),
        retry().prop_map(|policy| RetryRef::Inline(Box::new(policy)))
    ];
    let catch = (
        option::of(filter),
        names(),
        option::of(expression()),
        option::of(retries),
        option::of(tasks()),
        option::of(flow()),
    );
    let catch = catch.prop_map(|(errors, variable, when, retry, tasks, then)| Catch {
        at: Location::default(),
        errors,
        variable,
        when,
        except_when: None,
        retry,
        tasks,
        then,
    });
    let case = (option::of(expression()), flow());
    let switch = vec(case, 1..4).prop_map(|cases| {
        let mut defaults = 0;
        let cases = cases.into_iter().enumerate().map(|(index, (when, then))| {
            defaults += usize::from(when.is_none());
            let when = if when.is_none() && defaults > 1 {
                Some(at(".other".to_owned()))
            } else {
                when
            };
            SwitchCase {
                name: at(format!("case{index}")),
                when,
                then,
            }
        });
        TaskKind::Switch(cases.collect())
    });
    let fork = (task_list(depth - 1, false), any::<bool>(), written()).prop_map(|(branches, compete, compete_at)| {
        TaskKind::Fork(Fork {
            branches,
            compete: compete && compete_at.is_some(),
            compete_at,
        })
    });
    let iterator = (
        option::of(text(&["event"])),
        option::of(tasks()),
        option::of(output()),
        option::of(output()),
    );
    let listen = (events(), iterator).prop_map(|(to, (item, tasks, output, export))| {
        let export = export.map(|Output { schema, shape }| Export { schema, shape });
        let (at, index, read) = (Location::default(), None, None);
        let foreach = Some(Foreach {
            at,
            item,
            index,
            tasks,
            output,
            export,
        });
        TaskKind::Listen(Listen { to, read, foreach })
    });
    prop_oneof![
        4 => leaf(),
        2 => tasks().prop_map(TaskKind::Do),
        2 => each,
        2 => (tasks(), catch).prop_map(|(tasks, catch)| TaskKind::Try(Try { tasks, catch })),
        2 => switch,
        1 => fork,
        1 => listen,
    ]
    .boxed()
}

fn task(depth: u32) -> BoxedStrategy<Task> {
    kind(depth)
        .prop_flat_map(|kind| {
            let potok = task_potok(&kind);
            (
                Just(kind),
                option::of((object(0), option::of(potok))),
                (option::of(expression()), option::of(input()), option::of(output())),
                option::of(output()),
                option::of(timeout_ref()),
                option::of(flow()),
            )
        })
        .prop_map(|(kind, metadata, (condition, input, output), export, timeout, then)| {
            let (metadata, potok) = with_potok(metadata);
            let export = export.map(|Output { schema, shape }| Export { schema, shape });
            let (at, kind_at, source) = (Location::default(), Location::default(), Value::Null);
            Task {
                at,
                condition,
                input,
                output,
                export,
                timeout,
                then,
                metadata,
                potok,
                kind,
                kind_at,
                source,
            }
        })
        .boxed()
}

fn with_potok<T: Default>(metadata: Option<(Json, Option<(T, Map<String, Value>)>)>) -> (Option<Json>, T) {
    let Some((mut metadata, potok)) = metadata else {
        return (None, T::default());
    };
    let Some((potok, members)) = potok else {
        return (Some(metadata), T::default());
    };
    metadata.value["potok"] = Value::Object(members);
    (Some(metadata), potok)
}

/// Tasks with names of their own, and jumps to them where that is allowed.
fn task_list(depth: u32, jumps: bool) -> BoxedStrategy<TaskList> {
    vec(task(depth), 1..4)
        .prop_map(move |tasks| {
            let target = if jumps {
                Flow::To("task 0".to_owned())
            } else {
                Flow::Exit
            };
            let items = tasks.into_iter().enumerate().map(|(index, mut task)| {
                settle(&mut task, &target);
                TaskItem {
                    name: at(format!("task {index}")),
                    task,
                }
            });
            TaskList(items.collect())
        })
        .boxed()
}

/// Puts in where jumps lead, and the source, now that nothing changes any more.
fn settle(task: &mut Task, target: &Flow) {
    let put = |flow: &mut At<Flow>| {
        if flow.value == Flow::To(String::new()) {
            flow.value = target.clone();
        }
    };
    task.then.iter_mut().for_each(put);
    match &mut task.kind {
        TaskKind::Switch(cases) => cases.iter_mut().for_each(|case| put(&mut case.then)),
        TaskKind::Try(attempt) => attempt.catch.then.iter_mut().for_each(put),
        _ => {}
    }
    task.source = task.to_value();
}

fn uses() -> impl Strategy<Value = Use> {
    let extension = (
        select(&[Extended::All, Extended::Call, Extended::Composite][..]),
        option::of(expression()),
        option::of(task_list(0, true)),
    );
    let parts = (
        authentication(),
        error(),
        option::of(extension),
        task(1),
        retry(),
        timeout(),
        endpoint(),
    );
    parts.prop_map(|(policy, error, extension, mut function, retry, timeout, endpoint)| {
        settle(&mut function, &Flow::End);
        let extension = extension.map(|(extend, when, before)| {
            (
                "e".to_owned(),
                at(Extension {
                    extend,
                    when,
                    before,
                    after: None,
                }),
            )
        });
        Use {
            at: Some(Location::default()),
            sections: vec![
                UseSection::Secrets,
                UseSection::Authentications,
                UseSection::Errors,
                UseSection::Extensions,
                UseSection::Functions,
                UseSection::Retries,
                UseSection::Timeouts,
                UseSection::Catalogs,
            ],
            authentications: [("policy".to_owned(), at(policy))].into(),
            errors: [("error".to_owned(), at(error))].into(),
            extensions: extension.into_iter().collect(),
            functions: [("function".to_owned(), function)].into(),
            retries: [("retry".to_owned(), retry)].into(),
            secrets: vec![at("secret".to_owned())],
            timeouts: [("timeout".to_owned(), timeout)].into(),
            catalogs: [("catalog".to_owned(), at(Catalog { endpoint }))].into(),
        }
    })
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let every = duration().prop_filter("longer than nothing", |every| {
        every.value.fixed() != Some(potok_dsl::Millis(0))
    });
    (
        option::of(every),
        option::of(text(&["0 0 * * *", "*/5 0 8 * * 1"])),
        duration(),
        option::of((events(), event_read())),
    )
        .prop_map(|(every, cron, after, on)| {
            let (on, read) = on.map_or((None, None), |(on, read)| (Some(on), read));
            Schedule {
                at: Location::default(),
                every,
                cron,
                after: Some(after),
                on,
                read,
            }
        })
}

fn document_potok(scheduled: bool) -> impl Strategy<Value = (DocumentPotok, Map<String, Value>)> {
    let overlaps = select(
        &[
            (Overlap::Skip, "skip"),
            (Overlap::Queue, "queue"),
            (Overlap::Allow, "allow"),
        ][..],
    );
    let catch_ups = select(
        &[
            (CatchUp::None, "none"),
            (CatchUp::Latest, "latest"),
            (CatchUp::All, "all"),
        ][..],
    );
    let zone = text(&["Europe/Moscow", "UTC"]);
    let concurrency = (option::of(expression()), 1_u32..=10_000);
    (option::of((zone, overlaps, catch_ups)), option::of(concurrency)).prop_map(move |(schedule, concurrency)| {
        let mut members = Map::new();
        let schedule = schedule
            .filter(|_| scheduled)
            .map(|(zone, (overlap, o), (catch_up, c))| {
                members.insert(
                    "schedule".to_owned(),
                    json!({ "timezone": zone.value, "overlap": o, "catchUp": c }),
                );
                at(SchedulePotok {
                    timezone: Some(zone),
                    overlap: Some(overlap),
                    catch_up: Some(catch_up),
                })
            });
        let concurrency = concurrency.map(|(key, limit)| {
            let mut value = json!({ "limit": limit, "onConflict": "reject" });
            if let Some(key) = &key {
                value["key"] = key.value.clone().into();
            }
            members.insert("concurrency".to_owned(), value);
            at(Concurrency {
                key,
                limit,
                on_conflict: OnConflict::Reject,
            })
        });
        (DocumentPotok { schedule, concurrency }, members)
    })
}

fn workflow() -> impl Strategy<Value = Workflow> {
    let document = (
        text(&["1.0.0", "1.0.3"]),
        text(&["0.1.0", "1.0.0-a.1+b"]),
        option::of(expression()),
        option::of(object(0)),
    )
        .boxed();
    let evaluate = (
        option::of(text(&["jq"])),
        option::of(select(&[EvaluateMode::Strict, EvaluateMode::Loose][..]).prop_map(at)),
    )
        .boxed();
    option::of(schedule())
        .prop_flat_map(move |schedule| {
            let metadata = option::of((object(0), option::of(document_potok(schedule.is_some()))));
            let shaped = (option::of(input()), option::of(output()), option::of(timeout_ref()));
            (
                Just(schedule),
                document.clone(),
                metadata,
                uses(),
                task_list(2, true),
                shaped,
                option::of(evaluate.clone()),
            )
        })
        .prop_map(
            |(schedule, (dsl, version, title, tags), metadata, uses, tasks, (input, output, timeout), evaluate)| {
                let (metadata, potok) = with_potok(metadata);
                let (namespace, name) = (at("tests".to_owned()), at("generated".to_owned()));
                Workflow {
                    document: Document {
                        dsl,
                        namespace,
                        name,
                        version,
                        summary: title.clone(),
                        title,
                        tags,
                        metadata,
                        potok,
                    },
                    input,
                    uses,
                    tasks,
                    timeout,
                    output,
                    schedule,
                    evaluate: evaluate.map(|(language, mode)| Evaluate { language, mode }),
                }
            },
        )
}

/// YAML in block style, its texts in double quotes, its keys in single ones.
fn yaml(value: &Value, indent: usize, text: &mut String) {
    let margin = format!("\n{}", "  ".repeat(indent));
    match value {
        Value::Object(members) if !members.is_empty() => members.iter().for_each(|(key, value)| {
            text.push_str(&format!("{margin}? {}{margin}: ", Value::from(key.as_str())));
            yaml(value, indent + 1, text);
        }),
        Value::Array(items) if !items.is_empty() => items.iter().for_each(|item| {
            text.push_str(&format!("{margin}- "));
            yaml(item, indent + 1, text);
        }),
        other => text.push_str(&other.to_string()),
    }
}

/// A model without its places.
fn without_places(workflow: &Workflow) -> String {
    let debug = format!("{workflow:?}");
    let mut parts = debug.split("Location { line: ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + part.split_once('}').map_or(part, |(_, rest)| rest)
    })
}

/// What must hold of a model.
fn check(workflow: &Workflow) -> Result<(), TestCaseError> {
    let value = workflow.to_value();
    let mut block = String::new();
    yaml(&value, 0, &mut block);
    for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap(), block] {
        let parsed = potok_dsl::parse("generated", &text);
        let parsed = parsed.map_err(|diagnostics| TestCaseError::fail(format!("{diagnostics}\n{text}")))?;
        prop_assert_eq!(&*parsed.document, &value);
        prop_assert_eq!(parsed.workflow.to_value(), value.clone());
        prop_assert_eq!(without_places(&parsed.workflow), without_places(workflow));
    }
    Ok(())
}

#[test]
fn models_are_written_and_read_back() {
    // Strategies for large types take more stack, unoptimised, than a test's thread has.
    #[allow(clippy::result_large_err, reason = "it holds the workflow that failed")]
    let run = || {
        let config = ProptestConfig {
            cases: 200,
            max_shrink_iters: 2000,
            source_file: Some(file!()),
            ..ProptestConfig::default()
        };
        TestRunner::new(config).run(&workflow(), |workflow| check(&workflow))
    };
    let thread = std::thread::Builder::new().stack_size(64 << 20).spawn(run).unwrap();
    if let Err(error) = thread.join().unwrap() {
        panic!("{error}");
    }
}
