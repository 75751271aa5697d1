//! SPDY/3.1, the accepting end: what Kubernetes' tools spoke before they learned WebSockets, and still speak inside of those to
//! forward ports.
//!
//! As much of it as those peers use: they open streams, and send data and say when they are done on each. They keep no windows,
//! so nor do we: a reader that is slow holds up the connection, as with [`Incoming`].

mod frame;
mod headers;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;

use self::frame::{Control, Frame};
use self::headers::{Inflater, Stored};
use crate::channel::{Chunk, Incoming, Outgoing, QUEUED};

/// What both ends say they upgrade to.
pub const PROTOCOL: &str = "SPDY/3.1";

/// Streams open at once; more are refused. One is open until the peer said all it has to say, and we dropped our end.
const MOST_STREAMS: usize = 512;
/// How much is read at once.
const READ: usize = 16 * 1024;
/// How long a peer may take to go away after we said that we do.
const FAREWELL: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a frame of more than {} bytes", frame::LONGEST)]
    TooLong,
    #[error("a {0} frame that is cut short")]
    Short(&'static str),
    #[error("headers that cannot be read")]
    Headers,
    #[error("a connection of another version than 3")]
    Version,
}

/// A stream that the peer opened.
#[derive(Debug)]
pub struct Stream {
    /// By lower-case name.
    pub headers: HashMap<String, String>,
    pub incoming: Incoming,
    pub outgoing: Outgoing,
}

/// The streams that the peer opens. When this and all that came from it are gone, the connection is closed.
#[derive(Debug)]
pub struct Streams {
    opened: mpsc::Receiver<Stream>,
    _open: mpsc::Sender<Chunk>,
}

impl Streams {
    /// The next stream; `None` when the connection ends. Cancel safe.
    pub async fn next(&mut self) -> Option<Stream> {
        self.opened.recv().await
    }
}

/// The streams over `connection`, and the work that carries them.
pub fn serve<S: AsyncRead + AsyncWrite>(connection: S) -> (Streams, impl Future<Output = io::Result<()>>) {
    let (sender, chunks) = mpsc::channel(QUEUED);
    let (opening, opened) = mpsc::channel(QUEUED);
    let (control, controls) = mpsc::channel(QUEUED);
    let (reading, writing) = tokio::io::split(connection);
    let receiving = Receiving {
        reading,
        buffer: BytesMut::new(),
        inflater: Inflater::new(),
        readers: HashMap::new(),
        places: Arc::new(Semaphore::new(MOST_STREAMS)),
        sender: sender.downgrade(),
        opening,
        control,
    };
    let work = async move {
        let (receive, send) = (receiving.run(), send(writing, chunks, controls));
        tokio::pin!(receive, send);
        tokio::select! {
            received = &mut receive => received,
            // A connection that is cut now could lose what the peer has not read yet.
            sent = &mut send => match sent {
                Ok(()) => timeout(FAREWELL, receive).await.unwrap_or(Ok(())),
                Err(error) => Err(error),
            },
        }
    };
    (Streams { opened, _open: sender }, work)
}

struct Receiving<S> {
    reading: ReadHalf<S>,
    buffer: BytesMut,
    inflater: Inflater,
    /// Of the streams on which the peer has more to say.
    readers: HashMap<u32, Reader>,
    places: Arc<Semaphore>,
    sender: mpsc::WeakSender<Chunk>,
    opening: mpsc::Sender<Stream>,
    control: mpsc::Sender<Control>,
}

struct Reader {
    sender: mpsc::Sender<Bytes>,
    _place: Arc<OwnedSemaphorePermit>,
}

impl<S: AsyncRead> Receiving<S> {
    async fn run(mut self) -> io::Result<()> {
        loop {
            while let Some(frame) = frame::take(&mut self.buffer).map_err(invalid)? {
                self.hear(frame).await?;
            }
            self.buffer.reserve(READ);
            if self.reading.read_buf(&mut self.buffer).await? == 0 {
                return Ok(());
            }
        }
    }

