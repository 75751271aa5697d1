//! Reading a log file, from wherever it is to be read, and following it: across renames, without ever asking twice.
//!
//! The shim renames a log that has grown and starts a new one. Whoever follows it is woken by the kernel for every change in the
//! folder, and stops when the container has ended: by then all its output is in the file.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use http::Request;
use hyper::body::Incoming as RequestBody;
use rustix::fs::inotify;
use task::Carrier;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;
use tracing::debug;
use transport::websocket::{self, Role};

use super::body::{self, written};
use super::log::{Options, Shown};
use super::upgrade::{Connection, carry, refused, together};
use super::{Answer, Container, Log, Refusal};

/// How much is read at once.
const READ: usize = 32 * 1024;

/// What a WebSocket carries: the log's bytes, in messages without meaning of their own. The empty name is for those who name none.
const MESSAGES: [&str; 2] = ["", "binary.k8s.io"];

/// Starts to answer. A log that is not there is an error only now.
pub(super) async fn answer(
    mut request: Request<RequestBody>,
    carrier: &Carrier,
    log: Log,
    options: Options,
) -> Result<Answer, Refusal> {
    let reader = Reader::open(log.path, options.tail)
        .map_err(|error| Refusal::internal(format!("failed to open log file: {error}")))?;
    let writer = log.writer.filter(|_| options.follow);
    let tell = move |sender| tell(reader, writer, Out { shown: Shown::new(options), sender });
    let upgrade = hyper::upgrade::on(&mut request);
    if !websocket::is_requested(request.headers()) {
        let mut answer = body::text(Bytes::new());
        *answer.body_mut() = written(tell);
        return Ok(answer);
    }
    let (response, _) = websocket::accept(request.headers(), &MESSAGES).map_err(|error| refused(&error))?;
    carry(carrier, upgrade, |connection| in_messages(connection, tell)).await?;
    Ok(response.map(|()| body::empty()))
}

async fn tell(mut reader: Reader, writer: Option<Container>, mut out: Out) {
    let told = match writer {
        Some(writer) => reader.follow(&writer, &mut out).await,
        None => reader.read_rest(&mut out).await,
    };
    if let Err(error) = told {
        // Half an answer is sent; there is no place for words in it.
        debug!(%error, "a log broke off");
    }
}

async fn in_messages<F: Future<Output = ()>>(
    connection: Connection,
    tell: impl FnOnce(mpsc::Sender<Bytes>) -> F,
) {
    let (mut inner, carrying) = websocket::tunnel(connection, Role::Server);
    let (sender, mut chunks) = mpsc::channel::<Bytes>(1);
    let pass = async move {
        while let Some(chunk) = chunks.recv().await {
            if inner.write_all(&chunk).await.is_err() {
                return;
            }
        }
        let _gone = inner.shutdown().await;
    };
    let work = async {
        tokio::join!(tell(sender), pass);
    };
    together(carrying, work).await;
}

/// Where lines go.
struct Out {
    shown: Shown,
    sender: mpsc::Sender<Bytes>,
}

impl Out {
    /// Fails when nobody reads any more.
    async fn send(&mut self, text: BytesMut) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.sender.send(text.freeze()).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

struct Reader {
    path: PathBuf,
    file: File,
    /// The beginning of a line that is not wholly written yet.
    begun: Vec<u8>,
    buffer: Vec<u8>,
}

impl Reader {
    fn open(path: PathBuf, tail: Option<u64>) -> io::Result<Self> {
        let mut file = File::open(&path)?;
        if let Some(lines) = tail {
            let from = beginning_of(&mut file, lines)?;
            file.seek(SeekFrom::Start(from))?;
        }
        Ok(Self { path, file, begun: Vec::new(), buffer: vec![0; READ] })
    }

    async fn read_rest(&mut self, out: &mut Out) -> io::Result<()> {
        loop {
            // A log was written a moment ago: what is read is in memory.
            let length = self.file.read(&mut self.buffer)?;
            if length == 0 || out.shown.is_over() {
                return Ok(());
            }
            let mut text = BytesMut::new();
            for piece in self.buffer[..length].split_inclusive(|byte| *byte == b'\n') {
                self.begun.extend_from_slice(piece);
                if self.begun.last() == Some(&b'\n') {
                    out.shown.line(&self.begun[..self.begun.len() - 1], &mut text);
                    self.begun.clear();
                }
            }
            out.send(text).await?;
        }
    }

    async fn follow(&mut self, writer: &Container, out: &mut Out) -> io::Result<()> {
        let changes = Changes::of(self.path.parent().unwrap_or(Path::new("/")))?;
        let ended = writer.pod.wait(&writer.id);
        tokio::pin!(ended);
        loop {
            self.read_all_files(out).await?;
            if out.shown.is_over() {
                return Ok(());
            }
            tokio::select! {
                changed = changes.next() => changed?,
                // Whatever became of it, it writes no more.
                _ = &mut ended => return self.read_all_files(out).await,
                () = out.sender.closed() => return Ok(()),
            }
        }
    }

    /// Also of the files that were begun since.
    async fn read_all_files(&mut self, out: &mut Out) -> io::Result<()> {
        loop {
            // Looked for first: once there is a new file nothing more comes into the old one.
            let next = self.next_file()?;
            self.read_rest(out).await?;
            match next {
                Some(next) => self.file = next,
                None => return Ok(()),
            }
        }
    }

