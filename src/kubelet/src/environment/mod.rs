//! A container's environment: what its spec says, what ConfigMaps, Secrets and the pod itself add, and its Services.
//!
//! A variable that the container names wins over one from `envFrom`, and that over one of a Service. A value may refer to
//! those that were named before it, to all of `envFrom` and to the Services'.

mod expand;
mod services;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use client::{Cache, Key};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvFromSource, EnvVarSource, Pod, Secret, Service};

use crate::downward::{self, Facts};
use crate::referenced::{self, Referenced};

pub(crate) use expand::expand;

/// How long to wait for the first list of Services after a start.
const PATIENCE: Duration = Duration::from_secs(1);

/// Why a container cannot be made: the message of `CreateContainerConfigError`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Referenced(#[from] referenced::Error),
    #[error(transparent)]
    Downward(#[from] downward::Error),
    #[error("couldn't find key {key} in {kind} {namespace}/{name}")]
    Key { kind: &'static str, key: String, namespace: String, name: String },
    #[error("services have not yet been read at least once, cannot construct envvars")]
    Services,
    #[error("fileKeyRef of variable {0} is not supported by skiff yet")]
    File(String),
}

/// Where variables come from. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sources {
    pub referenced: Arc<Referenced>,
    pub services: Cache<Service>,
}

/// The variables of one container, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// `NAME=value`, sorted: a container gets the same list each time.
    pub fn variables(&self) -> Vec<String> {
        self.0.iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A command or an argument with its references replaced.
    pub fn expand(&self, text: &str) -> String {
        expand(text, |name| self.0.get(name).cloned())
    }

    /// A `subPathExpr`: the names that it refers to and that are not there are an error.
    pub fn expand_strictly(&self, text: &str) -> Result<String, BTreeSet<String>> {
        let mut missing = BTreeSet::new();
        let expanded = expand(text, |name| {
            let value = self.0.get(name).cloned();
            if value.is_none() {
                missing.insert(name.to_owned());
            }
            value
        });
        if missing.is_empty() { Ok(expanded) } else { Err(missing) }
    }
}

impl Sources {
    /// The environment of `container`, one of `pod`'s. The pod must hold what it refers to.
    pub async fn environment(
        &self,
        pod: &Pod,
        container: &Container,
        facts: &Facts,
    ) -> Result<Environment, Error> {
        let links = pod.spec.as_ref().and_then(|spec| spec.enable_service_links).unwrap_or(true);
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let services = match self.of_services(namespace, links).await {
            // Whoever cannot do without them ends, and finds them when he is started again.
            Err(Error::Services) if facts.alone => BTreeMap::new(),
            services => services?,
        };
        let named = Named { referenced: &self.referenced, pod, namespace, container, facts };
        named.variables(services).await
    }

    async fn of_services(&self, namespace: &str, links: bool) -> Result<BTreeMap<String, String>, Error> {
        let synced = tokio::time::timeout(PATIENCE, self.services.synced()).await;
        synced.map_err(|_| Error::Services)?;
        let linked = if links { self.services.list_in(namespace) } else { Vec::new() };
        // Last, so that it wins: clients in the pod find the API server by it.
        let api = self.services.get(&Key::new("default", "kubernetes"));
        Ok(services::variables(linked.iter().chain(&api).map(|service| &**service)))
    }
}

/// The variables that the container's spec names.
struct Named<'a> {
    referenced: &'a Referenced,
    pod: &'a Pod,
    namespace: &'a str,
    container: &'a Container,
    facts: &'a Facts,
}

