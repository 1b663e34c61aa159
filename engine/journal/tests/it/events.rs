//! The stream: what comes in once, who is told, what is found, what leaves.

use std::sync::Arc;

use potok_dsl::RunId;
use potok_journal::{
    EventFilter, Found, NewEvent, Nudges, Pattern, RunWrite, Store, StoreError, SubscriptionChange, Taken, Trim,
    Wanted, Write, Written,
};
use serde_json::{Value, json};

use crate::{appending, commit_run, opening, row, run_id, update};

/// An event of a type with an order's number, its keys for the shapes that the store knows.
async fn event(store: &Arc<dyn Store>, id: &str, kind: &str, order: u64) -> NewEvent {
    let event = json!({ "specversion": "1.0", "id": id, "source": "/test", "type": kind, "order": order });
    let shapes = store.shapes(kind, "/test", false).await.unwrap();
    let keys = shapes.into_iter().map(|shape| {
        // The only expression of these tests.
        assert!(shape.expressions.iter().all(|text| text == ".order"));
        let values = vec![json!(order); shape.expressions.len()];
        (shape.hash, Some(shape.key(&values)))
    });
    NewEvent {
        source: "/test".to_owned(),
        id: id.to_owned(),
        kind: kind.to_owned(),
        quiet: false,
        keys: keys.collect(),
        event,
        received_at: 1_000,
    }
}

async fn send(store: &Arc<dyn Store>, id: &str, kind: &str, order: u64) -> (Taken, Nudges) {
    let event = event(store, id, kind, order).await;
    match store.commit(Write::Events(vec![event])).await.unwrap() {
        Written::Events { taken, nudges } => (taken[0], nudges),
        other => panic!("{other:?}"),
    }
}

fn pattern(kind: &str, order: Option<u64>) -> Pattern {
    Pattern {
        kind: kind.to_owned(),
        source: String::new(),
        correlations: order
            .map(|order| (".order".to_owned(), json!(order)))
            .into_iter()
            .collect(),
    }
}

fn set(subscription: u64, patterns: Vec<Pattern>) -> SubscriptionChange {
    SubscriptionChange::Set {
        subscription,
        patterns: Some(patterns),
        cursor: None,
    }
}

/// Opens a run.
async fn begin(store: &Arc<dyn Store>, number: u128) -> RunId {
    store.commit(opening(row(number))).await.unwrap();
    run_id(number)
}

/// Writes what becomes of a run's subscriptions; gives whom the store tells to look.
async fn change(store: &Arc<dyn Store>, run: RunId, changes: Vec<SubscriptionChange>, consumed: Vec<u64>) -> Nudges {
    let mut write = RunWrite::new(run, 1);
    write.subscriptions = changes;
    write.consumed = consumed;
    match store.commit(Write::Run(Box::new(write))).await.unwrap() {
        Written::Run { nudges, .. } => nudges,
        other => panic!("{other:?}"),
    }
}

async fn look(store: &Arc<dyn Store>, run: RunId, pattern: Pattern, cursor: Option<u64>) -> Found {
    let wanted = Wanted {
        patterns: vec![pattern],
        cursor,
    };
    store.look(run, &[wanted], 100).await.unwrap()
}

fn numbers(found: &Found) -> Vec<u64> {
    found.events.iter().map(|(number, _)| *number).collect()
}

fn nobody() -> Nudges {
    Nudges::default()
}

fn only(run: RunId) -> Nudges {
    Nudges {
        runs: vec![run],
        more: false,
    }
}

