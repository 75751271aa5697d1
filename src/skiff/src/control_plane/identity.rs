//! Who is who in this cluster: made at the first start, kept and renewed at the later ones, and while the server runs.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use pki::jwt::Signer;
use pki::token::Token;
use pki::{Authority, Identity, Leaf, file, kubeconfig};
use task::ClockSettings;
use time::OffsetDateTime;
use tokio::task::block_in_place;
use tracing::{info, warn};
use transport::Certificate;

use super::{FOLDER, services};
use crate::clock;
use crate::config::{self, FileMode, Membership, ServerConfig, SubjectAltName};
use crate::token::TOKEN_FILE;

/// Whom the token stands for: k3s' name for it.
const JOINING: &str = "server";

pub(super) struct Identities {
    pub(super) authorities: Authorities,
    pub(super) own: Own,
    pub(super) tokens: Signer,
    /// What machines join with.
    pub(super) join: Token,
}

#[derive(Clone)]
pub(super) struct Authorities {
    /// Signs servers; what clients trust, and what the join token names.
    pub(super) servers: Arc<Authority>,
    /// Signs clients.
    pub(super) clients: Arc<Authority>,
}

impl Identities {
    pub(super) fn open(config: &ServerConfig, address: IpAddr, now: OffsetDateTime) -> anyhow::Result<Self> {
        let folder = config.data_dir.join(FOLDER).join("tls");
        let authorities = Authorities {
            servers: Authority::open(&folder, "server", now)?.into(),
            clients: Authority::open(&folder, "client", now)?.into(),
        };
        let own = Own::open(config, address, authorities.clone(), now)?;
        let tokens = Signer::open(&folder.join("service.key"))?;
        let join = join_token(config, &authorities.servers)?;
        Ok(Self { authorities, own, tokens, join })
    }
}

/// The certificates of the server itself and of its administrator.
pub(super) struct Own {
    folder: PathBuf,
    authorities: Authorities,
    api_leaf: Leaf,
    kubeconfig: Kubeconfig,
    shown: Certificate,
    api: Identity,
    admin: Identity,
}

struct Kubeconfig {
    path: PathBuf,
    mode: FileMode,
    /// Where this machine's own clients find the API.
    server: String,
}

impl Own {
    fn open(
        config: &ServerConfig,
        address: IpAddr,
        authorities: Authorities,
        now: OffsetDateTime,
    ) -> anyhow::Result<Self> {
        let (folder, api_leaf) = (config.data_dir.join(FOLDER).join("tls"), api_leaf(config, address));
        let api = authorities.servers.keep(&folder, API, &api_leaf, now)?;
        let admin = authorities.clients.keep(&folder, ADMIN, &admin_leaf(), now)?;
        let shown = Certificate::new(&api).context("use the certificate of the API server")?;
        let config::Kubeconfig { path, mode } = config.kubeconfig.clone();
        let kubeconfig = Kubeconfig { path, mode, server: config.address() };
        Ok(Self { folder, authorities, api_leaf, kubeconfig, shown, api, admin })
    }

    pub(super) fn certificate(&self) -> Certificate {
        self.shown.clone()
    }

    /// Makes a certificate anew whenever it is soon over: a board may run for years.
    pub(super) async fn renew(mut self, mut settings: ClockSettings) -> Infallible {
        loop {
            clock::next_look(&mut settings).await;
            // There are months left to try again in.
            if let Err(error) = block_in_place(|| self.look(clock::now())) {
                warn!("cannot renew the certificates of this server, trying again: {error:#}");
            }
        }
    }

    fn look(&mut self, now: OffsetDateTime) -> anyhow::Result<()> {
        let api = self.authorities.servers.keep(&self.folder, API, &self.api_leaf, now)?;
        if api.certificate != self.api.certificate {
            self.shown.replace(&api).context("use the new certificate of the API server")?;
            self.api = api;
            info!("the certificate of the API server is a new one");
        }
        let admin = self.authorities.clients.keep(&self.folder, ADMIN, &admin_leaf(), now)?;
        if admin.certificate != self.admin.certificate {
            self.admin = admin;
            self.write_kubeconfig()?;
            info!("the administrator's certificate in {} is a new one", self.kubeconfig.path.display());
        }
        Ok(())
    }

    /// Written at every start: it holds the certificate, which may be a new one.
    pub(super) fn write_kubeconfig(&self) -> anyhow::Result<()> {
        let Kubeconfig { path, mode, server } = &self.kubeconfig;
        let text = kubeconfig::render(server, self.authorities.servers.certificate(), &self.admin);
        file::write(path, text.as_bytes(), mode.bits()).with_context(|| {
            format!("write the kubeconfig to {}; --write-kubeconfig names another place", path.display())
        })
    }
}

const API: &str = "serving-kube-apiserver";
const ADMIN: &str = "client-admin";

fn admin_leaf() -> Leaf {
    Leaf::client("system:admin", Some("system:masters"))
}

/// The one that was chosen, or the one in its file. The file is where people look for it on k3s.
fn join_token(config: &ServerConfig, servers: &Authority) -> anyhow::Result<Token> {
    let path = config.data_dir.join(TOKEN_FILE);
    Ok(match &config.membership {
        Membership::Found { token: Some(chosen) } => {
            Token::choose(&path, chosen, JOINING, servers.certificate()).context("use --token")?
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

#[cfg(test)]
mod tests {
    use time::Duration;

    use super::*;
    use crate::cli::{self, Command};

    fn config(folder: &std::path::Path) -> ServerConfig {
        let (data, kubeconfig) = (folder.join("data"), folder.join("kubeconfig"));
        let words = ["skiff", "server", "--data-dir", data.to_str().unwrap(), "--write-kubeconfig"];
        let words = words.into_iter().chain(kubeconfig.to_str()).map(Into::into).collect();
        match cli::parse(words, &config::Environment::default()).unwrap().command {
            Command::Server(args) => args.meaning("board").unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_soon_over_is_made_anew_while_the_server_runs() {
        let folder = tempfile::tempdir().unwrap();
        let now = clock::now();
        let address = "192.0.2.1".parse().unwrap();
        let mut own = Identities::open(&config(folder.path()), address, now).unwrap().own;
        own.write_kubeconfig().unwrap();
        let shown = own.certificate();
        let all = || {
            let kubeconfig = std::fs::read_to_string(folder.path().join("kubeconfig")).unwrap();
            (format!("{shown:?}"), kubeconfig)
        };
        let first = all();
        own.look(now + Duration::days(200)).unwrap();
        assert_eq!(all(), first);
        own.look(now + Duration::days(300)).unwrap();
        let second = all();
        assert_ne!(second.0, first.0, "the next connection is shown another certificate");
        assert_ne!(second.1, first.1, "the administrator gets another one, too");
        own.look(now + Duration::days(301)).unwrap();
        assert_eq!(all(), second);
    }
}
