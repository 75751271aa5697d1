//! Cron schedules: `*/5 * * * mon-fri`, `@hourly`, `@every 1h30m`.
//!
//! What is wrong with one is said in the words of the parser upstream uses, and it is due when that says it is: in local time, not
//! at all in an hour that a clock skips, once in one that comes twice.

use std::time::Duration;

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};
use thiserror::Error;

/// What is wrong with a schedule, in the words of the parser upstream uses.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Error {
    #[error("expected exactly 5 fields, found {0}: [{1}]")]
    Fields(usize, String),
    #[error("unrecognized descriptor: {0}")]
    Descriptor(String),
    #[error("failed to parse duration {0}")]
    Duration(String),
    #[error("too many slashes: {0}")]
    Slashes(String),
    #[error("too many hyphens: {0}")]
    Hyphens(String),
    #[error("failed to parse int from {0}: strconv.Atoi: parsing {0:?}: invalid syntax")]
    Number(String),
    #[error("beginning of range ({0}) below minimum ({1}): {2}")]
    Below(u32, u32, String),
    #[error("end of range ({0}) above maximum ({1}): {2}")]
    Above(u32, u32, String),
    #[error("beginning of range ({0}) beyond end of range ({1}): {2}")]
    Backwards(u32, u32, String),
    #[error("step of range should be a positive number: {0}")]
    Step(String),
}

struct Field {
    min: u32,
    max: u32,
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field { min: 0, max: 59, names: &[] },
    Field { min: 0, max: 23, names: &[] },
    Field { min: 1, max: 31, names: &[] },
    Field {
        min: 1,
        max: 12,
        names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    },
    Field { min: 0, max: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] },
];

/// The years that are searched for a day that fits: the thirty-first of February never comes.
const YEARS: i16 = 5;

/// When something is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// At every minute whose parts are all in these sets.
    Calendar(Calendar),
    /// After so long, again and again.
    Every(Duration),
}

/// A bit for each value that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calendar {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Where both days and weekdays are named, one of them is enough.
    either_day: bool,
}

pub fn check(schedule: &str) -> Result<(), Error> {
    Schedule::parse(schedule).map(drop)
}

impl Schedule {
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.starts_with('@') {
            return descriptor(text);
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        if fields.len() != FIELDS.len() {
            return Err(Error::Fields(fields.len(), fields.join(" ")));
        }
        let mut sets = [0; FIELDS.len()];
        for ((text, field), set) in fields.iter().zip(FIELDS).zip(&mut sets) {
            for part in text.split(',') {
                *set |= range(part, &field)?;
            }
        }
        let [minutes, hours, days, months, weekdays] = sets;
        let any = |text: &str| text.split(',').any(|part| part.starts_with(['*', '?']));
        let either_day = !any(fields[2]) && !any(fields[4]);
        Ok(Self::Calendar(Calendar { minutes, hours, days, months, weekdays, either_day }))
    }

    /// The first moment after `after`; none if there is none within years.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Every(period) => {
                let whole = Timestamp::from_second(after.as_second()).ok()?;
                whole.checked_add(*period).ok()
            }
            Self::Calendar(calendar) => calendar.next(after, zone),
        }
    }
}

impl Calendar {
    fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut from = zone.to_datetime(after);
        let last = from.year().saturating_add(YEARS);
        loop {
            let due = self.next_civil(from, last)?;
            let ambiguous = zone.to_ambiguous_timestamp(due);
            let skipped = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
            match ambiguous.compatible() {
                Ok(moment) if !skipped && moment > after => return Some(moment),
                _ => from = due,
            }
        }
    }

    /// The first minute on the wall clock after `from`.
    fn next_civil(&self, from: DateTime, last_year: i16) -> Option<DateTime> {
        let (mut date, mut earliest) = (from.date(), Some((from.hour(), from.minute())));
        while date.year() <= last_year {
            if self.has_day(date)
                && let Some((hour, minute)) = self.minute_after(earliest)
            {
                return Some(date.at(hour, minute, 0, 0));
            }
            date = date.checked_add(1.day()).ok()?;
            earliest = None;
        }
        None
    }

    fn has_day(&self, date: Date) -> bool {
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, date.weekday().to_sunday_zero_offset());
        let fits = if self.either_day { day || weekday } else { day && weekday };
        has(self.months, date.month()) && fits
    }

    /// The first hour and minute after those given, of the same day.
    fn minute_after(&self, earliest: Option<(i8, i8)>) -> Option<(i8, i8)> {
        let (first_hour, after) = earliest.map_or((0, None), |(hour, minute)| (hour, Some(minute)));
        let in_hour = |hour: i8| {
            let from = after.filter(|_| hour == first_hour).map_or(0, |minute| minute + 1);
            (from..60).find(|minute| has(self.minutes, *minute)).map(|minute| (hour, minute))
        };
        (first_hour..24).filter(|hour| has(self.hours, *hour)).find_map(in_hour)
    }
}

fn has(set: u64, value: i8) -> bool {
    u32::try_from(value).is_ok_and(|value| set.checked_shr(value).unwrap_or_default() & 1 == 1)
}

fn descriptor(text: &str) -> Result<Schedule, Error> {
    let fields = match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => {
            let Some(period) = text.strip_prefix("@every ") else {
                return Err(Error::Descriptor(text.to_owned()));
            };
            let period = duration(period).ok_or_else(|| Error::Duration(text.to_owned()))?;
            // Whole seconds, and at least one.
            return Ok(Schedule::Every(Duration::from_secs(period.as_secs().max(1))));
        }
    };
    Schedule::parse(fields)
}

