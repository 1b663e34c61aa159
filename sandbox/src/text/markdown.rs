//! The old `Markdown` mode: `*bold*`, `_italic_`, `` `code` ``, ```` ```pre``` ````, `[text](address)`; nothing nests.

use super::cursor::{Cursor, Output};
use super::entity::{EntityKind, Formatted};
use super::links;

/// Parses a source; the error says what is wrong and at which byte.
pub(super) fn parse(source: &str) -> Result<Formatted, String> {
    let mut cursor = Cursor::new(source);
    let mut output = Output::default();
    while let Some(c) = cursor.peek() {
        let begin = cursor.at();
        cursor.next();
        match c {
            '\\' => match cursor.peek() {
                Some(escaped @ ('_' | '*' | '`' | '[')) => {
                    cursor.next();
                    output.push(escaped);
                }
                _ => output.push('\\'),
            },
            '_' => span(&mut cursor, &mut output, "_", EntityKind::Italic, begin)?,
            '*' => span(&mut cursor, &mut output, "*", EntityKind::Bold, begin)?,
            '`' if cursor.eat("``") => {
                let language = cursor.code_block_language();
                span(&mut cursor, &mut output, "```", EntityKind::Pre { language }, begin)?;
            }
            '`' => span(&mut cursor, &mut output, "`", EntityKind::Code, begin)?,
            '[' => link(&mut cursor, &mut output, begin)?,
            other => output.push(other),
        }
    }
    Ok(output.finish())
}

/// Everything up to `end` is `kind`.
fn span(cursor: &mut Cursor<'_>, output: &mut Output, end: &str, kind: EntityKind, begin: usize) -> Result<(), String> {
    let offset = output.units();
    while !cursor.eat(end) {
        let Some(c) = cursor.next() else {
            return Err(format!("Can't find end of the entity starting at byte offset {begin}"));
        };
        output.push(c);
    }
    output.mark(kind, offset);
    Ok(())
}

fn link(cursor: &mut Cursor<'_>, output: &mut Output, begin: usize) -> Result<(), String> {
    let offset = output.units();
    let label = cursor.take_while(|c| c != ']');
    if !cursor.eat("]") {
        return Err(format!("Can't find end of the entity starting at byte offset {begin}"));
    }
    label.chars().for_each(|c| output.push(c));
    let address = if cursor.eat("(") {
        let address = cursor.take_while(|c| c != ')');
        cursor.eat(")");
        address
    } else {
        label
    };
    if let Some(kind) = links::link(address) {
        output.mark(kind, offset);
    }
    Ok(())
}
