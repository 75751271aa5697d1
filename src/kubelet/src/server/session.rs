//! One exec or attach: which streams it has, whatever protocol carries them.

use bytes::Bytes;
use oci::Size;
use serde::Deserialize;
use transport::{Incoming, Outgoing};

use super::Refusal;
use super::query::Query;
use super::status::{Form, Outcome};

/// Terminals' sizes are told again and again; no telling is longer.
const LONGEST_SIZE: usize = 1024;

/// Which streams a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) stdin: bool,
    pub(super) stdout: bool,
    pub(super) stderr: bool,
    pub(super) terminal: bool,
}

impl Wanted {
    pub(super) fn parse(query: &Query) -> Result<Self, Refusal> {
        let terminal = query.flag("tty");
        let wanted = Self {
            stdin: query.flag("input"),
            stdout: query.flag("output"),
            // A terminal has one output.
            stderr: query.flag("error") && !terminal,
            terminal,
        };
        if !(wanted.stdin || wanted.stdout || wanted.stderr) {
            return Err(Refusal::bad_request("you must specify at least 1 of stdin, stdout, stderr"));
        }
        Ok(wanted)
    }

    /// What the runtime is to connect.
    pub(super) fn streams(self) -> oci::Wanted {
        oci::Wanted { stdin: self.stdin, stdout: self.stdout, stderr: self.stderr }
    }
}

/// Our ends of the streams.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) stdin: Option<Incoming>,
    pub(super) stdout: Option<Outgoing>,
    pub(super) stderr: Option<Outgoing>,
    pub(super) resize: Option<Resizes>,
    pub(super) error: Outgoing,
    pub(super) form: Form,
}

impl Ends {
    /// Says how it ended. A peer that is gone is told nothing.
    pub(super) async fn report(mut self, outcome: &Outcome) {
        let text = outcome.written(self.form);
        if !text.is_empty() {
            let _gone = self.error.send(text.into()).await;
        }
        let _gone = tokio::io::AsyncWriteExt::shutdown(&mut self.error).await;
    }
}

/// The sizes that the peer's terminal takes.
#[derive(Debug)]
pub(super) struct Resizes {
    told: Incoming,
    begun: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    width: u16,
    height: u16,
}

impl Resizes {
    pub(super) fn new(told: Incoming) -> Self {
        Self { told, begun: Vec::new() }
    }

    /// The next size; `None` when no more will come. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Size> {
        loop {
            if let Some(size) = self.take() {
                return Some(size);
            }
            let more: Bytes = self.told.next().await?;
            // What is this long is no size: a new one may follow.
            if self.begun.len() + more.len() > LONGEST_SIZE {
                self.begun.clear();
            }
            self.begun.extend_from_slice(&more);
        }
    }

    /// The last of the sizes that have come: the others are history.
    fn take(&mut self) -> Option<Size> {
        let mut sizes = serde_json::Deserializer::from_slice(&self.begun).into_iter::<Told>();
        let last = sizes.by_ref().map_while(Result::ok).last();
        if last.is_some() {
            self.begun.clear();
        }
        last.map(|Told { width, height }| Size { columns: width, rows: height })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_asked_for_by_upstreams_names() {
        let wanted = |query: &str| Wanted::parse(&Query::parse(query));
        let terminal = wanted("input=1&output=1&error=1&tty=1").unwrap();
        assert_eq!(terminal, Wanted { stdin: true, stdout: true, stderr: false, terminal: true });
        assert!(wanted("error=true").unwrap().stderr);
        assert_eq!(wanted("tty=1").unwrap_err().code.as_u16(), 400);
    }
}
