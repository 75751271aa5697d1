//! `serviceaccounts/token`: a token for an account, which may end with a pod, a secret or a node.

use api::field::Node;
use api::kinds::{self, Subresource};
use api::status::{self, Status};
use api::value::{at, default_to, int, list, object, remove, text};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use store::Store;

use super::condition::whole_seconds;
use crate::admit::{Attempt, Operation};
use crate::answer::{self, Answer};
use crate::issuer::{Grant, Issuer, Reference};
use crate::object::stored;
use crate::request::Request;
use crate::verb::body::{self, Expected};
use crate::verb::write;

const DEFAULT_SECONDS: i64 = 3600;
const FEWEST_SECONDS: i64 = 600;
const MOST_SECONDS: i64 = 1 << 32;

/// What the admission of pods asks for. Their tokens are good for a year, for programs that read theirs only once.
const OF_PODS: i64 = 3607;
const YEAR: i64 = 365 * 24 * 3600;

pub(crate) fn create(
    store: &Store,
    issuer: &Issuer,
    request: &Request,
    subresource: &'static Subresource,
) -> Result<Answer, Status> {
    let body::Sent { object: mut review, warnings } = body::decode(request, &Expected::below(subresource)?)?;
    let namespace = request.namespace().ok_or_else(|| Status::bad_request("namespace is required"))?;
    check_names(&review, namespace, request.name())?;
    let account = find(store, "serviceaccounts", Some(namespace), request.name())?;
    check_uid(&review, &account)?;
    let now = Timestamp::now();
    complete(&mut review, issuer, at(&account, "metadata"), now);
    validate(&review)?;
    Attempt { store, request, operation: Operation::Create }.judge_question(&review)?;
    let bound = Bound::of(store, at(&review, "spec.boundObjectRef"), namespace, request.name())?;
    let (seconds, warn_after) = life(&review, issuer, &bound);
    let grant = Grant {
        namespace,
        account: reference(&account),
        bound: bound.references(),
        audiences: at(&review, "spec.audiences"),
        seconds,
        warn_after,
    };
    let token = issuer
        .issue(&grant, now)
        .map_err(|error| Status::internal(&format!("failed to generate token: {error}")))?;
    let asked = SignedDuration::from_secs(int(&review, "spec.expirationSeconds"));
    let end = now.checked_add(asked).unwrap_or(Timestamp::MAX);
    review["status"] = json!({"token": token, "expirationTimestamp": whole_seconds(end)});
    let mut answer = answer::value(StatusCode::CREATED, &review);
    write::warn(&mut answer, warnings);
    Ok(answer)
}

/// What the client left out.
fn complete(review: &mut Value, issuer: &Issuer, account: &Value, now: Timestamp) {
    if let Some(metadata) = object(review, "metadata") {
        for field in ["name", "namespace", "uid"] {
            metadata.entry(field).or_insert_with(|| at(account, field).clone());
        }
        metadata.insert("creationTimestamp".into(), whole_seconds(now).into());
    }
    remove(review, "status");
    default_to(review, "spec", json!({}));
    let spec = &mut review["spec"];
    default_to(spec, "expirationSeconds", DEFAULT_SECONDS);
    if list(spec, "audiences").is_empty() {
        spec["audiences"] = json!([issuer.url()]);
    }
}

const TOKEN_REQUEST: status::Resource<'_> =
    status::Resource { group: "authentication.k8s.io", name: "TokenRequest" };

/// Who names an account in the body as well means the one in the path.
fn check_names(review: &Value, namespace: &str, name: &str) -> Result<(), Status> {
    let metadata = Node::root(review);
    let metadata = metadata.at("metadata");
    for (field, is, words) in [
        ("name", name, "must match the service account name if specified"),
        ("namespace", namespace, "must match the service account namespace if specified"),
    ] {
        let said = metadata.at(field);
        if !said.text().is_empty() && said.text() != is {
            return Err(Status::invalid(TOKEN_REQUEST, name, &[said.invalid(words)]));
        }
    }
    Ok(())
}

fn check_uid(review: &Value, account: &Value) -> Result<(), Status> {
    let (said, is) = (text(review, "metadata.uid"), text(account, "metadata.uid"));
    if said.is_empty() || said == is {
        return Ok(());
    }
    let why =
        format!("the UID in the token request ({said}) does not match the UID of the service account ({is})");
    Err(Status::conflict(TOKEN_REQUEST, text(account, "metadata.name"), &why))
}

