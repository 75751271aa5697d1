//! What real kubectl sends and asks for as protobuf, and the old versions that people still have in their files.

use anyhow::Result;
use lab::{Command, Host, Lab};

use crate::control_plane::server;

/// kubectl of this version with these words.
fn kubectl(host: &Host, version: &str, words: &str) -> Result<Command> {
    Ok(lab::kubectl(host, version)?.args(words.split(' ')))
}

/// Commands whose objects travel as protobuf, what to look at afterwards, and what is there.
const CREATIONS: &[(&str, &str, &str)] = &[
    ("configmap page --from-literal=a=b", "configmap/page {.data.a}", "b"),
    ("secret generic key --from-literal=k=v", "secret/key {.data.k}", "dg=="),
    ("namespace other", "namespace/other {.status.phase}", "Active"),
    ("serviceaccount robot", "serviceaccount/robot {.metadata.name}", "robot"),
    (
        "deployment web --image=nginx:1 --replicas=0",
        "deployment/web {..image} {.spec.strategy.type}",
        "nginx:1 RollingUpdate",
    ),
    ("job once --image=busybox -- true", "job/once {..command[0]} {.spec.backoffLimit}", "true 6"),
    ("cronjob often --image=busybox --schedule=*/5&*&*&*&*", "cronjob/often {.spec.schedule}", "*/5 * * * *"),
    (
        "service clusterip web --tcp=80:8080",
        "service/web {.spec.ports[0].targetPort} {.spec.type}",
        "8080 ClusterIP",
    ),
    ("service nodeport door --tcp=80:http", "service/door {.spec.ports[0].targetPort}", "http"),
    ("ingress way --rule=host.example/*=web:80", "ingress/way {..service.port.number}", "80"),
    ("role reader --verb=get,list --resource=pods", "role/reader {.rules[0].verbs[1]}", "list"),
    (
        "rolebinding reads --role=reader --serviceaccount=default:robot",
        "rolebinding/reads {.subjects[0].name}",
        "robot",
    ),
    ("quota few --hard=pods=3,cpu=1500m", "quota/few {.spec.hard.cpu}", "1500m"),
    (
        "poddisruptionbudget some --selector=app=web --min-available=50%",
        "pdb/some {.spec.minAvailable}",
        "50%",
    ),
    ("priorityclass high --value=7 --description=d", "priorityclass/high {.value}", "7"),
];

fn creates_and_describes(version: &str) -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("a")?;
    let _server = server(&host)?;
    for (words, look, expected) in CREATIONS {
        let words: Vec<String> = words.split(' ').map(|word| word.replace('&', " ")).collect();
        lab::kubectl(&host, version)?.arg("create").args(words).ok()?;
        let (object, path) = look.split_once(' ').unwrap_or((look, ""));
        let path = format!("-o=jsonpath={path}");
        let found = lab::kubectl(&host, version)?.args(["get", object, &path]).ok()?;
        assert_eq!(found, *expected, "{object} of kubectl {version}");
    }
    // These read typed objects and lists.
    let described = kubectl(&host, version, "describe deployment web")?.ok()?;
    assert!(described.contains("Image:") && described.contains("25% max unavailable"), "{described}");
    let described = kubectl(&host, version, "describe service door")?.ok()?;
    assert!(described.contains("http/TCP"), "{described}");
    let token = kubectl(&host, version, "create token robot")?.ok()?;
    assert_eq!(token.trim().split('.').count(), 3, "{token}");
    let twice = kubectl(&host, version, "create configmap page")?.run()?;
    assert!(twice.stderr.contains("configmaps \"page\" already exists"), "{twice:?}");
    let wrong = kubectl(&host, version, "create configmap No")?.run()?;
    assert!(wrong.stderr.contains("metadata.name: Invalid value: \"No\""), "{wrong:?}");
    Ok(())
}

#[test]
fn kubectl_1_36_creates_and_describes() -> Result<()> {
    creates_and_describes("1.36")
}

#[test]
fn kubectl_1_32_creates_and_describes() -> Result<()> {
    creates_and_describes("1.32")
}

const OLD: &str = r#"
apiVersion: extensions/v1beta1
kind: Ingress
metadata: {name: way}
spec:
  rules:
  - host: host.example
    http: {paths: [{path: /, pathType: Prefix, backend: {serviceName: web, servicePort: 80}}]}
---
apiVersion: extensions/v1beta1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 0
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "nginx:1"}]}
---
apiVersion: batch/v1beta1
kind: CronJob
metadata: {name: often}
spec:
  schedule: "*/5 * * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: busybox}]}}}}
---
apiVersion: policy/v1beta1
kind: PodDisruptionBudget
metadata: {name: some}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
---
apiVersion: rbac.authorization.k8s.io/v1beta1
kind: ClusterRole
metadata: {name: old}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
---
apiVersion: autoscaling/v2beta1
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  maxReplicas: 3
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  metrics: [{type: Resource, resource: {name: cpu, targetAverageUtilization: 60}}]
"#;

#[test]
fn old_files_are_applied_with_a_warning() -> Result<()> {
    let lab = Lab::new()?;
    let host = lab.host("a")?;
    let _server = server(&host)?;
    let apply = |file: &str| lab::kubectl(&host, "1.20")?.args(["apply", "-f", "-"]).stdin(file).run();
    let first = apply(OLD)?;
    assert!(first.status.success(), "{first:?}");
    assert!(
        first.stderr.contains(
            "Warning: extensions/v1beta1 Ingress is deprecated in v1.14+, unavailable in v1.22+; use networking.k8s.io/v1 Ingress"
        ),
        "{first:?}"
    );
    let again = apply(OLD)?;
    assert_eq!(again.stdout.matches("unchanged").count(), 6, "{again:?}");
    let changed = apply(&OLD.replace("servicePort: 80", "servicePort: http").replace("nginx:1", "nginx:2"))?;
    assert_eq!(changed.stdout.matches("configured").count(), 2, "{changed:?}");
    let look = |object: &str, path: &str| {
        lab::kubectl(&host, "1.36")?.args(["get", object, &format!("-o=jsonpath={path}")]).ok()
    };
    assert_eq!(look("ingress.networking.k8s.io/way", "{..service.port.name}")?, "http");
    let deployment = look("deployment.apps/web", "{.spec.selector.matchLabels.app} {..image}")?;
    assert_eq!(deployment, "web nginx:2");
    assert_eq!(look("hpa/web", "{..averageUtilization}")?, "60");
    let listed = kubectl(&host, "1.20", "get ingresses.v1beta1.extensions")?.ok()?;
    assert!(listed.contains("host.example"), "{listed}");
    Ok(())
}
