//! Where an object lives: its key within a kind and the path of its resource.

use std::fmt;

use api::codec::Typed;
use api::kinds::Kind;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::{ClusterResourceScope, Metadata, NamespaceResourceScope, Resource};

/// What every component asks of a kind it handles: all that have a codec are one.
pub trait Object: Typed + Metadata<Ty = ObjectMeta> + Clone + fmt::Debug + Send + Sync + 'static {}

impl<K: Typed + Metadata<Ty = ObjectMeta> + Clone + fmt::Debug + Send + Sync + 'static> Object for K {}

/// Namespace and name of an object of a known kind; the namespace is empty for a cluster-wide one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub namespace: String,
    pub name: String,
}

impl Key {
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    pub fn of<K: Metadata<Ty = ObjectMeta>>(object: &K) -> Self {
        let metadata = object.metadata();
        Self::new(metadata.namespace.clone().unwrap_or_default(), metadata.name.clone().unwrap_or_default())
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

/// Whether a kind's objects live in a namespace, known from its type.
pub trait Scoped {
    const NAMESPACED: bool;
}

impl Scoped for NamespaceResourceScope {
    const NAMESPACED: bool = true;
}

impl Scoped for ClusterResourceScope {
    const NAMESPACED: bool = false;
}

/// The path of a collection, an object or a subresource, built from the left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(String);

impl Path {
    /// All objects of a kind, in every namespace.
    pub fn all<K: Resource>() -> Self {
        let group = if K::GROUP.is_empty() { "/api".to_string() } else { format!("/apis/{}", K::GROUP) };
        Self(format!("{group}/{}/{}", K::VERSION, K::URL_PATH_SEGMENT))
    }

    /// The objects of a kind in one namespace; the same as [`Path::all`] for a kind that has none.
    pub fn collection<K: Resource<Scope: Scoped>>(namespace: &str) -> Self {
        if !<K::Scope as Scoped>::NAMESPACED || namespace.is_empty() {
            return Self::all::<K>();
        }
        let group = if K::GROUP.is_empty() { "/api".to_string() } else { format!("/apis/{}", K::GROUP) };
        Self(format!("{group}/{}/namespaces/{namespace}/{}", K::VERSION, K::URL_PATH_SEGMENT))
    }

    pub fn object<K: Resource<Scope: Scoped>>(key: &Key) -> Self {
        Self::collection::<K>(&key.namespace).child(&key.name)
    }

    /// The objects of any kind, in one namespace, or all of them if none is named.
    pub fn collection_of(kind: &Kind, namespace: &str) -> Self {
        let mut path =
            if kind.group.is_empty() { "/api".to_string() } else { format!("/apis/{}", kind.group) };
        path = format!("{path}/{}", kind.version);
        if kind.namespaced && !namespace.is_empty() {
            path = format!("{path}/namespaces/{namespace}");
        }
        Self(path).child(kind.plural)
    }

    pub fn object_of(kind: &Kind, key: &Key) -> Self {
        Self::collection_of(kind, &key.namespace).child(&key.name)
    }

    /// One segment further: an object of a collection, a subresource of an object.
    #[must_use]
    pub fn child(mut self, segment: &str) -> Self {
        self.0.push('/');
        self.0.push_str(segment);
        self
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::apps::v1::Deployment;
    use k8s_openapi::api::core::v1::{Node, Pod};

    use super::*;

    #[test]
    fn paths_follow_group_scope_and_subresource() {
        assert_eq!(Path::all::<Pod>().as_str(), "/api/v1/pods");
        assert_eq!(Path::collection::<Pod>("a").as_str(), "/api/v1/namespaces/a/pods");
        assert_eq!(
            Path::object::<Deployment>(&Key::new("a", "web")).child("status").as_str(),
            "/apis/apps/v1/namespaces/a/deployments/web/status"
        );
        let kind = api::kinds::by_resource("apps", "v1", "deployments").unwrap();
        let key = Key::new("a", "web");
        assert_eq!(Path::object_of(kind, &key), Path::object::<Deployment>(&key));
        assert_eq!(Path::collection_of(kind, ""), Path::all::<Deployment>());
        assert_eq!(Path::object::<Node>(&Key::new("", "n1")).as_str(), "/api/v1/nodes/n1");
    }
}