fn validate(review: &Value) -> Result<(), Status> {
    let root = Node::root(review);
    let (seconds, attested) = (root.at("spec.expirationSeconds"), root.at("spec.attestations"));
    let error = match seconds.int().unwrap_or_default() {
        // They are about webhooks, which no token is bound to here.
        _ if !attested.is_zero() => {
            attested.invalid("attestations may only be specified with a webhook bound object reference")
        }
        few if few < FEWEST_SECONDS => seconds.invalid("may not specify a duration less than 10 minutes"),
        many if many > MOST_SECONDS => seconds.invalid("may not specify a duration larger than 2^32 seconds"),
        _ => return Ok(()),
    };
    Err(Status::invalid(TOKEN_REQUEST, "", &[error]))
}

/// How long the token is good, and when its holder should have renewed it.
fn life(review: &Value, issuer: &Issuer, bound: &Bound) -> (i64, Option<i64>) {
    let seconds = int(review, "spec.expirationSeconds");
    let ours = list(review, "spec.audiences").iter().all(|audience| audience == issuer.url());
    match bound {
        Bound::Pod { .. } if seconds == OF_PODS && ours => (YEAR, Some(seconds)),
        _ => (seconds, None),
    }
}

/// What a token ends with.
enum Bound {
    Nothing,
    Pod { pod: Value, node: Option<Value> },
    Secret(Value),
    Node(Value),
}

impl Bound {
    fn of(store: &Store, wanted: &Value, namespace: &str, account: &str) -> Result<Self, Status> {
        if wanted.is_null() {
            return Ok(Self::Nothing);
        }
        let (version, kind, name) = (text(wanted, "apiVersion"), text(wanted, "kind"), text(wanted, "name"));
        // As upstream: any version of the core group will do, if only none.
        let is_core = !version.contains('/');
        let bound = match kind {
            "Pod" if is_core => Self::pod(store, namespace, name, account)?,
            "Secret" if is_core => Self::Secret(find(store, "secrets", Some(namespace), name)?),
            "Node" if is_core => Self::Node(find(store, "nodes", None, name)?),
            kind => {
                let version = if is_core { format!("/{version}") } else { version.to_owned() };
                let why = format!("cannot bind token to object of type {version}, Kind={kind}");
                return Err(Status::bad_request(why));
            }
        };
        let uid = text(wanted, "uid");
        match &bound {
            Self::Pod { pod: object, .. } | Self::Secret(object) | Self::Node(object)
                if !uid.is_empty() && uid != text(object, "metadata.uid") =>
            {
                let why = format!(
                    "the UID in the bound object reference ({uid}) does not match the UID in record. The object might \
                     have been deleted and then recreated"
                );
                Err(Status::conflict(status::Resource { group: "", name: kind }, name, &why))
            }
            _ => Ok(bound),
        }
    }

    fn pod(store: &Store, namespace: &str, name: &str, account: &str) -> Result<Self, Status> {
        let pod = find(store, "pods", Some(namespace), name)?;
        if text(&pod, "spec.serviceAccountName") != account {
            return Err(Status::bad_request(format!(
                "cannot bind token for serviceaccount {account:?} to pod running with different serviceaccount name."
            )));
        }
        let node = match text(&pod, "spec.nodeName") {
            "" => None,
            // A node that is gone is still named.
            node => {
                Some(find(store, "nodes", None, node).unwrap_or_else(|_| json!({"metadata": {"name": node}})))
            }
        };
        Ok(Self::Pod { pod, node })
    }

    fn references(&self) -> Vec<(&'static str, Reference<'_>)> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Pod { pod, node } => std::iter::once(("pod", reference(pod)))
                .chain(node.iter().map(|node| ("node", reference(node))))
                .collect(),
            Self::Secret(secret) => vec![("secret", reference(secret))],
            Self::Node(node) => vec![("node", reference(node))],
        }
    }
}

fn reference(object: &Value) -> Reference<'_> {
    Reference { name: text(object, "metadata.name"), uid: text(object, "metadata.uid") }
}

fn find(store: &Store, plural: &str, namespace: Option<&str>, name: &str) -> Result<Value, Status> {
    let kind = kinds::by_resource("", "v1", plural).ok_or_else(Status::no_such_resource)?;
    let missing = || Status::not_found(status::Resource { group: "", name: kind.plural }, name);
    let entry = store.get(&stored::key(kind, namespace, name)).ok_or_else(missing)?;
    serde_json::from_slice(entry.value()).map_err(|error| answer::damaged(&entry, &error))
}
