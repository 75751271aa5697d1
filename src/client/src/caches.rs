//! One cache per kind for the whole process, started when the first component asks for it.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

use crate::{Cache, Client, ListOptions, Object};

/// The caches of this process. Cheap to clone; the watches end when the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Caches {
    shared: Arc<Shared>,
    /// Whoever writes in the name of this clone's holder.
    client: Client,
}

#[derive(Debug)]
struct Shared {
    client: Client,
    /// What a kind is narrowed to; all of it for a kind that is not named.
    narrowed: HashMap<TypeId, ListOptions>,
    running: Mutex<Running>,
}

#[derive(Debug, Default)]
struct Running {
    caches: HashMap<TypeId, Box<dyn Any + Send>>,
    reflectors: JoinSet<()>,
}

impl Caches {
    pub fn new(client: Client) -> Self {
        let shared = Shared { client: client.clone(), narrowed: HashMap::new(), running: Mutex::default() };
        Self { shared: Arc::new(shared), client }
    }

    /// Caches only the objects of `K` that match: an agent wants its own pods, not the cluster's.
    ///
    /// Said while the process is wired up, before anybody asks for a cache.
    #[must_use]
    pub fn narrow<K: Object>(self, options: ListOptions) -> Self {
        let mut narrowed = self.shared.narrowed.clone();
        narrowed.insert(TypeId::of::<K>(), options);
        let shared = Shared { client: self.shared.client.clone(), narrowed, running: Mutex::default() };
        Self { shared: Arc::new(shared), client: self.client }
    }

    /// The same caches for a component that writes as somebody else.
    #[must_use]
    pub fn acting_as(&self, client: Client) -> Self {
        Self { shared: self.shared.clone(), client }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A cache of its own for the objects of `K` that match, for the one component that needs few of many.
    ///
    /// Must be called on a tokio runtime: it starts the watch.
    pub fn selected<K: Object>(&self, options: ListOptions) -> Cache<K> {
        let mut running = self.shared.running.lock().unwrap_or_else(PoisonError::into_inner);
        let (cache, reflector) = Cache::<K>::new(self.shared.client.clone(), options);
        running.reflectors.spawn(reflector.run());
        cache
    }

    /// The cache of a kind. Must be called on a tokio runtime: the first call starts the watch.
    pub fn of<K: Object>(&self) -> Cache<K> {
        let mut running = self.shared.running.lock().unwrap_or_else(PoisonError::into_inner);
        let Running { caches, reflectors } = &mut *running;
        let cache = caches.entry(TypeId::of::<K>()).or_insert_with(|| {
            let options = self.shared.narrowed.get(&TypeId::of::<K>()).cloned().unwrap_or_default();
            let (cache, reflector) = Cache::<K>::new(self.shared.client.clone(), options);
            reflectors.spawn(reflector.run());
            Box::new(cache)
        });
        cache.downcast_ref::<Cache<K>>().expect("an entry is stored under its own kind").clone()
    }
}
