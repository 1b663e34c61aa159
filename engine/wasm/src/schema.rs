//! Types as JSON Schema (draft 2020-12), with the doc comments of the WIT text as descriptions.
//!
//! The schema is made from the [`Shape`], which is what the converter goes by; the WIT text is walked beside it and gives
//! names and descriptions for as long as it says the same.

use serde_json::{Map, Value, json};
use wit_parser::{Docs, Function, Resolve, Type, TypeDef, TypeDefKind};

use crate::shape::{Case, Named, Returns, Shape, Signature};

/// A type in the WIT text.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    resolve: &'a Resolve,
    ty: &'a Type,
}

/// A function in the WIT text.
#[derive(Clone, Copy)]
pub(crate) struct FunctionText<'a> {
    pub(crate) resolve: &'a Resolve,
    pub(crate) function: &'a Function,
}

/// The schema of a function's arguments: an object.
pub(crate) fn input(signature: &Signature, text: Option<FunctionText<'_>>) -> Value {
    let param = |name: &str| {
        let text = text?;
        let param = text.function.params.iter().find(|param| param.name == name)?;
        Some(Text {
            resolve: text.resolve,
            ty: &param.ty,
        })
    };
    match &*signature.params {
        [
            Named {
                wit,
                shape: shape @ Shape::Record(_),
                ..
            },
        ] => schema(shape, param(wit)),
        params => object(params, |name| (param(name), None)),
    }
}

/// The schema of what a function returns.
pub(crate) fn output(signature: &Signature, text: Option<FunctionText<'_>>) -> Value {
    let text = text.and_then(|text| {
        Some(Text {
            resolve: text.resolve,
            ty: text.function.result.as_ref()?,
        })
    });
    match &signature.returns {
        Returns::Nothing | Returns::Result { ok: None, .. } => json!({ "type": "null" }),
        Returns::Value(shape) => schema(shape, text),
        Returns::Result { ok: Some(shape), .. } => schema(shape, text.and_then(Text::ok)),
    }
}

/// The schema of the error that a function declares.
pub(crate) fn error(signature: &Signature, text: Option<FunctionText<'_>>) -> Option<Value> {
    let text = text.and_then(|text| {
        Some(Text {
            resolve: text.resolve,
            ty: text.function.result.as_ref()?,
        })
    });
    match &signature.returns {
        Returns::Result { err: Some(shape), .. } => Some(schema(shape, text.and_then(Text::err))),
        _ => None,
    }
}

fn schema(shape: &Shape, text: Option<Text<'_>>) -> Value {
    let definition = text.and_then(Text::definition);
    let mut schema = match shape {
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::S8 => integer(i8::MIN.into(), i8::MAX.into()),
        Shape::U8 => integer(0, u8::MAX.into()),
        Shape::S16 => integer(i16::MIN.into(), i16::MAX.into()),
        Shape::U16 => integer(0, u16::MAX.into()),
        Shape::S32 => integer(i32::MIN.into(), i32::MAX.into()),
        Shape::U32 => integer(0, u32::MAX.into()),
        Shape::S64 => json!({ "type": "integer", "minimum": i64::MIN, "maximum": i64::MAX }),
        Shape::U64 => json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX }),
        Shape::F32 | Shape::F64 => json!({ "type": "number" }),
        Shape::Char => json!({ "type": "string", "minLength": 1, "maxLength": 1 }),
        Shape::String => json!({ "type": "string" }),
        Shape::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
        Shape::List(item) => json!({ "type": "array", "items": self::schema(item, text.and_then(Text::inner)) }),
        Shape::Array(item, length) => json!({
            "type": "array", "items": self::schema(item, text.and_then(Text::inner)), "minItems": length, "maxItems": length,
        }),
        Shape::Record(fields) => object(fields, |name| field(definition, name)),
        Shape::Tuple(shapes) => tuple(shapes, definition),
        Shape::Variant(cases) => variant(cases, definition),
        Shape::Enum(names) => enumeration(names, definition),
        Shape::Option(inner) => nullable(inner, text.and_then(Text::inner)),
        Shape::Result(ok, err) => json!({ "oneOf": [
            tagged("ok", ok.as_deref(), text.and_then(Text::ok), None),
            tagged("err", err.as_deref(), text.and_then(Text::err), None),
        ] }),
        Shape::Flags(names) => json!({ "type": "array", "items": { "enum": names }, "uniqueItems": true }),
    };
    if let (Some((_, definition)), Value::Object(schema)) = (definition, &mut schema) {
        describe(schema, Some(&definition.docs));
    }
    schema
}

fn integer(low: i64, high: i64) -> Value {
    json!({ "type": "integer", "minimum": low, "maximum": high })
}

fn object<'a>(fields: &[Named], text: impl Fn(&str) -> (Option<Text<'a>>, Option<&'a Docs>)) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in fields {
        let (text, docs) = text(&field.wit);
        let mut property = schema(&field.shape, text);
        if let Value::Object(property) = &mut property {
            describe(property, docs);
        }
        properties.insert(field.json.clone(), property);
        if !matches!(field.shape, Shape::Option(_)) {
            required.push(field.json.clone());
        }
    }
    let mut object = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

