//! In which form things are asked for and answered.

use std::io::Read;

use flate2::read::GzDecoder;
use http::{HeaderMap, header};

use super::*;

#[tokio::test]
async fn flow_schemas_stand_in_the_order_in_which_they_match() {
    let api = Api::start().await;
    let path = "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas";
    for (name, precedence) in [("a", 900), ("b", 100), ("c", 900)] {
        let schema = json!({"metadata": {"name": name}, "spec": {"matchingPrecedence": precedence,
            "priorityLevelConfiguration": {"name": "global-default"}}});
        let (code, made) = api.post(path, schema).await;
        assert_eq!(code, 201, "{made}");
    }
    let request = Request::get(path).header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io");
    let request = request.extension(User::new("root", ["system:masters"]));
    let answer = api.send(request.body(Full::default()).unwrap()).await;
    let table: Value =
        serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap();
    let names: Vec<&Value> = table["rows"].as_array().unwrap().iter().map(|row| &row["cells"][0]).collect();
    assert_eq!(names, ["b", "a", "c"]);
}

const MAPS: &str = "/api/v1/namespaces/shop/configmaps";
const YAML: &str = "application/yaml";

/// Code, headers and body of an answer, as the administrator gets it.
async fn sent(
    api: &Api,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, HeaderMap, Bytes) {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.extension(User::new("root", ["system:masters"]));
    let answer = api.send(request.body(Full::from(body.to_owned())).unwrap()).await;
    let (code, headers) = (answer.status().as_u16(), answer.headers().clone());
    (code, headers, answer.into_body().collect().await.unwrap().to_bytes())
}

async fn read(api: &Api, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, Bytes) {
    sent(api, Method::GET, path, headers, "").await
}

