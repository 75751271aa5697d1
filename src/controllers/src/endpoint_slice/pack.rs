//! From the endpoints there should be to the fewest writes of slices that hold them.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::desired::{Family, Groups, Ports};
use super::{MANAGED_BY, OURS, SERVICE_NAME};
use crate::{make_pods, owner, service_pods};

/// Endpoints in one slice, as upstream: a slice is what every node reads again when one of them changes.
const MOST: usize = 100;

type Labels = BTreeMap<String, String>;

#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) create: Vec<EndpointSlice>,
    pub(super) update: Vec<EndpointSlice>,
    pub(super) delete: Vec<Arc<EndpointSlice>>,
}

pub(super) fn plan(
    service: &Service,
    families: &BTreeMap<Family, Groups>,
    existing: &[Arc<EndpointSlice>],
) -> Changes {
    let mut changes = Changes::default();
    let served = |slice: &EndpointSlice| families.keys().any(|family| family.as_str() == slice.address_type);
    changes.delete.extend(existing.iter().filter(|slice| !served(slice)).cloned());
    for (family, groups) in families {
        let of_family: Vec<_> =
            existing.iter().filter(|slice| slice.address_type == family.as_str()).cloned().collect();
        let planned = Plan { service, family: *family }.of_groups(groups, of_family);
        changes.create.extend(planned.create);
        changes.update.extend(planned.update);
        changes.delete.extend(planned.delete);
    }
    changes
}

/// The slices of one family of addresses.
struct Plan<'a> {
    service: &'a Service,
    family: Family,
}

/// A slice that stays, with what it should hold.
struct Draft {
    slice: Arc<EndpointSlice>,
    endpoints: Vec<Endpoint>,
}

/// Who an endpoint is, whatever its condition.
type Identity = (Vec<String>, Option<String>);

fn identity(endpoint: &Endpoint) -> Identity {
    let target = endpoint.target_ref.as_ref().and_then(|target| target.uid.clone());
    (endpoint.addresses.clone(), target)
}

