//! Who we are and whom we trust, for both ends of a connection.

use std::sync::{Arc, PoisonError, RwLock};

use pki::Identity;
use rustls::client::ResolvesClientCert;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, VerifierBuilderError, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SignatureScheme};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the {what} is not valid PEM")]
    Pem {
        what: &'static str,
        #[source]
        source: pem::Error,
    },
    #[error("the {what} cannot be used for TLS")]
    Unusable {
        what: &'static str,
        #[source]
        source: rustls::Error,
    },
    #[error("the authority of clients cannot be used for TLS")]
    ClientAuthority(#[source] VerifierBuilderError),
}

/// Our certificate and key, at either end. Cheap to clone; all clones change together.
#[derive(Clone, Debug)]
pub struct Certificate(Arc<RwLock<Arc<CertifiedKey>>>);

impl Certificate {
    pub fn new(identity: &Identity) -> Result<Self, Error> {
        Ok(Self(Arc::new(RwLock::new(certified(identity)?))))
    }

    /// Connections that begin from now on show the new one; open ones go on.
    pub fn replace(&self, identity: &Identity) -> Result<(), Error> {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = certified(identity)?;
        Ok(())
    }

    fn current(&self) -> Arc<CertifiedKey> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

impl ResolvesClientCert for Certificate {
    fn resolve(&self, _authorities: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// A server that shows `certificate` and takes, but does not demand, client certificates of `client_authority`.
///
/// Not demanded: others come with a bearer token. One that is shown and not good ends the handshake.
pub(crate) fn server(certificate: Certificate, client_authority: &str) -> Result<Arc<ServerConfig>, Error> {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(client_authority)?.into(), provider());
    let verifier = verifier.allow_unauthenticated().build().map_err(Error::ClientAuthority)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|source| Error::Unusable { what: "set of protocol versions", source })?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(certificate));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// A client that trusts `authority` alone and shows `certificate` if it has one.
pub(crate) fn client(authority: &str, certificate: Option<Certificate>) -> Result<ClientConfig, Error> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|source| Error::Unusable { what: "set of protocol versions", source })?
        .with_root_certificates(roots(authority)?);
    Ok(match certificate {
        Some(certificate) => builder.with_client_cert_resolver(Arc::new(certificate)),
        None => builder.with_no_client_auth(),
    })
}

/// Named, not installed for the process: a library that brings another provider cannot change ours.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn roots(authority: &str) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(authority, "authority's certificate")? {
        roots
            .add(certificate)
            .map_err(|source| Error::Unusable { what: "authority's certificate", source })?;
    }
    Ok(roots)
}

fn certified(identity: &Identity) -> Result<Arc<CertifiedKey>, Error> {
    let chain = certificates(&identity.certificate, "certificate")?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes());
    let key = key.map_err(|source| Error::Pem { what: "key", source })?;
    let key = CertifiedKey::from_der(chain, key, &provider());
    Ok(Arc::new(key.map_err(|source| Error::Unusable { what: "certificate with its key", source })?))
}

fn certificates(pem: &str, what: &'static str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>();
    certificates.map_err(|source| Error::Pem { what, source })
}
