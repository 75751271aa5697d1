//! An authority signs certificates; its own is what others trust.

use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::file;
use crate::leaf::{Identity, Leaf};
use crate::validity::Validity;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot make a key or certificate for {subject}")]
    Sign {
        subject: String,
        #[source]
        source: rcgen::Error,
    },
    #[error("the request for a certificate of {subject} cannot be read")]
    Request {
        subject: String,
        #[source]
        source: rcgen::Error,
    },
    #[error("{name:?} is not a name that a certificate can carry")]
    Name {
        name: String,
        #[source]
        source: rcgen::Error,
    },
    #[error("{} does not hold a certificate and key that go together: move it away to have a new one made", path.display())]
    Damaged {
        path: PathBuf,
        #[source]
        source: rcgen::Error,
    },
    #[error("cannot read or write {}", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// A certificate authority with its key.
#[derive(Debug)]
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// The authority kept in `folder` as `NAME-ca.crt` and `NAME-ca.key`; made at the first call.
    ///
    /// The key is written first: a cut between the two leaves a key without a certificate, and both are made anew.
    /// A certificate without its key is never replaced: others trust it.
    pub fn open(folder: &Path, name: &str, now: OffsetDateTime) -> Result<Self, Error> {
        let (certificate_path, key_path) = paths(folder, &format!("{name}-ca"));
        let Some(certificate) = read(&certificate_path)? else {
            let made = self_signed(name, now)?;
            save(&made, &certificate_path, &key_path)?;
            return Self::of(&made, &certificate_path);
        };
        let missing =
            || io::Error::new(io::ErrorKind::NotFound, "the key of the authority beside it is gone");
        let key = read(&key_path)?.ok_or_else(|| Error::File { path: key_path, source: missing() })?;
        Self::of(&Identity { certificate, key }, &certificate_path)
    }

    fn of(identity: &Identity, path: &Path) -> Result<Self, Error> {
        let damaged = |source| Error::Damaged { path: path.to_path_buf(), source };
        let key = KeyPair::from_pem(&identity.key).map_err(damaged)?;
        let issuer = Issuer::from_ca_cert_pem(&identity.certificate, key).map_err(damaged)?;
        if !goes_with(&identity.certificate, issuer.key()) {
            return Err(damaged(rcgen::Error::CouldNotParseKeyPair));
        }
        Ok(Self { certificate: identity.certificate.clone(), issuer })
    }

    /// The PEM that others trust.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A new key with a certificate for it.
    pub fn issue(&self, leaf: &Leaf, now: OffsetDateTime) -> Result<Identity, Error> {
        let sign = |source| Error::Sign { subject: leaf.common_name.clone(), source };
        let key = KeyPair::generate().map_err(sign)?;
        let certificate = leaf.params(now)?.signed_by(&key, &self.issuer).map_err(sign)?;
        Ok(Identity { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// A certificate for a key that stays with its holder, on another machine. What the request says of its holder does not
    /// count: `leaf` says it.
    pub fn sign(&self, request: &str, leaf: &Leaf, now: OffsetDateTime) -> Result<String, Error> {
        let unreadable = |source| Error::Request { subject: leaf.common_name.clone(), source };
        let request = CertificateSigningRequestParams::from_pem(request).map_err(unreadable)?;
        let certificate = leaf.params(now)?.signed_by(&request.public_key, &self.issuer);
        let certificate =
            certificate.map_err(|source| Error::Sign { subject: leaf.common_name.clone(), source })?;
        Ok(certificate.pem())
    }

    /// The identity kept in `folder` as `NAME.crt` and `NAME.key`; made anew when it is missing, unreadable, not
    /// ours, for another holder, or soon over.
    pub fn keep(
        &self,
        folder: &Path,
        name: &str,
        leaf: &Leaf,
        now: OffsetDateTime,
    ) -> Result<Identity, Error> {
        let (certificate_path, key_path) = paths(folder, name);
        if let (Some(certificate), Some(key)) = (read(&certificate_path)?, read(&key_path)?) {
            let kept = Identity { certificate, key };
            if self.still_good(&kept, leaf, now) {
                return Ok(kept);
            }
        }
        let made = self.issue(leaf, now)?;
        save(&made, &certificate_path, &key_path)?;
        Ok(made)
    }

    fn still_good(&self, kept: &Identity, leaf: &Leaf, now: OffsetDateTime) -> bool {
        let Ok(key) = KeyPair::from_pem(&kept.key) else {
            return false;
        };
        let Some(der) = der_of(&kept.certificate) else {
            return false;
        };
        let Some(ours) = der_of(&self.certificate) else {
            return false;
        };
        let (Ok((_, certificate)), Ok((_, authority))) =
            (X509Certificate::from_der(&der), X509Certificate::from_der(&ours))
        else {
            return false;
        };
        goes_with(&kept.certificate, &key)
            && certificate.verify_signature(Some(authority.public_key())).is_ok()
            && !kept.is_due(now)
            && says(&certificate, leaf)
    }
}

fn paths(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    (folder.join(format!("{name}.crt")), folder.join(format!("{name}.key")))
}

pub(crate) fn read(path: &Path) -> Result<Option<String>, Error> {
    file::read(path).map_err(|source| Error::File { path: path.to_path_buf(), source })
}

fn save(identity: &Identity, certificate: &Path, key: &Path) -> Result<(), Error> {
    let write = |path: &Path, text: &str, mode| {
        file::write(path, text.as_bytes(), mode)
            .map_err(|source| Error::File { path: path.to_path_buf(), source })
    };
    write(key, &identity.key, file::SECRET)?;
    write(certificate, &identity.certificate, file::PUBLIC)
}

fn self_signed(name: &str, now: OffsetDateTime) -> Result<Identity, Error> {
    // As k3s names them: the time tells two clusters' authorities apart.
    let subject = format!("skiff-{name}-ca@{}", now.unix_timestamp());
    let sign = |source| Error::Sign { subject: subject.clone(), source };
    let mut params = CertificateParams::default();
    let validity = Validity::of_authority(now);
    (params.not_before, params.not_after) = (validity.from, validity.until);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, subject.as_str());
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::KeyEncipherment,
        KeyUsagePurpose::KeyCertSign,
    ];
    let key = KeyPair::generate().map_err(sign)?;
    let certificate = params.self_signed(&key).map_err(sign)?;
    Ok(Identity { certificate: certificate.pem(), key: key.serialize_pem() })
}

