//! What nodes answer: a stand-in for a node's agent, at the other end of a real tunnel.

use std::convert::Infallible;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use transport::tunnel::Here;

use super::*;

const POD: &str = "/api/v1/namespaces/shop/pods/till";

async fn with_pod(node: Option<&str>) -> Api {
    let api = Api::start().await;
    let mut pod =
        json!({"metadata": {"name": "till"}, "spec": {"containers": [{"name": "a", "image": "i"}]}});
    if let Some(node) = node {
        pod["spec"]["nodeName"] = node.into();
    }
    let (code, answer) = api.post("/api/v1/namespaces/shop/pods", pod).await;
    assert_eq!(code, 201, "{answer}");
    api
}

/// Answers one request, with the path it was asked for.
async fn agent(mut here: Here, code: u16) {
    let answer = service_fn(|request: Request<hyper::body::Incoming>| async move {
        assert!(!request.headers().contains_key("authorization"), "credentials stay here");
        let body = Full::new(Bytes::from(request.uri().to_string()));
        Ok::<_, Infallible>(Response::builder().status(code).body(body).unwrap())
    });
    let stream = TokioIo::new(here.next().await);
    hyper::server::conn::http1::Builder::new().serve_connection(stream, answer).await.unwrap();
}

#[tokio::test]
async fn logs_come_from_the_node_of_the_pod() {
    let api = with_pod(Some("n")).await;
    let here = api.server.tunnels().here("n");
    let asked = async { api.get(&format!("{POD}/log?container=a&tailLines=5")).await };
    let (answer, ()) = tokio::join!(asked, agent(here, 200));
    assert_eq!(answer, (200, json!("/containerLogs/shop/till/a?tailLines=5")));
}

#[tokio::test]
async fn what_a_node_refuses_is_a_status() {
    let api = with_pod(Some("n")).await;
    let here = api.server.tunnels().here("n");
    let asked = async { api.get(&format!("{POD}/log")).await };
    let (answer, ()) = tokio::join!(asked, agent(here, 400));
    assert_eq!((answer.0, &answer.1["reason"]), (400, &json!("BadRequest")));
    assert_eq!(answer.1["message"], "/containerLogs/shop/till/a");
}

#[tokio::test]
async fn a_pod_or_node_that_is_not_there_is_told() {
    let api = with_pod(None).await;
    assert_eq!(api.get(&format!("{POD}/log")).await.0, 204, "no node, no log");
    let (code, answer) = api.get(&format!("{POD}/exec?command=ls")).await;
    assert_eq!((code, &answer["message"]), (400, &json!("pod till does not have a host assigned")));
    let api = with_pod(Some("away")).await;
    let (code, answer) = api.get(&format!("{POD}/log")).await;
    assert_eq!(code, 500);
    assert!(answer["message"].as_str().unwrap().contains("node away is not connected"), "{answer}");
    assert_eq!(api.get("/api/v1/namespaces/shop/pods/nobody/log").await.0, 404);
    assert_eq!(
        api.get(&format!("{POD}/log?container=b")).await.1["message"],
        "container b is not valid for pod till"
    );
}
