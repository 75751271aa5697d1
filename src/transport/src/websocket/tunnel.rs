//! A stream of bytes over a WebSocket, whose messages mean nothing: another protocol runs inside.

use std::io;

use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split,
};
use tokio::sync::mpsc;

use super::frame::{Opcode, Role};
use super::socket::{self, Message, Reader, Writer};
use crate::channel::QUEUED;

/// What waits in either direction before its writer waits.
const PIPE: usize = 64 * 1024;

/// The inner end, and the work that keeps it going; the work ends with either of both connections.
pub fn tunnel<S: AsyncRead + AsyncWrite>(
    stream: S,
    role: Role,
) -> (DuplexStream, impl Future<Output = io::Result<()>>) {
    let (inner, ours) = duplex(PIPE);
    let (reader, writer) = socket::split(stream, role);
    let (from_inner, to_inner) = split(ours);
    let work = async move {
        let (pong, pings) = mpsc::channel(QUEUED);
        tokio::select! {
            received = receive(reader, to_inner, pong) => received,
            sent = send(writer, from_inner, pings) => sent,
        }
    };
    (inner, work)
}

async fn receive<S: AsyncRead>(
    mut reader: Reader<S>,
    mut to: WriteHalf<DuplexStream>,
    pong: mpsc::Sender<bytes::Bytes>,
) -> io::Result<()> {
    while let Some(message) = reader.next().await? {
        match message {
            Message::Data(data) => to.write_all(&data).await?,
            // Full: answered by the next one.
            Message::Ping(data) => drop(pong.try_send(data)),
            Message::Close => break,
        }
    }
    to.shutdown().await
}

async fn send<S: AsyncWrite>(
    mut writer: Writer<S>,
    mut from: ReadHalf<DuplexStream>,
    mut pings: mpsc::Receiver<bytes::Bytes>,
) -> io::Result<()> {
    let mut buffer = vec![0; PIPE / 2];
    loop {
        tokio::select! {
            Some(ping) = pings.recv() => writer.send(Opcode::Pong, &ping).await?,
            length = from.read(&mut buffer) => match length? {
                0 => return writer.close().await,
                length => writer.send(Opcode::Binary, &buffer[..length]).await?,
            },
        }
    }
}
