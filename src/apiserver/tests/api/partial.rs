//! Parts of objects, and objects by name: what is taken from stored bytes and keys without reading the objects.

use http::Request;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

use crate::Api;

const MAPS: &str = "/api/v1/namespaces/shop/configmaps";
const PARTIAL: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const PARTIAL_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// Each line of what is answered to who accepts this.
async fn read(api: &Api, path: &str, accept: &str) -> Vec<Value> {
    let request = Request::builder().uri(path).header("accept", accept);
    let request = request.extension(apiserver::User::new("root", ["system:masters"]));
    let answer = api.send(request.body(Full::default()).unwrap()).await;
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

async fn make(api: &Api, name: &str) -> Value {
    let tricky = json!({"note": "}\"{\\"});
    let map = json!({"metadata": {"name": name, "annotations": tricky}, "data": {"a": "b"}});
    let (code, made) = api.post(MAPS, map).await;
    assert_eq!(code, 201);
    made
}

fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

#[tokio::test]
async fn metadata_alone_is_the_metadata_of_the_object() {
    let api = Api::start().await;
    let (a, b) = (make(&api, "a").await, make(&api, "b").await);
    assert_eq!(read(&api, &format!("{MAPS}/a"), PARTIAL).await, [partial(&a)]);
    let list = &read(&api, MAPS, PARTIAL_LIST).await[0];
    assert_eq!(
        (&list["kind"], &list["apiVersion"]),
        (&json!("PartialObjectMetadataList"), &json!("meta.k8s.io/v1"))
    );
    assert_eq!(list["items"], json!([partial(&a), partial(&b)]));
    let page = &read(&api, &format!("{MAPS}?limit=1"), PARTIAL_LIST).await[0];
    assert_eq!((&page["items"], &page["metadata"]["remainingItemCount"]), (&json!([partial(&a)]), &json!(1)));
    let events = read(&api, &format!("{MAPS}?watch=1&timeoutSeconds=1"), PARTIAL).await;
    let added = |object| json!({"type": "ADDED", "object": partial(object)});
    assert_eq!(events, [added(&a), added(&b)]);
}

#[tokio::test]
async fn names_and_namespaces_select_without_and_with_other_fields() {
    let api = Api::start().await;
    for name in ["a", "b"] {
        make(&api, name).await;
    }
    for (selector, wanted) in [
        ("metadata.name=a", vec!["a"]),
        ("metadata.name!=a", vec!["b"]),
        ("metadata.name=a,metadata.namespace=shop", vec!["a"]),
        ("metadata.name=a,metadata.namespace=other", vec![]),
        ("metadata.namespace!=shop", vec![]),
        ("metadata.name=shop", vec![]),
    ] {
        let path = format!("/api/v1/configmaps?fieldSelector={}", selector.replace('=', "%3D"));
        assert_eq!(names(&api, &path).await, wanted, "{selector}");
    }
    let namespaces =
        |selector: &str| format!("/api/v1/namespaces?fieldSelector={}", selector.replace('=', "%3D"));
    for (selector, wanted) in [
        ("metadata.name=shop,status.phase=Active", vec!["shop"]),
        ("metadata.name=shop,status.phase=Terminating", vec![]),
    ] {
        assert_eq!(names(&api, &namespaces(selector)).await, wanted, "{selector}");
    }
}

async fn names(api: &Api, path: &str) -> Vec<String> {
    let (code, list) = api.get(path).await;
    assert_eq!(code, 200, "{list}");
    let items = list["items"].as_array().unwrap().iter();
    items.map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect()
}
