//! A connection to a shim, and how to get one: connect to a living shim or start one.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use serde::Serialize;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::layout::PodFolder;
use crate::protocol::{self, Message, VERSION};
use crate::shim::socket;
use crate::state::ContainerState;

use super::Error;

/// Shims greet within milliseconds of having their sandbox. One that was stopped or hangs must not hold up all the others.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct Link {
    socket: AsyncFd<OwnedFd>,
    /// When it was us who started the shim: to be waited for, or it stays as a zombie.
    child: Option<Child>,
}

/// What the shim said first.
pub(super) struct Hello {
    pub(super) sandbox: Result<(), String>,
    pub(super) containers: BTreeMap<String, ContainerState>,
}

impl Link {
    pub(super) async fn open(pod: &str, folder: &PodFolder) -> Result<(Self, Hello), Error> {
        let spawn = |source| Error::Spawn { pod: pod.to_owned(), source };
        // Nobody listens when there is no shim, and a shim that is just dying listens and says nothing.
        if let Ok(socket) = socket::connected(&folder.socket())
            && let Some(link) = Self::greeted(pod, socket, None).await?
        {
            return Ok(link);
        }
        let (socket, child) = start(folder).map_err(spawn)?;
        let link = Self::greeted(pod, socket, Some(child)).await?;
        link.ok_or_else(|| Error::Shim { pod: pod.to_owned(), log: last_words(folder) })
    }

    /// `None` when the shim ended without a word.
    async fn greeted(
        pod: &str,
        socket: OwnedFd,
        child: Option<Child>,
    ) -> Result<Option<(Self, Hello)>, Error> {
        // SAFETY: an `OwnedFd` keeps its descriptor open, the same one, until it is dropped.
        let socket = unsafe { AsyncFd::register(socket) };
        let socket = socket.map_err(|error| Error::Spawn { pod: pod.to_owned(), source: error.into() })?;
        let link = Self { socket, child };
        let hello = timeout(PATIENCE, link.receive()).await;
        match hello.map_err(|_| Error::Silent(pod.to_owned()))? {
            Ok(Some((Message::Hello { version: VERSION, sandbox, containers }, _))) => {
                Ok(Some((link, Hello { sandbox, containers })))
            }
            Ok(Some((Message::Hello { version, .. }, _))) => {
                Err(Error::Version { pod: pod.to_owned(), version })
            }
            _ => {
                link.ended().await;
                Ok(None)
            }
        }
    }

    pub(super) async fn send(&self, message: &impl Serialize, descriptors: &[OwnedFd]) -> io::Result<()> {
        let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        self.socket
            .async_io(Interest::WRITABLE, |socket| protocol::send(socket.as_fd(), message, &descriptors))
            .await
    }

    /// Cancel safe: a message is taken whole or not at all.
    pub(super) async fn receive(&self) -> io::Result<Option<(Message, Vec<OwnedFd>)>> {
        self.socket.async_io(Interest::READABLE, |socket| protocol::receive(socket.as_fd())).await
    }

    /// Waits for the process, if it is ours.
    pub(super) async fn ended(mut self) {
        if let Some(child) = &mut self.child {
            let _no_matter_how = child.wait().await;
        }
    }
}

/// The socket is bound here and handed over, so connecting to it cannot come too early.
fn start(folder: &PodFolder) -> io::Result<(OwnedFd, Child)> {
    let listener = socket::bound(&folder.socket())?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0("skiff").args(["shim", "serve"]).arg(folder.path()).env_clear().current_dir("/");
    command.stdin(listener).stdout(std::process::Stdio::null()).stderr(log(folder)?);
    let child = command.spawn()?;
    Ok((socket::connected(&folder.socket())?, child))
}

fn log(folder: &PodFolder) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(folder.log())
}

fn last_words(folder: &PodFolder) -> String {
    let log = std::fs::read_to_string(folder.log()).unwrap_or_default();
    log.lines().last().unwrap_or("it left no message").to_owned()
}
