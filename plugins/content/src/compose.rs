//! `content.compose-post`: a post about a summary, ready to be sent.

use potok_guest::sentence::sentences;

use crate::Fault;
use crate::markdown::{clean, escape, length, plain};
use crate::prompt::{Subject, Voice};
use crate::repeats::Said;
use crate::types::{Ask, Citation, Host, Summary};

/// The longest message of Telegram, in UTF-16 units.
const LONGEST: u32 = 4096;

/// A post has to have room for its citation and for a few sentences.
const SHORTEST: u32 = 300;

/// The longest citation, in UTF-16 units.
const CITATION: usize = 250;

/// How much of the earlier posts a model is shown, in characters: the latest of them.
const SHOWN: usize = 12_000;

/// A post to write.
#[derive(Debug, Clone, Default)]
pub struct ComposeRequest {
    /// What it is about.
    pub summary: Summary,
    /// The book's title.
    pub title: Option<String>,
    /// Its author.
    pub author: Option<String>,
    /// The posts so far, in markdown.
    pub previous: Vec<String>,
    /// Who writes.
    pub voice: Voice,
    /// The longest post, in UTF-16 units.
    pub limit: Option<u32>,
}

/// A post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// Markdown; the citation is its last paragraph.
    pub text: String,
    /// Its length in UTF-16 units.
    pub length: u32,
    /// The id of the summary.
    pub summary: String,
    /// The id of the chunk.
    pub chunk: String,
    /// The prompt that it was made with.
    pub prompt: String,
    /// The model that wrote it.
    pub model: Option<String>,
}

/// Writes a post. A model that repeats earlier posts is asked once more; if it goes on, what the summary says that was not said yet
/// is posted as it is.
///
/// # Errors
/// What the model's server answers, a limit that leaves no room, and when nothing is left to be said.
pub fn compose(request: &ComposeRequest, host: &mut impl Host) -> Result<Post, Fault> {
    let limit = request.limit.unwrap_or(LONGEST);
    if !(SHORTEST..=LONGEST).contains(&limit) {
        return Err(Fault::invalid(format!(
            "limit: {limit} is not between {SHORTEST} and {LONGEST}"
        )));
    }
    if request.summary.text.trim().is_empty() {
        return Err(Fault::invalid(format!("summary: {} has no text", request.summary.id)));
    }
    let said = Said::of(request.previous.iter().map(String::as_str));
    let subject = Subject {
        title: request.title.as_deref(),
        author: request.author.as_deref(),
        chapter: request.summary.citation.title.as_deref(),
    };
    let prompt = request.voice.post_prompt(subject);
    let mut ask = Ask {
        model: request.voice.model.clone(),
        system: prompt.clone(),
        user: material(request),
        temperature: request.voice.temperature,
        max_tokens: request.voice.max_tokens,
    };
    let mut answer = host.complete(ask.clone())?;
    let mut body = said.without(&clean(&answer.text));
    if body.is_empty() {
        ask.system
            .push_str(if request.voice.is_russian() { AGAIN_RU } else { AGAIN_EN });
        answer = host.complete(ask)?;
        body = said.without(&clean(&answer.text));
    }
    if body.is_empty() {
        body = said.without(&escape(&request.summary.text));
    }
    if body.is_empty() {
        return Err(Fault::repeats(&request.summary.chunk));
    }
    let citation = citation(request, &body, &said);
    let room = (limit as usize).saturating_sub(length(&citation) + 2);
    let text = format!("{}\n\n{citation}", fit(&body, room));
    Ok(Post {
        length: u32::try_from(length(&text)).unwrap_or(u32::MAX),
        text,
        summary: request.summary.id.clone(),
        chunk: request.summary.chunk.clone(),
        prompt,
        model: (!answer.model.is_empty()).then_some(answer.model),
    })
}

const AGAIN_EN: &str = "\nYour last answer only repeated earlier posts. Say something else that is in the text.";
const AGAIN_RU: &str = "\nТвой прошлый ответ лишь повторил прежние посты. Скажи что-нибудь другое из этого текста.";

/// What a model is given: the summary, and what must not be said again.
fn material(request: &ComposeRequest) -> String {
    let mut shown: Vec<String> = Vec::new();
    let mut left = SHOWN;
    for post in request.previous.iter().rev() {
        // Without its last paragraph, the citation.
        let text = plain(post.rsplit_once("\n\n").map_or(post.as_str(), |(body, _)| body));
        let Some(rest) = left.checked_sub(text.chars().count()) else {
            break;
        };
        left = rest;
        shown.push(text);
    }
    let mut material = format!("<text>\n{}\n</text>", request.summary.text);
    for text in shown.iter().rev().filter(|text| !text.is_empty()) {
        material.push_str(&format!("\n<avoid>\n{text}\n</avoid>"));
    }
    material
}

