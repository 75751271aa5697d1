//! Hostile requests: real ones, damaged in every way that came to mind. Each is answered, by what it asks for or by a
//! well-formed refusal, and a refused one changes nothing.
//!
//! CI runs a bounded number. By hand, for as long as you like:
//!
//! ```text
//! SKIFF_FUZZ_SECONDS=3600 cargo test -p apiserver --test api fuzz -- --nocapture
//! ```
//!
//! Each case is made from a number. One that fails says its number, and one that takes the process with it (a stack
//! overflow, a hang) has left it in `$CARGO_TARGET_TMPDIR/fuzz-case`; `SKIFF_FUZZ_CASE=number` starts there.

mod corpus;
mod damage;
mod text;
mod wire;

use std::path::Path;
use std::time::{Duration, Instant};

use apiserver::User;
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use store::Revision;

use crate::Api;

/// In CI: some seconds.
const CASES: u64 = 1500;
/// After so many cases everything is made anew: by then much is deleted.
const EPOCH: u64 = 250;

/// A request that may be as wrong as one likes.
#[derive(Clone, Debug)]
struct Case {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    content: String,
    accept: String,
    body: Vec<u8>,
}

impl Case {
    fn uri(&self) -> String {
        let query: Vec<String> = self.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, query.join("&")) }
    }

    /// None if no HTTP library would send it: those are for the suite that speaks to the socket.
    fn request(&self) -> Option<Request<Full<Bytes>>> {
        let builder = Request::builder()
            .method(self.method.clone())
            .uri(self.uri())
            .header(header::CONTENT_TYPE, &self.content)
            .header(header::ACCEPT, &self.accept)
            .header(header::USER_AGENT, "fuzz/1.0")
            .extension(User::new("root", ["system:masters"]));
        builder.body(Full::from(self.body.clone())).ok()
    }

    fn is_endless(&self) -> bool {
        self.uri().contains("watch")
    }
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

