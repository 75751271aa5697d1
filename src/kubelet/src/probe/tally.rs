//! From single results to a verdict: it turns when enough in a row agree.

use k8s_openapi::api::core::v1::Probe;

#[derive(Debug)]
pub(super) struct Tally {
    successes: i32,
    failures: i32,
    verdict: Option<bool>,
    last: Option<bool>,
    run: i32,
}

impl Tally {
    pub(super) fn new(probe: &Probe, held: Option<bool>) -> Self {
        Self {
            successes: probe.success_threshold.unwrap_or(1),
            failures: probe.failure_threshold.unwrap_or(3),
            verdict: held,
            last: None,
            run: 0,
        }
    }

    /// The verdict, if it turned with this result.
    pub(super) fn count(&mut self, good: bool) -> Option<bool> {
        self.run = if self.last == Some(good) { self.run.saturating_add(1) } else { 1 };
        self.last = Some(good);
        let needed = if good { self.successes } else { self.failures };
        if self.run < needed || self.verdict == Some(good) {
            return None;
        }
        self.verdict = Some(good);
        self.verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(held: Option<bool>, thresholds: (i32, i32), results: &str) -> String {
        let probe = Probe {
            success_threshold: Some(thresholds.0),
            failure_threshold: Some(thresholds.1),
            ..Probe::default()
        };
        let mut tally = Tally::new(&probe, held);
        let verdict = |result| match tally.count(result == '+') {
            Some(true) => '+',
            Some(false) => '-',
            None => '.',
        };
        results.chars().map(verdict).collect()
    }

    #[test]
    fn enough_in_a_row_turn_the_verdict() {
        assert_eq!(verdicts(Some(true), (1, 3), "--+---+"), ".....-+");
        assert_eq!(verdicts(Some(false), (2, 1), "+-++-"), "...+-");
        assert_eq!(verdicts(None, (1, 2), "-+"), ".+");
        assert_eq!(verdicts(None, (1, 2), "--"), ".-");
    }
}
