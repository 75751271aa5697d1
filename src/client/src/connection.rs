//! The client itself: one exchange each for the verbs that components use.

use std::fmt;

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::BodyExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ListMeta, ObjectMeta};
use kube::client::Body;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::path::Scoped;
use crate::request::{Content, DeleteOptions, ListOptions, Patch};
use crate::watch::OnlyMetadata;
use crate::{Error, Key, Object, Path, Watch};

/// A connection to an API server, in this process or on another machine. Cheap to clone.
#[derive(Clone)]
pub struct Client(kube::Client);

/// One page of a list, and the token that leads to the next.
#[derive(Debug)]
pub struct Page<K> {
    pub items: Vec<K>,
    pub revision: String,
    pub continue_token: Option<String>,
}

#[derive(Deserialize)]
struct RawList<'a> {
    metadata: ListMeta,
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
struct MetadataList {
    metadata: ListMeta,
    #[serde(default)]
    items: Vec<OnlyMetadata>,
}

/// How metadata alone is asked for: of one object or of each of a watch, and of a list.
const PARTIAL: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const PARTIAL_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl From<kube::Client> for Client {
    fn from(client: kube::Client) -> Self {
        Self(client)
    }
}

impl Client {
    pub async fn get<K: Object>(&self, key: &Key) -> Result<K, Error>
    where
        K::Scope: Scoped,
    {
        self.exchange(Method::GET, Path::object::<K>(key).as_str(), None).await
    }

    pub async fn list<K: Object>(&self, path: &Path, options: &ListOptions) -> Result<Page<K>, Error> {
        let target = options.list_target(path);
        let request = describe(&Method::GET, &target);
        let answer = self.answer(Method::GET, &target, None).await?;
        let list: RawList<'_> = decode(&request, || serde_json::from_slice(&answer))?;
        let items = list.items.unwrap_or_default();
        let items = items.iter().map(|item| decode(&request, || K::decode(item.get().as_bytes())));
        Ok(Page {
            items: items.collect::<Result<_, _>>()?,
            revision: list.metadata.resource_version.unwrap_or_default(),
            continue_token: list.metadata.continue_.filter(|token| !token.is_empty()),
        })
    }

    /// Every change after `revision`.
    pub async fn watch<K: Object>(
        &self,
        path: &Path,
        options: &ListOptions,
        revision: &str,
    ) -> Result<Watch<K>, Error> {
        let target = options.watch_target(path, revision);
        let body = self.body(Method::GET, &target, None).await?;
        Ok(Watch::new(describe(&Method::GET, &target), body))
    }

    /// Creates in the namespace that the object names.
    pub async fn create<K: Object>(&self, object: &K) -> Result<K, Error>
    where
        K::Scope: Scoped,
    {
        let path = Path::collection::<K>(&Key::of(object).namespace);
        self.exchange(Method::POST, path.as_str(), Some(sent(object)?)).await
    }

    pub async fn update<K: Object>(&self, object: &K) -> Result<K, Error>
    where
        K::Scope: Scoped,
    {
        let path = Path::object::<K>(&Key::of(object));
        self.exchange(Method::PUT, path.as_str(), Some(sent(object)?)).await
    }

    pub async fn update_status<K: Object>(&self, object: &K) -> Result<K, Error>
    where
        K::Scope: Scoped,
    {
        let path = Path::object::<K>(&Key::of(object)).child("status");
        self.exchange(Method::PUT, path.as_str(), Some(sent(object)?)).await
    }

    /// Patches an object, or the subresource that `subresource` names.
    pub async fn patch<K: Object>(
        &self,
        key: &Key,
        subresource: Option<&str>,
        patch: &Patch,
    ) -> Result<K, Error>
    where
        K::Scope: Scoped,
    {
        let path = Path::object::<K>(key);
        let path = if let Some(segment) = subresource { path.child(segment) } else { path };
        let target = patch.target(&path);
        self.exchange(Method::PATCH, &target, Some(patch.content())).await
    }

    /// Deletes an object. It may live on for a while, with a deletion timestamp.
    pub async fn delete<K: Object>(&self, key: &Key, options: &DeleteOptions) -> Result<(), Error>
    where
        K::Scope: Scoped,
    {
        self.delete_at(&Path::object::<K>(key), options).await
    }

    /// The metadata of an object of any kind.
    pub async fn get_metadata(&self, path: &Path) -> Result<ObjectMeta, Error> {
        let request = describe(&Method::GET, path.as_str());
        let body = self.body_as(PARTIAL, Method::GET, path.as_str(), None).await?;
        let answer = collect(&request, body).await?;
        decode(&request, || serde_json::from_slice(&answer)).map(|OnlyMetadata { metadata }| metadata)
    }

