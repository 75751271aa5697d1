//! `pods/eviction`: an end that asks the pod's disruption budget first.
//!
//! A disruption is written into the budget before the pod is deleted: two evictions at once do not both take the last one.

use api::kinds::{self, Kind, Subresource};
use api::selector::LabelSelector;
use api::status::{Cause, Resource, Status};
use api::value::{at, int, list, members, object, text};
use bytes::Bytes;
use http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use store::Store;

use super::condition;
use crate::admit::{Attempt, Operation};
use crate::answer::{self, Answer};
use crate::object::stored::{self, Head};
use crate::request::{self, Content, Request};
use crate::verb::body::{self, Expected};
use crate::verb::update::{Next, rewrite};
use crate::verb::{delete, write};

/// What `kubectl drain` sent before 1.22.
const OLDER: &str = "policy/v1beta1";
const VIOLATION: &str = "Cannot evict pod as it would violate the pod's disruption budget.";
/// Disruptions that the budget's controller has not seen yet; more are not taken in.
const MOST_DISRUPTED: usize = 2000;

pub(crate) async fn create(
    store: &Store,
    request: &Request,
    subresource: &'static Subresource,
) -> Result<Answer, Status> {
    let sent = body::decode(request, &Expected::below(subresource)?.or(OLDER))?;
    let named = text(&sent.object, "metadata.name");
    if !named.is_empty() && named != request.name() {
        return Err(Status::bad_request("name in URL does not match name in Eviction object"));
    }
    Attempt { store, request, operation: Operation::Create }.judge_question(&sent.object)?;
    let options = at(&sent.object, "deleteOptions");
    let dry_run = request.query.dry_run() || list(options, "dryRun").iter().any(|run| run == "All");
    let pod = pod(store, request)?;
    let unprotected = is_unprotected(&pod);
    let pinned = !unprotected && take_disruption(store, request, &pod, dry_run).await?;
    if !dry_run {
        mark(store, request, &pod).await?;
    }
    end(store, request, options, &pod, pinned, dry_run).await?;
    let success =
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    let mut answer = answer::value(StatusCode::CREATED, &success);
    write::warn(&mut answer, sent.warnings);
    Ok(answer)
}

fn pod(store: &Store, request: &Request) -> Result<Value, Status> {
    let key = stored::key(request.kind(), request.namespace(), request.name());
    let entry = store.get(&key).ok_or_else(|| request.not_found())?;
    Head::of(request.kind()).decode(&entry).map_err(|error| answer::damaged(&entry, &error))
}

/// A pod that does not serve anybody, or no longer will, is missed by nobody.
fn is_unprotected(pod: &Value) -> bool {
    let phase = text(pod, "status.phase");
    matches!(phase, "Succeeded" | "Failed" | "Pending") || !at(pod, "metadata.deletionTimestamp").is_null()
}

/// Takes one disruption from the pod's budget. Says whether the pod may go only if it stays as it is: one that is not
/// ready costs the budget nothing.
async fn take_disruption(
    store: &Store,
    request: &Request,
    pod: &Value,
    dry_run: bool,
) -> Result<bool, Status> {
    let kind = budgets()?;
    let budgets = budgets_of(store, kind, request.namespace(), pod)?;
    let budget = match &budgets[..] {
        [] => return Ok(false),
        [budget] => budget,
        _ => {
            let why = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            let mut status = Status::internal(why);
            (status.message, status.reason, status.details) =
                (why.into(), "", api::status::Details::default());
            return Err(status);
        }
    };
    if !is_ready(pod) && lets_unready_go(budget) {
        return Ok(true);
    }
    let named = request::Resource {
        kind,
        namespace: request.resource.namespace.clone(),
        name: Some(text(budget, "metadata.name").to_owned()),
        subresource: None,
    };
    let name = request.name();
    rewrite(store, &named, dry_run, |budget| {
        check(budget)?;
        Ok(Next { object: disrupted(budget, name, Timestamp::now()), warnings: Vec::new() })
    })
    .await?;
    Ok(false)
}

fn budgets() -> Result<&'static Kind, Status> {
    let missing = || Status::internal("there are no disruption budgets");
    kinds::by_resource("policy", "v1", "poddisruptionbudgets").ok_or_else(missing)
}

fn budgets_of(
    store: &Store,
    kind: &'static Kind,
    namespace: Option<&str>,
    pod: &Value,
) -> Result<Vec<Value>, Status> {
    let mut found = Vec::new();
    for entry in store.snapshot(&stored::collection(kind, namespace)).iter() {
        let budget = Head::of(kind).decode(entry).map_err(|error| answer::damaged(entry, &error))?;
        let selector = at(&budget, "spec.selector");
        // One that cannot be read, or is not there, selects nothing.
        let selects = LabelSelector::from_object(selector)
            .is_ok_and(|parsed| !selector.is_null() && parsed.matches(at(pod, "metadata.labels")));
        if selects {
            found.push(budget);
        }
    }
    Ok(found)
}

