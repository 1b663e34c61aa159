//! The functions that are defined in jq: jaq's and ours. Only those that a filter can reach are compiled with it, which is
//! most of what makes compiling fast.

use std::collections::BTreeSet;

use jaq_core::load::lex::{Lexer, StrPart, Tok, Token};
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::path::Part;

use super::natives;

type Name = &'static str;

/// All definitions, in order: a later one hides an earlier one of the same name.
pub struct Prelude(Vec<(Def<Name>, BTreeSet<Name>)>);

impl Default for Prelude {
    fn default() -> Self {
        let ours = jaq_core::load::parse(include_str!("prelude.jq"), |parser| parser.defs()).unwrap_or_default();
        let all = jaq_core::defs()
            .chain(jaq_std::defs())
            .chain(jaq_json::defs())
            .chain(ours);
        let with_calls = all
            .filter(|definition| natives::defined(definition.name))
            .map(|definition| {
                let mut calls = BTreeSet::new();
                called(&definition.body, &mut calls);
                (definition, calls)
            });
        Self(with_calls.collect())
    }
}

impl Prelude {
    /// The definitions that a filter may need, by the words in it.
    pub fn reachable(&self, filter: &str) -> Vec<Def<Name>> {
        let mut words = BTreeSet::new();
        if let Ok(tokens) = Lexer::new(filter).lex() {
            tokens.iter().for_each(|token| read(token, &mut words));
        }
        // What a definition calls stands before it, or is itself.
        let mut needed = Vec::new();
        for (definition, calls) in self.0.iter().rev() {
            if words.contains(definition.name) {
                words.extend(calls);
                needed.push(definition.clone());
            }
        }
        needed.reverse();
        needed
    }
}

fn read<'a>(token: &Token<&'a str>, words: &mut BTreeSet<&'a str>) {
    match &token.1 {
        Tok::Word | Tok::Fmt => drop(words.insert(token.0)),
        Tok::Block(tokens) => tokens.iter().for_each(|token| read(token, words)),
        Tok::Str(parts) => parts.iter().for_each(|part| {
            if let StrPart::Term(token) = part {
                read(token, words);
            }
        }),
        Tok::Var | Tok::Num | Tok::Sym => {}
    }
}

/// The names of the functions that a term calls.
fn called(term: &Term<Name>, calls: &mut BTreeSet<Name>) {
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) | Term::Arr(None) => {}
        Term::Str(format, parts) => {
            calls.extend(format);
            for part in parts {
                if let StrPart::Term(term) = part {
                    called(term, calls);
                }
            }
        }
        Term::Arr(Some(inner)) | Term::Neg(inner) | Term::Label(_, inner) => called(inner, calls),
        Term::Obj(entries) => entries.iter().for_each(|(key, value)| {
            called(key, calls);
            value.iter().for_each(|value| called(value, calls));
        }),
        Term::BinOp(left, operator, right) => {
            called(left, calls);
            if let BinaryOp::Pipe(Some(pattern)) = operator {
                in_pattern(pattern, calls);
            }
            called(right, calls);
        }
        Term::Fold(_, source, pattern, arguments) => {
            called(source, calls);
            in_pattern(pattern, calls);
            arguments.iter().for_each(|argument| called(argument, calls));
        }
        Term::TryCatch(body, handler) => {
            called(body, calls);
            handler.iter().for_each(|handler| called(handler, calls));
        }
        Term::IfThenElse(branches, otherwise) => {
            for (condition, branch) in branches {
                called(condition, calls);
                called(branch, calls);
            }
            otherwise.iter().for_each(|otherwise| called(otherwise, calls));
        }
        Term::Def(definitions, body) => {
            definitions
                .iter()
                .for_each(|definition| called(&definition.body, calls));
            called(body, calls);
        }
        Term::Call(name, arguments) => {
            calls.insert(name);
            arguments.iter().for_each(|argument| called(argument, calls));
        }
        Term::Path(base, path) => {
            called(base, calls);
            for (part, _) in &path.0 {
                match part {
                    Part::Index(index) => called(index, calls),
                    Part::Range(from, to) => from.iter().chain(to).for_each(|bound| called(bound, calls)),
                }
            }
        }
    }
}

fn in_pattern(pattern: &Pattern<Name>, calls: &mut BTreeSet<Name>) {
    match pattern {
        Pattern::Var(_) => {}
        Pattern::Arr(items) => items.iter().for_each(|item| in_pattern(item, calls)),
        Pattern::Obj(entries) => entries.iter().for_each(|(key, item)| {
            called(key, calls);
            in_pattern(item, calls);
        }),
    }
}
