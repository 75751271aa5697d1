//! The shim's loop: wait, find what happened, act.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::net::{SocketFlags, accept_with};

use crate::cgroup::Hierarchy;
use crate::durable::FileError;
use crate::identity::ProcessId;
use crate::launch::{Job, resize};
use crate::layout::PodFolder;
use crate::protocol::{self, Message, Order, Report, Request, VERSION};
use crate::state::Ended;

use super::children::{self, Launch};
use super::clients::Clients;
use super::container::{self, Container};
use super::output::{CHUNK, Output, Tap};
use super::poller::{Poller, Token};

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("cannot lock the pod")]
    Lock(#[source] io::Error),
    #[error("cannot wait for events")]
    Wait(#[source] io::Error),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Cgroup(#[from] crate::cgroup::Error),
}

/// Holds the pod in `folder` until it is removed.
pub(super) fn serve(folder: PathBuf) -> Result<(), Error> {
    let _its_own_session = rustix::process::setsid();
    let folder = PodFolder::new(folder);
    let _lock = lock(&folder.lock()).map_err(Error::Lock)?;
    let cgroup = folder.spec()?.spec.cgroup;
    let mut server = Server::new(folder, cgroup)?;
    server.begin().map_err(Error::Wait)?;
    while !server.removed {
        for token in server.poller.wait().map_err(Error::Wait)? {
            server.react(token);
        }
    }
    Ok(())
}

/// One shim writes a pod's files. The kernel lets go of the lock however the shim ends; until then its file says who to end.
fn lock(path: &Path) -> io::Result<File> {
    // Not truncated before it is ours.
    let file = File::options().write(true).create(true).truncate(false).open(path)?;
    flock(&file, FlockOperation::LockExclusive)?;
    file.set_len(0)?;
    let process = ProcessId::of(rustix::process::getpid().as_raw_nonzero().get())?;
    serde_json::to_writer(&file, &process)?;
    Ok(file)
}

/// What a token stands for.
pub(super) enum Source {
    Listener,
    Children(OwnedFd),
    Client,
    Launch(Launch, Purpose),
    Output(Output),
    Tap(Tap),
    /// A container that an earlier shim started.
    Adopted(String),
}

/// What a launcher was started for, and who wants to know.
pub(super) enum Purpose {
    Sandbox,
    Start { container: String, client: Token, sequence: u64 },
    Exec { exec: ExecKey, client: Token, sequence: u64 },
}

/// Numbers of execs are the client's own.
pub(super) type ExecKey = (Token, u64);

pub(super) struct Exec {
    pub(super) pid: i32,
    pub(super) process: OwnedFd,
}

pub(super) struct Server {
    pub(super) folder: PodFolder,
    pub(super) cgroup: PathBuf,
    pub(super) hierarchy: Hierarchy,
    pub(super) poller: Poller,
    pub(super) sources: BTreeMap<Token, Source>,
    pub(super) clients: Clients,
    pub(super) containers: BTreeMap<String, Container>,
    pub(super) execs: BTreeMap<ExecKey, Exec>,
    /// Children that ended before their launcher had said what they were.
    pub(super) unclaimed: Vec<(i32, Ended)>,
    /// `None` while it is being made; clients that connect meanwhile are greeted after that.
    pub(super) sandbox: Option<Result<(), String>>,
    pub(super) ungreeted: Vec<Token>,
    pub(super) buffer: Box<[u8; CHUNK]>,
    /// Nothing is left to hold.
    pub(super) removed: bool,
}

impl Server {
    fn new(folder: PodFolder, cgroup: PathBuf) -> Result<Self, Error> {
        Ok(Self {
            folder,
            cgroup,
            hierarchy: Hierarchy::detect()?,
            poller: Poller::new().map_err(Error::Wait)?,
            sources: BTreeMap::new(),
            clients: Clients::default(),
            containers: BTreeMap::new(),
            execs: BTreeMap::new(),
            unclaimed: Vec::new(),
            sandbox: None,
            ungreeted: Vec::new(),
            buffer: Box::new([0; CHUNK]),
            removed: false,
        })
    }

    fn begin(&mut self) -> io::Result<()> {
        let endings = children::endings()?;
        let token = self.poller.add(&endings)?;
        self.sources.insert(token, Source::Children(endings));
        let token = self.poller.add(io::stdin())?;
        self.sources.insert(token, Source::Listener);
        fs::create_dir_all(self.folder.path().join("containers"))?;
        if self.folder.init().exists() {
            self.sandbox = Some(Ok(()));
            return self.adopt();
        }
        self.launch(&Job::Sandbox, Purpose::Sandbox).map(drop)
    }

    fn react(&mut self, token: Token) {
        // Taken out while it is handled, and put back unless it is over. One event may have ended what a later one is about.
        let Some(source) = self.sources.remove(&token) else { return };
        let stays = match source {
            Source::Listener => {
                self.accept();
                Some(Source::Listener)
            }
            Source::Children(endings) => {
                for (pid, ended) in children::reap(&endings) {
                    self.child_ended(pid, ended);
                }
                Some(Source::Children(endings))
            }
            Source::Client => self.hear(token).then_some(Source::Client),
            Source::Launch(launch, purpose) => {
                self.poller.remove(&launch.reports);
                self.launched(&launch, purpose);
                None
            }
            Source::Output(output) => self.pump(token, output).map(Source::Output),
            Source::Tap(tap) => self.drain(token, tap).map(Source::Tap),
            Source::Adopted(container) => {
                self.container_ended(&container, Ended::Unseen);
                None
            }
        };
        if let Some(source) = stays {
            self.sources.insert(token, source);
        }
    }

    // Clients.

    fn accept(&mut self) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let Ok(connection) = accept_with(io::stdin(), flags) else { return };
        let Ok(token) = self.poller.add(&connection) else { return };
        self.sources.insert(token, Source::Client);
        self.clients.add(token, connection);
        self.greet(token);
    }

    fn greet(&mut self, token: Token) {
        let Some(sandbox) = self.sandbox.clone() else { return self.ungreeted.push(token) };
        let containers =
            self.containers.iter().map(|(id, container)| (id.clone(), container.state.clone())).collect();
        // A shim without a sandbox is of no use: whoever asks again starts another one, which tries again.
        self.removed |= sandbox.is_err();
        let hello = Message::Hello { version: VERSION, sandbox, containers };
        self.clients.send(token, &hello, &[], &self.poller);
    }

    /// Whether the client is still there.
    fn hear(&mut self, token: Token) -> bool {
        let Some(connection) = self.clients.get(token) else { return false };
        match protocol::receive::<Request>(connection.as_fd()) {
            Ok(Some((request, descriptors))) => {
                self.obey(token, request, descriptors);
                true
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => true,
            // A message that cannot be read is from an agent we do not understand: it shall notice.
            Ok(None) | Err(_) => {
                self.clients.drop(token, &self.poller);
                false
            }
        }
    }

    fn obey(&mut self, client: Token, request: Request, descriptors: Vec<OwnedFd>) {
        let sequence = request.sequence;
        let answer = match request.order {
            Order::Start { container } => return self.start(&container, client, sequence),
            Order::Exec { exec, container } => {
                return self.exec((client, exec), &container, sequence, &descriptors);
            }
            Order::Attach { container, stdin, stdout, stderr } => {
                return self.attach(client, sequence, &container, stdin, [stdout, stderr], descriptors);
            }
            Order::Add { container } => self.add(&container),
            Order::Signal { container, signal } => self.with(&container, |it| it.signal(signal)),
            Order::SignalExec { exec, signal } => match self.execs.get(&(client, exec)) {
                Some(exec) => container::send(&exec.process, signal).map_err(|error| error.to_string()),
                None => Err("the process has ended".to_owned()),
            },
            Order::Delete { container } => self.delete(&container),
            Order::CloseStdin { container } => self.with(&container, |it| {
                it.close_stdin();
                Ok(())
            }),
            Order::Resize { container, size } => self.with(&container, |it| match &it.terminal {
                Some(terminal) => resize(terminal, size),
                None => Err(io::Error::other("the container has no terminal")),
            }),
            Order::Remove => self.remove(),
            Order::Ping => Ok(()),
        };
        self.reply(client, sequence, answer, &[]);
    }

    pub(super) fn reply(
        &mut self,
        client: Token,
        sequence: u64,
        result: Result<(), String>,
        descriptors: &[BorrowedFd<'_>],
    ) {
        self.clients.send(client, &Message::Reply { sequence, result }, descriptors, &self.poller);
    }

    fn with(&mut self, id: &str, act: impl FnOnce(&mut Container) -> io::Result<()>) -> Result<(), String> {
        let container = self.containers.get_mut(id).ok_or_else(|| unknown(id))?;
        act(container).map_err(|error| error.to_string())
    }

    // Launchers.

    pub(super) fn launch(&mut self, job: &Job, purpose: Purpose) -> io::Result<Token> {
        let launch = children::launch(&self.folder, job)?;
        let token = self.poller.add(&launch.reports)?;
        self.sources.insert(token, Source::Launch(launch, purpose));
        Ok(token)
    }

    fn launched(&mut self, launch: &Launch, purpose: Purpose) {
        let (result, terminal) = match protocol::receive::<Report>(launch.reports.as_fd()) {
            Ok(Some((Report::Done { pid }, descriptors))) => (Ok(pid), descriptors.into_iter().next()),
            Ok(Some((Report::Failed { message }, _))) => (Err(message), None),
            Ok(None) | Err(_) => (Err("the launcher died; see shim.log".to_owned()), None),
        };
        match purpose {
            Purpose::Sandbox => self.sandbox_made(result.map(drop)),
            Purpose::Start { container, client, sequence } => {
                let result = self.started(&container, result, terminal);
                self.reply(client, sequence, result, &[]);
            }
            Purpose::Exec { exec, client, sequence } => {
                self.exec_started(exec, client, sequence, result, terminal.as_ref());
            }
        }
        if !self.sources.values().any(|source| matches!(source, Source::Launch(..))) {
            self.unclaimed.clear();
        }
    }

    fn sandbox_made(&mut self, result: Result<(), String>) {
        self.sandbox = Some(result);
        for client in std::mem::take(&mut self.ungreeted) {
            self.greet(client);
        }
    }
}

pub(super) fn unknown(id: &str) -> String {
    format!("there is no container {id}")
}
