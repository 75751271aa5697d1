//! The lab's power: what a machine still has after its plug was pulled, and after a reboot.

use anyhow::{Context, Result};
use lab::{Host, Lab, PATIENCE};

/// Appends numbers from `first` on, and says which are on disk.
fn start_counting(host: &Host, first: u32) -> Result<lab::Daemon> {
    let script = r#"
        set -e
        i=$1
        while :; do
            echo $i >> /var/lib/skiff/numbers
            sync /var/lib/skiff/numbers
            echo synced $i
            i=$((i + 1))
        done"#;
    host.command("sh").args(["-c", script, "count", &first.to_string()]).daemon("count")
}

fn last_synced(logs: &str) -> Result<u32> {
    let mut numbers = logs.lines().filter_map(|line| line.strip_prefix("synced "));
    Ok(numbers.next_back().context("nothing was synced")?.parse()?)
}

#[test]
fn a_pulled_plug_in_the_middle_of_writes_keeps_what_was_synced() -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("a")?;
    let mut next = 1;
    for _round in 0..4 {
        let count = start_counting(&host, next)?;
        let enough = format!("synced {}", next + 20);
        count.wait_line(|line| line == enough, PATIENCE)?;
        host.pull_plug()?;
        count.wait_exit(PATIENCE)?;

        host.boot()?;
        let numbers = host.read("/var/lib/skiff/numbers")?;
        let numbers: Vec<u32> = numbers.lines().map(str::parse).collect::<Result<_, _>>()?;
        let found = *numbers.last().context("no numbers")?;
        assert_eq!(numbers, (1..=found).collect::<Vec<_>>());
        let synced = last_synced(&count.logs())?;
        assert!(
            found == synced || found == synced + 1,
            "{synced} is on disk, it said; {found} is the last there"
        );
        next = found + 1;
    }
    Ok(())
}

#[test]
fn a_pulled_plug_loses_what_was_not_synced() -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("a")?;
    for path in ["/var/lib/skiff/file", "/etc/skiff/file", "/srv/file"] {
        host.write(path, "old\n")?;
        host.command("sync").arg(path).ok()?;
    }
    // A new file, an appended one, a replaced one, a removed one.
    host.write("/var/lib/skiff/new", "new\n")?;
    host.command("sh").args(["-c", "echo more >> /var/lib/skiff/file"]).ok()?;
    host.command("sh")
        .args(["-c", "echo new > /etc/skiff/next && mv /etc/skiff/next /etc/skiff/file"])
        .ok()?;
    host.command("rm").arg("/srv/file").ok()?;

    host.pull_plug()?;
    assert!(host.command("true").run().is_err(), "without power nothing runs");
    host.boot()?;
    assert!(host.read("/var/lib/skiff/new").is_err());
    for path in ["/var/lib/skiff/file", "/etc/skiff/file", "/srv/file"] {
        assert_eq!(host.read(path)?, "old\n", "{path}");
    }
    Ok(())
}

#[test]
fn a_reboot_ends_all_processes_and_keeps_all_files() -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("a")?;
    let identities = |host: &Host| -> Result<_> {
        let boot = host.read("/proc/sys/kernel/random/boot_id")?;
        Ok((boot, host.read("/etc/machine-id")?, host.command("hostname").ok()?))
    };
    let before = identities(&host)?;
    assert_eq!(before.2, "a\n");
    // One that left its parent, as a pod's shim does.
    host.command("sh").args(["-c", "setsid sleep infinity >/dev/null 2>&1 &"]).ok()?;
    host.write("/var/lib/skiff/file", "kept")?;
    host.write("/usr/local/share/file", "kept")?;
    host.write("/run/file", "in memory")?;

    host.reboot()?;
    assert_eq!(host.command("pgrep").args(["-c", "sleep"]).run()?.stdout, "0\n");
    assert_eq!(host.read("/var/lib/skiff/file")?, "kept");
    assert_eq!(host.read("/usr/local/share/file")?, "kept");
    assert!(host.read("/run/file").is_err());
    let after = identities(&host)?;
    assert_ne!(before.0, after.0, "the boot id");
    assert_eq!((before.1, before.2), (after.1, after.2), "machine id and host name");
    Ok(())
}

#[test]
fn machines_write_only_to_their_own_disks() -> Result<()> {
    let lab = Lab::new()?;
    let (a, b) = (lab.host("a")?, lab.host("b")?);
    let path = lab.directory().join("file");
    std::fs::write(&path, "the test's")?;
    a.write(&path, "a's")?;
    assert_eq!(std::fs::read_to_string(&path)?, "the test's");
    assert_eq!(b.read(&path)?, "the test's");
    assert_ne!(a.read("/etc/machine-id")?, b.read("/etc/machine-id")?);
    assert_eq!(std::fs::read_to_string(a.path(&path)?)?, "a's");
    Ok(())
}
