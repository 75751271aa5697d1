//! `/healthz`, `/livez`, `/readyz`: whether the server answers.
//!
//! Whoever gets an answer knows that the store is open: it was opened before the listener was, and a store that stopped ends the
//! process. So there are two checks: `ping`, which passes, and for `/readyz` `shutdown`, which fails once the server was asked to
//! stop and takes nothing new.

use std::collections::BTreeSet;

use api::status::Status;
use http::StatusCode;

use crate::answer::{self, Answer};
use crate::request::Query;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    Ping,
    Shutdown,
}

impl Check {
    fn of(endpoint: &str) -> &'static [Self] {
        if endpoint == "readyz" { &[Self::Ping, Self::Shutdown] } else { &[Self::Ping] }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Shutdown => "shutdown",
        }
    }

    /// Why it fails.
    fn problem(self, leaving: bool) -> Option<&'static str> {
        (self == Self::Shutdown && leaving).then_some("process is shutting down")
    }
}

/// The answer of an endpoint, or of one of its checks; none if there is no such check.
pub(crate) fn answer(
    endpoint: &str,
    check: Option<&str>,
    query: &Query,
    leaving: bool,
) -> Result<Option<Answer>, Status> {
    let checks = Check::of(endpoint);
    let Some(name) = check else { return Ok(Some(of_all(endpoint, checks, query, leaving))) };
    let known = checks.iter().find(|known| known.name() == name);
    Ok(known.map(|check| match check.problem(leaving) {
        None => answer::plain(StatusCode::OK, "ok"),
        Some(problem) => {
            let text = format!("internal server error: {problem}\n");
            answer::plain(StatusCode::INTERNAL_SERVER_ERROR, text)
        }
    }))
}

fn of_all(endpoint: &str, checks: &[Check], query: &Query, leaving: bool) -> Answer {
    let excluded = query.pairs().filter(|(name, _)| *name == "exclude");
    let mut excluded: BTreeSet<&str> = excluded.map(|(_, value)| value).collect();
    let (mut text, mut failed) = (String::new(), false);
    for check in checks {
        let name = check.name();
        text.push_str(&match check.problem(leaving) {
            _ if excluded.remove(name) => format!("[+]{name} excluded: ok\n"),
            None => format!("[+]{name} ok\n"),
            // Strangers may ask: they learn that, and not why.
            Some(_) => {
                failed = true;
                format!("[-]{name} failed: reason withheld\n")
            }
        });
    }
    if !excluded.is_empty() {
        let names: Vec<String> = excluded.iter().map(|name| format!("{name:?}")).collect();
        let names = names.join(",");
        text.push_str(&format!("warn: some health checks cannot be excluded: no matches for {names}\n"));
    }
    let verbose = query.pairs().any(|(name, _)| name == "verbose");
    match (failed, verbose) {
        (true, _) => {
            answer::plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{text}{endpoint} check failed\n"))
        }
        (false, true) => answer::plain(StatusCode::OK, format!("{text}{endpoint} check passed\n")),
        (false, false) => answer::plain(StatusCode::OK, "ok"),
    }
}
