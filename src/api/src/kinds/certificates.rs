//! certificates.k8s.io: requests to be signed by the cluster's authorities.

use super::entry::{GET_WRITE, GroupVersion, names};
use super::field::Field;
use super::{Kind, Selectable};

const V1: GroupVersion = GroupVersion::new("certificates.k8s.io", "v1");

pub(super) static KINDS: &[Kind] = &[Kind {
    short_names: &["csr"],
    subresources: &[
        V1.sub("approval", "CertificateSigningRequest", GET_WRITE),
        V1.status("CertificateSigningRequest"),
    ],
    fields: Selectable(&[Field::new("spec.signerName", &["spec", "signerName"])]),
    ..V1.cluster(names!(
        "io.k8s.api.certificates.v1",
        CertificateSigningRequest,
        "certificatesigningrequests"
    ))
}];
