//! A key that never leaves its machine; its certificate comes from an authority on another one.

use std::path::Path;

use rcgen::{CertificateParams, KeyPair};

use crate::authority::read;
use crate::{Error, Identity, file};

#[derive(Debug)]
pub struct Key(KeyPair);

impl Key {
    /// The key in `path`; made there at the first call, and anew when it cannot be read.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if let Some(key) = read(path)?.and_then(|text| KeyPair::from_pem(&text).ok()) {
            return Ok(Self(key));
        }
        let sign = |source| Error::Sign { subject: path.display().to_string(), source };
        let key = KeyPair::generate().map_err(sign)?;
        file::write(path, key.serialize_pem().as_bytes(), file::SECRET)
            .map_err(|source| Error::File { path: path.to_path_buf(), source })?;
        Ok(Self(key))
    }

    /// What an authority signs. It proves that we hold the key, and says nothing else.
    pub fn request(&self) -> Result<String, Error> {
        let sign = |source| Error::Sign { subject: "a request".into(), source };
        let request = CertificateParams::default().serialize_request(&self.0).map_err(sign)?;
        request.pem().map_err(sign)
    }

    pub fn with(&self, certificate: String) -> Identity {
        Identity { certificate, key: self.0.serialize_pem() }
    }
}
