//! A real registry on a machine of the lab: Debian's `docker-registry`, filled by Debian's `skopeo`.
//!
//! Each machine has a network of its own, so that every registry can have the port that registries have.

use anyhow::{Context, Result};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

use crate::command::Command;
use crate::daemon::{Daemon, PATIENCE};
use crate::host::Host;
use crate::images::Layout;

const PORT: u16 = 5000;
const CONFIGURATION: &str = "/etc/registry/config.json";
const CERTIFICATE: &str = "/etc/registry/tls.crt";
const KEY: &str = "/etc/registry/tls.key";
const PASSWORDS: &str = "/etc/registry/htpasswd";

/// The only user of a registry that asks for one, and its password.
pub const USER: &str = "lab";
pub const PASSWORD: &str = "secret";

/// The registry knows no other kind of hash.
const BCRYPT_OF_PASSWORD: &str = "$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";

/// What a registry asks of its clients. By default nothing: plain HTTP, anybody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Access {
    pub tls: bool,
    /// Basic authentication as [`USER`], for reading too.
    pub password: bool,
}

#[derive(Debug)]
pub struct Registry {
    host: Host,
    daemon: Daemon,
    access: Access,
    authority: Option<String>,
}

impl Registry {
    pub fn start(host: &Host) -> Result<Self> {
        Self::start_with(host, Access::default())
    }

    /// Returns when it listens. What was pushed is kept on the machine's disk, beyond restarts and reboots.
    pub fn start_with(host: &Host, access: Access) -> Result<Self> {
        let authority = access.tls.then(|| install_certificate(host)).transpose()?;
        host.write(PASSWORDS, format!("{USER}:{BCRYPT_OF_PASSWORD}\n"))?;
        host.write(CONFIGURATION, configuration(access).to_string())?;
        let daemon = host.command("docker-registry").args(["serve", CONFIGURATION]).daemon("registry")?;
        let registry = Self { host: host.clone(), daemon, access, authority };
        registry.wait_until_listening()?;
        Ok(registry)
    }

    /// `ADDRESS:PORT`, the first part of its images' references.
    pub fn address(&self) -> String {
        format!("{}:{PORT}", self.host.ip())
    }

    /// The certificate, in PEM, of the authority that clients must trust: only with TLS.
    pub fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    /// Returns the reference by which the image can be pulled.
    pub fn push(&self, image: &Layout) -> Result<String> {
        let reference = format!("{}/{}", self.address(), image.reference());
        let archive = format!("/tmp/{}.tar", image.digest().hex());
        self.host.write(&archive, Layout::archive(&[image])?)?;
        self.skopeo()
            .args([format!("oci-archive:{archive}"), format!("docker://{reference}")])
            .ok()
            .with_context(|| format!("cannot push {reference}"))?;
        Ok(reference)
    }

    /// A copy to this registry, byte for byte and with all platforms; source and destination are missing.
    fn skopeo(&self) -> Command {
        let skopeo =
            self.host.command("skopeo").args(["--insecure-policy", "copy", "--all", "--preserve-digests"]);
        let skopeo = skopeo.arg("--dest-tls-verify=false");
        if self.access.password { skopeo.arg(format!("--dest-creds={USER}:{PASSWORD}")) } else { skopeo }
    }

    pub fn stop(&self) -> Result<()> {
        self.daemon.stop().map(drop)
    }

    /// Starts it again after [`Registry::stop`] or a reboot of its machine.
    pub fn restart(&self) -> Result<()> {
        self.daemon.restart()?;
        self.wait_until_listening()
    }

    /// What it logged, a line for each request.
    pub fn logs(&self) -> String {
        self.daemon.logs()
    }

    fn wait_until_listening(&self) -> Result<()> {
        self.daemon.wait_line(|line| line.contains("listening on"), PATIENCE).map(drop)
    }
}

/// JSON is YAML.
fn configuration(access: Access) -> Value {
    let mut configuration = json!({
        "version": "0.1",
        "log": { "level": "info" },
        "storage": { "filesystem": { "rootdirectory": "/var/lib/registry" }, "delete": { "enabled": true } },
        "http": { "addr": format!("0.0.0.0:{PORT}"), "secret": "of one registry" },
    });
    if access.tls {
        configuration["http"]["tls"] = json!({ "certificate": CERTIFICATE, "key": KEY });
    }
    if access.password {
        configuration["auth"] = json!({ "htpasswd": { "realm": "lab", "path": PASSWORDS } });
    }
    configuration
}

/// A certificate for the machine's address and name. Returns that of its authority.
fn install_certificate(host: &Host) -> Result<String> {
    let mut authority = CertificateParams::new([])?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate()?;
    let authority_certificate = authority.self_signed(&authority_key)?.pem();
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new([host.ip().to_string(), host.name().to_string()])?;
    let certificate = certificate.signed_by(&key, &Issuer::new(authority, authority_key))?;
    host.write(CERTIFICATE, certificate.pem())?;
    host.write(KEY, key.serialize_pem())?;
    Ok(authority_certificate)
}
