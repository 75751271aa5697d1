//! One pod, as the node agent handles it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use rustix::fs::{MemfdFlags, memfd_create};
use task::Tasks;
use tokio::sync::{mpsc, oneshot, watch};

use crate::layout::{PodFolder, is_id};
use crate::protocol::Order;
use crate::spec::{ContainerSpec, ExecSpec, Network, PodSpec, Size};
use crate::state::{ContainerState, Ended, Exit, PodState, Sandbox};

use super::keeper::{Command, Ending, Keeper, greeted};
use super::link::Link;
use super::streams::{Input, Output, Streams, Wanted, new_pipe};
use super::{Error, cleanup};

/// A handle to a pod; cheap to clone.
#[derive(Debug, Clone)]
pub struct Pod(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    spec: PodSpec,
    folder: PodFolder,
    state: watch::Receiver<PodState>,
    commands: mpsc::Sender<Command>,
    execs: AtomicU64,
    removed: std::sync::atomic::AtomicBool,
    _keeper: Mutex<Tasks<()>>,
}

/// So many orders may wait for a shim before those who give more wait themselves.
const ORDERS: usize = 16;

impl Pod {
    pub(super) async fn connect(folder: PodFolder, spec: PodSpec) -> Result<Self, Error> {
        let (link, hello) = Link::open(&spec.id, &folder).await?;
        if let Err(message) = hello.sandbox {
            link.ended().await;
            return Err(Error::Sandbox { pod: spec.id, message });
        }
        let (state, receiver) = watch::channel(greeted(hello));
        let (sender, commands) = mpsc::channel(ORDERS);
        let keeper = Keeper { pod: spec.id.clone(), folder: folder.clone(), state, commands };
        let mut tasks = Tasks::new();
        tasks.spawn("pod keeper", keeper.run(link));
        Ok(Self::new(folder, spec, receiver, sender, tasks))
    }

    /// A pod that can only be removed. What ran in it is dead, or will be then.
    pub(super) fn gone(folder: PodFolder, spec: PodSpec) -> Self {
        let mut containers = BTreeMap::new();
        for id in folder.container_ids().unwrap_or_default() {
            // One that is not on record was never promised to anyone.
            let Ok(state) = folder.container(&id).state() else { continue };
            let state = if state.is_running() { state.ended(Ended::Unseen, false) } else { state };
            containers.insert(id, state);
        }
        let (_, state) = watch::channel(PodState { sandbox: Sandbox::Gone, containers });
        let (commands, _) = mpsc::channel(1);
        Self::new(folder, spec, state, commands, Tasks::new())
    }

    fn new(
        folder: PodFolder,
        spec: PodSpec,
        state: watch::Receiver<PodState>,
        commands: mpsc::Sender<Command>,
        keeper: Tasks<()>,
    ) -> Self {
        let (execs, removed) = (AtomicU64::new(0), false.into());
        Self(Arc::new(Inner { spec, folder, state, commands, execs, removed, _keeper: Mutex::new(keeper) }))
    }

    pub fn id(&self) -> &str {
        &self.0.spec.id
    }

    pub fn spec(&self) -> &PodSpec {
        &self.0.spec
    }

    /// The latest state, and all that follow. A receiver that is slow skips states, never the last one.
    pub fn state(&self) -> watch::Receiver<PodState> {
        self.0.state.clone()
    }

    /// The pod's network namespace, to be opened; `None` with the host's network.
    pub fn netns(&self) -> Option<PathBuf> {
        (self.0.spec.network == Network::Own).then(|| self.0.folder.namespace("net"))
    }

    pub(super) fn is_removed(&self) -> bool {
        self.0.removed.load(Ordering::Relaxed)
    }

