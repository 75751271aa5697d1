//! A thread that lives in namespaces of its own, and starts processes there.
//!
//! Namespaces belong to threads, and the kernel ends a namespace with the last of its threads. So nothing here has a
//! name that somebody would have to remove: when the lab's process ends, in whatever way, its places end.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};
use rustix::thread::UnshareFlags;

use crate::cgroup::Door;

type Job = Box<dyn FnOnce() + Send>;

#[derive(Debug)]
pub(crate) struct Place {
    /// A place is closed when this is gone. Unbounded, but whoever puts a job in waits for its end.
    jobs: Mutex<Option<Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Place {
    /// A network of its own, and what `more` says.
    pub(crate) fn open(name: &str, more: UnshareFlags) -> Result<Self> {
        let (jobs, inbox) = mpsc::channel();
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || live(&inbox))?;
        let place = Self { jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)) };
        // SAFETY: none of these takes away memory or open files that the thread relies on.
        place
            .on(move || unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET | more) })?
            .context("making namespaces")?;
        Ok(place)
    }

    /// Does something in the place, and waits for it.
    pub(crate) fn on<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let (answer, result) = mpsc::channel();
        let job: Job = Box::new(move || drop(answer.send(job())));
        let jobs = lock(&self.jobs).clone().context("the power is off")?;
        jobs.send(job).map_err(|_| anyhow!("the power went off"))?;
        drop(jobs);
        result.recv().context("the power went off")
    }

    /// Starts a program in the place, as a member of the control groups behind the door.
    pub(crate) fn spawn(&self, mut command: Command, door: Arc<Door>) -> Result<Child> {
        // SAFETY: `enter` does nothing but system calls on what is open already.
        unsafe { command.pre_exec(move || door.enter()) };
        self.on(move || command.spawn().with_context(|| format!("starting {:?}", command.get_program())))?
    }

    /// Returns when the thread has ended.
    pub(crate) fn close(&self) {
        lock(&self.jobs).take();
        if let Some(thread) = lock(&self.thread).take() {
            // It can only fail by a panic in a job, which its sender has seen as an error.
            let _ = thread.join();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.close();
    }
}

/// No lock here guards more than one value, so that a panic elsewhere leaves nothing half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn live(inbox: &Receiver<Job>) {
    while let Ok(job) = inbox.recv() {
        job();
    }
}
