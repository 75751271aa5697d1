//! A client of SPDY, as small as can be.

use std::collections::BTreeMap;

use task::Tasks;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};

use crate::client::upgrade;

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

pub(crate) struct Client {
    connection: Box<dyn Duplex>,
    begun: bool,
    _tasks: Tasks<()>,
}

/// What the server sent.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    pub(crate) replies: Vec<u32>,
    data: BTreeMap<u32, Vec<u8>>,
    ended: Vec<u32>,
}

impl Heard {
    pub(crate) fn text(&self, stream: u32) -> &str {
        self.data.get(&stream).map_or("", |data| std::str::from_utf8(data).unwrap())
    }
}

impl Client {
    pub(crate) async fn open(stream: DuplexStream, target: &str, versions: &[&'static str]) -> Self {
        let offers = versions.iter().map(|version| ("x-stream-protocol-version", *version));
        let headers: Vec<_> = [("upgrade", "SPDY/3.1")].into_iter().chain(offers).collect();
        let (connection, headers, tasks) = upgrade(stream, target, &headers).await;
        assert_eq!(headers["x-stream-protocol-version"], versions[0]);
        Self::over(connection, tasks)
    }

    pub(crate) fn over(
        connection: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        tasks: Tasks<()>,
    ) -> Self {
        Self { connection: Box::new(connection), begun: false, _tasks: tasks }
    }

    pub(crate) async fn open_stream(&mut self, number: u32, headers: &[(&str, &str)]) {
        let block = self.block(headers);
        let length = u32::try_from(10 + block.len()).unwrap();
        let mut frame = vec![0x80, 3, 0, 1];
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(&number.to_be_bytes());
        frame.extend_from_slice(&[0; 6]);
        frame.extend_from_slice(&block);
        self.connection.write_all(&frame).await.unwrap();
    }

    /// Headers in a stored block of the connection's one stream of zlib.
    fn block(&mut self, headers: &[(&str, &str)]) -> Vec<u8> {
        let mut plain = u32::try_from(headers.len()).unwrap().to_be_bytes().to_vec();
        for text in headers.iter().flat_map(|(name, value)| [name, value]) {
            plain.extend_from_slice(&u32::try_from(text.len()).unwrap().to_be_bytes());
            plain.extend_from_slice(text.as_bytes());
        }
        let length = u16::try_from(plain.len()).unwrap();
        let mut block = if self.begun { vec![] } else { vec![0x78, 0x01] };
        self.begun = true;
        block.push(0);
        block.extend_from_slice(&length.to_le_bytes());
        block.extend_from_slice(&(!length).to_le_bytes());
        block.extend_from_slice(&plain);
        block
    }

    pub(crate) async fn write(&mut self, stream: u32, data: &[u8], last: bool) {
        let length = u32::try_from(data.len()).unwrap() | if last { 1 << 24 } else { 0 };
        let frame = [&stream.to_be_bytes(), &length.to_be_bytes(), data].concat();
        self.connection.write_all(&frame).await.unwrap();
    }

    /// Everything until the server goes away.
    pub(crate) async fn rest(&mut self) -> Heard {
        let mut heard = Heard::default();
        while self.hear(&mut heard).await {}
        heard
    }

    /// Everything until these streams have ended.
    pub(crate) async fn until_last(&mut self, streams: &[u32]) -> Heard {
        let mut heard = Heard::default();
        while !streams.iter().all(|stream| heard.ended.contains(stream)) {
            assert!(self.hear(&mut heard).await, "the server went away: {heard:?}");
        }
        heard
    }

    async fn hear(&mut self, heard: &mut Heard) -> bool {
        let mut head = [0; 8];
        if self.connection.read_exact(&mut head).await.is_err() {
            return false;
        }
        let word = u32::from_be_bytes(head[..4].try_into().unwrap());
        let length = u32::from_be_bytes(head[4..].try_into().unwrap()) & 0xff_ffff;
        let mut body = vec![0; length.try_into().unwrap()];
        self.connection.read_exact(&mut body).await.unwrap();
        match word {
            0x8003_0002 => heard.replies.push(u32::from_be_bytes(body[..4].try_into().unwrap())),
            0x8003_0007 => return false,
            stream if stream >> 31 == 0 => {
                heard.data.entry(stream).or_default().extend_from_slice(&body);
                if head[4] & 1 == 1 {
                    heard.ended.push(stream);
                }
            }
            _ => {}
        }
        true
    }
}