impl Named<'_> {
    async fn variables(&self, services: BTreeMap<String, String>) -> Result<Environment, Error> {
        let mut own = BTreeMap::new();
        for source in self.container.env_from.iter().flatten() {
            self.all_of(source, &mut own).await?;
        }
        for variable in self.container.env.iter().flatten() {
            let written = variable.value.as_deref().filter(|value| !value.is_empty());
            let value = match (written, &variable.value_from) {
                (Some(written), _) => {
                    Some(expand(written, |name| own.get(name).or_else(|| services.get(name)).cloned()))
                }
                (None, Some(source)) => self.value_from(&variable.name, source).await?,
                (None, None) => Some(String::new()),
            };
            // Nothing comes of an optional source that is absent.
            if let Some(value) = value {
                own.insert(variable.name.clone(), value);
            }
        }
        let mut all = services;
        all.append(&mut own);
        Ok(Environment(all))
    }

    async fn all_of(
        &self,
        source: &EnvFromSource,
        variables: &mut BTreeMap<String, String>,
    ) -> Result<(), Error> {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let mut add = |name: &str, value: String| variables.insert(format!("{prefix}{name}"), value);
        if let Some(from) = &source.config_map_ref {
            let found = self.config_map(&from.name, from.optional).await?;
            for (name, value) in found.iter().filter_map(|found| found.data.as_ref()).flatten() {
                add(name, value.clone());
            }
        } else if let Some(from) = &source.secret_ref {
            let found = self.secret(&from.name, from.optional).await?;
            for (name, value) in found.iter().filter_map(|found| found.data.as_ref()).flatten() {
                add(name, text(value));
            }
        }
        Ok(())
    }

    async fn value_from(&self, variable: &str, source: &EnvVarSource) -> Result<Option<String>, Error> {
        if let Some(field) = &source.field_ref {
            return Ok(Some(downward::field(self.pod, &field.field_path, self.facts)?));
        }
        if let Some(selector) = &source.resource_field_ref {
            let allocatable = &self.facts.allocatable;
            return Ok(Some(downward::resource(self.pod, Some(self.container), selector, allocatable)?));
        }
        if let Some(from) = &source.config_map_key_ref {
            let found = self.config_map(&from.name, from.optional).await?;
            let value = found.and_then(|found| found.data.as_ref()?.get(&from.key).cloned());
            return self.required("ConfigMap", &from.key, &from.name, from.optional, value);
        }
        if let Some(from) = &source.secret_key_ref {
            let found = self.secret(&from.name, from.optional).await?;
            let value = found.and_then(|found| found.data.as_ref()?.get(&from.key).map(text));
            return self.required("Secret", &from.key, &from.name, from.optional, value);
        }
        match source.file_key_ref {
            Some(_) => Err(Error::File(variable.to_owned())),
            None => Ok(Some(String::new())),
        }
    }

    fn required(
        &self,
        kind: &'static str,
        key: &str,
        name: &str,
        optional: Option<bool>,
        value: Option<String>,
    ) -> Result<Option<String>, Error> {
        if value.is_some() || optional == Some(true) {
            return Ok(value);
        }
        let namespace = self.namespace.to_owned();
        Err(Error::Key { kind, key: key.to_owned(), namespace, name: name.to_owned() })
    }

    async fn config_map(&self, name: &str, optional: Option<bool>) -> Result<Option<Arc<ConfigMap>>, Error> {
        unless_optional(self.referenced.config_map(self.namespace, name).await, optional)
    }

    async fn secret(&self, name: &str, optional: Option<bool>) -> Result<Option<Arc<Secret>>, Error> {
        unless_optional(self.referenced.secret(self.namespace, name).await, optional)
    }
}

fn unless_optional<T>(
    found: Result<T, referenced::Error>,
    optional: Option<bool>,
) -> Result<Option<T>, Error> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() && optional == Some(true) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A variable is text; what is none in a Secret is shown as well as can be.
fn text(bytes: &ByteString) -> String {
    String::from_utf8_lossy(&bytes.0).into_owned()
}

#[cfg(test)]
mod tests {
    use api::codec::Typed;

    use super::*;

    fn pod(container: &str) -> Pod {
        let text = format!(
            r#"{{"metadata":{{"name":"p","namespace":"n"}},"spec":{{"nodeName":"node","containers":[{container}]}}}}"#
        );
        Pod::decode(text.as_bytes()).unwrap()
    }

