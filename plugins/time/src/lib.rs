//! `time.next` and `time.day`: times of a calendar, in a time zone.
//!
//! Nothing here reads a clock. A workflow says after which instant, so that a step that is repeated has the same answer. Only `guest`
//! speaks WIT.

#[cfg(target_family = "wasm")]
mod guest;

use chrono::{DateTime, Days, LocalResult, NaiveDate, SecondsFormat, TimeDelta, TimeZone};
use chrono_tz::Tz;
use croner::parser::{CronParser, Seconds};

/// What cannot be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(pub String);

/// An instant, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// As RFC 3339 has it.
    pub at: String,
    /// As ISO 8601 has it, in whole seconds.
    pub wait: String,
}

/// A day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day {
    /// As ISO 8601 has it.
    pub date: String,
    /// Its first instant.
    pub begins: String,
    /// The first instant of the next one.
    pub ends: String,
}

/// The next time that a cron expression names in a time zone.
///
/// # Errors
/// When the expression, the zone or the instant is none, or there is no such time.
pub fn next(schedule: &str, timezone: Option<&str>, after: &str) -> Result<Moment, Invalid> {
    let after = instant(after)?.with_timezone(&zone(timezone)?);
    let parser = CronParser::builder().seconds(Seconds::Disallowed).build();
    let wrong = |error: croner::errors::CronError| Invalid(format!("the schedule '{schedule}' is not valid: {error}"));
    let cron = parser.parse(schedule).map_err(wrong)?;
    let next = cron.find_next_occurrence(&after, false).map_err(wrong)?;
    // A wait that is too short would find the same time again.
    let wait = (next - after).num_milliseconds().max(0);
    Ok(Moment {
        at: shown(&next),
        wait: format!("PT{}S", (wait + 999) / 1000),
    })
}

/// The day that an instant is in, or one so many days before.
///
/// # Errors
/// When the zone or the instant is none, or the calendar does not go back so far.
pub fn day(timezone: Option<&str>, at: &str, ago: u32) -> Result<Day, Invalid> {
    let zone = zone(timezone)?;
    let today = instant(at)?.with_timezone(&zone).date_naive();
    let none = || Invalid(format!("there is no day {ago} days before {today}"));
    let date = today.checked_sub_days(Days::new(ago.into())).ok_or_else(none)?;
    let tomorrow = date.succ_opt().ok_or_else(none)?;
    Ok(Day {
        date: date.to_string(),
        begins: shown(&first(date, zone).ok_or_else(none)?),
        ends: shown(&first(tomorrow, zone).ok_or_else(none)?),
    })
}

/// The first instant of a day: not midnight where clocks are put forward at midnight.
fn first(date: NaiveDate, zone: Tz) -> Option<DateTime<Tz>> {
    (0..=24).find_map(|quarters| {
        let local = date.and_hms_opt(0, 0, 0)? + TimeDelta::minutes(15 * quarters);
        match zone.from_local_datetime(&local) {
            LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Some(at),
            LocalResult::None => None,
        }
    })
}

fn zone(name: Option<&str>) -> Result<Tz, Invalid> {
    let name = name.unwrap_or("UTC");
    let unknown = |_| {
        Invalid(format!(
            "there is no time zone '{name}'; use an IANA name such as Europe/Moscow"
        ))
    };
    name.parse().map_err(unknown)
}

fn instant(text: &str) -> Result<DateTime<chrono::FixedOffset>, Invalid> {
    DateTime::parse_from_rfc3339(text).map_err(|error| Invalid(format!("'{text}' is no RFC 3339 timestamp: {error}")))
}

fn shown(at: &DateTime<Tz>) -> String {
    at.fixed_offset().to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(schedule: &str, timezone: &str, after: &str) -> (String, String) {
        let moment = next(schedule, Some(timezone), after).unwrap();
        (moment.at, moment.wait)
    }

    #[test]
    fn a_schedule_is_read_in_its_zone() {
        let wanted = ("2026-01-31T10:00:00+03:00".to_owned(), "PT3600S".to_owned());
        assert_eq!(after("0 10,18 * * *", "Europe/Moscow", "2026-01-31T06:00:00Z"), wanted);
        let wanted = ("2026-01-31T18:00:00+03:00".to_owned(), "PT28799S".to_owned());
        assert_eq!(
            after("0 10,18 * * *", "Europe/Moscow", "2026-01-31T10:00:00.5+03:00").0,
            wanted.0
        );
        assert_eq!(
            after("0 10,18 * * *", "Europe/Moscow", "2026-01-31T10:00:01+03:00"),
            wanted
        );
        // Never the instant itself, and a wait that is never too short.
        assert_eq!(next("* * * * *", None, "2026-01-31T06:00:00Z").unwrap().wait, "PT60S");
        assert_eq!(
            next("* * * * *", None, "2026-01-31T06:00:59.999Z").unwrap().wait,
            "PT1S"
        );
        // Clocks are put forward at two.
        let (at, _) = after("30 2 * * *", "Europe/Berlin", "2026-03-29T00:00:00Z");
        assert!(
            at.starts_with("2026-03-29T03:") || at.starts_with("2026-03-30T02:30"),
            "{at}"
        );
    }

    #[test]
    fn days_are_as_long_as_they_are() {
        let ended = |timezone: &str, at: &str, ago| {
            let day = day(Some(timezone), at, ago).unwrap();
            (day.date, day.begins, day.ends)
        };
        let day = ended("Europe/Moscow", "2026-01-31T22:00:00Z", 1);
        assert_eq!(
            day,
            (
                "2026-01-31".into(),
                "2026-01-31T00:00:00+03:00".into(),
                "2026-02-01T00:00:00+03:00".into()
            )
        );
        let short = ended("Europe/Berlin", "2026-03-29T12:00:00Z", 0);
        assert_eq!(
            (short.1.as_str(), short.2.as_str()),
            ("2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00")
        );
        // Midnight is left out here.
        assert_eq!(
            ended("America/Havana", "2026-03-08T12:00:00Z", 0).1,
            "2026-03-08T01:00:00-04:00"
        );
    }

    #[test]
    fn what_is_no_time_is_told() {
        let told = |result: Result<Moment, Invalid>| result.unwrap_err().0;
        assert!(told(next("0 25 * * *", None, "2026-01-31T06:00:00Z")).contains("0 25 * * *"));
        assert!(told(next("0 1 * * *", Some("Mars"), "2026-01-31T06:00:00Z")).contains("Mars"));
        assert!(told(next("0 1 * * *", None, "yesterday")).contains("yesterday"));
        assert!(told(next("0 0 31 2 *", None, "2026-01-31T06:00:00Z")).contains("31 2"));
        assert!(day(None, "2026-01-31T06:00:00Z", u32::MAX).is_err());
    }
}
