//! From added to deleted: what a shim does with its containers.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::time::SystemTime;

use rustix::process::{Pid, Signal, kill_process};

use crate::cgroup::Cgroup;
use crate::identity::ProcessId;
use crate::launch::{Job, with_causes};
use crate::protocol::Message;
use crate::state::{ContainerState, Ended};

use super::children;
use super::container::Container;
use super::log::Stream;
use super::output::Output;
use super::poller::Token;
use super::server::{Purpose, Server, Source, unknown};

impl Server {
    pub(super) fn add(&mut self, id: &str) -> Result<(), String> {
        let container = Container::load(self.folder.container(id)).map_err(|error| error.to_string())?;
        self.containers.entry(id.to_owned()).or_insert(container);
        self.tell(id);
        Ok(())
    }

    pub(super) fn start(&mut self, id: &str, client: Token, sequence: u64) {
        if let Err(message) = self.may_start(id) {
            return self.reply(client, sequence, Err(message), &[]);
        }
        if let Err(message) = self.try_start(id, client, sequence) {
            self.forget_streams(id);
            self.reply(client, sequence, Err(message), &[]);
        }
    }

    fn may_start(&self, id: &str) -> Result<(), String> {
        let container = self.containers.get(id).ok_or_else(|| unknown(id))?;
        match container.state {
            ContainerState::Created { .. } if !container.starting => Ok(()),
            _ => Err(format!("container {id} was started already")),
        }
    }

    fn try_start(&mut self, id: &str, client: Token, sequence: u64) -> Result<(), String> {
        let container = self.containers.get_mut(id).ok_or_else(|| unknown(id))?;
        container.starting = true;
        container.open_log();
        let has_terminal = container.has_terminal();
        let opened =
            if has_terminal { Ok(()) } else { container.make_pipes().and_then(|()| self.open_pipes(id)) };
        opened.map_err(|error| format!("cannot open the container's streams: {error}"))?;
        let purpose = Purpose::Start { container: id.to_owned(), client, sequence };
        self.launch(&Job::Start(id.to_owned()), purpose).map(drop).map_err(|error| error.to_string())
    }

    pub(super) fn open_pipes(&mut self, id: &str) -> io::Result<()> {
        let Some(container) = self.containers.get_mut(id) else { return Ok(()) };
        for (stream, source) in container.open_pipes()? {
            self.add_output(id, stream, source)?;
        }
        Ok(())
    }

    pub(super) fn add_output(&mut self, id: &str, stream: Stream, source: OwnedFd) -> io::Result<()> {
        let output = Output::new(id.to_owned(), stream, source)?;
        let token = self.poller.add(output.source())?;
        self.sources.insert(token, Source::Output(output));
        if let Some(container) = self.containers.get_mut(id) {
            container.outputs.push(token);
        }
        Ok(())
    }

    pub(super) fn started(
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
            eprintln!("shim: {}", with_causes(&error));
        }
        self.tell(id);
    }

    fn tell(&mut self, id: &str) {
        let Some(container) = self.containers.get(id) else { return };
        let message = Message::State { container: id.to_owned(), state: container.state.clone() };
        self.clients.tell_all(&message, &self.poller);
    }

    pub(super) fn child_ended(&mut self, pid: i32, ended: Ended) {
        let runs = |container: &Container| matches!(&container.state, ContainerState::Running { process, .. } if process.pid == pid);
        if let Some(id) =
            self.containers.iter().find(|(_, container)| runs(container)).map(|(id, _)| id.clone())
        {
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

    pub(super) fn container_ended(&mut self, id: &str, ended: Ended) {
        // With a shared pid namespace others may still run; they hold the output open and count as the container's.
        if let Err(error) = self.cgroup_of(id).kill() {
            eprintln!("shim: {}", with_causes(&error));
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

    pub(super) fn clear_cgroup(&self, id: &str) -> Result<(), crate::cgroup::Error> {
        let cgroup = self.cgroup_of(id);
        cgroup.kill()?;
        cgroup.remove()
    }

    pub(super) fn delete(&mut self, id: &str) -> Result<(), String> {
        let container = self.containers.get(id).ok_or_else(|| unknown(id))?;
        if container.starting {
            self.give_up_start(id);
            return Err(format!("container {id} is being started; that is given up"));
        }
        if container.state.is_running() {
            return Err(format!("container {id} is running"));
        }
        self.clear_cgroup(id).map_err(|error| with_causes(&error))?;
        fs::remove_dir_all(container.folder.path()).map_err(|error| error.to_string())?;
        self.containers.remove(id);
        self.clients.tell_all(&Message::Deleted { container: id.to_owned() }, &self.poller);
        Ok(())
    }

    /// Its launcher's end is what tells that it has failed.
    fn give_up_start(&self, id: &str) {
        self.kill_launchers(|purpose| matches!(purpose, Purpose::Start { container, .. } if container == id));
    }

    fn kill_launchers(&self, which: impl Fn(&Purpose) -> bool) {
        for source in self.sources.values() {
            if let Source::Launch(launch, purpose) = source
                && which(purpose)
                && let Some(pid) = Pid::from_raw(launch.pid)
            {
                let _already_gone = kill_process(pid, Signal::KILL);
            }
        }
    }

    /// Ends every process of the pod. Files and mounts are the agent's to remove: it can do so without a shim too.
    pub(super) fn remove(&mut self) -> Result<(), String> {
        self.kill_launchers(|_| true);
        let (killed, ended) = self.kill_all();
        for (pid, how) in ended {
            self.child_ended(pid, how);
        }
        killed.map_err(|error| with_causes(&error))?;
        self.removed = true;
        Ok(())
    }

    /// Kills what runs in the pod's groups; also gives the children that ended meanwhile.
    fn kill_all(&self) -> (Result<(), crate::cgroup::Error>, Vec<(i32, Ended)>) {
        let cgroup = Cgroup::new(&self.hierarchy, &self.cgroup);
        let mut ended = Vec::new();
        let endings = self.sources.values().find_map(|source| match source {
            Source::Children(endings) => Some(endings),
            _ => None,
        });
        let killed = match endings {
            Some(endings) => cgroup.kill_reaping(endings, || ended.extend(children::reap(endings))),
            None => cgroup.kill(),
        };
        (killed, ended)
    }
}
