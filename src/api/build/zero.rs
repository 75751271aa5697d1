//! What becomes of empty values, which upstream's OpenAPI does not say: whether a Go field is a pointer, a plain value
//! with `omitempty`, or written always. Kept by hand, GA types only, exceptions only: an optional scalar is a plain value
//! with `omitempty` and a required one is always written, unless named here.

use serde_json::{Map, Value};

use crate::convert::short_name;

/// Optional scalars behind a pointer: `0`, `false` and `""` are values of their own. And one list: empty, it asks for
/// something.
const POINTERS: &[(&str, &str)] = &[
    ("admissionregistration.v1.MatchResources", "matchPolicy"),
    ("admissionregistration.v1.MutatingAdmissionPolicySpec", "failurePolicy"),
    (
        "admissionregistration.v1.MutatingWebhook",
        "failurePolicy matchPolicy reinvocationPolicy timeoutSeconds",
    ),
    ("admissionregistration.v1.NamedRuleWithOperations", "scope"),
    ("admissionregistration.v1.ParamRef", "parameterNotFoundAction"),
    ("admissionregistration.v1.RuleWithOperations", "scope"),
    ("admissionregistration.v1.ServiceReference", "path port"),
    ("admissionregistration.v1.ValidatingAdmissionPolicySpec", "failurePolicy"),
    ("admissionregistration.v1.ValidatingWebhook", "failurePolicy matchPolicy timeoutSeconds"),
    ("admissionregistration.v1.Validation", "reason"),
    ("admissionregistration.v1.WebhookClientConfig", "url"),
    (
        "apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionVersion",
        "deprecationWarning",
    ),
    ("apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceSubresourceScale", "labelSelectorPath"),
    (
        "apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps",
        "$ref maxItems maxLength maxProperties maximum minItems minLength minProperties minimum multipleOf \
         x-kubernetes-list-type x-kubernetes-map-type x-kubernetes-preserve-unknown-fields",
    ),
    ("apiextensions-apiserver.pkg.apis.apiextensions.v1.ServiceReference", "path port"),
    ("apiextensions-apiserver.pkg.apis.apiextensions.v1.ValidationRule", "optionalOldSelf reason"),
    ("apiextensions-apiserver.pkg.apis.apiextensions.v1.WebhookClientConfig", "url"),
    (
        "apimachinery.pkg.apis.meta.v1.DeleteOptions",
        "gracePeriodSeconds ignoreStoreReadErrorWithClusterBreakingPotential orphanDependents propagationPolicy",
    ),
    ("apimachinery.pkg.apis.meta.v1.ListMeta", "remainingItemCount"),
    ("apimachinery.pkg.apis.meta.v1.ObjectMeta", "deletionGracePeriodSeconds managedFields"),
    ("apimachinery.pkg.apis.meta.v1.OwnerReference", "blockOwnerDeletion controller"),
    ("apimachinery.pkg.apis.meta.v1.Preconditions", "resourceVersion uid"),
    ("apps.v1.DaemonSetSpec", "revisionHistoryLimit"),
    ("apps.v1.DaemonSetStatus", "collisionCount"),
    ("apps.v1.DeploymentSpec", "progressDeadlineSeconds replicas revisionHistoryLimit"),
    ("apps.v1.DeploymentStatus", "collisionCount terminatingReplicas"),
    ("apps.v1.ReplicaSetSpec", "replicas"),
    ("apps.v1.ReplicaSetStatus", "terminatingReplicas"),
    ("apps.v1.RollingUpdateStatefulSetStrategy", "partition"),
    ("apps.v1.StatefulSetSpec", "replicas revisionHistoryLimit"),
    ("apps.v1.StatefulSetStatus", "collisionCount"),
    ("authentication.v1.TokenRequestSpec", "expirationSeconds"),
    ("autoscaling.v1.HorizontalPodAutoscalerSpec", "minReplicas targetCPUUtilizationPercentage"),
    ("autoscaling.v1.HorizontalPodAutoscalerStatus", "currentCPUUtilizationPercentage observedGeneration"),
    ("autoscaling.v2.HPAScalingRules", "selectPolicy stabilizationWindowSeconds"),
    ("autoscaling.v2.HorizontalPodAutoscalerSpec", "minReplicas"),
    ("autoscaling.v2.HorizontalPodAutoscalerStatus", "observedGeneration"),
    ("autoscaling.v2.MetricTarget", "averageUtilization"),
    ("autoscaling.v2.MetricValueStatus", "averageUtilization"),
    (
        "batch.v1.CronJobSpec",
        "failedJobsHistoryLimit startingDeadlineSeconds successfulJobsHistoryLimit suspend timeZone",
    ),
    (
        "batch.v1.JobSpec",
        "activeDeadlineSeconds backoffLimit backoffLimitPerIndex completionMode completions managedBy manualSelector \
         maxFailedIndexes parallelism podReplacementPolicy suspend ttlSecondsAfterFinished",
    ),
    ("batch.v1.JobStatus", "failedIndexes ready terminating"),
    ("batch.v1.PodFailurePolicyOnExitCodesRequirement", "containerName"),
    ("batch.v1.SuccessPolicyRule", "succeededCount succeededIndexes"),
    ("certificates.v1.CertificateSigningRequestSpec", "expirationSeconds"),
    ("certificates.v1.PodCertificateRequestSpec", "maxExpirationSeconds"),
    (
        "coordination.v1.LeaseSpec",
        "holderIdentity leaseDurationSeconds leaseTransitions preferredHolder strategy",
    ),
    ("core.v1.AppArmorProfile", "localhostProfile"),
    ("core.v1.AzureDiskVolumeSource", "cachingMode fsType readOnly"),
    ("core.v1.AzureFilePersistentVolumeSource", "secretNamespace"),
    ("core.v1.CSIVolumeSource", "fsType readOnly"),
    ("core.v1.ClientIPConfig", "timeoutSeconds"),
    ("core.v1.ClusterTrustBundleProjection", "name optional signerName user"),
    ("core.v1.ConfigMap", "immutable"),
    ("core.v1.ConfigMapEnvSource", "optional"),
    ("core.v1.ConfigMapKeySelector", "optional"),
    ("core.v1.ConfigMapProjection", "optional"),
    ("core.v1.ConfigMapVolumeSource", "defaultMode defaultUser optional"),
    ("core.v1.Container", "restartPolicy"),
    ("core.v1.ContainerStatus", "started stopSignal"),
    ("core.v1.DownwardAPIVolumeFile", "mode user"),
    ("core.v1.DownwardAPIVolumeSource", "defaultMode defaultUser"),
    ("core.v1.EmptyDirVolumeSource", "mode"),
    ("core.v1.EndpointAddress", "nodeName"),
    ("core.v1.EndpointPort", "appProtocol"),
    ("core.v1.EphemeralContainer", "restartPolicy"),
    ("core.v1.FCVolumeSource", "lun"),
    ("core.v1.FileKeySelector", "optional"),
    ("core.v1.GRPCAction", "service"),
    ("core.v1.GlusterfsPersistentVolumeSource", "endpointsNamespace"),
    ("core.v1.HostPathVolumeSource", "type"),
    ("core.v1.ISCSIPersistentVolumeSource", "initiatorName"),
    ("core.v1.ISCSIVolumeSource", "initiatorName"),
    ("core.v1.KeyToPath", "mode user"),
    ("core.v1.Lifecycle", "stopSignal"),
    ("core.v1.LoadBalancerIngress", "ipMode"),
    ("core.v1.LocalVolumeSource", "fsType"),
    ("core.v1.NodeFeatures", "supplementalGroupsPolicy"),
    ("core.v1.NodeRuntimeHandlerFeatures", "recursiveReadOnlyMounts userNamespaces"),
    ("core.v1.NodeSwapStatus", "capacity"),
    ("core.v1.NodeSystemInfo", "runningInUserNamespace"),
    ("core.v1.PersistentVolumeClaimSpec", "storageClassName volumeAttributesClassName volumeMode"),
    ("core.v1.PersistentVolumeClaimStatus", "currentVolumeAttributesClassName"),
    ("core.v1.PersistentVolumeSpec", "volumeAttributesClassName volumeMode"),
    ("core.v1.PodCertificateProjection", "maxExpirationSeconds user"),
    ("core.v1.PodDNSConfigOption", "value"),
    ("core.v1.PodResourceClaim", "resourceClaimName resourceClaimTemplateName"),
    ("core.v1.PodResourceClaimStatus", "resourceClaimName"),
    ("core.v1.PodSchedulingGroup", "podGroupName"),
    (
        "core.v1.PodSecurityContext",
        "fsGroup fsGroupChangePolicy runAsGroup runAsNonRoot runAsUser seLinuxChangePolicy supplementalGroupsPolicy",
    ),
    (
        "core.v1.PodSpec",
        "activeDeadlineSeconds automountServiceAccountToken enableServiceLinks hostUsers hostnameOverride \
         preemptionPolicy priority runtimeClassName setHostnameAsFQDN shareProcessNamespace \
         terminationGracePeriodSeconds",
    ),
    ("core.v1.PortStatus", "error"),
    ("core.v1.Probe", "terminationGracePeriodSeconds"),
    ("core.v1.ProjectedVolumeSource", "defaultMode defaultUser"),
    ("core.v1.ReplicationControllerSpec", "replicas"),
    ("core.v1.SeccompProfile", "localhostProfile"),
    ("core.v1.Secret", "immutable"),
    ("core.v1.SecretEnvSource", "optional"),
    ("core.v1.SecretKeySelector", "optional"),
    ("core.v1.SecretProjection", "optional"),
    ("core.v1.SecretVolumeSource", "defaultMode defaultUser optional"),
    (
        "core.v1.SecurityContext",
        "allowPrivilegeEscalation privileged procMount readOnlyRootFilesystem runAsGroup runAsNonRoot runAsUser",
    ),
    ("core.v1.ServiceAccount", "automountServiceAccountToken"),
    ("core.v1.ServiceAccountTokenProjection", "expirationSeconds user"),
    ("core.v1.ServicePort", "appProtocol"),
    (
        "core.v1.ServiceSpec",
        "allocateLoadBalancerNodePorts internalTrafficPolicy ipFamilyPolicy loadBalancerClass trafficDistribution",
    ),
    ("core.v1.Toleration", "tolerationSeconds"),
    ("core.v1.TopologySpreadConstraint", "minDomains nodeAffinityPolicy nodeTaintsPolicy"),
    ("core.v1.TypedLocalObjectReference", "apiGroup"),
    ("core.v1.TypedObjectReference", "apiGroup namespace"),
    ("core.v1.VolumeMount", "mountPropagation recursiveReadOnly"),
    ("core.v1.VolumeMountStatus", "recursiveReadOnly"),
    (
        "core.v1.WindowsSecurityContextOptions",
        "gmsaCredentialSpec gmsaCredentialSpecName hostProcess runAsUserName",
    ),
    ("discovery.v1.Endpoint", "hostname nodeName zone"),
    ("discovery.v1.EndpointConditions", "ready serving terminating"),
    ("discovery.v1.EndpointPort", "appProtocol name port protocol"),
    ("flowcontrol.v1.ExemptPriorityLevelConfiguration", "lendablePercent nominalConcurrencyShares"),
    (
        "flowcontrol.v1.LimitedPriorityLevelConfiguration",
        "borrowingLimitPercent lendablePercent nominalConcurrencyShares",
    ),
    ("kube-aggregator.pkg.apis.apiregistration.v1.ServiceReference", "port"),
    ("networking.v1.IngressClassParametersReference", "apiGroup namespace scope"),
    ("networking.v1.IngressPortStatus", "error"),
    ("networking.v1.IngressSpec", "ingressClassName"),
    ("networking.v1.NetworkPolicyPort", "endPort protocol"),
    ("policy.v1.PodDisruptionBudgetSpec", "unhealthyPodEvictionPolicy"),
    ("resource.v1.AllocatedDeviceStatus", "shareID"),
    ("resource.v1.Device", "allNodes allowMultipleAllocations bindsToNode nodeName"),
    ("resource.v1.DeviceAttribute", "bool int string version"),
    ("resource.v1.DeviceClassSpec", "extendedResourceName"),
    ("resource.v1.DeviceConstraint", "distinctAttribute matchAttribute"),
    ("resource.v1.DeviceRequestAllocationResult", "adminAccess shareID"),
    ("resource.v1.DeviceTaintSelector", "device driver pool"),
    ("resource.v1.DeviceToleration", "tolerationSeconds"),
    ("resource.v1.ExactDeviceRequest", "adminAccess"),
    ("resource.v1.ResourceSliceSpec", "allNodes nodeName partitionTypeAttribute perDeviceNodeSelection"),
    ("scheduling.v1.PriorityClass", "preemptionPolicy"),
    (
        "storage.v1.CSIDriverSpec",
        "attachRequired fsGroupPolicy nodeAllocatableUpdatePeriodSeconds podInfoOnMount preventPodSchedulingIfMissing \
         requiresRepublish seLinuxMount serviceAccountTokenInSecrets storageCapacity",
    ),
    ("storage.v1.StorageClass", "allowVolumeExpansion reclaimPolicy volumeBindingMode"),
    ("storage.v1.TokenRequest", "expirationSeconds"),
    ("storage.v1.VolumeAttachmentSource", "persistentVolumeName"),
    ("storage.v1.VolumeError", "errorCode"),
    ("storage.v1.VolumeNodeResources", "count"),
];