    async fn hear(&mut self, frame: Frame) -> io::Result<()> {
        match frame {
            Frame::Open { stream, last, headers } => {
                // Also of those that are refused: the next headers refer to these.
                let headers = self.inflater.headers(&headers).map_err(invalid)?;
                self.open(stream, last, headers).await;
            }
            Frame::Data { stream, last, data } => {
                if let Some(reader) = self.readers.get(&stream).filter(|_| !data.is_empty()) {
                    // Whoever stopped reading misses nothing.
                    let _ = reader.sender.send(data).await;
                }
                if last {
                    self.readers.remove(&stream);
                }
            }
            Frame::Headers { headers } => {
                self.inflater.headers(&headers).map_err(invalid)?;
            }
            Frame::Reset { stream } => drop(self.readers.remove(&stream)),
            // The writer is gone only when the connection ends.
            Frame::Ping { number } => drop(self.control.send(Control::Ping { number }).await),
            Frame::Other => {}
        }
        Ok(())
    }

    async fn open(&mut self, number: u32, last: bool, headers: HashMap<String, String>) {
        let free = !self.readers.contains_key(&number);
        let place = self.places.clone().try_acquire_owned().ok().filter(|_| free);
        let Some((sender, place)) = self.sender.upgrade().zip(place.map(Arc::new)) else {
            let _ended = self.control.send(Control::Refuse { stream: number }).await;
            return;
        };
        let (reader, incoming) = Incoming::new();
        if !last {
            self.readers.insert(number, Reader { sender: reader, _place: place.clone() });
        }
        // The reply goes out before anything the stream may send.
        let _ended = self.control.send(Control::Accept { stream: number }).await;
        let stream = Stream { headers, incoming, outgoing: Outgoing::new(number, sender).in_place(place) };
        let _nobody_wants_it = self.opening.send(stream).await;
    }
}

async fn send<S: AsyncWrite>(
    mut writing: WriteHalf<S>,
    mut chunks: mpsc::Receiver<Chunk>,
    mut controls: mpsc::Receiver<Control>,
) -> io::Result<()> {
    let (mut buffer, mut stored) = (BytesMut::new(), Stored::default());
    loop {
        buffer.clear();
        tokio::select! {
            biased;
            Some(control) = controls.recv() => frame::put_control(&mut buffer, &control, &mut stored),
            chunk = chunks.recv() => match chunk {
                Some(chunk) => frame::put_data(&mut buffer, chunk.channel, chunk.last, &chunk.data),
                None => break,
            },
        }
        writing.write_all(&buffer).await?;
        writing.flush().await?;
    }
    frame::put_control(&mut buffer, &Control::GoAway, &mut stored);
    writing.write_all(&buffer).await?;
    writing.shutdown().await
}

