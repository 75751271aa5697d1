//! Which way output goes: from a container's streams to its log and to those who are attached.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::log::Stream;
use super::output::{Output, Read, Tap};
use super::poller::Token;
use super::server::{Server, Source, unknown};

impl Server {
    pub(super) fn pump(&mut self, token: Token, mut output: Output) -> Option<Output> {
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
    pub(super) fn drain(&mut self, token: Token, mut tap: Tap) -> Option<Tap> {
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
    pub(super) fn read_to_the_end(&mut self, id: &str) {
        let outputs = self.containers.get_mut(id).map(|container| std::mem::take(&mut container.outputs));
        for token in outputs.unwrap_or_default() {
            let Some(Source::Output(mut output)) = self.sources.remove(&token) else { continue };
            while let Read::Some(count) = output.read(&mut self.buffer[..]) {
                self.spread(token, &mut output, count);
            }
            self.end_output(token, output);
        }
    }

    pub(super) fn forget_streams(&mut self, id: &str) {
        let Some(container) = self.containers.get_mut(id) else { return };
        container.starting = false;
        (container.stdin, container.log, container.terminal) = (None, None, None);
        for token in std::mem::take(&mut container.outputs) {
            if let Some(Source::Output(output)) = self.sources.remove(&token) {
                self.poller.remove(output.source());
            }
        }
    }

    pub(super) fn attach(
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
}
