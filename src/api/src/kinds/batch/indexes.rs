//! Indexes of a job's pods as text: `1,3-5,7`.

use thiserror::Error;

/// What is wrong with a list of indexes, in upstream's words.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum Error {
    #[error(
        "the fragment {0:?} violates the requirement that an index interval can have at most two parts separated by '-'"
    )]
    Parts(String),
    #[error("cannot convert string to integer for index: {0:?}")]
    Number(String),
    #[error("too large index: {0:?}")]
    Large(String),
    #[error("non-increasing order, previous: {0}, current: {1}")]
    Order(i64, i64),
}

/// How many indexes `text` names, all of them below `completions`.
pub(super) fn count(text: &str, completions: i64) -> Result<i64, Error> {
    let mut last = None;
    let mut total = 0;
    for interval in text.split(',').filter(|_| !text.is_empty()) {
        let (first, end) = parse(interval, completions)?;
        if let Some(last) = last.filter(|last| *last >= first) {
            return Err(Error::Order(last, first));
        }
        total += end - first + 1;
        last = Some(end);
    }
    Ok(total)
}

fn parse(interval: &str, completions: i64) -> Result<(i64, i64), Error> {
    let parts: Vec<&str> = interval.split('-').collect();
    let number = |text: &str| match text.parse::<i32>().map(i64::from) {
        Err(_) => Err(Error::Number(text.to_owned())),
        Ok(index) if index >= completions => Err(Error::Large(text.to_owned())),
        Ok(index) => Ok(index),
    };
    match parts[..] {
        [only] => number(only).map(|index| (index, index)),
        [first, last] => match (number(first)?, number(last)?) {
            (first, last) if first >= last => Err(Error::Order(first, last)),
            both => Ok(both),
        },
        _ => Err(Error::Parts(interval.to_owned())),
    }
}

/// The first index that both lists name; what cannot be read of them is passed over.
pub(super) fn overlap(one: &str, other: &str, completions: i64) -> Option<i64> {
    let intervals = |text: &str| -> Vec<(i64, i64)> {
        text.split(',').filter_map(|interval| parse(interval, completions).ok()).collect()
    };
    let others = intervals(other);
    let shared = |(first, last): (i64, i64)| {
        others.iter().find(|(from, to)| first <= *to && *from <= last).map(|(from, _)| first.max(*from))
    };
    intervals(one).into_iter().find_map(shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_are_counted_and_checked() {
        assert_eq!(count("", 5), Ok(0));
        assert_eq!(count("1,3-4", 5), Ok(3));
        for (text, sentence) in [
            (
                "1-2-3",
                "the fragment \"1-2-3\" violates the requirement that an index interval can have at most two parts separated by '-'",
            ),
            ("x", "cannot convert string to integer for index: \"x\""),
            ("5", "too large index: \"5\""),
            ("3-3", "non-increasing order, previous: 3, current: 3"),
            ("3,1", "non-increasing order, previous: 3, current: 1"),
        ] {
            assert_eq!(count(text, 5).unwrap_err().to_string(), sentence);
        }
        assert_eq!(overlap("0-2,4", "3,4", 5), Some(4));
        assert_eq!(overlap("0-2", "3", 5), None);
    }
}
