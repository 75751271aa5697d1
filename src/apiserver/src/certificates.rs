//! Whom client certificates stand for, remembered: each request of a connection shows the same one again, and reading it
//! takes as long as looking up what the request asks for.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use crate::user::User;

/// More than a cluster has users and nodes at once. Beyond that all are forgotten, and read again.
const MOST: usize = 512;

#[derive(Debug, Default)]
pub(crate) struct Certificates(RwLock<HashMap<Box<[u8]>, User>>);

impl Certificates {
    /// The user behind a certificate (DER) that whoever took the connection has found good; none if it names none.
    pub(crate) fn user(&self, der: &[u8]) -> Option<User> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner).get(der).cloned();
        known.or_else(|| self.read(der))
    }

    fn read(&self, der: &[u8]) -> Option<User> {
        let user = User::of_certificate(der)?;
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(der.into(), user.clone());
        Some(user)
    }
}

#[cfg(test)]
mod tests {
    use pki::{Authority, Leaf};
    use x509_parser::pem::parse_x509_pem;

    use super::*;

    #[test]
    fn whoever_was_read_before_is_who_he_was() {
        let folder = tempfile::tempdir().unwrap();
        let now = pki::BUILT;
        let authority = Authority::open(folder.path(), "client", now).unwrap();
        let certificates = Certificates::default();
        // More than are remembered: the first is read twice.
        let ders: Vec<Vec<u8>> = (0..=MOST)
            .map(|number| {
                let identity =
                    authority.issue(&Leaf::client(format!("user-{number}"), Some("staff")), now).unwrap();
                parse_x509_pem(identity.certificate.as_bytes()).unwrap().1.contents
            })
            .collect();
        for _ in 0..2 {
            for (number, der) in ders.iter().enumerate() {
                let user = User::new(format!("user-{number}"), ["staff"]);
                assert_eq!(certificates.user(der).as_ref(), Some(&user));
                assert_eq!(certificates.user(der), Some(user), "remembered");
            }
        }
        assert!(certificates.0.read().unwrap().len() <= MOST);
        assert_eq!(certificates.user(b"none"), None);
    }
}