impl Plan<'_> {
    fn of_groups(&self, groups: &Groups, existing: Vec<Arc<EndpointSlice>>) -> Changes {
        let before = existing.len();
        let mut by_ports: BTreeMap<Ports, Vec<Arc<EndpointSlice>>> = BTreeMap::new();
        let mut changes = Changes::default();
        for slice in existing {
            if self.owns(&slice) {
                let ports = Ports::of(slice.ports.as_deref().unwrap_or_default());
                by_ports.entry(ports).or_default().push(slice);
            } else {
                changes.delete.push(slice);
            }
        }
        for (ports, endpoints) in groups {
            self.pack(ports, endpoints, by_ports.remove(ports).unwrap_or_default(), &mut changes);
        }
        changes.delete.extend(by_ports.into_values().flatten());
        if changes.delete.len() == before && changes.create.is_empty() {
            self.keep_place(&mut changes);
        }
        self.recycle(&mut changes);
        changes
    }

    fn owns(&self, slice: &EndpointSlice) -> bool {
        let owners = slice.metadata.owner_references.iter().flatten();
        let (kind, version, uid) = ("Service", "v1", self.service.metadata.uid.as_ref());
        owners.into_iter().any(|it| it.kind == kind && it.api_version == version && Some(&it.uid) == uid)
    }

    /// Keeps each endpoint where it is; what is new goes first where something changes anyway, then into the fullest slice
    /// that takes it all, then into new ones.
    fn pack(
        &self,
        ports: &Ports,
        endpoints: &[Endpoint],
        existing: Vec<Arc<EndpointSlice>>,
        changes: &mut Changes,
    ) {
        let mut wanted: BTreeMap<Identity, Endpoint> =
            endpoints.iter().map(|endpoint| (identity(endpoint), endpoint.clone())).collect();
        let (mut changed, mut same) = (Vec::new(), Vec::new());
        for slice in existing {
            let kept = slice.endpoints.iter().flatten();
            let endpoints: Vec<_> = kept.filter_map(|endpoint| wanted.remove(&identity(endpoint))).collect();
            let draft = Draft { slice, endpoints };
            match draft.endpoints.is_empty() {
                true => changes.delete.push(draft.slice),
                false if self.changes(&draft) => changed.push(draft),
                false => same.push(draft),
            }
        }
        changed.sort_by_key(|draft| std::cmp::Reverse(draft.endpoints.len()));
        changed.iter_mut().for_each(|draft| draft.fill(&mut wanted));
        let fits = |draft: &&mut Draft| draft.endpoints.len() + wanted.len() <= MOST;
        if !wanted.is_empty()
            && let Some(fullest) = same.iter_mut().filter(fits).max_by_key(|draft| draft.endpoints.len())
        {
            fullest.fill(&mut wanted);
        }
        let all = changed.into_iter().chain(same).filter(|draft| self.changes(draft));
        changes.update.extend(all.map(|draft| self.redone(&draft.slice, draft.endpoints)));
        let rest: Vec<Endpoint> = wanted.into_values().collect();
        changes.create.extend(rest.chunks(MOST).map(|chunk| self.made(ports, chunk.to_vec())));
    }

    fn changes(&self, draft: &Draft) -> bool {
        draft.slice.endpoints.as_deref() != Some(&draft.endpoints)
            || draft.slice.metadata.labels.as_ref() != Some(&self.labels())
    }

    fn redone(&self, slice: &EndpointSlice, endpoints: Vec<Endpoint>) -> EndpointSlice {
        let mut slice = slice.clone();
        slice.endpoints = Some(endpoints);
        slice.metadata.labels = Some(self.labels());
        slice
    }

    fn made(&self, ports: &Ports, endpoints: Vec<Endpoint>) -> EndpointSlice {
        let name = self.service.metadata.name.as_deref().unwrap_or_default();
        EndpointSlice {
            metadata: ObjectMeta {
                generate_name: Some(make_pods::prefix(name)),
                namespace: self.service.metadata.namespace.clone(),
                labels: Some(self.labels()),
                owner_references: Some(vec![owner::reference(self.service)]),
                ..ObjectMeta::default()
            },
            address_type: self.family.as_str().into(),
            endpoints: Some(endpoints),
            ports: Some(ports.to_list()),
        }
    }

    /// Those of the Service, and what a slice is found by.
    fn labels(&self) -> Labels {
        let mut labels = self.service.metadata.labels.clone().unwrap_or_default();
        labels.remove(service_pods::HEADLESS);
        if service_pods::is_headless(self.service) {
            labels.insert(service_pods::HEADLESS.into(), String::new());
        }
        labels.insert(SERVICE_NAME.into(), self.service.metadata.name.clone().unwrap_or_default());
        labels.insert(MANAGED_BY.into(), OURS.into());
        labels
    }

    /// A Service without endpoints has one empty slice: readers can tell none from not yet.
    fn keep_place(&self, changes: &mut Changes) {
        let empty = self.made(&Ports::of(&[]), Vec::new());
        let same = |slice: &EndpointSlice| {
            self.owns(slice)
                && slice.endpoints.as_deref().unwrap_or_default().is_empty()
                && slice.ports.as_deref().unwrap_or_default().is_empty()
                && slice.metadata.labels == empty.metadata.labels
        };
        if changes.delete.len() == 1 && same(&changes.delete[0]) {
            changes.delete.clear();
        } else {
            changes.create.push(empty);
        }
    }

    /// A slice that would go takes the content of one that would come.
    fn recycle(&self, changes: &mut Changes) {
        let (ours, foreign): (Vec<_>, Vec<_>) = changes.delete.drain(..).partition(|slice| self.owns(slice));
        changes.delete = foreign;
        for slice in ours {
            let Some(new) = changes.create.pop() else {
                changes.delete.push(slice);
                continue;
            };
            let mut slice = EndpointSlice::clone(&slice);
            slice.metadata.labels = new.metadata.labels;
            (slice.endpoints, slice.ports) = (new.endpoints, new.ports);
            changes.update.push(slice);
        }
    }
}

