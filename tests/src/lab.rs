//! A lab: machines, the switch between them, and the ground they stand on.

use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, ensure};

use crate::ground::Ground;
use crate::host::Host;
use crate::machine::Machine;
use crate::place::lock;
use crate::switch::Switch;

/// Ends with everything in it when dropped, or when its process ends in whatever way.
#[derive(Debug)]
pub struct Lab {
    machines: Mutex<Vec<Arc<Machine>>>,
    floor: Arc<Floor>,
}

/// What all machines share.
#[derive(Debug)]
pub(crate) struct Floor {
    pub(crate) switch: Switch,
    pub(crate) ground: Ground,
}

impl Lab {
    pub fn new() -> Result<Self> {
        ensure!(rustix::process::geteuid().is_root(), "the lab makes namespaces and mounts: it needs root");
        let ground = Ground::new()?;
        let switch = Switch::new(&ground.cgroup.below("switch")).context("setting up the switch")?;
        Ok(Self { machines: Mutex::default(), floor: Arc::new(Floor { switch, ground }) })
    }

    /// Adds a machine and boots it.
    pub fn host(&self, name: &str) -> Result<Host> {
        let known = lock(&self.machines).iter().any(|machine| machine.name == name);
        ensure!(!known, "there is a machine {name} already");
        let machine =
            Machine::new(name, Arc::clone(&self.floor)).with_context(|| format!("building {name}"))?;
        let machine = Arc::new(machine);
        lock(&self.machines).push(Arc::clone(&machine));
        machine.boot()?;
        Ok(Host::new(machine))
    }

    /// A directory for the test's own files, which ends with the lab. Machines have their own: see `Host::write`.
    pub fn directory(&self) -> &Path {
        &self.floor.ground.directory
    }

    pub(crate) fn floor(&self) -> &Floor {
        &self.floor
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let machines = std::mem::take(&mut *lock(&self.machines));
        let ends = machines.iter().map(|machine| machine.scrap()).collect::<Vec<_>>();
        self.floor.switch.close();
        let cleared = self.floor.ground.clear();
        for error in ends.into_iter().chain([cleared]).filter_map(Result::err) {
            eprintln!("ending the lab: {error:#}");
        }
    }
}