/// Where the post comes from: a quote, unless the post or an earlier one has it, and the place in the book.
fn citation(request: &ComposeRequest, body: &str, said: &Said) -> String {
    let place = place(request);
    let quote = shorten(&request.summary.citation.quote, CITATION - 30);
    let here = Said::of([body]);
    let bare = plain(body).to_lowercase();
    let begins = quote.trim_end_matches(['…', '.', ' ']).to_lowercase();
    let known = begins.is_empty()
        || bare.contains(&begins)
        || sentences(&quote)
            .into_iter()
            .any(|sentence| said.has(sentence) || here.has(sentence));
    let place = escape(&format!("— {place}"));
    if known {
        format!("> {place}")
    } else {
        format!("> {}\n> {place}", escape(&quote))
    }
}

/// `Антон Чехов, «Каштанка». Глава первая. Дурное поведение`
fn place(request: &ComposeRequest) -> String {
    let Citation { chapter, title, .. } = &request.summary.citation;
    let russian = request.voice.is_russian();
    let heading = |title: Option<&String>| match (title, russian) {
        (Some(title), _) => title.clone(),
        (None, true) => format!("глава {chapter}"),
        (None, false) => format!("chapter {chapter}"),
    };
    let book = request.title.as_ref().map(|title| {
        if russian {
            format!("«{title}»")
        } else {
            format!("“{title}”")
        }
    });
    let work = [request.author.clone(), book]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ");
    let parts = [work, heading(title.as_ref())]
        .into_iter()
        .filter(|part| !part.is_empty());
    shorten(&parts.collect::<Vec<_>>().join(". "), CITATION / 2)
}

/// A text of one line, cut between words.
fn shorten(text: &str, longest: usize) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if length(&text) < longest {
        return text;
    }
    let mut cut = String::new();
    for word in text.split(' ') {
        if length(&cut) + length(word) + 2 > longest {
            break;
        }
        if !cut.is_empty() {
            cut.push(' ');
        }
        cut.push_str(word);
    }
    if cut.is_empty() {
        cut.extend(text.chars().take(longest / 2));
    }
    cut.push('…');
    cut
}

