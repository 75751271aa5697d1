//! Who owns whom: what is remembered of the objects that have owners, and what a change of one means for the others.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use api::kinds::{self, Kind};
use client::{Key, Path};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

pub(super) const FOREGROUND: &str = "foregroundDeletion";
pub(super) const ORPHAN: &str = "orphan";

pub(super) type Uid = Arc<str>;

/// Where an object is, or is said to be.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) kind: &'static Kind,
    pub(super) key: Key,
}

/// Something to look at, by uid.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Work {
    /// Does this owner exist?
    Verify(Uid),
    /// Must this object go with its owners?
    Collect(Uid),
    /// Are the dependents of this object, which is being deleted, settled?
    Release(Uid),
}

#[derive(Debug, Default)]
pub(super) struct Graph {
    /// Objects that have owners.
    owned: HashMap<Uid, Owned>,
    /// Objects that are named as owners.
    owners: HashMap<Uid, Owner>,
    /// Objects whose deletion waits for what becomes of their dependents.
    waiting: HashMap<Uid, Place>,
}

#[derive(Debug)]
struct Owned {
    place: Place,
    owners: Vec<Edge>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Edge {
    owner: Uid,
    /// Whether the owner, deleted in the foreground, waits for this object.
    blocks: bool,
}

#[derive(Debug)]
struct Owner {
    /// None for a kind that is not served: what cannot be asked for is taken to be there.
    place: Option<Place>,
    known: Known,
    dependents: BTreeSet<Uid>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    NotYet,
    Present,
    Absent,
}

impl Place {
    pub(super) fn path(&self) -> Path {
        Path::object_of(self.kind, &self.key)
    }
}

/// Where `reference` says the owner of an object of `namespace` is.
pub(super) fn place_of(reference: &OwnerReference, namespace: &str) -> Option<Place> {
    let (group, version) = reference.api_version.split_once('/').unwrap_or(("", &reference.api_version));
    let kind = kinds::by_kind(group, version, &reference.kind)?.stored();
    // An object of the whole cluster cannot be owned by one of a namespace: no place says which is meant.
    if kind.namespaced && namespace.is_empty() {
        return None;
    }
    let namespace = if kind.namespaced { namespace } else { "" };
    Some(Place { kind, key: Key::new(namespace, reference.name.clone()) })
}

/// Whether an object is being deleted after its dependents.
pub(super) fn deletes_dependents(object: &ObjectMeta) -> bool {
    object.deletion_timestamp.is_some() && has_finalizer(object, FOREGROUND)
}

pub(super) fn has_finalizer(object: &ObjectMeta, finalizer: &str) -> bool {
    object.finalizers.iter().flatten().any(|held| held == finalizer)
}

impl Graph {
    /// An object is there, new or changed.
    pub(super) fn applied(&mut self, kind: &'static Kind, object: &ObjectMeta) -> Vec<Work> {
        let Some(uid) = object.uid.as_deref().map(Uid::from) else { return Vec::new() };
        let namespace = object.namespace.clone().unwrap_or_default();
        let place = Place { kind, key: Key::new(namespace, object.name.clone().unwrap_or_default()) };
        let mut work = self.set_owners(&uid, &place, object.owner_references.as_deref().unwrap_or_default());
        let waits = object.deletion_timestamp.is_some()
            && (has_finalizer(object, ORPHAN) || has_finalizer(object, FOREGROUND));
        if waits {
            self.waiting.insert(uid.clone(), place);
            work.push(Work::Release(uid));
        } else {
            self.waiting.remove(&uid);
        }
        work
    }

    /// An object is gone: so are those it owned, and who waited for it may go.
    pub(super) fn deleted(&mut self, uid: &str) -> Vec<Work> {
        self.waiting.remove(uid);
        let edges = self.owned.remove(uid).map(|object| object.owners).unwrap_or_default();
        let mut work: Vec<Work> = edges.iter().filter_map(|edge| self.disown(uid, &edge.owner)).collect();
        work.extend(self.set_absent(uid));
        work
    }

