//! The audit log, as it lies on the disk.

use std::convert::Infallible;
use std::path::Path;

use apiserver::{Audit, AuditConfig};
use futures_util::{FutureExt, stream};
use http_body::Frame;
use http_body_util::StreamBody;
use transport::Peer;

use super::*;

const MAPS: &str = "/api/v1/namespaces/shop/configmaps";

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn every_request_is_told_of_when_it_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let config = AuditConfig { path: path.clone(), largest: 1 << 20, backups: None, days: None };
    let api = Api::audited(Audit::open(config).unwrap()).await;
    let peer = Peer { address: "192.0.2.7:1000".parse().unwrap(), certificate: None };
    let send = async |method: Method, path: &str, user: Option<&str>, body: &str| {
        let mut request = Request::builder().method(method).uri(path).extension(peer.clone());
        request = request.header("user-agent", "test/1").header("audit-id", "mine");
        if let Some(user) = user {
            request =
                request.extension(User::new(user, ["system:masters"])).header("impersonate-user", "ann");
        }
        api.send(request.body(Full::from(body.to_owned())).unwrap()).await
    };
    let answer =
        send(Method::POST, &format!("{MAPS}?dryRun=All"), Some("root"), r#"{"metadata":{"name":"a"}}"#).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["audit-id"]), (403, &"mine".parse().unwrap()));
    assert_eq!(send(Method::GET, MAPS, None, "").await.status(), 401);
    let (_, made) = api.post(MAPS, json!({"metadata": {"name": "b"}})).await;
    assert_eq!(made["metadata"]["name"], "b");
    let request = Request::get(format!("{MAPS}?watch=1")).extension(User::new("root", ["system:masters"]));
    let watch = api.send(request.body(Full::default()).unwrap()).await;
    api.server.finish_audit().await;
    let told = lines(&path);
    let told = &told[told.len() - 4..];
    let (refused, unknown, created, watched) = (&told[0], &told[1], &told[2], &told[3]);
    assert_eq!((&refused["kind"], &refused["apiVersion"]), (&json!("Event"), &json!("audit.k8s.io/v1")));
    assert_eq!((&refused["level"], &refused["stage"]), (&json!("Metadata"), &json!("ResponseComplete")));
    assert_eq!((&refused["auditID"], &refused["verb"]), (&json!("mine"), &json!("create")));
    assert_eq!(refused["requestURI"], format!("{MAPS}?dryRun=All"));
    assert_eq!(
        (&refused["user"]["username"], &refused["impersonatedUser"]["username"]),
        (&json!("root"), &json!("ann"))
    );
    assert_eq!((&refused["sourceIPs"], &refused["userAgent"]), (&json!(["192.0.2.7"]), &json!("test/1")));
    let object = json!({"resource": "configmaps", "namespace": "shop", "apiVersion": "v1"});
    assert_eq!(refused["objectRef"], object);
    let status = &refused["responseStatus"];
    assert_eq!(
        (&status["code"], &status["status"], &status["reason"]),
        (&json!(403), &json!("Failure"), &json!("Forbidden"))
    );
    assert_eq!(refused["annotations"], json!({"authorization.k8s.io/decision": "forbid"}));
    assert_eq!((&unknown["responseStatus"]["code"], &unknown["user"]), (&json!(401), &json!({})));
    assert_eq!(
        (&created["objectRef"]["name"], &created["responseStatus"]),
        (&json!("b"), &json!({"metadata": {}, "code": 201}))
    );
    assert_eq!((&watched["stage"], &watched["verb"]), (&json!("ResponseStarted"), &json!("watch")));
    drop(watch);
    api.server.finish_audit().await;
    let ended = lines(&path).pop().unwrap();
    assert_eq!((&ended["stage"], &ended["auditID"]), (&json!("ResponseComplete"), &watched["auditID"]));
    let (_, metrics) = api.get("/metrics").await;
    let metrics = metrics.as_str().unwrap();
    assert!(metrics.contains("\napiserver_audit_error_total{plugin=\"log\"} 0\n"), "{metrics}");
}

#[tokio::test]
async fn who_hangs_up_is_told_of_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let config = AuditConfig { path: path.clone(), largest: 1 << 20, backups: None, days: None };
    let api = Api::audited(Audit::open(config).unwrap()).await;
    let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
    let request = Request::post(MAPS).extension(User::new("root", ["system:masters"])).body(body).unwrap();
    assert!(api.server.clone().oneshot(request).now_or_never().is_none(), "its body is waited for");
    api.server.finish_audit().await;
    let told = lines(&path).pop().unwrap();
    assert_eq!((&told["stage"], &told["verb"]), (&json!("ResponseComplete"), &json!("create")));
    assert_eq!(
        (&told["user"]["username"], &told["objectRef"]["resource"]),
        (&json!("root"), &json!("configmaps"))
    );
    assert_eq!(told["responseStatus"], json!({"metadata": {}, "code": 499}));
}
