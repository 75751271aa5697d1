//! What a certificate says of its holder.

use std::net::IpAddr;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyUsagePurpose, SanType};
use time::OffsetDateTime;

use crate::Error;
use crate::validity::{self, Validity};

/// What a holder may use its certificate for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    Client,
    Server,
}

/// The request for a certificate: the user and groups it stands for, or the names it serves.
#[derive(Clone, Debug)]
pub struct Leaf {
    pub common_name: String,
    /// A client's group. One: rcgen writes a single organization, and no component of ours needs more.
    pub group: Option<String>,
    pub dns_names: Vec<String>,
    pub addresses: Vec<IpAddr>,
    pub usage: Usage,
}

/// A certificate with its key, both PEM.
#[derive(Clone)]
pub struct Identity {
    pub certificate: String,
    pub key: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl Identity {
    /// Whether it should be made anew: it is soon over, or cannot be read.
    pub fn is_due(&self, now: OffsetDateTime) -> bool {
        let pem = x509_parser::pem::parse_x509_pem(self.certificate.as_bytes());
        let certificate = pem.as_ref().ok().and_then(|(_, pem)| pem.parse_x509().ok());
        certificate.is_none_or(|it| validity::is_due(it.validity().not_after.to_datetime(), now))
    }
}

impl Leaf {
    pub fn client(user: impl Into<String>, group: Option<&str>) -> Self {
        Self {
            common_name: user.into(),
            group: group.map(ToString::to_string),
            dns_names: Vec::new(),
            addresses: Vec::new(),
            usage: Usage::Client,
        }
    }

    /// For a server that is reached by these names and addresses.
    pub fn server(name: impl Into<String>, dns_names: Vec<String>, addresses: Vec<IpAddr>) -> Self {
        Self { common_name: name.into(), group: None, dns_names, addresses, usage: Usage::Server }
    }

    pub(crate) fn params(&self, now: OffsetDateTime) -> Result<CertificateParams, Error> {
        let mut params = CertificateParams::default();
        let validity = Validity::of_leaf(now);
        (params.not_before, params.not_after) = (validity.from, validity.until);
        params.distinguished_name = rcgen::DistinguishedName::new();
        if let Some(group) = &self.group {
            params.distinguished_name.push(DnType::OrganizationName, group.as_str());
        }
        params.distinguished_name.push(DnType::CommonName, self.common_name.as_str());
        for name in &self.dns_names {
            let name =
                name.as_str().try_into().map_err(|source| Error::Name { name: name.clone(), source })?;
            params.subject_alt_names.push(SanType::DnsName(name));
        }
        params.subject_alt_names.extend(self.addresses.iter().copied().map(SanType::IpAddress));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match self.usage {
            Usage::Client => ExtendedKeyUsagePurpose::ClientAuth,
            Usage::Server => ExtendedKeyUsagePurpose::ServerAuth,
        }];
        params.use_authority_key_identifier_extension = true;
        Ok(params)
    }
}
