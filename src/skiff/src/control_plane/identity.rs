//! Who is who in this cluster: made at the first start, kept and renewed at the later ones.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use pki::jwt::Signer;
use pki::token::Token;
use pki::{Authority, Identity, Leaf, file, kubeconfig};
use time::OffsetDateTime;

use crate::config::{ServerConfig, SubjectAltName};

pub(super) struct Identities {
    /// Signs servers; what clients trust, and what the join token names.
    pub(super) servers: Authority,
    /// Signs clients.
    pub(super) clients: Authority,
    pub(super) api: Identity,
    admin: Identity,
    pub(super) tokens: Signer,
}

impl Identities {
    pub(super) fn open(config: &ServerConfig, now: Timestamp) -> anyhow::Result<Self> {
        let now = OffsetDateTime::from_unix_timestamp(now.as_second()).context("read the clock")?;
        let folder = config.data_dir.join("server/tls");
        let servers = Authority::open(&folder, "server", now)?;
        let clients = Authority::open(&folder, "client", now)?;
        let api = servers.keep(&folder, "serving-kube-apiserver", &api_leaf(config), now)?;
        let admin = Leaf::client("system:admin", Some("system:masters"));
        let admin = clients.keep(&folder, "client-admin", &admin, now)?;
        let tokens = Signer::open(&folder.join("service.key"))?;
        join_token(&config.data_dir, &servers)?;
        Ok(Self { servers, clients, api, admin, tokens })
    }

    /// Written at every start: it holds the certificate, which may be a new one.
    pub(super) fn write_kubeconfig(&self, config: &ServerConfig) -> anyhow::Result<()> {
        let text = kubeconfig::render(&config.address(), self.servers.certificate(), &self.admin);
        let path = &config.kubeconfig.path;
        file::write(path, text.as_bytes(), config.kubeconfig.mode.bits()).with_context(|| {
            format!("write the kubeconfig to {}; --write-kubeconfig names another place", path.display())
        })
    }
}

/// What machines join with. Its file is where people look for it on k3s.
fn join_token(data_dir: &Path, servers: &Authority) -> anyhow::Result<Token> {
    Ok(Token::open(&data_dir.join("server/node-token"), "server", servers.certificate())?)
}

/// All the names by which clients may reach the API server, from within pods and from outside.
fn api_leaf(config: &ServerConfig) -> Leaf {
    let service = "kubernetes.default";
    let domain = &config.network.cluster_domain;
    let mut names: Vec<String> = ["localhost", "kubernetes", service].map(Into::into).into();
    names.extend([format!("{service}.svc"), format!("{service}.svc.{domain}")]);
    names.push(config.host_name.clone());
    let mut addresses: Vec<IpAddr> = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    addresses.extend(config.network.service_cidr.iter().filter_map(|network| network.hosts().next()));
    for given in &config.subject_alt_names {
        match given {
            SubjectAltName::Address(address) => addresses.push(*address),
            SubjectAltName::Name(name) => names.push(name.clone()),
        }
    }
    Leaf::server("kube-apiserver", names, addresses)
}