    /// Puts a container on record. It does not run until it is started.
    pub async fn create_container(&self, spec: &ContainerSpec) -> Result<(), Error> {
        if !is_id(&spec.id) {
            return Err(Error::Id(spec.id.clone()));
        }
        let folder = self.0.folder.container(&spec.id);
        let path = folder.path();
        fs::create_dir(path).map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => Error::Exists(spec.id.clone()),
            _ => Error::Folder { path: path.to_owned(), source },
        })?;
        folder.write_spec(spec)?;
        folder.write_state(&ContainerState::Created { created: SystemTime::now() })?;
        self.order(Order::Add { container: spec.id.clone() }).await
    }

    /// What a container was made to be: a further process in it is given the same environment, user and rights.
    pub fn container_spec(&self, container: &str) -> Result<ContainerSpec, Error> {
        if !is_id(container) {
            return Err(Error::Id(container.to_owned()));
        }
        Ok(self.0.folder.container(container).spec()?)
    }

    /// Starts it. An error is in the runtime's words, such as `exec: "foo": executable file not found in $PATH`; the
    /// container is as it was before and may be started again.
    pub async fn start(&self, container: &str) -> Result<(), Error> {
        self.order(Order::Start { container: container.to_owned() }).await
    }

    /// Sends a signal to its first process.
    pub async fn signal(&self, container: &str, signal: i32) -> Result<(), Error> {
        self.order(Order::Signal { container: container.to_owned(), signal }).await
    }

    /// Waits until it has ended.
    pub async fn wait(&self, container: &str) -> Result<Exit, Error> {
        let mut state = self.state();
        let settled = state.wait_for(|pod| {
            let known = pod.containers.get(container);
            known.is_none_or(|state| state.exit().is_some()) || pod.sandbox == Sandbox::Gone
        });
        let pod = settled.await.map_err(|_| Error::Gone)?;
        match pod.containers.get(container) {
            Some(state) => state.exit().cloned().ok_or(Error::Gone),
            None => Err(Error::NoContainer(container.to_owned())),
        }
    }

    /// Forgets a container that has ended or was never started. Its log stays.
    pub async fn delete(&self, container: &str) -> Result<(), Error> {
        self.order(Order::Delete { container: container.to_owned() }).await
    }

    pub async fn resize(&self, container: &str, size: Size) -> Result<(), Error> {
        self.order(Order::Resize { container: container.to_owned(), size }).await
    }

    /// Starts a further process in a running container. Streams that are not wanted are `/dev/null`; a terminal's are one.
    pub async fn exec(&self, container: &str, spec: &ExecSpec, wanted: Wanted) -> Result<Exec, Error> {
        let (streams, theirs) = if spec.process.terminal.is_some() {
            (Streams::default(), [null()?, null()?, null()?])
        } else {
            exec_pipes(wanted)?
        };
        let [stdin, stdout, stderr] = theirs;
        let descriptors = vec![in_memory(spec).map_err(Error::Streams)?, stdin, stdout, stderr];
        let number = self.0.execs.fetch_add(1, Ordering::Relaxed);
        let order = Order::Exec { exec: number, container: container.to_owned() };
        let ((code, ended), (output, end)) = (oneshot::channel(), oneshot::channel());
        let answer = self.give(order, descriptors, Some(Ending { code, output })).await?;
        let terminal = answer.into_iter().next();
        let streams = match &terminal {
            Some(terminal) => terminal_streams(terminal, wanted, end)?,
            None => streams,
        };
        Ok(Exec { streams, terminal, ended, number, pod: self.clone() })
    }

    /// Connects to the streams of a running container. What it wrote before is in its log. The output ends with the
    /// container; when the input is done, drop it and call [`Pod::close_stdin`].
    pub async fn attach(&self, container: &str, wanted: Wanted) -> Result<Streams, Error> {
        let (mut streams, mut descriptors) = (Streams::default(), Vec::new());
        for (wanted, stream) in [(wanted.stdout, &mut streams.stdout), (wanted.stderr, &mut streams.stderr)] {
            if wanted {
                let (ours, theirs) = new_pipe()?;
                *stream = Some(Output::new(ours)?);
                descriptors.push(theirs);
            }
        }
        let Wanted { stdin, stdout, stderr } = wanted;
        let order = Order::Attach { container: container.to_owned(), stdin, stdout, stderr };
        let answer = self.give(order, descriptors, None).await?;
        streams.stdin = answer.into_iter().next().map(Input::new).transpose()?;
        Ok(streams)
    }

    /// Ends the input of a container that was made with [`crate::Stdin::Once`].
    pub async fn close_stdin(&self, container: &str) -> Result<(), Error> {
        self.order(Order::CloseStdin { container: container.to_owned() }).await
    }

    /// Kills whatever runs in the pod and removes all of it but its logs. May be repeated after an error.
    pub async fn remove(&self) -> Result<(), Error> {
        match self.order(Order::Remove).await {
            Ok(()) => {
                let mut state = self.state();
                // Until the shim is gone: it must not write into the folder any more.
                let _the_keeper_ended = state.wait_for(|pod| pod.sandbox == Sandbox::Gone).await;
            }
            // It lives and could not: what it holds must not be taken from under it.
            Err(Error::Refused(why)) => return Err(Error::Refused(why)),
            // Without a shim there is nobody to ask; the cleanup kills by itself.
            Err(_) => {}
        }
        cleanup::remove(&self.0.folder).await?;
        self.0.removed.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn order(&self, order: Order) -> Result<(), Error> {
        self.give(order, Vec::new(), None).await.map(drop)
    }

    async fn give(
        &self,
        order: Order,
        descriptors: Vec<OwnedFd>,
        exec: Option<Ending>,
    ) -> Result<Vec<OwnedFd>, Error> {
        let (answer, answered) = oneshot::channel();
        let command = Command { order, descriptors, answer, exec };
        self.0.commands.send(command).await.map_err(|_| Error::Gone)?;
        answered.await.map_err(|_| Error::Interrupted)?
    }
}

