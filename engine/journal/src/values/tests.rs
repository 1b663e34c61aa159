//! Split and join are inverse, whatever the value; limits name what is over them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// JSON with objects that look like references, at every depth.
pub(crate) fn any_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        3 => "[a-z\"\\\\\n]{0,4}",
        1 => "\\${0,3}potok\\.value",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,40}".prop_map(Value::from),
        "[\u{0}-\u{7f}]{0,40}".prop_map(Value::from),
        Just(Value::from("a".repeat(64))),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner.clone()), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
            (key.clone(), inner).prop_map(|(key, member)| json!({ key: member })),
        ]
    })
}

fn joined(mut value: Value, values: &[StoredValue]) -> Value {
    let mut fetched = Vec::new();
    join(&mut value, &mut HashMap::new(), &mut |hash: &Hash| {
        assert!(!fetched.contains(hash), "fetched twice");
        fetched.push(*hash);
        Ok(values
            .iter()
            .find(|stored| stored.hash == *hash)
            .map(|stored| stored.bytes.to_vec()))
    })
    .unwrap();
    value
}

/// Every reference in a split value, so that a test can see what it kept.
fn longest_kept(value: &Value, values: &[StoredValue]) -> usize {
    values
        .iter()
        .map(|stored| stored.bytes.len())
        .chain([serde_json::to_vec(value).unwrap().len()])
        .max()
        .unwrap()
}

proptest! {
    #[test]
    fn joining_gives_back_what_was_split(value in any_json(), inline in 90usize..400) {
        let (mut split, mut values) = (value.clone(), Vec::new());
        split_within(&mut split, &mut values, "", Limits { inline, ceiling: CEILING }).unwrap();
        prop_assert!(serde_json::to_vec(&split).unwrap().len() <= inline, "what is kept is at most the limit");
        prop_assert_eq!(joined(split, &values), value);
    }

    #[test]
    fn lengths_are_those_of_the_json(value in any_json()) {
        let mut split = value;
        let mut values = Vec::new();
        let size = Splitter { limits: Limits { inline: usize::MAX, ceiling: u64::MAX }, values: &mut values }.split(&mut split, 0);
        let length = serde_json::to_vec(&split).unwrap().len();
        let Ok(size) = size else { panic!("split failed") };
        prop_assert_eq!((size.kept, size.total), (length, length as u64));
        prop_assert!(!is_over(&split, length * 3 + 8), "not over thrice its length");
    }
}

#[test]
fn the_deepest_large_part_is_moved_out_and_the_same_one_only_stored_once() {
    let text = "x".repeat(INLINE_LIMIT);
    let value = json!({ "small": 1, "a": { "text": text }, "b": [text] });
    let (mut split_value, mut values) = (value.clone(), Vec::new());
    split(&mut split_value, &mut values).unwrap();
    let hash = hex(&values[0].hash);
    assert_eq!(
        split_value,
        json!({ "small": 1, "a": { "text": { "$potok.value": hash } }, "b": [{ "$potok.value": hash }] })
    );
    assert_eq!(values[0], values[1]);
    assert_eq!(joined(split_value, &values), value);
}

#[test]
fn many_middling_parts_make_a_large_whole() {
    let part = "x".repeat(50_000);
    let value = Value::from(vec![Value::from(part); 2_000]);
    let (mut split_value, mut values) = (value.clone(), Vec::new());
    split_within(
        &mut split_value,
        &mut values,
        "",
        Limits {
            inline: 60_000,
            ceiling: u64::MAX,
        },
    )
    .unwrap();
    assert_eq!(values.len(), 1, "the parts are under the limit, their whole is over it");
    assert_eq!(joined(split_value, &values), value);

    let mut halves = json!([["y".repeat(40_000)], ["z".repeat(40_000)], 1]);
    let mut values = Vec::new();
    split_within(
        &mut halves,
        &mut values,
        "",
        Limits {
            inline: 40_010,
            ceiling: u64::MAX,
        },
    )
    .unwrap();
    assert!(longest_kept(&halves, &values) <= 80_200);
}

#[test]
fn what_a_user_wrote_like_a_reference_stays_theirs() {
    let hash = "0".repeat(64);
    for value in [
        json!({ "$potok.value": hash }),
        json!({ "$potok.value": 1 }),
        json!({ "$$potok.value": hash }),
        json!({ "$potok.value": { "$potok.value": hash } }),
        json!({ "$potok.value": hash, "more": 1 }),
        json!({ "potok.value": hash }),
    ] {
        let (mut split_value, mut values) = (value.clone(), Vec::new());
        split(&mut split_value, &mut values).unwrap();
        assert!(values.is_empty());
        assert_eq!(joined(split_value.clone(), &[]), value);
        unmark(&mut split_value);
        assert_eq!(split_value, value);
    }
}

#[test]
fn deep_values_are_stored_in_pieces_that_can_be_parsed() {
    let mut value = json!(1);
    for level in 0..DEPTH_LIMIT {
        value = if level % 2 == 0 {
            json!([value])
        } else {
            json!({ "a": value })
        };
    }
    let (mut split_value, mut values) = (value.clone(), Vec::new());
    split(&mut split_value, &mut values).unwrap();
    let text = serde_json::to_vec(&split_value).unwrap();
    assert_eq!(joined(serde_json::from_slice(&text).unwrap(), &values), value);

    let error = split_within(
        &mut json!([value]),
        &mut Vec::new(),
        "the input",
        Limits {
            inline: 100,
            ceiling: 1_000,
        },
    );
    assert!(matches!(error, Err(StoreError::Refused(why)) if why.contains("the input at /0/") && why.contains("512")));
}

#[test]
fn what_is_over_the_ceiling_is_named() {
    let mut value = json!({ "ok": 1, "a/b": [0, "x".repeat(1_000)] });
    let error = split_within(
        &mut value,
        &mut Vec::new(),
        "the output",
        Limits {
            inline: 100,
            ceiling: 500,
        },
    )
    .unwrap_err();
    assert_eq!(
        error,
        StoreError::TooLarge {
            what: "the output at /a~1b/1".to_owned(),
            size: 1_002,
            limit: 500
        }
    );
    let mut sum = json!(["x".repeat(300), "y".repeat(300)]);
    let error = split_within(
        &mut sum,
        &mut Vec::new(),
        "",
        Limits {
            inline: 100,
            ceiling: 500,
        },
    )
    .unwrap_err();
    assert!(
        matches!(error, StoreError::TooLarge { what, size: 607, .. } if what == "the value"),
        "the whole counts as it was"
    );
}

#[test]
fn a_missing_part_is_named() {
    let hash = "0".repeat(64);
    let mut value = json!([{ "$potok.value": hash }]);
    let error = join(&mut value, &mut HashMap::new(), &mut |_: &Hash| Ok(None)).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(why) if why.contains(&hash) && why.contains("missing")));
}