    /// The file that was begun after this one. Old ones carry the time in their names; the oldest goes when there are too many,
    /// and a reader that far behind goes on with the oldest that is left.
    fn next_file(&self) -> io::Result<Option<File>> {
        let mut files = old_files(&self.path)?;
        files.push(self.path.clone());
        let ours = self.file.metadata()?;
        let is_ours = |path: &PathBuf| {
            fs::metadata(path).is_ok_and(|other| (other.ino(), other.dev()) == (ours.ino(), ours.dev()))
        };
        let after = files.iter().position(is_ours).map_or(0, |position| position + 1);
        match files.get(after).map(File::open) {
            None => Ok(None),
            Some(Ok(next)) => Ok(Some(next)),
            // Renamed, and the new one is not there yet; or the log was removed.
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Some(Err(error)) => Err(error),
        }
    }
}

/// The renamed files of a log, the oldest first.
fn old_files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Ok(Vec::new());
    };
    let prefix = format!("{name}.");
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let is_old = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(&prefix))
    };
    let mut old: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(is_old).collect();
    old.sort();
    Ok(old)
}

/// Where the last `lines` lines begin.
fn beginning_of(file: &mut File, lines: u64) -> io::Result<u64> {
    let mut end = file.seek(SeekFrom::End(0))?;
    // The newline that ends the line before is one more.
    let mut missing = lines + 1;
    let mut block = vec![0; READ];
    while end > 0 {
        let begin = end.saturating_sub(READ as u64);
        let length = usize::try_from(end - begin).unwrap_or(READ);
        file.seek(SeekFrom::Start(begin))?;
        file.read_exact(&mut block[..length])?;
        for (index, _) in block[..length].iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            missing -= 1;
            if missing == 0 {
                return Ok(begin + index as u64 + 1);
            }
        }
        end = begin;
    }
    Ok(0)
}

/// The kernel's word that something in a folder changed.
struct Changes(pipe::Receiver);

impl Changes {
    fn of(folder: &Path) -> io::Result<Self> {
        let descriptor = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        let flags = inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
        inotify::add_watch(&descriptor, folder, flags)?;
        // No pipe, but read and waited for like one.
        Ok(Self(pipe::Receiver::from_owned_fd_unchecked(descriptor)?))
    }

    /// Waits for at least one change. What changed is found by looking.
    async fn next(&self) -> io::Result<()> {
        self.0.readable().await?;
        let mut events = [0; 4096];
        loop {
            match self.0.try_read(&mut events) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::query::Query;

    fn line(text: &str) -> String {
        format!("2026-11-21T09:00:00.000000000Z stdout F {text}\n")
    }

    async fn read(path: &Path, query: &str) -> String {
        let options = Options::parse(&Query::parse(query)).unwrap();
        let mut reader = Reader::open(path.to_owned(), options.tail).unwrap();
        let (sender, mut receiver) = mpsc::channel(1);
        let mut out = Out { shown: Shown::new(options), sender };
        let reading = async {
            reader.read_rest(&mut out).await.unwrap();
            drop(out);
        };
        let collecting = async {
            let mut text = Vec::new();
            while let Some(chunk) = receiver.recv().await {
                text.extend_from_slice(&chunk);
            }
            String::from_utf8(text).unwrap()
        };
        tokio::join!(reading, collecting).1
    }

    #[tokio::test]
    async fn the_last_lines_of_logs_of_any_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.log");
        for count in [0, 1, 5, 3000] {
            fs::write(&path, (0..count).map(|number| line(&number.to_string())).collect::<String>()).unwrap();
            for tail in [0, 1, 4, 2000, 10_000] {
                let first = count - tail.min(count);
                let expected: String = (first..count).map(|number| format!("{number}\n")).collect();
                assert!(read(&path, &format!("tailLines={tail}")).await == expected, "{tail} of {count}");
            }
        }
    }

    #[tokio::test]
    async fn a_limit_ends_the_answer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.log");
        fs::write(&path, (0..5000).map(|_| line("0123456789")).collect::<String>()).unwrap();
        assert_eq!(read(&path, "limitBytes=12345").await.len(), 12345);
    }

    #[tokio::test]
    async fn rotations_lose_no_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.log");
        fs::write(&path, line("one")).unwrap();
        let changes = Changes::of(folder.path()).unwrap();
        let mut reader = Reader::open(path.clone(), None).unwrap();
        let (sender, mut receiver) = mpsc::channel(16);
        let mut out = Out { shown: Shown::new(Options::default()), sender };
        reader.read_all_files(&mut out).await.unwrap();
        let append = |text: &str| {
            use std::io::Write;
            let mut file = fs::OpenOptions::new().append(true).create(true).open(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        append(&line("two"));
        changes.next().await.unwrap();
        fs::rename(&path, folder.path().join("0.log.20261121-1")).unwrap();
        append(&line("three"));
        fs::rename(&path, folder.path().join("0.log.20261121-2")).unwrap();
        append("2026-11-21T09:00:00.000000000Z stdout F fo");
        reader.read_all_files(&mut out).await.unwrap();
        append("ur\n");
        reader.read_all_files(&mut out).await.unwrap();
        drop(out);
        let mut text = String::new();
        while let Some(chunk) = receiver.recv().await {
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        assert_eq!(text, "one\ntwo\nthree\nfour\n");
    }
}
