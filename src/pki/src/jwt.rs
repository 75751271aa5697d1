//! Service-account tokens: JSON web tokens signed with the cluster's own key (ES256).
//!
//! What the claims mean is the API server's business; here they are signed and their signature is checked. A token
//! without an expiry, or with a key that is not ours, does not pass.

use std::io;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::KeyPair;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, UnparsedPublicKey,
};
use serde_json::{Value, json};

use crate::file;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read or write the signing key {path}")]
    File {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error(
        "{path} does not hold a signing key: move it away to have a new one made (tokens in use end with it)"
    )]
    Damaged { path: String },
    #[error("cannot make a signing key")]
    Generate(#[source] rcgen::Error),
    #[error("cannot sign")]
    Sign,
}

/// Why a token does not pass. Callers answer 401 whatever it is; the log says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("not a token of three parts")]
    Form,
    #[error("signed with another key or algorithm")]
    Signature,
    #[error("expired")]
    Expired,
    #[error("not valid yet")]
    Early,
}

/// Signs and checks tokens.
pub struct Signer {
    pair: EcdsaKeyPair,
    public: Vec<u8>,
    key_id: String,
    random: SystemRandom,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

impl Signer {
    /// The signer whose key is kept in `path`; made there at the first call.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let name = || path.display().to_string();
        let failed = |source| Error::File { path: name(), source };
        let pem = match file::read(path).map_err(failed)? {
            Some(pem) => pem,
            None => {
                let pem = KeyPair::generate().map_err(Error::Generate)?.serialize_pem();
                file::write(path, pem.as_bytes(), file::SECRET).map_err(failed)?;
                pem
            }
        };
        Self::of(&pem).ok_or_else(|| Error::Damaged { path: name() })
    }

    fn of(pem: &str) -> Option<Self> {
        let key = KeyPair::from_pem(pem).ok()?;
        let random = SystemRandom::new();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.serialized_der(), &random).ok()?;
        let public = key.public_key_raw().to_vec();
        let key_id = URL_SAFE_NO_PAD.encode(digest(&SHA256, &public));
        Some(Self { pair, public, key_id, random })
    }

    pub fn sign(&self, claims: &Value) -> Result<String, Error> {
        let header = json!({"alg": "ES256", "kid": self.key_id, "typ": "JWT"});
        let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(&header), encode(claims));
        let signature = self.pair.sign(&self.random, signed.as_bytes()).map_err(|_| Error::Sign)?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())))
    }

    /// The claims of a token of ours that is good at `now`, in seconds since the epoch.
    pub fn verify(&self, token: &str, now: i64) -> Result<Value, Refused> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Refused::Form)?;
        let (header, claims) = signed.split_once('.').ok_or(Refused::Form)?;
        if part(header)?["alg"] != "ES256" {
            return Err(Refused::Signature);
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Refused::Form)?;
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.public);
        key.verify(signed.as_bytes(), &signature).map_err(|_| Refused::Signature)?;
        let claims = part(claims)?;
        if claims["exp"].as_i64().is_none_or(|end| end <= now) {
            return Err(Refused::Expired);
        }
        if claims["nbf"].as_i64().is_some_and(|start| start > now) {
            return Err(Refused::Early);
        }
        Ok(claims)
    }

    /// The public key as a JSON web key set, for who checks our tokens elsewhere.
    pub fn key_set(&self) -> Value {
        // An uncompressed point: 4, then 32 bytes each of x and y.
        let (x, y) = self.public[1..].split_at(32);
        let encode = |coordinate: &[u8]| URL_SAFE_NO_PAD.encode(coordinate);
        json!({"keys": [{
            "use": "sig", "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": self.key_id, "x": encode(x), "y": encode(y),
        }]})
    }
}

fn part(text: &str) -> Result<Value, Refused> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Refused::Form)?;
    serde_json::from_slice(&bytes).map_err(|_| Refused::Form)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> (tempfile::TempDir, Signer) {
        let folder = tempfile::tempdir().unwrap();
        let signer = Signer::open(&folder.path().join("service.key")).unwrap();
        (folder, signer)
    }

    #[test]
    fn a_token_passes_in_its_time_only() {
        let (folder, signer) = signer();
        let token = signer.sign(&json!({"sub": "a", "nbf": 10, "exp": 20})).unwrap();
        assert_eq!(signer.verify(&token, 9), Err(Refused::Early));
        assert_eq!(signer.verify(&token, 10).unwrap()["sub"], "a");
        assert_eq!(signer.verify(&token, 20), Err(Refused::Expired));
        let reopened = Signer::open(&folder.path().join("service.key")).unwrap();
        assert!(reopened.verify(&token, 10).is_ok(), "tokens outlive a restart");
    }

    #[test]
    fn a_forged_token_does_not_pass() {
        let (_folder, signer) = signer();
        let (_other_folder, other) = self::signer();
        let claims = json!({"sub": "a", "exp": 20});
        let token = signer.sign(&claims).unwrap();
        assert_eq!(signer.verify(&other.sign(&claims).unwrap(), 0), Err(Refused::Signature));
        let parts: Vec<_> = token.split('.').collect();
        let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let changed = format!("{}.{}.{}", parts[0], encode(json!({"sub": "root", "exp": 20})), parts[2]);
        assert_eq!(signer.verify(&changed, 0), Err(Refused::Signature));
        let none = format!("{}.{}.", encode(json!({"alg": "none"})), parts[1]);
        assert_eq!(signer.verify(&none, 0), Err(Refused::Signature));
        for garbage in ["", ".", "..", "a.b.c", &token[..token.len() - 4]] {
            assert!(signer.verify(garbage, 0).is_err(), "{garbage:?}");
        }
    }

    #[test]
    fn a_token_without_an_end_does_not_pass() {
        let (_folder, signer) = signer();
        let token = signer.sign(&json!({"sub": "a"})).unwrap();
        assert_eq!(signer.verify(&token, 0), Err(Refused::Expired));
    }

    #[test]
    fn a_damaged_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("service.key");
        std::fs::write(&path, "half").unwrap();
        assert!(matches!(Signer::open(&path), Err(Error::Damaged { .. })));
    }
}
