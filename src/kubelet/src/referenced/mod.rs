//! The ConfigMaps and Secrets that pods of this node refer to.
//!
//! A node may read an object only while a pod of its own names it, and one at a time. So each has a watch of its own for as
//! long as a pod holds it, as in upstream's watch-based source. What is read here is as fresh as the watch: nobody asks the API
//! server again, nobody polls, and whoever waits for a change is told.
//!
//! A watch that breaks is begun again with growing pauses; what was known stays known meanwhile. An immutable object is read
//! once and not watched.

mod follow;
mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use client::{Client, Key};
use futures_util::future::select_all;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use task::Tasks;
use tokio::sync::watch;

/// How long a reader waits for an object that was never heard of: as upstream.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{kind} \"{name}\" not found")]
    NotFound { kind: &'static str, name: String },
    /// The API server has not answered yet.
    #[error("failed to sync {kind} cache: timed out waiting for the condition")]
    Unsynced { kind: &'static str },
    #[error("object \"{namespace}\"/\"{name}\" not registered")]
    NotHeld { namespace: String, name: String },
}

impl Error {
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }
}

/// Which object a pod refers to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Reference {
    ConfigMap(Key),
    Secret(Key),
}

#[derive(Debug, Clone)]
enum Object {
    ConfigMap(Arc<ConfigMap>),
    Secret(Arc<Secret>),
}

/// What is known of an object.
#[derive(Debug, Clone)]
enum Known {
    Nothing,
    Absent,
    Present(Object),
}

/// One object, watched for as long as this lives.
#[derive(Debug)]
struct Followed {
    known: watch::Receiver<Known>,
    _watch: Tasks<()>,
}

/// All objects that some pod holds.
#[derive(Debug)]
pub struct Referenced {
    client: Client,
    followed: Mutex<BTreeMap<Reference, Weak<Followed>>>,
}

/// One pod's hold on the objects it refers to. They are let go when it is dropped.
#[derive(Debug)]
pub struct Held {
    references: BTreeSet<Reference>,
    followed: Vec<Arc<Followed>>,
    changes: Vec<watch::Receiver<Known>>,
}

impl Referenced {
    pub fn new(client: Client) -> Arc<Self> {
        Arc::new(Self { client, followed: Mutex::default() })
    }

    /// Holds everything that `pod` refers to: by its volumes, its containers' environment and its image pull secrets. Must be
    /// called on a tokio runtime.
    pub fn hold(&self, pod: &Pod) -> Held {
        let references = names::references(pod);
        let mut followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        followed.retain(|_, object| object.strong_count() > 0);
        let held: Vec<_> = references
            .iter()
            .map(|reference| {
                let known = followed.get(reference).and_then(Weak::upgrade);
                known.unwrap_or_else(|| {
                    let new = Arc::new(follow::start(self.client.clone(), reference));
                    followed.insert(reference.clone(), Arc::downgrade(&new));
                    new
                })
            })
            .collect();
        let changes = held.iter().map(|object| object.known.clone()).collect();
        Held { references, followed: held, changes }
    }

    /// A ConfigMap that some pod holds. Waits for the first answer of the API server, but not for long.
    pub async fn config_map(&self, namespace: &str, name: &str) -> Result<Arc<ConfigMap>, Error> {
        let key = Key::new(namespace, name);
        match self.known("configmap", Reference::ConfigMap(key.clone()), &key).await? {
            Known::Present(Object::ConfigMap(object)) => Ok(object),
            _ => Err(Error::NotFound { kind: "configmap", name: key.name }),
        }
    }

    /// The same for a Secret.
    pub async fn secret(&self, namespace: &str, name: &str) -> Result<Arc<Secret>, Error> {
        let key = Key::new(namespace, name);
        match self.known("secret", Reference::Secret(key.clone()), &key).await? {
            Known::Present(Object::Secret(object)) => Ok(object),
            _ => Err(Error::NotFound { kind: "secret", name: key.name }),
        }
    }

    async fn known(&self, kind: &'static str, reference: Reference, key: &Key) -> Result<Known, Error> {
        let followed = {
            let followed = self.followed.lock().unwrap_or_else(PoisonError::into_inner);
            followed.get(&reference).and_then(Weak::upgrade)
        };
        let Some(followed) = followed else {
            return Err(Error::NotHeld { namespace: key.namespace.clone(), name: key.name.clone() });
        };
        let mut known = followed.known.clone();
        let heard = known.wait_for(|known| !matches!(known, Known::Nothing));
        match tokio::time::timeout(PATIENCE, heard).await {
            Ok(Ok(known)) => Ok(known.clone()),
            Ok(Err(_)) | Err(_) => Err(Error::Unsynced { kind }),
        }
    }
}

impl Held {
    /// Whether this is still all that `pod` refers to.
    pub fn covers(&self, pod: &Pod) -> bool {
        names::references(pod) == self.references
    }

    /// Waits until something is known anew about one of the objects. Cancel safe.
    pub async fn changed(&mut self) {
        loop {
            if self.changes.is_empty() {
                return std::future::pending().await;
            }
            let changes = self.changes.iter_mut().map(|change| Box::pin(change.changed()));
            let (changed, index, _) = select_all(changes).await;
            if changed.is_ok() {
                return;
            }
            // An immutable object: its watch is over, what is known stays.
            self.changes.swap_remove(index);
        }
    }

    /// How many objects these are.
    pub fn len(&self) -> usize {
        self.followed.len()
    }

    pub fn is_empty(&self) -> bool {
        self.followed.is_empty()
    }
}

#[cfg(test)]
impl Referenced {
    /// Objects as if the API server had told of them; others that are held are absent.
    pub(crate) fn holding(config_maps: Vec<ConfigMap>, secrets: Vec<Secret>, pod: &Pod) -> (Arc<Self>, Held) {
        let objects = config_maps.into_iter().map(|object| {
            (Reference::ConfigMap(Key::of(&object)), Known::Present(Object::ConfigMap(Arc::new(object))))
        });
        let secrets = secrets.into_iter().map(|object| {
            (Reference::Secret(Key::of(&object)), Known::Present(Object::Secret(Arc::new(object))))
        });
        let mut known: BTreeMap<_, _> = objects.chain(secrets).collect();
        for reference in names::references(pod) {
            known.entry(reference).or_insert(Known::Absent);
        }
        let (references, followed): (BTreeSet<_>, Vec<_>) = known
            .into_iter()
            .map(|(reference, known)| {
                let known = watch::channel(known).1;
                (reference, Arc::new(Followed { known, _watch: Tasks::new() }))
            })
            .unzip();
        let weak = references.iter().cloned().zip(followed.iter().map(Arc::downgrade)).collect();
        let nobody = tower::service_fn(|_: http::Request<kube::client::Body>| {
            std::future::pending::<Result<http::Response<kube::client::Body>, std::convert::Infallible>>()
        });
        let client = kube::Client::new(nobody, "default").into();
        (
            Arc::new(Self { client, followed: Mutex::new(weak) }),
            Held { references, followed, changes: Vec::new() },
        )
    }
}
