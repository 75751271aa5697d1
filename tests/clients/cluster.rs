//! What administrators do: rights, certificates, nodes that are only stored.

use anyhow::Result;

use super::Server;
use super::case::Kubectl::{self, V1_32};
use super::case::{Case, fails, sees, try_all};

const FILES: &str = r#"
openssl req -new -newkey rsa:2048 -nodes -keyout key -subj /CN=x -out x.csr 2>/dev/null
cat > request.yaml <<EOF
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: $N}
spec: {request: $(base64 -w0 x.csr), signerName: kubernetes.io/kube-apiserver-client, usages: [client auth]}
EOF
cat > node.yaml <<EOF
apiVersion: v1
kind: Node
metadata: {name: $N, labels: {node-role.kubernetes.io/worker: "", kubernetes.io/hostname: $N}}
EOF
cat > pod.yaml <<EOF
apiVersion: v1
kind: Pod
metadata: {name: on-node}
spec: {nodeName: $N, containers: [{name: c, image: i}]}
EOF
cat > role.yaml <<EOF
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: $N}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
EOF
"#;

const CASES: &[Case] = &[
    sees(FILES, ""),
    sees("kubectl auth can-i create pods", "yes"),
    sees("kubectl auth can-i --list", "Resources Non-Resource URLs Resource Names Verbs *.* [] [] [*]"),
    fails("kubectl auth can-i get pods --as=bob", "no"),
    sees("kubectl auth reconcile -f role.yaml", "role.rbac.authorization.k8s.io/reader reconciled"),
    sees("kubectl create rolebinding bob --role=reader --user=bob", "created"),
    sees("kubectl auth can-i get pods --as=bob", "yes"),
    fails("kubectl auth can-i get pods --as=bob -n default", "no"),
    fails(
        "kubectl get secrets --as=bob",
        r#"secrets is forbidden: User "bob" cannot list resource "secrets" in API group "" in the namespace "k1"#,
    ),
    sees("kubectl auth whoami", "Username system:admin Groups [system:masters system:authenticated]")
        .since(V1_32),
    sees("kubectl auth whoami --as=bob", "Username bob").since(V1_32),
    // Requests for certificates.
    sees("kubectl apply -f request.yaml", "created"),
    sees(
        "kubectl get csr $N",
        "SIGNERNAME REQUESTOR REQUESTEDDURATION CONDITION … kubernetes.io/kube-apiserver-client system:admin <none> Pending",
    ),
    sees("kubectl describe csr $N", "Requesting User: system:admin … Status: Pending … Common Name: x"),
    sees("kubectl certificate approve $N", "approved"),
    sees("kubectl get csr $N", "Approved"),
    sees("kubectl delete csr $N; kubectl apply -f request.yaml; kubectl certificate deny $N", "denied"),
    sees("kubectl get csr $N", "Denied"),
    sees("kubectl delete csr $N", "deleted"),
    // Nodes.
    sees("kubectl apply -f node.yaml", "created"),
    sees("kubectl get node $N -o wide", "STATUS ROLES AGE VERSION INTERNAL-IP … Unknown worker"),
    sees("kubectl label node $N disk=fast", "labeled"),
    sees("kubectl taint node $N a=b:NoSchedule", "tainted"),
    fails("kubectl taint node $N a=c:NoSchedule", "already has a taint"),
    sees("kubectl taint node $N a-", "untainted"),
    sees("kubectl cordon $N", "cordoned"),
    sees("kubectl get node $N", "Unknown,SchedulingDisabled"),
    sees("kubectl uncordon $N", "uncordoned"),
    sees("kubectl apply -f pod.yaml", "pod/on-node created"),
    sees("kubectl describe node $N", "Roles: worker … disk=fast … Unschedulable: false … on-node"),
    fails("kubectl drain $N --timeout=60s", "cannot delete Pods"),
    sees("kubectl drain $N --force --timeout=60s --grace-period=0", "evicting pod … on-node … evicted"),
    fails("kubectl get pod on-node", r#"pods "on-node" not found"#),
    sees("kubectl delete node $N", "deleted"),
    // Without a node nothing runs, and it is said why.
    sees("kubectl run pod --image=i", "created"),
    fails("kubectl exec pod -- ls", "pod pod does not have a host assigned"),
    fails("kubectl port-forward pod/pod 8080:80", "pod is not running. Current status=Pending"),
    sees("kubectl logs pod && echo nothing", "nothing"),
    fails("kubectl top nodes", "Metrics API not available"),
    sees(
        "mkfifo said; kubectl proxy --port=0 > said & proxy=$!; read _ _ _ _ address < said
        kubectl --server=http://$address get namespace $N -o name; kill $proxy",
        "namespace/k1",
    ),
];

#[test]
fn kubectl_administers() -> Result<()> {
    try_all(&Server::start()?, &Kubectl::ALL, CASES)
}
