//! What upstream's Go types say and its OpenAPI types as k8s-openapi passes them on do not. Kept by hand, GA types only,
//! exceptions only: a list that is not named here is atomic, an object or map is granular.
//!
//! Type names are without their `io.k8s.api.` (or `io.k8s.`) prefix.

use serde_json::{Map, Value};

use crate::convert::short_name;

/// Lists that are maps: `field=key,key`. A strategic merge patch merges them too, by the first key; `field:key` says
/// that it does not, and a `+` at the end that it honours retainKeys.
pub const KEYED: &[(&str, &str)] = &[
    ("admissionregistration.v1.MutatingAdmissionPolicySpec", "matchConditions=name"),
    ("admissionregistration.v1.MutatingWebhook", "matchConditions=name"),
    ("admissionregistration.v1.MutatingWebhookConfiguration", "webhooks=name"),
    ("admissionregistration.v1.ValidatingAdmissionPolicySpec", "matchConditions=name variables=name"),
    ("admissionregistration.v1.ValidatingAdmissionPolicyStatus", "conditions:type"),
    ("admissionregistration.v1.ValidatingWebhook", "matchConditions=name"),
    ("admissionregistration.v1.ValidatingWebhookConfiguration", "webhooks=name"),
    ("apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionStatus", "conditions:type"),
    ("apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps", "x-kubernetes-validations=rule"),
    ("apimachinery.pkg.apis.meta.v1.ObjectMeta", "ownerReferences=uid"),
    ("apps.v1.DaemonSetStatus", "conditions=type"),
    ("apps.v1.DeploymentStatus", "conditions=type"),
    ("apps.v1.ReplicaSetStatus", "conditions=type"),
    ("apps.v1.StatefulSetStatus", "conditions=type"),
    ("autoscaling.v2.HorizontalPodAutoscalerStatus", "conditions=type"),
    ("batch.v1.JobSchedulingConfiguration", "resourceClaims=name+"),
    ("certificates.v1.CertificateSigningRequestStatus", "conditions:type"),
    ("certificates.v1.PodCertificateRequestStatus", "conditions=type"),
    ("core.v1.ComponentStatus", "conditions=type"),
    (
        "core.v1.Container",
        "env=name ports=containerPort,protocol volumeDevices=devicePath volumeMounts=mountPath",
    ),
    ("core.v1.ContainerStatus", "allocatedResourcesStatus=name volumeMounts=mountPath"),
    (
        "core.v1.EphemeralContainer",
        "env=name ports=containerPort,protocol volumeDevices=devicePath volumeMounts=mountPath",
    ),
    ("core.v1.NamespaceStatus", "conditions=type"),
    ("core.v1.NodeAllocatableResourceClaimStatus", "mapping:name overhead:name"),
    ("core.v1.NodeStatus", "addresses=type conditions=type"),
    ("core.v1.PersistentVolumeClaimStatus", "conditions=type"),
    (
        "core.v1.PodSpec",
        "containers=name ephemeralContainers=name evictionResponders=name hostAliases=ip imagePullSecrets=name \
         initContainers=name resourceClaims=name+ schedulingGates=name \
         topologySpreadConstraints=topologyKey,whenUnsatisfiable volumes=name+",
    ),
    ("core.v1.PodStatus", "conditions=type podIPs=ip resourceClaimStatuses=name+ volumeHealth:name"),
    ("core.v1.PodVolumeHealth", "healthConditions:status"),
    ("core.v1.ReplicationControllerStatus", "conditions=type"),
    ("core.v1.ResourceRequirements", "claims:name"),
    ("core.v1.ResourceStatus", "resources:resourceID"),
    ("core.v1.ServiceAccount", "secrets=name"),
    ("core.v1.ServiceSpec", "ports=port,protocol"),
    ("core.v1.ServiceStatus", "conditions=type"),
    ("core.v1.VolumeHealthStatus", "healthConditions:status"),
    ("flowcontrol.v1.FlowSchemaStatus", "conditions=type"),
    ("flowcontrol.v1.PriorityLevelConfigurationStatus", "conditions=type"),
    ("kube-aggregator.pkg.apis.apiregistration.v1.APIServiceStatus", "conditions=type"),
    ("networking.v1.ServiceCIDRStatus", "conditions=type"),
    ("policy.v1.PodDisruptionBudgetStatus", "conditions=type"),
    ("resource.v1.AllocatedDeviceStatus", "conditions:type"),
    ("resource.v1.DeviceTaintRuleStatus", "conditions=type"),
    ("resource.v1.ResourceClaimStatus", "devices:driver,device,pool,shareID reservedFor=uid"),
    ("storage.v1.CSINodeSpec", "drivers=name"),
    ("storage.v1.CSINodeStatus", "storageHealth:name"),
    ("storagemigration.v1.StorageVersionMigrationStatus", "conditions=type"),
];

