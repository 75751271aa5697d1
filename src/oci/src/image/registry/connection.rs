//! Connections to one endpoint, and wherever it sends us.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, LOCATION};
use http::uri::Scheme;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::error::Error;
use crate::image::registries::{Endpoint, Tls};

/// How long nothing may be heard, of a connection, an answer or a part of one.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
const MAX_REDIRECTS: usize = 10;
const READ_BUFFER: usize = 64 << 10;

pub(super) struct Connection {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    registry: String,
    plain: bool,
}

/// A request that can be made again.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Connection {
    /// Reads certificates: blocks for a moment.
    pub(super) fn new(endpoint: &Endpoint) -> Result<Self, Error> {
        let registry = endpoint.base.authority.clone();
        let trusts = if endpoint.base.scheme == Scheme::HTTP && endpoint.tls == Tls::default() {
            // It may still send us to a place with TLS.
            configuration(&registry, &endpoint.tls).or_else(|_| unable())
        } else {
            configuration(&registry, &endpoint.tls)
        };
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(PATIENCE));
        let https = HttpsConnectorBuilder::new().with_tls_config(trusts?).https_or_http().enable_http1();
        let client = Client::builder(TokioExecutor::new())
            .http1_max_buf_size(READ_BUFFER)
            .build(https.wrap_connector(http));
        let plain = endpoint.base.scheme == Scheme::HTTP;
        Ok(Self { client, registry, plain })
    }

    /// Follows where it is sent. What authorizes us here is nobody else's business.
    pub(super) async fn send(&self, mut query: Query) -> Result<Response<Incoming>, Error> {
        for _ in 0..MAX_REDIRECTS {
            let response = self.send_once(&query).await?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let Some(next) = location(&query.uri, response.headers()) else {
                return Err(self.nonsense("a redirection to nowhere"));
            };
            if next.authority() != query.uri.authority() || next.scheme() != query.uri.scheme() {
                query.headers.remove(AUTHORIZATION);
            }
            query.uri = next;
        }
        Err(self.nonsense(&format!("more than {MAX_REDIRECTS} redirections")))
    }

    async fn send_once(&self, query: &Query) -> Result<Response<Incoming>, Error> {
        let mut request = Request::new(Full::new(query.body.clone()));
        *request.method_mut() = query.method.clone();
        *request.uri_mut() = query.uri.clone();
        *request.headers_mut() = query.headers.clone();
        let answer = tokio::time::timeout(PATIENCE, self.client.request(request)).await;
        let registry = query.uri.authority().map_or_else(|| self.registry.clone(), ToString::to_string);
        match answer {
            Err(_) => Err(Error::Silent { registry, patience: PATIENCE }),
            Ok(Err(source)) => Err(Error::Unreachable { registry, source: source.into() }),
            Ok(Ok(response)) => Ok(response),
        }
    }

    /// The next piece of an answer.
    pub(super) async fn read(&self, body: &mut Incoming) -> Result<Option<Bytes>, Error> {
        loop {
            let frame = tokio::time::timeout(PATIENCE, body.frame()).await;
            match frame.map_err(|_| Error::Silent { registry: self.registry.clone(), patience: PATIENCE })? {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Ok(Some(bytes));
                    }
                }
                Some(Err(source)) => {
                    return Err(Error::Broken { registry: self.registry.clone(), source: source.into() });
                }
            }
        }
    }

    /// A whole answer, held in memory.
    pub(super) async fn read_all(&self, mut body: Incoming, limit: u64) -> Result<Bytes, Error> {
        let mut all = BytesMut::new();
        while let Some(bytes) = self.read(&mut body).await? {
            all.extend_from_slice(&bytes);
            if all.len() as u64 > limit {
                return Err(self.nonsense(&format!("more than {limit} bytes where few were expected")));
            }
        }
        Ok(all.freeze())
    }

    pub(super) fn nonsense(&self, what: &str) -> Error {
        Error::Nonsense { registry: self.registry.clone(), what: what.to_owned() }
    }

    pub(super) fn registry(&self) -> &str {
        &self.registry
    }

    /// Whether the administrator chose to do without TLS here.
    pub(super) fn is_plain(&self) -> bool {
        self.plain
    }
}

fn location(from: &Uri, headers: &HeaderMap) -> Option<Uri> {
    let to: Uri = headers.get(LOCATION)?.to_str().ok()?.parse().ok()?;
    if to.authority().is_some() {
        return to.scheme().is_some().then_some(to);
    }
    let mut parts = from.clone().into_parts();
    parts.path_and_query = to.into_parts().path_and_query;
    Uri::from_parts(parts).ok()
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn builder() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("ring knows the ciphers of both versions of TLS")
}

/// For a machine without authorities: every handshake fails.
fn unable() -> Result<ClientConfig, Error> {
    Ok(builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

fn configuration(registry: &str, tls: &Tls) -> Result<ClientConfig, Error> {
    let builder = if tls.insecure_skip_verify {
        builder().dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider())))
    } else {
        builder().with_root_certificates(roots(registry, tls)?)
    };
    let (Some(certificate), Some(key)) = (&tls.cert_file, &tls.key_file) else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(registry, certificate)?;
    let secret = PrivateKeyDer::from_pem_slice(&read(registry, key)?)
        .map_err(|error| unusable(registry, key, &error))?;
    builder.with_client_auth_cert(chain, secret).map_err(|error| unusable(registry, certificate, &error))
}

/// Those of the machine and that of the file.
fn roots(registry: &str, tls: &Tls) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = &tls.ca_file {
        for certificate in certificates(registry, path)? {
            roots.add(certificate).map_err(|error| unusable(registry, path, &error))?;
        }
    }
    if roots.is_empty() { Err(Error::NoRoots { registry: registry.to_owned() }) } else { Ok(roots) }
}

fn certificates(registry: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let pem = read(registry, path)?;
    let certificates = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|error| unusable(registry, path, &error))?;
    if certificates.is_empty() {
        Err(unusable(registry, path, &"no certificate is in it"))
    } else {
        Ok(certificates)
    }
}

fn read(registry: &str, path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|error| unusable(registry, path, &error))
}

fn unusable(registry: &str, path: &Path, problem: &dyn std::fmt::Display) -> Error {
    let path = path.display().to_string();
    Error::Tls { registry: registry.to_owned(), path, problem: problem.to_string() }
}

/// Trusts whoever answers, as `insecure_skip_verify` asks for.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
