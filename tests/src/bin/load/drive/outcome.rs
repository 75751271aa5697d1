//! What clients measured.

use std::time::Duration;

use anyhow::{Context, Result};
use lab::Usage;
use serde::{Deserialize, Serialize};

/// Of one workload; times in microseconds.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Outcome {
    pub(crate) done: usize,
    pub(crate) seconds: f64,
    pub(crate) p50: u32,
    pub(crate) p99: u32,
    /// Seconds, of the clients.
    pub(crate) cpu: f64,
}

/// How long each request took, in microseconds.
#[derive(Debug, Default)]
pub(super) struct Taken(Vec<u32>);

impl Taken {
    pub(super) fn add(&mut self, took: Duration) {
        self.0.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
    }

    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(super) fn outcome(self, time: Duration, cpu: Duration) -> Result<Outcome> {
        let done = self.0.len();
        self.outcome_of(done, time, cpu)
    }

    /// Where more was done than times were taken.
    pub(super) fn outcome_of(mut self, done: usize, time: Duration, cpu: Duration) -> Result<Outcome> {
        self.0.sort_unstable();
        let at =
            |percent: usize| self.0.get(self.0.len() * percent / 100).copied().context("nothing was done");
        let (p50, p99) = (at(50)?, at(99)?);
        Ok(Outcome { done, seconds: time.as_secs_f64(), p50, p99, cpu: cpu.as_secs_f64() })
    }
}

/// What this process has used so far.
pub(super) fn cpu() -> Result<Duration> {
    Ok(Usage::of_tree(std::process::id())?.cpu)
}
