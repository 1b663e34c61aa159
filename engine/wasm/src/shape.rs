//! The types of functions in the form that conversion walks: read off a component once, when it is installed.
//!
//! A [`Shape`] has its JSON names worked out, so that a call looks nothing up. What has no form in JSON (resources,
//! streams, futures, maps) is refused here.

use std::sync::Arc;

use wasmtime::component::{Type, types::ComponentFunc};

use crate::{error::InstallError, names::snake};

/// How deep types may be nested. JSON is at most 128 deep, and so are the values of these types.
const MAX_DEPTH: usize = 100;

/// How many types a function's signature may have once every name in it is written out.
const MAX_NODES: usize = 50_000;

/// A type with a form in JSON.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    Bool,
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
    F32,
    F64,
    Char,
    String,
    /// `list<u8>`: a base64 string.
    Bytes,
    List(Box<Shape>),
    Array(Box<Shape>, usize),
    Record(Vec<Named>),
    Tuple(Vec<Shape>),
    Variant(Vec<Case>),
    Enum(Vec<String>),
    Option(Box<Shape>),
    /// A result anywhere but as what a function returns: `{"ok": …}` or `{"err": …}`.
    Result(Option<Box<Shape>>, Option<Box<Shape>>),
    Flags(Vec<String>),
}

/// A field or a parameter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Named {
    /// Its name in WIT: `max-length`.
    pub(crate) wit: String,
    /// Its name in JSON: `max_length`.
    pub(crate) json: String,
    pub(crate) shape: Shape,
}

/// A case of a variant.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) payload: Option<Shape>,
}

/// What a function returns.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Returns {
    Nothing,
    Value(Shape),
    /// `result<ok, err>`.
    Result {
        ok: Option<Shape>,
        err: Option<Shape>,
    },
}

/// A function's parameters and result.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Signature {
    pub(crate) params: Arc<[Named]>,
    pub(crate) returns: Returns,
}

impl Named {
    pub(crate) fn new(wit: &str, shape: Shape) -> Self {
        Self {
            wit: wit.to_owned(),
            json: snake(wit),
            shape,
        }
    }
}

impl Shape {
    /// Whether null is one of its values in JSON, so that an option of it has to say more than null.
    pub(crate) fn is_nullable(&self) -> bool {
        matches!(self, Self::Option(_))
    }
}

impl Signature {
    /// Reads the signature of a function; `name` is for the message when it has no form in JSON.
    pub(crate) fn of(name: &str, ty: &ComponentFunc) -> Result<Self, InstallError> {
        if ty.async_() {
            return Err(unsupported(name, "type", "an asynchronous function"));
        }
        let mut reader = Reader {
            function: name,
            nodes: 0,
            path: Vec::new(),
        };
        let mut params = Vec::with_capacity(ty.params().len());
        for (param, ty) in ty.params() {
            params.push(Named::new(
                param,
                reader.within(&format!("parameter '{param}'"), |r| r.shape(&ty))?,
            ));
        }
        let returns = match ty.results().next() {
            None => Returns::Nothing,
            Some(Type::Result(result)) => reader.within("result", |r| {
                Ok(Returns::Result {
                    ok: r.optional("ok", result.ok())?,
                    err: r.optional("err", result.err())?,
                })
            })?,
            Some(ty) => Returns::Value(reader.within("result", |r| r.shape(&ty))?),
        };
        Ok(Self {
            params: params.into(),
            returns,
        })
    }

    /// The fields of the one record that is the only parameter: then the function's `with` is that record.
    pub(crate) fn record(&self) -> Option<&[Named]> {
        match &*self.params {
            [
                Named {
                    shape: Shape::Record(fields),
                    ..
                },
            ] => Some(fields),
            _ => None,
        }
    }
}

struct Reader<'a> {
    function: &'a str,
    nodes: usize,
    path: Vec<String>,
}

impl Reader<'_> {
    fn within<T>(
        &mut self,
        step: &str,
        read: impl FnOnce(&mut Self) -> Result<T, InstallError>,
    ) -> Result<T, InstallError> {
        self.path.push(step.to_owned());
        let read = read(self)?;
        self.path.pop();
        Ok(read)
    }

    fn optional(&mut self, step: &str, ty: Option<Type>) -> Result<Option<Shape>, InstallError> {
        ty.map(|ty| self.within(step, |r| r.shape(&ty))).transpose()
    }

    fn boxed(&mut self, step: &str, ty: &Type) -> Result<Box<Shape>, InstallError> {
        self.within(step, |r| r.shape(ty)).map(Box::new)
    }

    fn shape(&mut self, ty: &Type) -> Result<Shape, InstallError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(self.refuse("larger than 50,000 types"));
        }
        if self.path.len() > MAX_DEPTH {
            self.path.truncate(3);
            return Err(self.refuse("nested more than 100 deep"));
        }
        Ok(match ty {
            Type::Bool => Shape::Bool,
            Type::S8 => Shape::S8,
            Type::U8 => Shape::U8,
            Type::S16 => Shape::S16,
            Type::U16 => Shape::U16,
            Type::S32 => Shape::S32,
            Type::U32 => Shape::U32,
            Type::S64 => Shape::S64,
            Type::U64 => Shape::U64,
            Type::Float32 => Shape::F32,
            Type::Float64 => Shape::F64,
            Type::Char => Shape::Char,
            Type::String => Shape::String,
            Type::List(list) => match list.ty() {
                Type::U8 => Shape::Bytes,
                item => Shape::List(self.boxed("items", &item)?),
            },
            Type::FixedLengthList(list) => Shape::Array(self.boxed("items", &list.ty())?, list.len() as usize),
            Type::Record(record) => {
                let mut fields = Vec::with_capacity(record.fields().len());
                for field in record.fields() {
                    fields.push(Named::new(field.name, self.within(field.name, |r| r.shape(&field.ty))?));
                }
                Shape::Record(fields)
            }
            Type::Tuple(tuple) => {
                let mut items = Vec::with_capacity(tuple.types().len());
                for (index, ty) in tuple.types().enumerate() {
                    items.push(self.within(&index.to_string(), |r| r.shape(&ty))?);
                }
                Shape::Tuple(items)
            }
            Type::Variant(variant) => {
                let mut cases = Vec::with_capacity(variant.cases().len());
                for case in variant.cases() {
                    cases.push(Case {
                        name: case.name.to_owned(),
                        payload: self.optional(case.name, case.ty)?,
                    });
                }
                Shape::Variant(cases)
            }
            Type::Enum(cases) => Shape::Enum(cases.names().map(str::to_owned).collect()),
            Type::Flags(flags) => Shape::Flags(flags.names().map(str::to_owned).collect()),
            Type::Option(option) => Shape::Option(self.boxed("some", &option.ty())?),
            Type::Result(result) => Shape::Result(
                self.optional("ok", result.ok())?.map(Box::new),
                self.optional("err", result.err())?.map(Box::new),
            ),
            Type::Own(_) | Type::Borrow(_) => return Err(self.refuse("a resource")),
            Type::Future(_) => return Err(self.refuse("a future")),
            Type::Stream(_) => return Err(self.refuse("a stream")),
            Type::Map(_) => return Err(self.refuse("a map")),
            Type::ErrorContext => return Err(self.refuse("an error context")),
        })
    }

    fn refuse(&self, what: &str) -> InstallError {
        unsupported(self.function, &self.path.join(", "), what)
    }
}

fn unsupported(function: &str, place: &str, what: &str) -> InstallError {
    InstallError::UnsupportedType {
        function: function.to_owned(),
        place: place.to_owned(),
        what: what.to_owned(),
    }
}
