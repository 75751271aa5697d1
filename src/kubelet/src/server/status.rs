//! How an exec or attach ended, as its error stream says it.

use api::status::Status;
use serde_json::json;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    /// The command's own exit code, not 0.
    Exit(i32),
    Failed(String),
}

/// What the peer's version of the protocol can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A `Status`, from version 4 on.
    Status,
    /// Words for what went wrong, else nothing.
    Text,
}

impl Outcome {
    pub(super) fn written(&self, form: Form) -> String {
        match (self, form) {
            (Self::Success, Form::Text) => String::new(),
            (Self::Success, Form::Status) => json!({"metadata": {}, "status": "Success"}).to_string(),
            (Self::Exit(code), Form::Text) => terminated(*code),
            (Self::Exit(code), Form::Status) => json!({
                "metadata": {}, "status": "Failure", "message": terminated(*code), "reason": "NonZeroExitCode",
                "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
            })
            .to_string(),
            (Self::Failed(why), Form::Text) => Status::internal(why).message,
            (Self::Failed(why), Form::Status) => Status::internal(why).to_value().to_string(),
        }
    }
}

fn terminated(code: i32) -> String {
    format!("command terminated with non-zero exit code: exit status {code}")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn an_exit_code_is_a_cause() {
        let status: Value = serde_json::from_str(&Outcome::Exit(3).written(Form::Status)).unwrap();
        assert_eq!(status["reason"], "NonZeroExitCode");
        assert_eq!(status["details"]["causes"][0], json!({"reason": "ExitCode", "message": "3"}));
        assert_eq!(Outcome::Success.written(Form::Status), r#"{"metadata":{},"status":"Success"}"#);
        assert_eq!(Outcome::Success.written(Form::Text), "");
        let failed = Outcome::Failed("no such file".to_owned());
        assert_eq!(failed.written(Form::Text), "Internal error occurred: no such file");
    }
}