/// Optional scalars that are written even when empty.
const WRITTEN: &[(&str, &str)] = &[
    ("apps.v1.ControllerRevision", "revision"),
    ("apps.v1.DaemonSetCondition", "status type"),
    ("apps.v1.DeploymentCondition", "status type"),
    ("apps.v1.ReplicaSetCondition", "status type"),
    ("apps.v1.StatefulSetCondition", "status type"),
    ("apps.v1.StatefulSetStatus", "availableReplicas"),
    ("flowcontrol.v1.FlowSchemaSpec", "matchingPrecedence"),
    ("policy.v1.PodDisruptionBudgetStatus", "currentHealthy desiredHealthy disruptionsAllowed expectedPods"),
    ("rbac.v1.RoleRef", "apiGroup"),
    ("scheduling.v1.PriorityClass", "value"),
];

/// Objects that are plain struct members, which Go always writes. So is every `metadata`, `spec`, `status` and `template`,
/// but for those in [`OPTIONAL`].
const STRUCTS: &[(&str, &str)] = &[
    ("apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionStatus", "acceptedNames"),
    ("apps.v1.DaemonSetSpec", "updateStrategy"),
    ("apps.v1.DeploymentSpec", "strategy"),
    ("apps.v1.StatefulSetSpec", "updateStrategy"),
    ("authentication.v1.SelfSubjectReviewStatus", "userInfo"),
    ("authentication.v1.TokenReviewStatus", "user"),
    ("core.v1.Container", "resources"),
    ("core.v1.ContainerStatus", "lastState state"),
    ("core.v1.EphemeralContainer", "resources"),
    ("core.v1.Event", "source"),
    ("core.v1.NodeDaemonEndpoints", "kubeletEndpoint"),
    ("core.v1.NodeStatus", "daemonEndpoints nodeInfo"),
    ("core.v1.PersistentVolumeClaimSpec", "resources"),
    ("core.v1.ServiceStatus", "loadBalancer"),
    ("discovery.v1.Endpoint", "conditions"),
    ("events.v1.Event", "deprecatedSource regarding"),
    ("networking.v1.IngressServiceBackend", "port"),
    ("networking.v1.IngressStatus", "loadBalancer"),
    ("networking.v1.NetworkPolicySpec", "podSelector"),
    ("resource.v1.AllocationResult", "devices"),
    ("resource.v1.ResourceClaimSpec", "devices"),
];

