//! Many objects, as they were at one moment.
//!
//! Objects are copied from their stored bytes into chunks as the client takes them: a list of ten thousand holds one
//! chunk, and a snapshot, which is a pointer. Only selectors and tables make objects be read.

use std::ops::ControlFlow;

use api::kinds::Kind;
use api::status::Status;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use serde_json::{Value, json};
use store::{Entry, Revision, RevisionError, Snapshot, Store};

use crate::answer::{self, Answer};
use crate::object::page::Continue;
use crate::object::selected::Selected;
use crate::object::stored::{self, Head};
use crate::request::{Accept, Request};

/// What is made at a time.
pub(super) const CHUNK: usize = 64 * 1024;

pub(crate) fn list(store: &Store, request: &Request) -> Result<Answer, Status> {
    let selected = Selected::new(request)?;
    Page::open(store, request, &selected)?.answer(request.accept, selected)
}

/// What of the objects is in a list.
#[derive(Clone, Copy)]
enum Items {
    Whole,
    /// The metadata.
    Partial,
}

impl Items {
    /// Kind and version of the list.
    fn list_of(self, kind: &Kind) -> (&'static str, String) {
        match self {
            Self::Whole => (kind.list_kind, kind.api_version()),
            Self::Partial => ("PartialObjectMetadataList", "meta.k8s.io/v1".to_owned()),
        }
    }

    fn write(self, head: &Head, entry: &Entry, out: &mut BytesMut) {
        match self {
            Self::Whole => head.write_item(entry, out),
            Self::Partial => head.write_partial(entry, entry.modified(), out),
        }
    }
}

/// Part of a list: where it begins, where it ends and what follows.
pub(super) struct Page {
    kind: &'static Kind,
    snapshot: Snapshot,
    /// The key before the first; empty for the beginning.
    after: String,
    /// The last key; none for the end of the list.
    last: Option<String>,
    remaining: Option<usize>,
}

impl Page {
    pub(super) fn open(store: &Store, request: &Request, selected: &Selected) -> Result<Self, Status> {
        let scope = stored::collection(request.kind(), request.namespace());
        let limit = request.query.number("limit")?.and_then(|limit| usize::try_from(limit).ok());
        let limit = limit.filter(|limit| *limit > 0);
        let (snapshot, after) = match request.query.text("continue") {
            Some(token) => resumed(store, &scope, request, Continue::parse(token)?)?,
            None => (moment(store, &scope, request, limit)?, String::new()),
        };
        let mut page = Self { kind: request.kind(), snapshot, after, last: None, remaining: None };
        if let Some(limit) = limit {
            page.cut(limit, selected)?;
        }
        Ok(page)
    }

    /// Ends the page after `limit` objects, if there are more.
    fn cut(&mut self, limit: usize, selected: &Selected) -> Result<(), Status> {
        let mut matching = Vec::with_capacity(limit.min(1024) + 1);
        for entry in self.snapshot.iter_after(&self.after) {
            if matching.len() > limit {
                break;
            }
            if selected.matches(self.kind, entry)? {
                matching.push(entry.key());
            }
        }
        if matching.len() > limit {
            self.last = matching.get(limit - 1).map(ToString::to_string);
        }
        if let Some(last) = self.last.as_ref().filter(|_| selected.is_everything()) {
            self.remaining = Some(self.snapshot.iter_after(last).count());
        }
        Ok(())
    }

    /// All that lies in the page, selected or not.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries_after(&self.after)
    }

    fn entries_after(&self, key: &str) -> impl Iterator<Item = &Entry> {
        let last = self.last.as_deref();
        self.snapshot.iter_after(key).take_while(move |entry| last.is_none_or(|last| entry.key() <= last))
    }

    /// What is selected of it, in the form that is wanted.
    pub(super) fn answer(self, accept: Accept, selected: Selected) -> Result<Answer, Status> {
        let items = match accept {
            Accept::Json => Items::Whole,
            Accept::Partial | Accept::PartialList => Items::Partial,
            Accept::Table(version, carried) => {
                let mut objects = self.objects(&selected)?;
                if let Some(order) = self.kind.row_order {
                    objects.sort_by_key(order);
                }
                let table = answer::table(self.kind.table, version, carried, &self.metadata(), objects);
                return Ok(answer::value(StatusCode::OK, &table));
            }
        };
        Ok(answer::json(StatusCode::OK, self.stream(items, selected)))
    }

    fn metadata(&self) -> Value {
        let mut metadata = json!({"resourceVersion": self.snapshot.revision().to_string()});
        if let Some(last) = &self.last {
            let token = Continue { revision: Some(self.snapshot.revision()), after: last.clone() };
            metadata["continue"] = token.to_string().into();
        }
        if let Some(remaining) = self.remaining {
            metadata["remainingItemCount"] = remaining.into();
        }
        metadata
    }

    fn objects(&self, selected: &Selected) -> Result<Vec<Value>, Status> {
        let head = Head::of(self.kind);
        let mut objects = Vec::new();
        for entry in self.entries() {
            if selected.matches(self.kind, entry)? {
                objects.push(head.decode(entry).map_err(|error| answer::damaged(entry, &error))?);
            }
        }
        Ok(objects)
    }

    /// The list as JSON, chunk by chunk.
    fn stream(self, items: Items, selected: Selected) -> crate::body::Body {
        let (kind, version) = items.list_of(self.kind);
        let metadata = self.metadata();
        let begin = format!(r#"{{"kind":"{kind}","apiVersion":"{version}","metadata":{metadata},"items":["#);
        let state = Progress {
            head: Head::of(self.kind),
            items,
            after: self.after.clone(),
            page: self,
            selected,
            first: true,
            done: false,
        };
        let chunks = futures_util::stream::unfold((state, Some(begin)), |(mut state, begin)| async move {
            state.chunk(begin).map(|chunk| (chunk, (state, None)))
        });
        answer::streamed(chunks)
    }
}

