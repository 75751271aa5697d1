//! More than a hundred ways to ask wrongly: each gets its `Status`, and nothing else changes, not a byte of the store.

mod requests;

use self::requests::{GROUND, ROWS, Row, body};
use super::*;

impl Row {
    fn request(&self) -> Request<Full<Bytes>> {
        let (method, path) = self.ask.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        for header in self.headers {
            let (name, value) = header.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        let request = request.extension(User::new("root", ["system:masters"]));
        request.body(Full::from(body(self.body))).unwrap()
    }

    fn is_told_by(&self, code: u16, said: &Value) -> bool {
        let text = |field: &str| said[field].as_str().unwrap_or_default();
        let as_told = match self.message.strip_suffix('…') {
            Some(start) => text("message").starts_with(start),
            None => text("message") == self.message,
        };
        let is_status = text("kind") == "Status" && text("status") == "Failure" && said["code"] == code;
        is_status && as_told && (code, text("reason")) == (self.code, self.reason)
    }
}

/// The problem with the answer, if there is one.
async fn ask(api: &Api, row: &Row) -> Option<String> {
    let answer = api.send(row.request()).await;
    let code = answer.status().as_u16();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    let said = serde_json::from_slice(&bytes).unwrap_or_default();
    let Row { ask, body, code: wanted, reason, message, .. } = row;
    let wrong = || format!("{ask} {body}\n  expected {wanted} {reason} {message}\n  found    {code} {said}");
    (!row.is_told_by(code, &said)).then(wrong)
}

#[tokio::test]
async fn malformed_requests_get_their_status_and_change_nothing() {
    let api = Api::start().await;
    for (folder, object) in GROUND {
        let (code, answer) = api.post(folder, serde_json::from_str(object).unwrap()).await;
        assert_eq!(code, 201, "{answer}");
    }
    let before = api.store.snapshot("/");
    let mut problems = Vec::new();
    for row in ROWS {
        problems.extend(ask(&api, row).await);
    }
    assert!(problems.is_empty(), "{} of {}:\n{}", problems.len(), ROWS.len(), problems.join("\n"));
    assert!(ROWS.len() > 100, "only {}", ROWS.len());
    assert_eq!(api.store.revision(), before.revision());
    assert!(api.store.snapshot("/").iter().eq(before.iter()), "something was written");
}