fn der_of(pem: &str) -> Option<Vec<u8>> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).ok()?;
    Some(pem.contents)
}

fn goes_with(certificate: &str, key: &KeyPair) -> bool {
    let Some(der) = der_of(certificate) else {
        return false;
    };
    let Ok((_, certificate)) = X509Certificate::from_der(&der) else {
        return false;
    };
    certificate.public_key().subject_public_key.data.as_ref() == key.public_key_raw()
}

/// Whether a certificate names the holder that `leaf` asks for, no more and no less.
fn says(certificate: &X509Certificate<'_>, leaf: &Leaf) -> bool {
    let subject = certificate.subject();
    let common_name = subject.iter_common_name().next().and_then(|name| name.as_str().ok());
    let group = subject.iter_organization().next().and_then(|name| name.as_str().ok());
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    common_name == Some(leaf.common_name.as_str())
        && group == leaf.group.as_deref()
        && same_names(names, leaf)
}

fn same_names(names: &[GeneralName<'_>], leaf: &Leaf) -> bool {
    let carried: BTreeSet<Vec<u8>> = names.iter().filter_map(name_bytes).collect();
    let dns = leaf.dns_names.iter().map(|name| name.as_bytes().to_vec());
    let addresses = leaf.addresses.iter().map(|address| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    });
    carried == dns.chain(addresses).collect()
}

