//! How the built-in model reads a prompt.
//!
//! **The text to work on** is what stands between `<text>` and `</text>` (several are joined); without these, the longest
//! passage between `"""` or `` ``` ``; without these, what follows a line that begins with `Text:` or `Текст:`; without
//! that, the longest user message.
//!
//! **What was said elsewhere** stands between `<avoid>` and `</avoid>`, as often as need be.
//!
//! **The instruction** is everything else in the system, developer and user messages: how many sentences, words or
//! characters at most (digits or numerals, English or Russian; of a range the upper end; of several limits of one kind the
//! last), and whether a title line is wanted. What the instruction says besides is not understood, and not pretended to
//! be.

use super::chat::{Message, Role};
use super::instruction;
use crate::summary::Order;

/// A prompt that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prompt {
    pub(super) text: String,
    pub(super) order: Order,
}

/// Reads a conversation; `None` when there is nothing to work on.
pub(super) fn read(messages: &[Message]) -> Option<Prompt> {
    let asked = messages.iter().filter(|message| message.role != Role::Assistant);
    let mut avoid = Vec::new();
    let mut tagged = Vec::new();
    let mut rest: Vec<(Role, String)> = Vec::new();
    for message in asked {
        let without_avoid = cut_tags(&message.text(), "avoid", &mut avoid);
        rest.push((message.role, cut_tags(&without_avoid, "text", &mut tagged)));
    }
    let text = if tagged.is_empty() {
        cut_untagged(&mut rest)?
    } else {
        tagged.join("\n\n")
    };
    if text.trim().is_empty() {
        return None;
    }
    let instruction = rest.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join("\n");
    let mut order = instruction::read(&instruction);
    order.avoid = avoid;
    Some(Prompt { text, order })
}

/// Takes what stands in `<tag>…</tag>` out of a text; one that is not closed goes to the end.
fn cut_tags(text: &str, tag: &str, found: &mut Vec<String>) -> String {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let mut left = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(begin) = find_ignoring_case(rest, &open) {
        left.push_str(&rest[..begin]);
        left.push('\n');
        let inside = &rest[begin + open.len()..];
        let end = find_ignoring_case(inside, &close);
        let (passage, after) = match end {
            Some(end) => (&inside[..end], &inside[end + close.len()..]),
            None => (inside, ""),
        };
        if !passage.trim().is_empty() {
            found.push(passage.trim().to_owned());
        }
        rest = after;
    }
    left.push_str(rest);
    left
}

/// Where an ASCII needle begins, in any case.
fn find_ignoring_case(text: &str, needle: &str) -> Option<usize> {
    text.as_bytes()
        .windows(needle.len())
        .position(|window| window.eq_ignore_ascii_case(needle.as_bytes()))
}

/// Takes the text to work on out of messages that do not mark it by tags.
fn cut_untagged(messages: &mut [(Role, String)]) -> Option<String> {
    for mark in ["\"\"\"", "```"] {
        let longest = messages
            .iter()
            .enumerate()
            .flat_map(|(index, (_, text))| {
                let parts: Vec<&str> = text.split(mark).collect();
                // Every second part is inside; the last one only if the mark was closed.
                let closed = parts.len().saturating_sub(1);
                parts[..closed]
                    .iter()
                    .skip(1)
                    .step_by(2)
                    .map(|part| (index, (*part).to_owned()))
                    .collect::<Vec<_>>()
            })
            .max_by_key(|(_, part)| part.len());
        if let Some((index, part)) = longest.filter(|(_, part)| !part.trim().is_empty()) {
            messages[index].1 = messages[index].1.replacen(&part, "", 1);
            return Some(part);
        }
    }
    for (_, message) in messages.iter_mut().rev() {
        if let Some((begin, after)) = labelled(message) {
            let text = message.split_off(after);
            message.truncate(begin);
            return Some(text);
        }
    }
    let users = messages.iter_mut().filter(|(role, _)| *role == Role::User);
    users
        .max_by_key(|(_, text)| text.len())
        .map(|(_, text)| std::mem::take(text))
}

/// Where a line `Text:` begins and where what follows it begins.
fn labelled(message: &str) -> Option<(usize, usize)> {
    let mut at = 0;
    for line in message.split_inclusive('\n') {
        let label = line.trim_start();
        for name in ["text:", "Text:", "TEXT:", "текст:", "Текст:", "ТЕКСТ:"] {
            if label.starts_with(name) {
                return Some((at, at + (line.len() - label.len()) + name.len()));
            }
        }
        at += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    fn messages(list: &[(&str, &str)]) -> Vec<Message> {
        let list: Vec<_> = list
            .iter()
            .map(|(role, content)| serde_json::json!({ "role": role, "content": content }))
            .collect();
        serde_json::from_value(list.into()).unwrap()
    }

    #[test]
    fn the_text_is_found_however_it_is_marked() {
        for (user, text) in [
            ("Summarise.\n<text>The text.</text>\nIn two sentences.", "The text."),
            ("<TEXT>One.</TEXT> and <text> Two.</text>", "One.\n\nTwo."),
            (
                "Sum up \"\"\"The text.\"\"\" and \"\"\"x\"\"\" in two sentences",
                "The text.",
            ),
            ("In two sentences:\n```\nThe text.\n```", "\nThe text.\n"),
            ("In two sentences.\nText: The text.\nMore.", " The text.\nMore."),
            ("Кратко, два предложения.\nТекст:\nСам текст.", "\nСам текст."),
        ] {
            let prompt = read(&messages(&[("system", "You are brief. 2 sentences."), ("user", user)])).unwrap();
            assert_eq!(prompt.text, text);
            assert_eq!(prompt.order.sentences, Some(2), "{user}");
        }
    }

    #[test]
    fn without_marks_the_longest_user_message_is_the_text() {
        let list = messages(&[
            ("system", "Two sentences."),
            ("user", "Short."),
            ("user", "A longer one, 7 words."),
            ("assistant", "An answer that is longer than all."),
        ]);
        let prompt = read(&list).unwrap();
        assert_eq!(prompt.text, "A longer one, 7 words.");
        assert_eq!((prompt.order.sentences, prompt.order.words), (Some(2), None));
        assert_eq!(read(&messages(&[("system", "Two sentences.")])), None);
        assert_eq!(read(&messages(&[("user", "<text> </text>")])), None);
    }

    #[test]
    fn what_to_avoid_is_no_instruction() {
        let user = "<avoid>10 sentences.</avoid><avoid>Other.</avoid><text>T 5 words.</text> 3 sentences <avoid>";
        let prompt = read(&messages(&[("user", user)])).unwrap();
        assert_eq!(prompt.order.avoid, ["10 sentences.", "Other."]);
        assert_eq!((prompt.order.sentences, prompt.order.words), (Some(3), None));
    }
}
