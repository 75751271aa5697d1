//! The lab's network: machines reach one another unless a cable says otherwise.

use std::net::Ipv4Addr;

use anyhow::Result;
use lab::{Host, Lab};

/// Keeps asking until there is an answer.
fn reaches(from: &Host, to: Ipv4Addr) -> Result<()> {
    from.command("ping").args(["-q", "-i0.1", "-c1", "-w30"]).arg(to.to_string()).ok().map(drop)
}

/// Asks a few times, and gets none.
fn misses(from: &Host, to: Ipv4Addr) -> Result<()> {
    let output = from.command("ping").args(["-q", "-i0.1", "-c3", "-W1"]).arg(to.to_string()).run()?;
    assert!(!output.status.success(), "{} reaches {to}: {}", from.name(), output.stdout);
    Ok(())
}

#[test]
fn a_cut_cable_stops_what_a_mended_one_resumes() -> Result<()> {
    let lab = Lab::new()?;
    let hosts = [lab.host("a")?, lab.host("b")?, lab.host("c")?];
    let pairs = || hosts.iter().flat_map(|from| hosts.iter().map(move |to| (from, to.ip())));
    pairs().try_for_each(|(from, to)| reaches(from, to))?;

    let [a, b, c] = &hosts;
    b.link().cut()?;
    misses(a, b.ip())?;
    misses(b, c.ip())?;
    reaches(a, c.ip())?;
    assert_eq!(b.read("/sys/class/net/eth0/carrier")?.trim(), "0");

    b.reboot()?;
    misses(a, b.ip())?;
    b.link().mend()?;
    pairs().try_for_each(|(from, to)| reaches(from, to))
}
