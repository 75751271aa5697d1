//! The shim's loop: wait, find what happened, act.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{FlockOperation, flock};
use rustix::net::{SocketFlags, accept_with};
use rustix::process::{Pid, Signal, kill_process};

use crate::cgroup::{Cgroup, Hierarchy};
use crate::durable::FileError;
use crate::identity::ProcessId;
use crate::launch::{Job, resize};
use crate::layout::PodFolder;
use crate::protocol::{self, Message, Order, Report, Request, VERSION};
use crate::state::{ContainerState, Ended};

use super::children::{self, Launch};
use super::clients::Clients;
use super::container::{self, Container};
use super::log::Stream;
use super::output::{CHUNK, Output, Read, Tap};
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

/// One shim writes a pod's files. The kernel lets go of the lock however the shim ends.
fn lock(path: &Path) -> io::Result<File> {
    let file = File::create(path)?;
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

/// What a token stands for.
enum Source {
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
enum Purpose {
    Sandbox,
    Start { container: String, client: Token, sequence: u64 },
    Exec { exec: ExecKey, client: Token, sequence: u64 },
}

/// Numbers of execs are the client's own.
type ExecKey = (Token, u64);

struct Exec {
    pid: i32,
    process: OwnedFd,
}

struct Server {
    folder: PodFolder,
    cgroup: PathBuf,
    hierarchy: Hierarchy,
    poller: Poller,
    sources: BTreeMap<Token, Source>,
    clients: Clients,
    containers: BTreeMap<String, Container>,
    execs: BTreeMap<ExecKey, Exec>,
    /// Children that ended before their launcher had said what they were.
    unclaimed: Vec<(i32, Ended)>,
    /// `None` while it is being made; clients that connect meanwhile are greeted after that.
    sandbox: Option<Result<(), String>>,
    ungreeted: Vec<Token>,
    buffer: Box<[u8; CHUNK]>,
    /// Nothing is left to hold.
    removed: bool,
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
        let containers = self.containers.iter().map(|(id, container)| (id.clone(), container.state.clone())).collect();
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
            Order::Start { container } => return self.start(container, client, sequence),
            Order::Exec { exec, container } => return self.exec((client, exec), container, sequence, &descriptors),
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
            Order::ReopenLog { container } => self.with(&container, |it| {
                it.log.iter_mut().for_each(super::log::LogFile::reopen);
                Ok(())
            }),
            Order::Remove => self.remove(),
        };
        self.reply(client, sequence, answer, &[]);
    }

    fn reply(&mut self, client: Token, sequence: u64, result: Result<(), String>, descriptors: &[BorrowedFd<'_>]) {
        self.clients.send(client, &Message::Reply { sequence, result }, descriptors, &self.poller);
    }

    fn with(&mut self, id: &str, act: impl FnOnce(&mut Container) -> io::Result<()>) -> Result<(), String> {
        let container = self.containers.get_mut(id).ok_or_else(|| unknown(id))?;
        act(container).map_err(|error| error.to_string())
    }

    // Launchers.

    fn launch(&mut self, job: &Job, purpose: Purpose) -> io::Result<Token> {
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
            Purpose::Exec { exec, client, sequence } => self.exec_started(exec, client, sequence, result, terminal.as_ref()),
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

    // Containers.

    fn add(&mut self, id: &str) -> Result<(), String> {
        let container = Container::load(self.folder.container(id)).map_err(|error| error.to_string())?;
        self.containers.entry(id.to_owned()).or_insert(container);
        self.tell(id);
        Ok(())
    }

    fn start(&mut self, id: String, client: Token, sequence: u64) {
        if let Err(message) = self.try_start(&id, client, sequence) {
            self.forget_streams(&id);
            self.reply(client, sequence, Err(message), &[]);
        }
    }

    fn try_start(&mut self, id: &str, client: Token, sequence: u64) -> Result<(), String> {
        let container = self.containers.get_mut(id).ok_or_else(|| unknown(id))?;
        if container.starting || !matches!(container.state, ContainerState::Created { .. }) {
            return Err(format!("container {id} was started already"));
        }
        container.starting = true;
        container.open_log();
        let has_terminal = container.has_terminal();
        let opened = if has_terminal { Ok(()) } else { container.make_pipes().and_then(|()| self.open_pipes(id)) };
        opened.map_err(|error| format!("cannot open the container's streams: {error}"))?;
        let purpose = Purpose::Start { container: id.to_owned(), client, sequence };
        self.launch(&Job::Start(id.to_owned()), purpose).map(drop).map_err(|error| error.to_string())
    }

    fn open_pipes(&mut self, id: &str) -> io::Result<()> {
        let Some(container) = self.containers.get_mut(id) else { return Ok(()) };
        for (stream, source) in container.open_pipes()? {
            self.add_output(id, stream, source)?;
        }
        Ok(())
    }

    fn add_output(&mut self, id: &str, stream: Stream, source: OwnedFd) -> io::Result<()> {
        let output = Output::new(id.to_owned(), stream, source)?;
        let token = self.poller.add(output.source())?;
        self.sources.insert(token, Source::Output(output));
        if let Some(container) = self.containers.get_mut(id) {
            container.outputs.push(token);
        }
        Ok(())
    }

    fn started(
        &mut self,
        id: &str,
        result: Result<Option<i32>, String>,
        terminal: Option<OwnedFd>,
    ) -> Result<(), String> {
        let result = result.and_then(|pid| pid.ok_or_else(|| "the launcher started nothing".to_owned()));
        let pid = match result {
            Ok(pid) => pid,
            Err(message) => {
                // Another attempt may follow, and must find nothing of this one.
                self.forget_streams(id);
                self.clear_cgroup(id).map_err(|error| format!("{message}; {error}"))?;
                return Err(message);
            }
        };
        if let Some(terminal) = terminal {
            self.keep_terminal(id, terminal).map_err(|error| error.to_string())?;
        }
        let Some(container) = self.containers.get_mut(id) else { return Err(unknown(id)) };
        container.starting = false;
        let early = self.unclaimed.iter().position(|(other, _)| *other == pid);
        // Its number cannot be another's: only we reap it.
        let process = ProcessId::of(pid).unwrap_or(ProcessId { pid, start_ticks: 0, boot: String::new() });
        container.process = process.open().ok().flatten();
        let created = container.state.created();
        container.state = ContainerState::Running { created, started: SystemTime::now(), process };
        let ended = early.map(|position| self.unclaimed.swap_remove(position).1);
        self.record(id);
        if let Some(ended) = ended {
            self.container_ended(id, ended);
        }
        Ok(())
    }

    fn keep_terminal(&mut self, id: &str, terminal: OwnedFd) -> io::Result<()> {
        self.add_output(id, Stream::Stdout, terminal.try_clone()?)?;
        if let Some(container) = self.containers.get_mut(id) {
            container.terminal = Some(terminal);
        }
        Ok(())
    }

    /// Writes the container's state down and tells the agent, in this order.
    fn record(&mut self, id: &str) {
        let Some(container) = self.containers.get(id) else { return };
        if let Err(error) = container.folder.write_state(&container.state) {
            eprintln!("shim: {}", crate::launch::with_causes(&error));
        }
        self.tell(id);
    }

    fn tell(&mut self, id: &str) {
        let Some(container) = self.containers.get(id) else { return };
        let message = Message::State { container: id.to_owned(), state: container.state.clone() };
        self.clients.tell_all(&message, &self.poller);
    }

    fn child_ended(&mut self, pid: i32, ended: Ended) {
        let runs = |container: &Container| matches!(&container.state, ContainerState::Running { process, .. } if process.pid == pid);
        if let Some(id) = self.containers.iter().find(|(_, container)| runs(container)).map(|(id, _)| id.clone()) {
            return self.container_ended(&id, ended);
        }
        if let Some(key) = self.execs.iter().find(|(_, exec)| exec.pid == pid).map(|(key, _)| *key) {
            return self.exec_ended(key, ended);
        }
        // A launcher, or what one has started and not reported yet.
        if self.sources.values().any(|source| matches!(source, Source::Launch(..))) {
            self.unclaimed.push((pid, ended));
        }
    }

    fn container_ended(&mut self, id: &str, ended: Ended) {
        // With a shared pid namespace others may still run; they hold the output open and count as the container's.
        if let Err(error) = self.cgroup_of(id).kill() {
            eprintln!("shim: {}", crate::launch::with_causes(&error));
        }
        self.read_to_the_end(id);
        let oom_killed = self.cgroup_of(id).oom_kills() > 0;
        let Some(container) = self.containers.get_mut(id) else { return };
        container.state = container.state.ended(ended, oom_killed);
        (container.process, container.terminal, container.stdin, container.log) = (None, None, None, None);
        self.record(id);
    }

    fn cgroup_of(&self, id: &str) -> Cgroup<'_> {
        Cgroup::new(&self.hierarchy, self.cgroup.join(id))
    }

    fn clear_cgroup(&self, id: &str) -> Result<(), crate::cgroup::Error> {
        let cgroup = self.cgroup_of(id);
        cgroup.kill()?;
        cgroup.remove()
    }

    fn delete(&mut self, id: &str) -> Result<(), String> {
        let container = self.containers.get(id).ok_or_else(|| unknown(id))?;
        if container.starting || container.state.is_running() {
            return Err(format!("container {id} is running"));
        }
        self.clear_cgroup(id).map_err(|error| crate::launch::with_causes(&error))?;
        fs::remove_dir_all(container.folder.path()).map_err(|error| error.to_string())?;
        self.containers.remove(id);
        self.clients.tell_all(&Message::Deleted { container: id.to_owned() }, &self.poller);
        Ok(())
    }

    /// Ends every process of the pod. Files and mounts are the agent's to remove: it can do so without a shim too.
    fn remove(&mut self) -> Result<(), String> {
        for source in self.sources.values() {
            if let Source::Launch(launch, _) = source
                && let Some(pid) = Pid::from_raw(launch.pid)
            {
                let _already_gone = kill_process(pid, Signal::KILL);
            }
        }
        Cgroup::new(&self.hierarchy, &self.cgroup).kill().map_err(|error| crate::launch::with_causes(&error))?;
        self.removed = true;
        Ok(())
    }

    // Output.

    fn pump(&mut self, token: Token, mut output: Output) -> Option<Output> {
        match output.read(&mut self.buffer[..]) {
            Read::Some(count) => {
                self.spread(token, &mut output, count);
                Some(output)
            }
            Read::Empty => Some(output),
            Read::Ended => {
                self.end_output(token, output);
                None
            }
        }
    }

    /// Hands the first `count` bytes of the buffer to the log and to all who are attached.
    fn spread(&mut self, token: Token, output: &mut Output, count: usize) {
        let chunk = &self.buffer[..count];
        let log = self.containers.get_mut(&output.container).and_then(|container| container.log.as_mut());
        output.log(chunk, log);
        let mut behind = false;
        for tap_token in output.taps.clone() {
            let Some(Source::Tap(tap)) = self.sources.get_mut(&tap_token) else { continue };
            let given = tap.give(chunk).and_then(|()| tap.wait_for_room(tap_token, &self.poller));
            if given.is_ok() {
                behind |= tap.is_behind();
            } else {
                self.poller.remove(tap.sink());
                self.sources.remove(&tap_token);
                output.taps.retain(|other| *other != tap_token);
            }
        }
        if behind {
            let _stays_readable = output.pause(token, &self.poller);
        }
    }

    fn end_output(&mut self, token: Token, mut output: Output) {
        self.poller.remove(output.source());
        if let Some(container) = self.containers.get_mut(&output.container) {
            output.finish(container.log.as_mut());
            container.outputs.retain(|other| *other != token);
        }
        for tap_token in output.taps {
            let behind = match self.sources.get_mut(&tap_token) {
                Some(Source::Tap(tap)) => {
                    tap.output = None;
                    tap.is_behind()
                }
                _ => continue,
            };
            // One that is behind ends when it has taken everything.
            if !behind {
                self.sources.remove(&tap_token);
            }
        }
    }

    /// A client made room, or went away.
    fn drain(&mut self, token: Token, mut tap: Tap) -> Option<Tap> {
        let was_behind = tap.is_behind();
        let gone = !was_behind || tap.flush().and_then(|()| tap.wait_for_room(token, &self.poller)).is_err();
        if gone {
            self.poller.remove(tap.sink());
        }
        let over = gone || (!tap.is_behind() && tap.output.is_none());
        if let Some(output_token) = tap.output.filter(|_| gone || !tap.is_behind())
            && let Some(Source::Output(mut output)) = self.sources.remove(&output_token)
        {
            if gone {
                output.taps.retain(|other| *other != token);
            }
            self.resume(output_token, &output, token);
            self.sources.insert(output_token, Source::Output(output));
        }
        (!over).then_some(tap)
    }

    fn resume(&self, token: Token, output: &Output, except: Token) {
        let behind = |tap: &Token| matches!(self.sources.get(tap), Some(Source::Tap(tap)) if tap.is_behind());
        if !output.taps.iter().any(|tap| *tap != except && behind(tap)) {
            let _stays_paused_until_it_ends = output.resume(token, &self.poller);
        }
    }

    /// All that a container that has ended had written.
    fn read_to_the_end(&mut self, id: &str) {
        let outputs = self.containers.get_mut(id).map(|container| std::mem::take(&mut container.outputs));
        for token in outputs.unwrap_or_default() {
            let Some(Source::Output(mut output)) = self.sources.remove(&token) else { continue };
            while let Read::Some(count) = output.read(&mut self.buffer[..]) {
                self.spread(token, &mut output, count);
            }
            self.end_output(token, output);
        }
    }

    fn forget_streams(&mut self, id: &str) {
        let Some(container) = self.containers.get_mut(id) else { return };
        container.starting = false;
        (container.stdin, container.log, container.terminal) = (None, None, None);
        for token in std::mem::take(&mut container.outputs) {
            if let Some(Source::Output(output)) = self.sources.remove(&token) {
                self.poller.remove(output.source());
            }
        }
    }

    fn attach(
        &mut self,
        client: Token,
        sequence: u64,
        id: &str,
        stdin: bool,
        wanted: [bool; 2],
        descriptors: Vec<OwnedFd>,
    ) {
        let input = self.try_attach(id, stdin, wanted, descriptors);
        let (result, input) = match input {
            Ok(input) => (Ok(()), input),
            Err(message) => (Err(message), None),
        };
        let input: Vec<_> = input.iter().map(AsFd::as_fd).collect();
        self.reply(client, sequence, result, &input);
    }

    /// Gives the descriptor to write to, if that is asked for and there is one.
    fn try_attach(
        &mut self,
        id: &str,
        stdin: bool,
        wanted: [bool; 2],
        descriptors: Vec<OwnedFd>,
    ) -> Result<Option<OwnedFd>, String> {
        let container = self.containers.get(id).ok_or_else(|| unknown(id))?;
        if !container.state.is_running() {
            return Err(format!("container {id} is not running"));
        }
        let input = match (stdin, container.terminal.as_ref().or(container.stdin.as_ref())) {
            (true, Some(input)) => Some(input.try_clone().map_err(|error| error.to_string())?),
            _ => None,
        };
        let outputs = container.outputs.clone();
        let streams = [Stream::Stdout, Stream::Stderr].into_iter().zip(wanted).filter(|(_, wanted)| *wanted);
        for ((stream, _), sink) in streams.zip(descriptors) {
            self.tap(&outputs, stream, sink).map_err(|error| error.to_string())?;
        }
        Ok(input)
    }

    fn tap(&mut self, outputs: &[Token], stream: Stream, sink: OwnedFd) -> io::Result<()> {
        let of_stream = |token: &&Token| matches!(self.sources.get(token), Some(Source::Output(output)) if output.stream == stream);
        let Some(output_token) = outputs.iter().find(of_stream).copied() else { return Ok(()) };
        let tap = Tap::new(sink, output_token)?;
        let token = self.poller.add_idle(tap.sink())?;
        self.sources.insert(token, Source::Tap(tap));
        if let Some(Source::Output(output)) = self.sources.get_mut(&output_token) {
            output.taps.push(token);
        }
        Ok(())
    }

    // Further processes.

    fn exec(&mut self, exec: ExecKey, id: String, sequence: u64, descriptors: &[OwnedFd]) {
        if let Err(message) = self.try_exec(exec, &id, sequence, descriptors) {
            self.reply(exec.0, sequence, Err(message), &[]);
        }
    }

    fn try_exec(&mut self, exec: ExecKey, id: &str, sequence: u64, descriptors: &[OwnedFd]) -> Result<(), String> {
        let container = self.containers.get(id).ok_or_else(|| unknown(id))?;
        if !container.state.is_running() {
            return Err(format!("container {id} is not running"));
        }
        let purpose = Purpose::Exec { exec, client: exec.0, sequence };
        let token = self.launch(&Job::Exec(id.to_owned()), purpose).map_err(|error| error.to_string())?;
        let Some(Source::Launch(launch, _)) = self.sources.get(&token) else { return Ok(()) };
        let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        // If this fails the launcher notices that nothing came, and says so.
        let _reported_by_the_launcher = protocol::send(launch.reports.as_fd(), &(), &descriptors);
        Ok(())
    }

    fn exec_started(
        &mut self,
        exec: ExecKey,
        client: Token,
        sequence: u64,
        result: Result<Option<i32>, String>,
        terminal: Option<&OwnedFd>,
    ) {
        let started = result.and_then(|pid| {
            let pid = pid.ok_or_else(|| "the launcher started nothing".to_owned())?;
            let early = self.unclaimed.iter().position(|(other, _)| *other == pid);
            if let Some(position) = early {
                return Ok(Some(self.unclaimed.swap_remove(position).1));
            }
            let open = |process: ProcessId| process.open();
            let process = ProcessId::of(pid).and_then(open).map_err(|error| error.to_string())?;
            let process = process.ok_or_else(|| "the process is gone".to_owned())?;
            self.execs.insert(exec, Exec { pid, process });
            Ok(None)
        });
        let terminal: Vec<_> = terminal.into_iter().map(AsFd::as_fd).collect();
        match started {
            Ok(ended) => {
                self.reply(client, sequence, Ok(()), &terminal);
                if let Some(ended) = ended {
                    self.exec_ended(exec, ended);
                }
            }
            Err(message) => self.reply(client, sequence, Err(message), &[]),
        }
    }

    fn exec_ended(&mut self, key: ExecKey, ended: Ended) {
        self.execs.remove(&key);
        self.clients.send(key.0, &Message::ExecEnded { exec: key.1, ended }, &[], &self.poller);
    }

    // After another shim.

    fn adopt(&mut self) -> io::Result<()> {
        for id in self.folder.container_ids()? {
            match Container::load(self.folder.container(&id)) {
                Ok(container) => self.adopt_container(id, container),
                // One whose making was interrupted: it was never promised to anyone.
                Err(error) => eprintln!("shim: {}", crate::launch::with_causes(&error)),
            }
        }
        Ok(())
    }

    fn adopt_container(&mut self, id: String, mut container: Container) {
        let handle = match &container.state {
            ContainerState::Running { process, .. } => Some(process.open().ok().flatten()),
            ContainerState::Created { .. } | ContainerState::Exited { .. } => None,
        };
        container.open_log();
        self.containers.insert(id.clone(), container);
        match handle {
            // Never started, or its end is on record. A start that was interrupted left processes that nobody knows.
            None => drop(self.clear_unless_exited(&id)),
            Some(None) => self.container_ended(&id, Ended::Unseen),
            Some(Some(handle)) => {
                if let Err(error) = self.watch(&id, handle) {
                    eprintln!("shim: cannot adopt container {id}: {error}");
                }
            }
        }
    }

    fn clear_unless_exited(&mut self, id: &str) -> Result<(), crate::cgroup::Error> {
        let Some(container) = self.containers.get_mut(id) else { return Ok(()) };
        container.log = None;
        match container.state {
            ContainerState::Created { .. } => self.clear_cgroup(id),
            _ => Ok(()),
        }
    }

    fn watch(&mut self, id: &str, handle: OwnedFd) -> io::Result<()> {
        let token = self.poller.add(&handle)?;
        self.sources.insert(token, Source::Adopted(id.to_owned()));
        let Some(container) = self.containers.get_mut(id) else { return Ok(()) };
        container.process = Some(handle);
        // A terminal went with the shim that held it.
        if container.has_terminal() { Ok(()) } else { self.open_pipes(id) }
    }
}

fn unknown(id: &str) -> String {
    format!("there is no container {id}")
}
