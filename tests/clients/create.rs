//! `kubectl create`, each of its ways, `run` and `expose`.

use anyhow::Result;

use super::Server;
use super::case::Kubectl::{self, V1_32};
use super::case::{Case, fails, sees, try_all};

const CASES: &[Case] = &[
    sees("kubectl create configmap page --from-literal=a=b --from-literal=c=d", "configmap/page created"),
    sees("kubectl get configmap page -o jsonpath='{.data}'", r#"{"a":"b","c":"d"}"#),
    sees("kubectl create secret generic login --from-literal=user=u", "secret/login created"),
    sees("kubectl get secret login -o jsonpath='{.type} {.data.user}'", "Opaque dQ=="),
    sees(
        "kubectl create secret docker-registry pull --docker-username=u --docker-password=p",
        "secret/pull created",
    ),
    sees(
        "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -keyout key -out crt 2>/dev/null; \
         kubectl create secret tls tls --cert=crt --key=key",
        "secret/tls created",
    ),
    sees("kubectl get secret tls -o jsonpath='{.type}'", "kubernetes.io/tls"),
    sees("kubectl create deployment web --image=nginx:1 --replicas=2", "deployment.apps/web created"),
    fails("kubectl create deployment web --image=nginx:1", r#"deployments.apps "web" already exists"#),
    fails(
        "kubectl create deployment Web --image=nginx:1",
        r#"Deployment.apps "Web" is invalid: … metadata.name: Invalid value: "Web": a lowercase RFC 1123 subdomain"#,
    ),
    sees("kubectl create job once --image=busybox -- true", "job.batch/once created"),
    sees(
        "kubectl create cronjob hourly --image=busybox --schedule='0 * * * *' -- date",
        "cronjob.batch/hourly created",
    ),
    sees("kubectl create job now --from=cronjob/hourly", "job.batch/now created").since(V1_32),
    fails(
        "kubectl create cronjob never --image=busybox --schedule='x' -- date",
        "spec.schedule: Invalid value: \"x\"",
    ),
    sees(
        "kubectl create ingress site --rule='a.example/path*=web:80,tls=tls'",
        "ingress.networking.k8s.io/site created",
    ),
    sees("kubectl create role reader --verb=get,list --resource=pods,deployments.apps", "reader created"),
    sees(
        "kubectl create rolebinding readers --role=reader --user=u --group=g --serviceaccount=$N:app",
        "rolebinding.rbac.authorization.k8s.io/readers created",
    ),
    sees("kubectl create clusterrole $N --verb=get --resource=nodes", "created"),
    sees("kubectl create clusterrolebinding $N --clusterrole=$N --user=u", "created"),
    sees("kubectl create quota few --hard=pods=10,services=5,limits.cpu=2", "resourcequota/few created"),
    sees("kubectl create priorityclass $N --value=1000 --description=x", "created"),
    sees(
        "kubectl create pdb web --selector=app=web --min-available=1",
        "poddisruptionbudget.policy/web created",
    ),
    sees("kubectl create serviceaccount app", "serviceaccount/app created"),
    sees("kubectl create token app --duration=1h | cut -d. -f1 | base64 -d 2>/dev/null; true", r#""alg":"#)
        .since(V1_32),
    fails("kubectl create token nobody", r#"serviceaccounts "nobody" not found"#).since(V1_32),
    sees("kubectl create service clusterip web --tcp=80:8080", "service/web created"),
    sees("kubectl create service nodeport out --tcp=80:8080 --node-port=30${N#k}", "service/out created"),
    fails(
        "kubectl create service nodeport again --tcp=80 --node-port=30${N#k}",
        "spec.ports[0].nodePort: Invalid value: … provided port is already allocated",
    ),
    sees("kubectl create service loadbalancer lb --tcp=80", "service/lb created"),
    sees("kubectl create service externalname far --external-name=far.example", "service/far created"),
    sees("kubectl create namespace ${N}-2", "namespace/k1"),
    sees("kubectl run pod --image=nginx:1 --port=80 --labels=app=pod", "pod/pod created"),
    sees(
        "kubectl run exposed --image=nginx:1 --port=80 --expose",
        "service/exposed created … pod/exposed created",
    ),
    sees("kubectl expose deployment web --name=front --port=80 --target-port=8080", "service/front exposed"),
    sees(
        "kubectl get service front -o jsonpath='{.spec.selector} {.spec.ports[0].targetPort}'",
        r#"{"app":"web"} 8080"#,
    ),
    sees("kubectl create configmap dry --from-literal=a=b --dry-run=server -o yaml", "name: dry … uid:"),
    fails("kubectl get configmap dry", r#"Error from server (NotFound): configmaps "dry" not found"#),
    sees("kubectl create configmap dry --from-literal=a=b --dry-run=client -o name", "configmap/dry"),
    // Old kubectls look the schema up for themselves, new ones leave it to the server.
    fails(
        "kubectl create deployment odd --image=i --dry-run=client -o yaml | sed s/replicas:/replica:/ | kubectl create -f -",
        r#"unknown field "…replica""#,
    ),
    fails("kubectl create -f /dev/null", "no objects passed to create"),
    fails("kubectl create configmap far --from-literal=a=b -n nowhere", r#"namespaces "nowhere" not found"#),
];

#[test]
fn kubectl_creates() -> Result<()> {
    try_all(&Server::start()?, &Kubectl::ALL, CASES)
}
