//! `/healthz`, `/livez`, `/readyz`: whether the server answers.
//!
//! Whoever gets an answer has it: the store was opened before the listener was, and a store that stopped ends the
//! process. So there is one check, `ping`, and it passes.

use api::status::Status;
use http::{HeaderValue, StatusCode, header};

use crate::answer::{self, Answer};
use crate::body;

const CHECKS: [&str; 1] = ["ping"];

pub(crate) fn answer(endpoint: &str, check: Option<&str>, query: &str) -> Result<Answer, Status> {
    if let Some(check) = check
        && !CHECKS.contains(&check)
    {
        return Err(Status::no_such_resource());
    }
    let verbose = query.split('&').any(|option| option == "verbose" || option.starts_with("verbose="));
    let text = match verbose {
        true => {
            format!("{}{endpoint} check passed\n", CHECKS.map(|check| format!("[+]{check} ok\n")).concat())
        }
        false => "ok".to_string(),
    };
    let mut answer = answer::json(StatusCode::OK, body::whole(text));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Ok(answer)
}