fn text(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn yaml_goes_in_and_comes_out() {
    let api = Api::start().await;
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  yes: 'no'\n  lines: |\n    one\n    two\n";
    let headers = [("content-type", YAML), ("accept", YAML)];
    let (code, headers, made) = sent(&api, Method::POST, MAPS, &headers, map).await;
    assert_eq!((code, &headers[header::CONTENT_TYPE]), (201, &YAML.parse().unwrap()), "{made:?}");
    let made: Value = serde_saphyr::from_str(text(&made)).unwrap();
    assert_eq!(made["data"], json!({"yes": "no", "lines": "one\ntwo\n"}));
    assert_eq!(api.get(&format!("{MAPS}/a")).await.1, made, "the same object as in JSON");
    let (_, _, list) = read(&api, MAPS, &[("accept", YAML)]).await;
    assert!(text(&list).starts_with("apiVersion: v1\nitems:\n"), "{list:?}");
    let (code, _, refusal) = read(&api, &format!("{MAPS}/none"), &[("accept", YAML)]).await;
    let refusal: Value = serde_saphyr::from_str(text(&refusal)).unwrap();
    assert_eq!((code, &refusal["kind"], &refusal["reason"]), (404, &json!("Status"), &json!("NotFound")));
    let (_, headers, groups) = read(&api, "/apis", &[("accept", YAML)]).await;
    assert_eq!(headers[header::CONTENT_TYPE], YAML);
    assert!(text(&groups).contains("kind: APIGroupList"), "{groups:?}");
}

#[tokio::test]
async fn yaml_that_says_something_twice_is_taken_or_refused_as_the_client_wants() {
    let api = Api::start().await;
    let map = "metadata:\n  name: a\ndata:\n  k: v\n  k: w\n";
    let strict = format!("{MAPS}?fieldValidation=Strict");
    let (code, _, refused) = sent(&api, Method::POST, &strict, &[("content-type", YAML)], map).await;
    assert_eq!(code, 400);
    assert!(text(&refused).contains("line 5: key \\\"k\\\" already set in map"), "{refused:?}");
    let (code, headers, made) = sent(&api, Method::POST, MAPS, &[("content-type", YAML)], map).await;
    assert_eq!(code, 201);
    assert!(headers["warning"].to_str().unwrap().contains("already set in map"));
    assert!(text(&made).contains(r#""data":{"k":"w"}"#), "{made:?}");
    let (code, _) = api.call(Method::POST, MAPS, YAML, Some(json!("{"))).await;
    assert_eq!(code, 400);
}

#[tokio::test]
async fn what_nobody_speaks_is_refused_in_upstreams_words() {
    let api = Api::start().await;
    let (code, _, refusal) = read(&api, MAPS, &[("accept", "text/html")]).await;
    let refusal: Value = serde_json::from_slice(&refusal).unwrap();
    assert_eq!((code, &refusal["reason"]), (406, &json!("NotAcceptable")));
    assert_eq!(
        refusal["message"],
        "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf"
    );
    let (code, _, refusal) = read(&api, &format!("{MAPS}?watch=1"), &[("accept", YAML)]).await;
    assert_eq!(code, 406, "{refusal:?}");
    let (code, unsupported) = api.call(Method::POST, MAPS, "text/plain", Some(json!({}))).await;
    assert_eq!((code, &unsupported["reason"]), (415, &json!("UnsupportedMediaType")));
    assert_eq!(
        unsupported["message"],
        "the body of the request was in an unknown format - accepted media types include: application/json, \
         application/yaml, application/vnd.kubernetes.protobuf"
    );
    api.post(MAPS, json!({"metadata": {"name": "a"}})).await;
    let one = format!("{MAPS}/a");
    assert_eq!(api.call(Method::DELETE, &one, "text/plain", Some(json!({}))).await.0, 415);
    assert_eq!(api.call(Method::DELETE, &one, "text/plain", None).await.0, 200, "there is nothing to read");
}

#[tokio::test]
async fn people_get_json_laid_out() {
    let api = Api::start().await;
    api.post(MAPS, json!({"metadata": {"name": "a"}})).await;
    let one = format!("{MAPS}/a");
    for (path, headers) in [
        (format!("{one}?pretty=true"), ("accept", "*/*")),
        (one.clone(), ("user-agent", "curl/8.1")),
        (MAPS.to_owned(), ("user-agent", "curl/8.1")),
        ("/version".to_owned(), ("user-agent", "curl/8.1")),
        (format!("{MAPS}/none"), ("user-agent", "curl/8.1")),
    ] {
        let (_, _, body) = read(&api, &path, &[headers]).await;
        assert!(text(&body).starts_with("{\n  \""), "{path}: {body:?}");
        assert!(serde_json::from_slice::<Value>(&body).is_ok());
    }
    let (_, _, plain) = read(&api, &format!("{one}?pretty=0"), &[("user-agent", "curl/8.1")]).await;
    assert!(text(&plain).starts_with("{\"apiVersion\""), "{plain:?}");
}

#[tokio::test]
async fn large_answers_are_compressed_for_those_who_read_that() {
    let api = Api::start().await;
    api.post(MAPS, json!({"metadata": {"name": "small"}, "data": {"k": "v"}})).await;
    for name in ["a", "b", "c"] {
        let text = format!("{name} and so on ").repeat(8000);
        let (code, _) = api.post(MAPS, json!({"metadata": {"name": name}, "data": {"k": text}})).await;
        assert_eq!(code, 201);
    }
    let gzip = ("accept-encoding", "deflate, gzip;q=1.0");
    let (_, headers, small) = read(&api, &format!("{MAPS}/small"), &[gzip]).await;
    assert_eq!(headers.get(header::CONTENT_ENCODING), None);
    assert!(serde_json::from_slice::<Value>(&small).is_ok());
    let (_, headers, list) = read(&api, MAPS, &[gzip]).await;
    assert_eq!(
        (&headers[header::CONTENT_ENCODING], &headers[header::VARY]),
        (&"gzip".parse().unwrap(), &"Accept-Encoding".parse().unwrap())
    );
    let mut plain = Vec::new();
    GzDecoder::new(&list[..]).read_to_end(&mut plain).unwrap();
    for refused in ["gzip;q=0", "identity, gzip; q=0.0", "gzipped"] {
        let (_, headers, expected) = read(&api, MAPS, &[("accept-encoding", refused)]).await;
        assert_eq!(headers.get(header::CONTENT_ENCODING), None, "{refused}");
        assert_eq!(plain, expected);
    }
    assert!(list.len() * 10 < plain.len());
}

#[tokio::test]
async fn what_is_not_served_is_not_found_as_upstream_says_it() {
    let api = Api::start().await;
    for path in ["/nothing", "/apis/example.com/v1/things", "/api/v9", "/readyz/nothing"] {
        let (code, headers, body) = read(&api, path, &[]).await;
        assert_eq!((code, text(&body)), (404, "404 page not found\n"), "{path}");
        if path == "/nothing" {
            assert_eq!(headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
            assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        }
    }
    let (code, nothing) = api.get("/api/v1/nothing").await;
    assert_eq!(
        (code, &nothing["message"]),
        (404, &json!("the server could not find the requested resource"))
    );
    for (method, path) in [
        (Method::HEAD, MAPS),
        (Method::OPTIONS, MAPS),
        (Method::PUT, MAPS),
        (Method::HEAD, "/version"),
        (Method::POST, "/apis"),
    ] {
        let (code, headers, _) = sent(&api, method.clone(), path, &[], "").await;
        assert_eq!(code, 405, "{method} {path}");
        assert_eq!(headers[header::CACHE_CONTROL], "no-cache, private");
    }
    let (_, paths) = api.get("/").await;
    let paths = paths["paths"].as_array().unwrap();
    for path in ["/api/v1", "/apis/apps/v1", "/healthz", "/version"] {
        assert!(paths.contains(&json!(path)), "{path} is missing");
    }
}

#[tokio::test]
async fn health_is_told_check_by_check() {
    let api = Api::start().await;
    let told = async |path: &str| {
        let (code, _, body) = read(&api, path, &[]).await;
        (code, text(&body).to_owned())
    };
    assert_eq!(told("/readyz").await, (200, "ok".to_owned()));
    assert_eq!(told("/readyz/shutdown").await, (200, "ok".to_owned()));
    let verbose = "[+]ping ok\n[+]shutdown ok\nreadyz check passed\n";
    assert_eq!(told("/readyz?verbose").await, (200, verbose.to_owned()));
    let without = "[+]ping excluded: ok\nwarn: some health checks cannot be excluded: no matches for \"x\"\nlivez check passed\n";
    assert_eq!(told("/livez?verbose=1&exclude=ping&exclude=x").await, (200, without.to_owned()));
    api.server.leave();
    let failed = "[+]ping ok\n[-]shutdown failed: reason withheld\nreadyz check failed\n";
    assert_eq!(told("/readyz").await, (500, failed.to_owned()));
    assert_eq!(told("/readyz?exclude=shutdown").await.0, 200);
    assert_eq!(
        told("/readyz/shutdown").await,
        (500, "internal server error: process is shutting down\n".to_owned())
    );
    assert_eq!(told("/livez").await.0, 200, "it is leaving, and alive");
}

#[tokio::test]
async fn documents_that_clients_keep_have_tags() {
    let api = Api::start().await;
    let whole =
        ("accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json");
    let (_, headers, groups) = read(&api, "/apis", &[whole]).await;
    assert_eq!(
        headers[header::CONTENT_TYPE],
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    );
    let groups: Value = serde_json::from_slice(&groups).unwrap();
    let apps = groups["items"].as_array().unwrap().iter().find(|group| group["metadata"]["name"] == "apps");
    let version = &apps.unwrap()["versions"][0];
    assert_eq!((&version["version"], &version["freshness"]), (&json!("v1"), &json!("Current")));
    let deployments = version["resources"]
        .as_array()
        .unwrap()
        .iter()
        .find(|found| found["resource"] == "deployments")
        .unwrap();
    assert_eq!(deployments["responseKind"], json!({"group": "apps", "version": "v1", "kind": "Deployment"}));
    assert_eq!(
        (&deployments["scope"], &deployments["shortNames"]),
        (&json!("Namespaced"), &json!(["deploy"]))
    );
    assert!(
        deployments["subresources"].as_array().unwrap().iter().any(|below| below["subresource"] == "scale")
    );
    let tag = headers[header::ETAG].to_str().unwrap().to_owned();
    let (code, headers, body) = read(&api, "/apis", &[whole, ("if-none-match", &tag)]).await;
    assert_eq!((code, body.len(), headers[header::ETAG].to_str().unwrap()), (304, 0, tag.as_str()));
    let (_, _, core) = read(&api, "/api", &[whole]).await;
    let core: Value = serde_json::from_slice(&core).unwrap();
    assert_eq!((core["items"].as_array().unwrap().len(), &core["items"][0]["metadata"]), (1, &json!({})));

    let (_, index) = api.get("/openapi/v3").await;
    let address = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap();
    let (code, headers, _) = read(&api, address, &[]).await;
    assert_eq!((code, &headers[header::CACHE_CONTROL]), (200, &"public, immutable".parse().unwrap()));
    assert!(headers[header::EXPIRES].to_str().unwrap().ends_with(" GMT"), "{headers:?}");
    let tag = headers[header::ETAG].to_str().unwrap().to_owned();
    assert_eq!(read(&api, address, &[("if-none-match", &tag)]).await.0, 304);
    let (code, headers, _) = read(&api, "/openapi/v3/apis/apps/v1?hash=OLD", &[]).await;
    assert_eq!((code, headers[header::LOCATION].to_str().unwrap()), (301, address));
    let (_, headers, _) = read(&api, "/openapi/v2", &[]).await;
    let tag = headers[header::ETAG].to_str().unwrap().to_owned();
    assert_eq!(read(&api, "/openapi/v2", &[("if-none-match", &tag)]).await.0, 304);
    let (_, headers, _) = read(&api, "/openapi/v3", &[]).await;
    let tag = headers[header::ETAG].to_str().unwrap().to_owned();
    assert_eq!(read(&api, "/openapi/v3", &[("if-none-match", &tag)]).await.0, 304);
}
