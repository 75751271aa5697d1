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
    /// The type of what is stored of it.
    node: Node<'static>,
    /// The kind that it is sent as, where that is a view of the stored one.
    view: Option<&'static Kind>,
    api_version: String,
    /// Another version of the same, which old clients send.
    older: Option<&'static str>,
    version: &'static str,
    kind: &'static str,
}

/// What keeps something from being what it should be.
#[derive(Debug)]
pub(super) struct Fault {
    /// The bare reason.
    pub(super) why: String,
    /// What a client is told that sent it as a body.
    refusal: String,
}

impl From<Fault> for Status {
    fn from(fault: Fault) -> Self {
        Status::bad_request(fault.refusal)
    }
}

impl Expected {
    pub(crate) fn of(kind: &'static Kind) -> Result<Self, Status> {
        let (api_version, version) = (kind.api_version(), kind.version);
        let view = kind.conversion.as_ref().map(|_| kind);
        Ok(Self { node: schema_of(kind.stored())?, view, api_version, older: None, version, kind: kind.kind })
    }

    /// What a subresource speaks.
    pub(crate) fn below(subresource: &'static Subresource) -> Result<Self, Status> {
        let node = named(&subresource.schema())?;
        let (api_version, version) = (subresource.api_version(), subresource.version);
        Ok(Self { node, view: None, api_version, older: None, version, kind: subresource.kind })
    }

    pub(crate) fn or(self, older: &'static str) -> Self {
        Self { older: Some(older), ..self }
    }

    pub(super) fn node(&self) -> Node<'static> {
        self.node
    }

    /// A tree, as the object that it should be, in the form in which that is stored.
    fn object(&self, mut tree: Value, strict: &mut Strict) -> Result<Value, Fault> {
        let conformed = |tree, strict: &mut Strict| {
            schema::conform(tree, self.node, strict).map_err(|error| self.refused(&error, &[]))
        };
        let Some(view) = self.view else {
            let mut object = conformed(tree, strict)?;
            self.check(&mut object)?;
            return Ok(object);
        };
        self.check(&mut tree)?;
        for field in view.take_later(&mut tree) {
            strict.found(format!("unknown field \"{field}\""));
        }
        view.to_stored(&mut tree);
        conformed(tree, strict)
    }

    /// An object that does not say what it is is what its path says.
    pub(super) fn check(&self, object: &mut Value) -> Result<(), Fault> {
        let api_version = self.api_version.as_str();
        let said = [text(object, "apiVersion"), text(object, "kind")];
        if !said[1].is_empty() && said[1] != self.kind {
            return Err(self.another(if said[0].is_empty() { api_version } else { said[0] }, said[1]));
        }
        match said[0] {
            said if said.is_empty() || said == api_version || Some(said) == self.older => {}
            said => {
                let why = format!(
                    "the API version in the data ({said}) does not match the expected API version ({api_version})"
                );
                return Err(Fault { refusal: why.clone(), why });
            }
        }
        let Some(members) = object.as_object_mut() else {
            return Err(self.not_handled("the data is not an object"));
        };
        members.insert("apiVersion".into(), api_version.into());
        members.insert("kind".into(), self.kind.into());
        Ok(())
    }

    fn not_handled(&self, why: &str) -> Fault {
        let refusal =
            format!("{0} in version \"{1}\" cannot be handled as a {0}: {why}", self.kind, self.version);
        Fault { why: why.into(), refusal }
    }

    fn refused(&self, error: &DecodeError, body: &[u8]) -> Fault {
        match error {
            DecodeError::Type(why) => self.not_handled(why),
            DecodeError::Syntax(_) | DecodeError::Depth => {
                let refusal = format!(
                    "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse \
                     error: {error} ({})",
                    self.kind,
                    summary(body)
                );
                Fault { why: error.to_string(), refusal }
            }
        }
    }

    /// An object that says it is of another kind, which may be one of ours.
    fn another(&self, api_version: &str, kind: &str) -> Fault {
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
        let refusal = format!("{kind} in version {version:?} cannot be handled as a {}: {why}", self.kind);
        Fault { why, refusal }
    }

    /// What `fieldValidation` makes of fields that are unknown or said twice.
    fn findings(&self, request: &Request, strict: Strict) -> Result<Vec<String>, Fault> {
        let findings = strict.into_findings();
        match request.query.field_validation() {
            FieldValidation::Ignore => Ok(Vec::new()),
            FieldValidation::Warn => Ok(findings),
            FieldValidation::Strict if findings.is_empty() => Ok(findings),
            FieldValidation::Strict => {
                Err(self.not_handled(&format!("strict decoding error: {}", findings.join(", "))))
            }
        }
    }
}

/// The object in the body, in the form in which it is stored.
pub(crate) fn object(request: &Request, kind: &'static Kind) -> Result<Sent, Status> {
    decode(request, &Expected::of(request.view.unwrap_or(kind))?)
}

pub(crate) fn decode(request: &Request, expected: &Expected) -> Result<Sent, Status> {
    let mut strict = Strict::default();
    let failed = |error: DecodeError| expected.refused(&error, &request.body);
    let object = match (request.content, expected.view) {
        (Content::Yaml, _) => expected.object(yaml_with(&request.body, &mut strict)?, &mut strict)?,
        (_, Some(_)) => {
            let tree = schema::parse(&request.body, &mut strict).map_err(failed)?;
            expected.object(tree, &mut strict)?
        }
        (_, None) => {
            let mut object = schema::decode(&request.body, expected.node, &mut strict).map_err(failed)?;
            expected.check(&mut object)?;
            object
        }
    };
    Ok(Sent { object, warnings: expected.findings(request, strict)? })
}

/// What a patch made, as the object that it should be; `twice` are the fields that the patch says twice.
pub(super) fn patched(
    request: &Request,
    tree: Value,
    expected: &Expected,
    twice: &[String],
) -> Result<Sent, Fault> {
    let mut strict = Strict::default();
    twice.iter().for_each(|finding| strict.found(finding.clone()));
    let object = expected.object(tree, &mut strict)?;
    Ok(Sent { object, warnings: expected.findings(request, strict)? })
}

pub(crate) fn schema_of(kind: &Kind) -> Result<Node<'static>, Status> {
    named(kind.schema)
}

fn named(schema: &str) -> Result<Node<'static>, Status> {
    schema::by_name(schema).ok_or_else(|| Status::internal(&format!("there is no schema of {schema}")))
}

/// An object that does not say what it is is what its path says.
pub(super) fn check_type(kind: &'static Kind, object: &mut Value) -> Result<(), Status> {
    Ok(Expected::of(kind)?.check(object)?)
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
pub(crate) fn check_names(request: &Request, object: &Value) -> Result<(), Status> {
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
    // What has no namespace loses the one that it names before it is stored.
    let (said, meant) = (text(object, "metadata.namespace"), request.namespace());
    if request.kind().namespaced && !said.is_empty() && Some(said) != meant {
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
