//! The lab's processes: commands, daemons, their clocks and their control groups.

use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use lab::{Clock, Lab, PATIENCE};

#[test]
fn a_command_gets_what_it_is_given() -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("a")?;
    let script = r#"cat; echo "$0 $1 $WORD $PWD"; echo complaint >&2; exit 3"#;
    let command = host.command("sh").args(["-c", script, "zero", "one"]).env("WORD", "word").cwd("/etc");
    let output = command.stdin("input\n").run()?;
    assert_eq!(output.stdout, "input\nzero one word /etc\n");
    assert_eq!(output.stderr, "complaint\n");
    assert_eq!(output.status.code(), Some(3));
    let failure = host.command("sh").args(["-c", "echo why; exit 1"]).ok().unwrap_err().to_string();
    assert!(failure.contains("why"), "{failure}");
    assert!(host.command("no-such-program").run().is_err());
    Ok(())
}

#[test]
fn a_daemon_is_followed_stopped_killed_and_restarted() -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("a")?;
    let script = r#"trap 'echo bye; exit 7' TERM; echo "up $$"; echo aside >&2; while :; do read line <> /run/wait; done"#;
    host.command("mkfifo").arg("/run/wait").ok()?;
    let daemon = host.command("bash").args(["-c", script]).daemon("greeter")?;
    let first = daemon.wait_line(|line| line.starts_with("up "), PATIENCE)?;
    daemon.wait_line(|line| line == "aside", PATIENCE)?;

    assert_eq!(daemon.stop()?.code(), Some(7));
    assert!(daemon.logs().ends_with("bye\n"), "all it said before it ended is there: {}", daemon.logs());
    assert!(daemon.pid().is_err());
    assert!(daemon.wait_line(|line| line == "never", PATIENCE).is_err(), "nobody waits for what has ended");

    daemon.restart()?;
    let second = daemon.wait_line(|line| line.starts_with("up "), PATIENCE)?;
    assert_ne!(first, second, "a line of the run before is not this run's");
    assert!(daemon.logs().contains(&first), "but it is kept");
    daemon.wait_line(|line| line == "aside", PATIENCE)?;

    let killed = std::os::unix::process::ExitStatusExt::signal(&daemon.kill()?);
    assert_eq!(killed, Some(9));
    host.reboot()?;
    host.command("mkfifo").arg("/run/wait").ok()?;
    daemon.restart()?;
    daemon.wait_line(|line| line.starts_with("up "), PATIENCE)?;
    assert!(host.command("pgrep").args(["-f", "trap"]).run()?.status.success());
    Ok(())
}

#[test]
fn a_program_believes_its_clock() -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("a")?;
    let day = Duration::from_secs(24 * 3600);
    let seconds = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).map(|since| since.as_secs());
    let wrong = SystemTime::UNIX_EPOCH + 40 * day;
    for (clock, base) in [
        (Clock::At(wrong), wrong),
        (Clock::Ahead(400 * day), SystemTime::now() + 400 * day),
        (Clock::Behind(day), SystemTime::now() - day),
    ] {
        let start = Instant::now();
        let shown: u64 = host.command("date").arg("+%s").with_clock(clock).ok()?.trim().parse()?;
        // Both are cut to whole seconds.
        let (earliest, latest) = (seconds(base)? - 1, seconds(base + start.elapsed())? + 1);
        assert!((earliest..=latest).contains(&shown), "{clock:?}: {shown} is not in {earliest}..={latest}");
    }
    let error = host.command("busybox").arg("date").with_clock(Clock::Behind(day)).run().unwrap_err();
    assert!(format!("{error:#}").contains("linked statically"), "{error:#}");
    Ok(())
}

#[test]
fn a_limit_set_in_a_machines_control_groups_holds() -> Result<()> {
    let lab = Lab::new()?;
    let (a, b) = (lab.host("a")?, lab.host("b")?);
    let limited = r#"
        set -e
        root=/sys/fs/cgroup
        [ -d $root/pids ] && root=$root/pids
        mkdir $root/limited
        echo 2 > $root/limited/pids.max
        echo 0 > $root/limited/cgroup.procs
        /bin/true && echo one child
        /bin/true | /bin/true | /bin/true || echo three are too many"#;
    let output = a.command("bash").args(["-c", limited]).run()?;
    assert_eq!(output.stdout, "one child\n", "{}", output.stderr);
    assert!(output.stderr.contains("fork"), "{}", output.stderr);

    let listing = ["-c", "find /sys/fs/cgroup -type d -name limited"];
    assert!(a.command("sh").args(listing).ok()?.contains("limited"));
    assert_eq!(b.command("sh").args(listing).ok()?, "", "each machine sees its own control groups");
    a.reboot()?;
    assert_eq!(a.command("sh").args(listing).ok()?, "", "control groups do not last over a boot");
    Ok(())
}
