//! From the bytes of a request to an object of its kind.

use api::kinds::{self, Kind, Subresource};
use api::schema::{self, DecodeError, Node, Strict};
use api::status::Status;
use api::value::text;
use serde_json::Value;
use serde_saphyr::DuplicateKeyPolicy;

use crate::request::query::FieldValidation;
use crate::request::{Content, Request};

/// An object, and what the client should be warned of.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) object: Value,
    pub(crate) warnings: Vec<String>,
}

/// What a body should be.
#[derive(Debug)]
pub(crate) struct Expected {
    node: Node<'static>,
    api_version: String,
    /// Another version of the same, which old clients send.
    older: Option<&'static str>,
    version: &'static str,
    kind: &'static str,
}

impl Expected {
    pub(crate) fn of(kind: &'static Kind) -> Result<Self, Status> {
        let (api_version, version) = (kind.api_version(), kind.version);
        Ok(Self { node: schema_of(kind)?, api_version, older: None, version, kind: kind.kind })
    }

    /// What a subresource speaks.
    pub(crate) fn below(subresource: &'static Subresource) -> Result<Self, Status> {
        let node = named(&subresource.schema())?;
        let (api_version, version) = (subresource.api_version(), subresource.version);
        Ok(Self { node, api_version, older: None, version, kind: subresource.kind })
    }

    pub(crate) fn or(self, older: &'static str) -> Self {
        Self { older: Some(older), ..self }
    }

    fn not_handled(&self, why: &str) -> Status {
        not_handled(self.kind, self.version, why)
    }

    fn refused(&self, error: &DecodeError, body: &[u8]) -> Status {
        match error {
            DecodeError::Type(why) => self.not_handled(why),
            DecodeError::Syntax(_) | DecodeError::Depth => Status::bad_request(format!(
                "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: \
                 {error} ({})",
                self.kind,
                summary(body)
            )),
        }
    }

    /// An object that says it is of another kind, which may be one of ours.
    fn another(&self, api_version: &str, kind: &str) -> Status {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let ours = self.api_version.split_once('/').map_or("core", |(group, _)| group);
        let package = ours.split('.').next().unwrap_or_default();
        let why = match kinds::by_kind(group, version, kind) {
            Some(_) => {
                format!("converting ({version}.{kind}) to ({package}.{}): unknown conversion", self.kind)
            }
            None => format!(
                "no kind {kind:?} is registered for version {api_version:?} in scheme \
                 \"pkg/api/legacyscheme/scheme.go:30\""
            ),
        };
        Status::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {}: {why}",
            self.kind
        ))
    }
}

/// The object in the body, decoded by the schema of `kind`.
pub(crate) fn object(request: &Request, kind: &'static Kind) -> Result<Sent, Status> {
    match request.view {
        Some(view) => viewed(request, view, kind),
        None => decode(request, &Expected::of(kind)?),
    }
}

/// An object of a view, made one of the stored form.
fn viewed(request: &Request, view: &'static Kind, kind: &'static Kind) -> Result<Sent, Status> {
    let (expected, mut strict) = (Expected::of(view)?, Strict::default());
    let failed = |error: DecodeError| expected.refused(&error, &request.body);
    let mut object = match request.content {
        Content::Yaml => yaml_with(&request.body, &mut strict)?,
        _ => schema::parse(&request.body, &mut strict).map_err(failed)?,
    };
    check(&expected, &mut object)?;
    view.to_stored(&mut object);
    let object = schema::conform(object, schema_of(kind)?, &mut strict).map_err(failed)?;
    Ok(Sent { object, warnings: findings(request, view.kind, view.version, strict)? })
}

pub(crate) fn decode(request: &Request, expected: &Expected) -> Result<Sent, Status> {
    let mut strict = Strict::default();
    let decoded = match request.content {
        Content::Yaml => schema::conform(yaml_with(&request.body, &mut strict)?, expected.node, &mut strict),
        _ => schema::decode(&request.body, expected.node, &mut strict),
    };
    let mut object = decoded.map_err(|error| expected.refused(&error, &request.body))?;
    check(expected, &mut object)?;
    Ok(Sent { object, warnings: findings(request, expected.kind, expected.version, strict)? })
}

pub(crate) fn schema_of(kind: &Kind) -> Result<Node<'static>, Status> {
    named(kind.schema)
}

fn named(schema: &str) -> Result<Node<'static>, Status> {
    schema::by_name(schema).ok_or_else(|| Status::internal(&format!("there is no schema of {schema}")))
}