    /// The metadata of the objects of any kind.
    pub async fn list_metadata(&self, path: &Path, options: &ListOptions) -> Result<Page<ObjectMeta>, Error> {
        let target = options.list_target(path);
        let request = describe(&Method::GET, &target);
        let answer = collect(&request, self.body_as(PARTIAL_LIST, Method::GET, &target, None).await?).await?;
        let list: MetadataList = decode(&request, || serde_json::from_slice(&answer))?;
        Ok(Page {
            items: list.items.into_iter().map(|OnlyMetadata { metadata }| metadata).collect(),
            revision: list.metadata.resource_version.unwrap_or_default(),
            continue_token: list.metadata.continue_.filter(|token| !token.is_empty()),
        })
    }

    /// Every change after `revision` of the metadata of the objects of any kind.
    pub async fn watch_metadata(&self, path: &Path, revision: &str) -> Result<Watch<ObjectMeta>, Error> {
        let target = ListOptions::default().watch_target(path, revision);
        let body = self.body_as(PARTIAL, Method::GET, &target, None).await?;
        Ok(Watch::of_metadata(describe(&Method::GET, &target), body))
    }

    /// Replaces a subresource that speaks its object's kind.
    pub async fn put_at<K: Object>(&self, path: &Path, object: &K) -> Result<K, Error> {
        self.exchange(Method::PUT, path.as_str(), Some(sent(object)?)).await
    }

    /// Patches an object of any kind, whatever comes back.
    pub async fn patch_at(&self, path: &Path, patch: &Patch) -> Result<(), Error> {
        let target = patch.target(path);
        self.answer(Method::PATCH, &target, Some(patch.content())).await.map(drop)
    }

    /// Deletes an object, or all objects of a collection, of any kind.
    pub async fn delete_at(&self, path: &Path, options: &DeleteOptions) -> Result<(), Error> {
        self.answer(Method::DELETE, path.as_str(), Some(options.content())).await.map(drop)
    }

    /// Any other exchange of JSON: subresources whose kind differs from their object's.
    pub async fn send_json(
        &self,
        method: Method,
        target: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Bytes, Error> {
        self.answer(method, target, body.map(Content::json)).await
    }

    /// The body of an answer as it comes.
    pub async fn stream(&self, method: Method, target: &str) -> Result<Body, Error> {
        self.body(method, target, None).await
    }

    async fn exchange<K: Object>(
        &self,
        method: Method,
        target: &str,
        content: Option<Content>,
    ) -> Result<K, Error> {
        let request = describe(&method, target);
        let answer = self.answer(method, target, content).await?;
        decode(&request, || K::decode(&answer))
    }

    async fn answer(&self, method: Method, target: &str, content: Option<Content>) -> Result<Bytes, Error> {
        let request = describe(&method, target);
        collect(&request, self.body(method, target, content).await?).await
    }

    /// Sends and looks at the code: what is returned is the body of a success.
    async fn body(&self, method: Method, target: &str, content: Option<Content>) -> Result<Body, Error> {
        self.body_as("application/json", method, target, content).await
    }

    async fn body_as(
        &self,
        accept: &str,
        method: Method,
        target: &str,
        content: Option<Content>,
    ) -> Result<Body, Error> {
        let description = describe(&method, target);
        let builder = Request::builder().method(method).uri(target).header(header::ACCEPT, accept);
        let request = match content {
            Some(Content { media_type, bytes }) => {
                builder.header(header::CONTENT_TYPE, media_type).body(Body::from(bytes))
            }
            None => builder.body(Body::empty()),
        }
        .map_err(|source| Error::Request { request: description.clone(), source })?;
        let answer = self.0.send(request).await;
        let answer = answer.map_err(|source| Error::Transport { request: description.clone(), source })?;
        let code = answer.status();
        if code.is_success() {
            return Ok(answer.into_body());
        }
        Err(Error::of_answer(code, &collect(&description, answer.into_body()).await?))
    }
}

fn describe(method: &Method, target: &str) -> String {
    format!("{method} {target}")
}

fn decode<T, E>(request: &str, decode: impl FnOnce() -> Result<T, E>) -> Result<T, Error>
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    decode().map_err(|source| Error::Decode { request: request.to_string(), source: source.into() })
}

fn sent<K: Object>(object: &K) -> Result<Content, Error> {
    let encoded = object.encode();
    let bytes = encoded
        .map_err(|source| Error::Encode { request: format!("{} {}", K::KIND, Key::of(object)), source });
    Ok(Content::json(bytes?))
}

async fn collect(request: &str, body: Body) -> Result<Bytes, Error> {
    let collected = body.collect().await;
    let collected =
        collected.map_err(|source| Error::Body { request: request.to_string(), source: source.into() })?;
    Ok(collected.to_bytes())
}
