//! The lab's measures, against processes whose use is known.

use std::time::Duration;

use anyhow::Result;
use lab::{Daemon, Host, Lab, PATIENCE, Usage};

const MIB: u64 = 1 << 20;

/// A shell that runs its input line by line.
fn shell(host: &Host) -> Result<Daemon> {
    host.command("mkfifo").args(["/run/lines", "/run/never"]).ok()?;
    let script = r#"exec 3<>/run/lines; while read -r line <&3; do eval "$line"; done"#;
    host.command("bash").args(["-c", script]).daemon("shell")
}

/// Has the shell do something; what it says last tells that it is done.
fn have(host: &Host, shell: &Daemon, work: &str, done: &str) -> Result<String> {
    host.command("tee").arg("/run/lines").stdin(format!("{work}\n")).ok()?;
    shell.wait_line(|line| line.starts_with(done), PATIENCE)
}

#[test]
fn what_a_tree_spends_is_what_was_spent_in_it() -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("a")?;
    let shell = shell(&host)?;
    have(&host, &shell, "echo started", "started")?;
    let before = Usage::of_tree(shell.pid()?)?;

    let write = "dd if=/dev/zero of=/var/lib/skiff/zeros bs=1M count=8 2>/dev/null; echo written";
    have(&host, &shell, write, "written")?;
    let written = (Usage::of_tree(shell.pid()?)? - before).written;
    assert!((8 * MIB..9 * MIB).contains(&written), "8 MiB were written by an ended child: {written}");

    // `times` says what the shell has used, then what its children have.
    let burn = "for ((i = 0; i < 300000; i++)); do :; done; times; echo burnt";
    have(&host, &shell, burn, "burnt")?;
    let said: Duration = shell.logs().split_whitespace().filter_map(minutes_and_seconds).sum();
    let cpu = Usage::of_tree(shell.pid()?)?.cpu;
    assert!(cpu - before.cpu > Duration::from_millis(100), "it burnt something: {cpu:?}");
    assert!(
        cpu.abs_diff(said) < Duration::from_millis(80),
        "four counters in ticks of 10 ms: {cpu:?}, {said:?}"
    );
    Ok(())
}

/// `0m1.250s`
fn minutes_and_seconds(text: &str) -> Option<Duration> {
    let (minutes, seconds) = text.strip_suffix('s')?.split_once('m')?;
    Some(
        Duration::from_secs(60 * minutes.parse::<u64>().ok()?)
            + Duration::from_secs_f64(seconds.parse().ok()?),
    )
}

#[test]
fn who_does_nothing_spends_nothing_and_who_sleeps_often_wakes_often() -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("a")?;
    let idle = host.command("sleep").arg("infinity").daemon("idle")?;
    let shell = shell(&host)?;
    have(&host, &shell, "echo started", "started")?;
    let before = Usage::of_tree(shell.pid()?)?;

    let naps = "for ((i = 0; i < 100; i++)); do read -t 0.01 4<>/run/never <&4; done; echo rested";
    have(&host, &shell, naps, "rested")?;
    let spent = Usage::of_tree(shell.pid()?)? - before;
    // A nap that is over before it was begun, because another had the processor, wakes nobody.
    assert!(spent.wakeups >= 50, "{spent:?}");

    // By now it has gone to sleep, however slow the machine is.
    let before = Usage::of_tree(idle.pid()?)?;
    have(&host, &shell, &naps.replace("rested", "again"), "again")?;
    let spent = Usage::of_tree(idle.pid()?)? - before;
    assert_eq!((spent.cpu, spent.written, spent.wakeups), (Duration::ZERO, 0, 0));
    Ok(())
}

#[test]
fn shared_memory_is_divided_among_those_who_share_it() -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("a")?;
    let shell = shell(&host)?;
    have(&host, &shell, "echo started", "started")?;
    let before = Usage::of_tree(shell.pid()?)?;

    have(&host, &shell, "word=$(head -c 33554432 /dev/zero | tr '\\0' x); echo full", "full")?;
    let one = Usage::of_tree(shell.pid()?)?;
    // A little less than 32: the libraries may have got more sharers in the meantime.
    assert!(one.pss - before.pss >= 31 * MIB, "{before:?} {one:?}");

    have(&host, &shell, "(echo forked; read -r 4<>/run/never <&4) &", "forked")?;
    let two = Usage::of_tree(shell.pid()?)?;
    assert_eq!(two.processes, one.processes + 1);
    assert!(two.rss - one.rss >= 31 * MIB, "each counts it: {one:?} {two:?}");
    assert!(two.pss - one.pss < 16 * MIB, "but it is there once: {one:?} {two:?}");
    Ok(())
}
