//! Whole messages over a connection. Pings are answered here.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

use super::frame::{self, Error, Frame, Opcode, Role};

/// How much is read at once.
const READ: usize = 16 * 1024;

/// What a peer sends.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// Text or binary: who knows the protocol knows which.
    Data(Bytes),
    /// To be answered with the same.
    Ping(Bytes),
    Close,
}

#[derive(Debug)]
pub(super) struct Reader<S> {
    stream: ReadHalf<S>,
    role: Role,
    buffer: BytesMut,
    /// The message whose end has not come yet.
    begun: Option<BytesMut>,
}

#[derive(Debug)]
pub(super) struct Writer<S> {
    stream: WriteHalf<S>,
    role: Role,
    buffer: BytesMut,
}

pub(super) fn split<S: AsyncRead + AsyncWrite>(stream: S, role: Role) -> (Reader<S>, Writer<S>) {
    let (reading, writing) = tokio::io::split(stream);
    let reader = Reader { stream: reading, role, buffer: BytesMut::new(), begun: None };
    (reader, Writer { stream: writing, role, buffer: BytesMut::new() })
}

impl<S: AsyncRead> Reader<S> {
    /// The next message; `None` when the connection ends. Cancel safe.
    pub(super) async fn next(&mut self) -> io::Result<Option<Message>> {
        loop {
            while let Some(frame) = frame::take(&mut self.buffer, self.role).map_err(invalid)? {
                if let Some(message) = self.assemble(frame).map_err(invalid)? {
                    return Ok(Some(message));
                }
            }
            self.buffer.reserve(READ);
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    fn assemble(&mut self, frame: Frame) -> Result<Option<Message>, Error> {
        match (frame.opcode, &mut self.begun) {
            (Opcode::Close, _) => Ok(Some(Message::Close)),
            (Opcode::Ping, _) => Ok(Some(Message::Ping(frame.data))),
            (Opcode::Pong, _) => Ok(None),
            (Opcode::Text | Opcode::Binary, None) if frame.last => Ok(Some(Message::Data(frame.data))),
            (Opcode::Text | Opcode::Binary, begun @ None) => {
                *begun = Some(BytesMut::from(frame.data));
                Ok(None)
            }
            (Opcode::Continuation, Some(begun)) => {
                if begun.len() + frame.data.len() > frame::LONGEST {
                    return Err(Error::TooLong);
                }
                begun.extend_from_slice(&frame.data);
                let whole = if frame.last { self.begun.take() } else { None };
                Ok(whole.map(|whole| Message::Data(whole.freeze())))
            }
            (Opcode::Text | Opcode::Binary, Some(_)) | (Opcode::Continuation, None) => Err(Error::Order),
        }
    }
}

impl<S: AsyncWrite> Writer<S> {
    pub(super) async fn send(&mut self, opcode: Opcode, data: &[u8]) -> io::Result<()> {
        let mask = self.mask()?;
        self.buffer.clear();
        frame::put(&mut self.buffer, opcode, data, mask);
        self.stream.write_all(&self.buffer).await?;
        self.stream.flush().await
    }

    /// Says goodbye, giving no reason but the usual one.
    pub(super) async fn close(&mut self) -> io::Result<()> {
        const NORMAL: [u8; 2] = 1000_u16.to_be_bytes();
        self.send(Opcode::Close, &NORMAL).await
    }

    fn mask(&self) -> io::Result<Option<[u8; 4]>> {
        if self.role == Role::Server {
            return Ok(None);
        }
        let mut mask = [0; 4];
        let random = ring::rand::SystemRandom::new();
        let filled = ring::rand::SecureRandom::fill(&random, &mut mask);
        filled.map_err(|_| io::Error::other("the system has no random numbers"))?;
        Ok(Some(mask))
    }
}

fn invalid(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