/// The first sentences of a text, as many as there is room for.
fn fit(body: &str, room: usize) -> String {
    let mut body = body.to_owned();
    while length(&body) > room {
        let (before, last) = body
            .rsplit_once("\n\n")
            .map_or(("", body.as_str()), |(before, last)| (before, last));
        let kept = match sentences(last).as_slice() {
            [_, .., end] if !last.starts_with("```") => {
                last[..end.as_ptr() as usize - last.as_ptr() as usize].trim_end()
            }
            _ => "",
        };
        if before.is_empty() && kept.is_empty() {
            // One sentence that is longer than a message: its words, without marks. Escapes can double them.
            return escape(&shorten(&plain(last), room / 2));
        }
        let blocks = [before, kept].into_iter().filter(|block| !block.is_empty());
        body = clean(&blocks.collect::<Vec<_>>().join("\n\n"));
    }
    body
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{ComposeRequest, compose, fit};
    use crate::markdown::length;
    use crate::prompt::Voice;
    use crate::types::{Answer, Ask, Citation, Host, NewSummary, Stored, Summary};
    use crate::{Chunk, Fault, SummarizeRequest, summarize};

    /// A host whose model says what it is told to, and whose library is a list.
    #[derive(Default)]
    struct Fake {
        answers: Vec<&'static str>,
        asked: Vec<Ask>,
        rows: Vec<(NewSummary, Stored)>,
    }

    impl Host for Fake {
        fn complete(&mut self, ask: Ask) -> Result<Answer, Fault> {
            self.asked.push(ask);
            Ok(Answer {
                text: self.answers.remove(0).to_owned(),
                model: "fake".to_owned(),
                cut: false,
            })
        }
        fn save(&mut self, new: NewSummary) -> Result<Stored, Fault> {
            let row = Stored {
                id: format!("s{}", self.rows.len()),
                chunk: new.chunk.clone(),
                text: new.text.clone(),
                used: false,
            };
            self.rows.push((new, row.clone()));
            Ok(row)
        }
        fn find(&mut self, book: &str, chunk: &str, model: &str, prompt: &str) -> Result<Option<Stored>, Fault> {
            let same =
                |new: &NewSummary| new.book == book && new.chunk == chunk && new.model == model && new.prompt == prompt;
            Ok(self.rows.iter().find(|(new, _)| same(new)).map(|(_, row)| row.clone()))
        }
        fn list(&mut self, _: &str, _: &str, _: &str) -> Result<Vec<Stored>, Fault> {
            Ok(self.rows.iter().map(|(_, row)| row.clone()).collect())
        }
        fn reset(&mut self, _: &str, _: &str, _: &str) -> Result<(), Fault> {
            Ok(())
        }
    }

    fn request(previous: &[&str]) -> ComposeRequest {
        ComposeRequest {
            summary: Summary {
                id: "s1".to_owned(),
                chunk: "c1".to_owned(),
                text: "Каштанка потеряла хозяина. Незнакомец взял её к себе.".to_owned(),
                citation: Citation {
                    chapter: 2,
                    title: Some("Глава вторая. Незнакомец".to_owned()),
                    quote: "Но она ни о чём не думала и только плакала.".to_owned(),
                    ..Citation::default()
                },
                ..Summary::default()
            },
            title: Some("Каштанка".to_owned()),
            author: Some("Антон Чехов".to_owned()),
            previous: previous.iter().map(|text| (*text).to_owned()).collect(),
            voice: Voice {
                language: Some("ru".to_owned()),
                ..Voice::default()
            },
            limit: None,
        }
    }

    fn composed(previous: &[&str], answers: &[&'static str]) -> (Result<String, Fault>, Fake) {
        let mut fake = Fake {
            answers: answers.to_vec(),
            ..Fake::default()
        };
        let post = compose(&request(previous), &mut fake).map(|post| {
            assert_eq!(post.length as usize, length(&post.text));
            post.text
        });
        (post, fake)
    }

    #[test]
    fn a_post_has_its_citation() {
        let (post, fake) = composed(&[], &["# Собака\nОна **осталась одна.**"]);
        assert_eq!(
            post.unwrap(),
            "**Собака**\n\nОна **осталась одна.**\n\n> Но она ни о чём не думала и только плакала.\n\
             > — Антон Чехов, «Каштанка». Глава вторая. Незнакомец"
        );
        assert!(fake.asked[0].user.starts_with("<text>\nКаштанка потеряла хозяина."));
    }

    #[test]
    fn a_quote_that_the_post_has_is_not_quoted_again() {
        let (post, _) = composed(
            &[],
            &["Она ни о чём… Но она ни о чём не думала и только плакала. И всё."],
        );
        assert!(
            post.unwrap()
                .ends_with("И всё.\n\n> — Антон Чехов, «Каштанка». Глава вторая. Незнакомец")
        );
    }

    #[test]
    fn what_was_posted_is_not_posted_again() {
        let before = "Собака осталась совсем одна.\n\n> Цитата.\n> — Книга";
        let (post, fake) = composed(&[before], &["Собака осталась совсем одна! Шёл крупный мокрый снег."]);
        assert!(post.unwrap().starts_with("Шёл крупный мокрый снег.\n\n>"));
        assert!(
            fake.asked[0]
                .user
                .ends_with("\n<avoid>\nСобака осталась совсем одна.\n</avoid>"),
            "{}",
            fake.asked[0].user
        );

        let (post, fake) = composed(&[before], &["Собака осталась совсем одна.", "Шёл крупный мокрый снег."]);
        assert!(post.unwrap().starts_with("Шёл крупный мокрый снег.\n\n>"));
        assert!(fake.asked[1].system.contains("лишь повторил"));

        let (post, _) = composed(&[before], &["Собака осталась совсем одна.", ""]);
        assert!(
            post.unwrap()
                .starts_with("Каштанка потеряла хозяина. Незнакомец взял её к себе.\n\n>")
        );

        let all = "Каштанка потеряла хозяина. Незнакомец взял её к себе.";
        let (post, _) = composed(&[all], &[all, all]);
        assert_eq!(post.unwrap_err().kind, "urn:potok:content:repeats");
    }

    #[test]
    fn a_post_fits() {
        let long = "Это очень длинное предложение с *пометкой*, которое повторяется с номером".to_owned();
        let text: String = (0..200).map(|i| format!("{long} {i}. ")).collect();
        for limit in [300, 1000, 4096] {
            let mut fake = Fake {
                answers: vec![Box::leak(text.clone().into_boxed_str())],
                ..Fake::default()
            };
            let post = compose(
                &ComposeRequest {
                    limit: Some(limit),
                    ..request(&[])
                },
                &mut fake,
            )
            .unwrap();
            assert!(post.length <= limit, "{} of {limit}", post.length);
            assert!(
                post.text.contains(". \n\n>") || post.text.contains(".\n\n>"),
                "{}",
                post.text
            );
        }
        assert!(length(&fit(&"_*слово*".repeat(2000), 500)) <= 500);
        assert!(length(&fit(&"🙂".repeat(3000), 500)) <= 500);
        let error = compose(
            &ComposeRequest {
                limit: Some(5000),
                ..request(&[])
            },
            &mut Fake::default(),
        )
        .unwrap_err();
        assert_eq!(error.detail.as_deref(), Some("limit: 5000 is not between 300 and 4096"));
    }

    #[test]
    fn a_chunk_is_summarised_once() {
        let mut fake = Fake {
            answers: vec![" Коротко. ", ""],
            ..Fake::default()
        };
        let chunk = |id: &str| Chunk {
            id: id.to_owned(),
            text: "Длинно.".to_owned(),
            ..Chunk::default()
        };
        let of = |id: &str| SummarizeRequest {
            book: "b".to_owned(),
            chunk: chunk(id),
            ..SummarizeRequest::default()
        };
        let first = summarize(&of("c1"), &mut fake).unwrap();
        assert_eq!((first.id.as_str(), first.text.as_str()), ("s0", "Коротко."));
        assert_eq!(summarize(&of("c1"), &mut fake).unwrap(), first);
        assert_eq!(fake.asked.len(), 1);
        assert_eq!(summarize(&of("c2"), &mut fake).unwrap_err().status, 502);
    }
}
