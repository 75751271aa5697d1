//! A pod is given its node: once, and for good.

use api::field::{Errors, FieldError, Node};
use api::kinds::{self, Subresource};
use api::status::{self, Status};
use api::value::{at, int, list, members, object, text};
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use store::Store;

use super::condition;
use crate::admit::{Attempt, Operation};
use crate::answer::{self, Answer};
use crate::object::stored;
use crate::request::{Request, Resource};
use crate::verb::body::{self, Expected};
use crate::verb::update::{Next, rewrite};
use crate::verb::write;

const BINDING: status::Resource<'_> = status::Resource { group: "", name: "pods/binding" };

/// Labels of a node that its pods take over: they say where the pod is, in words that the pod can read.
const TOPOLOGY: [&str; 2] = ["topology.kubernetes.io/region", "topology.kubernetes.io/zone"];

/// `POST …/pods/NAME/binding`
pub(crate) async fn create(
    store: &Store,
    request: &Request,
    subresource: &'static Subresource,
) -> Result<Answer, Status> {
    let sent = body::decode(request, &Expected::below(subresource)?)?;
    let named = text(&sent.object, "metadata.name");
    if !named.is_empty() && named != request.name() {
        return Err(Status::bad_request("name in URL does not match name in Binding object"));
    }
    bind(store, request, &request.resource, sent).await
}

/// `POST …/bindings`: the pod's name is in the Binding.
pub(crate) async fn create_named(store: &Store, request: &Request) -> Result<Answer, Status> {
    let sent = body::object(request, request.kind())?;
    let kind = kinds::by_resource("", "v1", "pods").ok_or_else(Status::no_such_resource)?;
    let name = Some(text(&sent.object, "metadata.name").to_owned());
    let pod = Resource { kind, namespace: request.resource.namespace.clone(), name, subresource: None };
    bind(store, request, &pod, sent).await
}

async fn bind(store: &Store, request: &Request, pod: &Resource, sent: body::Sent) -> Result<Answer, Status> {
    let mut binding = sent.object;
    let namespace = text(&binding, "metadata.namespace");
    if !namespace.is_empty() && Some(namespace) != pod.namespace.as_deref() {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    validate(&binding)?;
    Attempt { store, request, operation: Operation::Create }.judge_question(&binding)?;
    label(store, &mut binding);
    let now = Timestamp::now();
    rewrite(store, pod, request.query.dry_run(), |old| {
        check(old, &binding)?;
        let mut object = old.clone();
        place(&mut object, &binding, now);
        Ok(Next { object, warnings: Vec::new() })
    })
    .await?;
    let success =
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    let mut answer = answer::value(StatusCode::CREATED, &success);
    write::warn(&mut answer, sent.warnings);
    Ok(answer)
}

fn validate(binding: &Value) -> Result<(), Status> {
    let mut errors = Errors::new();
    let root = Node::root(binding);
    let target = root.at("target");
    if !matches!(target.at("kind").text(), "" | "Node") {
        errors.push(target.at("kind").unsupported(&["Node", "<empty>"]));
    }
    if target.at("name").text().is_empty() {
        errors.push(target.at("name").required(""));
    }
    if errors.is_empty() {
        return Ok(());
    }
    let sentences: Vec<String> = errors.iter().map(FieldError::to_string).collect();
    let mut status = Status::internal("");
    // Upstream passes these on as they are, without a reason.
    status.reason = "";
    status.details = status::Details::default();
    status.message =
        if let [only] = &sentences[..] { only.clone() } else { format!("[{}]", sentences.join(", ")) };
    Err(status)
}

/// The Binding takes over what the node says of its place.
fn label(store: &Store, binding: &mut Value) {
    let node = kinds::by_resource("", "v1", "nodes")
        .and_then(|kind| store.get(&stored::key(kind, None, text(binding, "target.name"))));
    let Some(node) = node.and_then(|entry| serde_json::from_slice::<Value>(entry.value()).ok()) else {
        return;
    };
    for name in TOPOLOGY {
        if let Some(value) = at(&node, "metadata.labels").get(name)
            && let Some(labels) = binding.get_mut("metadata").and_then(|metadata| object(metadata, "labels"))
        {
            labels.insert(name.into(), value.clone());
        }
    }
}

/// Whether this pod, as it is, can be bound.
fn check(pod: &Value, binding: &Value) -> Result<(), Status> {
    let name = text(pod, "metadata.name");
    for (field, what, place) in [
        ("uid", "UID", "UID in object meta"),
        ("resourceVersion", "ResourceVersion", "ResourceVersion in object meta"),
    ] {
        let (wanted, is) = (text(at(binding, "metadata"), field), text(at(pod, "metadata"), field));
        if !wanted.is_empty() && wanted != is {
            let why = format!("Precondition failed: {what} in precondition: {wanted}, {place}: {is}");
            return Err(Status::conflict(status::Resource { group: "", name: "pods" }, name, &why));
        }
    }
    let node = text(pod, "spec.nodeName");
    let why = if !at(pod, "metadata.deletionTimestamp").is_null() {
        format!("pod {name} is being deleted, cannot be assigned to a host")
    } else if !node.is_empty() {
        format!("pod {name} is already assigned to node {node:?}")
    } else if !list(pod, "spec.schedulingGates").is_empty() {
        format!("pod {name} has non-empty .spec.schedulingGates")
    } else {
        return Ok(());
    };
    Err(Status::conflict(BINDING, name, &why))
}

fn place(pod: &mut Value, binding: &Value, now: Timestamp) {
    let generation = int(pod, "metadata.generation");
    pod["spec"]["nodeName"] = at(binding, "target.name").clone();
    for described in ["annotations", "labels"] {
        for (key, value) in members(at(binding, "metadata"), described) {
            pod["metadata"][described][key] = value.clone();
        }
    }
    if let Some(status) = object(pod, "status") {
        status.remove("nominatedNodeName");
        let mut scheduled = json!({"type": "PodScheduled", "status": "True", "lastProbeTime": null});
        if generation > 0 {
            scheduled["observedGeneration"] = generation.into();
        }
        condition::set(status.entry("conditions").or_insert_with(|| json!([])), scheduled, now);
    }
}
