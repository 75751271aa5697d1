//! Prints what requests cost within the process: `cargo bench -p apiserver`. No sockets, no TLS, no disk; CPU of all threads.
#![expect(clippy::unwrap_used, reason = "a failed measurement is no figure")]

use std::time::{Duration, Instant};

use apiserver::{ApiServer, Body, Issuer, User};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use pki::jwt::Signer;
use rustix::time::{ClockId, clock_gettime};
use store::{InMemory, Limits, Store};
use tokio::task::JoinSet;
use tower::ServiceExt;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const METADATA: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
const OBJECTS: usize = 10_000;
const WATCHERS: usize = 1_000;
const CHANGES: usize = 200;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let api = Api::new(Signer::open(&folder.path().join("key")).unwrap());
    api.post("/api/v1/namespaces", r#"{"metadata":{"name":"default"}}"#.into()).await;

    let clock = Clock::start();
    for number in 0..OBJECTS {
        api.post(MAPS, map(number)).await;
    }
    clock.print("create", OBJECTS);

    let clock = Clock::start();
    for number in 0..OBJECTS * 10 {
        api.send(Method::GET, &path(number), "", String::new()).await;
    }
    clock.print("get", OBJECTS * 10);

    let clock = Clock::start();
    for number in 0..OBJECTS {
        patch(&api, number).await;
    }
    clock.print("merge patch", OBJECTS);

    for (what, accept) in [("list of 10 000", "application/json"), ("list of their metadata", METADATA)] {
        let clock = Clock::start();
        for _ in 0..20 {
            read(api.call(Method::GET, MAPS, accept, "", String::new()).await).await;
        }
        clock.print(what, 20);
    }
    watchers(&api).await;
}

async fn patch(api: &Api, number: usize) {
    let change = format!(r#"{{"data":{{"turn":"{number}"}}}}"#);
    api.send(Method::PATCH, &path(number), "application/merge-patch+json", change).await;
}

/// Each change reaches all watchers before the next is made.
async fn watchers(api: &Api) {
    let list = read(api.call(Method::GET, &format!("{MAPS}?limit=1"), "", "", String::new()).await).await;
    let list: serde_json::Value = serde_json::from_slice(&list).unwrap();
    let revision = list["metadata"]["resourceVersion"].as_str().unwrap();
    let watch = format!("{MAPS}?watch=true&resourceVersion={revision}");
    let mut watching = JoinSet::new();
    for _ in 0..WATCHERS {
        let mut body = api.call(Method::GET, &watch, "", "", String::new()).await.into_body();
        watching.spawn(async move {
            for _ in 0..CHANGES {
                body.frame().await.unwrap().unwrap();
            }
        });
    }
    let clock = Clock::start();
    for number in 0..CHANGES {
        patch(api, number).await;
        tokio::task::yield_now().await;
    }
    while watching.join_next().await.is_some() {}
    clock.print("change delivered to a watcher", CHANGES * WATCHERS);
}

fn path(number: usize) -> String {
    format!("{MAPS}/map-{:06}", number * 7919 % OBJECTS)
}

/// 1 KB.
fn map(number: usize) -> String {
    let text = "x".repeat(920);
    format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"map-{number:06}"}},"data":{{"text":"{text}"}}}}"#
    )
}

async fn read(answer: Response<Body>) -> Bytes {
    answer.into_body().collect().await.unwrap().to_bytes()
}

struct Api {
    server: ApiServer,
    user: User,
}

impl Api {
    fn new(signer: Signer) -> Self {
        let backend = InMemory::default();
        let contents = backend.contents();
        let store = Store::over(backend, contents, Limits::default()).unwrap();
        let server = ApiServer::new(store, Issuer::new(signer, "https://kubernetes.default.svc"));
        Self { server, user: User::new("admin", ["system:masters"]) }
    }

    async fn post(&self, path: &str, body: String) {
        self.send(Method::POST, path, "application/json", body).await;
    }

    async fn send(&self, method: Method, path: &str, content: &str, body: String) {
        let answer = self.call(method, path, "application/json", content, body).await;
        read(answer).await;
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        content: &str,
        body: String,
    ) -> Response<Body> {
        let request = Request::builder().method(method).uri(path).header("user-agent", "bench/1");
        let request = request.header("accept", accept).header("content-type", content);
        let request = request.extension(self.user.clone()).body(Full::new(Bytes::from(body))).unwrap();
        let answer = self.server.clone().oneshot(request).await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        answer
    }
}

/// Of the process: what others do on the machine meanwhile is not in it.
struct Clock {
    cpu: Duration,
    time: Instant,
}

impl Clock {
    fn start() -> Self {
        Self { cpu: cpu(), time: Instant::now() }
    }

    fn print(&self, what: &str, times: usize) {
        let per = |total: Duration| total.as_secs_f64() * 1e6 / f64::from(u32::try_from(times).unwrap());
        println!("{what}: {:.2} µs of CPU, {:.2} µs", per(cpu() - self.cpu), per(self.time.elapsed()));
    }
}

fn cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap()
}
