//! Which objects a pod refers to: the same that the API server lets its node read.

use std::collections::BTreeSet;

use client::Key;
use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar, Pod, PodSpec, Volume};

use super::Reference;

pub(super) fn references(pod: &Pod) -> BTreeSet<Reference> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut names = Names { namespace, found: BTreeSet::new() };
    if let Some(spec) = &pod.spec {
        names.spec(spec);
    }
    names.found
}

struct Names<'a> {
    namespace: &'a str,
    found: BTreeSet<Reference>,
}

impl Names<'_> {
    fn config_map(&mut self, name: &str) {
        if !name.is_empty() {
            self.found.insert(Reference::ConfigMap(Key::new(self.namespace, name)));
        }
    }

    fn secret(&mut self, name: &str) {
        if !name.is_empty() {
            self.found.insert(Reference::Secret(Key::new(self.namespace, name)));
        }
    }

    fn spec(&mut self, spec: &PodSpec) {
        for secret in spec.image_pull_secrets.iter().flatten() {
            self.secret(&secret.name);
        }
        for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
            self.environment(container.env.as_deref(), container.env_from.as_deref());
        }
        for container in spec.ephemeral_containers.iter().flatten() {
            self.environment(container.env.as_deref(), container.env_from.as_deref());
        }
        for volume in spec.volumes.iter().flatten() {
            self.volume(volume);
        }
    }

    fn environment(&mut self, variables: Option<&[EnvVar]>, all_of: Option<&[EnvFromSource]>) {
        for source in variables.into_iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
            source.config_map_key_ref.iter().for_each(|source| self.config_map(&source.name));
            source.secret_key_ref.iter().for_each(|source| self.secret(&source.name));
        }
        for source in all_of.into_iter().flatten() {
            source.config_map_ref.iter().for_each(|source| self.config_map(&source.name));
            source.secret_ref.iter().for_each(|source| self.secret(&source.name));
        }
    }

    fn volume(&mut self, volume: &Volume) {
        volume.config_map.iter().for_each(|source| self.config_map(&source.name));
        volume
            .secret
            .iter()
            .filter_map(|source| source.secret_name.as_deref())
            .for_each(|name| self.secret(name));
        let projected = volume.projected.iter().filter_map(|source| source.sources.as_ref()).flatten();
        for source in projected {
            source.config_map.iter().for_each(|source| self.config_map(&source.name));
            source.secret.iter().for_each(|source| self.secret(&source.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use api::codec::Typed;

    use super::*;

    #[test]
    fn every_place_that_names_an_object_is_seen() {
        let pod = Pod::decode(
            br#"{"metadata":{"name":"p","namespace":"n"},"spec":{
            "imagePullSecrets":[{"name":"pull"}],
            "initContainers":[{"name":"i","env":[{"name":"A","valueFrom":{"configMapKeyRef":{"name":"c1","key":"k"}}}]}],
            "containers":[{"name":"c","env":[{"name":"A","valueFrom":{"secretKeyRef":{"name":"s1","key":"k"}}}],
                "envFrom":[{"configMapRef":{"name":"c2"}},{"secretRef":{"name":"s2"}}]}],
            "ephemeralContainers":[{"name":"e","envFrom":[{"configMapRef":{"name":"c3"}}]}],
            "volumes":[{"name":"a","configMap":{"name":"c4"}},{"name":"b","secret":{"secretName":"s3"}},
                {"name":"d","projected":{"sources":[{"configMap":{"name":"c5"}},{"secret":{"name":"s4"}}]}},
                {"name":"again","configMap":{"name":"c4"}}]}}"#,
        )
        .unwrap();
        let config_maps =
            ["c1", "c2", "c3", "c4", "c5"].map(|name| Reference::ConfigMap(Key::new("n", name)));
        let secrets = ["pull", "s1", "s2", "s3", "s4"].map(|name| Reference::Secret(Key::new("n", name)));
        assert_eq!(references(&pod), config_maps.into_iter().chain(secrets).collect());
    }
}
