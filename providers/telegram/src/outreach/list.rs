//! Whom a list names: rows of a CSV file, or of a request. Nothing of a list is lost: what cannot be used is kept with the
//! reason.

use std::collections::HashMap;

use serde::Deserialize;

use crate::accounts::{Whom, phone_number};

/// The most people of one list.
pub(crate) const MOST: usize = 10_000;

/// A person as a request names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Named {
    pub(crate) phone: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) telegram_id: Option<i64>,
    pub(crate) name: Option<String>,
}

/// A line of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// From 1; of a file, as editors count.
    pub(crate) number: i64,
    /// What people are known by here: `+79990001122`, `@name` or `id:123`; as it was written when it is none of these.
    pub(crate) person: String,
    pub(crate) name: Option<String>,
    /// Why it cannot be used.
    pub(crate) wrong: Option<String>,
    /// The line that names the same person.
    pub(crate) same_as: Option<i64>,
}

/// How a person that is known here is reached; `None` for one of whom only the number at Telegram is known.
pub(crate) fn whom(person: &str) -> Option<Whom> {
    match (person.strip_prefix('@'), person.starts_with('+')) {
        (Some(name), _) => Some(Whom::Name(name.to_owned())),
        (None, true) => Some(Whom::Phone(person.to_owned())),
        (None, false) => None,
    }
}

/// The number at Telegram, of one who is known by it.
pub(crate) fn telegram_id(person: &str) -> Option<i64> {
    person.strip_prefix("id:")?.parse().ok()
}

/// A person as it is known here, from what people write: a phone number, a name, a link, or `id:123`.
pub(crate) fn known(text: &str) -> Result<String, String> {
    // What keeps a cell from being a formula in a spreadsheet.
    let text = text.trim().trim_start_matches('\'').trim();
    if text.is_empty() {
        return Err("nobody is named".to_owned());
    }
    if let Some(id) = text.strip_prefix("id:") {
        let id = id.trim().parse::<i64>().ok().filter(|id| *id > 0);
        return id
            .map(|id| format!("id:{id}"))
            .ok_or_else(|| format!("'{text}' is no id"));
    }
    let bare = ["https://", "http://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme))
        .unwrap_or(text);
    let linked = ["t.me/", "telegram.me/"]
        .iter()
        .find_map(|host| bare.strip_prefix(host));
    if let Some(name) = text.strip_prefix('@').or(linked) {
        return username(name);
    }
    match phone_number(text) {
        Ok(phone) => Ok(phone),
        Err(_) if text.starts_with(|c: char| c.is_ascii_alphabetic()) => username(text),
        Err(_) => Err(format!(
            "'{text}' is neither a phone number in international form, such as +79990001122, nor a @name"
        )),
    }
}

fn username(name: &str) -> Result<String, String> {
    let name = name.trim().trim_start_matches('@').trim_end_matches('/');
    let well_formed = (3..=32).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if well_formed {
        Ok(format!("@{}", name.to_ascii_lowercase()))
    } else {
        Err(format!(
            "'@{name}' is no name: it has 3 to 32 letters, digits and '_', and begins with a letter"
        ))
    }
}

/// The lines of a request.
pub(crate) fn of_people(people: Vec<Named>) -> Result<Vec<Line>, String> {
    let lines = people.into_iter().enumerate().map(|(index, named)| {
        let number = i64::try_from(index + 1).unwrap_or(i64::MAX);
        line(number, named)
    });
    checked(lines.collect())
}

/// The lines of a CSV file. Its separator is a comma, a semicolon or a tab. With a header of known names the columns may be in
/// any order; without one the first column names the person and the second, if there is one, says how it is called.
pub(crate) fn of_csv(text: &str) -> Result<Vec<Line>, String> {
    let text = text.trim_start_matches('\u{feff}');
    let first = text.lines().next().unwrap_or_default();
    let separator = [b';', b'\t', b',']
        .into_iter()
        .find(|separator| first.as_bytes().contains(separator))
        .unwrap_or(b',');
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator)
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let mut columns: Option<Vec<Option<Column>>> = None;
    let mut lines = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| format!("the CSV cannot be read: {error}"))?;
        let number = record.position().map_or(0, |position| line_of(text, position));
        let known = match &columns {
            Some(known) => known,
            None => {
                let header: Vec<_> = record.iter().map(Column::of).collect();
                let is_header = header.iter().flatten().any(|column| *column != Column::Name);
                let known = columns.insert(if is_header {
                    header
                } else {
                    vec![Some(Column::Person), Some(Column::Name)]
                });
                if is_header {
                    continue;
                }
                known
            }
        };
        if record.iter().all(str::is_empty) {
            continue;
        }
        let mut line = from_cells(record.iter().zip(known));
        line.number = i64::try_from(number).unwrap_or(i64::MAX);
        lines.push(line);
        if lines.len() > MOST {
            break;
        }
    }
    checked(lines)
}

/// On which line a record begins, as editors count: the reader counts empty lines before it to it.
fn line_of(text: &str, position: &csv::Position) -> u64 {
    let at = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let rest = text.as_bytes().get(at..).unwrap_or_default();
    let breaks = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    position.line() + breaks.filter(|byte| **byte == b'\n').count() as u64
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Phone,
    Username,
    Id,
    Person,
    Name,
}

