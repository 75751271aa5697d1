//! One row of the table. What is counted is requests; with watchers, changes that reached one.

use std::fmt;

use lab::Spent;

use crate::drive::Outcome;

pub(crate) struct Measured<'a> {
    pub(crate) workload: &'a str,
    pub(crate) outcome: Outcome,
    /// By the server, meanwhile.
    pub(crate) spent: Spent,
    /// The server's highest PSS, in bytes.
    pub(crate) peak: u64,
}

impl Measured<'_> {
    pub(crate) const HEAD: &'static str = "\
| workload | per second | p50 ms | p99 ms | server CPU ms each | clients' CPU ms each | highest PSS MB | bytes written each |
|---|---|---|---|---|---|---|---|";
}

impl fmt::Display for Measured<'_> {
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outcome { done, seconds, p50, p99, cpu } = self.outcome;
        let done = done as f64;
        write!(
            f,
            "| {} | {:.0} | {:.2} | {:.2} | {:.3} | {:.3} | {:.1} | {:.0} |",
            self.workload,
            done / seconds,
            f64::from(p50) / 1e3,
            f64::from(p99) / 1e3,
            self.spent.cpu.as_secs_f64() / done * 1e3,
            cpu / done * 1e3,
            megabytes(self.peak),
            self.spent.written as f64 / done,
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
