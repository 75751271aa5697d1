//! What a layer is compressed with, by its first bytes: media types have been wrong too often.

use std::io::{self, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

use super::tar::Skip;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const BUFFER: usize = 32 << 10;
/// 32 MiB, of which a frame says itself how much it takes: tools use 8 at their best, and a board has few.
const MAX_ZSTD_WINDOW: u32 = 25;

type Opened<R> = io::Chain<Cursor<Vec<u8>>, R>;

pub(crate) enum Decompressed<R: Read> {
    Plain(Opened<R>),
    Gzip(Box<MultiGzDecoder<BufReader<Opened<R>>>>),
    Zstd(zstd::Decoder<'static, BufReader<Opened<R>>>),
}

impl<R: Read> Decompressed<R> {
    pub(crate) fn new(mut stream: R) -> io::Result<Self> {
        let mut start = Vec::with_capacity(ZSTD.len());
        stream.by_ref().take(ZSTD.len() as u64).read_to_end(&mut start)?;
        let (gzip, zstd) = (start.starts_with(&GZIP), start.starts_with(&ZSTD));
        let stream = Cursor::new(start).chain(stream);
        if gzip {
            let buffered = BufReader::with_capacity(BUFFER, stream);
            Ok(Self::Gzip(Box::new(MultiGzDecoder::new(buffered))))
        } else if zstd {
            let buffered = BufReader::with_capacity(BUFFER, stream);
            let mut decoder = zstd::Decoder::with_buffer(buffered)?;
            decoder.window_log_max(MAX_ZSTD_WINDOW)?;
            Ok(Self::Zstd(decoder))
        } else {
            Ok(Self::Plain(stream))
        }
    }

    /// The compressed stream, which may have more to read.
    pub(crate) fn into_inner(self) -> R {
        match self {
            Self::Plain(stream) => stream.into_inner().1,
            Self::Gzip(decoder) => decoder.into_inner().into_inner().into_inner().1,
            Self::Zstd(decoder) => decoder.finish().into_inner().into_inner().1,
        }
    }
}

impl<R: Read> Read for Decompressed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Gzip(stream) => stream.read(buffer),
            Self::Zstd(stream) => stream.read(buffer),
        }
    }
}

impl<R: Read> Skip for Decompressed<R> {}
