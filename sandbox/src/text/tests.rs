//! Texts that Telegram takes and refuses, and where their entities lie in UTF-16 units.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;
use EntityKind::*;

fn parsed(source: &str, mode: ParseMode) -> (String, Vec<(EntityKind, usize, usize)>) {
    let message = format(source, mode, Vec::new()).unwrap();
    let entities = message
        .entities
        .into_iter()
        .map(|entity| (entity.kind, entity.offset, entity.length))
        .collect();
    (message.text, entities)
}

fn refused(source: &str, mode: ParseMode) -> String {
    format(source, mode, Vec::new()).unwrap_err().to_string()
}

#[test]
fn offsets_are_utf16_units() {
    for (source, mode) in [
        ("🙂 *Привет* 👩‍👩‍👧 _мир_", ParseMode::MarkdownV2),
        ("🙂 *Привет* 👩‍👩‍👧 _мир_", ParseMode::Markdown),
        ("🙂 <b>Привет</b> 👩‍👩‍👧 <i>мир</i>", ParseMode::Html),
    ] {
        let (text, entities) = parsed(source, mode);
        assert_eq!(text, "🙂 Привет 👩‍👩‍👧 мир");
        assert_eq!(entities, [(Bold, 3, 6), (Italic, 19, 3)], "{mode:?}");
    }
}

#[test]
fn markdown_v2_knows_its_markup() {
    let source = "*b* _i_ __u__ ~s~ ||h|| `c` [t](http://example.com/) ![x](tg://emoji?id=5)";
    let (text, entities) = parsed(source, ParseMode::MarkdownV2);
    assert_eq!(text, "b i u s h c t x");
    let kinds: Vec<_> = entities.into_iter().map(|(kind, ..)| kind).collect();
    let link = TextLink {
        url: "http://example.com/".to_owned(),
    };
    let emoji = CustomEmoji {
        custom_emoji_id: "5".to_owned(),
    };
    assert_eq!(
        kinds,
        [Bold, Italic, Underline, Strikethrough, Spoiler, Code, link, emoji]
    );
}

#[test]
fn markdown_v2_nests_and_styles_are_cut_at_borders() {
    let (text, entities) = parsed("*bold _both_ bold*", ParseMode::MarkdownV2);
    assert_eq!(text, "bold both bold");
    assert_eq!(entities, [(Bold, 0, 5), (Bold, 5, 9), (Italic, 5, 4)]);
    let (_, entities) = parsed("*a `b` c*", ParseMode::MarkdownV2);
    assert_eq!(entities, [(Bold, 0, 2), (Code, 2, 1), (Bold, 3, 2)]);
}

#[test]
fn markdown_v2_code_blocks_and_quotations() {
    let (text, entities) = parsed("```rust\nfn a() {}\n```", ParseMode::MarkdownV2);
    assert_eq!(text, "fn a() {}");
    assert_eq!(
        entities,
        [(
            Pre {
                language: Some("rust".to_owned())
            },
            0,
            9
        )]
    );
    let (text, entities) = parsed(">one\n>two\nthree", ParseMode::MarkdownV2);
    assert_eq!(text, "one\ntwo\nthree");
    assert_eq!(entities, [(Blockquote, 0, 8)]);
    let (_, entities) = parsed(">one\n>two||", ParseMode::MarkdownV2);
    assert_eq!(entities, [(ExpandableBlockquote, 0, 7)]);
}

#[test]
fn markdown_v2_refuses_what_is_not_escaped() {
    assert_eq!(
        refused("1. one", ParseMode::MarkdownV2),
        "can't parse entities: Character '.' is reserved and must be escaped with the preceding '\\'"
    );
    assert_eq!(
        refused("ы *bold", ParseMode::MarkdownV2),
        "can't parse entities: Can't find end of Bold entity at byte offset 3"
    );
    assert_eq!(
        refused("[a](http://x.com", ParseMode::MarkdownV2),
        "can't parse entities: Can't find end of a URL at byte offset 4"
    );
    for reserved in "_*[]()~`>#+-=|{}.!".chars() {
        let source = format!("a{reserved}b");
        assert!(
            format(&source, ParseMode::MarkdownV2, Vec::new()).is_err(),
            "{reserved}"
        );
        let (text, entities) = parsed(&format!("a\\{reserved}b"), ParseMode::MarkdownV2);
        assert_eq!((text, entities.len()), (source, 0));
    }
}

#[test]
fn markdown_is_lenient_but_not_endless() {
    let (text, entities) = parsed("2 \\* 2 is 4. *b* [t](example.com)", ParseMode::Markdown);
    assert_eq!(text, "2 * 2 is 4. b t");
    let link = TextLink {
        url: "http://example.com/".to_owned(),
    };
    assert_eq!(entities, [(Bold, 12, 1), (link, 14, 1)]);
    assert_eq!(
        refused("a _b", ParseMode::Markdown),
        "can't parse entities: Can't find end of the entity starting at byte offset 2"
    );
}

