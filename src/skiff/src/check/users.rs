//! User namespaces, for pods with `hostUsers: false`. All others run without.

use super::finding::Check;
use super::root::Root;

const NAME: &str = "user-namespaces";

struct Facts {
    built: bool,
    most: Option<u64>,
}

pub(super) fn check(root: &Root) -> Vec<Check> {
    let facts = Facts {
        built: root.exists("proc/self/ns/user"),
        most: root.number("proc/sys/user/max_user_namespaces"),
    };
    vec![judge(&facts)]
}

fn judge(facts: &Facts) -> Check {
    match facts.most {
        _ if !facts.built => Check::warn(
            NAME,
            "not in this kernel: pods with hostUsers: false will not start",
            "use a kernel with CONFIG_USER_NS if you want such pods",
        ),
        Some(0) => Check::warn(
            NAME,
            "switched off (user.max_user_namespaces is 0): pods with hostUsers: false will not start",
            "sysctl -w user.max_user_namespaces=15000, and in /etc/sysctl.d/ to keep it, if you want such pods",
        ),
        Some(most) => Check::pass(NAME, format!("up to {most}")),
        None => Check::pass(NAME, "available"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_and_switched_off_warn() {
        assert_eq!(judge(&Facts { built: false, most: None }).outcome.word(), "warn");
        assert_eq!(judge(&Facts { built: true, most: Some(0) }).outcome.word(), "warn");
        assert_eq!(judge(&Facts { built: true, most: Some(3855) }).outcome.word(), "pass");
    }
}