/// Lists that are sets; `+` marks those that a strategic merge patch merges.
pub const SETS: &[(&str, &str)] = &[
    ("admissionregistration.v1.ValidatingAdmissionPolicyBindingSpec", "validationActions"),
    ("apimachinery.pkg.apis.meta.v1.ObjectMeta", "finalizers+"),
    ("batch.v1.PodFailurePolicyOnExitCodesRequirement", "values"),
    ("batch.v1.UncountedTerminatedPods", "failed succeeded"),
    ("core.v1.ContainerRestartRuleOnExitCodes", "values"),
    ("core.v1.NodeAllocatableResourceClaimStatus", "containers"),
    ("core.v1.NodePodPreemptionPolicy", "disableResizePreemption"),
    ("core.v1.NodeSpec", "podCIDRs+"),
    ("core.v1.VolumeMount", "bindMountOptions"),
    ("discovery.v1.Endpoint", "addresses"),
    ("flowcontrol.v1.NonResourcePolicyRule", "nonResourceURLs verbs"),
    ("flowcontrol.v1.ResourcePolicyRule", "apiGroups namespaces resources verbs"),
    ("resource.v1.DeviceRequestAllocationResult", "skipNodeOperations"),
    ("resource.v1.ResourceSliceSpec", "skipNodeOperations"),
    ("storage.v1.CSIDriverSpec", "volumeLifecycleModes"),
];

/// Lists that server-side apply takes whole and a strategic merge patch merges by this key.
pub const PATCHED_ATOMIC_LISTS: &[(&str, &str)] =
    &[("batch.v1.JobStatus", "conditions=type"), ("core.v1.PodStatus", "hostIPs=ip")];

/// Objects of these types are applied whole.
pub const ATOMIC_TYPES: &[&str] = &[
    "admissionregistration.v1.MatchResources",
    "admissionregistration.v1.NamedRuleWithOperations",
    "admissionregistration.v1.ParamKind",
    "admissionregistration.v1.ParamRef",
    "admissionregistration.v1.Variable",
    "apimachinery.pkg.apis.meta.v1.LabelSelector",
    "apimachinery.pkg.apis.meta.v1.OwnerReference",
    "autoscaling.v1.CrossVersionObjectReference",
    "core.v1.ConfigMapKeySelector",
    "core.v1.EndpointAddress",
    "core.v1.EndpointPort",
    "core.v1.FileKeySelector",
    "core.v1.LocalObjectReference",
    "core.v1.NodeSelector",
    "core.v1.NodeSelectorTerm",
    "core.v1.ObjectFieldSelector",
    "core.v1.ObjectReference",
    "core.v1.ResourceFieldSelector",
    "core.v1.ScopeSelector",
    "core.v1.SecretKeySelector",
    "core.v1.SecretReference",
    "core.v1.TopologySelectorTerm",
    "core.v1.TypedLocalObjectReference",
    "discovery.v1.EndpointPort",
    "networking.v1.ServiceBackendPort",
    "rbac.v1.RoleRef",
    "rbac.v1.Subject",
];

