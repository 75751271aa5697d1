//! Where registries really are: the node's `registries.yaml`, in the form that k3s made known.
//!
//! ```yaml
//! mirrors:
//!   docker.io:                                   # or "*": every registry
//!     endpoint: ["http://mirror.local:5000"]     # asked first and in this order, the registry itself last
//! configs:
//!   "registry.example.com:5000":                 # a registry or the host of an endpoint
//!     auth: { username: me, password: secret }   # or auth: (base64), or identity_token:
//!     tls: { ca_file: /etc/ca.pem, cert_file: …, key_file: …, insecure_skip_verify: false }
//! ```
//!
//! Without a word in it a registry is reached by HTTPS, trusting who this machine trusts; one on this machine itself
//! (`localhost`, `127.0.0.0/8`, `::1`) by plain HTTP.

use std::collections::BTreeMap;
use std::path::PathBuf;

use http::Uri;
use http::uri::Scheme;
use serde::Deserialize;

use super::credentials::Login;

#[derive(Debug, thiserror::Error)]
pub enum RegistriesError {
    #[error("registries.yaml: {0}")]
    Yaml(String),
    #[error("registries.yaml: the endpoint '{0}' is not like http://host:port or https://host:port/path")]
    Endpoint(String),
    #[error(
        "registries.yaml: configs.{0}.auth: give username and password, or auth as base64 of both, or identity_token"
    )]
    Auth(String),
}

#[derive(Debug, Clone, Default)]
pub struct Registries {
    mirrors: BTreeMap<String, Vec<Base>>,
    logins: BTreeMap<String, Login>,
    tls: BTreeMap<String, Tls>,
}

/// Where to ask for images of a registry.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) base: Base,
    /// The registry that it stands for, told to it in each request.
    pub(crate) mirrors: Option<String>,
    pub(crate) login: Option<Login>,
    pub(crate) tls: Tls,
}

/// The part of an address that all requests share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    pub(crate) scheme: Scheme,
    pub(crate) authority: String,
    /// `/v2`, unless the file says otherwise.
    pub(crate) path: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Tls {
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) cert_file: Option<PathBuf>,
    pub(crate) key_file: Option<PathBuf>,
    pub(crate) insecure_skip_verify: bool,
}

