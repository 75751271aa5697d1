//! The server under load, and what it costs.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use lab::{Daemon, Host, Lab, PATIENCE, Usage, binary};

use crate::drive::Outcome;
use crate::measured::{Measured, megabytes};

/// Between the last request and what is called idle.
const SETTLING: Duration = Duration::from_secs(10);
/// How often the memory of the server is looked at while it works: looking costs it a millisecond.
const LOOK: Duration = Duration::from_millis(250);

pub(crate) struct Server {
    host: Host,
    daemon: Daemon,
}

impl Server {
    pub(crate) fn start(lab: &Lab) -> Result<Self> {
        let host = lab.host("server")?;
        let began = Instant::now();
        let skiff = host.command(binary("skiff")?.to_string_lossy());
        let daemon = skiff.args(["server", "--disable-agent"]).daemon("server")?;
        let server = Self { host, daemon };
        server.wait_ready(began)?;
        Ok(server)
    }

    /// Stopped cleanly, and started.
    pub(crate) fn restart(&self) -> Result<()> {
        self.daemon.stop()?;
        let began = Instant::now();
        self.daemon.restart()?;
        self.wait_ready(began)
    }

    fn wait_ready(&self, began: Instant) -> Result<()> {
        self.daemon.wait_line(|line| line.ends_with(" ready"), PATIENCE)?;
        println!("start to ready: {} ms", began.elapsed().as_millis());
        Ok(())
    }

    fn usage(&self) -> Result<Usage> {
        Usage::of_tree(self.daemon.pid()?)
    }

    pub(crate) fn tell(&self, when: &str) -> Result<()> {
        settle();
        let usage = self.usage()?;
        println!("{when}: PSS {:.1} MB, RSS {:.1} MB", megabytes(usage.pss), megabytes(usage.rss));
        Ok(())
    }

    pub(crate) fn idle(&self, time: Duration) -> Result<()> {
        settle();
        let before = self.usage()?;
        wait(time);
        let spent = self.usage()? - before;
        println!(
            "in {} idle seconds: {} bytes written, {} ms of CPU, {} wake-ups",
            spent.time.as_secs(),
            spent.written,
            spent.cpu.as_millis(),
            spent.wakeups
        );
        Ok(())
    }

    /// Runs a workload's clients on the machine, and prints what they and the server measured.
    pub(crate) fn load(&self, workload: &str) -> Result<()> {
        let before = self.usage()?;
        let clients = self.host.command(binary("load")?.to_string_lossy()).arg("drive");
        let clients = clients.args(workload.split(' '));
        let (said, peak) = thread::scope(|scope| {
            let (done, over) = mpsc::channel::<()>();
            let watcher = scope.spawn(move || self.highest_pss(&over));
            let said = clients.ok();
            drop(done);
            (said, watcher.join())
        });
        let said = said.with_context(|| self.daemon.logs())?;
        let outcome: Outcome = serde_json::from_str(&said).with_context(|| format!("{workload}: {said}"))?;
        let peak = peak.map_err(|_| anyhow::anyhow!("the one who looks at the memory panicked"))??;
        println!("{}", Measured { workload, outcome, spent: self.usage()? - before, peak });
        Ok(())
    }

    fn highest_pss(&self, over: &mpsc::Receiver<()>) -> Result<u64> {
        let mut highest = 0;
        loop {
            highest = highest.max(self.usage()?.pss);
            if over.recv_timeout(LOOK) == Err(RecvTimeoutError::Disconnected) {
                return Ok(highest);
            }
        }
    }
}

fn settle() {
    wait(SETTLING);
}

#[expect(clippy::disallowed_methods, reason = "what is measured is that nothing happens for a while")]
fn wait(time: Duration) {
    thread::sleep(time);
}
