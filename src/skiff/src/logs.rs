//! Logs: one line per event on standard error, as text for people or JSON for machines.
//!
//! Levels are a filter over module paths. `tracing`'s `EnvFilter` could also look into spans and fields; nobody asked for
//! that, and it brings a regular expression engine along.

use std::io::{self, IsTerminal};
use std::str::FromStr;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

use crate::config::{LogArgs, LogFormat};

/// `info` or `info,store=debug`: a level for everything, and others by module.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Levels(Targets);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a level: expected error, warn, info, debug, trace or off, or MODULE=LEVEL")]
pub(crate) struct NotALevel(String);

impl FromStr for Levels {
    type Err = NotALevel;

    fn from_str(text: &str) -> Result<Self, NotALevel> {
        // Not the parser of `Targets`: a mistyped level would be the name of a module there, at level trace.
        let level = |level: &str| {
            let known = LevelFilter::from_str(level).ok().filter(|_| !level.is_empty());
            known.ok_or_else(|| NotALevel(level.to_owned()))
        };
        let mut targets = Targets::new().with_default(LevelFilter::INFO);
        for part in text.split(',').map(str::trim) {
            targets = match part.split_once('=') {
                Some((module, of_module)) => targets.with_target(module, level(of_module)?),
                None => targets.with_default(level(part)?),
            };
        }
        Ok(Self(targets))
    }
}

/// Begins logging, for the rest of the process.
pub(crate) fn start(args: &LogArgs) {
    let registry = tracing_subscriber::registry().with(args.log_level.0.clone());
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    match args.log_format {
        LogFormat::Text => registry.with(lines.with_ansi(io::stderr().is_terminal())).init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).init(),
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn levels_by_module() {
        let Levels(targets) = "warn,store=debug,store::writer=off".parse().unwrap();
        assert!(targets.would_enable("skiff", &Level::WARN));
        assert!(!targets.would_enable("skiff", &Level::INFO));
        assert!(targets.would_enable("store::watch", &Level::DEBUG));
        assert!(!targets.would_enable("store::writer", &Level::ERROR));
    }

    #[test]
    fn a_module_alone_leaves_the_rest_at_info() {
        let Levels(targets) = "store=trace".parse().unwrap();
        assert!(targets.would_enable("skiff", &Level::INFO));
        assert!(!targets.would_enable("skiff", &Level::DEBUG));
    }

    #[test]
    fn a_mistyped_level_is_an_error() {
        for (text, wrong) in [("inof", "inof"), ("", ""), ("info,store=loud", "loud"), ("info,", "")] {
            assert_eq!(text.parse::<Levels>(), Err(NotALevel(wrong.into())), "{text:?}");
        }
    }
}
