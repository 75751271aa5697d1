//! A machine of the lab: its parts, which stay, and what there is of it only while it has power.

use std::io::{self, PipeWriter, Read};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use anyhow::{Context, Result, bail, ensure};
use rustix::thread::UnshareFlags;

use crate::cgroup::{Door, Subtree};
use crate::disk::{self, Disk, Unmount};
use crate::lab::Floor;
use crate::place::{Place, lock};
use crate::switch::{self, Port};
use crate::{init, program, root};

#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) name: String,
    pub(crate) port: Port,
    floor: Arc<Floor>,
    workshop: PathBuf,
    pub(crate) cgroup: Subtree,
    /// Gone when the lab has ended.
    disk: Mutex<Option<Disk>>,
    installed: Mutex<bool>,
    uplink: Mutex<Uplink>,
    power: Mutex<Option<Arc<Running>>>,
}

/// How the machine's `eth0` is set up, at every boot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Uplink {
    pub(crate) address: Ipv4Addr,
    pub(crate) default_route: bool,
}

/// What is there while the power is on.
#[derive(Debug)]
pub(crate) struct Running {
    place: Place,
    door: Arc<Door>,
    init: Mutex<Child>,
    /// The mains: all processes of the machine end when this does.
    mains: Mutex<Option<PipeWriter>>,
    /// Threads that read what daemons say and wait for their end.
    followers: Mutex<Vec<JoinHandle<()>>>,
}

impl Machine {
    pub(crate) fn new(name: &str, floor: Arc<Floor>) -> Result<Self> {
        let is_label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        ensure!(
            !name.is_empty() && name.len() < 64 && name.bytes().all(is_label),
            "'{name}' is no host name"
        );
        ensure!(name != "switch", "the switch is called switch");
        let workshop = floor.ground.directory.join(name);
        std::fs::create_dir(&workshop).with_context(|| format!("making {}", workshop.display()))?;
        let port = floor.switch.port()?;
        Ok(Self {
            name: name.to_string(),
            port,
            cgroup: floor.ground.cgroup.below(name),
            disk: Mutex::new(Some(Disk::format(&workshop.join("disk.ext4"))?)),
            floor,
            workshop,
            installed: Mutex::default(),
            uplink: Mutex::new(Uplink { address: port.address(), default_route: true }),
            power: Mutex::default(),
        })
    }

    pub(crate) fn boot(&self) -> Result<()> {
        let mut power = lock(&self.power);
        ensure!(power.is_none(), "{} is running already", self.name);
        let running = self.start().with_context(|| format!("booting {}", self.name))?;
        *power = Some(Arc::new(running));
        Ok(())
    }

    fn start(&self) -> Result<Running> {
        self.cgroup.create()?;
        let more = UnshareFlags::FS | UnshareFlags::NEWNS | UnshareFlags::NEWUTS | UnshareFlags::NEWIPC;
        let place = Place::open(&self.name, more)?;
        let disk = lock(&self.disk).clone().context("the lab has ended")?;
        let (workshop, name) = (self.workshop.clone(), self.name.clone());
        place.on(move || prepare(&disk, &workshop, &name))??;
        let (mains_in, mains) = io::pipe().context("making a pipe")?;
        let init = start_init(&place, self.cgroup.first_door()?, mains_in.into())?;
        self.cgroup.delegate()?;
        let door = Arc::new(self.cgroup.later_door(init.id())?);
        self.floor.switch.plug(self.port, init.id())?;
        let running = Running {
            place,
            door,
            init: Mutex::new(init),
            mains: Mutex::new(Some(mains)),
            followers: Mutex::default(),
        };
        self.install(&running)?;
        running.ip("link set lo up\n")?;
        running.ip(&self.uplink().commands())?;
        Ok(running)
    }

    fn install(&self, running: &Running) -> Result<()> {
        let mut installed = lock(&self.installed);
        if !*installed {
            let name = self.name.clone();
            running.place.on(move || root::install(&name, &switch::ADDRESS.to_string()))??;
            *installed = true;
        }
        Ok(())
    }

    /// Everything stops at once, and the disk forgets what it has not written. The processes are frozen meanwhile:
    /// one in the middle of a sync would be told that it succeeded, and might say so.
    pub(crate) fn pull_plug(&self) -> Result<()> {
        let Some(running) = lock(&self.power).take() else { return Ok(()) };
        let unplugged = self.floor.switch.unplug(self.port);
        let frozen = self.cgroup.freeze();
        let lost = running.place.on(|| disk::pull_plug(root::DATA)).and_then(|result| result);
        let ended = self.end(&running);
        unplugged
            .and(frozen)
            .and(lost)
            .and(ended)
            .with_context(|| format!("pulling the plug of {}", self.name))
    }

