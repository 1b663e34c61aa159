//! What a summary has to hold: sentences of the text, in order, none twice.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

fn pieces(text: &str) -> Vec<String> {
    split(text).into_iter().map(|sentence| sentence.text).collect()
}

/// «The War of the Worlds», H. G. Wells, 1898.
const ENGLISH: &str = "No one would have believed in the last years of the nineteenth century that this world was being \
watched keenly and closely by intelligences greater than man's and yet as mortal as his own; that as men busied \
themselves about their various concerns they were scrutinised and studied, perhaps almost as narrowly as a man with a \
microscope might scrutinise the transient creatures that swarm and multiply in a drop of water. With infinite \
complacency men went to and fro over this globe about their little affairs, serene in their assurance of their empire \
over matter. It is possible that the infusoria under the microscope do the same. No one gave a thought to the older \
worlds of space as sources of human danger, or thought of them only to dismiss the idea of life upon them as impossible \
or improbable. It is curious to recall some of the mental habits of those departed days. At most terrestrial men fancied \
there might be other men upon Mars, perhaps inferior to themselves and ready to welcome a missionary enterprise. Yet \
across the gulf of space, minds that are to our minds as ours are to those of the beasts that perish, intellects vast and \
cool and unsympathetic, regarded this earth with envious eyes, and slowly and surely drew their plans against us. And \
early in the twentieth century came the great disillusionment.

The planet Mars, I scarcely need remind the reader, revolves about the sun at a mean distance of 140,000,000 miles, and \
the light and heat it receives from the sun is barely half of that received by this world. It must be, if the nebular \
hypothesis has any truth, older than our world; and long before this earth ceased to be molten, life upon its surface \
must have begun its course. The fact that it is scarcely one seventh of the volume of the earth must have accelerated its \
cooling to the temperature at which life could begin. It has air and water and all that is necessary for the support of \
animated existence.";

/// «Степь», А. П. Чехов, 1888.
const RUSSIAN: &str = "Из N., уездного города Z-ой губернии, ранним июльским утром выехала и с громом покатила по почтовому \
тракту безрессорная, ошарпанная бричка, одна из тех допотопных бричек, на которых ездят теперь на Руси только купеческие \
приказчики, гуртовщики и небогатые священники. Она тарахтела и взвизгивала при малейшем движении; ей угрюмо вторило \
ведро, привязанное к её задку, — и по одним этим звукам да по жалким кожаным тряпочкам, болтавшимся на её облезлом теле, \
можно было судить о её ветхости и готовности идти в слом.

В бричке сидело двое N-ских обывателей: N-ский купец Иван Иваныч Кузьмичов, бритый, в очках и в соломенной шляпе, больше \
похожий на чиновника, чем на купца, и другой — отец Христофор Сирийский, настоятель N-ской Николаевской церкви, маленький \
длинноволосый старичок, в сером парусиновом кафтане, в широкополом цилиндре и в шитом, цветном поясе. Первый о чём-то \
сосредоточенно думал и встряхивал головою, чтобы прогнать дремоту; на лице его привычная деловая сухость боролась с \
благодушием человека, только что простившегося с роднёй и хорошо выпившего. Второй же влажными глазками удивлённо глядел \
на мир божий и улыбался так широко, что, казалось, улыбка захватывала даже поля цилиндра; лицо его было красно и имело \
озябший вид. Оба они, как Кузьмичов, так и отец Христофор, ехали теперь продавать шерсть. Прощаясь с домочадцами, они \
только что сытно закусили пышками со сметаной и, несмотря на раннее утро, выпили. Настроение духа у обоих было прекрасное.";

#[test]
fn sentences_end_where_they_end() {
    for (text, expected) in [
        (
            "Mr. Smith paid $3.50. He left at 5 p.m. It rained.",
            vec!["Mr. Smith paid $3.50.", "He left at 5 p.m.", "It rained."],
        ),
        (
            "J. R. R. Tolkien wrote it. So did I. He smiled.",
            vec!["J. R. R. Tolkien wrote it.", "So did I.", "He smiled."],
        ),
        (
            "Роман А. С. Пушкина, т. е. поэма, вышел в 1833 г. Он имел успех.",
            vec!["Роман А. С. Пушкина, т. е. поэма, вышел в 1833 г.", "Он имел успех."],
        ),
        (
            "В 1905 г. Эйнштейн, Дж. Томсон и др. писали статьи, письма и т. д. Наука росла.",
            vec![
                "В 1905 г. Эйнштейн, Дж. Томсон и др. писали статьи, письма и т. д.",
                "Наука росла.",
            ],
        ),
        (
            "— Привет! — сказал он. — Как дела?\n— Хорошо… только холодно. Идём!",
            vec![
                "— Привет! — сказал он.",
                "— Как дела?",
                "— Хорошо… только холодно.",
                "Идём!",
            ],
        ),
        (
            "\"Really?\" she asked. \"Yes! Of course!\" Alice said. “What? No!” cried the King.",
            vec![
                "\"Really?\" she asked.",
                "\"Yes! Of course!\" Alice said.",
                "“What? No!” cried the King.",
            ],
        ),
        (
            "«Кто там? Войдите!» — крикнул он. Никто не вошёл...  Тишина?! Да.",
            vec![
                "«Кто там? Войдите!» — крикнул он.",
                "Никто не вошёл...",
                "Тишина?!",
                "Да.",
            ],
        ),
        (
            "He ran (it was late. Very late.) home. Then he slept.",
            vec!["He ran (it was late. Very late.) home.", "Then he slept."],
        ),
        (
            "CHAPTER I\n\nIt was\na dark night.\n\n* * *\n\nThe end.",
            vec!["CHAPTER I", "It was a dark night.", "The end."],
        ),
        ("", vec![]),
    ] {
        assert_eq!(pieces(text), expected, "{text}");
    }
}

