//! The API server as a listener and the components of its process meet it: a service, here on a store in memory.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::sync::Arc;

use apiserver::{ApiServer, Audit, Issuer, User};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use pki::jwt::Signer;
use serde_json::{Value, json};
use store::{Backend, Commit, InMemory, Limits, StorageError, Store};
use tokio::sync::Mutex;
use tower::ServiceExt;

mod access;
mod admission;
mod audit;
mod fuzz;
mod http_forms;
mod http_limits;
mod http_options;
mod malformed;
mod nodes;
mod partial;
mod protobuf;
mod services;
mod subresources;
mod verbs;
mod views;
mod watching;
mod writes;

const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

struct Api {
    server: ApiServer,
    store: Store,
    _folder: tempfile::TempDir,
}

fn store(limits: Limits) -> Store {
    let backend = InMemory::default();
    let contents = backend.contents();
    Store::over(backend, contents, limits).unwrap()
}

/// A disk that takes nothing while somebody holds the gate.
struct Gated {
    disk: InMemory,
    gate: Arc<Mutex<()>>,
}

impl Backend for Gated {
    fn commit(&mut self, commit: &Commit) -> Result<(), StorageError> {
        let _open = self.gate.blocking_lock();
        self.disk.commit(commit)
    }
}

fn gated(gate: &Arc<Mutex<()>>) -> Store {
    let disk = InMemory::default();
    let contents = disk.contents();
    Store::over(Gated { disk, gate: gate.clone() }, contents, Limits::default()).unwrap()
}

/// Code and body of an answer.
type Answer = (u16, Value);

impl Api {
    /// A server with the namespace `shop` and its default account.
    async fn start() -> Self {
        Self::keeping(Limits::default()).await
    }

    /// The same, remembering this much of the past.
    async fn keeping(limits: Limits) -> Self {
        Self::over(store(limits), None).await
    }

    async fn audited(audit: Audit) -> Self {
        Self::over(store(Limits::default()), Some(audit)).await
    }

    async fn over(store: Store, audit: Option<Audit>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let signer = Signer::open(&folder.path().join("key")).unwrap();
        let server = ApiServer::audited(store.clone(), Issuer::new(signer, ISSUER), audit);
        let api = Self { server, store, _folder: folder };
        let (code, _) = api.post("/api/v1/namespaces", json!({"metadata": {"name": "shop"}})).await;
        assert_eq!(code, 201);
        let account = json!({"metadata": {"name": "default"}});
        assert_eq!(api.post("/api/v1/namespaces/shop/serviceaccounts", account).await.0, 201);
        api
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Response<apiserver::Body> {
        self.server.clone().oneshot(request).await.unwrap()
    }

    async fn call(&self, method: Method, path: &str, content: &str, body: Option<Value>) -> Answer {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let mut request = Request::builder().method(method).uri(path).header("content-type", content);
        request = request.extension(User::new("root", ["system:masters"]));
        let answer = self.send(request.body(Full::from(body)).unwrap()).await;
        let code = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (
            code,
            serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&bytes).into_owned())),
        )
    }

    async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, "application/json", None).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, "application/json", Some(body)).await
    }

    async fn put(&self, path: &str, body: Value) -> Answer {
        self.call(Method::PUT, path, "application/json", Some(body)).await
    }

    async fn delete(&self, path: &str, options: Option<Value>) -> Answer {
        self.call(Method::DELETE, path, "application/json", options).await
    }
}
