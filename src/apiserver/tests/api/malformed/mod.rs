//! More than a hundred ways to ask wrongly: each gets its `Status`, and nothing else changes, not a byte of the store.

mod requests;

use self::requests::{GROUND, Row, body, rows};
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
}

/// The problem with the answer, if there is one.
async fn ask(api: &Api, row: &Row) -> Option<String> {
    let answer = api.send(row.request()).await;
    let code = answer.status().as_u16();
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    row.problem(code, &serde_json::from_slice(&bytes).unwrap_or_default())
}

#[tokio::test]
async fn malformed_requests_get_their_status_and_change_nothing() {
    let api = Api::start().await;
    for (folder, object) in GROUND {
        let (code, answer) = api.post(folder, serde_json::from_str(object).unwrap()).await;
        assert_eq!(code, 201, "{answer}");
    }
    let (before, rows) = (api.store.snapshot("/"), rows());
    let mut problems = Vec::new();
    for row in &rows {
        problems.extend(ask(&api, row).await);
    }
    assert!(problems.is_empty(), "{} of {}:\n{}", problems.len(), rows.len(), problems.join("\n"));
    assert!(rows.len() > 100, "only {}", rows.len());
    assert_eq!(api.store.revision(), before.revision());
    assert!(api.store.snapshot("/").iter().eq(before.iter()), "something was written");
}
