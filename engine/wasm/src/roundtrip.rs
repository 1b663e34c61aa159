//! Properties of the converter over random types: what goes out comes in again, and fits the schema.
#![allow(clippy::unwrap_used)]

use proptest::{collection::vec, prelude::*, sample::subsequence};
use serde_json::Value;
use wasmtime::component::Val;

use crate::{
    lift::{Lift, Unliftable},
    lower, schema,
    shape::{Case, Named, Returns, Shape, Signature},
};

fn shapes() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        Just(Shape::Bool),
        Just(Shape::S8),
        Just(Shape::U8),
        Just(Shape::S16),
        Just(Shape::U16),
        Just(Shape::S32),
        Just(Shape::U32),
        Just(Shape::S64),
        Just(Shape::U64),
        Just(Shape::F32),
        Just(Shape::F64),
        Just(Shape::Char),
        Just(Shape::String),
        Just(Shape::Bytes),
        (1..5_usize).prop_map(|n| Shape::Enum(names("case", n))),
        (1..5_usize).prop_map(|n| Shape::Flags(names("flag", n))),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        let maybe = proptest::option::of(inner.clone());
        prop_oneof![
            boxed.clone().prop_map(Shape::Option),
            boxed
                .clone()
                .prop_filter_map("bytes are not a list", |item| (*item != Shape::U8)
                    .then_some(Shape::List(item))),
            (boxed, 1..4_usize).prop_map(|(item, length)| Shape::Array(item, length)),
            vec(inner.clone(), 1..4).prop_map(Shape::Tuple),
            vec(inner, 1..4).prop_map(|shapes| {
                let fields = shapes.into_iter().enumerate();
                Shape::Record(
                    fields
                        .map(|(i, shape)| Named::new(&format!("some-field-{i}"), shape))
                        .collect(),
                )
            }),
            vec(maybe.clone(), 1..4).prop_map(|payloads| {
                let cases = payloads.into_iter().enumerate();
                Shape::Variant(
                    cases
                        .map(|(i, payload)| Case {
                            name: format!("case-{i}"),
                            payload,
                        })
                        .collect(),
                )
            }),
            (maybe.clone(), maybe).prop_map(|(ok, err)| Shape::Result(ok.map(Box::new), err.map(Box::new))),
        ]
    })
}

fn names(stem: &str, count: usize) -> Vec<String> {
    (0..count).map(|i| format!("{stem}-{i}")).collect()
}

