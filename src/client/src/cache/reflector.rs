//! Who fills a cache: one list, then one watch after the other, each from where the last one ended.

use std::sync::{Arc, PoisonError, RwLockWriteGuard};
use std::time::Duration;

use task::{Backoff, causes};
use tracing::{debug, warn};

use super::change::Change;
use super::{Objects, Shared, number};
use crate::{Client, Error, Event, Key, ListOptions, Object, Path, Watch};

/// Objects per page of the first list: bounds what is held twice while it is decoded.
const PAGE: u32 = 500;
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(10);

/// The one writer of a cache.
#[derive(Debug)]
pub(crate) struct Reflector<K> {
    pub(super) shared: Arc<Shared<K>>,
    pub(super) client: Client,
    pub(super) options: ListOptions,
}

impl<K: Object> Reflector<K> {
    /// Lists and watches for ever. A lost server is asked again, less and less often; what is known stays.
    pub(crate) async fn run(self) {
        let mut revision = None;
        let mut retry = Backoff::new(FIRST_RETRY, LAST_RETRY);
        loop {
            match self.follow(&mut revision, &mut retry).await {
                Ok(()) => {}
                Err(error) if error.is_expired() => {
                    debug!(kind = K::KIND, "the watch is too old, listing again");
                    revision = None;
                }
                Err(error) => {
                    warn!(kind = K::KIND, error = %causes(&error), "cannot follow the API, trying again");
                    retry.wait().await;
                }
            }
        }
    }

    /// One list if there is nothing to go on from, then one watch to its end.
    async fn follow(&self, revision: &mut Option<String>, retry: &mut Backoff) -> Result<(), Error> {
        let from = match revision.take() {
            Some(from) => from,
            None => self.fill().await?,
        };
        *revision = Some(from.clone());
        let mut watch = self.client.watch(&Path::all::<K>(), &self.options, &from).await?;
        self.apply_all(&mut watch, revision, retry).await
    }

    async fn apply_all(
        &self,
        watch: &mut Watch<K>,
        revision: &mut Option<String>,
        retry: &mut Backoff,
    ) -> Result<(), Error> {
        while let Some(event) = watch.next().await {
            let event = event?;
            // It works: when it breaks some day, that is another failure.
            retry.reset();
            let reached = match event {
                Event::Applied(object) => self.apply(object),
                Event::Deleted(object) => self.delete(&object),
                Event::Bookmark { revision } => Some(revision),
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
            changes.extend(Change::between(objects.get(key), object));
        }
        *objects = new;
        changes
    }

    fn apply(&self, object: K) -> Option<String> {
        let revision = object.metadata().resource_version.clone();
        let object = Arc::new(slim(object));
        let old = self.write().insert(Key::of(&*object), object.clone());
        if let Some(change) = Change::between(old.as_ref(), &object) {
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

fn slim<K: Object>(mut object: K) -> K {
    object.metadata_mut().managed_fields = None;
    object
}
