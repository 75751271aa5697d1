//! A reflector against an API server that has its answers written down, and what the cache's readers are told of it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Request, Response};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::client::Body;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::change::CHANGES_KEPT;
use super::{Cache, Change, Changes};
use crate::{Client, Key, ListOptions};

/// An API server that has its answers written down: what the request must hold, the code and the body of each. It
/// gives as many answers as it has been granted.
struct Script {
    granted: Arc<Semaphore>,
    cache: Cache<ConfigMap>,
    _reflector: JoinSet<()>,
}

impl Script {
    fn start(steps: &[(&'static str, u16, String)]) -> Self {
        let granted = Arc::new(Semaphore::new(0));
        let (cache, reflector) = Cache::new(server(steps, granted.clone()), ListOptions::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(reflector.run());
        Self { granted, cache, _reflector: tasks }
    }

    fn answer(&self, requests: usize) {
        self.granted.add_permits(requests);
    }
}

fn server(steps: &[(&'static str, u16, String)], granted: Arc<Semaphore>) -> Client {
    let steps = Mutex::new(steps.iter().cloned().collect::<VecDeque<_>>());
    let service = tower::service_fn(move |request: Request<Body>| {
        let (granted, step) = (granted.clone(), steps.lock().unwrap().pop_front());
        async move {
            let Some((expected, code, body)) = step else { std::future::pending().await };
            granted.acquire().await.unwrap().forget();
            let target = request.uri().to_string();
            let code = if target.contains(expected) { code } else { 418 };
            Ok::<_, Infallible>(Response::builder().status(code).body(Body::from(body.into_bytes())).unwrap())
        }
    });
    kube::Client::new(service, "default").into()
}

fn object(name: &str, revision: usize) -> String {
    format!(
        r#"{{"metadata":{{"name":"{name}","namespace":"n","resourceVersion":"{revision}","managedFields":[{{}}]}}}}"#
    )
}

fn list(revision: u32, next: &str, items: &[String]) -> String {
    format!(
        r#"{{"metadata":{{"resourceVersion":"{revision}","continue":"{next}"}},"items":[{}]}}"#,
        items.join(",")
    )
}

fn event(kind: &str, object: &str) -> String {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
}

/// The next change, in words.
async fn next(changes: &mut Changes<ConfigMap>) -> String {
    let name = |object: &ConfigMap| {
        let metadata = &object.metadata;
        format!("{}@{}", metadata.name.as_deref().unwrap(), metadata.resource_version.as_deref().unwrap())
    };
    match changes.next().await {
        Change::Added(new) => format!("+{}", name(&new)),
        Change::Modified { old, new } => format!("{}>{}", name(&old), name(&new)),
        Change::Deleted(old) => format!("-{}", name(&old)),
        Change::Resync => "resync".to_string(),
    }
}

#[tokio::test(start_paused = true)]
async fn pages_then_changes_then_a_new_list_when_the_watch_is_too_old() {
    let events = [
        event("MODIFIED", &object("a", 6)),
        event("DELETED", &object("b", 7)),
        event("ADDED", &object("c", 8)),
    ];
    let gone = r#"{"kind":"Status","status":"Failure","code":410,"reason":"Expired"}"#;
    let script = Script::start(&[
        ("limit=500", 200, list(5, "more", &[object("a", 1)])),
        ("continue=more", 200, list(5, "", &[object("b", 2)])),
        ("resourceVersion=5", 200, events.concat()),
        ("resourceVersion=8", 200, event("BOOKMARK", r#"{"metadata":{"resourceVersion":"20"}}"#)),
        ("resourceVersion=20", 200, event("ERROR", gone)),
        ("limit=500", 200, list(30, "", &[object("a", 6), object("d", 25)])),
    ]);
    let mut changes = script.cache.changes();
    script.answer(2);
    assert_eq!(next(&mut changes).await, "resync");
    script.answer(4);
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(next(&mut changes).await);
    }
    assert_eq!(seen, ["a@1>a@6", "-b@2", "+c@8", "-c@8", "+d@25"]);
    let a = script.cache.get(&Key::new("n", "a")).unwrap();
    assert_eq!(a.metadata.managed_fields, None, "nobody here reads them");
    assert_eq!(script.cache.list_in("n").len(), 2);
    assert!(script.cache.list_in("other").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_restored_to_an_older_state_is_asked_for_all_of_it() {
    let ahead = r#"{"kind":"Status","status":"Failure","code":504,"reason":"Timeout",
        "details":{"causes":[{"reason":"ResourceVersionTooLarge"}]}}"#;
    let script = Script::start(&[
        ("limit=500", 200, list(50, "", &[object("a", 40)])),
        ("resourceVersion=50", 504, ahead.to_string()),
        ("limit=500", 200, list(20, "", &[object("b", 10)])),
    ]);
    let mut changes = script.cache.changes();
    script.answer(1);
    assert_eq!(next(&mut changes).await, "resync");
    script.answer(2);
    assert_eq!(next(&mut changes).await, "-a@40");
    assert_eq!(next(&mut changes).await, "+b@10");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_fails_is_asked_again_and_what_is_known_stays() {
    let script = Script::start(&[
        ("limit=500", 503, "no".to_string()),
        ("limit=500", 200, list(5, "", &[object("a", 1)])),
        ("resourceVersion=5", 500, String::new()),
        ("resourceVersion=5", 200, event("ADDED", &object("b", 6))),
    ]);
    let mut changes = script.cache.changes();
    script.answer(2);
    assert_eq!(next(&mut changes).await, "resync");
    script.answer(2);
    assert_eq!(next(&mut changes).await, "+b@6");
    assert_eq!(script.cache.keys().len(), 2);
}

#[tokio::test]
async fn a_reader_that_falls_behind_is_told_to_read_again() {
    let events: String = (0..CHANGES_KEPT + 10).map(|n| event("MODIFIED", &object("a", 10 + n))).collect();
    let script = Script::start(&[
        ("limit=500", 200, list(5, "", &[object("a", 1)])),
        ("resourceVersion=5", 200, events),
    ]);
    let mut changes = script.cache.changes();
    script.answer(1);
    assert_eq!(next(&mut changes).await, "resync");
    script.answer(1);
    let last = Some((10 + CHANGES_KEPT + 9).to_string());
    while script.cache.list()[0].metadata.resource_version != last {
        tokio::task::yield_now().await;
    }
    assert_eq!(next(&mut changes).await, "resync");
}

#[tokio::test]
async fn who_wrote_can_wait_until_the_cache_has_seen_it() {
    let script = Script::start(&[
        ("limit=500", 200, list(5, "", &[])),
        ("resourceVersion=5", 200, event("ADDED", &object("a", 9))),
    ]);
    script.answer(1);
    script.cache.synced().await;
    let written = ObjectMeta { resource_version: Some("9".into()), ..ObjectMeta::default() };
    let seen = script.cache.seen(&written);
    tokio::pin!(seen);
    tokio::select! {
        biased;
        () = &mut seen => panic!("the cache is at 5"),
        () = std::future::ready(()) => {}
    }
    script.answer(1);
    seen.await;
    assert!(script.cache.get(&Key::new("n", "a")).is_some());
}