    /// All objects of a kind have been seen; what was remembered beside them is gone, or must be asked for again.
    pub(super) fn listed(&mut self, kind: &'static Kind, there: &HashSet<String>) -> Vec<Work> {
        let missing = |uid: &Uid, place: &Place| std::ptr::eq(place.kind, kind) && !there.contains(&**uid);
        let owned = self.owned.iter().filter(|(uid, object)| missing(uid, &object.place));
        let gone: Vec<Uid> = owned.map(|(uid, _)| uid.clone()).collect();
        self.waiting.retain(|uid, place| !missing(uid, place));
        let mut work: Vec<Work> = gone.iter().flat_map(|uid| self.deleted(uid)).collect();
        for (uid, owner) in &mut self.owners {
            let of_kind = owner.place.as_ref().is_some_and(|place| missing(uid, place));
            if of_kind && owner.known == Known::Present {
                owner.known = Known::NotYet;
                work.push(Work::Verify(uid.clone()));
            }
        }
        work
    }

    fn set_owners(&mut self, uid: &Uid, place: &Place, references: &[OwnerReference]) -> Vec<Work> {
        let edge = |reference: &OwnerReference| Edge {
            owner: reference.uid.as_str().into(),
            blocks: reference.block_owner_deletion == Some(true),
        };
        let new: Vec<Edge> = references.iter().map(edge).collect();
        let old = match new.is_empty() {
            true => self.owned.remove(uid),
            false => self.owned.insert(uid.clone(), Owned { place: place.clone(), owners: new.clone() }),
        };
        let old = old.map(|object| object.owners).unwrap_or_default();
        if old == new {
            return Vec::new();
        }
        let mut work = Vec::new();
        for reference in references {
            work.extend(self.own(uid, place, reference));
        }
        for edge in &old {
            match new.iter().find(|now| now.owner == edge.owner) {
                None => work.extend(self.disown(uid, &edge.owner)),
                // No longer in the way of its owner's end.
                Some(now) if edge.blocks && !now.blocks => work.extend(self.release(&edge.owner)),
                Some(_) => {}
            }
        }
        work
    }

    fn own(&mut self, uid: &Uid, place: &Place, reference: &OwnerReference) -> Option<Work> {
        let owner = self.owners.entry(reference.uid.as_str().into()).or_insert_with(|| Owner {
            place: place_of(reference, &place.key.namespace),
            known: Known::NotYet,
            dependents: BTreeSet::new(),
        });
        let is_new = owner.dependents.insert(uid.clone());
        match owner.known {
            Known::NotYet => Some(Work::Verify(reference.uid.as_str().into())),
            Known::Present => None,
            Known::Absent => is_new.then(|| Work::Collect(uid.clone())),
        }
    }

    fn disown(&mut self, uid: &str, owner: &Uid) -> Option<Work> {
        if let Some(entry) = self.owners.get_mut(owner) {
            entry.dependents.remove(uid);
            if entry.dependents.is_empty() {
                self.owners.remove(owner);
            }
        }
        self.release(owner)
    }

    fn release(&self, owner: &Uid) -> Option<Work> {
        self.waiting.contains_key(owner).then(|| Work::Release(owner.clone()))
    }

    /// An owner was found, unless it has been seen to go meanwhile.
    pub(super) fn set_present(&mut self, uid: &str) {
        if let Some(owner) = self.owners.get_mut(uid).filter(|owner| owner.known == Known::NotYet) {
            owner.known = Known::Present;
        }
    }

    pub(super) fn set_absent(&mut self, uid: &str) -> Vec<Work> {
        let Some(owner) = self.owners.get_mut(uid) else { return Vec::new() };
        owner.known = Known::Absent;
        owner.dependents.iter().cloned().map(Work::Collect).collect()
    }

    /// Where an owner is said to be; none if it need not be asked for.
    pub(super) fn unverified(&self, uid: &str) -> Option<Place> {
        self.owners.get(uid).filter(|owner| owner.known == Known::NotYet)?.place.clone()
    }

    pub(super) fn is_absent(&self, uid: &str) -> bool {
        self.owners.get(uid).is_some_and(|owner| owner.known == Known::Absent)
    }

    pub(super) fn owned(&self, uid: &str) -> Option<Place> {
        Some(self.owned.get(uid)?.place.clone())
    }

    pub(super) fn waiting(&self, uid: &str) -> Option<Place> {
        self.waiting.get(uid).cloned()
    }

    pub(super) fn dependents(&self, owner: &str) -> Vec<Uid> {
        self.owners.get(owner).map(|owner| owner.dependents.iter().cloned().collect()).unwrap_or_default()
    }

