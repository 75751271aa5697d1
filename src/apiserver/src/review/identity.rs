//! Whose is this token?

use api::status::Status;
use api::value::{list, text};
use serde_json::{Value, json};

use crate::authenticate::Authenticator;

pub(super) fn of_token(authenticator: &Authenticator, review: &Value) -> Result<Value, Status> {
    let token = text(review, "spec.token");
    if token.is_empty() {
        return Err(Status::bad_request("token is required for TokenReview in authentication"));
    }
    let wanted: Vec<&str> = list(review, "spec.audiences").iter().filter_map(Value::as_str).collect();
    Ok(match authenticator.review(token, &wanted) {
        Some((user, audiences)) => {
            json!({"authenticated": true, "user": user.info(), "audiences": audiences})
        }
        None => json!({"user": {}, "error": "invalid bearer token"}),
    })
}
