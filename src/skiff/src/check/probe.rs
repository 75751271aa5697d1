//! How the outcome follows when a feature was tried for real.

use super::features::{Facts, State};
use super::finding::Check;

/// What came of trying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    Worked,
    /// Nothing was tried, and why.
    NotTried(String),
    /// The kernel said no.
    Refused(String),
    /// The kernel does not speak this at all, or something between it and us does not pass it on: an emulator of
    /// single programs, a system call filter.
    Unreachable(String),
}

impl Attempt {
    /// What an error of the kernel says about the feature.
    pub(super) fn refused(subject: &str, errno: rustix::io::Errno) -> Self {
        use rustix::io::Errno;
        let words = format!("{subject}: {errno}");
        match errno {
            Errno::NOSYS | Errno::PERM | Errno::ACCESS | Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT => {
                Self::Unreachable(words)
            }
            _ => Self::Refused(words),
        }
    }
}

/// A feature that a check is about: its name, the option it is built with, the modules it may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject {
    pub(super) name: &'static str,
    pub(super) option: &'static str,
    pub(super) modules: &'static str,
    /// What was done, if it worked.
    pub(super) proof: &'static str,
    /// What helps where the kernel has it and yet refuses.
    pub(super) remedy: &'static str,
}

pub(super) fn judge(subject: &Subject, facts: &Facts, attempt: &Attempt) -> Check {
    let state = facts.state(subject.option);
    let (name, words) = (subject.name, state.words());
    match (attempt, state) {
        (Attempt::Worked, _) => Check::pass(name, subject.proof),
        (Attempt::NotTried(why), State::Unknown) => Check::skipped(name, format!("{words}; {why}")),
        (Attempt::NotTried(why), State::BuiltIn | State::Loaded | State::Loadable) => {
            Check::pass(name, format!("{words}; {why}"))
        }
        (Attempt::Unreachable(error), State::BuiltIn | State::Loaded) => {
            Check::skipped(name, format!("{words}, but could not be tried here: {error}"))
        }
        (Attempt::Refused(error) | Attempt::Unreachable(error), State::Loadable) => {
            let modules = subject.modules;
            let remedy =
                format!("modprobe -a {modules}; printf '%s\\n' {modules} >> /etc/modules-load.d/skiff.conf");
            Check::fail(name, format!("{words}, but it did not work: {error}"), remedy)
        }
        (Attempt::Refused(error), State::BuiltIn | State::Loaded) => {
            Check::fail(name, format!("{words}, but it did not work: {error}"), subject.remedy)
        }
        (Attempt::Refused(error) | Attempt::Unreachable(error), _) => {
            Check::fail(name, format!("{words}: {error}"), facts.remedy(state))
        }
        (Attempt::NotTried(why), _) => Check::fail(name, format!("{words}; {why}"), facts.remedy(state)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::root::Sample;
    use super::*;

    const VXLAN: Subject =
        Subject { name: "vxlan", option: "VXLAN", modules: "vxlan", proof: "made", remedy: "see dmesg" };

    fn facts(files: &[(&str, &str)]) -> Facts {
        let release = [("proc/sys/kernel/osrelease", "6.1.0\n")];
        Facts::read(&Sample::of(&[&release, files].concat()).root())
    }

    fn outcome(facts: &Facts, attempt: &Attempt) -> &'static str {
        judge(&VXLAN, facts, attempt).outcome.word()
    }

    #[test]
    fn what_worked_passes_whatever_the_names_say() {
        assert_eq!(outcome(&facts(&[("boot/config-6.1.0", "# nothing\n")]), &Attempt::Worked), "pass");
    }

    #[test]
    fn untried_the_names_decide() {
        let untried = Attempt::NotTried("not root".into());
        assert_eq!(outcome(&facts(&[("boot/config-6.1.0", "CONFIG_VXLAN=y\n")]), &untried), "pass");
        assert_eq!(outcome(&facts(&[("boot/config-6.1.0", "# nothing\n")]), &untried), "fail");
        assert_eq!(outcome(&facts(&[]), &untried), "skipped");
    }

    #[test]
    fn a_loadable_module_that_the_kernel_did_not_load_names_the_command() {
        let facts = facts(&[("lib/modules/6.1.0/modules.dep", "kernel/vxlan.ko:\n")]);
        let check = judge(&VXLAN, &facts, &Attempt::Refused("make a device: not supported".into()));
        assert_eq!(
            check.remedy(),
            Some("modprobe -a vxlan; printf '%s\\n' vxlan >> /etc/modules-load.d/skiff.conf")
        );
    }

    #[test]
    fn an_emulator_that_does_not_pass_the_call_on_is_no_failure_of_the_kernel() {
        let facts = facts(&[("boot/config-6.1.0", "CONFIG_VXLAN=y\n")]);
        assert_eq!(
            outcome(&facts, &Attempt::refused("open a socket", rustix::io::Errno::PROTONOSUPPORT)),
            "skipped"
        );
        assert_eq!(outcome(&facts, &Attempt::refused("make a device", rustix::io::Errno::NOMEM)), "fail");
    }
}