fn name_bytes(name: &GeneralName<'_>) -> Option<Vec<u8>> {
    match name {
        GeneralName::DNSName(name) => Some(name.as_bytes().to_vec()),
        GeneralName::IPAddress(octets) => Some(octets.to_vec()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::RootCertStore;
    use rustls::client::WebPkiServerVerifier;
    use rustls::client::danger::ServerCertVerifier;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use time::Duration;

    use super::*;
    use crate::validity::tests::NOW;

    fn server() -> Leaf {
        Leaf::server("api", vec!["kubernetes.default".into()], vec!["10.43.0.1".parse().unwrap()])
    }

    /// Whether rustls, as every client of ours, takes the certificate for `name` at `time`.
    fn trusted(authority: &Authority, identity: &Identity, name: &'static str, time: OffsetDateTime) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.certificate().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
        let seconds = u64::try_from(time.unix_timestamp()).unwrap();
        let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        verifier
            .verify_server_cert(&certificate, &[], &ServerName::try_from(name).unwrap(), &[], time)
            .is_ok()
    }

    #[test]
    fn a_certificate_is_trusted_for_its_names_whatever_the_clock_says() {
        let folder = tempfile::tempdir().unwrap();
        let no_clock = OffsetDateTime::UNIX_EPOCH + Duration::hours(1);
        let authority = Authority::open(folder.path(), "server", NOW).unwrap();
        let identity = authority.issue(&server(), NOW).unwrap();
        for time in [no_clock, NOW, NOW + Duration::days(300)] {
            assert!(trusted(&authority, &identity, "kubernetes.default", time), "at {time}");
            assert!(trusted(&authority, &identity, "10.43.0.1", time), "at {time}");
        }
        assert!(!trusted(&authority, &identity, "other.default", NOW));
        let other = Authority::open(folder.path(), "other", NOW).unwrap();
        assert!(!trusted(&other, &identity, "kubernetes.default", NOW));
    }

    #[test]
    fn a_key_that_stays_where_it_is_gets_a_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path(), "server", NOW).unwrap();
        let key = crate::Key::open(&folder.path().join("node.key")).unwrap();
        let certificate = authority.sign(&key.request().unwrap(), &server(), NOW).unwrap();
        let identity = key.with(certificate);
        assert!(trusted(&authority, &identity, "kubernetes.default", NOW));
        assert!(goes_with(&identity.certificate, &KeyPair::from_pem(&identity.key).unwrap()));
        let again = crate::Key::open(&folder.path().join("node.key")).unwrap();
        assert_eq!(again.with(String::new()).key, identity.key, "it is made once");
        assert!(matches!(authority.sign("nonsense", &server(), NOW), Err(Error::Request { .. })));
    }

    #[test]
    fn an_authority_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let first = Authority::open(folder.path(), "server", NOW).unwrap();
        let second = Authority::open(folder.path(), "server", NOW).unwrap();
        assert_eq!(first.certificate(), second.certificate());
        let identity = second.issue(&server(), NOW).unwrap();
        assert!(trusted(&first, &identity, "kubernetes.default", NOW));
    }

    #[test]
    fn a_certificate_that_others_trust_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        Authority::open(folder.path(), "server", NOW).unwrap();
        let before = std::fs::read(folder.path().join("server-ca.crt")).unwrap();
        std::fs::remove_file(folder.path().join("server-ca.key")).unwrap();
        assert!(matches!(Authority::open(folder.path(), "server", NOW), Err(Error::File { .. })));
        std::fs::write(folder.path().join("server-ca.key"), KeyPair::generate().unwrap().serialize_pem())
            .unwrap();
        assert!(matches!(Authority::open(folder.path(), "server", NOW), Err(Error::Damaged { .. })));
        assert_eq!(std::fs::read(folder.path().join("server-ca.crt")).unwrap(), before);
    }

    #[test]
    fn a_kept_identity_is_made_anew_only_when_it_must() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path(), "server", NOW).unwrap();
        let keep = |leaf: &Leaf, now| authority.keep(folder.path(), "api", leaf, now).unwrap().certificate;
        let first = keep(&server(), NOW);
        assert_eq!(keep(&server(), NOW), first);
        let renamed = Leaf { dns_names: vec!["board".into()], ..server() };
        let second = keep(&renamed, NOW);
        assert_ne!(second, first, "another name");
        let third = keep(&renamed, NOW + Duration::days(300));
        assert_ne!(third, second, "soon over");
        std::fs::write(folder.path().join("api.key"), "half of a k").unwrap();
        let fourth = keep(&renamed, NOW + Duration::days(300));
        assert_ne!(fourth, third, "a damaged key");
        let identity = authority.keep(folder.path(), "api", &renamed, NOW).unwrap();
        assert!(!identity.is_due(NOW) && identity.is_due(NOW + Duration::days(600)));
        assert!(Identity { certificate: "half of a c".into(), key: String::new() }.is_due(NOW));
        let client = Leaf::client("system:node:a", Some("system:nodes"));
        let fifth = keep(&client, NOW);
        assert_ne!(fifth, fourth);
        assert_eq!(keep(&client, NOW), fifth);
        assert_ne!(keep(&Leaf::client("system:node:a", None), NOW), fifth, "another group");
    }
}
