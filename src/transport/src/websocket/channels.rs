//! Several channels over one WebSocket: each message begins with its channel's number.
//!
//! `channel.k8s.io` and what followed it. In the base64 forms messages are text: a digit, then the rest in base64. From version
//! 5 on, a message on channel 255 says that nothing follows on the channel it names.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::frame::{Opcode, Role};
use super::socket::{self, Message, Reader, Writer};
use crate::channel::{Chunk, Incoming, Outgoing, QUEUED};

/// How long a peer may take to say goodbye after we did.
const FAREWELL: Duration = Duration::from_secs(5);
/// The channel that closes others.
const CLOSE: u8 = 255;

/// How messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Binary,
    Base64,
}

/// The channels that somebody uses. What comes for others is dropped.
#[derive(Debug)]
pub struct Channels {
    coding: Coding,
    /// Whether single channels can be closed.
    closable: bool,
    readers: HashMap<u8, mpsc::Sender<Bytes>>,
    sender: mpsc::Sender<Chunk>,
    chunks: mpsc::Receiver<Chunk>,
}

impl Channels {
    pub fn new(coding: Coding, closable: bool) -> Self {
        let (sender, chunks) = mpsc::channel(QUEUED);
        Self { coding, closable, readers: HashMap::new(), sender, chunks }
    }

    /// What the peer sends on a channel.
    pub fn incoming(&mut self, channel: u8) -> Incoming {
        let (sender, incoming) = Incoming::new();
        self.readers.insert(channel, sender);
        incoming
    }

    /// What we send on a channel.
    pub fn outgoing(&self, channel: u8) -> Outgoing {
        Outgoing::new(channel.into(), self.sender.clone())
    }

    /// Carries all channels until the peer goes away, or until nobody is left who could send.
    pub async fn run<S: AsyncRead + AsyncWrite>(self, stream: S, role: Role) -> io::Result<()> {
        let Self { coding, closable, readers, sender, chunks } = self;
        drop(sender);
        let (reader, writer) = socket::split(stream, role);
        let (pong, pings) = mpsc::channel(QUEUED);
        let receiving = Receiving { reader, coding, closable, readers, pong };
        // Upstream's servers never close a channel, so its clients would not understand it.
        let closable = closable && role == Role::Client;
        let sending = Sending { writer, coding, closable, chunks, pings };
        let (receive, send) = (receiving.run(), sending.run());
        tokio::pin!(receive, send);
        tokio::select! {
            received = &mut receive => received,
            // We said goodbye; a connection that is cut now could lose what the peer has not read yet.
            sent = &mut send => match sent {
                Ok(()) => timeout(FAREWELL, receive).await.unwrap_or(Ok(())),
                Err(error) => Err(error),
            },
        }
    }
}

struct Receiving<S> {
    reader: Reader<S>,
    coding: Coding,
    closable: bool,
    readers: HashMap<u8, mpsc::Sender<Bytes>>,
    pong: mpsc::Sender<Bytes>,
}

impl<S: AsyncRead> Receiving<S> {
    async fn run(mut self) -> io::Result<()> {
        while let Some(message) = self.reader.next().await? {
            match message {
                Message::Data(data) => self.deliver(data).await?,
                // Full, or nobody writes any more: a ping is then answered by the next one, or by the end.
                Message::Ping(data) => drop(self.pong.try_send(data)),
                Message::Close => break,
            }
        }
        Ok(())
    }

    async fn deliver(&mut self, message: Bytes) -> io::Result<()> {
        let Some((channel, data)) = self.read(message)? else { return Ok(()) };
        if channel == CLOSE && self.closable {
            let closed = data.first().copied();
            closed.and_then(|closed| self.readers.remove(&closed));
        } else if let Some(reader) = self.readers.get(&channel) {
            // Whoever stopped reading misses nothing.
            let _ = reader.send(data).await;
        }
        Ok(())
    }

    fn read(&self, mut message: Bytes) -> io::Result<Option<(u8, Bytes)>> {
        let Some(first) = message.first().copied() else { return Ok(None) };
        message.advance(1);
        if self.coding == Coding::Binary {
            return Ok(Some((first, message)));
        }
        let data = STANDARD.decode(&message);
        let data = data.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(Some((first.wrapping_sub(b'0'), data.into())))
    }
}