#[tokio::test]
async fn hostile_requests_are_answered_and_refused_ones_change_nothing() {
    let first = setting("SKIFF_FUZZ_CASE").unwrap_or(1);
    let end = setting("SKIFF_FUZZ_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let goes_on = |done| end.map_or(done < CASES, |end| Instant::now() < end);
    let mark = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz-case");
    let (mut number, mut tally) = (first, Tally::default());
    while goes_on(number - first) {
        let api = corpus::api().await;
        let known = corpus::requests();
        for _ in 0..EPOCH {
            std::fs::write(&mark, number.to_string()).unwrap();
            let mut dice = fastrand::Rng::with_seed(number);
            let case = damage::any(&known, &mut dice);
            run(&api, number, &case, &mut tally).await;
            number += 1;
        }
        check_all_is_readable(&api).await;
    }
    println!("{tally:?}");
    let Tally { done, refused, unsendable } = tally;
    assert!(
        done > 100 && refused > 100 && unsendable < done + refused,
        "the damage is too little or too much"
    );
}

#[derive(Debug, Default)]
struct Tally {
    done: u64,
    refused: u64,
    unsendable: u64,
}

async fn run(api: &Api, number: u64, case: &Case, tally: &mut Tally) {
    let Some(request) = case.request() else {
        tally.unsendable += 1;
        return;
    };
    let before = api.store.revision();
    let answer = api.send(request).await;
    let code = answer.status().as_u16();
    let told = || format!("case {number}: {code} for {} {} {}", case.method, case.uri(), shown(&case.body));
    if code < 400 {
        tally.done += 1;
        let changes = !matches!(case.method, Method::GET | Method::HEAD);
        assert!(changes || api.store.revision() == before, "a read changes: {}", told());
        if !case.is_endless() {
            answer.into_body().collect().await.unwrap_or_else(|error| panic!("{error}: {}", told()));
        }
        return;
    }
    tally.refused += 1;
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    check_refusal(code, &body).unwrap_or_else(|problem| panic!("{problem}: {} {}", told(), shown(&body)));
    assert_unchanged(api, before, &told());
}

fn assert_unchanged(api: &Api, before: Revision, told: &str) {
    assert_eq!(api.store.revision(), before, "a refused request changed something: {told}");
}

/// A `Status` that says what is wrong with the request, and blames nobody else. In the form that the request asked for; where
/// nothing is served, the sentence that upstream has for that.
fn check_refusal(code: u16, body: &[u8]) -> Result<(), String> {
    if (code, body) == (404, b"404 page not found\n") {
        return Ok(());
    }
    let yaml = || std::str::from_utf8(body).ok().and_then(|text| serde_saphyr::from_str(text).ok());
    let status: Value = match body.strip_prefix(b"k8s\0") {
        Some(_) => api::protobuf::decode(body).map_err(|error| error.to_string())?,
        None => serde_json::from_slice(body).or_else(|error| yaml().ok_or_else(|| error.to_string()))?,
    };
    let text = |field: &str| status[field].as_str().unwrap_or_default().to_owned();
    // As upstream, as if a revision of the future were only late.
    let late = code == 504 && text("reason") == "Timeout";
    let foreseen = code != 500 || UNFORESEEN.iter().any(|sentence| text("message").contains(sentence));
    let well_formed = text("kind") == "Status"
        && text("apiVersion") == "v1"
        && text("status") == "Failure"
        && (!text("reason").is_empty() || code == 500)
        && !text("message").is_empty()
        && status["code"] == code;
    match well_formed && foreseen && (code <= 500 || late) {
        true => Ok(()),
        false => Err("no refusal of a request".into()),
    }
}

/// What upstream answers with 500, and so we do.
const UNFORESEEN: &[&str] = &[
    "doesn't match $setElementOrder list",
    "list element types are not identical",
    "does not contain declared merge key",
    "cannot merge lists without merge key",
    "unknown patch type",
    "merging lists cannot yet be specified",
    "but received a",
    "unable to find api field",
    "failed to create typed patch object",
    "failed to decode managed fields",
    "target.kind: Unsupported value",
    "target.name: Required value",
    "error dialing backend",
    "resourceVersion should not be set on objects to be created",
];

fn shown(body: &[u8]) -> String {
    let start = &body[..body.len().min(2000)];
    String::from_utf8_lossy(start).into_owned()
}

/// An object that its components cannot decode hides the whole list that it is in.
fn check_components_read(object: &Value) {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    let read = api::codec::check(text("apiVersion"), text("kind"), object.to_string().as_bytes());
    if let Some(Err(error)) = read {
        panic!("{error}: {:?}: {object}", std::error::Error::source(&error));
    }
}

/// Whatever was let in can be looked at, in every form, and deleted.
async fn check_all_is_readable(api: &Api) {
    for entry in api.store.snapshot("/").iter().filter(|entry| !entry.key().starts_with("/services.claim")) {
        let object: Value = serde_json::from_slice(entry.value()).unwrap();
        check_components_read(&object);
        let Some(path) = corpus::path_of(&object) else { continue };
        let (code, read) = api.get(&path).await;
        assert_eq!(code, 200, "{path}: {read}");
        let (folder, _) = path.rsplit_once('/').unwrap();
        for list in [folder.to_owned(), format!("{folder}?labelSelector=!none")] {
            for accept in ["application/json", "application/json;as=Table;v=v1;g=meta.k8s.io"] {
                let case = Case {
                    method: Method::GET,
                    path: list.clone(),
                    query: vec![],
                    content: String::new(),
                    accept: accept.into(),
                    body: vec![],
                };
                let answer = api.send(case.request().unwrap()).await;
                assert_eq!(answer.status(), 200, "{list}");
                answer.into_body().collect().await.unwrap();
            }
        }
        let (code, deleted) = api.delete(&path, None).await;
        assert!(code < 300 || code == 404 || code == 403 || code == 405, "{path}: {deleted}");
    }
}
