//! Reads tar archives that strangers made.
//!
//! The `tar` crate reads extension headers of any length into memory and splits them at newlines, which binary
//! attributes such as `security.capability` contain. Here an extension is at most [`MAX_EXTENSION`] long, and nothing is
//! read ahead: one block, one entry, one stream.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::Timespec;
use tar::{EntryType, Header};

const BLOCK: u64 = 512;
const MAX_EXTENSION: u64 = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read it")]
    Read(#[from] io::Error),
    #[error("it is no tar archive: a header has the wrong checksum")]
    Checksum,
    #[error("a header of it is damaged")]
    Header,
    #[error("an extended header of it is damaged")]
    Extension,
    #[error("an extended header of it is {0} bytes long")]
    TooLong(u64),
    #[error("{path} is of the unknown kind {kind:?}")]
    Kind { path: PathBuf, kind: char },
    #[error("{0} is a sparse file, which images must not hold")]
    Sparse(PathBuf),
}

#[derive(Debug)]
pub(crate) struct Entry {
    /// As it stands in the archive: nothing says that it stays inside.
    pub(crate) path: PathBuf,
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) modified: Timespec,
    /// Extended attributes.
    pub(crate) attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    Symlink(PathBuf),
    HardLink(PathBuf),
    Character { major: u32, minor: u32 },
    Block { major: u32, minor: u32 },
    Fifo,
}

pub(crate) struct Archive<R> {
    stream: R,
    /// Content of the current entry that nobody read yet, and what fills its last block.
    content: u64,
    padding: u64,
}

/// What extension headers say about the entry after them.
#[derive(Default)]
struct Extensions {
    path: Option<PathBuf>,
    link: Option<PathBuf>,
    size: Option<u64>,
    uid: Option<u32>,
    gid: Option<u32>,
    modified: Option<Timespec>,
    sparse: bool,
    attributes: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A stream with parts that nobody wants to see.
pub(crate) trait Skip: Read + Sized {
    fn skip(&mut self, count: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.by_ref().take(count), &mut io::sink())?;
        if skipped == count { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

impl<R: Skip> Archive<R> {
    pub(crate) fn new(stream: R) -> Self {
        Self { stream, content: 0, padding: 0 }
    }

    /// The next entry; what is left of the one before is passed over.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, Error> {
        let mut extensions = Extensions::default();
        loop {
            self.skip(self.content + self.padding)?;
            let Some(header) = self.header()? else { return Ok(None) };
            let size = match extensions.size {
                Some(size) if !is_extension(&header) => size,
                _ => numeric(&header.as_old().size)?,
            };
            (self.content, self.padding) = (size, size.wrapping_neg() % BLOCK);
            match header.entry_type() {
                EntryType::XHeader => extensions.read_pax(&self.extension()?)?,
                EntryType::GNULongName => extensions.path = Some(path(&self.extension()?)),
                EntryType::GNULongLink => extensions.link = Some(path(&self.extension()?)),
                // Comments and the like, for the archive as a whole.
                EntryType::XGlobalHeader => {}
                _ => return self.entry(&header, extensions).map(Some),
            }
        }
    }

    fn entry(&mut self, header: &Header, extensions: Extensions) -> Result<Entry, Error> {
        let path = extensions.path.unwrap_or_else(|| path(&header.path_bytes()));
        let link =
            || extensions.link.clone().or_else(|| header.link_name_bytes().map(|link| self::path(&link)));
        let kind = match header.entry_type() {
            _ if extensions.sparse => return Err(Error::Sparse(path)),
            EntryType::GNUSparse => return Err(Error::Sparse(path)),
            // Before there were folders in headers, a slash at the end made one.
            EntryType::Regular if path.as_os_str().as_bytes().ends_with(b"/") => Kind::Folder,
            EntryType::Regular | EntryType::Continuous => Kind::File,
            EntryType::Directory => Kind::Folder,
            EntryType::Symlink => Kind::Symlink(link().unwrap_or_default()),
            EntryType::Link => Kind::HardLink(link().unwrap_or_default()),
            EntryType::Char => device(header).map(|(major, minor)| Kind::Character { major, minor })?,
            EntryType::Block => device(header).map(|(major, minor)| Kind::Block { major, minor })?,
            EntryType::Fifo => Kind::Fifo,
            other => return Err(Error::Kind { path, kind: char::from(other.as_byte()) }),
        };
        if kind != Kind::File {
            // Some tools write the target's size into the header of a link, and no content.
            (self.content, self.padding) = (0, 0);
        }
        Ok(Entry {
            path,
            kind,
            mode: id(&header.as_old().mode)? & 0o7777,
            uid: extensions.uid.map_or_else(|| id(&header.as_old().uid), Ok)?,
            gid: extensions.gid.map_or_else(|| id(&header.as_old().gid), Ok)?,
            modified: extensions.modified.unwrap_or_else(|| modified(header)),
            attributes: extensions.attributes,
        })
    }

    /// `None` at the end, which is an empty block, or that of the stream.
    fn header(&mut self) -> Result<Option<Header>, Error> {
        let mut header = Header::new_old();
        let block = header.as_mut_bytes();
        if !read_whole(&mut self.stream, block)? || block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let sum = checksum(header.as_bytes());
        let same = id(&header.as_old().cksum).is_ok_and(|said| said == sum);
        if same { Ok(Some(header)) } else { Err(Error::Checksum) }
    }

    fn extension(&mut self) -> Result<Vec<u8>, Error> {
        if self.content > MAX_EXTENSION {
            return Err(Error::TooLong(self.content));
        }
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn skip(&mut self, count: u64) -> Result<(), Error> {
        self.stream.skip(count)?;
        (self.content, self.padding) = (0, 0);
        Ok(())
    }

    /// How much of the current entry's content was not read yet.
    pub(crate) fn left(&self) -> u64 {
        self.content
    }

    /// Reads on to the end of the stream and gives it back.
    pub(crate) fn finish(mut self) -> io::Result<R> {
        io::copy(&mut self.stream, &mut io::sink())?;
        Ok(self.stream)
    }
}

/// The content of the current entry.
impl<R: Skip> Read for Archive<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.content).map_or(buffer.len(), |content| content.min(buffer.len()));
        let count = self.stream.read(&mut buffer[..wanted])?;
        if count == 0 && wanted > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.content -= count as u64;
        Ok(count)
    }
}