/// A value or null. An option of an option is null or an array of one.
fn nullable(inner: &Shape, text: Option<Text<'_>>) -> Value {
    let mut schema = schema(inner, text);
    if inner.is_nullable() {
        return json!({ "type": ["array", "null"], "items": schema, "minItems": 1, "maxItems": 1 });
    }
    match schema.get("type") {
        Some(Value::String(ty)) if schema.get("enum").is_none() && schema.get("oneOf").is_none() => {
            schema["type"] = json!([ty, "null"]);
            schema
        }
        _ => json!({ "anyOf": [schema, { "type": "null" }] }),
    }
}

fn tuple(shapes: &[Shape], definition: Option<(&Resolve, &TypeDef)>) -> Value {
    let types = match definition {
        Some((
            resolve,
            TypeDef {
                kind: TypeDefKind::Tuple(tuple),
                ..
            },
        )) if tuple.types.len() == shapes.len() => Some((resolve, &tuple.types)),
        _ => None,
    };
    let text = |index: usize| {
        types.and_then(|(resolve, types)| {
            Some(Text {
                resolve,
                ty: types.get(index)?,
            })
        })
    };
    let items: Vec<_> = shapes
        .iter()
        .enumerate()
        .map(|(index, shape)| schema(shape, text(index)))
        .collect();
    json!({ "type": "array", "prefixItems": items, "items": false, "minItems": shapes.len() })
}

fn variant(cases: &[Case], definition: Option<(&Resolve, &TypeDef)>) -> Value {
    let schemas: Vec<_> = cases
        .iter()
        .map(|case| {
            let text = definition.and_then(|(resolve, definition)| match &definition.kind {
                TypeDefKind::Variant(variant) => {
                    let case = variant.cases.iter().find(|c| c.name == case.name)?;
                    Some((case.ty.as_ref().map(|ty| Text { resolve, ty }), &case.docs))
                }
                _ => None,
            });
            tagged(
                &case.name,
                case.payload.as_ref(),
                text.and_then(|(ty, _)| ty),
                text.map(|(_, docs)| docs),
            )
        })
        .collect();
    json!({ "oneOf": schemas })
}

/// `"case"` or `{"case": payload}`.
fn tagged(name: &str, payload: Option<&Shape>, text: Option<Text<'_>>, docs: Option<&Docs>) -> Value {
    let mut case = match payload {
        None => json!({ "const": name }),
        Some(shape) => json!({
            "type": "object", "properties": { name: schema(shape, text) }, "required": [name], "additionalProperties": false,
        }),
    };
    if let Value::Object(case) = &mut case {
        describe(case, docs);
    }
    case
}

/// Names alone, or one by one where one of them is described.
fn enumeration(names: &[String], definition: Option<(&Resolve, &TypeDef)>) -> Value {
    let docs = |name: &str| match definition {
        Some((
            _,
            TypeDef {
                kind: TypeDefKind::Enum(e),
                ..
            },
        )) => e.cases.iter().find(|c| c.name == name).map(|c| &c.docs),
        _ => None,
    };
    if names
        .iter()
        .all(|name| docs(name).is_none_or(|docs| docs.contents.is_none()))
    {
        return json!({ "type": "string", "enum": names });
    }
    let cases: Vec<_> = names.iter().map(|name| tagged(name, None, None, docs(name))).collect();
    json!({ "type": "string", "oneOf": cases })
}

fn field<'a>(definition: Option<(&'a Resolve, &'a TypeDef)>, name: &str) -> (Option<Text<'a>>, Option<&'a Docs>) {
    let Some((
        resolve,
        TypeDef {
            kind: TypeDefKind::Record(record),
            ..
        },
    )) = definition
    else {
        return (None, None);
    };
    match record.fields.iter().find(|field| field.name == name) {
        Some(field) => (Some(Text { resolve, ty: &field.ty }), Some(&field.docs)),
        None => (None, None),
    }
}

/// The nearest description stands: a field's own before that of its type.
fn describe(schema: &mut Map<String, Value>, docs: Option<&Docs>) {
    if let Some(text) = docs.and_then(|docs| docs.contents.as_deref()) {
        schema.insert("description".to_owned(), Value::String(text.trim().to_owned()));
    }
}

impl<'a> Text<'a> {
    /// The definition that the type names, through aliases.
    fn definition(self) -> Option<(&'a Resolve, &'a TypeDef)> {
        let mut ty = self.ty;
        // A chain of aliases is as long as the text has definitions, at most.
        for _ in 0..=self.resolve.types.len() {
            let Type::Id(id) = ty else { return None };
            let definition = &self.resolve.types[*id];
            match &definition.kind {
                TypeDefKind::Type(alias) => ty = alias,
                _ => return Some((self.resolve, definition)),
            }
        }
        None
    }

    fn to(self, ty: &'a Type) -> Self {
        Self { ty, ..self }
    }

    fn inner(self) -> Option<Self> {
        match &self.definition()?.1.kind {
            TypeDefKind::List(ty) | TypeDefKind::Option(ty) | TypeDefKind::FixedLengthList(ty, _) => Some(self.to(ty)),
            _ => None,
        }
    }

    fn ok(self) -> Option<Self> {
        match &self.definition()?.1.kind {
            TypeDefKind::Result(result) => result.ok.as_ref().map(|ty| self.to(ty)),
            _ => None,
        }
    }

    fn err(self) -> Option<Self> {
        match &self.definition()?.1.kind {
            TypeDefKind::Result(result) => result.err.as_ref().map(|ty| self.to(ty)),
            _ => None,
        }
    }
}