fn values(shape: &Shape) -> BoxedStrategy<Val> {
    match shape {
        Shape::Bool => any::<bool>().prop_map(Val::Bool).boxed(),
        Shape::S8 => any::<i8>().prop_map(Val::S8).boxed(),
        Shape::U8 => any::<u8>().prop_map(Val::U8).boxed(),
        Shape::S16 => any::<i16>().prop_map(Val::S16).boxed(),
        Shape::U16 => any::<u16>().prop_map(Val::U16).boxed(),
        Shape::S32 => any::<i32>().prop_map(Val::S32).boxed(),
        Shape::U32 => any::<u32>().prop_map(Val::U32).boxed(),
        Shape::S64 => any::<i64>().prop_map(Val::S64).boxed(),
        Shape::U64 => any::<u64>().prop_map(Val::U64).boxed(),
        Shape::F32 => finite::<f32>().prop_map(Val::Float32).boxed(),
        Shape::F64 => finite::<f64>().prop_map(Val::Float64).boxed(),
        Shape::Char => any::<char>().prop_map(Val::Char).boxed(),
        Shape::String => any::<String>().prop_map(Val::String).boxed(),
        Shape::Bytes => vec(any::<u8>().prop_map(Val::U8), 0..20).prop_map(Val::List).boxed(),
        Shape::List(item) => vec(values(item), 0..4).prop_map(Val::List).boxed(),
        Shape::Array(item, length) => vec(values(item), *length).prop_map(Val::FixedLengthList).boxed(),
        Shape::Record(fields) => {
            let names: Vec<_> = fields.iter().map(|field| field.wit.clone()).collect();
            let fields: Vec<_> = fields.iter().map(|field| values(&field.shape)).collect();
            fields
                .prop_map(move |values| Val::Record(names.iter().cloned().zip(values).collect()))
                .boxed()
        }
        Shape::Tuple(shapes) => shapes
            .iter()
            .map(values)
            .collect::<Vec<_>>()
            .prop_map(Val::Tuple)
            .boxed(),
        Shape::Variant(cases) => {
            let cases = cases.iter().map(|case| {
                let name = case.name.clone();
                payload(case.payload.as_ref())
                    .prop_map(move |payload| Val::Variant(name.clone(), payload))
                    .boxed()
            });
            proptest::strategy::Union::new(cases).boxed()
        }
        Shape::Enum(names) => proptest::sample::select(names.clone()).prop_map(Val::Enum).boxed(),
        Shape::Flags(names) => subsequence(names.clone(), 0..=names.len()).prop_map(Val::Flags).boxed(),
        Shape::Option(inner) => proptest::option::of(values(inner))
            .prop_map(|value| Val::Option(value.map(Box::new)))
            .boxed(),
        Shape::Result(ok, err) => {
            let ok = payload(ok.as_deref()).prop_map(|value| Val::Result(Ok(value)));
            prop_oneof![ok, payload(err.as_deref()).prop_map(|value| Val::Result(Err(value)))].boxed()
        }
    }
}

fn payload(shape: Option<&Shape>) -> BoxedStrategy<Option<Box<Val>>> {
    match shape {
        None => Just(None).boxed(),
        Some(shape) => values(shape).prop_map(|value| Some(Box::new(value))).boxed(),
    }
}

fn finite<T: Arbitrary + Into<f64> + Copy>() -> impl Strategy<Value = T> {
    any::<T>().prop_filter("JSON says finite numbers", |n| (*n).into().is_finite())
}

fn typed() -> impl Strategy<Value = (Shape, Val)> {
    shapes().prop_flat_map(|shape| {
        let values = values(&shape);
        (Just(shape), values)
    })
}

fn lift(shape: &Shape, value: Val) -> Value {
    Lift::new(1 << 20).value(shape, value).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn what_goes_out_comes_in_again((shape, value) in typed()) {
        let json = lift(&shape, value.clone());
        // Through text too, for that is how it is kept.
        let json: Value = serde_json::from_str(&json.to_string()).unwrap();
        prop_assert_eq!(lower::value(&shape, json).unwrap(), value);
    }

    #[test]
    fn what_goes_out_fits_its_schema((shape, value) in typed()) {
        let signature = Signature { params: [Named::new("the-value", shape.clone())].into(), returns: Returns::Value(shape.clone()) };
        let json = lift(&shape, value);
        let schema = schema::output(&signature, None);
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        prop_assert!(validator.is_valid(&json), "{json} does not fit {schema}");
        let args = if signature.record().is_some() { json } else { serde_json::json!({ "the_value": json }) };
        let schema = schema::input(&signature, None);
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        prop_assert!(validator.is_valid(&args), "{args} does not fit {schema}");
        prop_assert_eq!(lower::args(&signature, args).unwrap().len(), 1);
    }

    #[test]
    fn what_fits_no_type_is_an_error_and_no_panic((shape, _) in typed(), (other, value) in typed()) {
        let _ = lower::value(&shape, lift(&other, value));
    }

    #[test]
    fn size_is_counted_before_it_is_spent((shape, value) in typed()) {
        let size = lift(&shape, value.clone()).to_string().len();
        match Lift::new(size / 4).value(&shape, value) {
            Ok(json) => prop_assert!(json.to_string().len() <= size),
            Err(error) => prop_assert_eq!(error, Unliftable::TooLarge { limit: size / 4 }),
        }
    }
}