#[test]
fn every_sentence_comes_from_the_text_in_its_order() {
    for text in [ENGLISH, RUSSIAN] {
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for count in 1..=5 {
            let summary = summarise(
                text,
                &Order {
                    sentences: Some(count),
                    ..Order::default()
                },
            );
            let said = pieces(&summary.text());
            assert_eq!(said.len(), count);
            let places: Vec<usize> = said
                .iter()
                .map(|sentence| flat.find(sentence.as_str()).unwrap())
                .collect();
            assert!(places.is_sorted(), "{places:?}");
        }
    }
}

#[test]
fn the_central_sentence_wins_over_the_aside() {
    let text = "The river floods the valley every spring. The flood of the river feeds the valley and its fields. \
                My uncle once bought a red bicycle in Paris. Farmers of the valley wait for the river and its flood. \
                The fields of the valley depend on the spring flood.";
    let summary = summarise(
        text,
        &Order {
            sentences: Some(2),
            ..Order::default()
        },
    )
    .text();
    assert!(!summary.contains("bicycle"), "{summary}");
    let text = "Река каждую весну заливает долину. Разлив реки питает долину и её поля. Мой дядя однажды купил красный \
                велосипед в Париже. Крестьяне долины ждут реку и её разлива. Поля долины зависят от весеннего разлива реки.";
    let summary = summarise(
        text,
        &Order {
            sentences: Some(2),
            ..Order::default()
        },
    )
    .text();
    assert!(!summary.contains("велосипед"), "{summary}");
}

#[test]
fn nothing_is_said_twice() {
    let text = "The old lighthouse keeper lit the lamp at dusk. The old keeper of the lighthouse lit the lamp at dusk! \
                A storm broke the harbour wall during the night. The old lighthouse keeper lit the lamp at dusk.";
    let summary = summarise(
        text,
        &Order {
            sentences: Some(3),
            ..Order::default()
        },
    )
    .text();
    assert_eq!(summary.matches("lamp").count(), 1, "{summary}");
    assert!(summary.contains("storm"));
}

#[test]
fn what_was_said_elsewhere_is_avoided() {
    for text in [ENGLISH, RUSSIAN] {
        let mut avoid: Vec<String> = Vec::new();
        for round in 0..3 {
            let order = Order {
                sentences: Some(2),
                avoid: avoid.clone(),
                ..Order::default()
            };
            let summary = summarise(text, &order).text();
            assert!(!summary.is_empty());
            for sentence in pieces(&summary) {
                assert!(
                    !avoid.iter().any(|said| said.contains(&sentence)),
                    "round {round}: {sentence}"
                );
            }
            avoid.push(summary);
        }
    }
    let all = summarise(
        "Only this one sentence is here, my friend.",
        &Order {
            avoid: vec!["Only this one sentence is here, my friend.".to_owned()],
            ..Order::default()
        },
    );
    assert_eq!(all.text(), "");
}

#[test]
fn limits_hold_for_characters_and_words() {
    for text in [ENGLISH, RUSSIAN] {
        for limit in [20, 80, 200, 500, 900, 5_000] {
            for title in [false, true] {
                let order = Order {
                    characters: Some(limit),
                    title,
                    ..Order::default()
                };
                let said = summarise(text, &order).text();
                assert!(!said.is_empty() && said.chars().count() <= limit, "{limit}: {said}");
                let order = Order {
                    words: Some(limit),
                    title,
                    ..Order::default()
                };
                let said = summarise(text, &order).text();
                assert!(
                    !said.is_empty() && words::words(&said).count() <= limit,
                    "{limit}: {said}"
                );
            }
        }
    }
}

#[test]
fn a_title_is_short_and_stands_in_the_text() {
    for text in [ENGLISH, RUSSIAN] {
        let summary = summarise(
            text,
            &Order {
                sentences: Some(3),
                title: true,
                ..Order::default()
            },
        );
        let title = summary.title.clone().unwrap();
        assert!(title.chars().count() <= 90 && text.contains(&title), "{title}");
        assert!(!summary.paragraphs.concat().contains(&format!("{title}.")), "{title}");
        assert!(summary.text().starts_with(&format!("{title}\n\n")));
    }
}

#[test]
fn long_texts_are_ranked_in_blocks() {
    let text: String = (0..3_000)
        .map(|i| {
            format!(
                "Sentence number {i} speaks about river {} and hill {}. ",
                i % 37,
                i % 11
            )
        })
        .collect();
    let summary = summarise(
        &text,
        &Order {
            sentences: Some(5),
            ..Order::default()
        },
    );
    assert_eq!(pieces(&summary.text()).len(), 5);
}

#[test]
fn languages_are_told_apart() {
    assert_eq!(Language::of(ENGLISH), Language::English);
    assert_eq!(Language::of(RUSSIAN), Language::Russian);
    assert_eq!(Language::of("Да"), Language::Russian);
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_gives_a_summary_within_its_limits(text in "([A-Zа-яa-z.!?…«»\"()—,\n ]{0,30}[.!?] ?){0,12}", limit in 5usize..200) {
            let order = Order { characters: Some(limit), ..Order::default() };
            let said = summarise(&text, &order).text();
            prop_assert!(said.chars().count() <= limit);
            prop_assert_eq!(summarise(&text, &order).text(), said);
        }
    }
}
