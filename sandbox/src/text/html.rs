//! `HTML` mode: the handful of tags that the Bot API documents, strictly nested.

use super::cursor::{Cursor, Output};
use super::entity::{EntityKind, Formatted};
use super::links;

const TAGS: [&str; 16] = [
    "a",
    "b",
    "strong",
    "i",
    "em",
    "s",
    "strike",
    "del",
    "u",
    "ins",
    "tg-spoiler",
    "tg-emoji",
    "span",
    "pre",
    "code",
    "blockquote",
];

/// A tag that was opened and not yet closed.
struct Open {
    tag: String,
    /// The one attribute that matters to its tag: an address, a language, an id, `expandable`.
    argument: String,
    units: usize,
    text_byte: usize,
}

/// Parses a source; the error says what is wrong and at which byte.
pub(super) fn parse(source: &str) -> Result<Formatted, String> {
    let mut cursor = Cursor::new(source);
    let mut output = Output::default();
    let mut open: Vec<Open> = Vec::new();
    while let Some(c) = cursor.peek() {
        let begin = cursor.at();
        match c {
            '&' => output.push(character_reference(&mut cursor)?),
            '<' => {
                cursor.next();
                if cursor.eat("/") {
                    end_tag(&mut cursor, &mut output, &mut open, begin)?;
                } else {
                    let (tag, argument) = start_tag(&mut cursor, begin)?;
                    open.push(Open {
                        tag,
                        argument,
                        units: output.units(),
                        text_byte: output.text.len(),
                    });
                }
            }
            other => {
                cursor.next();
                output.push(other);
            }
        }
    }
    match open.last() {
        Some(open) => Err(format!(
            "Can't find end tag corresponding to start tag \"{}\"",
            open.tag
        )),
        None => Ok(output.finish()),
    }
}

/// `&lt;` and its three siblings, `&#8212;`, `&#x2014;`; anything else is an ampersand. The semicolon may be missing.
fn character_reference(cursor: &mut Cursor<'_>) -> Result<char, String> {
    let body = &cursor.rest()[1..];
    let (decoded, length) = if let Some(hex) = body.strip_prefix("#x") {
        let digits = hex.len() - hex.trim_start_matches(|c: char| c.is_ascii_hexdigit()).len();
        (numeric(&hex[..digits], 16), 2 + digits)
    } else if let Some(decimal) = body.strip_prefix('#') {
        let digits = decimal.len() - decimal.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        (numeric(&decimal[..digits], 10), 1 + digits)
    } else {
        let letters = body.len() - body.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let named = match &body[..letters] {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "quot" => Some('"'),
            _ => None,
        };
        (named.map(u32::from), letters)
    };
    cursor.next();
    let Some(code) = decoded.filter(|_| length < 9) else {
        return Ok('&');
    };
    let c = char::from_u32(code).ok_or_else(|| {
        "Text contains invalid Unicode characters after decoding HTML entities, check for unmatched surrogate code units"
            .to_owned()
    })?;
    for _ in 0..length {
        cursor.next();
    }
    cursor.eat(";");
    Ok(c)
}

fn numeric(digits: &str, radix: u32) -> Option<u32> {
    u32::from_str_radix(digits, radix)
        .ok()
        .filter(|code| (1..0x10_ffff).contains(code))
}

/// After `<`: the tag's name and the argument that matters.
fn start_tag(cursor: &mut Cursor<'_>, begin: usize) -> Result<(String, String), String> {
    let tag = cursor
        .take_while(|c| !c.is_ascii_whitespace() && c != '>')
        .to_lowercase();
    if cursor.peek().is_none() {
        return Err(format!("Unclosed start tag at byte offset {begin}"));
    }
    if tag == "tg-time" {
        return Err("The sandbox does not support the tag \"tg-time\"".to_owned());
    }
    if !TAGS.contains(&tag.as_str()) {
        return Err(format!("Unsupported start tag \"{tag}\" at byte offset {begin}"));
    }
    let mut argument = String::new();
    loop {
        cursor.take_while(|c| c.is_ascii_whitespace());
        if cursor.eat(">") {
            break;
        }
        let (name, value) = attribute(cursor, &tag, begin)?;
        let taken = match (tag.as_str(), name.as_str()) {
            ("a", "href") | ("tg-emoji", "emoji-id") => value,
            ("code", "class") => value.and_then(|value| value.strip_prefix("language-").map(str::to_owned)),
            ("span", "class") => value.and_then(|value| value.strip_prefix("tg-").map(str::to_owned)),
            ("blockquote", "expandable") => Some("1".to_owned()),
            _ => None,
        };
        if let Some(taken) = taken {
            argument = taken;
        }
    }
    if tag == "span" && argument != "spoiler" {
        return Err(format!(
            "Tag \"span\" must have class \"tg-spoiler\" at byte offset {begin}"
        ));
    }
    Ok((tag, argument))
}

