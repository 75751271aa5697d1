//! What a request may take: time, room and places. Over the service, with the connection that a listener would name.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use http_body::{Frame, SizeHint};
use transport::Peer;

use super::*;

const MAPS: &str = "/api/v1/namespaces/shop/configmaps";

/// A body of so many bytes, of which none ever comes.
struct Stalled(u64);

impl http_body::Body for Stalled {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0)
    }
}

fn from_outside<B>(method: Method, path: &str, user: &str, body: B) -> Request<B> {
    let peer = Peer { address: "192.0.2.1:1000".parse().unwrap(), certificate: None };
    let request = Request::builder().method(method).uri(path).extension(peer);
    request.extension(User::new(user, ["system:masters"])).body(body).unwrap()
}

async fn told(answer: Response<apiserver::Body>) -> (u16, Value) {
    let code = answer.status().as_u16();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (code, serde_json::from_slice(&body).unwrap())
}

#[tokio::test]
async fn a_request_takes_as_long_as_it_may_and_no_longer() {
    let api = Api::start().await;
    // Not before: the store writes in a thread of its own, which the clock does not know of.
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    for (query, seconds) in [("", 60), ("?timeout=5s", 5), ("?timeout=0s", 60), ("?timeout=2h", 60)] {
        let before = began.elapsed();
        let request = from_outside(Method::POST, &format!("{MAPS}{query}"), "ann", Stalled(10));
        let (code, late) = told(api.server.clone().oneshot(request).await.unwrap()).await;
        assert_eq!((code, &late["reason"]), (504, &json!("Timeout")));
        assert_eq!(late["message"], "Timeout: request did not complete within the allotted timeout");
        assert_eq!((began.elapsed() - before).as_secs(), seconds, "{query}");
    }
    let soon = from_outside(Method::GET, &format!("{MAPS}?timeout=soon"), "ann", Full::<Bytes>::default());
    let (code, refused) = told(api.server.clone().oneshot(soon).await.unwrap()).await;
    assert_eq!(code, 400);
    assert_eq!(
        refused["message"],
        "invalid timeout specified in the request URL - time: invalid duration \"soon\""
    );
}

#[tokio::test]
async fn too_many_requests_of_one_client_are_refused_and_nobody_else_is_kept_waiting() {
    let gate = Arc::<tokio::sync::Mutex<()>>::default();
    let api = Api::over(gated(&gate), None).await;
    let closed = gate.lock().await;
    let create = |user: &'static str| {
        let body = Full::<Bytes>::from(r#"{"metadata":{"generateName":"a-"}}"#);
        Box::pin(api.server.clone().oneshot(from_outside(Method::POST, MAPS, user, body)))
    };
    // 48 that are answered, which is what one client may have, and 128 that wait.
    let mut greedy: Vec<_> = (0..48 + 128).map(|_| create("greedy")).collect();
    assert!(greedy.iter_mut().all(|asked| asked.now_or_never().is_none()));
    let refused = create("greedy").now_or_never().unwrap().unwrap();
    assert_eq!(refused.headers()["retry-after"], "1");
    let (code, refusal) = told(refused).await;
    assert_eq!((code, &refusal["reason"]), (429, &json!("TooManyRequests")));
    assert_eq!(refusal["details"]["retryAfterSeconds"], 1);
    for path in ["/readyz", "/api/v1/configmaps?watch=1&resourceVersion=0"] {
        let request = from_outside(Method::GET, path, "greedy", Full::<Bytes>::default());
        let answer = api.server.clone().oneshot(request).now_or_never().unwrap().unwrap();
        assert_eq!(answer.status(), 200, "{path} is not for waiting");
    }
    assert_eq!(api.get(MAPS).await.0, 200, "a component of the process itself does not wait either");
    let get = |path| {
        let request = from_outside(Method::GET, path, "modest", Full::<Bytes>::default());
        Box::pin(api.server.clone().oneshot(request))
    };
    assert!(get(MAPS).now_or_never().is_some(), "there are places that one client does not get");
    let mut others: Vec<_> = (0..16).map(|_| create("other")).collect();
    assert!(others.iter_mut().all(|asked| asked.now_or_never().is_none()));
    let mut waiting = [MAPS, "/openapi/v2", "/apis", "/metrics"].map(get);
    assert!(waiting.iter_mut().all(|asked| asked.now_or_never().is_none()), "now all places are taken");
    // To both in turns.
    drop(greedy.drain(..8));
    for asked in &mut waiting {
        assert!(asked.now_or_never().is_some_and(|answer| answer.unwrap().status() == 200));
    }
    greedy.extend(others);
    drop(closed);
    let answers = futures_util::future::join_all(greedy).await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().status() == 201), "all come to their turn");
}

