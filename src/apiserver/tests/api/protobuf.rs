//! What Go clients send and ask for: `application/vnd.kubernetes.protobuf`.

use api::protobuf;
use http::{Method, Request};
use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::Api;

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

impl Api {
    /// Sends an object and gets one, both as protobuf.
    async fn exchange(&self, method: Method, path: &str, object: Option<Value>) -> (u16, Value) {
        let body = object.map(|object| protobuf::encode(object.to_string().as_bytes()).unwrap());
        let request = Request::builder().method(method).uri(path);
        let request = request.header("content-type", PROTOBUF).header("accept", PROTOBUF);
        let request = request.extension(apiserver::User::new("root", ["system:masters"]));
        let body = http_body_util::Full::from(body.unwrap_or_default());
        let answer = self.send(request.body(body).unwrap()).await;
        assert_eq!(answer.headers()["content-type"], PROTOBUF);
        let code = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (code, protobuf::decode(&bytes).unwrap())
    }
}

fn page() -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "page"}, "data": {"a": "b"}})
}

const PAGES: &str = "/api/v1/namespaces/shop/configmaps";
const PAGE: &str = "/api/v1/namespaces/shop/configmaps/page";

#[tokio::test]
async fn objects_come_and_go_as_protobuf() {
    let api = Api::start().await;
    let (code, made) = api.exchange(Method::POST, PAGES, Some(page())).await;
    assert_eq!((code, &made["data"]), (201, &json!({"a": "b"})));
    let (_, read) = api.get(PAGE).await;
    assert_eq!(read["metadata"]["uid"], made["metadata"]["uid"]);
    let mut changed = made;
    changed["data"]["a"] = "c".into();
    let (code, changed) = api.exchange(Method::PUT, PAGE, Some(changed)).await;
    assert_eq!((code, &changed["data"]["a"]), (200, &json!("c")));
    let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": "another"}});
    let (code, refused) = api.exchange(Method::DELETE, PAGE, Some(options)).await;
    assert_eq!((code, &refused["kind"], &refused["reason"]), (409, &json!("Status"), &json!("Conflict")));
    let (code, gone) = api.exchange(Method::DELETE, PAGE, None).await;
    assert_eq!((code, &gone["status"]), (200, &json!("Success")));
    let (code, missing) = api.exchange(Method::GET, PAGE, None).await;
    assert_eq!((code, &missing["reason"]), (404, &json!("NotFound")));
}

#[tokio::test]
async fn what_is_not_of_the_paths_kind_is_refused() {
    let api = Api::start().await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "page"}});
    let (code, refused) = api.exchange(Method::POST, PAGES, Some(secret)).await;
    assert_eq!(code, 400, "{refused}");
    assert_eq!(api.call(Method::POST, PAGES, PROTOBUF, Some(page())).await.0, 400, "JSON under a wrong name");
}

#[tokio::test]
async fn a_watch_is_a_row_of_frames() {
    let api = Api::start().await;
    assert_eq!(api.post(PAGES, page()).await.0, 201);
    let request = Request::builder().uri(format!("{PAGES}?watch=1&resourceVersion=0"));
    let request = request.header("accept", "application/vnd.kubernetes.protobuf,application/json");
    let request = request.extension(apiserver::User::new("root", ["system:masters"]));
    let mut answer = api.send(request.body(http_body_util::Full::default()).unwrap()).await;
    assert_eq!(answer.headers()["content-type"], "application/vnd.kubernetes.protobuf;stream=watch");
    let frame = answer.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(frame[..4], u32::try_from(frame.len() - 4).unwrap().to_be_bytes());
    assert_eq!(frame[4..11], *b"\x0a\x05ADDED");
    let object = frame.windows(4).position(|window| window == b"k8s\0").unwrap();
    assert_eq!(protobuf::decode(&frame[object..]).unwrap()["data"], json!({"a": "b"}));
}
