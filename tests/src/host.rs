//! What a test does with a machine.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::command::Command;
use crate::machine::{Machine, Uplink};

/// A machine of a lab. Clones are the same machine.
#[derive(Debug, Clone)]
pub struct Host {
    machine: Arc<Machine>,
}

impl Host {
    pub(crate) fn new(machine: Arc<Machine>) -> Self {
        Self { machine }
    }

    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    pub fn name(&self) -> &str {
        &self.machine.name
    }

    pub fn ip(&self) -> Ipv4Addr {
        self.machine.uplink().address
    }

    /// A program to run there. The workspace's own binaries come first in its `PATH`.
    pub fn command(&self, program: impl Into<String>) -> Command {
        Command::new(self.clone(), program.into())
    }

    /// Writes a file there, with the directories it lies in.
    pub fn write(&self, path: impl AsRef<Path>, content: impl Into<Vec<u8>>) -> Result<()> {
        let (path, content) = (path.as_ref().to_path_buf(), content.into());
        self.machine.running()?.on(move || {
            fs::create_dir_all(path.parent().unwrap_or(&path))
                .and_then(|()| fs::write(&path, content))
                .with_context(|| format!("writing {}", path.display()))
        })?
    }

    pub fn read(&self, path: impl AsRef<Path>) -> Result<String> {
        let path = path.as_ref().to_path_buf();
        let read = move || fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()));
        self.machine.running()?.on(read)?
    }

    /// Where a file of the machine is for the test itself, as long as the machine has power. Absolute links on the
    /// way lead out of the machine, and a file held open from here keeps its disk mounted.
    pub fn path(&self, path: impl AsRef<Path>) -> Result<PathBuf> {
        let inside = path.as_ref().strip_prefix("/").unwrap_or(path.as_ref());
        Ok(Path::new(&format!("/proc/{}/root", self.pid()?)).join(inside))
    }

    /// The machine's first process, as the test sees it.
    pub fn pid(&self) -> Result<u32> {
        Ok(self.machine.running()?.init())
    }

    pub fn link(&self) -> Link<'_> {
        Link { host: self }
    }

    /// Replaces the machine's address, now and at later boots.
    pub fn set_address(&self, address: Ipv4Addr) -> Result<()> {
        self.machine.set_uplink(Uplink { address, ..self.machine.uplink() })
    }

    /// Now and at later boots. (Where it led, nobody forwards anything.)
    pub fn remove_default_route(&self) -> Result<()> {
        self.machine.set_uplink(Uplink { default_route: false, ..self.machine.uplink() })
    }

    /// Until an address is set, or the machine boots: as before DHCP has answered.
    pub fn take_address(&self) -> Result<()> {
        self.command("ip").args(["address", "flush", "dev", "eth0"]).ok().map(drop)
    }

    /// Everything stops at once. What was not synced to disk is lost.
    pub fn pull_plug(&self) -> Result<()> {
        self.machine.pull_plug()
    }

    pub fn has_power(&self) -> bool {
        self.machine.has_power()
    }

    pub fn boot(&self) -> Result<()> {
        self.machine.boot()
    }

    /// All processes are killed, and none is started again: that is the test's part. All files are kept.
    pub fn reboot(&self) -> Result<()> {
        self.machine.power_off()?;
        self.machine.boot()
    }
}

/// The cable between a machine and the switch. It stays as it is when the machine boots.
#[derive(Debug)]
pub struct Link<'a> {
    host: &'a Host,
}

impl Link<'_> {
    /// No carrier.
    pub fn cut(&self) -> Result<()> {
        let machine = &self.host.machine;
        machine.floor().switch.cut(machine.port, machine.has_power())
    }

    pub fn mend(&self) -> Result<()> {
        let machine = &self.host.machine;
        machine.floor().switch.mend(machine.port, machine.has_power())
    }

    /// Nothing that this machine sends reaches the other; what the other sends arrives.
    pub fn drop_to(&self, other: &Host) -> Result<()> {
        self.host.machine.floor().switch.lose(self.host.machine.port, other.machine.port)
    }

    /// Nothing that the other sends reaches this machine.
    pub fn drop_from(&self, other: &Host) -> Result<()> {
        other.link().drop_to(self.host)
    }

    /// Ends all dropping to and from this machine.
    pub fn undrop(&self) -> Result<()> {
        self.host.machine.floor().switch.keep(self.host.machine.port)
    }
}
