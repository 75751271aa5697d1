//! Changes as they happen.
//!
//! A watcher is polled by its own connection: it waits on the store's topic, and nobody waits for it. One that falls out
//! of the window is told 410 and ends; its client lists again. The bytes of an object are copied from the store once
//! per watcher and never encoded again.
//!
//! A chunk holds one large object or many small ones: whoever watches a hundred Secrets of a megabyte is not sent a hundred
//! megabytes at a time.
//!
//! What there is when a watch begins is told as a list is: a chunk at a time as the client takes it, from a snapshot that is
//! dropped after the last. Twenty clients that begin with all Secrets hold twenty chunks.

use std::fmt::Write;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::time::Duration;
use std::vec;

use api::field::Node;
use api::kinds::Kind;
use api::status::Status;
use api::value::text;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use serde_json::{Value, json};
use store::{Event, Revision, RevisionError, Snapshot, Store, Watch, WatchError};
use tokio::time::{Instant, Sleep, sleep_until};

use super::list::{CHUNK, not_before};
use crate::answer::{self, Answer};
use crate::body::whole;
use crate::object::selected::Selected;
use crate::object::stored::{self, Head};
use crate::random;
use crate::request::{Accept, Request, RowObject};

/// A watch that names no end lasts between one and two of these.
const LASTS: Duration = Duration::from_secs(30 * 60);
/// Quiet watchers learn this often how far time has come. All at the same moment, so that they wake the machine once.
const BOOKMARKS: Duration = Duration::from_secs(60);
/// What a line has beside the stored bytes of its object, at most.
const LINE: usize = 128;

pub(crate) fn watch(store: &Store, request: &Request) -> Result<Answer, Status> {
    let selected = Selected::new(request)?;
    let scope = stored::collection(request.kind(), request.namespace());
    let (revision, initial) = match Start::of(store, request)? {
        Start::After(revision) => (revision, None),
        Start::Now => {
            let snapshot = store.snapshot(&scope);
            (snapshot.revision(), Some(snapshot))
        }
    };
    let watch = match store.watch(&scope, revision) {
        Ok(watch) => watch,
        Err(RevisionError::Future { current }) => {
            return Err(Status::too_large_resource_version(revision.get(), current.get()));
        }
        // As upstream: the watch begins, and this is what happens in it.
        Err(RevisionError::Compacted { oldest }) => {
            let line = failure(&too_old(revision, oldest));
            return Ok(answer::json(StatusCode::OK, whole(line)));
        }
    };
    let (bookmarks, end) = (request.query.flag("allowWatchBookmarks"), Instant::now() + lasts(request)?);
    let marked = bookmarks && request.query.flag("sendInitialEvents");
    let watcher = Watcher {
        head: Head::of(request.kind()),
        kind: request.kind(),
        accept: request.accept,
        has_columns: false,
        selected,
        initial: initial.map(|snapshot| Initial { snapshot, after: String::new(), marked }),
        watch,
        events: Vec::new().into_iter(),
        bookmarks,
        end,
        alarm: Box::pin(sleep_until(next_alarm(bookmarks, end))),
        sent: revision,
        over: false,
    };
    let chunks = futures_util::stream::unfold(watcher, |mut watcher| async move {
        let chunk = watcher.next().await?;
        Some((chunk, watcher))
    });
    Ok(answer::json(StatusCode::OK, answer::streamed(chunks)))
}

enum Start {
    /// What there is, then what happens.
    Now,
    After(Revision),
}

impl Start {
    fn of(store: &Store, request: &Request) -> Result<Self, Status> {
        let revision = request.query.revision().map_err(|why| invalid(request, why))?;
        let revision = revision.unwrap_or(Revision::new(0));
        if request.query.text("sendInitialEvents").is_some() {
            not_before(store, revision)?;
            return Ok(match (request.query.flag("sendInitialEvents"), revision.get()) {
                (true, _) => Self::Now,
                // Nothing of what there is, only what happens.
                (false, 0) => Self::After(store.revision()),
                (false, _) => Self::After(revision),
            });
        }
        Ok(if revision.get() == 0 { Self::Now } else { Self::After(revision) })
    }
}

fn invalid(request: &Request, why: String) -> Status {
    let value = json!({"resourceVersion": request.query.text("resourceVersion")});
    let error = Node::root(&value).at("resourceVersion").invalid(why);
    Status::invalid(request.subject(), "", &[error])
}

fn lasts(request: &Request) -> Result<Duration, Status> {
    let asked = request.query.number("timeoutSeconds")?.and_then(|seconds| u64::try_from(seconds).ok());
    Ok(asked.filter(|seconds| *seconds > 0).map_or_else(
        || LASTS + LASTS * u32::from(u16::from_le_bytes(random::bytes())) / u32::from(u16::MAX),
        |seconds| Duration::from_secs(seconds.min(24 * 60 * 60)),
    ))
}

fn too_old(revision: Revision, oldest: Revision) -> Status {
    Status::expired(&format!("too old resource version: {revision} ({oldest})"))
}

/// What a watcher is told before its watch ends.
fn failure(status: &Status) -> String {
    format!("{}\n", json!({"type": "ERROR", "object": status.to_value()}))
}

/// What there was when the watch began, as far as it is still to be told.
struct Initial {
    snapshot: Snapshot,
    /// The last key that was told; empty before the first.
    after: String,
    /// Whether its end is told as well.
    marked: bool,
}

