//! The objects of one kind in memory, kept true by one list and one watch.
//!
//! One task writes ([`Reflector::run`]), many read ([`Cache`]). Readers get `Arc`s: nothing is copied, and what they hold stays as it
//! was while the cache moves on. `managedFields` are dropped on the way in: no component reads them and they are
//! often the larger half of an object.
//!
//! Changes go through a bounded broadcast. A reader that falls behind loses the changes, not the truth: it is told
//! [`Change::Resync`] and reads the cache again. That is also the first thing every reader is told.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use crate::Object;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use tokio::sync::{broadcast, watch};
use tracing::{debug, warn};

use crate::{Client, Error, Event, Key, ListOptions, Path, Watch};

/// Changes a reader may be behind before it must read everything again.
const CHANGES_KEPT: usize = 256;
/// Objects per page of the first list: bounds what is held twice while it is decoded.
const PAGE: u32 = 500;
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(10);

type Objects<K> = BTreeMap<Key, Arc<K>>;

/// What happened to one object, or to too many to tell.
#[derive(Debug)]
pub enum Change<K> {
    Added(Arc<K>),
    Modified {
        old: Arc<K>,
        new: Arc<K>,
    },
    Deleted(Arc<K>),
    /// Look at every object of the cache.
    Resync,
}

impl<K> Clone for Change<K> {
    fn clone(&self) -> Self {
        match self {
            Self::Added(object) => Self::Added(object.clone()),
            Self::Modified { old, new } => Self::Modified { old: old.clone(), new: new.clone() },
            Self::Deleted(object) => Self::Deleted(object.clone()),
            Self::Resync => Self::Resync,
        }
    }
}

impl<K> Change<K> {
    /// The objects this change speaks of: none for a resync, two for a modification.
    pub fn objects(&self) -> impl Iterator<Item = &Arc<K>> {
        let (first, second) = match self {
            Self::Added(object) | Self::Deleted(object) => (Some(object), None),
            Self::Modified { old, new } => (Some(old), Some(new)),
            Self::Resync => (None, None),
        };
        first.into_iter().chain(second)
    }
}

#[derive(Debug)]
struct Shared<K> {
    objects: RwLock<Objects<K>>,
    /// The revision that `objects` is at; none before the first list.
    revision: watch::Sender<Option<u64>>,
    changes: broadcast::Sender<Change<K>>,
}

/// A reader's view of all objects of a kind. Cheap to clone.
#[derive(Debug)]
pub struct Cache<K>(Arc<Shared<K>>);

impl<K> Clone for Cache<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K: Object> Cache<K> {
    /// An empty cache and the one who fills it.
    pub(crate) fn new(client: Client, options: ListOptions) -> (Self, Reflector<K>) {
        let shared = Arc::new(Shared {
            objects: RwLock::default(),
            revision: watch::Sender::new(None),
            changes: broadcast::Sender::new(CHANGES_KEPT),
        });
        (Self(shared.clone()), Reflector { shared, client, options })
    }

    /// Waits until the first list is in. Before that an absent object means nothing.
    pub async fn synced(&self) {
        self.wait_until(|revision| revision.is_some()).await;
    }

    /// Waits until this cache has seen what `written` says: the answer to a write.
    ///
    /// Who decides again only after that never decides on the state before its own write: no pod is created twice
    /// because the first one had not come back yet.
    pub async fn seen(&self, written: &ObjectMeta) {
        let Some(written) = written.resource_version.as_deref().and_then(number) else { return };
        self.wait_until(|revision| revision.is_some_and(|revision| revision >= written)).await;
    }

    /// Waits until an object, or its absence, is as wanted here.
    pub async fn shows(&self, key: &Key, wanted: impl Fn(Option<&K>) -> bool) {
        let mut revision = self.0.revision.subscribe();
        while !wanted(self.get(key).as_deref()) {
            if revision.changed().await.is_err() {
                return;
            }
        }
    }

    async fn wait_until(&self, reached: impl Fn(Option<u64>) -> bool) {
        let mut revision = self.0.revision.subscribe();
        // Fails only when the sender is gone, which lives as long as we do.
        let _ = revision.wait_for(|revision| reached(*revision)).await;
    }

    pub fn get(&self, key: &Key) -> Option<Arc<K>> {
        self.read().get(key).cloned()
    }

    pub fn list(&self) -> Vec<Arc<K>> {
        self.read().values().cloned().collect()
    }

    pub fn list_in(&self, namespace: &str) -> Vec<Arc<K>> {
        let from = Key::new(namespace, "");
        let objects = self.read();
        let inside = objects.range(from..).take_while(|(key, _)| key.namespace == namespace);
        inside.map(|(_, object)| object.clone()).collect()
    }