    /// All processes are killed, all files kept: the disk is written when it is unmounted.
    pub(crate) fn power_off(&self) -> Result<()> {
        let Some(running) = lock(&self.power).take() else { return Ok(()) };
        let unplugged = self.floor.switch.unplug(self.port);
        let ended = self.end(&running);
        unplugged.and(ended).with_context(|| format!("powering off {}", self.name))
    }

    /// Pulls the plug for good: the disk goes, too.
    pub(crate) fn scrap(&self) -> Result<()> {
        let off = self.pull_plug();
        lock(&self.disk).take();
        off
    }

    /// Each step also when one before it failed.
    fn end(&self, running: &Running) -> Result<()> {
        let unmount = running.place.on(|| Unmount::watch(root::DATA)).and_then(|result| result);
        let killed = self.cgroup.kill();
        drop(lock(&running.mains).take());
        // The first process ends when all others have been reaped.
        let reaped = lock(&running.init).wait().context("waiting for the first process");
        running.place.close();
        for follower in std::mem::take(&mut *lock(&running.followers)) {
            // A panic in there has nothing to add to the test's own failure.
            let _ = follower.join();
        }
        let unmounted = unmount.and_then(|unmount| unmount.wait());
        killed.and(reaped).and(unmounted).and(self.cgroup.remove())
    }

    pub(crate) fn running(&self) -> Result<Arc<Running>> {
        lock(&self.power).clone().with_context(|| format!("{} has no power", self.name))
    }

    pub(crate) fn floor(&self) -> &Floor {
        &self.floor
    }

    pub(crate) fn has_power(&self) -> bool {
        lock(&self.power).is_some()
    }

    pub(crate) fn uplink(&self) -> Uplink {
        *lock(&self.uplink)
    }

    pub(crate) fn set_uplink(&self, uplink: Uplink) -> Result<()> {
        *lock(&self.uplink) = uplink;
        self.running()?.ip(&uplink.commands())
    }
}

impl Uplink {
    fn commands(self) -> String {
        let route = format!("route add default via {}\n", switch::ADDRESS);
        format!(
            "address flush dev eth0 scope global\n\
             address add {}/{} dev eth0\n\
             link set eth0 up\n\
             {}",
            self.address,
            switch::PREFIX,
            if self.default_route { route.as_str() } else { "" },
        )
    }
}

impl Running {
    pub(crate) fn spawn(&self, command: Command) -> Result<Child> {
        self.place.spawn(command, Arc::clone(&self.door))
    }

    /// Does something as a thread of the machine, with its files.
    pub(crate) fn on<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        self.place.on(job)
    }

    pub(crate) fn init(&self) -> u32 {
        lock(&self.init).id()
    }

    pub(crate) fn keep(&self, follower: JoinHandle<()>) {
        lock(&self.followers).push(follower);
    }

    fn ip(&self, batch: &str) -> Result<()> {
        let mut command = program::tool("ip");
        command.args(["-batch", "-"]).stdin(program::input_file(batch.as_bytes())?);
        let output = self.spawn(command)?.wait_with_output().context("waiting for ip")?;
        ensure!(output.status.success(), "ip: {}{batch}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

/// On the machine's thread: all that comes before the first process.
fn prepare(disk: &Disk, workshop: &std::path::Path, name: &str) -> Result<()> {
    rustix::system::sethostname(name.as_bytes()).context("setting the host name")?;
    std::fs::write("/proc/sys/net/ipv4/ip_forward", "0").context("switching forwarding off")?;
    root::enter(disk, workshop)?;
    // SAFETY: only children are concerned. From here on the thread can start processes, but no threads.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWPID) }.context("making a process namespace")
}

fn start_init(place: &Place, door: Door, mains: Stdio) -> Result<Child> {
    let mut command = Command::new(program::binary("lab")?);
    command.arg("init").env_clear().current_dir("/").stdin(mains).stdout(Stdio::piped());
    let mut child = place.spawn(command, Arc::new(door))?;
    let mut report = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut report).context("waiting for the first process")?;
    }
    if report != init::READY {
        let _ = child.kill();
        bail!("the first process failed: {}", child.wait()?);
    }
    Ok(child)
}
