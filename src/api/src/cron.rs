//! The syntax of cron schedules: `*/5 * * * mon-fri`, `@hourly`, `@every 1h30m`.
//!
//! Only says whether a schedule is one and what is wrong with it; when it is due is the CronJob controller's business.

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

const DESCRIPTORS: [&str; 7] =
    ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

pub fn check(schedule: &str) -> Result<(), Error> {
    if schedule.starts_with('@') {
        return descriptor(schedule);
    }
    let fields: Vec<&str> = schedule.split_whitespace().collect();
    if fields.len() != FIELDS.len() {
        return Err(Error::Fields(fields.len(), fields.join(" ")));
    }
    fields
        .into_iter()
        .zip(FIELDS)
        .try_for_each(|(text, field)| text.split(',').try_for_each(|part| range(part, &field)))
}

fn descriptor(text: &str) -> Result<(), Error> {
    if DESCRIPTORS.contains(&text) {
        return Ok(());
    }
    match text.strip_prefix("@every ") {
        Some(duration) if is_duration(duration) => Ok(()),
        Some(_) => Err(Error::Duration(text.to_owned())),
        None => Err(Error::Descriptor(text.to_owned())),
    }
}

/// `1h30m`, `1.5s`
fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest.is_empty() {
        return false;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let unit = ["ns", "us", "µs", "ms", "s", "m", "h"].into_iter().find(|unit| tail.starts_with(unit));
        match unit {
            Some(unit) if number.parse::<f64>().is_ok() => rest = &tail[unit.len()..],
            _ => return false,
        }
    }
    true
}

/// `*`, `3`, `1-5`, each with an optional step.
fn range(part: &str, field: &Field) -> Result<(), Error> {
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
    if !matches!(first, "*" | "?") {
        let start = number(first, field)?;
        let end = match (last, step) {
            (Some(last), _) => number(last, field)?,
            (None, Some(_)) => field.max,
            (None, None) => start,
        };
        within(start, end, field, part)?;
    }
    match step.map(parse).transpose()? {
        Some(0) => Err(Error::Step(part.to_owned())),
        _ => Ok(()),
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

    proptest! {
        #[test]
        fn anything_is_judged(text in "\\PC{0,20}|[0-9*/,?a-z -]{0,20}|@every [0-9.hms]{0,5}") {
            let _ = check(&text);
        }
    }
}