pub async fn an_event_comes_in_once(store: Arc<dyn Store>) {
    let first = send(&store, "1", "a", 1).await;
    assert_eq!(first, (Taken { sequence: 1, new: true }, nobody()));
    assert_eq!(send(&store, "2", "b", 1).await.0, Taken { sequence: 2, new: true });
    assert_eq!(
        send(&store, "1", "a", 9).await.0,
        Taken {
            sequence: 1,
            new: false
        }
    );
    let all = store.events(&EventFilter::default(), 0, 10).await.unwrap();
    assert_eq!(all.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(all[0].event["order"], json!(1), "the first stays");
    let of_b = EventFilter {
        kinds: vec!["b".to_owned()],
        ..EventFilter::default()
    };
    assert_eq!(store.events(&of_b, 0, 10).await.unwrap()[0].sequence, 2);
    assert_eq!(store.events(&of_b, 2, 10).await.unwrap(), []);
    assert_eq!(store.last_event().await.unwrap(), 2);
    // One that cannot be taken takes the others of its write with it.
    let run = begin(&store, 1).await;
    change(&store, run, vec![set(1, vec![pattern("c", None)])], vec![]).await;
    let good = event(&store, "3", "a", 1).await;
    let mut stale = event(&store, "4", "c", 1).await;
    stale.keys.clear();
    let refused = store.commit(Write::Events(vec![good, stale])).await;
    assert_eq!(refused, Err(StoreError::Stale));
    assert_eq!(store.last_event().await.unwrap(), 2);
}

pub async fn who_waits_for_a_value_is_told_alone(store: Arc<dyn Store>) {
    for number in 1..=50 {
        let run = begin(&store, number).await;
        let waits = vec![set(1, vec![pattern("paid", Some(number as u64))])];
        assert_eq!(change(&store, run, waits, vec![]).await, nobody());
    }
    let shapes = store.shapes("paid", "/test", false).await.unwrap();
    assert_eq!(shapes.len(), 1, "one look-up, whoever waits");
    assert_eq!(store.behind(None, 10).await.unwrap(), []);
    assert_eq!(send(&store, "1", "paid", 7).await.1, only(run_id(7)));
    assert_eq!(send(&store, "2", "paid", 99).await.1, nobody());
    assert_eq!(send(&store, "3", "other", 7).await.1, nobody());
    // Known after a crash, too.
    assert_eq!(store.behind(None, 10).await.unwrap(), [run_id(7)]);
    let loaded = store.load_run(run_id(7)).await.unwrap().unwrap();
    assert!(loaded.subscriptions[0].behind && loaded.subscriptions[0].cursor == 0);
    let found = look(&store, run_id(7), pattern("paid", Some(7)), Some(0)).await;
    assert_eq!((numbers(&found), found.upto, found.more), (vec![1], 3, false));
    // Consumed: not shown again, and nothing is left to look at.
    let done = SubscriptionChange::Set {
        subscription: 1,
        patterns: None,
        cursor: Some(3),
    };
    assert_eq!(change(&store, run_id(7), vec![done], vec![1]).await, nobody());
    assert_eq!(store.behind(None, 10).await.unwrap(), []);
    assert_eq!(
        numbers(&look(&store, run_id(7), pattern("paid", Some(7)), Some(0)).await),
        [0u64; 0]
    );
    assert_eq!(
        numbers(&look(&store, run_id(8), pattern("paid", None), Some(0)).await),
        [1, 2]
    );
}

/// The same where many wait: what an event costs does not depend on how many those are.
pub async fn one_of_ten_thousand_is_told(store: Arc<dyn Store>) {
    const MANY: u128 = 10_000;
    const WAITED_FOR: u128 = 7_777;
    let mut writing = tokio::task::JoinSet::new();
    for number in 1..=MANY {
        let Write::Run(mut begins) = opening(row(number)) else {
            panic!()
        };
        begins.subscriptions = vec![set(1, vec![pattern("paid", Some(number as u64))])];
        let store = Arc::clone(&store);
        writing.spawn(async move { store.commit(Write::Run(begins)).await.unwrap() });
    }
    while let Some(written) = writing.join_next().await {
        assert!(matches!(written.unwrap(), Written::Run { nudges, .. } if nudges == nobody()));
    }
    assert_eq!(
        store.shapes("paid", "/test", false).await.unwrap().len(),
        1,
        "one expression is evaluated for all"
    );
    let reads = store.metrics().reads;
    let (taken, told) = send(&store, "1", "paid", WAITED_FOR as u64).await;
    assert!(taken.new);
    assert_eq!(told, only(run_id(WAITED_FOR)));
    assert_eq!(store.metrics().reads - reads, 1, "the shapes are read, and no run");
    assert_eq!(store.behind(None, 10).await.unwrap(), [run_id(WAITED_FOR)]);
    for (number, behind) in [(WAITED_FOR, true), (1, false), (MANY, false)] {
        let loaded = store.load_run(run_id(number)).await.unwrap().unwrap();
        assert_eq!(loaded.subscriptions[0].behind, behind, "{number}");
    }
    let found = look(
        &store,
        run_id(WAITED_FOR),
        pattern("paid", Some(WAITED_FOR as u64)),
        Some(0),
    )
    .await;
    assert_eq!(numbers(&found), [1]);
    let found = look(&store, run_id(1), pattern("paid", Some(1)), Some(0)).await;
    assert_eq!(numbers(&found), [0u64; 0]);
}

pub async fn early_events_are_found(store: Arc<dyn Store>) {
    send(&store, "0", "paid", 1).await;
    let run = begin(&store, 1).await;
    // After the run, before anyone has such a shape.
    send(&store, "1", "paid", 1).await;
    send(&store, "2", "paid", 2).await;
    send(&store, "3", "sent", 1).await;
    let waits = |kind| vec![set(1, vec![pattern(kind, Some(1))])];
    assert_eq!(change(&store, run, waits("paid"), vec![]).await, only(run));
    assert_eq!(store.behind(None, 10).await.unwrap(), [run]);
    // What came before the shape is found by its type, for the machine to decide; nothing from before the run.
    assert_eq!(
        numbers(&look(&store, run, pattern("paid", Some(1)), None).await),
        [2, 3]
    );
    // From then on by the key.
    send(&store, "4", "paid", 2).await;
    send(&store, "5", "paid", 1).await;
    assert_eq!(
        numbers(&look(&store, run, pattern("paid", Some(1)), None).await),
        [2, 3, 6]
    );
    assert_eq!(
        numbers(&look(&store, run, pattern("paid", Some(1)), Some(4)).await),
        [6]
    );
    let nothing = SubscriptionChange::Close { subscription: 1 };
    assert_eq!(change(&store, run, vec![nothing], vec![2]).await, nobody());
    assert_eq!(store.behind(None, 10).await.unwrap(), []);
    assert_eq!(change(&store, run, waits("missing"), vec![]).await, nobody());
    // A second listener of the run gets what the first has left.
    assert_eq!(
        change(&store, run, vec![set(2, vec![pattern("paid", Some(1))])], vec![]).await,
        only(run)
    );
    assert_eq!(
        numbers(&look(&store, run, pattern("paid", Some(1)), None).await),
        [3, 6]
    );
}

pub async fn a_listener_rests_and_goes_on(store: Arc<dyn Store>) {
    let run = begin(&store, 1).await;
    change(&store, run, vec![set(1, vec![pattern("a", None)])], vec![]).await;
    assert_eq!(send(&store, "1", "a", 1).await.1, only(run));
    let rests = SubscriptionChange::Set {
        subscription: 1,
        patterns: Some(vec![]),
        cursor: Some(1),
    };
    assert_eq!(change(&store, run, vec![rests], vec![1]).await, nobody());
    assert_eq!(send(&store, "2", "a", 1).await.1, nobody());
    assert_eq!(store.behind(None, 10).await.unwrap(), []);
    assert_eq!(
        change(&store, run, vec![set(1, vec![pattern("a", None)])], vec![]).await,
        only(run)
    );
    assert_eq!(numbers(&look(&store, run, pattern("a", None), Some(1)).await), [2]);
}

pub async fn emits_are_one_with_their_cause(store: Arc<dyn Store>) {
    let (one, other) = (begin(&store, 1).await, begin(&store, 2).await);
    change(&store, other, vec![set(1, vec![pattern("a", None)])], vec![]).await;
    let mut write = appending(one, 2, 2);
    write.events = vec![event(&store, "1", "a", 1).await];
    // It listens to what it emits itself, with a shape that nobody had.
    write.subscriptions = vec![set(1, vec![pattern("a", Some(1))])];
    let written = store.commit(Write::Run(Box::new(write.clone()))).await.unwrap();
    let Written::Run {
        nudges, last_seq: 2, ..
    } = written
    else {
        panic!("{written:?}")
    };
    assert_eq!(nudges.runs, [one, other]);
    // Fenced off: nothing of it happens.
    write.events = vec![event(&store, "2", "a", 1).await];
    assert!(matches!(
        commit_run(&store, write).await,
        Err(StoreError::Conflict { .. })
    ));
    assert_eq!(store.last_event().await.unwrap(), 1);
    // Emitted again after a crash: there once.
    let mut again = appending(one, 3, 3);
    again.events = vec![event(&store, "1", "a", 1).await];
    commit_run(&store, again).await.unwrap();
    assert_eq!(store.last_event().await.unwrap(), 1);
    // A run that ends listens no more.
    let mut end = appending(other, 2, 2);
    end.row = Some(update("completed", 9).into());
    end.finished = true;
    commit_run(&store, end).await.unwrap();
    assert_eq!(store.behind(None, 10).await.unwrap(), [one]);
    assert_eq!(send(&store, "3", "a", 2).await.1, nobody());
}

pub async fn quiet_events_come_only_by_name(store: Arc<dyn Store>) {
    let run = begin(&store, 1).await;
    let waits = vec![set(1, vec![pattern("", None)]), set(2, vec![pattern("loud", None)])];
    change(&store, run, waits, vec![]).await;
    let mut quiet = event(&store, "1", "hush", 1).await;
    quiet.quiet = true;
    quiet.keys.clear();
    let written = store.commit(Write::Events(vec![quiet])).await.unwrap();
    assert!(
        matches!(&written, Written::Events { nudges, .. } if *nudges == nobody()),
        "{written:?}"
    );
    assert_eq!(numbers(&look(&store, run, pattern("", None), Some(0)).await), [0u64; 0]);
    assert_eq!(store.events(&EventFilter::default(), 0, 10).await.unwrap(), []);
    assert!(store.waits_for("lo").await.unwrap() && !store.waits_for("hush").await.unwrap());
    let named = EventFilter {
        kinds: vec!["hush".to_owned()],
        ..EventFilter::default()
    };
    assert_eq!(store.events(&named, 0, 10).await.unwrap().len(), 1);
    assert_eq!(numbers(&look(&store, run, pattern("hush", None), Some(0)).await), [1]);
}

pub async fn pages_go_on_where_they_ended(store: Arc<dyn Store>) {
    let run = begin(&store, 1).await;
    change(
        &store,
        run,
        vec![set(1, vec![pattern("a", None), pattern("b", None)])],
        vec![],
    )
    .await;
    for number in 0..20 {
        let kind = if number % 3 == 0 { "b" } else { "a" };
        send(&store, &number.to_string(), kind, 1).await;
    }
    let (mut cursor, mut seen) = (0, Vec::new());
    loop {
        let wanted = Wanted {
            patterns: vec![pattern("a", None), pattern("b", None)],
            cursor: Some(cursor),
        };
        let found = store.look(run, &[wanted], 3).await.unwrap();
        seen.extend(numbers(&found));
        assert!(found.upto > cursor);
        cursor = found.upto;
        if !found.more {
            break;
        }
    }
    assert_eq!(seen, (1..=20).collect::<Vec<u64>>());
}

pub async fn the_oldest_events_leave(store: Arc<dyn Store>) {
    let trim = |received_before, keep| Trim {
        received_before,
        keep,
        not_from: u64::MAX,
        most: 100,
    };
    let run = begin(&store, 1).await;
    change(&store, run, vec![set(1, vec![pattern("a", Some(1))])], vec![]).await;
    for number in 1..=10 {
        let mut event = event(&store, &number.to_string(), if number == 5 { "a" } else { "b" }, 1).await;
        event.received_at = number;
        store.commit(Write::Events(vec![event])).await.unwrap();
    }
    let left = async || store.events(&EventFilter::default(), 0, 100).await.unwrap().len();
    // Someone is about to look from the first on.
    assert_eq!(
        store.commit(Write::TrimEvents(trim(100, 0))).await.unwrap(),
        Written::Trimmed(0)
    );
    let looked = SubscriptionChange::Set {
        subscription: 1,
        patterns: None,
        cursor: Some(10),
    };
    change(&store, run, vec![looked], vec![5]).await;
    assert_eq!(
        store.commit(Write::TrimEvents(trim(4, 100))).await.unwrap(),
        Written::Trimmed(3)
    );
    assert_eq!(
        store.commit(Write::TrimEvents(trim(0, 5))).await.unwrap(),
        Written::Trimmed(2)
    );
    let not_from = Trim {
        not_from: 7,
        ..trim(100, 100)
    };
    assert_eq!(
        store.commit(Write::TrimEvents(not_from)).await.unwrap(),
        Written::Trimmed(1)
    );
    assert_eq!(left().await, 4);
    store.commit(Write::TrimEvents(trim(100, 0))).await.unwrap();
    assert_eq!(left().await, 0);
    // Numbers are never used again; a shape that nobody has any more goes.
    assert_eq!(store.shapes("a", "/test", false).await.unwrap().len(), 1);
    change(&store, run, vec![SubscriptionChange::Close { subscription: 1 }], vec![]).await;
    store.commit(Write::TrimEvents(trim(0, 9))).await.unwrap();
    assert_eq!(store.shapes("a", "/test", false).await.unwrap(), []);
    assert_eq!(send(&store, "11", "a", 1).await.0.sequence, 11);
}

pub async fn large_events_come_whole(store: Arc<dyn Store>) {
    let mut large = event(&store, "1", "a", 1).await;
    large.event["data"] = Value::String("x".repeat(300_000));
    store.commit(Write::Events(vec![large.clone()])).await.unwrap();
    let page = store.events(&EventFilter::default(), 0, 10).await.unwrap();
    assert_eq!(page[0].event, large.event);
}
