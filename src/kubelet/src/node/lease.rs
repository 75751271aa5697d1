//! The node's Lease: renewed every ten seconds, for it is by this that others know whether the node lives.

use std::time::Duration;

use client::{Error, Key};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use k8s_openapi::jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};

use crate::context::Context;

const NAMESPACE: &str = "kube-node-lease";
const DURATION_SECONDS: i32 = 40;
const RENEWAL: Duration = Duration::from_secs(10);

pub(super) async fn keep(context: &Context, node_uid: String) {
    let mut held: Option<Lease> = None;
    let mut tick = interval(RENEWAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        match renew(context, &node_uid, held.take()).await {
            Ok(lease) => held = Some(lease),
            // Read again the next time.
            Err(error) => tracing::debug!(%error, "the node's lease is not renewed"),
        }
    }
}

async fn renew(context: &Context, node_uid: &str, held: Option<Lease>) -> Result<Lease, Error> {
    let client = context.client();
    let name = &context.config.node_name;
    let current = match held {
        Some(lease) => Some(lease),
        None => match client.get::<Lease>(&Key::new(NAMESPACE, name)).await {
            Ok(lease) => Some(lease),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        },
    };
    let spec = LeaseSpec {
        holder_identity: Some(name.clone()),
        lease_duration_seconds: Some(DURATION_SECONDS),
        renew_time: Some(MicroTime(Timestamp::now())),
        ..LeaseSpec::default()
    };
    match current {
        Some(lease) => client.update(&Lease { spec: Some(spec), ..lease }).await,
        None => client.create(&Lease { metadata: metadata(name, node_uid), spec: Some(spec) }).await,
    }
}

fn metadata(name: &str, node_uid: &str) -> ObjectMeta {
    let owner = OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: name.to_owned(),
        uid: node_uid.to_owned(),
        ..OwnerReference::default()
    };
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(NAMESPACE.to_owned()),
        owner_references: Some(vec![owner]),
        ..ObjectMeta::default()
    }
}
