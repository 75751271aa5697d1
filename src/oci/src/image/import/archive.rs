//! The file of an archive, of which a plain one need not be read where nobody looks.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use crate::image::layer::{Archive, Decompressed, Skip};

pub(super) enum Stream {
    Plain(BufReader<File>),
    Compressed(Decompressed<File>),
}

pub(super) fn open(path: &Path) -> io::Result<Archive<Stream>> {
    let stream = match Decompressed::new(File::open(path)?)? {
        Decompressed::Plain(_) => Stream::Plain(BufReader::new(File::open(path)?)),
        compressed => Stream::Compressed(compressed),
    };
    Ok(Archive::new(stream))
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(buffer),
            Self::Compressed(stream) => stream.read(buffer),
        }
    }
}

impl Skip for Stream {
    fn skip(&mut self, count: u64) -> io::Result<()> {
        match self {
            // Beyond the end of a file that was cut off there is nothing to read, which the next header finds.
            Self::Plain(file) => file.seek_relative(i64::try_from(count).map_err(io::Error::other)?),
            Self::Compressed(stream) => stream.skip(count),
        }
    }
}
