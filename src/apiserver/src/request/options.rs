//! The options of verbs, held against upstream's rules before anything is done.

use api::field::{Errors, FieldError, Node};
use api::status::{Resource, Status};
use serde_json::{Value, json};

use super::{Content, Query, Request};

/// The longest name of a field manager, as upstream.
const LONGEST_MANAGER: usize = 128;

/// Refuses options that the verb of this request does not have, or not together.
pub(crate) fn check(request: &Request) -> Result<(), Status> {
    let query = &request.query;
    match request.verb() {
        "list" | "deletecollection" => refuse("ListOptions", &of_list(query)),
        "watch" => refuse("ListOptions", &of_watch(query)),
        "create" => refuse("CreateOptions", &of_write(query)),
        "update" => refuse("UpdateOptions", &of_write(query)),
        "patch" => refuse("PatchOptions", &of_patch(query, request.content)),
        _ => Ok(()),
    }
}

pub(crate) fn refuse(kind: &str, errors: &[FieldError]) -> Result<(), Status> {
    if errors.is_empty() {
        return Ok(());
    }
    Err(Status::invalid(Resource { group: "meta.k8s.io", name: kind }, "", errors))
}

/// What a client said of these, as the fields of an object.
fn said(query: &Query, names: &[&str]) -> Value {
    let mut said = json!({});
    for name in names {
        if let Some(text) = query.text(name) {
            said[*name] = text.into();
        }
    }
    said
}

fn of_list(query: &Query) -> Errors {
    let said = said(query, &["resourceVersionMatch", "sendInitialEvents"]);
    let root = Node::root(&said);
    let (how, mut errors) = (root.at("resourceVersionMatch"), Errors::new());
    if how.is_set() {
        if query.text("resourceVersion").is_none() {
            errors
                .push(how.forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided"));
        }
        if query.text("continue").is_some() {
            errors.push(how.forbidden("resourceVersionMatch is forbidden when continue is provided"));
        }
        if !matches!(how.text(), "Exact" | "NotOlderThan") {
            errors.push(how.unsupported(&["Exact", "NotOlderThan", ""]));
        }
        if how.text() == "Exact" && query.text("resourceVersion") == Some("0") {
            errors
                .push(how.forbidden("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""));
        }
    }
    let initial = root.at("sendInitialEvents");
    if initial.is_set() {
        errors.push(initial.forbidden("sendInitialEvents is forbidden for list"));
    }
    errors
}

fn of_watch(query: &Query) -> Errors {
    let said = said(query, &["resourceVersionMatch", "sendInitialEvents"]);
    let root = Node::root(&said);
    let (how, initial, mut errors) =
        (root.at("resourceVersionMatch"), root.at("sendInitialEvents"), Errors::new());
    if initial.is_set() && how.text() != "NotOlderThan" {
        let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        errors.push(how.forbidden(why));
    }
    if how.is_set() {
        if !initial.is_set() {
            let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            errors.push(how.forbidden(why));
        }
        if how.text() != "NotOlderThan" {
            errors.push(how.unsupported(&["NotOlderThan"]));
        }
        if query.text("continue").is_some() {
            errors.push(how.forbidden("resourceVersionMatch is forbidden when continue is provided"));
        }
    }
    errors
}

fn of_write(query: &Query) -> Errors {
    let mut said = said(query, &["fieldManager", "fieldValidation"]);
    said["dryRun"] = query.pairs().filter(|(name, _)| *name == "dryRun").map(|(_, run)| run).collect();
    let root = Node::root(&said);
    let (manager, mut errors) = (root.at("fieldManager"), dry_run(&root.at("dryRun")));
    if manager.text().len() > LONGEST_MANAGER {
        errors.push(manager.too_long(LONGEST_MANAGER));
    }
    if manager.text().chars().any(char::is_control) {
        errors.push(manager.invalid("should only contain printable characters"));
    }
    let validation = root.at("fieldValidation");
    if !matches!(validation.text(), "" | "Ignore" | "Warn" | "Strict") {
        errors.push(validation.unsupported(&["Ignore", "Strict", "Warn"]));
    }
    errors
}

/// A dry run is of all stages or none. An empty one is none.
pub(crate) fn dry_run(runs: &Node<'_, '_>) -> Errors {
    let unknown = |run: &Value| !matches!(run.as_str(), Some("" | "All"));
    if !runs.list().iter().any(unknown) {
        return Errors::new();
    }
    vec![FieldError { value: Some(runs.list().to_vec().into()), ..runs.unsupported(&["All"]) }]
}

fn of_patch(query: &Query, content: Content) -> Errors {
    let said = said(query, &["fieldManager", "force"]);
    let (root, mut errors) = (Node::root(&said), Errors::new());
    match content {
        Content::ApplyPatch if query.text("fieldManager").is_none() => {
            errors.push(root.at("fieldManager").required("is required for apply patch"));
        }
        Content::ApplyPatch => {}
        _ if query.text("force").is_some() => {
            errors.push(root.at("force").forbidden("may not be specified for non-apply patch"));
        }
        _ => {}
    }
    errors.extend(of_write(query));
    errors
}
