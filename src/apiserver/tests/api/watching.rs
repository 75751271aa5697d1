//! Watchers side by side.

use apiserver::{Body, User};
use http::Request;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use store::Limits;

use crate::Api;

const MAPS: &str = "/api/v1/namespaces/shop/configmaps";

const PARTIAL: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const TABLE: &str = "application/json;as=Table;g=meta.k8s.io;v=v1";
/// What there is, the mark of its end, and what happens then.
const ALL: &str = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";

/// What a watch answers to who accepts this.
async fn open(api: &Api, path: &str, accept: &str) -> Body {
    let request = Request::get(path).header("accept", accept);
    let request = request.extension(User::new("root", ["system:masters"]));
    api.send(request.body(Full::default()).unwrap()).await.into_body()
}

async fn frame(watch: &mut Body) -> Vec<u8> {
    watch.frame().await.unwrap().unwrap().into_data().unwrap().to_vec()
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

/// The changes from now on.
async fn watch(api: &Api) -> Body {
    let (_, list) = api.get(MAPS).await;
    let now = list["metadata"]["resourceVersion"].as_str().unwrap();
    open(api, &format!("{MAPS}?watch=1&resourceVersion={now}"), "application/json").await
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

/// Or a hundred watchers of large Secrets would each hold all that changed.
#[tokio::test]
async fn large_objects_are_told_one_at_a_time() {
    let api = Api::start().await;
    let mut watch = watch(&api).await;
    for name in ["a", "b", "c"] {
        let data = json!({"large": "x".repeat(100_000)});
        assert_eq!(api.post(MAPS, json!({"metadata": {"name": name}, "data": data})).await.0, 201);
    }
    for name in ["a", "b", "c"] {
        let told = lines(&frame(&mut watch).await);
        let names: Vec<_> = told.iter().map(|line| &line["object"]["metadata"]["name"]).collect();
        assert_eq!(names, [name]);
    }
}

#[tokio::test]
async fn bookmarks_are_of_the_form_that_is_watched() {
    let api = Api::start().await;
    assert_eq!(api.post(MAPS, json!({"metadata": {"name": "a"}})).await.0, 201);
    let path = format!("{MAPS}?{ALL}");
    let told = lines(&frame(&mut open(&api, &path, PARTIAL).await).await);
    let bookmark = &told[1]["object"];
    assert_eq!((told.len(), &told[1]["type"]), (2, &json!("BOOKMARK")));
    assert_eq!(
        (&bookmark["kind"], &bookmark["apiVersion"]),
        (&json!("PartialObjectMetadata"), &json!("meta.k8s.io/v1"))
    );
    assert_eq!(bookmark["metadata"]["annotations"], json!({"k8s.io/initial-events-end": "true"}));
    let protobuf = PARTIAL.replace("application/json", "application/vnd.kubernetes.protobuf");
    let frames = frame(&mut open(&api, &path, &protobuf).await).await;
    let typed = b"k8s\0\x0a\x27\x0a\x0emeta.k8s.io/v1\x12\x15PartialObjectMetadata";
    assert_eq!(frames.windows(typed.len()).filter(|window| window == typed).count(), 2, "{frames:?}");
    let told = lines(&frame(&mut open(&api, &path, TABLE).await).await);
    let bookmark = &told[1]["object"];
    assert_eq!((&told[1]["type"], &bookmark["kind"]), (&json!("BOOKMARK"), &json!("Table")));
    let row = &bookmark["rows"][0]["object"];
    assert_eq!(row["kind"], "PartialObjectMetadata");
    assert_eq!(row["metadata"]["annotations"], json!({"k8s.io/initial-events-end": "true"}));
    assert_eq!(row["metadata"]["resourceVersion"], bookmark["metadata"]["resourceVersion"]);
}

/// A bookmark is an object with next to nothing in it.
#[tokio::test]
async fn tables_of_all_kinds_take_bookmarks() {
    let api = Api::start().await;
    for kind in api::kinds::all().filter(|kind| kind.verbs.iter().any(|verb| verb.as_str() == "watch")) {
        let root = if kind.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", kind.group) };
        let path = format!("{root}/{}/{}?{ALL}", kind.version, kind.plural);
        let told = lines(&frame(&mut open(&api, &path, TABLE).await).await);
        let bookmark = told.last().unwrap();
        assert_eq!((&bookmark["type"], &bookmark["object"]["kind"]), (&json!("BOOKMARK"), &json!("Table")));
        let columns = told[0]["object"]["columnDefinitions"].as_array().unwrap().len();
        assert_eq!(bookmark["object"]["rows"][0]["cells"].as_array().unwrap().len(), columns, "{path}");
    }
}

#[tokio::test]
async fn only_the_first_event_says_what_the_columns_are() {
    let api = Api::start().await;
    for name in ["a", "b"] {
        assert_eq!(api.post(MAPS, json!({"metadata": {"name": name}})).await.0, 201);
    }
    let mut watch = open(&api, &format!("{MAPS}?watch=1"), TABLE).await;
    let mut told = lines(&frame(&mut watch).await);
    assert_eq!(api.post(MAPS, json!({"metadata": {"name": "c"}})).await.0, 201);
    told.extend(lines(&frame(&mut watch).await));
    let columns: Vec<&Value> = told.iter().map(|event| &event["object"]["columnDefinitions"]).collect();
    assert_eq!(columns[0][0]["name"], "Name");
    assert_eq!(columns[1..], [&Value::Null; 2]);
    let (_, list) = api.get(&format!("{MAPS}/a")).await;
    assert_eq!(told[0]["object"]["metadata"]["resourceVersion"], list["metadata"]["resourceVersion"]);
}

#[tokio::test]
async fn what_there_is_comes_in_pieces_as_it_is_taken() {
    let api = Api::start().await;
    let large = "x".repeat(50_000);
    for number in 0..20 {
        let map = json!({"metadata": {"name": format!("map-{number:02}")}, "data": {"k": large}});
        assert_eq!(api.post(MAPS, map).await.0, 201);
    }
    let mut watch = open(&api, &format!("{MAPS}?{ALL}"), "application/json").await;
    let mut told = Vec::new();
    while told.last().is_none_or(|event: &Value| event["type"] != "BOOKMARK") {
        let piece = frame(&mut watch).await;
        assert!(piece.len() < 200_000, "{} bytes at once, of a million", piece.len());
        told.extend(lines(&piece));
        // One that is made meanwhile is told of when it is its time.
        if told.len() < 3 {
            assert_eq!(api.post(MAPS, json!({"metadata": {"generateName": "late-"}})).await.0, 201);
        }
    }
    let names = told.iter().map(|event| event["object"]["metadata"]["name"].as_str().unwrap_or_default());
    let expected = (0..20).map(|number| format!("map-{number:02}")).chain([String::new()]);
    assert!(names.eq(expected), "all of them in order, and then the mark");
    let late = next(&mut watch).await;
    assert!(late["object"]["metadata"]["name"].as_str().unwrap().starts_with("late-"), "{late}");
}
