//! `emit`: complete events, the same when they are emitted again.

use potok_machine::Effect;
use serde_json::{Value, json};

use crate::support::{error, output, start};

fn emitted(body: &str, input: Value) -> Vec<Value> {
    let driver = start(body, input);
    assert!(driver.machine.outcome().is_some());
    let events = driver.effects.iter().filter_map(|effect| match effect {
        Effect::Emit(emit) => Some(emit.event.as_ref().clone()),
        _ => None,
    });
    events.collect()
}

#[test]
fn what_is_not_said_is_made() {
    let body = "do: [{ tell: { emit: { event: { with: { type: com.example.told, data: { n: '${ .n }' } } } } } }]";
    let event = output(body, json!({ "n": 1 }));
    let id = event["id"].as_str().unwrap();
    assert_eq!(id.len(), 32);
    let expected = json!({
        "specversion": "1.0", "id": id, "source": "/test/small/1.0.0", "type": "com.example.told",
        "time": "1970-01-01T00:16:40.000Z", "datacontenttype": "application/json", "data": { "n": 1 },
    });
    assert_eq!(event, expected);
    assert_eq!(emitted(body, json!({ "n": 1 })), [expected]);
}

#[test]
fn what_is_said_is_taken() {
    let body = r"
do:
  - tell:
      emit:
        event:
          with:
            id: '${ .id }'
            source: https://example.com/rooms/{room}
            type: com.example.told
            time: '2026-01-31T08:00:00Z'
            subject: '${ .nothing }'
            dataschema: '${ .schema }'
            datacontenttype: text/plain
            roomid: '${ .room }'
            urgent: true
            data: hello
";
    let event = output(body, json!({ "id": "a", "room": 7, "schema": "https://example.com/s" }));
    let expected = json!({
        "specversion": "1.0", "id": "a", "source": "https://example.com/rooms/7", "type": "com.example.told",
        "time": "2026-01-31T08:00:00Z", "datacontenttype": "text/plain", "dataschema": "https://example.com/s",
        "roomid": 7, "urgent": true, "data": "hello",
    });
    assert_eq!(event, expected);
}

#[test]
fn each_execution_has_an_id_of_its_own() {
    let body = "do: [{ all: { for: { in: '[1, 2]' }, do: [{ tell: { emit: { event: { with: { type: a } } } } }] } }]";
    let events = emitted(body, json!({}));
    assert_eq!(events.len(), 2);
    assert_ne!(events[0]["id"], events[1]["id"]);
    assert_eq!(emitted(body, json!({})), events);
    assert_eq!(events[0].get("data"), None);
}

#[test]
fn what_no_event_can_have_is_an_error() {
    for (with, said) in [
        ("type: '${ .nothing }'", "emit.event.with.type must give text, not null"),
        (
            "type: a, room: '${ { } }'",
            "emit.event.with.room must give text, true, false or an integer of 32 bits, not an object of 0 members",
        ),
        (
            "type: a, time: '${ \"tomorrow\" }'",
            "emit.event.with.time must give a moment such as 2026-01-31T08:00:00Z, not \"tomorrow\"",
        ),
        (
            "type: a, id: '${ 5 }'",
            "emit.event.with.id must give text that is not empty, not 5",
        ),
    ] {
        let body = format!("do: [{{ tell: {{ emit: {{ event: {{ with: {{ {with} }} }} }} }} }}]");
        let problem = error(&body, json!({}));
        assert_eq!(problem.detail.as_deref(), Some(said));
        assert_eq!(problem.instance.as_deref(), Some("/do/0/tell"));
    }
}