    /// The dependents that an owner, deleted in the foreground, waits for.
    pub(super) fn blocking(&self, owner: &str) -> Vec<Uid> {
        let blocks = |uid: &Uid| {
            let edges = self.owned.get(uid).map(|object| object.owners.as_slice()).unwrap_or_default();
            edges.iter().any(|edge| &*edge.owner == owner && edge.blocks)
        };
        self.dependents(owner).into_iter().filter(blocks).collect()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    fn kind(plural: &str) -> &'static Kind {
        kinds::all().find(|kind| kind.plural == plural).unwrap()
    }

    fn object(uid: &str, owners: &[(&str, bool)]) -> ObjectMeta {
        let reference = |(owner, blocks): &(&str, bool)| OwnerReference {
            api_version: "apps/v1".into(),
            kind: "ReplicaSet".into(),
            name: (*owner).into(),
            uid: (*owner).into(),
            block_owner_deletion: Some(*blocks),
            ..OwnerReference::default()
        };
        ObjectMeta {
            name: Some(uid.into()),
            namespace: Some("shop".into()),
            uid: Some(uid.into()),
            owner_references: Some(owners.iter().map(reference).collect()),
            ..ObjectMeta::default()
        }
    }

    fn foreground(uid: &str) -> ObjectMeta {
        ObjectMeta {
            deletion_timestamp: Some(Time(Timestamp::UNIX_EPOCH)),
            finalizers: Some(vec![FOREGROUND.into()]),
            ..object(uid, &[])
        }
    }

    fn verify(uid: &str) -> Work {
        Work::Verify(uid.into())
    }

    fn collect(uid: &str) -> Work {
        Work::Collect(uid.into())
    }

    fn release(uid: &str) -> Work {
        Work::Release(uid.into())
    }

    #[test]
    fn an_owner_is_asked_for_once_and_its_end_is_theirs() {
        let mut graph = Graph::default();
        assert_eq!(graph.applied(kind("pods"), &object("a", &[("set", true)])), [verify("set")]);
        let place = graph.unverified("set").unwrap();
        assert_eq!(place.path().as_str(), "/apis/apps/v1/namespaces/shop/replicasets/set");
        graph.set_present("set");
        assert_eq!(graph.applied(kind("pods"), &object("b", &[("set", true)])), []);
        assert_eq!(graph.deleted("set"), [collect("a"), collect("b")]);
        graph.set_present("set");
        assert!(graph.is_absent("set"), "an old answer does not bring it back");
        assert_eq!(graph.applied(kind("pods"), &object("late", &[("set", true)])), [collect("late")]);
    }

    #[test]
    fn nothing_is_remembered_of_what_has_no_owner() {
        let mut graph = Graph::default();
        graph.applied(kind("configmaps"), &object("page", &[]));
        graph.applied(kind("pods"), &object("a", &[("set", true)]));
        graph.applied(kind("pods"), &object("a", &[]));
        assert!(graph.owned.is_empty() && graph.owners.is_empty() && graph.waiting.is_empty(), "{graph:?}");
    }

    #[test]
    fn a_foreground_deletion_waits_for_those_that_block_it() {
        let mut graph = Graph::default();
        graph.applied(kind("pods"), &object("a", &[("set", true)]));
        graph.applied(kind("pods"), &object("b", &[("set", true)]));
        graph.applied(kind("pods"), &object("c", &[("set", false)]));
        graph.set_present("set");
        assert_eq!(graph.applied(kind("replicasets"), &foreground("set")), [release("set")]);
        assert_eq!(graph.blocking("set"), ["a".into(), "b".into()]);
        assert_eq!(graph.applied(kind("pods"), &object("b", &[("set", false)])), [release("set")]);
        assert_eq!(graph.deleted("a"), [release("set")]);
        assert_eq!(graph.blocking("set"), []);
    }

    #[test]
    fn a_new_list_finds_what_went_unseen() {
        let mut graph = Graph::default();
        graph.applied(kind("pods"), &object("a", &[("set", true)]));
        graph.set_present("set");
        assert_eq!(graph.listed(kind("replicasets"), &HashSet::from(["set".to_string()])), []);
        assert_eq!(graph.listed(kind("replicasets"), &HashSet::new()), [verify("set")]);
        graph.listed(kind("pods"), &HashSet::new());
        assert!(graph.owned.is_empty() && graph.owners.is_empty());
    }
}