fn invalid(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    /// What kubectl sends to forward a port: two streams, their headers deflated with the common dictionary (by zlib).
    const ERROR: &str = "78f9e3c6a7c202253a703a2b294a4dcc851625aca9a0808614cb45e01c6061606100a4398b20d198094ade8c0600000000ffff";
    const DATA: &str = "c2aa19540e2512d60b000000ffff";

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    fn open(stream: u8, last: bool, headers: &str) -> Vec<u8> {
        let headers = bytes(headers);
        let length = u8::try_from(headers.len() + 10).unwrap();
        let head = [0x80, 3, 0, 1, u8::from(last), 0, 0, length, 0, 0, 0, stream, 0, 0, 0, 0, 0, 0];
        [&head[..], &headers[..]].concat()
    }

    #[tokio::test]
    async fn two_streams_as_a_real_client_opens_them() {
        let (mut client, ours) = duplex(4096);
        let (mut streams, work) = serve(ours);
        let serving = async {
            let error = streams.next().await.unwrap();
            assert_eq!(error.headers["streamtype"], "error");
            let mut data = streams.next().await.unwrap();
            assert_eq!((&*data.headers["streamtype"], &*data.headers["port"]), ("data", "8080"));
            assert_eq!(data.incoming.next().await.unwrap(), "hello");
            assert_eq!(data.incoming.next().await, None);
            data.outgoing.write_all(b"world").await.unwrap();
            data.outgoing.shutdown().await.unwrap();
            drop((error, data, streams));
        };
        let asking = async {
            client.write_all(&open(1, true, ERROR)).await.unwrap();
            client.write_all(&open(3, false, DATA)).await.unwrap();
            client.write_all(&[0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 9]).await.unwrap();
            client.write_all(b"\0\0\0\x03\x01\0\0\x05hello").await.unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            drop(client);
            answer
        };
        let (worked, (), answer) = tokio::join!(work, serving, asking);
        worked.unwrap();
        let has = |part: &[u8]| answer.windows(part.len()).position(|window| window == part).unwrap();
        let reply = has(&[0x80, 3, 0, 2, 0, 0, 0]);
        let pong = has(&[0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 9]);
        let data = has(b"\0\0\0\x03\0\0\0\x05world");
        let end = has(b"\0\0\0\x03\x01\0\0\0");
        let goodbye = has(&[0x80, 3, 0, 7, 0, 0, 0, 8]);
        assert!(reply < data && pong < data && data < end && end < goodbye);
    }

    /// Opens a stream on which the client says nothing, with no headers; gives the type of the answer.
    async fn ask(client: &mut DuplexStream, stream: u16, headers: &mut Stored) -> u8 {
        let headers = headers.none();
        let length = u8::try_from(headers.len() + 10).unwrap();
        let [high, low] = stream.to_be_bytes();
        let head = [0x80, 3, 0, 1, 1, 0, 0, length, 0, 0, high, low, 0, 0, 0, 0, 0, 0];
        client.write_all(&[&head[..], &headers[..]].concat()).await.unwrap();
        let mut head = [0; 8];
        client.read_exact(&mut head).await.unwrap();
        client.read_exact(&mut vec![0; usize::from(head[7])]).await.unwrap();
        head[3]
    }

    #[tokio::test]
    async fn a_stream_counts_until_both_sides_are_done() {
        const ACCEPTED: u8 = 2;
        const REFUSED: u8 = 3;
        let (mut client, ours) = duplex(4096);
        let (mut streams, work) = serve(ours);
        let mut headers = Stored::default();
        let asking = async {
            let mut open = Vec::new();
            let mut numbers = (1..).step_by(2);
            for number in numbers.by_ref().take(MOST_STREAMS) {
                assert_eq!(ask(&mut client, number, &mut headers).await, ACCEPTED);
                // Its incoming half is over, and dropped.
                open.push(streams.next().await.unwrap().outgoing);
            }
            assert_eq!(ask(&mut client, numbers.next().unwrap(), &mut headers).await, REFUSED);
            open.pop();
            assert_eq!(ask(&mut client, numbers.next().unwrap(), &mut headers).await, ACCEPTED);
        };
        tokio::select! {
            () = asking => {}
            ended = work => panic!("ended early: {ended:?}"),
        }
    }

    #[tokio::test]
    async fn garbage_ends_the_connection() {
        for garbage in [
            "80030001000000040000000000000000",
            "8002000100000000",
            "00000001ffffffff",
            "8003000100000010000000010000000000007801ffffff00",
        ] {
            let (mut client, ours) = duplex(4096);
            let (mut streams, work) = serve(ours);
            client.write_all(&bytes(garbage)).await.unwrap();
            client.shutdown().await.unwrap();
            let (worked, next) = tokio::join!(work, streams.next());
            assert_eq!(worked.unwrap_err().kind(), io::ErrorKind::InvalidData, "{garbage}");
            assert!(next.is_none());
        }
    }
}
