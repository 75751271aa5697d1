//! admissionregistration.k8s.io: webhooks and policies that judge requests.

mod policy;
mod policy_rules;
mod webhook;

use super::entry::{GroupVersion, Names, names};
use super::{Generation, Kind, Strategy};
use crate::metadata::keep_described;

pub(in crate::kinds) use policy_rules::mixed_case;
pub(in crate::kinds) use webhook::{client, client_defaults, review_versions};

const V1: GroupVersion = GroupVersion::new("admissionregistration.k8s.io", "v1");

const WRITTEN: Strategy = Strategy {
    any_finalizer: true,
    generation: Generation::Spec,
    unconditional_update: false,
    ..Strategy::PLAIN
};

pub(super) static KINDS: &[Kind] = &[
    Kind {
        strategy: Strategy { defaults: policy::defaults, validate: policy_rules::mutating, ..WRITTEN },
        table: &policy::MUTATING_TABLE,
        ..extension(names!(
            "io.k8s.api.admissionregistration.v1",
            MutatingAdmissionPolicy,
            "mutatingadmissionpolicies"
        ))
    },
    Kind {
        strategy: Strategy { defaults: policy::binding_defaults, validate: policy_rules::binding, ..WRITTEN },
        table: &policy::BINDING_TABLE,
        ..extension(names!(
            "io.k8s.api.admissionregistration.v1",
            MutatingAdmissionPolicyBinding,
            "mutatingadmissionpolicybindings"
        ))
    },
    Kind {
        strategy: Strategy { defaults: webhook::mutating_defaults, validate: webhook::validate, ..WRITTEN },
        table: &webhook::TABLE,
        ..extension(names!(
            "io.k8s.api.admissionregistration.v1",
            MutatingWebhookConfiguration,
            "mutatingwebhookconfigurations"
        ))
    },
    Kind {
        subresources: &[V1.status("ValidatingAdmissionPolicy")],
        strategy: Strategy {
            defaults: policy::defaults,
            prepare_status: keep_described,
            validate: policy_rules::validating,
            validate_status: policy_rules::status,
            ..WRITTEN
        },
        table: &policy::VALIDATING_TABLE,
        ..extension(names!(
            "io.k8s.api.admissionregistration.v1",
            ValidatingAdmissionPolicy,
            "validatingadmissionpolicies"
        ))
    },
    Kind {
        strategy: Strategy {
            defaults: policy::binding_defaults,
            validate: policy_rules::validating_binding,
            ..WRITTEN
        },
        table: &policy::BINDING_TABLE,
        ..extension(names!(
            "io.k8s.api.admissionregistration.v1",
            ValidatingAdmissionPolicyBinding,
            "validatingadmissionpolicybindings"
        ))
    },
    Kind {
        strategy: Strategy { defaults: webhook::defaults, validate: webhook::validate, ..WRITTEN },
        table: &webhook::TABLE,
        ..extension(names!(
            "io.k8s.api.admissionregistration.v1",
            ValidatingWebhookConfiguration,
            "validatingwebhookconfigurations"
        ))
    },
];

const fn extension(names: Names) -> Kind {
    Kind { categories: &["api-extensions"], ..V1.cluster(names) }
}
