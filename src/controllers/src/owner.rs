//! Who controls what: owner references, adoption of orphans, release of what no longer matches.

use std::sync::Arc;

use api::selector::LabelSelector;
use client::{Cache, Client, Error, Key, Object, Patch, Scoped};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector as Selector, ObjectMeta, OwnerReference};
use serde_json::{Value, json};

/// The owner that manages an object, of the one that may.
pub(crate) fn controller(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

/// The key of the `Owner` that controls an object of the same namespace.
pub(crate) fn controller_key<Owner: Object>(metadata: &ObjectMeta) -> Option<Key> {
    let owner = controller(metadata)?;
    let ours = owner.kind == Owner::KIND && group(&owner.api_version) == Owner::GROUP;
    ours.then(|| Key::new(metadata.namespace.clone().unwrap_or_default(), owner.name.clone()))
}

/// The owners to look at when an object changes: the one that controls it, or those that may adopt it.
pub(crate) fn concerned<Owner: Object>(
    owners: &Cache<Owner>,
    selector: fn(&Owner) -> Option<&Selector>,
    object: &ObjectMeta,
) -> Vec<Key> {
    concerned_by(owners, |owner| LabelSelector::of(selector(owner)).ok(), object)
}

/// The same for owners whose selectors have another form.
pub(crate) fn concerned_by<Owner: Object>(
    owners: &Cache<Owner>,
    selector: impl Fn(&Owner) -> Option<LabelSelector>,
    object: &ObjectMeta,
) -> Vec<Key> {
    if controller(object).is_some() {
        return controller_key::<Owner>(object).into_iter().collect();
    }
    let owners = owners.list_in(object.namespace.as_deref().unwrap_or_default());
    let selects = |owner: &Owner| selector(owner).is_some_and(|it| it.matches_labels(object.labels.as_ref()));
    owners.iter().filter(|owner| selects(owner)).map(|owner| Key::of(&**owner)).collect()
}

fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// What an object that `owner` controls carries.
pub(crate) fn reference<Owner: Object>(owner: &Owner) -> OwnerReference {
    let metadata = owner.metadata();
    OwnerReference {
        api_version: Owner::API_VERSION.to_string(),
        kind: Owner::KIND.to_string(),
        name: metadata.name.clone().unwrap_or_default(),
        uid: metadata.uid.clone().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

pub(crate) fn is_controlled_by(metadata: &ObjectMeta, owner: &ObjectMeta) -> bool {
    controller(metadata).is_some_and(|reference| Some(&reference.uid) == owner.uid.as_ref())
}

/// What an object is to an owner that selects by labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    Ours,
    /// Matches, and nobody controls it.
    Adopt,
    /// We control it, and it no longer matches.
    Release,
    NotOurs,
}

fn claim(owner: &ObjectMeta, selector: &LabelSelector, object: &ObjectMeta) -> Claim {
    let matches = selector.matches_labels(object.labels.as_ref());
    let dying = owner.deletion_timestamp.is_some();
    match controller(object) {
        Some(reference) if Some(&reference.uid) != owner.uid.as_ref() => Claim::NotOurs,
        Some(_) if matches => Claim::Ours,
        Some(_) if !dying => Claim::Release,
        None if matches && !dying && object.deletion_timestamp.is_none() => Claim::Adopt,
        _ => Claim::NotOurs,
    }
}

/// An owner that takes what it selects.
pub(crate) struct Claimer<'a, Owner> {
    client: &'a Client,
    owner: &'a Owner,
    selector: &'a LabelSelector,
    /// What is adopted gets this, if anything.
    finalizer: Option<&'static str>,
}

impl<'a, Owner: Object> Claimer<'a, Owner> {
    pub(crate) fn new(client: &'a Client, owner: &'a Owner, selector: &'a LabelSelector) -> Self {
        Self { client, owner, selector, finalizer: None }
    }

    pub(crate) fn with_finalizer(self, finalizer: &'static str) -> Self {
        Self { finalizer: Some(finalizer), ..self }
    }

    /// The objects that belong to the owner, after adopting orphans that match and releasing what no longer does.
    pub(crate) async fn claim<K: Object<Scope: Scoped>>(
        &self,
        objects: Vec<Arc<K>>,
    ) -> Result<Vec<Arc<K>>, Error> {
        let mut ours = Vec::new();
        for object in objects {
            match claim(self.owner.metadata(), self.selector, object.metadata()) {
                Claim::Ours => ours.push(object),
                Claim::Adopt => ours.extend(self.adopt(&object).await?),
                Claim::Release => self.release(&object).await?,
                Claim::NotOurs => {}
            }
        }
        Ok(ours)
    }

    /// None if the orphan is gone, or another one is there under its name.
    async fn adopt<K: Object<Scope: Scoped>>(&self, orphan: &Arc<K>) -> Result<Option<Arc<K>>, Error> {
        let metadata = orphan.metadata();
        let mut owners = metadata.owner_references.clone().unwrap_or_default();
        owners.push(reference(self.owner));
        let mut change = json!({"ownerReferences": owners});
        if let Some(finalizer) = self.finalizer {
            let mut finalizers = metadata.finalizers.clone().unwrap_or_default();
            finalizers.push(finalizer.into());
            change["finalizers"] = json!(finalizers);
        }
        match self.patch(&**orphan, change).await {
            Ok(adopted) => Ok(Some(Arc::new(adopted))),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn release<K: Object<Scope: Scoped>>(&self, object: &Arc<K>) -> Result<(), Error> {
        let mut owners = object.metadata().owner_references.clone().unwrap_or_default();
        owners.retain(|reference| Some(&reference.uid) != self.owner.metadata().uid.as_ref());
        match self.patch(&**object, json!({"ownerReferences": owners})).await {
            Err(error) if !is_gone(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Changes the very object that was looked at: its uid and revision are part of the patch.
    async fn patch<K: Object<Scope: Scoped>>(&self, object: &K, mut change: Value) -> Result<K, Error> {
        change["uid"] = json!(object.metadata().uid);
        change["resourceVersion"] = json!(object.metadata().resource_version);
        self.client.patch(&Key::of(object), None, &Patch::Merge(json!({"metadata": change}))).await
    }
}

fn is_gone(error: &Error) -> bool {
    error.is_not_found() || error.reason() == Some("Invalid")
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    fn labelled(app: &str, owner: Option<&str>) -> ObjectMeta {
        let reference = |uid: &str| OwnerReference {
            uid: uid.into(),
            controller: Some(true),
            ..OwnerReference::default()
        };
        ObjectMeta {
            labels: Some([("app".to_string(), app.to_string())].into()),
            owner_references: owner.map(|uid| vec![reference(uid)]),
            ..ObjectMeta::default()
        }
    }

    #[test]
    fn a_claim_follows_owner_and_labels() {
        let labels = [("app".to_string(), "web".to_string())].into();
        let selector = LabelSelector::of_labels(&labels).unwrap();
        let alive = ObjectMeta { uid: Some("me".into()), ..ObjectMeta::default() };
        let dying = ObjectMeta { deletion_timestamp: Some(Time(Timestamp::UNIX_EPOCH)), ..alive.clone() };
        for (owner, object, expected) in [
            (&alive, labelled("web", Some("me")), Claim::Ours),
            (&alive, labelled("web", None), Claim::Adopt),
            (&alive, labelled("web", Some("other")), Claim::NotOurs),
            (&alive, labelled("db", Some("me")), Claim::Release),
            (&alive, labelled("db", None), Claim::NotOurs),
            (&dying, labelled("web", None), Claim::NotOurs),
            (&dying, labelled("db", Some("me")), Claim::NotOurs),
            (&dying, labelled("web", Some("me")), Claim::Ours),
        ] {
            assert_eq!(claim(owner, &selector, &object), expected, "{object:?}");
        }
        let going =
            ObjectMeta { deletion_timestamp: Some(Time(Timestamp::UNIX_EPOCH)), ..labelled("web", None) };
        assert_eq!(claim(&alive, &selector, &going), Claim::NotOurs);
    }
}
