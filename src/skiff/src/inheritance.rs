//! What a service has from whoever starts it and decides for itself: a login's umask and limits are meant for people.

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};

/// As many as our own unit allows. Not more, where more is allowed: some programs in containers, which get the same, look at each.
const FILES: u64 = 1_048_576;

/// To be called before anything is written or started.
pub(crate) fn settle() {
    // Containers read files that we write for them, whoever they run as.
    umask(Mode::from_raw_mode(0o022));
    if let Err(error) = allow_many_files() {
        tracing::warn!("cannot open more files than a login may: {error}");
    }
}

/// Each client, pod and watch is one or more, and what a login allows at first is 1024.
fn allow_many_files() -> rustix::io::Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(FILES, |most| most.min(FILES));
    if current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    /// In a process of its own: what is settled is settled for all tests.
    #[test]
    fn a_login_s_settings_are_not_ours() {
        let script = "umask 077; ulimit -Sn 256; exec \"$0\" --exact inheritance::tests::settles --ignored";
        let mut login = Command::new("sh");
        login.args(["-c", script]).arg(std::env::current_exe().unwrap());
        let process = login.output().unwrap();
        let said = String::from_utf8_lossy(&process.stdout);
        assert!(process.status.success() && said.contains("1 passed"), "{said}");
    }

    #[test]
    #[ignore = "is run by the test above, in a process of its own"]
    fn settles() {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        assert_eq!(current, Some(256));
        settle();
        let status = fs::read_to_string("/proc/self/status").unwrap();
        assert!(status.contains("\nUmask:\t0022\n"), "{status}");
        let wanted = maximum.map_or(FILES, |most| most.min(FILES));
        assert_eq!(getrlimit(Resource::Nofile), Rlimit { current: Some(wanted), maximum });
    }
}