#[tokio::test]
async fn slow_senders_of_large_bodies_keep_nobody_waiting() {
    let api = Api::start().await;
    let dry = format!("{MAPS}?dryRun=All");
    let stall = |user: &'static str| {
        let request = from_outside(Method::POST, &dry, user, Stalled(3 << 20));
        Box::pin(api.server.clone().oneshot(request))
    };
    let mut slow: Vec<_> = (0..10).map(|_| stall("slow")).collect();
    assert!(slow.iter_mut().all(|asked| asked.now_or_never().is_none()));
    let large = json!({"metadata": {"name": "large"}, "data": {"k": "v".repeat(900_000)}}).to_string();
    let modest = from_outside(Method::POST, &dry, "modest", Full::<Bytes>::from(large));
    let made = api.server.clone().oneshot(modest).now_or_never().expect("no room is left for others");
    assert_eq!(told(made.unwrap()).await.0, 201);
    drop(slow);
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    let (code, late) = told(stall("slow").await.unwrap()).await;
    assert_eq!((code, &late["reason"]), (504, &json!("Timeout")));
    assert_eq!(late["message"], "Timeout: the body of the request comes too slowly");
    assert_eq!(began.elapsed().as_secs(), 5, "room is not for who sends nothing");
}

/// What is waited for while a namespace gets its account costs nobody a place.
#[tokio::test]
async fn pods_that_wait_for_their_account_hold_no_place() {
    let api = Api::start().await;
    assert_eq!(api.post("/api/v1/namespaces", json!({"metadata": {"name": "fresh"}})).await.0, 201);
    let pods = "/api/v1/namespaces/fresh/pods";
    let pod =
        json!({"metadata": {"generateName": "p-"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let make = |pod: &Value| {
        let body = Full::<Bytes>::from(pod.to_string());
        Box::pin(api.server.clone().oneshot(from_outside(Method::POST, pods, "ann", body)))
    };
    let mut made: Vec<_> = (0..100).map(|_| make(&pod)).collect();
    assert!(made.iter_mut().all(|asked| asked.now_or_never().is_none()), "the account is still to come");
    let get = from_outside(Method::GET, pods, "ann", Full::<Bytes>::default());
    assert!(api.server.clone().oneshot(get).now_or_never().is_some(), "all places are taken");
    let mut other = pod.clone();
    other["spec"]["serviceAccountName"] = "other".into();
    let refused = make(&other).now_or_never().expect("nobody waits for the account of another");
    assert_eq!(refused.unwrap().status(), 403);
    let account = json!({"metadata": {"name": "default"}});
    assert_eq!(api.post("/api/v1/namespaces/fresh/serviceaccounts", account).await.0, 201);
    for answer in futures_util::future::join_all(made).await {
        assert_eq!(answer.unwrap().status(), 201);
    }
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_before_it_is_read() {
    let api = Api::start().await;
    let large = Full::<Bytes>::from(vec![b' '; (3 << 20) + 1]);
    let (code, refused) =
        told(api.server.clone().oneshot(from_outside(Method::POST, MAPS, "ann", large)).await.unwrap()).await;
    assert_eq!((code, &refused["reason"]), (413, &json!("RequestEntityTooLarge")));
    assert_eq!(refused["message"], "Request entity is too large: limit is 3145728");
}

#[tokio::test]
async fn watches_of_others_end_when_the_server_leaves() {
    let api = Api::start().await;
    let path = "/api/v1/configmaps?watch=1&resourceVersion=0";
    let outside = from_outside(Method::GET, path, "ann", Full::<Bytes>::default());
    let watched = api.server.clone().oneshot(outside).await.unwrap();
    let own =
        Request::get(path).extension(User::new("own", ["system:masters"])).body(Full::default()).unwrap();
    let mut own = api.send(own).await.into_body();
    api.server.leave();
    let ended = watched.into_body().collect().await;
    assert!(ended.is_ok(), "an end, and not a break");
    assert!(own.frame().now_or_never().is_none(), "the components are stopped by themselves, in their order");
}
