//! From the bytes of a request to an object of its kind.

use api::kinds::Kind;
use api::schema::{self, Node, Strict};
use api::status::Status;
use api::value::text;
use serde_json::Value;

use crate::request::query::FieldValidation;
use crate::request::{Content, Request};

/// An object, and what the client should be warned of.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) object: Value,
    pub(super) warnings: Vec<String>,
}

/// The object in the body, decoded by the schema of `kind`.
pub(super) fn object(request: &Request, kind: &Kind) -> Result<Sent, Status> {
    let node = schema_of(kind)?;
    let mut strict = Strict::default();
    let decoded = match request.content {
        Content::Yaml => schema::conform(yaml(&request.body)?, node, &mut strict),
        _ => schema::decode(&request.body, node, &mut strict),
    };
    let mut object = decoded.map_err(|error| not_handled(kind, &error.to_string()))?;
    check_type(kind, &mut object)?;
    Ok(Sent { object, warnings: judge(request, kind, strict)? })
}

pub(super) fn schema_of(kind: &Kind) -> Result<Node<'static>, Status> {
    schema::by_name(kind.schema)
        .ok_or_else(|| Status::internal(&format!("there is no schema of {}", kind.schema)))
}

/// What `fieldValidation` makes of fields that are unknown or said twice.
pub(super) fn judge(request: &Request, kind: &Kind, strict: Strict) -> Result<Vec<String>, Status> {
    let findings = strict.into_findings();
    match request.query.field_validation()? {
        FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Warn => Ok(findings),
        FieldValidation::Strict if findings.is_empty() => Ok(findings),
        FieldValidation::Strict => {
            Err(not_handled(kind, &format!("strict decoding error: {}", findings.join(", "))))
        }
    }
}

fn not_handled(kind: &Kind, why: &str) -> Status {
    let (name, version) = (kind.kind, kind.version);
    Status::bad_request(format!("{name} in version \"{version}\" cannot be handled as a {name}: {why}"))
}

/// An object that does not say what it is is what its path says.
pub(super) fn check_type(kind: &Kind, object: &mut Value) -> Result<(), Status> {
    let expected = kind.api_version();
    match text(object, "apiVersion") {
        said if said.is_empty() || said == expected => {}
        said => {
            return Err(Status::bad_request(format!(
                "the API version in the data ({said}) does not match the expected API version ({expected})"
            )));
        }
    }
    match text(object, "kind") {
        said if said.is_empty() || said == kind.kind => {}
        said => return Err(not_handled(kind, &format!("the data is a {said}"))),
    }
    let Some(members) = object.as_object_mut() else {
        return Err(not_handled(kind, "the data is not an object"));
    };
    members.insert("apiVersion".into(), expected.into());
    members.insert("kind".into(), kind.kind.into());
    Ok(())
}

/// YAML as the JSON that it stands for.
pub(super) fn yaml(body: &[u8]) -> Result<Value, Status> {
    let text = std::str::from_utf8(body)
        .map_err(|error| Status::bad_request(format!("the body is not UTF-8: {error}")))?;
    serde_saphyr::from_str(text)
        .map_err(|error| Status::bad_request(format!("error converting YAML to JSON: {error}")))
}

/// Holds the names in the object against those in the path.
pub(super) fn check_names(request: &Request, object: &Value) -> Result<(), Status> {
    let namespace = text(object, "metadata.namespace");
    if !namespace.is_empty() && Some(namespace) != request.namespace() {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let (name, path) = (text(object, "metadata.name"), request.name());
    if !path.is_empty() && name != path {
        return Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({path})"
        )));
    }
    Ok(())
}
