//! Limits of open files: this process's own, which containers inherit, and the machine's.

use rustix::process::{Resource, getrlimit};

use super::finding::Check;
use super::root::Root;

const NAME: &str = "file-descriptors";
/// Databases ask for as many; 4096, the hard limit of a bare login, is not enough for an ingress.
const FEW: u64 = 16_384;

struct Facts {
    /// None is unlimited.
    hard: Option<u64>,
    open: Option<u64>,
    most: Option<u64>,
}

impl Facts {
    fn read(root: &Root) -> Self {
        // Allocated, free, largest number.
        let counts = root.text("proc/sys/fs/file-nr").unwrap_or_default();
        let count = |index| counts.split_whitespace().nth(index).and_then(|count| count.parse().ok());
        Self { hard: getrlimit(Resource::Nofile).maximum, open: count(0), most: count(2) }
    }
}

pub(super) fn check(root: &Root) -> Vec<Check> {
    vec![judge(&Facts::read(root))]
}

fn judge(facts: &Facts) -> Check {
    if let (Some(open), Some(most)) = (facts.open, facts.most)
        && open > most / 10 * 9
    {
        let remedy =
            format!("sysctl -w fs.file-max={}, and in /etc/sysctl.d/ to keep it", most.saturating_mul(4));
        return Check::warn(NAME, format!("{open} of the {most} files that may be open are"), remedy);
    }
    match facts.hard {
        Some(hard) if hard < FEW => Check::warn(
            NAME,
            format!("at most {hard} open files per process, in containers too"),
            "LimitNOFILE=1048576 in the unit of skiff, or `ulimit -Hn 1048576` before it is started",
        ),
        Some(hard) => Check::pass(NAME, format!("up to {hard} per process")),
        None => Check::pass(NAME, "unlimited"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(hard: Option<u64>, open: u64, most: u64) -> &'static str {
        judge(&Facts { hard, open: Some(open), most: Some(most) }).outcome.word()
    }

    #[test]
    fn low_limits_and_a_full_table_warn() {
        assert_eq!(outcome(Some(1_048_576), 1000, u64::MAX), "pass");
        assert_eq!(outcome(None, 1000, 100_000), "pass");
        assert_eq!(outcome(Some(4096), 1000, 100_000), "warn");
        assert_eq!(outcome(Some(1_048_576), 95_000, 100_000), "warn");
    }
}