struct Watcher {
    head: Head,
    kind: &'static Kind,
    accept: Accept,
    /// Whether the client was told the columns of its table.
    has_columns: bool,
    selected: Selected,
    initial: Option<Initial>,
    watch: Watch,
    /// What happened and is still to be told.
    events: vec::IntoIter<Event>,
    bookmarks: bool,
    end: Instant,
    /// When there is something to do though nothing happens. Kept: a timer per change would cost more than the change.
    alarm: Pin<Box<Sleep>>,
    /// What the client knows it has seen.
    sent: Revision,
    over: bool,
}

impl Watcher {
    /// The next lines; none when the watch is over.
    async fn next(&mut self) -> Option<Bytes> {
        while !self.over {
            let mut out = BytesMut::new();
            match self.initial.take() {
                Some(initial) => self.initial = self.begin(initial, &mut out),
                None => self.go_on(&mut out).await,
            }
            if !out.is_empty() {
                return Some(out.freeze());
            }
        }
        None
    }

    /// A chunk of what there was, and what is left of it.
    fn begin(&mut self, initial: Initial, out: &mut BytesMut) -> Option<Initial> {
        let filled = initial.snapshot.iter_after(&initial.after).try_for_each(|entry| {
            // What cannot be read matches nothing.
            if self.selected.matches(self.kind, entry).unwrap_or(false) {
                self.line("ADDED", entry, entry.modified(), out);
            }
            if out.len() < CHUNK {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(entry.key().to_owned())
            }
        });
        if let ControlFlow::Break(after) = filled {
            return Some(Initial { after, ..initial });
        }
        if initial.marked {
            self.bookmark(self.sent, true, out);
        }
        None
    }

    /// What happens next.
    async fn go_on(&mut self, out: &mut BytesMut) {
        if self.events.as_slice().is_empty() {
            self.wait(out).await;
        }
        while out.len() < CHUNK
            && let Some(event) = self.events.next()
        {
            self.show(&event, out);
            self.sent = event.revision();
        }
    }

    async fn wait(&mut self, out: &mut BytesMut) {
        tokio::select! {
            biased;
            () = &mut self.alarm => {
                self.tell_progress(out);
                self.over = self.end <= Instant::now();
                self.alarm.as_mut().reset(next_alarm(self.bookmarks, self.end));
            }
            events = self.watch.next() => match events {
                Ok(events) => self.events = events.into_iter(),
                Err(WatchError::Compacted { oldest }) => {
                    out.extend_from_slice(failure(&too_old(self.sent, oldest)).as_bytes());
                    self.over = true;
                }
                Err(WatchError::Stopped) => self.over = true,
            },
        }
    }

    /// An object that begins to match is added, one that no longer does is deleted, whatever happened to it.
    fn show(&mut self, event: &Event, out: &mut BytesMut) {
        // What cannot be read matches nothing.
        let matches = |entry: &&store::Entry| self.selected.matches(self.kind, entry).unwrap_or(false);
        match (event.previous().filter(matches), event.entry().filter(matches)) {
            (None, Some(new)) => self.line("ADDED", new, event.revision(), out),
            (Some(_), Some(new)) => self.line("MODIFIED", new, event.revision(), out),
            (Some(old), None) => self.line("DELETED", old, event.revision(), out),
            (None, None) => {}
        }
    }

    fn line(&mut self, what: &str, entry: &store::Entry, revision: Revision, out: &mut BytesMut) {
        out.reserve(entry.value().len() + LINE);
        write!(out, r#"{{"type":"{what}","object":"#).expect("a buffer takes all that is written");
        match self.accept {
            Accept::Json => self.head.write_at(entry, revision, out),
            Accept::Partial | Accept::PartialList => self.head.write_partial(entry, revision, out),
            Accept::Table(version, carried) => {
                let table = self.head.decode(entry).map(|mut object| {
                    stored::set_revision(&mut object, revision);
                    self.row(version, carried, object)
                });
                out.extend_from_slice(table.unwrap_or_default().to_string().as_bytes());
            }
        }
        out.extend_from_slice(b"}\n");
    }

    /// An object as a table of one row. As upstream, only the first event of a watch says what the columns are.
    fn row(&mut self, version: &str, carried: RowObject, object: Value) -> Value {
        let metadata = json!({"resourceVersion": text(&object, "metadata.resourceVersion")});
        let told = std::mem::replace(&mut self.has_columns, true);
        let table = if told { answer::rows } else { answer::table };
        table(self.kind.table, version, carried, &metadata, vec![object])
    }

    fn tell_progress(&mut self, out: &mut BytesMut) {
        let progress = self.watch.progress();
        if self.bookmarks && progress > self.sent {
            self.sent = progress;
            self.bookmark(progress, false, out);
        }
    }

    /// Of the same form as the objects: a client of metadata or tables decodes nothing else.
    fn bookmark(&mut self, revision: Revision, initial_events_end: bool, out: &mut BytesMut) {
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if initial_events_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object =
            json!({"kind": self.kind.kind, "apiVersion": self.kind.api_version(), "metadata": metadata});
        let object = match self.accept {
            Accept::Json => object,
            Accept::Partial | Accept::PartialList => answer::partial(object),
            Accept::Table(version, carried) => self.row(version, carried, object),
        };
        out.extend_from_slice(format!("{}\n", json!({"type": "BOOKMARK", "object": object})).as_bytes());
    }
}

/// When a watch ends, or when it is time for a bookmark before.
fn next_alarm(bookmarks: bool, end: Instant) -> Instant {
    if bookmarks { end.min(next_minute()) } else { end }
}

/// The next moment at which all quiet watchers are told.
fn next_minute() -> Instant {
    use std::sync::OnceLock;
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    let began = *BEGAN.get_or_init(Instant::now);
    let passed = began.elapsed().as_secs() / BOOKMARKS.as_secs();
    began + BOOKMARKS * u32::try_from(passed + 1).unwrap_or(u32::MAX)
}
