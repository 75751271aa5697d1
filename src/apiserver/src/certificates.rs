//! Whom client certificates stand for, remembered: each request of a connection shows the same one again, and reading it
//! takes as long as looking up what the request asks for.
//!
//! The time is looked at each time. A certificate was good when the connection began, or one whose session this connection
//! resumes: both may be long ago. A clock that is behind refuses nobody: what `pki` signs is good from the epoch on.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::{PoisonError, RwLock};

use jiff::Timestamp;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::user::User;

/// More than a cluster has users and nodes at once. Beyond that all are forgotten, and read again.
const MOST: usize = 512;

#[derive(Debug, Default)]
pub(crate) struct Certificates(RwLock<HashMap<Box<[u8]>, Holder>>);

impl Certificates {
    /// The user behind a certificate (DER) of which whoever took the connection has checked who signed it; none if it names
    /// none, or not any more.
    pub(crate) fn user(&self, der: &[u8], now: Timestamp) -> Option<User> {
        if let Some(holder) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(der) {
            return holder.user(now).cloned();
        }
        let holder = Holder::of(der)?;
        let user = holder.user(now).cloned();
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(der.into(), holder);
        user
    }
}

/// What a certificate says of who holds it.
#[derive(Debug)]
struct Holder {
    user: User,
    /// Seconds since the epoch.
    good: RangeInclusive<i64>,
}

impl Holder {
    /// The common name is the user, each organization a group.
    fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let (subject, validity) = (certificate.subject(), certificate.validity());
        let name = subject.iter_common_name().next()?.as_str().ok()?;
        let groups = subject.iter_organization().filter_map(|group| group.as_str().ok());
        let good = validity.not_before.timestamp()..=validity.not_after.timestamp();
        Some(Self { user: User::new(name, groups), good })
    }

    fn user(&self, now: Timestamp) -> Option<&User> {
        self.good.contains(&now.as_second()).then_some(&self.user)
    }
}

impl User {
    /// Whom a client certificate (DER) stands for at this time. Whoever took the connection has checked who signed it.
    pub fn of_certificate(der: &[u8], now: Timestamp) -> Option<Self> {
        Holder::of(der)?.user(now).cloned()
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use pki::{Authority, Leaf};
    use time::OffsetDateTime;
    use x509_parser::pem::parse_x509_pem;

    use super::*;

    const BUILT: OffsetDateTime = time::macros::datetime!(2026-11-01 00:00 UTC);

    fn built() -> Timestamp {
        Timestamp::from_second(BUILT.unix_timestamp()).unwrap()
    }

    fn der(authority: &Authority, user: &str) -> Vec<u8> {
        let identity = authority.issue(&Leaf::client(user, Some("staff")), BUILT).unwrap();
        parse_x509_pem(identity.certificate.as_bytes()).unwrap().1.contents
    }

    #[test]
    fn whoever_was_read_before_is_who_he_was() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path(), "client", BUILT).unwrap();
        let certificates = Certificates::default();
        // More than are remembered: the first is read twice.
        let ders: Vec<Vec<u8>> =
            (0..=MOST).map(|number| der(&authority, &format!("user-{number}"))).collect();
        for _ in 0..2 {
            for (number, der) in ders.iter().enumerate() {
                let user = User::new(format!("user-{number}"), ["staff"]);
                assert_eq!(certificates.user(der, built()).as_ref(), Some(&user));
                assert_eq!(certificates.user(der, built()), Some(user), "remembered");
            }
        }
        assert!(certificates.0.read().unwrap().len() <= MOST);
        assert_eq!(certificates.user(b"none", built()), None);
    }

    #[test]
    fn a_certificate_ends_while_its_connection_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path(), "client", BUILT).unwrap();
        let (certificates, der) = (Certificates::default(), der(&authority, "ann"));
        let late = built() + SignedDuration::from_hours(366 * 24);
        for (time, good) in [(Timestamp::UNIX_EPOCH, true), (built(), true), (late, false)] {
            assert_eq!(User::of_certificate(&der, time).is_some(), good, "{time}");
            for _ in 0..2 {
                assert_eq!(certificates.user(&der, time).is_some(), good, "{time}");
            }
        }
    }
}
