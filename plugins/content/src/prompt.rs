//! What models are told to do: defaults in English and Russian, or what a workflow says in their place.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// The default for a summary.
const SUMMARY_EN: &str = "You summarise a passage of the book \"{title}\" by {author}, chapter \"{chapter}\", for people who have \
    not read it. Write in {language}, in at most 6 sentences. Keep the names and the facts, add nothing that is not in the \
    passage. Answer with the summary alone, as plain text without a title.";

const SUMMARY_RU: &str = "Ты пересказываешь отрывок книги «{title}» (автор: {author}, глава «{chapter}») для тех, кто её не читал. \
    Пиши по-русски, не более 6 предложений. Сохрани имена и факты, не добавляй ничего, чего нет в отрывке. \
    В ответе дай только пересказ, простым текстом, без заголовка.";

/// The default for a post.
const POST_EN: &str = "You write a post for a Telegram channel about a passage of the book \"{title}\" by {author}. You are given its \
    summary. Write in {language}, in at most 4 sentences, so that people want to read the book. You may use bold and italic \
    Markdown, but no headings, no HTML, no links and no hashtags. Do not name the source, it is added. Do not repeat \
    anything that stands between <avoid> and </avoid>. Answer with the post alone, without a title.";

const POST_RU: &str = "Ты пишешь пост для телеграм-канала об отрывке книги «{title}» (автор: {author}). Тебе дан его пересказ. Пиши \
    по-русски, не более 4 предложений, так, чтобы книгу захотелось прочитать. Можно использовать жирный шрифт и курсив Markdown, \
    но не заголовки, не HTML, не ссылки и не хештеги. Не называй источник, он будет добавлен. Не повторяй ничего из того, что \
    стоит между <avoid> и </avoid>. В ответе дай только пост, без заголовка.";

/// Who writes, and in which language: what is the same for all posts of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Voice {
    /// The model; the operator's default without one.
    pub model: Option<String>,
    /// An ISO 639-1 code; English without one.
    pub language: Option<String>,
    /// What it is told to do, in place of the default.
    pub prompt: Option<String>,
    /// How freely it chooses its words.
    pub temperature: Option<f64>,
    /// The longest answer, in tokens.
    pub max_tokens: Option<u32>,
}

/// What a prompt may name.
#[derive(Debug, Clone, Copy, Default)]
pub struct Subject<'a> {
    pub title: Option<&'a str>,
    pub author: Option<&'a str>,
    pub chapter: Option<&'a str>,
}

impl Voice {
    /// Whether it speaks Russian: else it is told what to do in English.
    pub(crate) fn is_russian(&self) -> bool {
        self.language
            .as_deref()
            .is_some_and(|language| language.eq_ignore_ascii_case("ru"))
    }

    /// The name by which summaries of its model are kept.
    pub(crate) fn model_key(&self) -> &str {
        self.model.as_deref().unwrap_or_default()
    }

    /// The key by which summaries of its prompt are kept: another prompt or another language makes other summaries.
    pub(crate) fn summary_key(&self) -> String {
        let template = self.template(SUMMARY_EN, SUMMARY_RU);
        let hash = Sha256::new()
            .chain_update(template)
            .chain_update([0])
            .chain_update(self.language_name())
            .finalize();
        hash[..12].iter().fold(String::new(), |mut key, byte| {
            let _ = write!(key, "{byte:02x}");
            key
        })
    }

    pub(crate) fn summary_prompt(&self, subject: Subject<'_>) -> String {
        self.fill(self.template(SUMMARY_EN, SUMMARY_RU), subject)
    }

    pub(crate) fn post_prompt(&self, subject: Subject<'_>) -> String {
        self.fill(self.template(POST_EN, POST_RU), subject)
    }

    fn template<'a>(&'a self, english: &'a str, russian: &'a str) -> &'a str {
        let default = if self.is_russian() { russian } else { english };
        self.prompt
            .as_deref()
            .filter(|prompt| !prompt.trim().is_empty())
            .unwrap_or(default)
    }

    /// Puts what is known in the places of `{…}`, in one pass: what is put in is not looked at again.
    fn fill(&self, template: &str, subject: Subject<'_>) -> String {
        let unknown = if self.is_russian() {
            "неизвестно"
        } else {
            "unknown"
        };
        let mut out = String::with_capacity(template.len());
        let mut rest = template;
        while let Some(open) = rest.find('{') {
            out.push_str(&rest[..open]);
            rest = &rest[open..];
            let word = rest.find('}').map(|close| &rest[1..close]);
            let value = match word {
                Some("title") => subject.title.unwrap_or(unknown),
                Some("author") => subject.author.unwrap_or(unknown),
                Some("chapter") => subject.chapter.unwrap_or(unknown),
                Some("language") => self.language_name(),
                _ => {
                    out.push('{');
                    rest = &rest[1..];
                    continue;
                }
            };
            out.push_str(value);
            rest = &rest[word.map_or(1, |word| word.len() + 2)..];
        }
        out.push_str(rest);
        out
    }

    fn language_name(&self) -> &str {
        let code = self.language.as_deref().unwrap_or("en");
        match code.to_ascii_lowercase().as_str() {
            "en" => "English",
            "ru" => "Russian",
            "uk" => "Ukrainian",
            "de" => "German",
            "fr" => "French",
            "es" => "Spanish",
            "it" => "Italian",
            "pt" => "Portuguese",
            "pl" => "Polish",
            "tr" => "Turkish",
            "kk" => "Kazakh",
            "zh" => "Chinese",
            "ja" => "Japanese",
            _ => code,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Subject, Voice};

    #[test]
    fn prompts_are_filled_once() {
        let voice = Voice {
            prompt: Some("{title}/{author}/{chapter}/{language}/{x}/{".to_owned()),
            ..Voice::default()
        };
        let subject = Subject {
            title: Some("{author}"),
            author: None,
            chapter: Some("I"),
        };
        assert_eq!(voice.summary_prompt(subject), "{author}/unknown/I/English/{x}/{");
    }

    #[test]
    fn a_key_is_that_of_prompt_and_language() {
        let voice = |language: &str, prompt: Option<&str>| {
            Voice {
                language: Some(language.to_owned()),
                prompt: prompt.map(str::to_owned),
                ..Voice::default()
            }
            .summary_key()
        };
        assert_eq!(voice("en", None), Voice::default().summary_key());
        assert_eq!(voice("en", None), voice("en", Some(" ")));
        assert_ne!(voice("ru", None), voice("en", None));
        assert_ne!(voice("de", None), voice("en", None));
        assert_ne!(voice("en", Some("Say it.")), voice("en", None));
    }

    #[test]
    fn defaults_speak_the_language() {
        let russian = Voice {
            language: Some("ru".to_owned()),
            ..Voice::default()
        };
        let subject = Subject {
            title: Some("Каштанка"),
            ..Subject::default()
        };
        assert!(
            russian
                .post_prompt(subject)
                .contains("книги «Каштанка» (автор: неизвестно)")
        );
        assert!(Voice::default().post_prompt(subject).contains("Write in English"));
    }
}
