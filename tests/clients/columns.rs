//! The columns of every kind, as upstream prints them (`pkg/printers/internalversion`), with one object of each.

use anyhow::Result;

use super::Server;
use super::case::Kubectl::V1_36;
use super::case::{Case, sees, try_all};

/// One object of each kind that no line below makes by itself.
const OBJECTS: &str = r#"
cat > objects.yaml <<'EOF'
{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {readinessGates: [{conditionType: a/b}], containers: [{name: c, image: i}]}}
---
{apiVersion: v1, kind: PodTemplate, metadata: {name: p}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}
---
{apiVersion: v1, kind: ReplicationController, metadata: {name: rc}, spec: {replicas: 0, selector: {a: b}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}
---
{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {clusterIP: None, selector: {a: b}, ports: [{port: 80, name: http}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: out}, spec: {clusterIP: 10.43.9.9, externalIPs: [192.0.2.1], ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Endpoints, metadata: {name: e}, subsets: [{addresses: [{ip: 192.0.2.1}, {ip: 192.0.2.2}], ports: [{name: a, port: 80}, {name: b, port: 81}]}]}
---
{apiVersion: v1, kind: LimitRange, metadata: {name: l}, spec: {limits: [{type: Pod, max: {cpu: 1}}]}}
---
{apiVersion: v1, kind: ResourceQuota, metadata: {name: q}, spec: {hard: {pods: 1}}}
---
{apiVersion: v1, kind: Event, metadata: {name: ev}, involvedObject: {kind: Pod, name: p, namespace: k136, fieldPath: "spec.containers{c}"}, type: Warning, reason: Odd, message: "x\n", source: {component: me, host: h}, reportingComponent: me, firstTimestamp: "2020-01-01T00:00:00Z", lastTimestamp: "2020-01-01T00:00:00Z", count: 3}
---
{apiVersion: v1, kind: PersistentVolume, metadata: {name: pv}, spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce, ReadOnlyMany], hostPath: {path: /x}, storageClassName: none}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: pvc}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}, storageClassName: none}}
---
{apiVersion: v1, kind: Node, metadata: {name: node, labels: {node-role.kubernetes.io/b: "", node-role.kubernetes.io/a: ""}}, spec: {unschedulable: true}}
---
{apiVersion: apps/v1, kind: ControllerRevision, metadata: {name: rev}, revision: 3, data: {a: b}}
---
{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: d}, spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {nodeSelector: {x: z}, containers: [{name: c, image: i}]}}}}
---
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: st}, spec: {replicas: 0, serviceName: s, selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}, {name: c2, image: i2}]}}}}
---
{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {suspend: true, completions: 2, template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}
---
{apiVersion: batch/v1, kind: CronJob, metadata: {name: cj}, spec: {schedule: "@yearly", timeZone: Etc/UTC, suspend: true, jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}}}
---
{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: h}, spec: {maxReplicas: 5, scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: st}, metrics: [{type: Resource, resource: {name: memory, target: {type: AverageValue, averageValue: 1Gi}}}, {type: External, external: {metric: {name: q}, target: {type: Value, value: "30"}}}, {type: Pods, pods: {metric: {name: r}, target: {type: AverageValue, averageValue: "7"}}}]}}
---
{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: in}, spec: {ingressClassName: c, tls: [{hosts: [a.b]}], rules: [{host: a.b}, {host: c.d}, {host: e.f}, {host: g.h}]}}
---
{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: ic}, spec: {controller: a.b/c, parameters: {apiGroup: g.h, kind: K, name: k, scope: Cluster}}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: np}, spec: {podSelector: {matchLabels: {a: b}, matchExpressions: [{key: x, operator: In, values: ["1", "2"]}]}}}
---
{apiVersion: networking.k8s.io/v1, kind: IPAddress, metadata: {name: 192.0.2.9}, spec: {parentRef: {group: g.h, resource: gateways, namespace: ns, name: x}}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: es}, addressType: IPv4, ports: [{name: a, port: 80}, {name: b}], endpoints: [{addresses: [192.0.2.1]}, {addresses: [192.0.2.2]}, {addresses: [192.0.2.3]}, {addresses: [192.0.2.4]}]}
---
{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: b}, spec: {maxUnavailable: 30%, selector: {matchLabels: {a: b}}}}
---
{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: prio}, value: 7, preemptionPolicy: Never}
---
{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: rt}, handler: h}
---
{apiVersion: coordination.k8s.io/v1, kind: Lease, metadata: {name: le}, spec: {holderIdentity: me}}
---
{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: fast, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}, provisioner: a.b/c}
---
{apiVersion: storage.k8s.io/v1, kind: CSIDriver, metadata: {name: drv}, spec: {attachRequired: false, tokenRequests: [{audience: x}]}}
---
{apiVersion: storage.k8s.io/v1, kind: CSINode, metadata: {name: node}, spec: {drivers: []}}
---
{apiVersion: storage.k8s.io/v1, kind: CSIStorageCapacity, metadata: {name: cap}, storageClassName: fast, capacity: 1Gi}
---
{apiVersion: storage.k8s.io/v1, kind: VolumeAttachment, metadata: {name: va}, spec: {attacher: drv, nodeName: node, source: {persistentVolumeName: pv}}}
---
{apiVersion: storage.k8s.io/v1, kind: VolumeAttributesClass, metadata: {name: vac}, driverName: drv, parameters: {a: b}}
---
{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {name: vb}, spec: {policyName: none, validationActions: [Warn], paramRef: {name: x, parameterNotFoundAction: Deny}}}
---
{apiVersion: flowcontrol.apiserver.k8s.io/v1, kind: FlowSchema, metadata: {name: fl}, spec: {priorityLevelConfiguration: {name: exempt}, matchingPrecedence: 9000}}
---
{apiVersion: flowcontrol.apiserver.k8s.io/v1, kind: PriorityLevelConfiguration, metadata: {name: lv}, spec: {type: Limited, limited: {limitResponse: {type: Queue, queuing: {}}}}}
---
{apiVersion: resource.k8s.io/v1, kind: DeviceClass, metadata: {name: dc}}
---
{apiVersion: resource.k8s.io/v1, kind: ResourceClaim, metadata: {name: rcl}, spec: {devices: {requests: [{name: r, exactly: {deviceClassName: dc}}]}}}
---
{apiVersion: resource.k8s.io/v1, kind: ResourceSlice, metadata: {name: rs}, spec: {driver: drv, nodeName: node, pool: {name: pool, generation: 1, resourceSliceCount: 1}}}
EOF
kubectl apply -f objects.yaml
"#;

