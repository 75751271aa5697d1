//! What is there, in every form in which kubectl shows it.

use anyhow::Result;

use super::Server;
use super::case::Kubectl::{self, V1_32, V1_36};
use super::case::{Case, fails, sees, try_all};

const FORMS: &[Case] = &[
    sees("kubectl create deployment web --image=nginx:1 --replicas=3", "created"),
    sees(
        "kubectl create configmap one --from-literal=a=b; kubectl create configmap two",
        "one created … two created",
    ),
    sees("kubectl rollout status deployment web --watch=false", "Waiting for deployment"),
    sees("kubectl get deployments", "NAME READY UP-TO-DATE AVAILABLE AGE web 0/3"),
    sees("kubectl get deploy -o wide", "CONTAINERS IMAGES SELECTOR … nginx nginx:1 app=web"),
    sees("kubectl get deploy/web cm/one", "NAME READY … deployment.apps/web … NAME DATA AGE configmap/one 1"),
    sees("kubectl get all", "pod/web- … deployment.apps/web … replicaset.apps/web-"),
    sees("kubectl get deploy -o name", "deployment.apps/web"),
    sees("kubectl get cm one -o yaml", "apiVersion: v1 data: a: b kind: ConfigMap metadata: … name: one"),
    sees("kubectl get cm one -o json", r#"{ "apiVersion": "v1", "data": { "a": "b" }, "kind": "ConfigMap""#),
    sees("kubectl get cm -o json", r#""kind": "List""#),
    sees(
        r#"kubectl get deploy -o jsonpath='{range .items[*]}{.metadata.name}{"\t"}{.spec.replicas}{"\n"}{end}'"#,
        "web 3",
    ),
    sees("kubectl get cm -o custom-columns=N:.metadata.name,D:.data.a --no-headers", "one b two <none>"),
    sees("kubectl get cm -o go-template='{{range .items}}{{.metadata.name}} {{end}}'", "one two"),
    sees("kubectl get cm --show-labels", "NAME DATA AGE LABELS … <none>"),
    sees("kubectl get pods -L app", "APP … web"),
    sees("kubectl get cm --sort-by=.metadata.creationTimestamp -o name", "configmap/one … configmap/two"),
    // The rows of a table carry whole objects when they are to be sorted.
    sees("kubectl get cm --sort-by=.data.a --no-headers", "one"),
    sees("kubectl get pods --sort-by='{.spec.containers[0].image}' --no-headers", "web-… web-… web-"),
    sees("kubectl get pods --chunk-size=1 -o name | wc -l", "3"),
    sees("kubectl get pods --chunk-size=2 --no-headers | wc -l", "3"),
    sees("kubectl get pods --field-selector status.phase=Pending,spec.nodeName= -o name | wc -l", "3"),
    sees("kubectl get pods --field-selector status.phase!=Pending", "No resources found").since(V1_36),
    fails(
        "kubectl get cm --field-selector data.a=b",
        r#""data.a" is not a known field selector: only "metadata.name", "metadata.namespace""#,
    ),
    sees("kubectl get cm --field-selector metadata.name=two -o name", "configmap/two"),
    sees("kubectl get pods -A", "NAMESPACE NAME READY"),
    sees("kubectl get --raw /api/v1/namespaces/$N/configmaps/one", r#""data":{"a":"b"}"#),
    fails(
        "kubectl get --raw /nowhere",
        "Error from server (NotFound): the server could not find the requested resource",
    ),
    fails("kubectl get cm none", r#"Error from server (NotFound): configmaps "none" not found"#),
    fails("kubectl get cm one none", r#"one 1 … configmaps "none" not found"#),
    sees("kubectl get cm none --ignore-not-found && echo nothing", "nothing"),
    fails("kubectl get nonsense", r#"the server doesn't have a resource type "nonsense""#),
    sees("kubectl get deploy web --subresource=scale", "NAME DESIRED AVAILABLE AGE web 3 3").since(V1_32),
    sees("kubectl get deploy web --subresource=status -o name", "deployment.apps/web").since(V1_32),
    sees("kubectl get deploy --server-print=false", "NAME AGE web"),
    sees("kubectl get deployments.v1.apps web -o name", "deployment.apps/web"),
    sees("kubectl get deployments.v1beta1.extensions web -o jsonpath='{.apiVersion}'", "extensions/v1beta1"),
    sees("kubectl get cm one -o kyaml", r#"kind: "ConfigMap","#).since(V1_36),
];

/// Watches: the first line comes at once, the next when something happens.
const WATCHES: &[Case] = &[
    sees(
        r#"mkfifo w; timeout 60 kubectl get cm one -w -o jsonpath='{.data.a}{"\n"}' > w & watch=$!
        { read first; kubectl patch cm one --type=merge -p '{"data":{"a":"c"}}' >/dev/null; read second; } < w
        kill $watch; echo "first $first, then $second""#,
        "first b, then c",
    ),
    sees(
        r#"rm -f w; mkfifo w; timeout 60 kubectl get cm --field-selector metadata.name=two --watch --output-watch-events > w & watch=$!
        { read header; read first; kubectl delete cm two >/dev/null; read second; } < w
        kill $watch; echo $header; echo $first; echo $second"#,
        "EVENT NAME DATA AGE ADDED two 0 … DELETED two 0",
    ),
    sees(
        r#"rm -f w; mkfifo w; timeout 60 kubectl get deploy web --watch > w & watch=$!
        { read header; read first; kubectl scale deploy web --replicas=4 >/dev/null; read second; } < w
        kill $watch; echo $header; echo $first; echo $second"#,
        "NAME READY UP-TO-DATE AVAILABLE AGE web 0/3 … web 0/",
    ),
];

const WAITS: &[Case] = &[
    sees(
        "kubectl wait deploy/web --for=condition=Progressing --timeout=60s",
        "deployment.apps/web condition met",
    ),
    sees("kubectl wait deploy/web --for=jsonpath='{.status.replicas}'=4 --timeout=60s", "condition met")
        .since(V1_32),
    fails(
        "kubectl wait deploy/web --for=condition=Available --timeout=1s",
        "timed out waiting for the condition",
    ),
    sees("kubectl wait cm/two --for=delete --timeout=60s && echo gone", "gone").since(V1_32),
    sees("kubectl wait cm/one --for=create --timeout=60s", "configmap/one condition met").since(V1_36),
    sees("kubectl get events --no-headers", "SuccessfulCreate"),
    sees(
        "kubectl events --for=deployment/web",
        "ScalingReplicaSet Deployment/web Scaled up replica set web-",
    )
    .since(V1_32),
    sees(
        "kubectl get events --field-selector reason=ScalingReplicaSet,involvedObject.name=web -o name",
        "event/web.",
    ),
];

const DESCRIPTIONS: &[Case] = &[
    sees(
        "kubectl describe deploy web",
        "Replicas: 4 desired … StrategyType: RollingUpdate … NewReplicaSet: web- … ScalingReplicaSet",
    ),
    sees("kubectl describe rs -l app=web", "Controlled By: Deployment/web … Pods Status: 0 Running"),
    sees("kubectl describe pods -l app=web", "Controlled By: ReplicaSet/web- … QoS Class: BestEffort"),
    sees("kubectl describe cm one", "Name: one … Data ==== a: ---- c"),
    sees(
        "kubectl create secret generic s --from-literal=k=v; kubectl describe secret s",
        "Type: Opaque Data ==== k: 1 bytes",
    ),
    sees(
        "kubectl create service clusterip s --tcp=80:8080; kubectl describe svc s",
        "TargetPort: 8080/TCP … Session Affinity: None",
    ),
    sees(
        "kubectl create ingress s --rule='a.example/=s:80'; kubectl describe ingress s",
        "Rules: Host Path Backends … a.example / s:80",
    ),
    sees("kubectl create job s --image=i; kubectl describe job s", "Parallelism: 1 Completions: 1"),
    sees(
        "kubectl create cronjob s --image=i --schedule='@daily'; kubectl describe cronjob s",
        "Schedule: @daily Concurrency Policy: Allow",
    ),
    sees(
        "kubectl create role s --verb=get --resource=pods; kubectl describe role s",
        "PolicyRule: … pods [] [] [get]",
    ),
    sees(
        "kubectl create rolebinding s --role=s --user=u; kubectl describe rolebinding s",
        "Kind: Role Name: s Subjects: … User u",
    ),
    sees(
        "kubectl create pdb s --selector=a=b --max-unavailable=1; kubectl describe pdb s",
        "Max unavailable: 1 … Selector: a=b",
    ),
    sees("kubectl create sa s; kubectl describe sa s", "Image pull secrets: <none>"),
    sees("kubectl create quota s --hard=pods=1; kubectl describe quota s", "Name: s … Resource Used Hard"),
    sees("kubectl describe ns $N", "Status: Active"),
    sees("kubectl describe endpointslices", "AddressType: IPv4").since(V1_32),
    sees("kubectl describe clusterrole view", "pods").since(V1_32),
    fails("kubectl describe cm none", r#"configmaps "none" not found"#),
];

const DISCOVERY: &[Case] = &[
    sees("kubectl version --client=false -o json", r#""minor": "37""#),
    sees("kubectl cluster-info", "Kubernetes control plane … is running at … https://127.0.0.1:6443"),
    sees("kubectl api-versions", "apps/v1 … networking.k8s.io/v1 … v1"),
    sees("kubectl api-resources", "configmaps cm … true ConfigMap … deployments deploy … true Deployment"),
    sees(
        "kubectl api-resources --namespaced=false -o name",
        "namespaces nodes persistentvolumes … storageclasses.storage.k8s.io",
    ),
    sees("kubectl api-resources --api-group=batch --verbs=create,list -o name", "cronjobs.batch jobs.batch"),
    sees("kubectl api-resources --categories=all -o name", "pods … services … deployments.apps").since(V1_32),
    sees("kubectl explain pod", "KIND: Pod VERSION: v1 … spec <PodSpec>").since(V1_32),
    sees("kubectl explain pod.spec.containers.image", "image <string>"),
    sees("kubectl explain deployment.spec.strategy", "rollingUpdate <RollingUpdateDeployment>").since(V1_32),
    sees("kubectl explain deployment --recursive", "strategy <…rollingUpdate <…maxSurge"),
    sees("kubectl explain hpa --api-version=autoscaling/v1", "VERSION: …v1"),
    sees("kubectl explain ingress.spec.rules.http.paths.pathType", "pathType <string>").since(V1_32),
    fails("kubectl explain pod.spec.nonsense", r#"field "nonsense" does not exist"#),
    sees("kubectl get --raw '/readyz?verbose'", "readyz check passed"),
];

#[test]
fn kubectl_shows_what_there_is() -> Result<()> {
    let server = Server::start()?;
    let cases = [FORMS, WATCHES, WAITS, DESCRIPTIONS, DISCOVERY].concat();
    try_all(&server, &Kubectl::ALL, &cases)
}