/// What `fieldValidation` makes of fields that are unknown or said twice.
pub(super) fn judge(request: &Request, kind: &Kind, strict: Strict) -> Result<Vec<String>, Status> {
    findings(request, kind.kind, kind.version, strict)
}

fn findings(request: &Request, kind: &str, version: &str, strict: Strict) -> Result<Vec<String>, Status> {
    let findings = strict.into_findings();
    match request.query.field_validation() {
        FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Warn => Ok(findings),
        FieldValidation::Strict if findings.is_empty() => Ok(findings),
        FieldValidation::Strict => {
            let why = format!("strict decoding error: {}", findings.join(", "));
            Err(not_handled(kind, version, &why))
        }
    }
}

fn not_handled(kind: &str, version: &str, why: &str) -> Status {
    Status::bad_request(format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {why}"))
}

/// An object that does not say what it is is what its path says.
pub(super) fn check_type(kind: &'static Kind, object: &mut Value) -> Result<(), Status> {
    check(&Expected::of(kind)?, object)
}

/// The beginning of a body, so that its sender knows it again.
fn summary(body: &[u8]) -> String {
    const SHOWN: usize = 30;
    let start = &body[..body.len().min(SHOWN)];
    let text = match start.first() {
        None => return "<empty>".into(),
        Some(b'{') => String::from_utf8_lossy(start).into_owned(),
        Some(_) => start.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    if body.len() > SHOWN { text + " ..." } else { text }
}

fn check(expected: &Expected, object: &mut Value) -> Result<(), Status> {
    let api_version = expected.api_version.as_str();
    let said = [text(object, "apiVersion"), text(object, "kind")];
    if !said[1].is_empty() && said[1] != expected.kind {
        return Err(expected.another(if said[0].is_empty() { api_version } else { said[0] }, said[1]));
    }
    match text(object, "apiVersion") {
        said if said.is_empty() || said == api_version || Some(said) == expected.older => {}
        said => {
            return Err(Status::bad_request(format!(
                "the API version in the data ({said}) does not match the expected API version ({api_version})"
            )));
        }
    }
    let Some(members) = object.as_object_mut() else {
        return Err(expected.not_handled("the data is not an object"));
    };
    members.insert("apiVersion".into(), api_version.into());
    members.insert("kind".into(), expected.kind.into());
    Ok(())
}

/// YAML as the JSON that it stands for. Of members that are said twice the last counts.
pub(crate) fn yaml(body: &[u8]) -> Result<Value, Status> {
    yaml_with(body, &mut Strict::default())
}

fn yaml_with(body: &[u8], strict: &mut Strict) -> Result<Value, Status> {
    let wrong =
        |why: &dyn std::fmt::Display| Status::bad_request(format!("error converting YAML to JSON: {why}"));
    let text = std::str::from_utf8(body).map_err(|error| wrong(&error))?;
    match serde_saphyr::from_str(text) {
        Ok(value) => Ok(value),
        Err(error) => {
            let Some(finding) = said_twice(&error) else { return Err(wrong(&error.without_snippet())) };
            strict.found(finding);
            let last = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::LastWins };
            serde_saphyr::from_str_with_options(text, last).map_err(|error| wrong(&error.without_snippet()))
        }
    }
}

fn said_twice(error: &serde_saphyr::Error) -> Option<String> {
    match error.without_snippet() {
        serde_saphyr::Error::DuplicateMappingKey { key: Some(key), location } => {
            let line = location.line();
            Some(format!("yaml: unmarshal errors:\n  line {line}: key {key:?} already set in map"))
        }
        _ => None,
    }
}

/// Holds the names in the object against those in the path.
pub(super) fn check_names(request: &Request, object: &Value) -> Result<(), Status> {
    let (name, path) = (text(object, "metadata.name"), request.name());
    if !path.is_empty() && name.is_empty() {
        return Err(Status::bad_request(format!(
            "the name of the object ({path} based on URL) was undeterminable: name must be provided"
        )));
    }
    if !path.is_empty() && name != path {
        return Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({path})"
        )));
    }
    let (said, meant) = (text(object, "metadata.namespace"), request.namespace());
    if !said.is_empty() && Some(said) != meant {
        return Err(Status::bad_request(match meant.filter(|_| !path.is_empty()) {
            Some(meant) => {
                format!(
                    "the namespace of the object ({said}) does not match the namespace on the request ({meant})"
                )
            }
            None => {
                "the namespace of the provided object does not match the namespace sent on the request".into()
            }
        }));
    }
    Ok(())
}
