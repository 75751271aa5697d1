//! Which lines of a log are wanted, and how they are shown.
//!
//! The file holds `TIME STREAM TAG TEXT` per line; `TAG` says whether the text is a whole line or a part of one. Times are
//! written with all nine digits in UTC, so they are compared as text.

use std::time::Duration;

use bytes::BytesMut;
use http::StatusCode;
use k8s_openapi::jiff::Timestamp;

use super::Refusal;
use super::query::Query;

const TIME: &str = "%Y-%m-%dT%H:%M:%S.%9fZ";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Stdout,
    Stderr,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) follow: bool,
    pub(super) previous: bool,
    /// So many lines from the end.
    pub(super) tail: Option<u64>,
    timestamps: bool,
    /// As times are written in the log.
    since: Option<String>,
    limit: Option<u64>,
    stream: Option<Stream>,
}

impl Options {
    pub(super) fn parse(query: &Query) -> Result<Self, Refusal> {
        let tail = number(query, "tailLines")?;
        let limit = number(query, "limitBytes")?.filter(|limit| *limit > 0);
        let stream = stream(query.first("stream").unwrap_or("All"))?;
        if (query.first("limitBytes").is_some() && limit.is_none()) || (tail.is_some() && stream.is_some()) {
            return Err(invalid());
        }
        Ok(Self {
            follow: query.flag("follow"),
            previous: query.flag("previous"),
            tail,
            timestamps: query.flag("timestamps"),
            since: since(query, Timestamp::now())?,
            limit,
            stream,
        })
    }
}

fn number(query: &Query, name: &str) -> Result<Option<u64>, Refusal> {
    let unreadable = || Refusal::bad_request(r#"{"message": "Unable to decode query."}"#);
    let number = query.first(name).map(|text| text.parse::<i64>().map_err(|_| unreadable())).transpose()?;
    number.map(|number| u64::try_from(number).map_err(|_| invalid())).transpose()
}

fn stream(name: &str) -> Result<Option<Stream>, Refusal> {
    match name {
        "All" => Ok(None),
        "Stdout" => Ok(Some(Stream::Stdout)),
        "Stderr" => Ok(Some(Stream::Stderr)),
        _ => Err(invalid()),
    }
}

fn since(query: &Query, now: Timestamp) -> Result<Option<String>, Refusal> {
    let seconds = number(query, "sinceSeconds")?;
    let time =
        query.first("sinceTime").map(|text| text.parse::<Timestamp>().map_err(|_| invalid())).transpose()?;
    let from = match (seconds, time) {
        (None, None) => return Ok(None),
        (Some(seconds @ 1..), None) => {
            now.checked_sub(Duration::from_secs(seconds)).unwrap_or(Timestamp::UNIX_EPOCH)
        }
        (None, Some(time)) => time,
        _ => return Err(invalid()),
    };
    Ok(Some(from.strftime(TIME).to_string()))
}

fn invalid() -> Refusal {
    Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, r#"{"message": "Invalid request."}"#)
}

/// Turns lines of the file into what is shown.
#[derive(Debug)]
pub(super) struct Shown {
    options: Options,
    /// The last text that was shown ended its line.
    at_start: bool,
    left: Option<u64>,
}

/// One line of the file.
struct Entry<'a> {
    time: &'a str,
    stream: Stream,
    whole: bool,
    text: &'a [u8],
}

impl Shown {
    pub(super) fn new(options: Options) -> Self {
        let left = options.limit;
        Self { options, at_start: true, left }
    }

    /// Everything that may be shown has been.
    pub(super) fn is_over(&self) -> bool {
        self.left == Some(0)
    }

    /// Appends what is to be shown of a line. What is no line of a log is left out.
    pub(super) fn line(&mut self, line: &[u8], to: &mut BytesMut) {
        let Some(entry) = parse(line) else { return };
        if self.options.since.as_deref().is_some_and(|since| entry.time < since)
            || self.options.stream.is_some_and(|stream| entry.stream != stream)
        {
            return;
        }
        if self.options.timestamps && self.at_start {
            self.show(entry.time.as_bytes(), to);
            self.show(b" ", to);
        }
        self.show(entry.text, to);
        if entry.whole {
            self.show(b"\n", to);
        }
        self.at_start = entry.whole;
    }

    fn show(&mut self, text: &[u8], to: &mut BytesMut) {
        let fits = match &mut self.left {
            None => text.len(),
            Some(left) => {
                let fits = usize::try_from(*left).unwrap_or(usize::MAX).min(text.len());
                *left -= fits as u64;
                fits
            }
        };
        to.extend_from_slice(&text[..fits]);
    }
}

fn parse(line: &[u8]) -> Option<Entry<'_>> {
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let time = std::str::from_utf8(parts.next()?).ok()?;
    let stream = match parts.next()? {
        b"stdout" => Stream::Stdout,
        b"stderr" => Stream::Stderr,
        _ => return None,
    };
    let whole = match parts.next()? {
        b"F" => true,
        b"P" => false,
        _ => return None,
    };
    Some(Entry { time, stream, whole, text: parts.next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &[&str] = &[
        "2026-11-21T09:00:01.000000000Z stdout F one",
        "2026-11-21T09:00:02.000000000Z stderr F two",
        "garbage",
        "2026-11-21T09:00:03.000000000Z stdout P long ",
        "2026-11-21T09:00:04.000000000Z stdout F line",
    ];

    fn shown(query: &str) -> String {
        let mut shown = Shown::new(Options::parse(&Query::parse(query)).unwrap());
        let mut text = BytesMut::new();
        LOG.iter().for_each(|line| shown.line(line.as_bytes(), &mut text));
        String::from_utf8(text.to_vec()).unwrap()
    }

    #[test]
    fn options_choose_and_decorate_lines() {
        assert_eq!(shown(""), "one\ntwo\nlong line\n");
        assert_eq!(shown("stream=Stderr"), "two\n");
        assert_eq!(shown("sinceTime=2026-11-21T10:00:02%2B01:00"), "two\nlong line\n");
        assert_eq!(shown("limitBytes=6"), "one\ntw");
        assert_eq!(
            shown("timestamps=true&stream=Stdout"),
            "2026-11-21T09:00:01.000000000Z one\n2026-11-21T09:00:03.000000000Z long line\n"
        );
    }

    #[test]
    fn options_that_make_no_sense_are_refused() {
        let code = |query: &str| Options::parse(&Query::parse(query)).unwrap_err().code.as_u16();
        assert_eq!(code("tailLines=x"), 400);
        for query in [
            "tailLines=-1",
            "limitBytes=0",
            "sinceSeconds=0",
            "sinceSeconds=1&sinceTime=2026-11-21T09:00:00Z",
            "sinceTime=yesterday",
            "stream=Stdin",
            "stream=Stdout&tailLines=1",
        ] {
            assert_eq!(code(query), 422, "{query}");
        }
    }

    #[test]
    fn seconds_count_back_from_now() {
        let now = "2026-11-21T09:00:10Z".parse().unwrap();
        let from = since(&Query::parse("sinceSeconds=7"), now).unwrap();
        assert_eq!(from.as_deref(), Some("2026-11-21T09:00:03.000000000Z"));
    }
}
