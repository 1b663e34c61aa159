//! Words: what counts as one, which say nothing by themselves, and their stems as small numbers.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::LazyLock;

use super::language::Language;

/// Stems and how often each stands in a sentence, by the stem's number.
pub(super) type Terms = BTreeMap<u32, u32>;

/// Numbers for stems.
pub(super) struct Vocabulary {
    stemmer: Option<rust_stemmers::Stemmer>,
    numbers: HashMap<String, u32>,
}

impl Vocabulary {
    pub(super) fn new(language: Language) -> Self {
        Self {
            stemmer: language.stemmer(),
            numbers: HashMap::new(),
        }
    }

    /// The stems of the words that say something.
    pub(super) fn terms(&mut self, sentence: &str) -> Terms {
        let mut terms = Terms::new();
        for word in words(sentence) {
            let word = word.to_lowercase().replace('ё', "е");
            if is_stop_word(&word) || word.chars().count() < 2 {
                continue;
            }
            let stem = match &self.stemmer {
                Some(stemmer) => stemmer.stem(&word).into_owned(),
                None => word,
            };
            let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
            *terms.entry(*self.numbers.entry(stem).or_insert(next)).or_default() += 1;
        }
        terms
    }
}

/// The words of a text: letters and digits, with apostrophes and hyphens inside.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '\'' | '’' | '-'))
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|word| !word.is_empty())
}

/// Whether a word, in lower case, says nothing by itself.
pub(super) fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.contains(word)
}

static STOP_WORDS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| ENGLISH.split_whitespace().chain(RUSSIAN.split_whitespace()).collect());

const ENGLISH: &str = "a about above after again against ain't all am an and any are aren't as at be because been before \
being below between both but by can can't cannot could couldn't did didn't do does doesn't doing don't down during each \
few for from further had hadn't has hasn't have haven't having he he'd he'll he's her here hers herself him himself his \
how i i'd i'll i'm i've if in into is isn't it it's its itself just let's me more most mustn't my myself no nor not now \
of off on once only or other ought our ours ourselves out over own same shall shan't she she'd she'll she's should \
shouldn't so some such than that that's the their theirs them themselves then there there's these they they'd they'll \
they're they've this those through to too under until up upon us very was wasn't we we'd we'll we're we've were weren't \
what what's when where which while who whom why will with won't would wouldn't yet you you'd you'll you're you've your \
yours yourself yourselves also however may might must much many one said say says got get well oh";

const RUSSIAN: &str = "а без более больше будет будто бы был была были было быть в вам вами вас ваш ваша ваше ваши вдруг \
ведь весь во вот впрочем все всегда всего всей всем всех всю вся вы где говорил говорит да даже два для до другой \
его ее ей ему если есть еще ж же за зачем здесь и из или им иногда их к как какая какой когда конечно которая которого \
которой которые который кто куда ли лишь лучше между меня мне много может можно мой моя мы на над надо наконец нас наш не \
него нее ней нельзя нет неё ни нибудь никогда ним них ничего но ну о об один он она они оно опять от перед по под после \
потом потому почти при про раз разве с сам сама само сами свой своего своей свою своих сейчас себе себя сегодня сказал \
сказала сказать со совсем так такой такая такие там тебя тем теперь то тобой тогда того тоже той только том тот тою три \
ту тут ты у уж уже хорошо хоть чего чей чем через что чтоб чтобы чуть эти этим этих это этого этой этом этот эту эта я";
