//! Further processes in running containers.

use std::os::fd::{AsFd, OwnedFd};

use crate::identity::ProcessId;
use crate::launch::Job;
use crate::protocol::{self, Message};
use crate::state::Ended;

use super::poller::Token;
use super::server::{Exec, ExecKey, Purpose, Server, Source, unknown};

impl Server {
    pub(super) fn exec(&mut self, exec: ExecKey, id: &str, sequence: u64, descriptors: &[OwnedFd]) {
        if let Err(message) = self.try_exec(exec, id, sequence, descriptors) {
            self.reply(exec.0, sequence, Err(message), &[]);
        }
    }

    fn try_exec(
        &mut self,
        exec: ExecKey,
        id: &str,
        sequence: u64,
        descriptors: &[OwnedFd],
    ) -> Result<(), String> {
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

    pub(super) fn exec_started(
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

    pub(super) fn exec_ended(&mut self, key: ExecKey, ended: Ended) {
        self.execs.remove(&key);
        self.clients.send(key.0, &Message::ExecEnded { exec: key.1, ended }, &[], &self.poller);
    }
}
