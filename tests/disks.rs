//! Disks that refuse under a running server: whoever writes is told so, everything else goes on, and so do writes once the
//! disk does.

use anyhow::{Result, bail, ensure};
use lab::{Host, Lab, PATIENCE};
use serde_json::json;

use crate::control_plane::{kubectl, make, server};

/// Takes all the room there is, that which is kept for root included. Nothing is written for it.
const FILL: &str = r#"
    cd /var/lib/skiff
    size=$((4 << 30)) number=0
    while [ $size -ge 4096 ]; do
        if fallocate -l $size filler-$number 2>/dev/null; then
            number=$((number + 1))
        else
            rm -f filler-$number
            size=$((size / 2))
        fi
    done"#;

/// Bytes in each of the objects that fill the disk.
const LARGE: usize = 200_000;

/// Whether the server told why it cannot write.
fn is_told(said: &str, why: &str) -> bool {
    said.ends_with(&format!("Internal error occurred: the object cannot be stored: {why}\n"))
}

/// Makes objects until the disk refuses, which takes as long as there is room in the store's own files. Answers how many were
/// taken, and what was said of the next.
fn until_refused(host: &Host) -> Result<(usize, String)> {
    let large = "x".repeat(LARGE);
    for number in 0..500 {
        let name = format!("fill-{number}");
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": large}});
        let make = kubectl(host, ["create", "--validate=false", "-f", "-"])?.stdin(map.to_string());
        let made = make.run()?;
        if !made.status.success() {
            return Ok((number, made.stderr));
        }
    }
    bail!("100 MB fit")
}

/// What holds while the disk refuses.
fn check_the_rest_goes_on(host: &Host, taken: usize) -> Result<()> {
    let sizes = ["get", "configmaps", "-o", "jsonpath={range .items[*]}{.data.k}{'\\n'}{end}"];
    let sizes = kubectl(host, sizes)?.ok()?;
    let full = sizes.lines().filter(|line| line.len() == LARGE).count();
    ensure!(full == taken, "{taken} were taken, {full} are shown");
    assert_eq!(kubectl(host, ["get", "--raw", "/readyz"])?.ok()?, "ok");
    // What is kept in memory alone needs no disk.
    let lease = "{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: soft}}";
    kubectl(host, ["apply", "--validate=false", "-f", "-"])?.stdin(lease).ok()?;
    Ok(())
}

#[test]
fn a_full_disk_refuses_writes_until_there_is_room() -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("a")?;
    let server = server(&host)?;
    let running = server.pid()?;
    host.command("sh").args(["-c", FILL]).ok()?;
    let (taken, told) = until_refused(&host)?;
    assert!(is_told(&told, "the disk is full"), "{told}");
    check_the_rest_goes_on(&host, taken)?;
    host.command("sh").args(["-c", "rm /var/lib/skiff/filler-*"]).ok()?;
    make(&host, "after", &[])?;
    assert_eq!(server.pid()?, running, "it went on all the time: {}", server.logs());
    server.kill()?;
    server.restart()?;
    server.wait_line(|line| line.ends_with(" ready"), PATIENCE)?;
    kubectl(&host, ["get", "configmap", "after"])?.ok()?;
    let refused = kubectl(&host, ["get", "configmap", &format!("fill-{taken}")])?.run()?;
    assert!(refused.stderr.contains("not found"), "what was refused is not there after all: {refused:?}");
    check_the_rest_goes_on(&host, taken)
}

/// As the kernel makes it when a flash card begins to fail; it stays so until the machine starts again.
#[test]
fn a_disk_that_turns_read_only_refuses_writes_and_is_read() -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("a")?;
    let server = server(&host)?;
    let running = server.pid()?;
    make(&host, "before", &["k=v"])?;
    host.command("mount").args(["-o", "remount,errors=remount-ro,abort", "/var/lib/skiff"]).ok()?;
    let refused = kubectl(&host, ["create", "configmap", "refused"])?.run()?;
    assert!(refused.stderr.contains("cannot be stored: the file system is read-only"), "{refused:?}");
    server.wait_line(|line| line.contains("the store's disk refuses writes"), PATIENCE)?;
    check_the_rest_goes_on(&host, 0)?;
    let kept = ["get", "configmap", "before", "-o", "jsonpath={.data.k}"];
    assert_eq!(kubectl(&host, kept)?.ok()?, "v");
    assert_eq!(server.pid()?, running, "it went on all the time: {}", server.logs());
    host.reboot()?;
    server.restart()?;
    server.wait_line(|line| line.ends_with(" ready"), PATIENCE)?;
    assert_eq!(kubectl(&host, kept)?.ok()?, "v");
    make(&host, "refused", &[])?;
    Ok(())
}