/// `1h30m`, `1.5s`; what is negative is nothing.
fn duration(text: &str) -> Option<Duration> {
    let negative = text.starts_with('-');
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest.is_empty() {
        return None;
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let units =
            [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
        let (unit, factor) = units.into_iter().find(|(unit, _)| tail.starts_with(unit))?;
        seconds += number.parse::<f64>().ok()? * factor;
        rest = &tail[unit.len()..];
    }
    if negative { Some(Duration::ZERO) } else { Duration::try_from_secs_f64(seconds).ok() }
}

/// The values of `*`, `3`, `1-5`, each with an optional step.
fn range(part: &str, field: &Field) -> Result<u64, Error> {
    let mut pieces = part.split('/');
    let (span, step, more) = (pieces.next().unwrap_or_default(), pieces.next(), pieces.next());
    if more.is_some() {
        return Err(Error::Slashes(part.to_owned()));
    }
    let mut ends = span.split('-');
    let (first, last, more) = (ends.next().unwrap_or_default(), ends.next(), ends.next());
    if more.is_some() {
        return Err(Error::Hyphens(part.to_owned()));
    }
    let (start, end) = match first {
        "*" | "?" => (field.min, field.max),
        _ => {
            let start = number(first, field)?;
            let end = match (last, step) {
                (Some(last), _) => number(last, field)?,
                (None, Some(_)) => field.max,
                (None, None) => start,
            };
            within(start, end, field, part)?;
            (start, end)
        }
    };
    match step.map(parse).transpose()? {
        Some(0) => Err(Error::Step(part.to_owned())),
        step => {
            let step = usize::try_from(step.unwrap_or(1)).unwrap_or(usize::MAX);
            Ok((start..=end).step_by(step).fold(0, |set, value| set | 1 << value))
        }
    }
}

fn within(start: u32, end: u32, field: &Field, part: &str) -> Result<(), Error> {
    if start < field.min {
        return Err(Error::Below(start, field.min, part.to_owned()));
    }
    if end > field.max {
        return Err(Error::Above(end, field.max, part.to_owned()));
    }
    if start > end {
        return Err(Error::Backwards(start, end, part.to_owned()));
    }
    Ok(())
}

fn number(text: &str, field: &Field) -> Result<u32, Error> {
    let lower = text.to_lowercase();
    match field.names.iter().position(|name| *name == lower) {
        Some(position) => Ok(u32::try_from(position).unwrap_or_default() + field.min),
        None => parse(text),
    }
}

fn parse(text: &str) -> Result<u32, Error> {
    text.parse().map_err(|_| Error::Number(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn schedules() {
        for good in
            ["* * * * *", "*/5 0-6,12 1 JAN-mar sun", "0 0 ? * 1", "5/10 * * * *", "@hourly", "@every 1h30m"]
        {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, sentence) in [
            ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
            ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
            ("x * * * *", "failed to parse int from x: strconv.Atoi: parsing \"x\": invalid syntax"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("@often", "unrecognized descriptor: @often"),
        ] {
            assert_eq!(check(bad).unwrap_err().to_string(), sentence);
        }
    }

    fn due(schedule: &str, zone: &TimeZone, after: &str) -> Option<String> {
        let schedule = Schedule::parse(schedule).unwrap();
        schedule.next(after.parse().unwrap(), zone).map(|moment| moment.to_string())
    }

    #[test]
    fn the_next_moment_is_after_the_given_one() {
        for (schedule, after, next) in [
            ("* * * * *", "2026-03-01T10:00:00Z", "2026-03-01T10:01:00Z"),
            ("* * * * *", "2026-03-01T10:00:59.5Z", "2026-03-01T10:01:00Z"),
            ("*/15 9-17 * * mon-fri", "2026-03-06T17:45:00Z", "2026-03-09T09:00:00Z"),
            ("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
            ("30 4 1,15 * 5", "2026-03-02T00:00:00Z", "2026-03-06T04:30:00Z"),
            ("30 4 15 * *", "2026-03-02T00:00:00Z", "2026-03-15T04:30:00Z"),
            ("@weekly", "2026-03-02T00:00:00Z", "2026-03-08T00:00:00Z"),
            ("@every 90s", "2026-03-02T00:00:00.25Z", "2026-03-02T00:01:30Z"),
        ] {
            assert_eq!(due(schedule, &TimeZone::UTC, after).as_deref(), Some(next), "{schedule}");
        }
        assert_eq!(due("0 0 31 2 *", &TimeZone::UTC, "2026-01-01T00:00:00Z"), None);
    }

    #[test]
    fn a_skipped_hour_is_skipped_and_a_repeated_one_counts_once() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let daily = "30 2 * * *";
        assert_eq!(due(daily, &zone, "2026-03-28T12:00:00Z").unwrap(), "2026-03-30T00:30:00Z");
        let first = due(daily, &zone, "2026-10-24T12:00:00Z").unwrap();
        assert_eq!(first, "2026-10-25T00:30:00Z");
        assert_eq!(due(daily, &zone, &first).unwrap(), "2026-10-26T01:30:00Z");
    }

    proptest! {
        #[test]
        fn anything_is_judged(text in "\\PC{0,20}|[0-9*/,?a-z -]{0,20}|@every [0-9.hms]{0,5}") {
            let _ = check(&text);
        }
    }
}