/// A process started by [`Pod::exec`].
#[derive(Debug)]
pub struct Exec {
    pub streams: Streams,
    terminal: Option<OwnedFd>,
    ended: oneshot::Receiver<Ended>,
    number: u64,
    pod: Pod,
}

impl Exec {
    /// Waits for its exit code: its own, or 128 plus the number of the signal that ended it.
    pub async fn wait(mut self) -> Result<i32, Error> {
        self.ended().await
    }

    /// The same for those who may have to give it a signal meanwhile. Cancel safe; its answer is given once.
    pub async fn ended(&mut self) -> Result<i32, Error> {
        match (&mut self.ended).await {
            Ok(Ended::Code(code)) => Ok(code),
            Ok(Ended::Signal(signal)) => Ok(128 + signal),
            Ok(Ended::Unseen) | Err(_) => Err(Error::Interrupted),
        }
    }

    /// Takes the streams, to be used while waiting.
    pub fn take_streams(&mut self) -> Streams {
        std::mem::take(&mut self.streams)
    }

    pub fn resize(&self, size: Size) -> Result<(), Error> {
        self.terminal
            .as_ref()
            .map_or(Ok(()), |terminal| crate::launch::resize(terminal, size))
            .map_err(Error::Streams)
    }

    pub async fn signal(&self, signal: i32) -> Result<(), Error> {
        self.pod.order(Order::SignalExec { exec: self.number, signal }).await
    }
}

fn exec_pipes(wanted: Wanted) -> Result<(Streams, [OwnedFd; 3]), Error> {
    let mut streams = Streams::default();
    let mut output = |wanted: bool, ours: fn(&mut Streams) -> &mut Option<Output>| {
        if !wanted {
            return null();
        }
        let (reading, writing) = new_pipe()?;
        *ours(&mut streams) = Some(Output::new(reading)?);
        Ok(writing)
    };
    let stdout = output(wanted.stdout, |streams| &mut streams.stdout)?;
    let stderr = output(wanted.stderr, |streams| &mut streams.stderr)?;
    let stdin = if wanted.stdin {
        let (reading, writing) = new_pipe()?;
        streams.stdin = Some(Input::new(writing)?);
        reading
    } else {
        null()?
    };
    Ok((streams, [stdin, stdout, stderr]))
}

fn terminal_streams(
    terminal: &OwnedFd,
    wanted: Wanted,
    end: oneshot::Receiver<()>,
) -> Result<Streams, Error> {
    let clone = || terminal.try_clone().map_err(Error::Streams);
    Ok(Streams {
        stdin: wanted.stdin.then(|| Input::new(clone()?)).transpose()?,
        stdout: wanted.stdout.then(|| Output::of_terminal(clone()?, end)).transpose()?,
        stderr: None,
    })
}

fn null() -> Result<OwnedFd, Error> {
    let opened = fs::OpenOptions::new().read(true).write(true).open("/dev/null");
    opened.map(OwnedFd::from).map_err(Error::Streams)
}

fn in_memory(spec: &ExecSpec) -> io::Result<OwnedFd> {
    let mut file = fs::File::from(memfd_create("exec", MemfdFlags::CLOEXEC)?);
    file.write_all(&serde_json::to_vec(spec)?)?;
    file.rewind()?;
    Ok(file.into())
}
