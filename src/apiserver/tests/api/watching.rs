//! Watchers side by side.

use apiserver::{Body, User};
use http::Request;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use store::Limits;

use crate::Api;

const MAPS: &str = "/api/v1/namespaces/shop/configmaps";

/// The changes from now on.
async fn watch(api: &Api) -> Body {
    let (_, list) = api.get(MAPS).await;
    let now = list["metadata"]["resourceVersion"].as_str().unwrap();
    let request = Request::get(format!("{MAPS}?watch=1&resourceVersion={now}"));
    let request = request.extension(User::new("root", ["system:masters"]));
    api.send(request.body(Full::default()).unwrap()).await.into_body()
}

async fn next(watch: &mut Body) -> Value {
    let line = watch.frame().await.unwrap().unwrap().into_data().unwrap();
    serde_json::from_slice(&line).unwrap()
}

#[tokio::test]
async fn a_slow_watcher_is_told_so_and_nobody_waits_for_it() {
    let api = Api::keeping(Limits { events: 8, ..Limits::default() }).await;
    let (mut slow, mut quick) = (watch(&api).await, watch(&api).await);
    for number in 0..20 {
        let name = format!("map-{number}");
        assert_eq!(api.post(MAPS, json!({"metadata": {"name": name}})).await.0, 201);
        let told = next(&mut quick).await;
        assert_eq!((&told["type"], &told["object"]["metadata"]["name"]), (&json!("ADDED"), &json!(name)));
    }
    let told = next(&mut slow).await;
    let status = &told["object"];
    assert_eq!(
        (&told["type"], &status["code"], &status["reason"]),
        (&json!("ERROR"), &json!(410), &json!("Expired"))
    );
    assert!(slow.frame().await.is_none(), "and then it is over");
}
