//! The amounts that the pods of this node were given, which take its room: what a pod asks for beyond them takes none yet.
//!
//! Whoever takes room looks for it and takes it under one lock: no two get the same.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::{Pod, PodSpec};

use crate::resize;

/// By the pods' uids. Those that are over have none.
#[derive(Debug, Default)]
pub(crate) struct Granted(Mutex<BTreeMap<String, PodSpec>>);

impl Granted {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, PodSpec>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the pod what it asks for, unless that is refused in view of what the others have.
    pub(crate) fn grant<R>(
        &self,
        uid: &str,
        spec: &PodSpec,
        refusal: impl FnOnce(&[&PodSpec]) -> Option<R>,
    ) -> Option<R> {
        let mut all = self.all();
        let others: Vec<&PodSpec> =
            all.iter().filter(|(other, _)| *other != uid).map(|(_, spec)| spec).collect();
        let refused = refusal(&others);
        if refused.is_none() {
            all.insert(uid.to_owned(), spec.clone());
        }
        refused
    }

    /// One that was taken before has this, unless more is known.
    pub(crate) fn recall(&self, uid: &str, spec: PodSpec) {
        self.all().entry(uid.to_owned()).or_insert(spec);
    }

    pub(crate) fn forget(&self, uid: &str) {
        self.all().remove(uid);
    }

    /// Whether the pod asks for other amounts than it was given.
    pub(crate) fn differs(&self, uid: &str, spec: &PodSpec) -> bool {
        self.all().get(uid).is_some_and(|granted| resize::differ(granted, spec))
    }

    /// The pod with what it was given.
    pub(crate) fn of(&self, uid: &str, pod: &Arc<Pod>) -> Arc<Pod> {
        let mut pod = Arc::clone(pod);
        let all = self.all();
        let (Some(granted), Some(spec)) = (all.get(uid), &pod.spec) else { return pod };
        if resize::differ(granted, spec) {
            resize::take_amounts(Arc::make_mut(&mut pod).spec.get_or_insert_default(), granted);
        }
        pod
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Container, ResourceRequirements};
    use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

    use super::*;
    use crate::resources::requests_of_pod;

    fn spec(cpu: &str) -> PodSpec {
        let requests = Some([("cpu".to_owned(), Quantity(cpu.into()))].into());
        let resources = Some(ResourceRequirements { requests, ..ResourceRequirements::default() });
        let container = Container { name: "app".into(), resources, ..Container::default() };
        PodSpec { containers: vec![container], ..PodSpec::default() }
    }

    #[test]
    fn room_is_given_once() {
        let granted = Granted::default();
        let grant = |uid: &str, cpu: &str| {
            granted.grant(uid, &spec(cpu), |others| {
                let all = others.iter().map(|other| requests_of_pod(other).cpu).sum::<i64>();
                (all + requests_of_pod(&spec(cpu)).cpu > 2000).then_some(())
            })
        };
        assert_eq!([grant("a", "1"), grant("b", "1")], [None, None]);
        assert_eq!(grant("a", "1500m"), Some(()), "the other has not become smaller");
        let asks = Arc::new(Pod { spec: Some(spec("1500m")), ..Pod::default() });
        assert!(granted.differs("a", &spec("1500m")));
        assert_eq!(granted.of("a", &asks).spec, Some(spec("1")), "what waits is not given");
        assert_eq!(grant("b", "500m"), None);
        assert_eq!([grant("a", "1500m"), grant("c", "100m")], [None, Some(())]);
        granted.forget("b");
        assert_eq!(grant("c", "100m"), None);
    }
}
