//! Who one is at a registry, and which registry that is good for.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::reference::Reference;

/// A name and password, or a token, for a registry or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// As in Docker's configuration: `quay.io`, `quay.io/team`, `*.example.com:5000` or `https://index.docker.io/v1/`.
    pub registry: String,
    pub login: Login,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Login {
    Password {
        username: String,
        password: String,
    },
    /// What `docker login` got from the registry in place of a password.
    IdentityToken(String),
}

#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    #[error("the pull secret is no Docker configuration")]
    Decode(#[from] serde_json::Error),
    #[error("the pull secret's 'auth' for {0} is not 'username:password' in base64")]
    Auth(String),
}

/// An entry of `auths`.
#[derive(Debug, Deserialize)]
struct DockerLogin {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    auth: String,
    #[serde(default)]
    identitytoken: String,
}

impl Credentials {
    /// From the content of a `kubernetes.io/dockerconfigjson` or (older) `kubernetes.io/dockercfg` secret.
    pub fn from_docker_config(json: &[u8]) -> Result<Vec<Self>, CredentialsError> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Docker {
            Config { auths: BTreeMap<String, DockerLogin> },
            Cfg(BTreeMap<String, DockerLogin>),
        }
        let (Docker::Config { auths } | Docker::Cfg(auths)) = serde_json::from_slice(json)?;
        auths.into_iter().map(|(registry, login)| Self::from_docker_login(registry, login)).collect()
    }

    fn from_docker_login(registry: String, login: DockerLogin) -> Result<Self, CredentialsError> {
        let login = if !login.identitytoken.is_empty() {
            Login::IdentityToken(login.identitytoken)
        } else if login.auth.is_empty() {
            Login::Password { username: login.username, password: login.password }
        } else {
            Login::from_auth(&login.auth).ok_or_else(|| CredentialsError::Auth(registry.clone()))?
        };
        Ok(Self { registry, login })
    }

    /// How well they fit an image, the length of what fits; `None` when they are for another place.
    pub(super) fn fit(&self, reference: &Reference) -> Option<usize> {
        let pattern = self.registry.trim_start_matches("https://").trim_start_matches("http://");
        let (host, path) = pattern.split_once('/').unwrap_or((pattern, ""));
        let path = path.trim_matches('/');
        let path = if matches!(path, "v1" | "v2") { "" } else { path };
        let host = if host == "index.docker.io" { "docker.io" } else { host };
        let fits = host_fits(host, reference.registry()) && reference.repository().starts_with(path);
        fits.then_some(path.len())
    }
}

impl Login {
    /// `username:password` in base64.
    pub(super) fn from_auth(auth: &str) -> Option<Self> {
        let text = String::from_utf8(STANDARD.decode(auth.trim()).ok()?).ok()?;
        let (username, password) = text.split_once(':')?;
        // Some tools fill the end with zeros.
        let password = password.trim_end_matches('\0');
        Some(Self::Password { username: username.to_owned(), password: password.to_owned() })
    }
}

/// Secrets stay out of logs.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { username, .. } => write!(f, "Password of {username:?}"),
            Self::IdentityToken(_) => f.write_str("IdentityToken"),
        }
    }
}

/// Port by port and label by label, each with `*` for any number of letters.
fn host_fits(pattern: &str, host: &str) -> bool {
    let split = |text: &str| {
        let (name, port) = text.split_once(':').unwrap_or((text, ""));
        (name.split('.').map(str::to_owned).collect::<Vec<_>>(), port.to_owned())
    };
    let ((pattern, pattern_port), (host, port)) = (split(pattern), split(host));
    let labels_fit = pattern.iter().zip(&host).all(|(pattern, label)| label_fits(pattern, label));
    pattern_port == port && pattern.len() == host.len() && labels_fit
}

fn label_fits(pattern: &str, label: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == label };
    let Some(label) = label.strip_prefix(start) else { return false };
    (0..=label.len()).any(|skipped| label.get(skipped..).is_some_and(|label| label_fits(rest, label)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(registry: &str, image: &str) -> Option<usize> {
        let login = Login::IdentityToken(String::new());
        Credentials { registry: registry.to_owned(), login }.fit(&Reference::parse(image).unwrap())
    }

    #[test]
    fn a_pull_secret_counts_where_it_says() {
        for (registry, image) in [
            ("https://index.docker.io/v1/", "nginx"),
            ("docker.io", "team/app"),
            ("quay.io/team", "quay.io/team/app"),
            ("*.example.com", "a.example.com/x"),
            ("r*y.example.com:5000", "registry.example.com:5000/x"),
        ] {
            assert!(fit(registry, image).is_some(), "{registry} {image}");
        }
        for (registry, image) in [
            ("quay.io", "nginx"),
            ("*.example.com", "a.b.example.com/x"),
            ("*.example.com", "example.com/x"),
            ("example.com", "example.com:5000/x"),
            ("quay.io/team", "quay.io/other/app"),
        ] {
            assert!(fit(registry, image).is_none(), "{registry} {image}");
        }
        assert!(fit("quay.io/team", "quay.io/team/app") > fit("quay.io", "quay.io/team/app"));
    }

    #[test]
    fn both_kinds_of_secrets_are_read() {
        let auth = STANDARD.encode("me:pass:word");
        let config = format!(r#"{{"auths":{{"quay.io":{{"auth":"{auth}"}}}},"credsStore":"x"}}"#);
        let expected = Login::Password { username: "me".to_owned(), password: "pass:word".to_owned() };
        assert_eq!(Credentials::from_docker_config(config.as_bytes()).unwrap()[0].login, expected);
        let cfg = br#"{"quay.io":{"username":"me","password":"pass:word","email":"x"}}"#;
        assert_eq!(Credentials::from_docker_config(cfg).unwrap()[0].login, expected);
        assert!(!format!("{expected:?}").contains("pass:word"));
    }

    #[test]
    fn a_broken_secret_is_named() {
        let error = Credentials::from_docker_config(br#"{"auths":{"quay.io":{"auth":"?"}}}"#).unwrap_err();
        assert!(error.to_string().contains("quay.io"));
    }
}