#[test]
fn html_is_strict() {
    let (text, entities) = parsed("<pre><code class=\"language-c\">a &lt; b</code></pre>", ParseMode::Html);
    assert_eq!(text, "a < b");
    assert_eq!(
        entities,
        [(
            Pre {
                language: Some("c".to_owned())
            },
            0,
            5
        )]
    );
    let (text, entities) = parsed("<blockquote expandable>q&#8212;&nbsp;</blockquote>", ParseMode::Html);
    assert_eq!(text, "q—&nbsp;");
    assert_eq!(entities, [(ExpandableBlockquote, 0, 8)]);
    let (_, entities) = parsed("<a href='https://example.com/?a=1&amp;b=2'>x</a>", ParseMode::Html);
    assert_eq!(
        entities,
        [(
            TextLink {
                url: "https://example.com/?a=1&b=2".to_owned()
            },
            0,
            1
        )]
    );
    for (source, expected) in [
        ("<h1>x</h1>", "Unsupported start tag \"h1\" at byte offset 0"),
        ("<b>x", "Can't find end tag corresponding to start tag \"b\""),
        (
            "<b>x</i>",
            "Unmatched end tag at byte offset 4, expected \"</b>\", found \"</i>\"",
        ),
        ("x</b>", "Unexpected end tag at byte offset 1"),
        ("2 < 3", "Unsupported start tag \"\" at byte offset 2"),
        (
            "<span>x</span>",
            "Tag \"span\" must have class \"tg-spoiler\" at byte offset 0",
        ),
        ("<a href=\"x", "Unclosed start tag at byte offset 0"),
    ] {
        assert_eq!(
            refused(source, ParseMode::Html),
            format!("can't parse entities: {expected}")
        );
    }
}

#[test]
fn lengths_are_counted_after_parsing() {
    let bold = format!("<b>{}</b>", "a".repeat(4096));
    assert_eq!(parsed(&bold, ParseMode::Html).0.len(), 4096);
    assert_eq!(refused(&"a".repeat(4097), ParseMode::Plain), "message is too long");
    assert_eq!(refused(&"🙂".repeat(2049), ParseMode::Plain), "message is too long");
    assert_eq!(parsed(&"🙂".repeat(2048), ParseMode::Plain).0.chars().count(), 2048);
    assert_eq!(refused("", ParseMode::Plain), "message text is empty");
    assert_eq!(refused(" \n\r\t", ParseMode::Plain), "text must be non-empty");
}

#[test]
fn entities_end_at_a_hundred() {
    let message = format(&"*a* b ".repeat(120), ParseMode::MarkdownV2, Vec::new()).unwrap();
    assert_eq!(
        (message.entities.len(), message.entities[99].offset),
        (MAX_ENTITIES, 99 * 4)
    );
}

#[test]
fn what_telegram_finds_by_itself() {
    let text = "Пишите на a.b@example.org, @potok_sandbox #книга_1 $USD /start или (https://example.com/a_(b)).";
    let message = format(text, ParseMode::Plain, Vec::new()).unwrap();
    let units: Vec<u16> = message.text.encode_utf16().collect();
    let found: Vec<_> = message
        .entities
        .iter()
        .map(|e| {
            (
                e.kind.clone(),
                String::from_utf16(&units[e.offset..e.offset + e.length]).unwrap(),
            )
        })
        .collect();
    let expected = [
        (Email, "a.b@example.org"),
        (Mention, "@potok_sandbox"),
        (Hashtag, "#книга_1"),
        (Cashtag, "$USD"),
        (BotCommand, "/start"),
        (Url, "https://example.com/a_(b)"),
    ];
    assert_eq!(found, expected.map(|(kind, text)| (kind, text.to_owned())));
}

#[test]
fn explicit_entities_are_checked_and_follow_the_trimming() {
    let entities = vec![Entity {
        offset: 2,
        length: 4,
        kind: Bold,
    }];
    let message = format("  bold \r\n", ParseMode::Plain, entities).unwrap();
    assert_eq!(
        (message.text.as_str(), &message.entities[0]),
        (
            "bold",
            &Entity {
                offset: 0,
                length: 4,
                kind: Bold
            }
        )
    );
    let split = vec![Entity {
        offset: 1,
        length: 1,
        kind: Bold,
    }];
    assert!(matches!(
        format("🙂", ParseMode::Plain, split),
        Err(TextError::Entity(_))
    ));
    let beyond = vec![Entity {
        offset: 0,
        length: 9,
        kind: Bold,
    }];
    assert!(matches!(
        format("abc", ParseMode::Plain, beyond),
        Err(TextError::Entity(_))
    ));
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_source_is_parsed_or_refused_and_entities_fit(source in "[a-zб🙂 \\\\_*\\[\\]()~`>#|!\n\r<>/&;=\"-]{0,60}") {
            for mode in [ParseMode::Plain, ParseMode::Markdown, ParseMode::MarkdownV2, ParseMode::Html] {
                let Ok(message) = format(&source, mode, Vec::new()) else { continue };
                let units: Vec<u16> = message.text.encode_utf16().collect();
                for entity in &message.entities {
                    prop_assert!(entity.length > 0 && entity.offset + entity.length <= units.len());
                    prop_assert!(String::from_utf16(&units[entity.offset..entity.offset + entity.length]).is_ok());
                }
            }
        }
    }
}