    async fn environment(container: &str) -> Result<Vec<String>, String> {
        let pod = pod(container);
        let config_map = ConfigMap::decode(
            br#"{"metadata":{"name":"c","namespace":"n"},"data":{"key":"value","other.name":"2"}}"#,
        );
        let secret =
            Secret::decode(br#"{"metadata":{"name":"s","namespace":"n"},"data":{"password":"aHVudGVy"}}"#);
        let (referenced, _held) = Referenced::holding(vec![config_map.unwrap()], vec![secret.unwrap()], &pod);
        let container = &pod.spec.as_ref().unwrap().containers[0];
        let facts = Facts::default();
        let named = Named { referenced: &referenced, pod: &pod, namespace: "n", container, facts: &facts };
        let services = BTreeMap::from([
            ("WEB_SERVICE_HOST".to_owned(), "10.43.0.9".to_owned()),
            ("WEB_SERVICE_PORT".to_owned(), "80".to_owned()),
        ]);
        let made = named.variables(services).await;
        made.map(|environment| environment.variables()).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn named_variables_win_over_all_others_and_see_those_before_them() {
        let variables = environment(
            r#"{"name":"c","envFrom":[{"prefix":"CM_","configMapRef":{"name":"c"}},{"secretRef":{"name":"s"}}],
            "env":[{"name":"EARLY","value":"$(LATE)"},{"name":"LATE","value":"$(CM_key)@$(WEB_SERVICE_HOST)"},
                {"name":"WEB_SERVICE_PORT","value":"8080"},{"name":"EMPTY"},
                {"name":"password","valueFrom":{"fieldRef":{"fieldPath":"spec.nodeName"}}}]}"#,
        )
        .await
        .unwrap();
        assert_eq!(
            variables,
            [
                "CM_key=value",
                "CM_other.name=2",
                "EARLY=$(LATE)",
                "EMPTY=",
                "LATE=value@10.43.0.9",
                "WEB_SERVICE_HOST=10.43.0.9",
                "WEB_SERVICE_PORT=8080",
                "password=node",
            ]
        );
    }

    #[tokio::test]
    async fn what_is_absent_is_an_error_unless_optional() {
        let of_key = |kind: &str, name: &str, key: &str, optional: bool| {
            format!(
                r#"{{"name":"c","env":[{{"name":"A","valueFrom":{{"{kind}":{{"name":"{name}","key":"{key}",
                "optional":{optional}}}}}}}]}}"#
            )
        };
        let error = |container: String| async move { environment(&container).await.unwrap_err() };
        assert_eq!(error(of_key("configMapKeyRef", "x", "key", false)).await, "configmap \"x\" not found");
        assert_eq!(
            error(of_key("configMapKeyRef", "c", "x", false)).await,
            "couldn't find key x in ConfigMap n/c"
        );
        assert_eq!(error(of_key("secretKeyRef", "s", "x", false)).await, "couldn't find key x in Secret n/s");
        for (kind, name, key) in [("configMapKeyRef", "x", "key"), ("secretKeyRef", "s", "x")] {
            let variables = environment(&of_key(kind, name, key, true)).await.unwrap();
            assert!(!variables.iter().any(|variable| variable.starts_with("A=")), "{variables:?}");
        }
        let all = r#"{"name":"c","envFrom":[{"secretRef":{"name":"absent"}}]}"#;
        assert_eq!(environment(all).await.unwrap_err(), "secret \"absent\" not found");
    }

    #[test]
    fn a_sub_path_names_what_it_misses() {
        let environment = Environment(BTreeMap::from([("A".to_owned(), "a".to_owned())]));
        assert_eq!(environment.expand("$(A)/$(B)"), "a/$(B)");
        assert_eq!(environment.expand_strictly("$(A)"), Ok("a".to_owned()));
        assert_eq!(environment.expand_strictly("$(A)/$(B)"), Err(BTreeSet::from(["B".to_owned()])));
    }
}
