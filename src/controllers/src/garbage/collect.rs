//! Looking at one object and acting: it is deleted, let go of by owners that are no more, or freed of its dependents.

use std::time::Duration;

use client::{DeleteOptions, Error, ListOptions, Patch, Path, Preconditions};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use serde_json::json;
use tracing::info;

use super::graph::{FOREGROUND, ORPHAN, Place, Work, deletes_dependents, has_finalizer, place_of};
use super::{Collector, watched};

/// The owners of an object, by what they mean for it.
#[derive(Debug, Default)]
struct Owners {
    /// There, and staying.
    solid: Vec<OwnerReference>,
    /// Not there, or another object by the same name.
    dangling: Vec<OwnerReference>,
    /// Being deleted, after this object.
    waiting: Vec<OwnerReference>,
}

impl Collector {
    pub(super) async fn work(&self, work: Work) -> Result<Option<Duration>, Error> {
        match work {
            Work::Verify(owner) => self.verify(&owner).await?,
            Work::Collect(object) => self.collect(&object).await?,
            Work::Release(object) => self.release(&object).await?,
        }
        Ok(None)
    }

    async fn verify(&self, uid: &str) -> Result<(), Error> {
        let Some(place) = self.graph().unverified(uid) else { return Ok(()) };
        match self.live(&place, uid).await? {
            Some(_) => self.graph().set_present(uid),
            None => {
                let work = self.graph().set_absent(uid);
                self.add(work);
            }
        }
        Ok(())
    }

