//! What a request may take: time, room and places. Over the service, with the connection that a listener would name.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use http_body::Frame;
use store::{Backend, Commit, StorageError};
use transport::Peer;

use super::*;

const MAPS: &str = "/api/v1/namespaces/shop/configmaps";

/// A body of which nothing ever comes.
struct Stalled;

impl http_body::Body for Stalled {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
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
        let request = from_outside(Method::POST, &format!("{MAPS}{query}"), "ann", Stalled);
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

/// A disk that takes nothing while somebody holds the gate.
struct Gated {
    disk: InMemory,
    gate: Arc<tokio::sync::Mutex<()>>,
}

impl Backend for Gated {
    fn commit(&mut self, commit: &Commit) -> Result<(), StorageError> {
        let _open = self.gate.blocking_lock();
        self.disk.commit(commit)
    }
}

#[tokio::test]
async fn too_many_requests_of_one_client_are_refused_and_nobody_else_is_kept_waiting() {
    let gate = Arc::<tokio::sync::Mutex<()>>::default();
    let disk = InMemory::default();
    let contents = disk.contents();
    let store = Store::over(Gated { disk, gate: gate.clone() }, contents, Limits::default()).unwrap();
    let api = Api::over(store, None).await;
    let closed = gate.lock().await;
    let create = |user: &'static str| {
        let body = Full::<Bytes>::from(r#"{"metadata":{"generateName":"a-"}}"#);
        Box::pin(api.server.clone().oneshot(from_outside(Method::POST, MAPS, user, body)))
    };
    // 64 that are answered and 128 that wait.
    let mut greedy: Vec<_> = (0..64 + 128).map(|_| create("greedy")).collect();
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
    let other = from_outside(Method::GET, MAPS, "modest", Full::<Bytes>::default());
    let mut modest = Box::pin(api.server.clone().oneshot(other));
    assert!((&mut modest).now_or_never().is_none(), "all places are taken");
    drop(greedy.drain(..2));
    assert!((&mut modest).now_or_never().is_some_and(|answer| answer.unwrap().status() == 200));
    drop(closed);
    let answers = futures_util::future::join_all(greedy).await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().status() == 201), "all come to their turn");
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