fn is_ready(pod: &Value) -> bool {
    let is = |condition: &Value| text(condition, "type") == "Ready" && text(condition, "status") == "True";
    list(pod, "status.conditions").iter().any(is)
}

fn lets_unready_go(budget: &Value) -> bool {
    let (healthy, desired) = (int(budget, "status.currentHealthy"), int(budget, "status.desiredHealthy"));
    text(budget, "spec.unhealthyPodEvictionPolicy") == "AlwaysAllow" || healthy >= desired && desired > 0
}

/// Whether the budget has a disruption left.
fn check(budget: &Value) -> Result<(), Status> {
    let name = text(budget, "metadata.name");
    let allowed = int(budget, "status.disruptionsAllowed");
    let forbidden =
        |why| Status::forbidden(Resource { group: "policy", name: "poddisruptionbudget" }, name, why);
    if int(budget, "status.observedGeneration") < int(budget, "metadata.generation") {
        let why = format!("The disruption budget {name} is still being processed by the server.");
        return Err(exhausted(why, 10));
    }
    if allowed < 0 {
        return Err(forbidden("pdb disruptions allowed is negative"));
    }
    if members(budget, "status.disruptedPods").count() > MOST_DISRUPTED {
        return Err(forbidden(
            "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
        ));
    }
    if allowed > 0 {
        return Ok(());
    }
    let (needs, has) = (int(budget, "status.desiredHealthy"), int(budget, "status.currentHealthy"));
    let failed = list(budget, "status.conditions").iter().find(|condition| {
        let words = ["type", "status", "reason"].map(|field| text(condition, field));
        words == ["DisruptionAllowed", "False", "SyncFailed"]
    });
    let why = match failed {
        Some(condition) => format!(
            "The disruption budget {name} does not allow evicting pods currently because it failed sync: {}",
            text(condition, "message")
        ),
        None => format!("The disruption budget {name} needs {needs} healthy pods and has {has} currently"),
    };
    Err(exhausted(why, 0))
}

fn exhausted(why: String, retry_after: u32) -> Status {
    let mut status = Status::too_many_requests(VIOLATION, retry_after);
    status.details.causes =
        vec![Cause { reason: "DisruptionBudget".into(), message: why, field: String::new() }];
    status
}

/// The budget with one disruption less.
fn disrupted(budget: &Value, pod: &str, now: Timestamp) -> Value {
    let mut budget = budget.clone();
    let left = int(&budget, "status.disruptionsAllowed") - 1;
    let generation = int(&budget, "metadata.generation");
    let Some(status) = object(&mut budget, "status") else { return budget };
    status.insert("disruptionsAllowed".into(), left.into());
    if let Some(pods) = status.entry("disruptedPods").or_insert_with(|| json!({})).as_object_mut() {
        pods.insert(pod.into(), condition::whole_seconds(now).into());
    }
    if left == 0 {
        let none = json!({"type": "DisruptionAllowed", "status": "False", "reason": "InsufficientPods", "message": "",
            "observedGeneration": generation});
        condition::set(status.entry("conditions").or_insert_with(|| json!([])), none, now);
    }
    budget
}

/// Whoever sees the pod end knows why.
async fn mark(store: &Store, request: &Request, pod: &Value) -> Result<(), Status> {
    let (now, uid) = (Timestamp::now(), text(pod, "metadata.uid"));
    let resource = request::Resource { subresource: None, ..request.resource.clone() };
    rewrite(store, &resource, false, |old| {
        if text(old, "metadata.uid") != uid {
            return Err(request.not_found());
        }
        let mut object = old.clone();
        let generation = int(old, "metadata.generation");
        if let Some(status) = api::value::object(&mut object, "status") {
            let mut target = json!({"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
                "message": "Eviction API: evicting", "lastProbeTime": null});
            if generation > 0 {
                target["observedGeneration"] = generation.into();
            }
            condition::set(status.entry("conditions").or_insert_with(|| json!([])), target, now);
        }
        Ok(Next { object, warnings: Vec::new() })
    })
    .await
    .map(drop)
}

async fn end(
    store: &Store,
    request: &Request,
    options: &Value,
    pod: &Value,
    pinned: bool,
    dry_run: bool,
) -> Result<(), Status> {
    let mut options = if options.is_object() { options.clone() } else { json!({}) };
    let uid = at(pod, "metadata.uid").clone();
    let preconditions = options["preconditions"].as_object().cloned().unwrap_or_default();
    options["preconditions"] = Value::Object(preconditions);
    if options["preconditions"]["uid"].is_null() {
        options["preconditions"]["uid"] = uid;
    }
    // Unless it was just marked, which changed it: then only its readiness matters, and that was looked at.
    if pinned && dry_run {
        options["preconditions"]["resourceVersion"] = at(pod, "metadata.resourceVersion").clone();
    }
    if dry_run {
        options["dryRun"] = json!(["All"]);
    }
    let deletion = Request {
        method: Method::DELETE,
        resource: request::Resource { subresource: None, ..request.resource.clone() },
        content: Content::Json,
        body: Bytes::from(options.to_string()),
        ..request.clone()
    };
    delete::delete(store, &deletion).await.map(drop)
}
