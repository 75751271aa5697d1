//! Questions to the server itself, asked by creating an object that is answered and not kept: who is this, may they?

mod access;
mod identity;

use api::kinds::Kind;
use api::status::Status;
use http::StatusCode;
use serde_json::json;

use crate::answer::{self, Answer};
use crate::authenticate::Authenticator;
use crate::request::Request;
use crate::verb::{body, write};

pub(crate) fn answers(kind: &Kind) -> bool {
    matches!(kind.group, "authentication.k8s.io" | "authorization.k8s.io")
}

pub(crate) fn answer(authenticator: &Authenticator, request: &Request) -> Result<Answer, Status> {
    let body::Sent { object: mut review, warnings } = body::object(request, request.kind())?;
    body::check_names(request, &review)?;
    review["status"] = match request.kind().kind {
        "SelfSubjectReview" => json!({"userInfo": request.user.info()}),
        "TokenReview" => identity::of_token(authenticator, &review)?,
        "SelfSubjectRulesReview" => access::rules(request, &review)?,
        "SelfSubjectAccessReview" => access::own(request, &review)?,
        "LocalSubjectAccessReview" => access::local(request, &review)?,
        _ => access::of_subject(request, &review)?,
    };
    let mut answer = answer::value(StatusCode::CREATED, &review);
    write::warn(&mut answer, warnings);
    Ok(answer)
}
