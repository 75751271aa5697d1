//! Who is who in this cluster: made at the first start, kept and renewed at the later ones.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::Context;
use jiff::Timestamp;
use pki::jwt::Signer;
use pki::token::Token;
use pki::{Authority, Identity, Leaf, file, kubeconfig};
use time::OffsetDateTime;

use super::services;
use crate::config::{Membership, ServerConfig, SubjectAltName};
use crate::token::TOKEN_FILE;

/// Whom the token stands for: k3s' name for it.
const JOINING: &str = "server";

pub(super) struct Identities {
    /// Signs servers; what clients trust, and what the join token names.
    pub(super) servers: Authority,
    /// Signs clients.
    pub(super) clients: Authority,
    pub(super) api: Identity,
    admin: Identity,
    pub(super) tokens: Signer,
    /// What machines join with.
    pub(super) join: Token,
}

impl Identities {
    pub(super) fn open(config: &ServerConfig, address: IpAddr, now: Timestamp) -> anyhow::Result<Self> {
        let now = OffsetDateTime::from_unix_timestamp(now.as_second()).context("read the clock")?;
        let folder = config.data_dir.join("server/tls");
        let servers = Authority::open(&folder, "server", now)?;
        let clients = Authority::open(&folder, "client", now)?;
        let api = servers.keep(&folder, "serving-kube-apiserver", &api_leaf(config, address), now)?;
        let admin = Leaf::client("system:admin", Some("system:masters"));
        let admin = clients.keep(&folder, "client-admin", &admin, now)?;
        let tokens = Signer::open(&folder.join("service.key"))?;
        let join = join_token(config, &servers)?;
        Ok(Self { servers, clients, api, admin, tokens, join })
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

/// The one that was chosen, or the one in its file. The file is where people look for it on k3s.
fn join_token(config: &ServerConfig, servers: &Authority) -> anyhow::Result<Token> {
    let path = config.data_dir.join(TOKEN_FILE);
    Ok(match &config.membership {
        Membership::Found { token: Some(chosen) } => {
            Token::choose(&path, chosen.as_str(), JOINING, servers.certificate()).context("use --token")?
        }
        _ => Token::open(&path, JOINING, servers.certificate())?,
    })
}

/// All the names by which clients may reach the API server, from within pods and from outside.
fn api_leaf(config: &ServerConfig, address: IpAddr) -> Leaf {
    let service = "kubernetes.default";
    let domain = &config.network.cluster_domain;
    let mut names: Vec<String> = ["localhost", "kubernetes", service].map(Into::into).into();
    names.extend([format!("{service}.svc"), format!("{service}.svc.{domain}")]);
    names.push(config.host_name.clone());
    let mut addresses: Vec<IpAddr> = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    addresses.push(address);
    addresses.extend(config.node.iter().flat_map(|node| node.addresses.iter().copied()));
    addresses.extend(services::api_addresses(&config.network.service_cidr));

    for given in &config.subject_alt_names {
        match given {
            SubjectAltName::Address(address) => addresses.push(*address),
            SubjectAltName::Name(name) => names.push(name.clone()),
        }
    }
    Leaf::server("kube-apiserver", names, addresses)
}