/// Maps that are applied whole.
pub const ATOMIC_MAPS: &[(&str, &str)] = &[
    ("core.v1.PodSpec", "nodeSelector"),
    ("core.v1.ReplicationControllerSpec", "selector"),
    ("core.v1.ServiceSpec", "selector"),
    ("node.v1.Scheduling", "nodeSelector"),
];

/// Fields whose object is granular though its type is atomic.
pub const GRANULAR: &[(&str, &str)] = &[("core.v1.PersistentVolumeSpec", "claimRef")];

/// Objects that a strategic merge patch replaces, and those where it honours retainKeys.
pub const PATCH_REPLACES: &[(&str, &str)] = &[("policy.v1.PodDisruptionBudgetSpec", "selector")];
pub const PATCH_RETAINS_KEYS: &[(&str, &str)] = &[("apps.v1.DeploymentSpec", "strategy")];

/// Defaults that the schema itself publishes, as JSON. Keys of lists need theirs to name an element that leaves it out.
pub const DEFAULTS: &[(&str, &str, &str)] =
    &[("core.v1.ContainerPort", "protocol", "\"TCP\""), ("core.v1.ServicePort", "protocol", "\"TCP\"")];

/// What the tables above say of one list.
#[derive(Default)]
pub struct List {
    pub set: bool,
    pub keys: Option<Vec<&'static str>>,
    pub merge: bool,
    pub retain_keys: bool,
    pub merge_key: Option<&'static str>,
}

pub fn list(type_name: &str, field: &str) -> List {
    if let Some(fact) = lookup(SETS, type_name, field) {
        return List { set: true, merge: fact.ends_with('+'), ..List::default() };
    }
    if let Some(fact) = lookup(PATCHED_ATOMIC_LISTS, type_name, field) {
        return List { merge: true, merge_key: fact.split('=').nth(1), ..List::default() };
    }
    let Some(fact) = lookup(KEYED, type_name, field) else { return List::default() };
    let keys = fact[field.len() + 1..].trim_end_matches('+');
    let keys: Vec<&'static str> = keys.split(',').collect();
    let merge = fact.as_bytes()[field.len()] == b'=';
    let merge_key = merge.then_some(keys[0]);
    List { set: false, keys: Some(keys), merge, retain_keys: fact.ends_with('+'), merge_key }
}

pub fn default(type_name: &str, field: &str) -> &'static str {
    DEFAULTS.iter().find(|row| row.0 == type_name && row.1 == field).map_or("", |row| row.2)
}

/// The words of a table's row that are about this field.
fn lookup(table: &[(&str, &'static str)], type_name: &str, field: &str) -> Option<&'static str> {
    let (_, facts) = table.iter().find(|row| row.0 == type_name)?;
    facts.split_whitespace().find(|fact| field_of(fact) == field)
}

fn field_of(fact: &str) -> &str {
    fact.split(['=', ':', '+']).next().unwrap_or_default()
}

/// A fact about a type or field that does not exist is a typing error.
pub fn check(definitions: &Map<String, Value>) {
    let known = |type_name: &str, field: &str| {
        let schema = definitions.iter().find(|(name, _)| short_name(name) == type_name);
        let (_, schema) = schema.unwrap_or_else(|| panic!("facts name {type_name}, which does not exist"));
        assert!(
            field.is_empty() || schema["properties"].get(field).is_some(),
            "no field {field} in {type_name}"
        );
    };
    for (type_name, facts) in KEYED.iter().chain(SETS).chain(PATCHED_ATOMIC_LISTS) {
        facts.split_whitespace().for_each(|fact| known(type_name, field_of(fact)));
    }
    for (type_name, field) in
        ATOMIC_MAPS.iter().chain(GRANULAR).chain(PATCH_REPLACES).chain(PATCH_RETAINS_KEYS)
    {
        known(type_name, field);
    }
    ATOMIC_TYPES.iter().for_each(|type_name| known(type_name, ""));
    DEFAULTS.iter().for_each(|(type_name, field, _)| known(type_name, field));
}
