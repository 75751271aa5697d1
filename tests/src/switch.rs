//! The switch that a lab's machines are cabled to: a bridge in a network of its own, with no way out.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail};
use rustix::thread::UnshareFlags;

use crate::cgroup::{Door, Subtree};
use crate::place::{Place, lock};
use crate::program::{input_file, tool};

/// Every lab has the same addresses: no two can meet. Neither pods nor Services have such by default.
pub(crate) const PREFIX: u8 = 16;
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 10, 255, 254);

/// A cut cable means no carrier at both ends; `lost` are pairs of ports: what comes in here does not go out there.
const RULES: &str = "table bridge lab {
  set lost { type ifname . ifname; }
  chain forward { type filter hook forward priority 0; iifname . oifname @lost drop; }
}";

#[derive(Debug)]
pub(crate) struct Switch {
    place: Place,
    door: Arc<Door>,
    next: AtomicU16,
    cut: Mutex<BTreeSet<Port>>,
    lost: Mutex<BTreeSet<(Port, Port)>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Port(u16);

impl Port {
    fn name(self) -> String {
        format!("port{}", self.0)
    }

    /// The address that a machine gets at first.
    pub(crate) fn address(self) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 10, 0, 0)) + u32::from(self.0))
    }

    /// The same after each boot, as with a real card: neighbours remember it.
    fn hardware_address(self) -> String {
        let [high, low] = self.0.to_be_bytes();
        format!("02:00:00:00:{high:02x}:{low:02x}")
    }
}

impl Switch {
    pub(crate) fn new(cgroup: &Subtree) -> Result<Self> {
        cgroup.create()?;
        let place = Place::open("switch", UnshareFlags::empty())?;
        let door = Arc::new(cgroup.door()?);
        let (cut, lost) = (Mutex::default(), Mutex::default());
        let switch = Self { place, door, next: AtomicU16::new(1), cut, lost };
        switch.place.on(|| {
            // Bridged packets are none of the firewall's business.
            let _ = std::fs::write("/proc/sys/net/bridge/bridge-nf-call-iptables", "0");
            std::fs::write("/proc/sys/net/ipv4/ip_forward", "0")
        })??;
        switch.ip(&format!(
            "link set lo up\n\
             link add bridge type bridge forward_delay 0 mcast_snooping 0\n\
             address add {ADDRESS}/{PREFIX} dev bridge\n\
             link set bridge up\n"
        ))?;
        switch.run("nft", &["-f", "-"], RULES)?;
        Ok(switch)
    }

    pub(crate) fn port(&self) -> Result<Port> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if number >= 0xfff0 {
            bail!("the switch has no more ports");
        }
        Ok(Port(number))
    }

    /// Cables a port to the network of a process, as its `eth0`.
    pub(crate) fn plug(&self, port: Port, process: u32) -> Result<()> {
        let (name, hardware) = (port.name(), port.hardware_address());
        self.ip(&format!(
            "link add {name} type veth peer name eth0 address {hardware} netns {process}\n\
             link set {name} master bridge\n"
        ))?;
        let is_cut = lock(&self.cut).contains(&port);
        if is_cut { Ok(()) } else { self.ip(&format!("link set {name} up\n")) }
    }

    pub(crate) fn unplug(&self, port: Port) -> Result<()> {
        self.ip(&format!("link delete {}\n", port.name()))
    }

    /// `plugged` tells whether there is a machine at the other end; if not, it is remembered for when there is one.
    pub(crate) fn cut(&self, port: Port, plugged: bool) -> Result<()> {
        lock(&self.cut).insert(port);
        if plugged { self.ip(&format!("link set {} down\n", port.name())) } else { Ok(()) }
    }

    pub(crate) fn mend(&self, port: Port, plugged: bool) -> Result<()> {
        lock(&self.cut).remove(&port);
        if plugged { self.ip(&format!("link set {} up\n", port.name())) } else { Ok(()) }
    }

    pub(crate) fn lose(&self, from: Port, to: Port) -> Result<()> {
        let mut lost = lock(&self.lost);
        lost.insert((from, to));
        self.run("nft", &["-f", "-"], &rules_that_lose(&lost))
    }

    /// Loses nothing any more that this port sends or should get.
    pub(crate) fn keep(&self, port: Port) -> Result<()> {
        let mut lost = lock(&self.lost);
        lost.retain(|(from, to)| *from != port && *to != port);
        self.run("nft", &["-f", "-"], &rules_that_lose(&lost))
    }

    /// Starts a program that sees the network as the switch does.
    pub(crate) fn spawn(&self, command: Command) -> Result<Child> {
        self.place.spawn(command, Arc::clone(&self.door))
    }

    pub(crate) fn close(&self) {
        self.place.close();
    }

    fn ip(&self, batch: &str) -> Result<()> {
        self.run("ip", &["-batch", "-"], batch)
    }

    fn run(&self, program: &str, arguments: &[&str], input: &str) -> Result<()> {
        let mut command = tool(program);
        command.args(arguments).stdin(input_file(input.as_bytes())?);
        let output =
            self.spawn(command)?.wait_with_output().with_context(|| format!("waiting for {program}"))?;
        if !output.status.success() {
            bail!("{program}: {}: {}{input}", output.status, String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }
}

fn rules_that_lose(lost: &BTreeSet<(Port, Port)>) -> String {
    let mut rules = String::from("flush set bridge lab lost\n");
    for (from, to) in lost {
        let _ = writeln!(rules, "add element bridge lab lost {{ {} . {} }}", from.name(), to.name());
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lost_is_replaced_as_a_whole() {
        assert_eq!(
            rules_that_lose(&BTreeSet::from([(Port(1), Port(12))])),
            "flush set bridge lab lost\nadd element bridge lab lost { port1 . port12 }\n"
        );
    }

    #[test]
    fn addresses_follow_from_the_port() {
        assert_eq!(Port(1).address(), Ipv4Addr::new(10, 10, 0, 1));
        assert_eq!(Port(300).address(), Ipv4Addr::new(10, 10, 1, 44));
        assert_eq!(Port(300).hardware_address(), "02:00:00:00:01:2c");
    }
}