struct Progress {
    head: Head,
    items: Items,
    page: Page,
    selected: Selected,
    after: String,
    first: bool,
    done: bool,
}

impl Progress {
    fn chunk(&mut self, begin: Option<String>) -> Option<Bytes> {
        if self.done {
            return None;
        }
        let mut out = BytesMut::with_capacity(CHUNK + CHUNK / 4);
        out.extend_from_slice(begin.unwrap_or_default().as_bytes());
        let mut first = self.first;
        let filled = self.page.entries_after(&self.after).try_for_each(|entry| {
            // An object that cannot be read matches nothing: the list is too far on its way to fail.
            if self.selected.matches(self.page.kind, entry).unwrap_or(false) {
                if !std::mem::take(&mut first) {
                    out.extend_from_slice(b",");
                }
                self.items.write(&self.head, entry, &mut out);
            }
            if out.len() >= CHUNK {
                ControlFlow::Break(entry.key().to_string())
            } else {
                ControlFlow::Continue(())
            }
        });
        self.first = first;
        match filled {
            ControlFlow::Break(key) => self.after = key,
            ControlFlow::Continue(()) => {
                out.extend_from_slice(b"]}\n");
                self.done = true;
            }
        }
        Some(out.freeze())
    }
}

/// The list that a token belongs to, and where it goes on. When that moment has left the window the client may go on in the
/// present, with the token that comes with the refusal.
fn resumed(
    store: &Store,
    scope: &str,
    request: &Request,
    token: Continue,
) -> Result<(Snapshot, String), Status> {
    if request.query.text("resourceVersion").is_some_and(|revision| revision != "0") {
        return Err(Status::bad_request("specifying resource version is not allowed when using continue"));
    }
    let snapshot = match token.revision {
        None => Ok(store.snapshot(scope)),
        Some(revision) => store.snapshot_at(scope, revision).map_err(|error| match error {
            RevisionError::Compacted { .. } => {
                let token = Continue { revision: None, after: token.after.clone() };
                Status::continue_expired(&token.to_string())
            }
            RevisionError::Future { current } => {
                Status::too_large_resource_version(revision.get(), current.get())
            }
        }),
    };
    Ok((snapshot?, token.after))
}

/// The state that `resourceVersion` and `resourceVersionMatch` ask for; their combination was checked.
fn moment(store: &Store, scope: &str, request: &Request, limit: Option<usize>) -> Result<Snapshot, Status> {
    let invalid = |why| {
        let value = request.query.text("resourceVersion").unwrap_or_default();
        Status::bad_request(format!(
            "invalid resource version: resourceVersion: Invalid value: {value:?}: {why}"
        ))
    };
    let revision = request.query.revision().map_err(invalid)?.filter(|revision| revision.get() > 0);
    let Some(revision) = revision else { return Ok(store.snapshot(scope)) };
    match request.query.text("resourceVersionMatch") {
        Some("Exact") => at(store, scope, revision),
        // The first page at a revision, as clients asked for it before there was a word for it.
        None if limit.is_some() => at(store, scope, revision),
        _ => {
            not_before(store, revision)?;
            Ok(store.snapshot(scope))
        }
    }
}

/// Refuses a revision that this store has not reached: it is of another cluster, or of one that was restored.
pub(super) fn not_before(store: &Store, revision: Revision) -> Result<(), Status> {
    let current = store.revision();
    if revision <= current {
        return Ok(());
    }
    Err(Status::too_large_resource_version(revision.get(), current.get()))
}

fn at(store: &Store, scope: &str, revision: Revision) -> Result<Snapshot, Status> {
    store.snapshot_at(scope, revision).map_err(|error| match error {
        RevisionError::Compacted { .. } => {
            Status::expired("The resourceVersion for the provided list is too old.")
        }
        RevisionError::Future { current } => {
            Status::too_large_resource_version(revision.get(), current.get())
        }
    })
}