/// What was typed.
mod typed {
    use super::{BTreeMap, Deserialize, Tls};

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub(super) struct File {
        pub(super) mirrors: Option<BTreeMap<String, Option<Mirror>>>,
        pub(super) configs: Option<BTreeMap<String, Option<Config>>>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub(super) struct Mirror {
        pub(super) endpoint: Vec<String>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub(super) struct Config {
        pub(super) auth: Option<Auth>,
        pub(super) tls: Option<Tls>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    pub(super) struct Auth {
        pub(super) username: Option<String>,
        pub(super) password: Option<String>,
        pub(super) auth: Option<String>,
        pub(super) identity_token: Option<String>,
    }
}

const ANY: &str = "*";

impl Registries {
    /// From the text of `registries.yaml`.
    pub fn parse(yaml: &str) -> Result<Self, RegistriesError> {
        let file: Option<typed::File> =
            serde_saphyr::from_str(yaml).map_err(|error| RegistriesError::Yaml(error.to_string()))?;
        let file = file.unwrap_or_default();
        let mut registries = Self::default();
        for (registry, mirror) in file.mirrors.unwrap_or_default() {
            let endpoints = mirror.unwrap_or_default().endpoint;
            let bases = endpoints.iter().map(|endpoint| Base::parse(endpoint)).collect::<Result<_, _>>()?;
            registries.mirrors.insert(registry, bases);
        }
        for (host, config) in file.configs.unwrap_or_default() {
            registries.configure(host, config.unwrap_or_default())?;
        }
        Ok(registries)
    }

    fn configure(&mut self, host: String, config: typed::Config) -> Result<(), RegistriesError> {
        if let Some(auth) = config.auth {
            let login = login(auth).ok_or_else(|| RegistriesError::Auth(host.clone()))?;
            self.logins.insert(host.clone(), login);
        }
        self.tls.extend(config.tls.map(|tls| (host, tls)));
        Ok(())
    }

    /// In the order in which they should be asked.
    pub(crate) fn endpoints(&self, registry: &str) -> Vec<Endpoint> {
        let own = self.own_base(registry);
        let mirrors = self.mirrors.get(registry).or_else(|| self.mirrors.get(ANY));
        let mut bases: Vec<Base> = mirrors.cloned().unwrap_or_default();
        if !bases.iter().any(|base| base.authority == own.authority) {
            bases.push(own.clone());
        }
        bases.into_iter().map(|base| self.endpoint(base, registry, &own)).collect()
    }

    fn endpoint(&self, base: Base, registry: &str, own: &Base) -> Endpoint {
        let is_own = base.authority == own.authority;
        // The registry's own endpoint can have another name than the registry, as Docker's has.
        let names = [base.authority.as_str(), if is_own { registry } else { ANY }, ANY];
        Endpoint {
            mirrors: (!is_own).then(|| registry.to_owned()),
            login: names.iter().find_map(|name| self.logins.get(*name)).cloned(),
            tls: names.iter().find_map(|name| self.tls.get(*name)).cloned().unwrap_or_default(),
            base,
        }
    }

    fn own_base(&self, registry: &str) -> Base {
        let authority = if registry == "docker.io" { "registry-1.docker.io" } else { registry };
        let plain = is_this_machine(registry) && !self.tls.contains_key(registry);
        let scheme = if plain { Scheme::HTTP } else { Scheme::HTTPS };
        Base { scheme, authority: authority.to_owned(), path: "/v2".to_owned() }
    }
}

impl Base {
    fn parse(text: &str) -> Result<Self, RegistriesError> {
        let bad = || RegistriesError::Endpoint(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| bad())?;
        let scheme = uri.scheme().filter(|scheme| [Scheme::HTTP, Scheme::HTTPS].contains(scheme));
        let (Some(scheme), Some(authority), None) = (scheme, uri.authority(), uri.query()) else {
            return Err(bad());
        };
        let path = uri.path().trim_end_matches('/');
        let path = if path.is_empty() { "/v2" } else { path };
        Ok(Self { scheme: scheme.clone(), authority: authority.to_string(), path: path.to_owned() })
    }
}

fn login(auth: typed::Auth) -> Option<Login> {
    match auth {
        typed::Auth { identity_token: Some(token), .. } => Some(Login::IdentityToken(token)),
        typed::Auth { username: Some(username), password: Some(password), .. } => {
            Some(Login::Password { username, password })
        }
        typed::Auth { auth: Some(auth), .. } => Login::from_auth(&auth),
        _ => None,
    }
}

fn is_this_machine(registry: &str) -> bool {
    let host = match registry.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        _ => registry,
    };
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(registries: &Registries, registry: &str) -> Vec<String> {
        let endpoints = registries.endpoints(registry);
        endpoints.iter().map(|e| format!("{}://{}{}", e.base.scheme, e.base.authority, e.base.path)).collect()
    }

    #[test]
    fn only_this_machine_is_trusted_without_tls() {
        let none = Registries::default();
        assert_eq!(addresses(&none, "docker.io"), ["https://registry-1.docker.io/v2"]);
        assert_eq!(addresses(&none, "10.0.0.1:5000"), ["https://10.0.0.1:5000/v2"]);
        assert_eq!(addresses(&none, "localhost:5000"), ["http://localhost:5000/v2"]);
        assert_eq!(addresses(&none, "127.0.0.1:5000"), ["http://127.0.0.1:5000/v2"]);
        assert_eq!(addresses(&none, "[::1]"), ["http://[::1]/v2"]);
    }

    #[test]
    fn mirrors_come_first_and_the_registry_last() {
        let registries = Registries::parse(
            "mirrors:\n  docker.io:\n    endpoint: ['http://a:5000', 'https://b/v2/hub/']\n  '*':\nconfigs:\n  'a:5000':\n    auth: {username: u, password: p}\n",
        );
        let registries = registries.unwrap();
        assert_eq!(
            addresses(&registries, "docker.io"),
            ["http://a:5000/v2", "https://b/v2/hub", "https://registry-1.docker.io/v2"]
        );
        assert_eq!(addresses(&registries, "quay.io"), ["https://quay.io/v2"]);
        let endpoints = registries.endpoints("docker.io");
        let known: Vec<_> = endpoints.iter().map(|e| (e.mirrors.is_some(), e.login.is_some())).collect();
        assert_eq!(known, [(true, true), (true, false), (false, false)]);
    }

    #[test]
    fn a_registry_may_be_its_own_mirror_over_plain_http() {
        let registries =
            Registries::parse("mirrors: {'10.0.0.1:5000': {endpoint: ['http://10.0.0.1:5000']}}").unwrap();
        assert_eq!(addresses(&registries, "10.0.0.1:5000"), ["http://10.0.0.1:5000/v2"]);
    }

    #[test]
    fn settings_of_docker_io_count_for_its_real_place() {
        let registries =
            Registries::parse("configs: {docker.io: {auth: {identity_token: t}, tls: {ca_file: /ca}}}")
                .unwrap();
        let endpoint = &registries.endpoints("docker.io")[0];
        assert_eq!(endpoint.login, Some(Login::IdentityToken("t".to_owned())));
        assert_eq!(endpoint.tls.ca_file, Some("/ca".into()));
    }

    #[test]
    fn mistakes_are_named() {
        let error = |yaml: &str| Registries::parse(yaml).unwrap_err().to_string();
        assert!(error("mirrors: {a: {endpoint: ['b:5000']}}").contains("'b:5000'"));
        assert!(error("configs: {a: {auth: {username: u}}}").contains("configs.a.auth"));
        assert!(error("mirrors: {a: {rewrite: {x: y}}}").contains("rewrite"));
        assert!(Registries::parse("").is_ok() && Registries::parse("mirrors:\n").is_ok());
    }
}