    pub fn keys(&self) -> Vec<Key> {
        self.read().keys().cloned().collect()
    }

    pub fn changes(&self) -> Changes<K> {
        Changes { cache: self.clone(), receiver: self.0.changes.subscribe(), resync: true }
    }

    fn read(&self) -> RwLockReadGuard<'_, Objects<K>> {
        self.0.objects.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The changes of a cache from now on, beginning with a resync once the cache is filled.
#[derive(Debug)]
pub struct Changes<K> {
    cache: Cache<K>,
    receiver: broadcast::Receiver<Change<K>>,
    resync: bool,
}

impl<K: Object> Changes<K> {
    /// The next change. Cancel safe.
    pub async fn next(&mut self) -> Change<K> {
        if self.resync {
            self.cache.synced().await;
            self.start_over();
            return Change::Resync;
        }
        match self.receiver.recv().await {
            Ok(change) => change,
            Err(broadcast::error::RecvError::Lagged(_)) => {
                self.start_over();
                Change::Resync
            }
            // The cache we hold owns the sender.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }

    /// What is queued now is in the cache already: a resync covers it.
    fn start_over(&mut self) {
        self.resync = false;
        self.receiver = self.receiver.resubscribe();
    }
}

/// The one writer of a cache.
#[derive(Debug)]
pub(crate) struct Reflector<K> {
    shared: Arc<Shared<K>>,
    client: Client,
    options: ListOptions,
}

impl<K: Object> Reflector<K> {
    /// Lists and watches for ever. A lost server is asked again, less and less often; what is known stays.
    pub(crate) async fn run(self) {
        let mut revision = None;
        let mut retry = FIRST_RETRY;
        loop {
            match self.follow(&mut revision).await {
                Ok(()) => retry = FIRST_RETRY,
                Err(error) if error.is_expired() => {
                    debug!(kind = K::KIND, "the watch is too old, listing again");
                    revision = None;
                }
                Err(error) => {
                    warn!(kind = K::KIND, error = %chain(&error), "cannot follow the API, trying again");
                    tokio::time::sleep(retry).await;
                    retry = (retry * 2).min(LAST_RETRY);
                }
            }
        }
    }

    /// One list if there is nothing to go on from, then one watch to its end.
    async fn follow(&self, revision: &mut Option<String>) -> Result<(), Error> {
        let from = match revision.take() {
            Some(from) => from,
            None => self.fill().await?,
        };
        *revision = Some(from.clone());
        let mut watch = self.client.watch(&Path::all::<K>(), &self.options, &from).await?;
        self.apply_all(&mut watch, revision).await
    }

    async fn apply_all(&self, watch: &mut Watch<K>, revision: &mut Option<String>) -> Result<(), Error> {
        while let Some(event) = watch.next().await {
            let reached = match event? {
                Event::Applied(object) => self.apply(object),
                Event::Deleted(object) => self.delete(&object),
                Event::Bookmark { revision, .. } => Some(revision),
            };
            if let Some(reached) = reached {
                self.reached(&reached);
                *revision = Some(reached);
            }
        }
        Ok(())
    }

    /// Replaces everything by what the server has, and tells readers the difference.
    async fn fill(&self) -> Result<String, Error> {
        let mut objects = Objects::new();
        let mut options = ListOptions { limit: PAGE, ..self.options.clone() };
        let revision = loop {
            let page = self.client.list::<K>(&Path::all::<K>(), &options).await?;
            objects
                .extend(page.items.into_iter().map(slim).map(|object| (Key::of(&object), Arc::new(object))));
            match page.continue_token {
                Some(token) => options.continue_token = token,
                None => break page.revision,
            }
        };
        let changes = self.replace(objects);
        self.reached(&revision);
        for change in changes {
            self.tell(change);
        }
        Ok(revision)
    }

    fn replace(&self, new: Objects<K>) -> Vec<Change<K>> {
        let mut objects = self.write();
        let gone = objects.iter().filter(|(key, _)| !new.contains_key(key));
        let mut changes: Vec<_> = gone.map(|(_, object)| Change::Deleted(object.clone())).collect();
        for (key, object) in &new {
            changes.extend(change(objects.get(key), object));
        }
        *objects = new;
        changes
    }

    fn apply(&self, object: K) -> Option<String> {
        let revision = object.metadata().resource_version.clone();
        let object = Arc::new(slim(object));
        let old = self.write().insert(Key::of(&*object), object.clone());
        if let Some(change) = change(old.as_ref(), &object) {
            self.tell(change);
        }
        revision
    }

    fn delete(&self, object: &K) -> Option<String> {
        let removed = self.write().remove(&Key::of(object));
        if let Some(old) = removed {
            self.tell(Change::Deleted(old));
        }
        object.metadata().resource_version.clone()
    }

    fn reached(&self, revision: &str) {
        self.shared.revision.send_replace(Some(number(revision).unwrap_or_default()));
    }

    /// An error only says that nobody listens.
    fn tell(&self, change: Change<K>) {
        let _ = self.shared.changes.send(change);
    }

    fn write(&self) -> RwLockWriteGuard<'_, Objects<K>> {
        self.shared.objects.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The change from `old` to `new`; none if they are the same revision of the same object.
fn change<K: Object>(old: Option<&Arc<K>>, new: &Arc<K>) -> Option<Change<K>> {
    let Some(old) = old else {
        return Some(Change::Added(new.clone()));
    };
    let same = old.metadata().resource_version == new.metadata().resource_version;
    (!same).then(|| Change::Modified { old: old.clone(), new: new.clone() })
}

/// A revision as a number: they are ordered as numbers, in one cluster, for all kinds.
fn number(revision: &str) -> Option<u64> {
    revision.parse().ok()
}

fn slim<K: Object>(mut object: K) -> K {
    object.metadata_mut().managed_fields = None;
    object
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::sync::Mutex;

    use http::{Request, Response};
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::client::Body;
    use tokio::sync::Semaphore;
    use tokio::task::JoinSet;

    use super::*;

    /// An API server that has its answers written down: what the request must hold, the code and the body of each. It
    /// gives as many answers as it has been granted.
    struct Script {
        granted: Arc<Semaphore>,
        cache: Cache<ConfigMap>,
        _reflector: JoinSet<()>,
    }

    impl Script {
        fn start(steps: &[(&'static str, u16, String)]) -> Self {
            let granted = Arc::new(Semaphore::new(0));
            let (cache, reflector) = Cache::new(server(steps, granted.clone()), ListOptions::default());
            let mut tasks = JoinSet::new();
            tasks.spawn(reflector.run());
            Self { granted, cache, _reflector: tasks }
        }

        fn answer(&self, requests: usize) {
            self.granted.add_permits(requests);
        }
    }

    fn server(steps: &[(&'static str, u16, String)], granted: Arc<Semaphore>) -> Client {
        let steps = Mutex::new(steps.iter().cloned().collect::<VecDeque<_>>());
        let service = tower::service_fn(move |request: Request<Body>| {
            let (granted, step) = (granted.clone(), steps.lock().unwrap().pop_front());
            async move {
                let Some((expected, code, body)) = step else { std::future::pending().await };
                granted.acquire().await.unwrap().forget();
                let target = request.uri().to_string();
                let code = if target.contains(expected) { code } else { 418 };
                Ok::<_, Infallible>(
                    Response::builder().status(code).body(Body::from(body.into_bytes())).unwrap(),
                )
            }
        });
        kube::Client::new(service, "default").into()
    }

    fn object(name: &str, revision: usize) -> String {
        format!(
            r#"{{"metadata":{{"name":"{name}","namespace":"n","resourceVersion":"{revision}","managedFields":[{{}}]}}}}"#
        )
    }

    fn list(revision: u32, next: &str, items: &[String]) -> String {
        format!(
            r#"{{"metadata":{{"resourceVersion":"{revision}","continue":"{next}"}},"items":[{}]}}"#,
            items.join(",")
        )
    }

    fn event(kind: &str, object: &str) -> String {
        format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
    }

    /// The next change, in words.
    async fn next(changes: &mut Changes<ConfigMap>) -> String {
        let name = |object: &ConfigMap| {
            let metadata = &object.metadata;
            format!("{}@{}", metadata.name.as_deref().unwrap(), metadata.resource_version.as_deref().unwrap())
        };
        match changes.next().await {
            Change::Added(new) => format!("+{}", name(&new)),
            Change::Modified { old, new } => format!("{}>{}", name(&old), name(&new)),
            Change::Deleted(old) => format!("-{}", name(&old)),
            Change::Resync => "resync".to_string(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pages_then_changes_then_a_new_list_when_the_watch_is_too_old() {
        let events = [
            event("MODIFIED", &object("a", 6)),
            event("DELETED", &object("b", 7)),
            event("ADDED", &object("c", 8)),
        ];
        let gone = r#"{"kind":"Status","status":"Failure","code":410,"reason":"Expired"}"#;
        let script = Script::start(&[
            ("limit=500", 200, list(5, "more", &[object("a", 1)])),
            ("continue=more", 200, list(5, "", &[object("b", 2)])),
            ("resourceVersion=5", 200, events.concat()),
            ("resourceVersion=8", 200, event("BOOKMARK", r#"{"metadata":{"resourceVersion":"20"}}"#)),
            ("resourceVersion=20", 200, event("ERROR", gone)),
            ("limit=500", 200, list(30, "", &[object("a", 6), object("d", 25)])),
        ]);
        let mut changes = script.cache.changes();
        script.answer(2);
        assert_eq!(next(&mut changes).await, "resync");
        script.answer(4);
        let mut seen = Vec::new();
        for _ in 0..5 {
            seen.push(next(&mut changes).await);
        }
        assert_eq!(seen, ["a@1>a@6", "-b@2", "+c@8", "-c@8", "+d@25"]);
        let a = script.cache.get(&Key::new("n", "a")).unwrap();
        assert_eq!(a.metadata.managed_fields, None, "nobody here reads them");
        assert_eq!(script.cache.list_in("n").len(), 2);
        assert!(script.cache.list_in("other").is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_was_restored_to_an_older_state_is_asked_for_all_of_it() {
        let ahead = r#"{"kind":"Status","status":"Failure","code":504,"reason":"Timeout",
            "details":{"causes":[{"reason":"ResourceVersionTooLarge"}]}}"#;
        let script = Script::start(&[
            ("limit=500", 200, list(50, "", &[object("a", 40)])),
            ("resourceVersion=50", 504, ahead.to_string()),
            ("limit=500", 200, list(20, "", &[object("b", 10)])),
        ]);
        let mut changes = script.cache.changes();
        script.answer(1);
        assert_eq!(next(&mut changes).await, "resync");
        script.answer(2);
        assert_eq!(next(&mut changes).await, "-a@40");
        assert_eq!(next(&mut changes).await, "+b@10");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_fails_is_asked_again_and_what_is_known_stays() {
        let script = Script::start(&[
            ("limit=500", 503, "no".to_string()),
            ("limit=500", 200, list(5, "", &[object("a", 1)])),
            ("resourceVersion=5", 500, String::new()),
            ("resourceVersion=5", 200, event("ADDED", &object("b", 6))),
        ]);
        let mut changes = script.cache.changes();
        script.answer(2);
        assert_eq!(next(&mut changes).await, "resync");
        script.answer(2);
        assert_eq!(next(&mut changes).await, "+b@6");
        assert_eq!(script.cache.keys().len(), 2);
    }

    #[tokio::test]
    async fn a_reader_that_falls_behind_is_told_to_read_again() {
        let events: String =
            (0..CHANGES_KEPT + 10).map(|n| event("MODIFIED", &object("a", 10 + n))).collect();
        let script = Script::start(&[
            ("limit=500", 200, list(5, "", &[object("a", 1)])),
            ("resourceVersion=5", 200, events),
        ]);
        let mut changes = script.cache.changes();
        script.answer(1);
        assert_eq!(next(&mut changes).await, "resync");
        script.answer(1);
        let last = Some((10 + CHANGES_KEPT + 9).to_string());
        while script.cache.list()[0].metadata.resource_version != last {
            tokio::task::yield_now().await;
        }
        assert_eq!(next(&mut changes).await, "resync");
    }

    #[tokio::test]
    async fn who_wrote_can_wait_until_the_cache_has_seen_it() {
        let script = Script::start(&[
            ("limit=500", 200, list(5, "", &[])),
            ("resourceVersion=5", 200, event("ADDED", &object("a", 9))),
        ]);
        script.answer(1);
        script.cache.synced().await;
        let written = ObjectMeta { resource_version: Some("9".into()), ..ObjectMeta::default() };
        let seen = script.cache.seen(&written);
        tokio::pin!(seen);
        tokio::select! {
            biased;
            () = &mut seen => panic!("the cache is at 5"),
            () = std::future::ready(()) => {}
        }
        script.answer(1);
        seen.await;
        assert!(script.cache.get(&Key::new("n", "a")).is_some());
    }

    #[tokio::test]
    async fn an_event_may_come_in_pieces() {
        let line = event("ADDED", &object("a", 1));
        let mut watch: Watch<ConfigMap> = Watch::new("GET".into(), Body::empty());
        for byte in line.as_bytes() {
            watch.take(std::slice::from_ref(byte)).unwrap();
        }
        assert!(matches!(watch.next().await, Some(Ok(Event::Applied(_)))));
        assert!(watch.next().await.is_none());
    }
}
