//! admissionregistration.k8s.io: webhooks and policies that judge requests.

use super::Kind;
use super::entry::{GroupVersion, Names, names};

const V1: GroupVersion = GroupVersion::new("admissionregistration.k8s.io", "v1");

pub(super) static KINDS: &[Kind] = &[
    extension(names!(
        "io.k8s.api.admissionregistration.v1",
        MutatingAdmissionPolicy,
        "mutatingadmissionpolicies"
    )),
    extension(names!(
        "io.k8s.api.admissionregistration.v1",
        MutatingAdmissionPolicyBinding,
        "mutatingadmissionpolicybindings"
    )),
    extension(names!(
        "io.k8s.api.admissionregistration.v1",
        MutatingWebhookConfiguration,
        "mutatingwebhookconfigurations"
    )),
    Kind {
        subresources: &[V1.status("ValidatingAdmissionPolicy")],
        ..extension(names!(
            "io.k8s.api.admissionregistration.v1",
            ValidatingAdmissionPolicy,
            "validatingadmissionpolicies"
        ))
    },
    extension(names!(
        "io.k8s.api.admissionregistration.v1",
        ValidatingAdmissionPolicyBinding,
        "validatingadmissionpolicybindings"
    )),
    extension(names!(
        "io.k8s.api.admissionregistration.v1",
        ValidatingWebhookConfiguration,
        "validatingwebhookconfigurations"
    )),
];

const fn extension(names: Names) -> Kind {
    Kind { categories: &["api-extensions"], ..V1.cluster(names) }
}