    /// The object as it is now, if it is still the same one.
    async fn live(&self, place: &Place, uid: &str) -> Result<Option<ObjectMeta>, Error> {
        match self.client.get_metadata(&place.path()).await {
            Ok(object) => Ok(Some(object).filter(|object| object.uid.as_deref() == Some(uid))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn collect(&self, uid: &str) -> Result<(), Error> {
        let Some(place) = self.graph().owned(uid) else { return Ok(()) };
        let Some(object) = self.live(&place, uid).await? else {
            let work = self.graph().deleted(uid);
            self.add(work);
            return Ok(());
        };
        // One that waits for its own dependents is looked at as an owner; any other is on its way already.
        if object.deletion_timestamp.is_some() {
            return Ok(());
        }
        let owners = self.owners(&object).await?;
        if owners.dangling.is_empty() && owners.waiting.is_empty() {
            return Ok(());
        }
        if !owners.solid.is_empty() {
            return self.set_owners(&place, &object, &owners.solid).await;
        }
        let has_dependents = !self.graph().dependents(uid).is_empty();
        if !owners.waiting.is_empty() && has_dependents {
            // Its own dependents go first, as those of its owner do. Two that own each other would wait for ever.
            self.break_circle(&place, &object).await?;
            return self.delete(&place, &object, "Foreground").await;
        }
        let policy = if has_finalizer(&object, ORPHAN) {
            "Orphan"
        } else if has_finalizer(&object, FOREGROUND) {
            "Foreground"
        } else {
            "Background"
        };
        self.delete(&place, &object, policy).await
    }

    async fn owners(&self, object: &ObjectMeta) -> Result<Owners, Error> {
        let mut owners = Owners::default();
        let namespace = object.namespace.as_deref().unwrap_or_default();
        for reference in object.owner_references.iter().flatten() {
            let Some(place) = place_of(reference, namespace) else {
                owners.solid.push(reference.clone());
                continue;
            };
            let gone = self.graph().is_absent(&reference.uid);
            let owner = if gone { None } else { self.live(&place, &reference.uid).await? };
            match owner {
                None => owners.dangling.push(reference.clone()),
                Some(owner) if deletes_dependents(&owner) => owners.waiting.push(reference.clone()),
                Some(_) => owners.solid.push(reference.clone()),
            }
        }
        Ok(owners)
    }

    /// A dependent of the object that is itself waiting for its dependents may be waiting for the object: then the object must
    /// not be waited for.
    async fn break_circle(&self, place: &Place, object: &ObjectMeta) -> Result<(), Error> {
        let waits = {
            let graph = self.graph();
            let dependents = graph.dependents(object.uid.as_deref().unwrap_or_default());
            dependents.iter().any(|dependent| graph.waiting(dependent).is_some())
        };
        let blocks = |reference: &OwnerReference| reference.block_owner_deletion == Some(true);
        if !waits || !object.owner_references.iter().flatten().any(blocks) {
            return Ok(());
        }
        let free = |reference: &OwnerReference| OwnerReference {
            block_owner_deletion: Some(false),
            ..reference.clone()
        };
        let owners: Vec<_> = object.owner_references.iter().flatten().map(free).collect();
        // The revision has changed: the deletion is tried again with the new one.
        self.set_owners(place, object, &owners).await
    }

    /// Lets the end of an object go on when its dependents are settled.
    async fn release(&self, uid: &str) -> Result<(), Error> {
        let Some(place) = self.graph().waiting(uid) else { return Ok(()) };
        let Some(object) = self.live(&place, uid).await? else {
            let work = self.graph().deleted(uid);
            self.add(work);
            return Ok(());
        };
        if has_finalizer(&object, ORPHAN) {
            self.orphan_dependents(&place, &object).await?;
            return self.remove_finalizer(&place, &object, ORPHAN).await;
        }
        if !deletes_dependents(&object) {
            return Ok(());
        }
        let (blocking, all) = {
            let graph = self.graph();
            (graph.blocking(uid), graph.dependents(uid))
        };
        if blocking.is_empty() {
            return self.remove_finalizer(&place, &object, FOREGROUND).await;
        }
        self.add(all.into_iter().map(Work::Collect));
        Ok(())
    }

    /// Takes the owner's name from everything that carries it. Asks for the objects themselves, for the graph may not have
    /// heard of the newest yet, and one that is missed here would be deleted.
    async fn orphan_dependents(&self, place: &Place, owner: &ObjectMeta) -> Result<(), Error> {
        for kind in watched().filter(|kind| kind.namespaced || !place.kind.namespaced) {
            let path = Path::collection_of(kind, &place.key.namespace);
            for object in self.client.list_metadata(&path, &ListOptions::default()).await?.items {
                let mut owners = object.owner_references.clone().unwrap_or_default();
                let before = owners.len();
                owners.retain(|reference| Some(&reference.uid) != owner.uid.as_ref());
                if owners.len() < before {
                    let key = client::Key::new(
                        object.namespace.clone().unwrap_or_default(),
                        object.name.clone().unwrap_or_default(),
                    );
                    self.set_owners(&Place { kind, key }, &object, &owners).await?;
                }
            }
        }
        Ok(())
    }

    async fn set_owners(
        &self,
        place: &Place,
        object: &ObjectMeta,
        owners: &[OwnerReference],
    ) -> Result<(), Error> {
        let owners = (!owners.is_empty()).then_some(owners);
        self.patch(place, object, json!({"ownerReferences": owners})).await
    }

    async fn remove_finalizer(
        &self,
        place: &Place,
        object: &ObjectMeta,
        finalizer: &str,
    ) -> Result<(), Error> {
        let finalizers: Vec<_> =
            object.finalizers.iter().flatten().filter(|held| *held != finalizer).collect();
        self.patch(place, object, json!({"finalizers": finalizers})).await
    }

    /// Changes metadata of the very object that was looked at.
    async fn patch(
        &self,
        place: &Place,
        object: &ObjectMeta,
        mut metadata: serde_json::Value,
    ) -> Result<(), Error> {
        metadata["uid"] = json!(object.uid);
        metadata["resourceVersion"] = json!(object.resource_version);
        match self.client.patch_at(&place.path(), &Patch::Merge(json!({"metadata": metadata}))).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    async fn delete(&self, place: &Place, object: &ObjectMeta, policy: &str) -> Result<(), Error> {
        let options = DeleteOptions {
            propagation_policy: Some(policy.into()),
            preconditions: Some(Preconditions {
                uid: object.uid.clone(),
                resource_version: object.resource_version.clone(),
            }),
            ..DeleteOptions::default()
        };
        match self.client.delete_at(&place.path(), &options).await {
            Ok(()) => {
                info!(kind = place.kind.qualified_kind(), object = %place.key, policy, "deleted with its owner");
                Ok(())
            }
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }
}
