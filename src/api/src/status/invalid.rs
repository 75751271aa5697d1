//! 422: the object breaks the rules of its kind.

use super::{Cause, Resource, Status};
use crate::field::FieldError;

impl Status {
    /// `Deployment.apps "x" is invalid: [spec.selector: Required value, …]`; `kind` names the kind, not the resource.
    pub fn invalid(kind: Resource<'_>, name: &str, errors: &[FieldError]) -> Self {
        let message = match errors {
            [] => format!("{kind} {name:?} is invalid"),
            errors => format!("{kind} {name:?} is invalid: {}", joined(errors)),
        };
        let mut status = Self::new(422, "Invalid", message).about(kind, name);
        status.details.causes = errors.iter().map(cause).collect();
        status
    }
}

/// One error as it is, several in brackets, none twice.
fn joined(errors: &[FieldError]) -> String {
    let mut sentences: Vec<String> = Vec::with_capacity(errors.len());
    for error in errors {
        let sentence = error.to_string();
        if !sentences.contains(&sentence) {
            sentences.push(sentence);
        }
    }
    match &sentences[..] {
        [only] => only.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

fn cause(error: &FieldError) -> Cause {
    Cause { reason: error.reason.as_str().to_owned(), message: error.body(), field: error.field.clone() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::field::Node;

    #[test]
    fn several_errors_share_one_message_and_keep_their_causes() {
        let object = json!({"spec": {"replicas": -1}});
        let root = Node::root(&object);
        let spec = root.at("spec");
        let errors = [
            spec.at("selector").required(""),
            spec.at("replicas").invalid("must be greater than or equal to 0"),
        ];
        let status = Status::invalid(Resource { group: "apps", name: "Deployment" }, "x", &errors);
        assert_eq!(
            status.message,
            "Deployment.apps \"x\" is invalid: [spec.selector: Required value, spec.replicas: Invalid value: -1: must \
             be greater than or equal to 0]"
        );
        assert_eq!(
            status.to_value(),
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 422,
                "reason": "Invalid", "message": status.message, "details": {
                    "name": "x", "group": "apps", "kind": "Deployment", "causes": [
                        {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.selector"},
                        {"reason": "FieldValueInvalid", "field": "spec.replicas",
                         "message": "Invalid value: -1: must be greater than or equal to 0"}]}})
        );
    }

    #[test]
    fn one_error_stands_without_brackets() {
        let object = json!({});
        let root = Node::root(&object);
        let status =
            Status::invalid(Resource { group: "", name: "Pod" }, "x", &[root.at("spec").required("")]);
        assert_eq!(status.message, "Pod \"x\" is invalid: spec: Required value");
    }
}