const CASES: &[Case] = &[
    sees(OBJECTS, "pod/p created"),
    sees(
        "kubectl get pod p -o wide",
        "NAME READY STATUS RESTARTS AGE IP NODE NOMINATED NODE READINESS GATES p 0/1 Pending 0 … <none> <none> <none> 0/1",
    ),
    sees(
        r#"kubectl patch pod p --subresource=status -p '{"status":{"phase":"Running","podIPs":[{"ip":"192.0.2.7"}],"podIP":"192.0.2.7","containerStatuses":[{"name":"c","image":"i","imageID":"","ready":false,"restartCount":2,"state":{"waiting":{"reason":"CrashLoopBackOff"}},"lastState":{"terminated":{"exitCode":1,"finishedAt":"2020-01-01T00:00:00Z"}}}]}}'"#,
        "patched",
    ),
    sees("kubectl get pod p -o wide", "p 0/1 CrashLoopBackOff 2 (… ago) … 192.0.2.7 <none>"),
    sees("kubectl get podtemplate p", "NAME CONTAINERS IMAGES POD LABELS p c i a=b"),
    sees(
        "kubectl get rc rc -o wide",
        "NAME DESIRED CURRENT READY AGE CONTAINERS IMAGES SELECTOR rc 0 0 0 … c i a=b",
    ),
    sees(
        "kubectl get svc s out -o wide",
        "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE SELECTOR s ClusterIP None <none> 80/TCP … a=b out ClusterIP 10.43.9.9 192.0.2.1 80/TCP … <none>",
    ),
    sees(
        "kubectl get endpoints e",
        "NAME ENDPOINTS AGE e 192.0.2.1:80,192.0.2.2:80,192.0.2.1:81 + 1 more...",
    ),
    sees("kubectl get limits l", "NAME CREATED AT l 20"),
    sees(
        r#"kubectl patch quota q --subresource=status -p '{"status":{"hard":{"services":"5","services.loadbalancers":"1","limits.cpu":"2"},"used":{"services":"1"}}}'"#,
        "patched",
    ),
    sees(
        "kubectl get quota q",
        "NAME REQUEST LIMIT AGE q services: 1/5, services.loadbalancers: 0/1 limits.cpu: 0/2",
    ),
    sees(
        "kubectl get event ev -o wide",
        "LAST SEEN TYPE REASON OBJECT SUBOBJECT SOURCE MESSAGE FIRST SEEN COUNT NAME … Warning Odd pod/p spec.containers{c} me, h x … 3 ev",
    ),
    sees(
        "kubectl get pv pv -o wide",
        "NAME CAPACITY ACCESS MODES RECLAIM POLICY STATUS CLAIM STORAGECLASS VOLUMEATTRIBUTESCLASS REASON AGE VOLUMEMODE pv 1Gi RWO,ROX Retain … none <unset> … Filesystem",
    ),
    sees(
        "kubectl get pvc pvc -o wide",
        "NAME STATUS VOLUME CAPACITY ACCESS MODES STORAGECLASS VOLUMEATTRIBUTESCLASS AGE VOLUMEMODE pvc Pending none <unset> … Filesystem",
    ),
    sees(
        "kubectl get node node -o wide",
        "NAME STATUS ROLES AGE VERSION INTERNAL-IP EXTERNAL-IP OS-IMAGE KERNEL-VERSION CONTAINER-RUNTIME node Unknown,SchedulingDisabled a,b … <none> <none> <unknown> <unknown> <unknown>",
    ),
    sees("kubectl get namespace default", "NAME STATUS AGE default Active"),
    sees(
        "kubectl get secrets -o wide; kubectl create secret generic x; kubectl get secret x",
        "NAME TYPE DATA AGE x Opaque 0",
    ),
    sees("kubectl get serviceaccount default", "NAME AGE default"),
    sees("kubectl get controllerrevision rev", "NAME CONTROLLER REVISION AGE rev <none> 3"),
    sees(
        "kubectl get ds d -o wide",
        "NAME DESIRED CURRENT READY UP-TO-DATE AVAILABLE NODE SELECTOR AGE CONTAINERS IMAGES SELECTOR d 0 0 0 0 0 x=z … c i a=b",
    ),
    sees("kubectl get sts st -o wide", "NAME READY AGE CONTAINERS IMAGES st 0/0 … c,c2 i,i2"),
    sees(
        "kubectl get job j -o wide",
        "NAME STATUS COMPLETIONS DURATION AGE CONTAINERS IMAGES SELECTOR j … 0/2 … c i batch.kubernetes.io/controller-uid=",
    ),
    sees(
        "kubectl get cj cj -o wide",
        "NAME SCHEDULE TIMEZONE SUSPEND ACTIVE LAST SCHEDULE AGE CONTAINERS IMAGES SELECTOR cj @yearly Etc/UTC True 0 <none> … c i <none>",
    ),
    sees(
        "kubectl get hpa h",
        "NAME REFERENCE TARGETS MINPODS MAXPODS REPLICAS AGE h StatefulSet/st memory: <unknown>/1Gi, <unknown>/30 + 1 more... 1 5 0",
    ),
    sees("kubectl get ingress in", "NAME CLASS HOSTS ADDRESS PORTS AGE in c a.b,c.d,e.f + 1 more... 80, 443"),
    sees("kubectl get ingressclass ic", "NAME CONTROLLER PARAMETERS AGE ic a.b/c K.g.h/k"),
    sees("kubectl get netpol np", "NAME POD-SELECTOR AGE np a=b,x in (1,2)"),
    sees("kubectl get ipaddress 192.0.2.9", "NAME PARENTREF 192.0.2.9 gateways.g.h/ns/x"),
    sees("kubectl get servicecidrs", "NAME CIDRS AGE kubernetes 10.43.0.0/16"),
    sees(
        "kubectl get endpointslice es",
        "NAME ADDRESSTYPE PORTS ENDPOINTS AGE es IPv4 80,b 192.0.2.1,192.0.2.2,192.0.2.3 + 1 more...",
    ),
    sees("kubectl get pdb b", "NAME MIN AVAILABLE MAX UNAVAILABLE ALLOWED DISRUPTIONS AGE b N/A 30% 0"),
    sees(
        "kubectl get priorityclass prio",
        "NAME VALUE GLOBAL-DEFAULT AGE PREEMPTIONPOLICY prio 7 false … Never",
    ),
    sees("kubectl get runtimeclass rt", "NAME HANDLER AGE rt h"),
    sees("kubectl get lease le", "NAME HOLDER AGE le me"),
    sees(
        "kubectl get sc fast",
        "NAME PROVISIONER RECLAIMPOLICY VOLUMEBINDINGMODE ALLOWVOLUMEEXPANSION AGE fast (default) a.b/c Delete Immediate false",
    ),
    sees(
        "kubectl get csidriver drv",
        "NAME ATTACHREQUIRED PODINFOONMOUNT STORAGECAPACITY TOKENREQUESTS REQUIRESREPUBLISH MODES AGE drv false false false x false Persistent",
    ),
    sees("kubectl get csinode node", "NAME DRIVERS AGE node 0"),
    sees("kubectl get csistoragecapacity cap", "NAME STORAGECLASSNAME CAPACITY cap fast 1Gi"),
    sees("kubectl get volumeattachment va", "NAME ATTACHER PV NODE ATTACHED AGE va drv pv node false"),
    sees("kubectl get vac vac", "NAME DRIVERNAME AGE vac drv"),
    sees("kubectl get validatingadmissionpolicybinding vb", "NAME POLICYNAME PARAMREF AGE vb none */x"),
    sees(
        "kubectl get flowschema fl",
        "NAME PRIORITYLEVEL MATCHINGPRECEDENCE DISTINGUISHERMETHOD AGE MISSINGPL fl exempt 9000 <none> … ?",
    ),
    sees(
        "kubectl get prioritylevelconfiguration lv",
        "NAME TYPE NOMINALCONCURRENCYSHARES QUEUES HANDSIZE QUEUELENGTHLIMIT AGE lv Limited 30 64 8 50",
    ),
    sees("kubectl get deviceclass dc", "NAME AGE dc"),
    sees("kubectl get resourceclaim rcl", "NAME STATE AGE rcl pending"),
    sees("kubectl get resourceslice rs", "NAME NODE DRIVER POOL AGE rs node drv pool"),
    sees("kubectl get clusterroles view", "NAME CREATED AT view 20"),
    sees(
        "kubectl get clusterrolebinding cluster-admin -o wide",
        "NAME ROLE AGE USERS GROUPS SERVICEACCOUNTS cluster-admin ClusterRole/cluster-admin … system:masters",
    ),
    sees(
        "kubectl create rolebinding x --clusterrole=view --user=u --user=v --serviceaccount=a:b; kubectl get rolebinding x -o wide",
        "NAME ROLE AGE USERS GROUPS SERVICEACCOUNTS x ClusterRole/view … u, v a/b",
    ),
    sees(
        "kubectl get apiservices; kubectl get crds; kubectl get mutatingwebhookconfigurations; kubectl get validatingadmissionpolicies",
        "",
    ),
];

#[test]
fn every_kind_has_upstreams_columns() -> Result<()> {
    try_all(&Server::start()?, &[V1_36], CASES)
}
