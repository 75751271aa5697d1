//! Who may join: whoever has the token, under a name that is free or was theirs before.

use std::sync::Arc;

use api::status::{Resource, Status};
use client::{Client, Key};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use pki::token::Token;
use pki::{Authority, Leaf};
use sha2::{Digest, Sha256};

use crate::clock;
use crate::cluster::{Admission, Application, Cluster, NODES, user_of_node};

/// The member of a Secret that holds the hash of a node's password.
const HASH: &str = "hash";

pub(super) struct Admissions {
    /// What clients trust.
    servers: String,
    clients: Arc<Authority>,
    token: Token,
    client: Client,
    cluster: Cluster,
}

impl Admissions {
    pub(super) fn new(
        servers: String,
        clients: Arc<Authority>,
        token: Token,
        client: Client,
        cluster: Cluster,
    ) -> Self {
        Self { servers, clients, token, client, cluster }
    }

    pub(super) fn authority(&self) -> String {
        self.servers.clone()
    }

    /// Whoever shows the token may apply.
    pub(super) fn invited(&self, token: &str) -> Result<Invited<'_>, Status> {
        let shown = Token::parse(token).map_err(|_| Status::unauthorized())?;
        let admits = self.token.admits(&shown.user, &shown.secret);
        admits.then_some(Invited(self)).ok_or_else(Status::unauthorized)
    }

    async fn admit(&self, application: &Application) -> Result<Admission, Status> {
        let name = application.node.as_str();
        if let Some(problem) = api::names::subdomain(name).into_iter().next() {
            return Err(Status::bad_request(format!("{name:?} cannot be the name of a node: {problem}")));
        }
        self.check_password(name, &application.password).await?;
        let leaf = Leaf::client(user_of_node(name), Some(NODES));
        let certificate = self
            .clients
            .sign(&application.request, &leaf, clock::now())
            .map_err(|error| Status::bad_request(format!("{:#}", anyhow::Error::from(error))))?;
        Ok(Admission { certificate, cluster: self.cluster.clone() })
    }

    /// The first machine of a name sets the password; after that only it comes in under this name.
    async fn check_password(&self, node: &str, password: &str) -> Result<(), Status> {
        let hash: String = Sha256::digest(password).iter().map(|byte| format!("{byte:02x}")).collect();
        let key = Key::new("kube-system", format!("{node}.node-password.skiff"));
        let failed =
            |error: client::Error| Status::internal(&format!("cannot look up the node's password: {error}"));
        let kept = match self.client.get::<Secret>(&key).await {
            Ok(secret) => secret,
            Err(error) if error.is_not_found() => match self.client.create(&secret(&key, &hash)).await {
                Ok(_) => return Ok(()),
                // Two at once: the other one was faster.
                Err(error) if error.is_already_exists() => self.client.get(&key).await.map_err(failed)?,
                Err(error) => return Err(failed(error)),
            },
            Err(error) => return Err(failed(error)),
        };
        let same = kept.data.is_some_and(|data| data.get(HASH).is_some_and(|kept| kept.0 == hash.as_bytes()));
        if same {
            return Ok(());
        }
        let why = format!(
            "another machine joined under this name; if this one takes its place, delete the secret {} in kube-system",
            key.name
        );
        Err(Status::forbidden(Resource { group: "", name: "nodes" }, node, &why))
    }
}

/// Somebody who has shown the token.
pub(super) struct Invited<'a>(&'a Admissions);

impl Invited<'_> {
    pub(super) async fn admit(self, application: &Application) -> Result<Admission, Status> {
        self.0.admit(application).await
    }
}

fn secret(key: &Key, hash: &str) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(key.name.clone()),
            namespace: Some(key.namespace.clone()),
            ..ObjectMeta::default()
        },
        data: Some([(HASH.to_owned(), ByteString(hash.as_bytes().to_vec()))].into()),
        ..Secret::default()
    }
}