impl Extensions {
    /// Records of the form `LENGTH KEY=VALUE\n`, where the length counts the whole record.
    fn read_pax(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let (length, _) = split_once(bytes, b' ').ok_or(Error::Extension)?;
            let total: usize = number(length)?;
            let record = bytes.get(length.len() + 1..total).ok_or(Error::Extension)?;
            let record = record.strip_suffix(b"\n").ok_or(Error::Extension)?;
            let (key, value) = split_once(record, b'=').ok_or(Error::Extension)?;
            self.set(key, value)?;
            bytes = &bytes[total..];
        }
        Ok(())
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Error> {
        match key {
            b"path" => self.path = Some(path(value)),
            b"linkpath" => self.link = Some(path(value)),
            b"size" => self.size = Some(number(value)?),
            b"uid" => self.uid = Some(number(value)?),
            b"gid" => self.gid = Some(number(value)?),
            b"mtime" => self.modified = Some(timestamp(value)?),
            _ if key.starts_with(b"GNU.sparse.") => self.sparse = true,
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.attributes.push((name.to_vec(), value.to_vec()));
                }
            }
        }
        Ok(())
    }
}

fn is_extension(header: &Header) -> bool {
    use EntryType::{GNULongLink, GNULongName, XGlobalHeader, XHeader};
    matches!(header.entry_type(), XHeader | XGlobalHeader | GNULongName | GNULongLink)
}

/// False when the stream ended before the first byte.
fn read_whole(stream: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..])? {
            0 if filled == 0 => return Ok(false),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => filled += count,
        }
    }
    Ok(true)
}

/// The sum of all bytes, those of the sum itself counted as spaces.
fn checksum(block: &[u8; 512]) -> u32 {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    sum(&block[..148]) + 8 * u32::from(b' ') + sum(&block[156..])
}

/// Names of the GNU kind end with a zero.
fn path(bytes: &[u8]) -> PathBuf {
    OsStr::from_bytes(bytes.strip_suffix(b"\0").unwrap_or(bytes)).into()
}

fn id(field: &[u8]) -> Result<u32, Error> {
    u32::try_from(numeric(field)?).map_err(|_| Error::Header)
}

/// Major and minor number, which all kinds of headers have in the same place.
fn device(header: &Header) -> Result<(u32, u32), Error> {
    let block = header.as_bytes();
    Ok((id(&block[329..337])?, id(&block[337..345])?))
}

/// A file without a sensible time is of 1970.
fn modified(header: &Header) -> Timespec {
    let seconds = numeric(&header.as_old().mtime).ok().and_then(|seconds| i64::try_from(seconds).ok());
    Timespec { tv_sec: seconds.unwrap_or_default(), tv_nsec: 0 }
}

/// Octal digits, nothing at all, or for what is too large a marked binary number.
fn numeric(field: &[u8]) -> Result<u64, Error> {
    if let [0x80, rest @ ..] = field {
        let digits = rest.iter().try_fold(0_u64, |sum, byte| Some(sum.checked_mul(256)? + u64::from(*byte)));
        return digits.ok_or(Error::Header);
    }
    let digits = field.split(|byte| *byte == 0).next().unwrap_or_default().trim_ascii();
    if digits.is_empty() {
        return Ok(0);
    }
    let digits = std::str::from_utf8(digits).map_err(|_| Error::Header)?;
    u64::from_str_radix(digits, 8).map_err(|_| Error::Header)
}

/// `SECONDS.FRACTION`, of which the kernel keeps nine digits.
fn timestamp(text: &[u8]) -> Result<Timespec, Error> {
    let (seconds, fraction) = split_once(text, b'.').unwrap_or((text, b""));
    let nanoseconds: String =
        String::from_utf8_lossy(fraction).chars().chain("000000000".chars()).take(9).collect();
    let (seconds, nanoseconds): (i64, u32) = (number(seconds)?, number(nanoseconds.as_bytes())?);
    // Before 1970 the fraction counts backwards; such a file loses it.
    let nanoseconds = if text.starts_with(b"-") { 0 } else { nanoseconds };
    Ok(Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() })
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Result<T, Error> {
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(Error::Extension)
}

fn split_once(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let position = bytes.iter().position(|byte| *byte == at)?;
    Some((&bytes[..position], &bytes[position + 1..]))
}