/// One attribute; those without a value have none.
fn attribute(cursor: &mut Cursor<'_>, tag: &str, begin: usize) -> Result<(String, Option<String>), String> {
    let name = cursor
        .take_while(|c| !c.is_ascii_whitespace() && !"=>/\"'".contains(c))
        .to_owned();
    if name.is_empty() {
        return Err(match cursor.peek() {
            None => format!("Unclosed start tag \"{tag}\" at byte offset {begin}"),
            Some(_) => format!("Empty attribute name in the tag \"{tag}\" at byte offset {begin}"),
        });
    }
    cursor.take_while(|c| c.is_ascii_whitespace());
    if !cursor.eat("=") {
        return match cursor.peek() {
            None => Err(format!("Unclosed start tag \"{tag}\" at byte offset {begin}")),
            Some(_) => Ok((name, None)),
        };
    }
    cursor.take_while(|c| c.is_ascii_whitespace());
    let value_begin = cursor.at();
    let value = match cursor.peek() {
        None => return Err(format!("Unclosed start tag \"{tag}\" at byte offset {begin}")),
        Some(quote @ ('"' | '\'')) => {
            cursor.next();
            quoted(cursor, quote)?
        }
        Some(_) => {
            let token = cursor
                .take_while(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
                .to_lowercase();
            if cursor.peek().is_some_and(|c| !c.is_ascii_whitespace() && c != '>') {
                return Err(format!("Unexpected end of name token at byte offset {value_begin}"));
            }
            token
        }
    };
    if cursor.peek().is_none() {
        return Err(format!("Unclosed start tag at byte offset {begin}"));
    }
    Ok((name, Some(value)))
}

fn quoted(cursor: &mut Cursor<'_>, quote: char) -> Result<String, String> {
    let mut value = String::new();
    while let Some(c) = cursor.peek() {
        if c == quote {
            cursor.next();
            break;
        }
        if c == '&' {
            value.push(character_reference(cursor)?);
        } else {
            cursor.next();
            value.push(c);
        }
    }
    Ok(value)
}

/// After `</`: closes the innermost tag.
fn end_tag(cursor: &mut Cursor<'_>, output: &mut Output, open: &mut Vec<Open>, begin: usize) -> Result<(), String> {
    let Some(opened) = open.pop() else {
        return Err(format!("Unexpected end tag at byte offset {begin}"));
    };
    let name = cursor
        .take_while(|c| !c.is_ascii_whitespace() && c != '>')
        .to_lowercase();
    cursor.take_while(|c| c.is_ascii_whitespace());
    if !cursor.eat(">") {
        return Err(format!("Unclosed end tag at byte offset {begin}"));
    }
    if !name.is_empty() && name != opened.tag {
        return Err(format!(
            "Unmatched end tag at byte offset {begin}, expected \"</{}>\", found \"</{name}>\"",
            opened.tag
        ));
    }
    if output.units() == opened.units {
        return Ok(());
    }
    let kind = match opened.tag.as_str() {
        "b" | "strong" => Some(EntityKind::Bold),
        "i" | "em" => Some(EntityKind::Italic),
        "u" | "ins" => Some(EntityKind::Underline),
        "s" | "strike" | "del" => Some(EntityKind::Strikethrough),
        "tg-spoiler" | "span" => Some(EntityKind::Spoiler),
        "tg-emoji" => {
            let id = opened.argument.parse::<u64>().ok().filter(|id| *id > 0);
            let id = id.ok_or_else(|| "Invalid custom emoji identifier specified".to_owned())?;
            Some(EntityKind::CustomEmoji {
                custom_emoji_id: id.to_string(),
            })
        }
        "a" if opened.argument.is_empty() => links::link(&output.text[opened.text_byte..]),
        "a" => links::link(&opened.argument),
        "blockquote" if opened.argument.is_empty() => Some(EntityKind::Blockquote),
        "blockquote" => Some(EntityKind::ExpandableBlockquote),
        _ => {
            return {
                code(output, &opened);
                Ok(())
            };
        }
    };
    if let Some(kind) = kind {
        output.mark(kind, opened.units);
    }
    Ok(())
}

/// `<pre>`, `<code>`, and `<pre><code class="language-…">` in either order of nesting.
fn code(output: &mut Output, opened: &Open) {
    let (units, language) = (opened.units, &opened.argument);
    let length = output.units() - units;
    if let Some(inner) = output
        .last_mark()
        .filter(|inner| inner.offset == units && inner.length == length)
    {
        if opened.tag == "code" && inner.kind == (EntityKind::Pre { language: None }) && !language.is_empty() {
            inner.kind = EntityKind::Pre {
                language: Some(language.clone()),
            };
            return;
        }
        if opened.tag == "pre" && matches!(&inner.kind, EntityKind::Pre { language: Some(_) }) {
            return;
        }
    }
    let kind = match opened.tag.as_str() {
        "pre" => EntityKind::Pre { language: None },
        // Until its `</pre>` comes, a `<code>` that names a language is kept as what it will become.
        _ if !language.is_empty() => EntityKind::Pre {
            language: Some(language.clone()),
        },
        _ => EntityKind::Code,
    };
    output.mark(kind, units);
}
