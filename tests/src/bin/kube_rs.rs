//! kube-rs against the server of this machine, as operators use it: discovery, objects of any kind, patches, and a watch
//! that begins with what there is. Ends with an error where something is not as its users know it.

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use kube::api::{
    Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use kube::core::GroupVersionKind;
use kube::discovery::{ApiResource, Discovery, Scope, verbs};
use kube::{Client, Error, ResourceExt};
use lab::KUBECONFIG;
use pki::Identity;
use serde_json::{Value, json};
use tower::util::MapRequest;
use transport::{Certificate, Connector};

const SERVER: &str = "https://127.0.0.1:6443";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let client = connect()?;
    let deployments = discover(&client, "apps", "Deployment").await.context("discovery")?;
    let maps = discover(&client, "", "ConfigMap").await.context("discovery of the core group")?;
    objects(&Api::default_namespaced_with(client.clone(), &deployments)).await.context("objects")?;
    watches(&Api::default_namespaced_with(client, &maps)).await.context("watches")
}

fn connect() -> Result<Client> {
    let config = std::fs::read_to_string(KUBECONFIG).context("reading the kubeconfig")?;
    let config: Value = serde_json::from_str(&config).context("reading the kubeconfig as JSON")?;
    let (cluster, user) = (&config["clusters"][0]["cluster"], &config["users"][0]["user"]);
    let identity =
        Identity { certificate: pem(user, "client-certificate-data")?, key: pem(user, "client-key-data")? };
    let authority = pem(cluster, "certificate-authority-data")?;
    let connector: Connector<kube::client::Body> =
        Connector::new(&authority, Some(Certificate::new(&identity)?))?;
    let service = MapRequest::new(connector, |mut request: http::Request<kube::client::Body>| {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        if let Ok(uri) = format!("{SERVER}{path}").parse() {
            *request.uri_mut() = uri;
        }
        request
    });
    Ok(Client::new(service, "default"))
}

fn pem(of: &Value, field: &str) -> Result<String> {
    let text = of[field].as_str().with_context(|| format!("the kubeconfig has no {field}"))?;
    Ok(String::from_utf8(STANDARD.decode(text)?)?)
}

async fn discover(client: &Client, group: &str, kind: &str) -> Result<ApiResource> {
    let discovery = Discovery::new(client.clone()).run().await?;
    let (resource, can) =
        discovery.resolve_gvk(&GroupVersionKind::gvk(group, "v1", kind)).context("not discovered")?;
    ensure!(can.scope == Scope::Namespaced && can.supports_operation(verbs::PATCH), "{resource:?} {can:?}");
    let scales = can.subresources.iter().any(|(below, _)| below.plural == "scale");
    ensure!(scales == (kind == "Deployment"), "{can:?}");
    Ok(resource)
}

async fn objects(api: &Api<DynamicObject>) -> Result<()> {
    let pods =
        json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let web = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": pods}});
    let made = api.create(&PostParams::default(), &serde_json::from_value(web.clone())?).await?;
    let mut applied = web;
    applied["spec"]["replicas"] = 3.into();
    let conflict = api.patch("web", &PatchParams::apply("kube-rs"), &Patch::Apply(&applied)).await;
    ensure!(code(&conflict) == Some(409), "{conflict:?}");
    let force = PatchParams::apply("kube-rs").force();
    let laid = api.patch("web", &force, &Patch::Apply(&applied)).await?;
    ensure!(laid.data["spec"]["replicas"] == 3, "{laid:?}");
    let stale = api.replace("web", &PostParams::default(), &made).await;
    ensure!(code(&stale) == Some(409), "{stale:?}");
    let merge = Patch::Merge(json!({"metadata": {"labels": {"x": "y"}}}));
    api.patch("web", &PatchParams::default(), &merge).await?;
    let found = api.list_metadata(&ListParams::default().labels("x=y")).await?;
    ensure!(found.items.iter().map(ResourceExt::name_any).eq(["web"]), "{found:?}");
    api.delete("web", &DeleteParams::background()).await?;
    ensure!(api.get_opt("web").await?.is_none(), "it was deleted");
    Ok(())
}

fn code<T>(result: &kube::Result<T>) -> Option<u16> {
    match result {
        Err(Error::Api(status)) => Some(status.code),
        _ => None,
    }
}

/// A streaming list: what there is, a bookmark that says that this was all, and then what happens.
async fn watches(api: &Api<DynamicObject>) -> Result<()> {
    let map = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    api.create(&PostParams::default(), &serde_json::from_value(map("there"))?).await?;
    let mut watch = api.watch(&WatchParams::default().initial_events(), "0").await?.boxed();
    let mut before = Vec::new();
    let start = loop {
        match watch.next().await.context("the watch ended")?? {
            WatchEvent::Added(object) => before.push(object.name_any()),
            WatchEvent::Bookmark(mark) => break mark.metadata,
            other => anyhow::bail!("{other:?} before the bookmark"),
        }
    };
    ensure!(before.iter().any(|name| name == "there"), "{before:?}");
    let ended = start.annotations.get("k8s.io/initial-events-end").map(String::as_str);
    ensure!(ended == Some("true"), "the bookmark says {ended:?}");
    api.create(&PostParams::default(), &serde_json::from_value(map("later"))?).await?;
    api.delete("later", &DeleteParams::default()).await?;
    let added = watch.next().await.context("the watch ended")??;
    ensure!(matches!(&added, WatchEvent::Added(object) if object.name_any() == "later"), "{added:?}");
    let deleted = watch.next().await.context("the watch ended")??;
    ensure!(matches!(&deleted, WatchEvent::Deleted(object) if object.name_any() == "later"), "{deleted:?}");
    // Whoever lost the connection goes on from the bookmark.
    let mut again = api.watch(&WatchParams::default(), &start.resource_version).await?.boxed();
    let resumed = again.next().await.context("the watch ended")??;
    ensure!(matches!(&resumed, WatchEvent::Added(object) if object.name_any() == "later"), "{resumed:?}");
    Ok(())
}