impl Draft {
    fn fill(&mut self, wanted: &mut BTreeMap<Identity, Endpoint>) {
        while self.endpoints.len() < MOST
            && let Some((_, endpoint)) = wanted.pop_first()
        {
            self.endpoints.push(endpoint);
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Node, Pod, PodIP, ServicePort, ServiceSpec};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
    use k8s_openapi::jiff::Timestamp;

    use super::*;
    use crate::endpoint_slice::desired::desired;
    use crate::pod::tests::pod;

    fn service() -> Service {
        let port =
            ServicePort { port: 80, target_port: Some(IntOrString::Int(8080)), ..ServicePort::default() };
        Service {
            metadata: ObjectMeta {
                name: Some("web".into()),
                namespace: Some("default".into()),
                uid: Some("service".into()),
                ..ObjectMeta::default()
            },
            spec: Some(ServiceSpec {
                cluster_ip: Some("10.43.0.9".into()),
                ip_families: Some(vec!["IPv4".into()]),
                ports: Some(vec![port]),
                ..ServiceSpec::default()
            }),
            status: None,
        }
    }

    fn pods(count: usize) -> Vec<Arc<Pod>> {
        let addressed = |index: usize| {
            let mut pod = Pod::clone(&pod(&format!("p{index:03}"), "n", Some(1)));
            let ip = format!("10.42.{}.{}", index / 200, index % 200 + 1);
            pod.status.as_mut().unwrap().pod_ips = Some(vec![PodIP { ip }]);
            Arc::new(pod)
        };
        (0..count).map(addressed).collect()
    }

    fn plan_for(service: &Service, pods: &[Arc<Pod>], existing: &[Arc<EndpointSlice>]) -> Changes {
        let node = |_: &str| Some(Arc::new(Node::default()));
        plan(service, &desired(service, pods, node).families, existing)
    }

    /// As the API server would have it: with a name.
    fn stored(changes: Changes, name: &str) -> Vec<Arc<EndpointSlice>> {
        let named = changes.create.into_iter().enumerate().map(|(index, mut slice)| {
            slice.metadata.name = Some(format!("{name}{index}"));
            Arc::new(slice)
        });
        named.collect()
    }

    fn sizes(slices: &[EndpointSlice]) -> Vec<usize> {
        slices.iter().map(|slice| slice.endpoints.as_ref().map_or(0, Vec::len)).collect()
    }

    #[test]
    fn a_hundred_to_a_slice_and_a_change_rewrites_one() {
        let all = pods(250);
        let first = plan_for(&service(), &all[..240], &[]);
        assert_eq!(sizes(&first.create), [100, 100, 40]);
        let slices = stored(first, "s");
        let settled = plan_for(&service(), &all[..240], &slices);
        assert!(settled.create.is_empty() && settled.update.is_empty() && settled.delete.is_empty());
        let grown = plan_for(&service(), &all, &slices);
        assert_eq!((sizes(&grown.update), grown.create.len()), (vec![50], 0), "the one with room takes them");
        let mut fewer = all[..240].to_vec();
        fewer.remove(3);
        assert_eq!(sizes(&plan_for(&service(), &fewer, &slices).update), [99]);
    }

    #[test]
    fn a_service_without_pods_keeps_an_empty_slice() {
        let empty = plan_for(&service(), &[], &[]);
        assert_eq!(sizes(&empty.create), [0]);
        let slices = stored(empty, "s");
        let still = plan_for(&service(), &[], &slices);
        assert!(still.create.is_empty() && still.update.is_empty() && still.delete.is_empty());
        let first = plan_for(&service(), &pods(1), &slices);
        assert_eq!((sizes(&first.update), first.delete.len()), (vec![1], 0), "its place is taken over");
        let ports = first.update[0].ports.as_ref().unwrap();
        assert_eq!((ports[0].port, ports[0].name.as_deref()), (Some(8080), Some("")));
    }

    #[test]
    fn conditions_follow_the_pod() {
        let mut going = Pod::clone(&pods(1)[0]);
        going.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        let going = [Arc::new(going)];
        let conditions = |service: &Service| {
            let slice = plan_for(service, &going, &[]).create.remove(0);
            let conditions = slice.endpoints.unwrap().remove(0).conditions.unwrap();
            (conditions.ready, conditions.serving, conditions.terminating)
        };
        let mut service = service();
        assert_eq!(conditions(&service), (Some(false), Some(true), Some(true)));
        service.spec.as_mut().unwrap().publish_not_ready_addresses = Some(true);
        assert_eq!(conditions(&service), (Some(true), Some(true), Some(true)));
    }

    #[test]
    fn a_family_that_is_no_longer_served_loses_its_slices() {
        let mut old = plan_for(&service(), &pods(1), &[]).create.remove(0);
        old.address_type = "IPv6".into();
        let changes = plan_for(&service(), &pods(1), &[Arc::new(old)]);
        assert_eq!((changes.delete.len(), changes.create.len(), changes.update.len()), (1, 1, 0));
    }

    #[test]
    fn labels_are_the_services_and_ours() {
        let mut service = service();
        service.metadata.labels = Some([("tier".to_string(), "front".to_string())].into());
        service.spec.as_mut().unwrap().cluster_ip = Some("None".into());
        let labels = plan_for(&service, &pods(1), &[]).create.remove(0).metadata.labels.unwrap();
        assert_eq!(labels.get("tier").map(String::as_str), Some("front"));
        assert_eq!(labels.get("service.kubernetes.io/headless").map(String::as_str), Some(""));
        assert_eq!(labels.get(SERVICE_NAME).map(String::as_str), Some("web"));
    }
}
