//! A change that says only what is different.

use api::field::{FieldError, Reason};
use api::kinds::Part;
use api::patch;
use api::schema::{self, Node, Strict};
use api::status::{Resource, Status};
use serde_json::Value;
use store::Store;

use super::body::{self, Expected, Fault, Sent};
use super::update::{self, Next, Tracked};
use crate::answer::Answer;
use crate::request::{Content, Request};

/// What a client sent to change an object by.
#[derive(Debug)]
pub(super) struct Change {
    patch: Value,
    /// Fields that it says twice.
    twice: Vec<String>,
}

impl Change {
    pub(super) fn of(request: &Request) -> Result<Self, Status> {
        let mut strict = Strict::default();
        let patch = schema::parse(&request.body, &mut strict);
        let patch = patch.map_err(|error| Status::bad_request(format!("error decoding patch: {error}")))?;
        Ok(Self { patch, twice: strict.into_findings() })
    }

    /// What becomes of `object`, whose patches follow the type `node`.
    pub(super) fn apply(
        &self,
        request: &Request,
        object: impl Fn() -> Value,
        node: Node<'_>,
        expected: &Expected,
    ) -> Result<Sent, Status> {
        let patched = self.patched(request, object(), node)?;
        match body::patched(request, patched, expected, &self.twice) {
            Ok(sent) => {
                body::check_names(request, &sent.object)?;
                Ok(sent)
            }
            Err(fault) => Err(self.misfit(request, &self.patched(request, object(), node)?, fault)),
        }
    }

    fn patched(&self, request: &Request, object: Value, node: Node<'_>) -> Result<Value, Status> {
        let patched = match request.content {
            Content::JsonPatch => patch::json(object, &self.patch),
            Content::MergePatch => patch::merge(object, &self.patch),
            Content::StrategicPatch => patch::strategic(object, &self.patch, node),
            Content::Json | Content::Yaml | Content::ApplyPatch | Content::Foreign => {
                return Err(Status::internal("this content is not a patch of an object that exists"));
            }
        };
        patched.map_err(|error| refused(&error))
    }

    /// The refusal of a patch that leaves no object of its type behind. Upstream shows the object, or the patch where that is strategic.
    fn misfit(&self, request: &Request, patched: &Value, fault: Fault) -> Status {
        let shown = match request.content {
            Content::StrategicPatch => go_text(&self.patch),
            _ => patched.to_string(),
        };
        let error = FieldError {
            reason: Reason::Invalid,
            field: "patch".into(),
            value: Some(shown.into()),
            detail: fault.why,
        };
        Status::invalid(Resource { group: "", name: "" }, "", &[error])
    }
}

pub(crate) async fn patch(store: &Store, request: &Request, part: Part) -> Result<Answer, Status> {
    let change = Change::of(request)?;
    let asked = request.view.unwrap_or(request.kind());
    let (node, expected) = (body::schema_of(asked)?, Expected::of(asked)?);
    let changed = update::change(store, request, part, Tracked::Not, |old| {
        let shown = || {
            let mut shown = old.clone();
            request.view.into_iter().for_each(|view| view.from_stored(&mut shown));
            shown
        };
        let Sent { object, warnings } = change.apply(request, shown, node, &expected)?;
        Ok(Next { object, warnings })
    });
    changed.await?.answer(request)
}

fn refused(error: &patch::Error) -> Status {
    match error.class() {
        patch::Class::BadRequest => Status::bad_request(error.to_string()),
        patch::Class::TooLarge => Status::request_entity_too_large(&error.to_string()),
        patch::Class::Unprocessable => Status::unprocessable(&error.to_string()),
        patch::Class::Internal => Status::unforeseen(error.to_string()),
    }
}

/// A value as Go prints it: `map[spec:map[replicas:3]]`.
fn go_text(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(go_text).collect::<Vec<_>>().join(" ")),
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            let members: Vec<_> =
                members.into_iter().map(|(name, value)| format!("{name}:{}", go_text(value))).collect();
            format!("map[{}]", members.join(" "))
        }
        scalar => scalar.to_string(),
    }
}