impl Column {
    fn of(header: &str) -> Option<Self> {
        let header = header.trim().to_lowercase().replace([' ', '-'], "_");
        Some(match header.as_str() {
            "phone" | "phone_number" | "tel" | "телефон" | "номер" => Self::Phone,
            "username" | "user" | "login" | "nick" | "ник" | "логин" => Self::Username,
            "id" | "telegram_id" | "user_id" | "tg_id" => Self::Id,
            "person" | "contact" | "контакт" => Self::Person,
            "name" | "first_name" | "имя" => Self::Name,
            _ => return None,
        })
    }
}

fn from_cells<'a>(cells: impl Iterator<Item = (&'a str, &'a Option<Column>)>) -> Line {
    let mut named = Named::default();
    let mut person = None;
    for (cell, column) in cells {
        if cell.is_empty() {
            continue;
        }
        let cell = cell.to_owned();
        match column {
            Some(Column::Phone) => named.phone = Some(cell),
            Some(Column::Username) => named.username = Some(cell),
            Some(Column::Id) => named.telegram_id = cell.parse().ok(),
            Some(Column::Person) => person = Some(cell),
            Some(Column::Name) => named.name = Some(cell),
            None => {}
        }
    }
    match person {
        Some(text) => self::written(0, &text, named.name),
        None => line(0, named),
    }
}

/// A phone number goes before a name, and a name before a number at Telegram, by which nobody can be found.
fn line(number: i64, named: Named) -> Line {
    let Named {
        phone,
        username,
        telegram_id,
        name,
    } = named;
    let phone = phone.filter(|phone| !phone.trim().is_empty());
    // A word in the place of a number is no name.
    if let Some(text) = phone
        .as_ref()
        .filter(|text| text.trim().starts_with(char::is_alphabetic))
    {
        return Line {
            number,
            person: text.chars().take(100).collect(),
            name,
            wrong: Some(format!(
                "'{text}' is no phone number: write it in international form, such as +79990001122"
            )),
            same_as: None,
        };
    }
    let text = phone
        .or_else(|| {
            let username = username?;
            let username = username.trim().trim_start_matches('@');
            (!username.is_empty()).then(|| format!("@{username}"))
        })
        .or_else(|| telegram_id.map(|id| format!("id:{id}")));
    written(number, &text.unwrap_or_default(), name)
}

fn written(number: i64, text: &str, name: Option<String>) -> Line {
    let (person, wrong) = match known(text) {
        Ok(person) => (person, None),
        Err(wrong) => (text.chars().take(100).collect(), Some(wrong)),
    };
    Line {
        number,
        person,
        name: name.map(|name| name.chars().take(100).collect()),
        wrong,
        same_as: None,
    }
}

/// A list that can be taken, with those who are named twice marked.
fn checked(mut lines: Vec<Line>) -> Result<Vec<Line>, String> {
    if lines.is_empty() {
        return Err("nobody is named".to_owned());
    }
    if lines.len() > MOST {
        return Err(format!("at most {MOST} people are taken at once: split the list"));
    }
    let mut seen: HashMap<String, i64> = HashMap::new();
    for line in lines.iter_mut().filter(|line| line.wrong.is_none()) {
        match seen.get(&line.person) {
            Some(first) => line.same_as = Some(*first),
            None => {
                seen.insert(line.person.clone(), line.number);
            }
        }
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn people(csv: &str) -> Vec<String> {
        let lines = of_csv(csv).unwrap();
        let shown = lines.iter().map(|line| match (&line.wrong, line.same_as) {
            (Some(_), _) => format!("{}!{}", line.number, line.person),
            (None, Some(same)) => format!("{}={same}", line.number),
            (None, None) => format!(
                "{}:{} {}",
                line.number,
                line.person,
                line.name.as_deref().unwrap_or("-")
            ),
        });
        shown.collect()
    }

    #[test]
    fn lists_as_people_keep_them() {
        assert_eq!(
            people("phone,name\n+7 (999) 000-11-22,Anna\n\n79990001122,Anna again\n@x,\n"),
            ["2:+79990001122 Anna", "4=2", "5!@x"]
        );
        assert_eq!(
            people("\u{feff}Имя;Телефон\r\n\"Иван; сын\";+79990001123\r\n"),
            ["2:+79990001123 Иван; сын"]
        );
        assert_eq!(
            people("@Olga_1\nhttps://t.me/pavel\nvera_2\n"),
            ["1:@olga_1 -", "2:@pavel -", "3:@vera_2 -"]
        );
        // What `parse-members` exports.
        assert_eq!(
            people("\"id\",\"username\",\"name\"\r\n\"11\",\"olga\",\"Olga\"\r\n\"12\",\"\",\"'=1\""),
            ["2:@olga Olga", "3:id:12 '=1"]
        );
        assert_eq!(people("phone\nhello\n@olga"), ["2!hello", "3:@olga -"]);
        assert!(of_csv("").is_err() && of_csv("phone,name\n").is_err());
        assert!(
            of_csv(&"+79990001122\n".repeat(MOST + 1))
                .unwrap_err()
                .contains("split")
        );
    }

    #[test]
    fn people_as_they_are_written() {
        assert_eq!(known("'+7 999 000 11 22").unwrap(), "+79990001122");
        assert_eq!(known("id:12").unwrap(), "id:12");
        for wrong in ["", "12", "@a b", "id:-1", "+7999000112233445566", "=cmd()"] {
            assert!(known(wrong).is_err(), "{wrong}");
        }
        assert_eq!(whom("+79990001122"), Some(Whom::Phone("+79990001122".to_owned())));
        assert_eq!((whom("id:12"), telegram_id("id:12")), (None, Some(12)));
    }
}
