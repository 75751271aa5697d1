//! What a path names.

use api::kinds::{self, Kind};
use http::Method;
use percent_encoding::percent_decode_str;

use crate::issuer::Document;

/// Everything the API server answers to, by path alone.
#[derive(Debug)]
pub(crate) enum Target {
    Resource(Resource),
    /// `/api`, `/apis`, `/apis/apps`, `/api/v1`, `/apis/apps/v1`.
    Discovery(Discovery),
    OpenApi(Vec<String>),
    Version,
    /// What others check our tokens by.
    Issuer(Document),
    /// `/healthz`, `/livez`, `/readyz`, and one check below them.
    Health {
        endpoint: String,
        check: Option<String>,
    },
    Metrics,
    Root,
    /// Nothing of a version that is served.
    Nothing,
    Unknown,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Discovery {
    Core,
    Groups,
    Group(String),
    Version { group: String, version: String },
}

/// Objects of one kind: all of them, those of a namespace, or one.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub(crate) kind: &'static Kind,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    /// `status`, `scale`, and what follows it (`proxy/metrics/x`).
    pub(crate) subresource: Option<(String, Vec<String>)>,
}

impl Target {
    pub(crate) fn of(path: &str) -> Self {
        // Before it is taken apart, as upstream: a slash is one however it is written, and never part of a name.
        let Ok(path) = percent_decode_str(path).decode_utf8() else { return Self::Unknown };
        let words: Vec<&str> = path.split('/').filter(|word| !word.is_empty()).collect();
        match &words[..] {
            [] => Self::Root,
            ["api"] => Self::Discovery(Discovery::Core),
            ["apis"] => Self::Discovery(Discovery::Groups),
            ["apis", group] => Self::Discovery(Discovery::Group((*group).into())),
            ["api", version] => Self::version("", version),
            ["apis", group, version] => Self::version(group, version),
            ["api", version, rest @ ..] => Self::resource("", version, rest),
            ["apis", group, version, rest @ ..] => Self::resource(group, version, rest),
            ["openapi", rest @ ..] => Self::OpenApi(rest.iter().map(ToString::to_string).collect()),
            ["version"] => Self::Version,
            ["metrics"] => Self::Metrics,
            [".well-known", "openid-configuration"] => Self::Issuer(Document::Configuration),
            ["openid", "v1", "jwks"] => Self::Issuer(Document::Keys),
            [endpoint @ ("healthz" | "livez" | "readyz"), rest @ ..] => Self::Health {
                endpoint: (*endpoint).into(),
                check: (!rest.is_empty()).then(|| rest.join("/")),
            },
            _ => Self::Unknown,
        }
    }

    fn version(group: &str, version: &str) -> Self {
        Self::Discovery(Discovery::Version { group: group.into(), version: version.into() })
    }

    fn resource(group: &str, version: &str, rest: &[&str]) -> Self {
        let find = |plural| kinds::by_resource(group, version, plural);
        let resource = match rest {
            // The namespace itself, unless what follows is something within it.
            ["namespaces", name, below @ ..] if below.first().is_none_or(|first| find(first).is_none()) => {
                find("namespaces").map(|kind| Resource::new(kind, None, Some(name), below))
            }
            ["namespaces", namespace, plural, below @ ..] => {
                find(plural).filter(|kind| kind.namespaced).map(|kind| {
                    Resource::new(kind, Some(namespace), below.first(), below.get(1..).unwrap_or_default())
                })
            }
            [plural, below @ ..] => find(plural)
                // An object of a namespace has no path outside of it.
                .filter(|kind| !kind.namespaced || below.is_empty())
                .map(|kind| Resource::new(kind, None, below.first(), below.get(1..).unwrap_or_default())),
            [] => None,
        };
        let served = || kinds::all().any(|kind| (kind.group, kind.version) == (group, version));
        match resource {
            Some(resource) => Self::Resource(resource),
            None if served() => Self::Nothing,
            None => Self::Unknown,
        }
    }
}

impl Resource {
    fn new(kind: &'static Kind, namespace: Option<&&str>, name: Option<&&str>, below: &[&str]) -> Self {
        let owned = |part: &&str| (*part).to_string();
        Self {
            kind,
            namespace: namespace.map(owned),
            name: name.map(owned),
            subresource: below
                .split_first()
                .map(|(first, rest)| (owned(first), rest.iter().map(owned).collect())),
        }
    }

    /// Whether there is such a method on such a path. As upstream, objects are read with GET alone.
    pub(crate) fn has_method(&self, method: &Method) -> bool {
        let (named, below) = (self.name.is_some(), self.subresource.is_some());
        match *method {
            Method::GET | Method::DELETE => true,
            Method::PUT | Method::PATCH => named,
            Method::POST => !named || below,
            _ => false,
        }
    }

    pub(crate) fn subresource_name(&self) -> Option<&str> {
        self.subresource.as_ref().map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// plural, namespace, name, subresource.
    fn resource(path: &str) -> (&'static str, Option<String>, Option<String>, Option<String>) {
        match Target::of(path) {
            Target::Resource(resource) => {
                let subresource = resource.subresource_name().map(Into::into);
                (resource.kind.plural, resource.namespace, resource.name, subresource)
            }
            other => panic!("{path} is {other:?}"),
        }
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_string())
    }

    #[test]
    fn a_path_names_objects() {
        assert_eq!(resource("/api/v1/pods"), ("pods", None, None, None));
        assert_eq!(resource("/api/v1/namespaces/a/pods/"), ("pods", some("a"), None, None));
        assert_eq!(resource("/api/v1/namespaces/a/pods/b/log"), ("pods", some("a"), some("b"), some("log")));
        assert_eq!(resource("/api/v1/namespaces/a"), ("namespaces", None, some("a"), None));
        assert_eq!(resource("/api/v1/namespaces/a/status"), ("namespaces", None, some("a"), some("status")));
        assert_eq!(
            resource("/apis/apps/v1/namespaces/a/deployments/b%3Ac"),
            ("deployments", some("a"), some("b:c"), None)
        );
        assert_eq!(resource("/api/v1/nodes/n/proxy/a/b"), ("nodes", None, some("n"), some("proxy")));
        assert_eq!(
            resource("/api/v1/namespaces/a/pods/b%2flog"),
            ("pods", some("a"), some("b"), some("log"))
        );
        assert_eq!(resource("/api/v1/namespaces/a%2Fpods"), ("pods", some("a"), None, None));
    }

    #[test]
    fn what_is_no_path_of_ours_is_unknown() {
        for path in ["/api/v2/pods", "/apis/apps/v9/pods", "/%ff", "/x"] {
            assert!(matches!(Target::of(path), Target::Unknown), "{path}");
        }
        for path in [
            "/api/v1/pods/b",
            "/apis/apps/v1/pods",
            "/api/v1/namespaces/a/nodes",
            "/apis/apps/v1/deployments/x",
        ] {
            assert!(matches!(Target::of(path), Target::Nothing), "{path}");
        }
    }

    #[test]
    fn the_rest_is_told_apart() {
        assert!(matches!(Target::of("/"), Target::Root));
        assert!(matches!(Target::of("/apis/"), Target::Discovery(Discovery::Groups)));
        assert!(matches!(Target::of("/api/v1"), Target::Discovery(Discovery::Version { .. })));
        assert!(matches!(Target::of("/readyz/ping"), Target::Health { check: Some(_), .. }));
    }
}
