//! System call filters, which pods with a seccomp profile (`RuntimeDefault` among them) are started with.

use super::finding::Check;
use super::root::Root;

const NAME: &str = "seccomp";

struct Facts {
    status: Option<String>,
    actions: Option<String>,
}

pub(super) fn check(root: &Root) -> Vec<Check> {
    let facts = Facts {
        status: root.text("proc/self/status"),
        actions: root.text("proc/sys/kernel/seccomp/actions_avail"),
    };
    vec![judge(&facts)]
}

fn judge(facts: &Facts) -> Check {
    let Some(status) = &facts.status else {
        return Check::skipped(NAME, "/proc/self/status cannot be read");
    };
    if facts
        .actions
        .as_ref()
        .is_some_and(|actions| actions.split_whitespace().any(|action| action == "errno"))
    {
        return Check::pass(NAME, "filters can be loaded");
    }
    let finding = match status.lines().any(|line| line.starts_with("Seccomp:")) {
        true => "strict mode only, no filters: pods that ask for a profile will not start",
        false => "not in this kernel: pods that ask for a profile will not start",
    };
    Check::warn(NAME, finding, "use a kernel with CONFIG_SECCOMP and CONFIG_SECCOMP_FILTER")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: Option<&str>, actions: Option<&str>) -> &'static str {
        judge(&Facts { status: status.map(Into::into), actions: actions.map(Into::into) }).outcome.word()
    }

    #[test]
    fn filters_are_what_counts() {
        let actions = "kill_process kill_thread trap errno user_notif trace log allow\n";
        assert_eq!(outcome(Some("Seccomp:\t0\n"), Some(actions)), "pass");
        assert_eq!(outcome(Some("Seccomp:\t0\n"), None), "warn");
        assert_eq!(outcome(Some("Name:\tskiff\n"), None), "warn");
        assert_eq!(outcome(None, None), "skipped");
    }
}
