//! Limits of inotify. They count per user, so every root process of every pod draws on the same ones.
//!
//! The kernel's default of 128 instances is used up by a few dozen pods whose programs watch their configuration, and
//! the error they then show, "too many open files", leads everybody astray.

use super::finding::Check;
use super::root::Root;

const NAME: &str = "inotify";
const FEW_INSTANCES: u64 = 256;
const FEW_WATCHES: u64 = 8192;

struct Facts {
    instances: Option<u64>,
    watches: Option<u64>,
}

pub(super) fn check(root: &Root) -> Vec<Check> {
    let limit = |name| root.number(format!("proc/sys/fs/inotify/{name}"));
    vec![judge(&Facts { instances: limit("max_user_instances"), watches: limit("max_user_watches") })]
}

fn judge(facts: &Facts) -> Check {
    let (Some(instances), Some(watches)) = (facts.instances, facts.watches) else {
        return Check::skipped(NAME, "/proc/sys/fs/inotify cannot be read");
    };
    let finding = format!("{instances} instances, {watches} watches");
    let mut settings = Vec::new();
    if instances < FEW_INSTANCES {
        settings.push("fs.inotify.max_user_instances=1024");
    }
    if watches < FEW_WATCHES {
        settings.push("fs.inotify.max_user_watches=65536");
    }
    if settings.is_empty() {
        return Check::pass(NAME, finding);
    }
    let settings = settings.join(" ");
    let remedy = format!("sysctl -w {settings}, and in /etc/sysctl.d/ to keep it");
    Check::warn(
        NAME,
        format!("{finding}, for all pods together: \"too many open files\" when they are used up"),
        remedy,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_raises_only_what_is_low() {
        let judged =
            |instances, watches| judge(&Facts { instances: Some(instances), watches: Some(watches) });
        assert_eq!(judged(1024, 524_288).outcome.word(), "pass");
        let remedy = |check: Check| check.remedy().unwrap().to_string();
        assert!(!remedy(judged(128, 192_536)).contains("watches"));
        assert!(!remedy(judged(512, 4096)).contains("instances"));
        assert_eq!(judge(&Facts { instances: None, watches: Some(1) }).outcome.word(), "skipped");
    }
}