/// Members named like a struct that are pointers.
const OPTIONAL: &[(&str, &str)] = &[
    ("apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceSubresources", "status"),
    ("core.v1.ReplicationControllerSpec", "template"),
    ("storage.v1.CSINode", "status"),
];

/// Required scalars that Go nevertheless omits when empty.
const DROPPED: &[(&str, &str)] = &[
    ("core.v1.ConfigMapEnvSource", "name"),
    ("core.v1.ConfigMapKeySelector", "name"),
    ("core.v1.ConfigMapProjection", "name"),
    ("core.v1.ConfigMapVolumeSource", "name"),
    ("core.v1.LocalObjectReference", "name"),
    ("core.v1.SecretEnvSource", "name"),
    ("core.v1.SecretKeySelector", "name"),
    ("core.v1.SecretProjection", "name"),
];

pub fn is_pointer(type_name: &str, field: &str) -> bool {
    named(POINTERS, type_name, field)
}

pub fn is_written(type_name: &str, field: &str) -> bool {
    named(WRITTEN, type_name, field)
}

pub fn is_dropped(type_name: &str, field: &str) -> bool {
    named(DROPPED, type_name, field)
}

pub fn is_struct(type_name: &str, field: &str) -> bool {
    let like_a_struct = matches!(field, "metadata" | "spec" | "status" | "template");
    (like_a_struct && !named(OPTIONAL, type_name, field)) || named(STRUCTS, type_name, field)
}

fn named(table: &[(&str, &str)], type_name: &str, field: &str) -> bool {
    table.iter().any(|row| row.0 == type_name && row.1.split_whitespace().any(|name| name == field))
}

/// A fact about a field that does not exist is a typing error.
pub fn check(definitions: &Map<String, Value>) {
    for (type_name, fields) in [POINTERS, WRITTEN, STRUCTS, OPTIONAL, DROPPED].into_iter().flatten() {
        let schema = definitions.iter().find(|(name, _)| short_name(name) == *type_name);
        let (_, schema) = schema.unwrap_or_else(|| panic!("facts name {type_name}, which does not exist"));
        for field in fields.split_whitespace() {
            assert!(schema["properties"].get(field).is_some(), "no field {field} in {type_name}");
        }
    }
}
