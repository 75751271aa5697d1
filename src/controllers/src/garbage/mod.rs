//! The garbage collector: what an object owned goes with it, unless it is to be orphaned.
//!
//! ```text
//! watches of metadata, one per kind ─▶ Graph (pure) ─▶ Queue<Work> ─▶ look at the live object and its owners ─▶ act
//! ```
//!
//! Upstream keeps a node for every object of every kind. Here the graph holds only objects that *have* owners, and of their owners
//! no more than where they are said to be: an idle cluster's graph is a few hundred bytes per pod, and objects that own
//! nothing and are owned by nobody cost nothing. Whether an owner exists is asked of the API server, once, when the first
//! object names it; from then on its deletion is seen in the watch of its kind. After a restart the first lists name
//! all owners anew, so one that went while nobody watched is found missing in the same way.
//!
//! What the graph says may be old, so nothing is done on its word alone: each piece of work reads the object and its
//! owners before it writes, and writes only to the very object it read (by uid and revision).

mod collect;
mod follow;
mod graph;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::kinds::{self, Kind, Verb};
use client::{Client, Queue};
use futures_util::future::{join, join_all};

use self::graph::{Graph, Work};

/// Deletions that are under way side by side: they wait for the disk, not for us.
const WORKERS: usize = 8;

pub(crate) async fn run(client: Client) {
    let collector = Collector { client, graph: Arc::default(), queue: Queue::default() };
    let following = watched().map(|kind| collector.follow(kind));
    let work = (0..WORKERS).map(|_| collector.queue.work("garbage", |work| collector.work(work)));
    join(join_all(following), join_all(work)).await;
}

/// Every kind that may own or be owned. Events neither own nor are owned, and there are many.
fn watched() -> impl Iterator<Item = &'static Kind> {
    kinds::all().filter(|kind| {
        let deletable = [Verb::List, Verb::Watch, Verb::Delete].into_iter().all(|verb| kind.allows(verb));
        deletable && kind.conversion.is_none() && kind.kind != "Event"
    })
}

struct Collector {
    client: Client,
    graph: Arc<Mutex<Graph>>,
    queue: Queue<Work>,
}

impl Collector {
    fn graph(&self) -> MutexGuard<'_, Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, work: impl IntoIterator<Item = Work>) {
        work.into_iter().for_each(|one| self.queue.add(one));
    }
}
