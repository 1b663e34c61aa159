//! Held against the sandbox's parser, which follows the rules of the public Bot API server.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use potok_sandbox::text::{Formatted, ParseMode, TextError};
use proptest::prelude::*;

use super::*;

fn parse(source: &str) -> Result<Formatted, TextError> {
    potok_sandbox::text::format(source, ParseMode::MarkdownV2, Vec::new())
}

/// What people see: the text, and each entity with the text that it covers.
fn seen(text: &str) -> String {
    let rendered = to_markdown_v2(text);
    let formatted = parse(&rendered.source).unwrap_or_else(|e| panic!("{text:?} became {:?}: {e}", rendered.source));
    let units: Vec<u16> = formatted.text.encode_utf16().collect();
    let mut lines = vec![format!("{:?}", formatted.text)];
    for entity in &formatted.entities {
        let (begin, end) = (entity.offset, entity.offset + entity.length);
        lines.push(format!(
            "{:?} {:?}",
            entity.kind,
            String::from_utf16_lossy(&units[begin..end])
        ));
    }
    lines.join("\n")
}

#[test]
fn what_posts_are_made_of() {
    insta::assert_snapshot!(seen(
        "# Title\nFirst *line*, **bold _both_**\nsecond `co\\de` line.\n\n\
        > quoted **text**\n> goes on\n\nA [link](https://example.com/a_(b)?c=d), 5.0 (really!)\n\n\
        - one\n- two\n  1. deep\n  2. deeper\n\n---\n\n```rust\nfn f() { `x` }\n```\n~~gone~~"
    ));
}

#[test]
fn what_is_no_markup_is_shown() {
    insta::assert_snapshot!(seen(
        "1 * 2 * 3 = 6; a_b_c; <b>not bold</b> & || # + - = {} . ! \\ ~ ` [x] (y) > z\n\
        snake_case_name and 5 > 3, C:\\dir\\*.*, ¯\\_(ツ)_/¯"
    ));
}

#[test]
fn marks_next_to_each_other_do_not_collide() {
    insta::assert_snapshot!(seen("*a*_b_ ***c*** *d **e** f* __g__ **h***i* _*j*_ *k*`l`*m*"));
}

#[test]
fn quotes_hold_their_lines() {
    insta::assert_snapshot!(seen(
        "before\n> one\n>\n> two\n> > nested\n> - item\n> ```\n> code\n>\n> more\n> ```\n\nafter\n\n- > in a list\n- plain"
    ));
}

#[test]
fn links_and_images() {
    insta::assert_snapshot!(seen(
        "[](https://a.example) ![](https://b.example/x.png) ![alt *text*](https://c.example) <https://d.example>\n\
        [![in](https://e.example/i.png)](https://f.example) [no address]() [two\nlines](https://g.example)"
    ));
}

#[test]
fn layout_stays() {
    for text in ["a\nb", "a\n\nb", "a  \nb", "a\n- b\n- c\n\nd", "1. a\n2. b", "a\n***"] {
        let plain = to_markdown_v2(text).plain;
        let expected = text.replace("  \n", "\n").replace("- ", "• ").replace("***", "———");
        assert_eq!(plain, expected);
    }
}

/// Texts made of what is tricky: every reserved character, markup, quotes, breaks, wide characters.
fn tricky() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "*",
            "**",
            "_",
            "__",
            "~",
            "~~",
            "`",
            "``",
            "```",
            "```\n",
            "[",
            "]",
            "(",
            ")",
            "](",
            "![",
            "<",
            ">",
            "\n",
            "\n\n",
            "\n> ",
            "\n>",
            "\n- ",
            "\n1. ",
            "\n  - ",
            "\n    ",
            "\n# ",
            "\n---\n",
            "\n===\n",
            "||",
            "#",
            "+",
            "-",
            "=",
            "|",
            "{",
            "}",
            ".",
            "!",
            "\\",
            "\\\n",
            "  \n",
            " ",
            "\t",
            "\r\n",
            "&amp;",
            "&lt;",
            "&#0;",
            "&#10;",
            "<b>",
            "</b>",
            "<!--",
            "-->",
            "<div>\n",
            "<https://a.example>",
            "[a](b)",
            "[a](<b c>)",
            "tg://user?id=1",
            "https://example.com/_a_",
            "$",
            "😀",
            "é",
            "ё",
            "word",
            "two words",
            "\u{200b}",
            "\u{0}",
            "[^1]",
            "| a | b |\n|---|---|\n| c | d |\n",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,3}",
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn no_text_is_ever_refused_for_its_markup(text in tricky()) {
        let rendered = to_markdown_v2(&text);
        let result = parse(&rendered.source);
        prop_assert!(!matches!(result, Err(TextError::Markup(_))), "{:?} became {:?}: {:?}", text, rendered.source, result);
        if let Ok(formatted) = result {
            // White space at the ends, control characters, and marks that draw over their neighbours are Telegram's to drop;
            // every other character is seen as it was.
            let ink = |text: &str| text.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect::<String>();
            let dropped = |c: char| matches!(c, '\u{200b}' | '\u{2028}'..='\u{202e}' | '\u{333}' | '\u{33f}' | '\u{30a}');
            let visible = |text: &str| ink(text).replace(dropped, "");
            prop_assert_eq!(visible(&formatted.text), visible(&rendered.plain), "{:?} became {:?}", text, rendered.source);
            let units = |text: &str| text.encode_utf16().count();
            prop_assert!(units(&formatted.text) <= units(&rendered.plain), "what is counted is what Telegram counts, or more");
        }
    }

    #[test]
    fn plain_words_are_untouched(words in prop::collection::vec("[a-zA-Zа-яА-Я]{1,8}", 1..20)) {
        let text = words.join(" ");
        prop_assert_eq!(to_markdown_v2(&text), Rendered { source: text.clone(), plain: text });
    }
}
