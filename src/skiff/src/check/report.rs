//! The checks on paper: a table for people, JSON for programs.
//!
//! The JSON is an interface: `{"outcome": …, "checks": [{"name", "outcome", "finding", "remedy"}]}`, where `remedy` is null for
//! what passed or was skipped. Names stay; findings and remedies are words and may change.

use std::io::{self, Write};

use serde::Serialize;

use super::finding::{Check, Outcome};

#[derive(Serialize)]
struct Document<'a> {
    outcome: &'static str,
    checks: &'a [Check],
}

pub(super) fn json(to: &mut impl Write, checks: &[Check]) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *to, &Document { outcome: overall(checks), checks })?;
    writeln!(to)
}

/// The worst of all, where what was skipped is not bad.
fn overall(checks: &[Check]) -> &'static str {
    let any = |word| checks.iter().any(|check| check.outcome.word() == word);
    ["fail", "warn"].into_iter().find(|word| any(*word)).unwrap_or("pass")
}

pub(super) fn table(to: &mut impl Write, checks: &[Check], coloured: bool) -> io::Result<()> {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let (indent, gap) = ("", 9);
    for check in checks {
        let outcome = outcome(&check.outcome, coloured);
        writeln!(to, "{outcome}  {:width$}  {}", check.name, check.finding)?;
        if let Some(remedy) = check.remedy() {
            writeln!(to, "{indent:gap$}{indent:width$}  → {remedy}")?;
        }
    }
    writeln!(to, "\n{}", closing(checks))
}

/// Padded before it is coloured: escapes have no width.
fn outcome(outcome: &Outcome, coloured: bool) -> String {
    let colour = match outcome {
        Outcome::Pass => 32,
        Outcome::Warn { .. } => 33,
        Outcome::Fail { .. } => 31,
        Outcome::Skipped => 2,
    };
    let word = format!("{:7}", outcome.word());
    if coloured { format!("\x1b[{colour}m{word}\x1b[0m") } else { word }
}

fn closing(checks: &[Check]) -> String {
    let count = |word| checks.iter().filter(|check| check.outcome.word() == word).count();
    let verdict = match overall(checks) {
        "fail" => "This machine cannot run skiff as it is",
        "warn" => "This machine can run skiff, with reservations",
        _ => "This machine can run skiff",
    };
    let [passed, warned, failed, skipped] = ["pass", "warn", "fail", "skipped"].map(count);
    format!("{verdict}: {passed} passed, {warned} warned, {failed} failed, {skipped} skipped.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks() -> Vec<Check> {
        vec![
            Check::pass("kernel-version", "Linux 6.12"),
            Check::fail("cgroup-memory", "off", "switch it on"),
            Check::skipped("veth", "not root"),
        ]
    }

    fn text(coloured: bool) -> String {
        let mut bytes = Vec::new();
        table(&mut bytes, &checks(), coloured).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn remedies_stand_below_what_needs_them() {
        let expected = "\
pass     kernel-version  Linux 6.12
fail     cgroup-memory   off
                         → switch it on
skipped  veth            not root

This machine cannot run skiff as it is: 1 passed, 0 warned, 1 failed, 1 skipped.
";
        assert_eq!(text(false), expected);
        assert!(text(true).contains("\x1b[31mfail   \x1b[0m"));
    }

    #[test]
    fn the_shape_of_the_json_is_stable() {
        let mut bytes = Vec::new();
        json(&mut bytes, &checks()).unwrap();
        let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let expected = serde_json::json!({"outcome": "fail", "checks": [
            {"name": "kernel-version", "outcome": "pass", "finding": "Linux 6.12", "remedy": null},
            {"name": "cgroup-memory", "outcome": "fail", "finding": "off", "remedy": "switch it on"},
            {"name": "veth", "outcome": "skipped", "finding": "not root", "remedy": null},
        ]});
        assert_eq!(document, expected);
    }
}
