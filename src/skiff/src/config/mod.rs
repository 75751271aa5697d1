//! Configuration: what was typed, and what it means.
//!
//! Every option is declared once, as a field of [`typed`]'s clap structures; its flag, its key in a file and its environment
//! variable follow from that. The layers below the command line are checked value by value against that declaration
//! ([`options`]), so that an error names the file and line, and become arguments before the typed ones ([`layers`]):
//!
//! ```text
//! config.yaml < config.yaml.d/*.yaml < SKIFF_* < flags  ─▶ ServerArgs, AgentArgs ─▶ ServerConfig, AgentConfig
//!                                                            what was typed            what it means
//! ```
//!
//! A layer replaces what lies below it, lists too; only `key+` in a file appends. What concerns several options together
//! is judged when their meaning is made, and nothing is bound or changed by that.

mod file;
mod layers;
mod membership;
mod names;
mod network;
mod node;
mod options;
mod replaced;
mod server;
#[cfg(test)]
mod tests;
mod typed;

pub(crate) use layers::{Environment, complete};
pub(crate) use membership::{Join, Membership, ServerUrl};
pub(crate) use names::{SubjectAltName, Taint};
pub(crate) use node::Node;
pub(crate) use options::describe_variables;
pub(crate) use replaced::replacement;
pub(crate) use server::{AgentConfig, Contradiction, Kubeconfig, ServerConfig};
pub(crate) use typed::{AgentArgs, FileMode, LogArgs, LogFormat, NetworkBackend, ServerArgs};

use std::io;
use std::path::PathBuf;

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    File { path: PathBuf, line: usize },
    Variable(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{at}: {message}")]
    Syntax { at: Origin, message: String },
    #[error("{at}: {expected}")]
    Shape { at: Origin, expected: &'static str },
    #[error("{at}: unknown option `{key}`; the nearest is `{nearest}`")]
    Unknown { at: Origin, key: String, nearest: String },
    #[error("{at}: `{key}` is an option of `skiff {command}` only")]
    OtherCommand { at: Origin, key: String, command: String },
    #[error("{at}: there is no option `{key}` in skiff: {instead}")]
    Replaced { at: Origin, key: String, instead: &'static str },
    #[error("{at}: `{key}` is given twice in this file")]
    Twice { at: Origin, key: String },
    #[error("{at}: `{key}` takes {expected}")]
    Type { at: Origin, key: String, expected: &'static str },
    #[error("{at}: {message}")]
    Value { at: Origin, message: String },
}
