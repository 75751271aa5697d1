//! The kernel's version.
//!
//! 5.12 brought `mount_setattr`, which id-mapped volumes and recursive read-only mounts are made with; 5.2 the `open_tree` and
//! `move_mount` beneath it. There is no way to have these on an older kernel, so this fails instead of warning.

use super::finding::Check;
use super::root::Root;

const NAME: &str = "kernel-version";
const OLDEST: (u32, u32) = (5, 12);

struct Facts {
    release: String,
}

pub(super) fn check(root: &Root) -> Vec<Check> {
    vec![judge(&Facts { release: root.kernel_release() })]
}

fn judge(facts: &Facts) -> Check {
    let release = &facts.release;
    match version(release) {
        Some(version) if version >= OLDEST => Check::pass(NAME, format!("Linux {release}")),
        Some(_) => Check::fail(
            NAME,
            format!(
                "Linux {release} is older than 5.12, which brought mount_setattr: volumes of pods are mounted with it"
            ),
            "install a newer kernel (Debian 12, Ubuntu 22.04 and Raspberry Pi OS 12 have one), then reboot",
        ),
        None => {
            Check::skipped(NAME, format!("the kernel's release {release:?} does not begin with a version"))
        }
    }
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(release: &str) -> &'static str {
        judge(&Facts { release: release.into() }).outcome.word()
    }

    #[test]
    fn kernels_from_5_12_on_pass() {
        assert_eq!(outcome("5.12.0"), "pass");
        assert_eq!(outcome("6.12.25+rpt-rpi-v8"), "pass");
        assert_eq!(outcome("10.0-rc1"), "pass");
        assert_eq!(outcome("5.10.103-v7l+"), "fail");
        assert_eq!(outcome("4.19.0"), "fail");
        assert_eq!(outcome(""), "skipped");
    }
}