struct Sending<S> {
    writer: Writer<S>,
    coding: Coding,
    closable: bool,
    chunks: mpsc::Receiver<Chunk>,
    pings: mpsc::Receiver<Bytes>,
}

impl<S: AsyncWrite> Sending<S> {
    async fn run(mut self) -> io::Result<()> {
        loop {
            tokio::select! {
                biased;
                Some(ping) = self.pings.recv() => self.writer.send(Opcode::Pong, &ping).await?,
                chunk = self.chunks.recv() => match chunk {
                    Some(chunk) => self.send(&chunk).await?,
                    None => return self.writer.close().await,
                },
            }
        }
    }

    async fn send(&mut self, chunk: &Chunk) -> io::Result<()> {
        // Only numbers below 256 are handed out.
        let channel = chunk.channel.to_le_bytes()[0];
        match (chunk.last, self.coding) {
            (true, _) if !self.closable => Ok(()),
            (true, _) => self.writer.send(Opcode::Binary, &[CLOSE, channel]).await,
            (false, Coding::Binary) => {
                let mut message = Vec::with_capacity(1 + chunk.data.len());
                message.push(channel);
                message.extend_from_slice(&chunk.data);
                self.writer.send(Opcode::Binary, &message).await
            }
            (false, Coding::Base64) => {
                let mut message = String::from(char::from(b'0'.wrapping_add(channel)));
                STANDARD.encode_string(&chunk.data, &mut message);
                self.writer.send(Opcode::Text, message.as_bytes()).await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn one_direction_ends_while_the_other_goes_on() {
        let (ours, theirs) = duplex(1024);
        let (mut server, mut client) =
            (Channels::new(Coding::Binary, true), Channels::new(Coding::Binary, true));
        let (mut stdin, mut stdout) = (server.incoming(0), server.outgoing(1));
        let (mut keys, mut screen) = (client.outgoing(0), client.incoming(1));
        let (served, used, (), ()) = tokio::join!(
            server.run(ours, Role::Server),
            client.run(theirs, Role::Client),
            async {
                let mut text = String::new();
                stdin.read_to_string(&mut text).await.unwrap();
                stdout.send(Bytes::new()).await.unwrap();
                stdout.write_all(text.to_uppercase().as_bytes()).await.unwrap();
                drop(stdout);
            },
            async {
                keys.write_all(b"hello").await.unwrap();
                keys.shutdown().await.unwrap();
                let mut text = String::new();
                screen.read_to_string(&mut text).await.unwrap();
                assert_eq!(text, "HELLO");
                drop(keys);
            },
        );
        served.unwrap();
        used.unwrap();
    }

    #[tokio::test]
    async fn messages_in_base64_and_an_early_goodbye() {
        let (ours, theirs) = duplex(64);
        let mut server = Channels::new(Coding::Base64, false);
        let (mut stdin, stdout) = (server.incoming(0), server.outgoing(1));
        let client = async {
            let (mut reader, mut writer) = socket::split(theirs, Role::Client);
            writer.send(Opcode::Text, b"0aGk=").await.unwrap();
            assert_eq!(reader.next().await.unwrap(), Some(Message::Data(Bytes::from_static(b"1SEk="))));
            writer.send(Opcode::Ping, b"?").await.unwrap();
            writer.close().await.unwrap();
        };
        let exec = async {
            let mut stdout = stdout;
            assert_eq!(stdin.next().await.unwrap(), "hi");
            stdout.send(Bytes::from_static(b"HI")).await.unwrap();
            assert_eq!(stdin.next().await, None, "the peer went away");
        };
        let (run, (), ()) = tokio::join!(server.run(ours, Role::Server), client, exec);
        run.unwrap();
    }

    #[tokio::test]
    async fn garbage_ends_the_connection() {
        let (ours, mut theirs) = duplex(64);
        let mut server = Channels::new(Coding::Binary, true);
        let _stdout = server.outgoing(1);
        let mut stdin = server.incoming(0);
        let (run, (), end) = tokio::join!(
            server.run(ours, Role::Server),
            async { theirs.write_all(&[0xff; 16]).await.unwrap() },
            stdin.next(),
        );
        assert_eq!(run.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(end, None);
    }
}
