//! What every text goes through whatever its mode: control characters, white space at both ends, and entities that
//! must point at whole characters.

use super::entity::{Entity, Formatted};
use super::{TextError, utf16_len};

/// Cleans a text; its entities follow.
pub(super) fn clean(parsed: Formatted) -> Result<Formatted, TextError> {
    check(&parsed)?;
    let scrubbed = rewrite(&parsed, |_, c| scrub(c));
    trim(&scrubbed).ok_or(TextError::Blank)
}

/// Control characters become spaces; carriage returns and direction overrides go.
fn scrub(c: char) -> Option<char> {
    match c {
        '\n' => Some('\n'),
        '\r' | '\u{2028}'..='\u{202e}' | '\u{333}' | '\u{33f}' | '\u{30a}' => None,
        '\0'..=' ' => Some(' '),
        other => Some(other),
    }
}

/// White space goes at both ends, at the front only up to the first entity; `None` when nothing else was there.
fn trim(message: &Formatted) -> Option<Formatted> {
    let is_space = |c: char| c == ' ' || c == '\n';
    let trimmed_end = message.text.trim_end_matches(is_space);
    if trimmed_end.is_empty() {
        return None;
    }
    let leading = trimmed_end.chars().take_while(|c| is_space(*c)).count();
    let first_entity = message
        .entities
        .iter()
        .map(|entity| entity.offset)
        .min()
        .unwrap_or(usize::MAX);
    let skip = leading.min(first_entity);
    let kept = trimmed_end.chars().count();
    Some(rewrite(message, |index, c| {
        (index >= skip && index < kept).then_some(c)
    }))
}

/// Keeps, replaces or drops each character (given with its index); entities shrink by what is dropped inside them.
fn rewrite(message: &Formatted, keep: impl Fn(usize, char) -> Option<char>) -> Formatted {
    let mut text = String::with_capacity(message.text.len());
    let mut moved = Vec::with_capacity(message.text.len() + 1);
    let mut units = 0;
    for (index, c) in message.text.chars().enumerate() {
        for _ in 0..c.len_utf16() {
            moved.push(units);
        }
        if let Some(c) = keep(index, c) {
            text.push(c);
            units += c.len_utf16();
        }
    }
    moved.push(units);
    let place = |at: usize| moved.get(at).copied().unwrap_or(units);
    let entities = message.entities.iter().filter_map(|entity| {
        let (begin, end) = (place(entity.offset), place(entity.end()));
        (end > begin).then(|| Entity::new(entity.kind.clone(), begin, end - begin))
    });
    Formatted {
        entities: entities.collect(),
        text,
    }
}

/// Entities given from outside may point anywhere.
fn check(parsed: &Formatted) -> Result<(), TextError> {
    let length = utf16_len(&parsed.text);
    let mut boundary = vec![false; length + 1];
    let mut units = 0;
    for c in parsed.text.chars() {
        boundary[units] = true;
        units += c.len_utf16();
    }
    boundary[length] = true;
    for Entity {
        offset,
        length: entity_length,
        ..
    } in &parsed.entities
    {
        let end = offset.saturating_add(*entity_length);
        if *offset > length {
            return Err(TextError::Entity(format!(
                "entity begins after the end of the text at UTF-16 offset {offset}"
            )));
        }
        if end > length {
            return Err(TextError::Entity(format!(
                "entity beginning at UTF-16 offset {offset} ends after the end of the text at UTF-16 offset {end}"
            )));
        }
        if !boundary[*offset] {
            return Err(TextError::Entity(format!(
                "entity begins in a middle of a UTF-16 symbol at UTF-16 offset {offset}"
            )));
        }
        if !boundary[end] {
            return Err(TextError::Entity(format!(
                "entity beginning at UTF-16 offset {offset} ends in a middle of a UTF-16 symbol"
            )));
        }
    }
    Ok(())
}
