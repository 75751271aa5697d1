//! Declared objects and changes to them: apply, diff, replace, edit, patch, label, annotate.

use anyhow::Result;

use super::Server;
use super::case::Kubectl::{self, V1_32};
use super::case::{Case, fails, sees, try_all};

/// Files that the lines use.
const FILES: &str = r#"
cat > web.yaml <<EOF
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "nginx:1"}]}
EOF
cat > page.yaml <<EOF
apiVersion: v1
kind: ConfigMap
metadata: {name: page, labels: {app: web}}
data: {a: one}
EOF
sed 's/replicas: 2/replicas: 3/' web.yaml > more.yaml
mkdir -p layer; cp web.yaml layer
printf 'namePrefix: k-\nresources: [web.yaml]\nconfigMapGenerator: [{name: made, literals: [x=y]}]\n' > layer/kustomization.yaml
"#;

const CASES: &[Case] = &[
    sees(FILES, ""),
    sees("kubectl apply -f web.yaml -f page.yaml", "deployment.apps/web created … configmap/page created"),
    sees("kubectl apply -f web.yaml -f page.yaml", "deployment.apps/web unchanged … configmap/page unchanged"),
    sees("kubectl diff -f web.yaml && echo the same", "the same"),
    fails("kubectl diff -f more.yaml", "- replicas: 2 … + replicas: 3"),
    fails("kubectl diff --server-side -f more.yaml", "- replicas: 2 … + replicas: 3"),
    sees("kubectl apply -f more.yaml", "deployment.apps/web configured"),
    sees("kubectl get deployment web -o jsonpath='{.spec.replicas}'", "3"),
    sees("kubectl apply view-last-applied deployment/web", "replicas: 3"),
    // What was declared and no longer is goes; what others have set stays.
    sees("kubectl annotate deployment web note=kept", "deployment.apps/web annotated"),
    sees("sed '/replicas/d' web.yaml | kubectl apply -f -", "deployment.apps/web configured"),
    sees("kubectl get deployment web -o jsonpath='{.spec.replicas} {.metadata.annotations.note}'", "1 kept"),
    sees("kubectl apply --prune -l app=web -f web.yaml", "deployment.apps/web configured … configmap/page pruned"),
    fails("kubectl get configmap page", r#"configmaps "page" not found"#),
    sees("kubectl apply -k layer", "configmap/k-made-… created … deployment.apps/k-web created"),
    sees("kubectl delete -k layer", r#"deployment.apps "k-web" deleted"#),
    sees("kubectl delete -f web.yaml", r#"deployment.apps "web" deleted"#),
    // Server-side.
    sees("kubectl apply --server-side -f web.yaml -f page.yaml", "deployment.apps/web serverside-applied"),
    fails(
        "kubectl apply --server-side --field-manager=other -f more.yaml",
        r#"Apply failed with 1 conflict: conflict with "kubectl": .spec.replicas"#,
    ),
    sees(
        "kubectl apply --server-side --field-manager=other --force-conflicts -f more.yaml",
        "deployment.apps/web serverside-applied",
    ),
    sees("kubectl wait deployment/web --for=condition=Progressing --timeout=60s", "condition met"),
    sees(
        "kubectl get deployment web -o yaml --show-managed-fields",
        "manager: kubectl operation: Apply … manager: other operation: Apply … manager: kube-controller-manager",
    )
    .since(V1_32),
    // Replace and edit.
    sees("kubectl replace -f web.yaml", "deployment.apps/web replaced"),
    sees("kubectl replace --force -f web.yaml", r#"deployment.apps "web" deleted … deployment.apps/web replaced"#),
    fails("sed s/page/none/ page.yaml | kubectl replace -f -", r#"configmaps "none" not found"#),
    sees("KUBE_EDITOR='sed -i s/one/two/' kubectl edit configmap page", "configmap/page edited"),
    sees("kubectl get configmap page -o jsonpath='{.data.a}'", "two"),
    sees("KUBE_EDITOR=true kubectl edit configmap page", "Edit cancelled, no changes made"),
    fails(
        "KUBE_EDITOR='sed -i s/name:.page/name:\\ Page/' kubectl edit configmap page",
        "At least one of apiVersion, kind and name was changed",
    ),
    // Patches of each type.
    sees(
        r#"kubectl patch deployment web -p '{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"i"}]}}}}'"#,
        "deployment.apps/web patched",
    ),
    sees("kubectl get deployment web -o jsonpath='{.spec.template.spec.containers[*].name}'", "side web"),
    sees(r#"kubectl patch configmap page --type=merge -p '{"data":{"a":null,"m":"1"}}'"#, "configmap/page patched"),
    sees(r#"kubectl patch configmap page --type=merge -p '{"data":{"m":"1"}}'"#, "configmap/page patched (no change)"),
    sees(
        r#"kubectl patch configmap page --type=json -p '[{"op":"add","path":"/data/j","value":"2"}]'"#,
        "configmap/page patched",
    ),
    sees("kubectl get configmap page -o jsonpath='{.data}'", r#"{"j":"2","m":"1"}"#),
    fails(
        r#"kubectl patch configmap page --type=json -p '[{"op":"test","path":"/data/j","value":"3"}]'"#,
        "The request is invalid",
    ),
    sees(
        r#"kubectl patch deployment web --subresource=scale --type=merge -p '{"spec":{"replicas":4}}'"#,
        "web patched",
    )
    .since(V1_32),
    fails(
        r#"kubectl patch deployment web -p '{"spec":{"selector":{"matchLabels":{"app":"other"}}}}'"#,
        "spec.selector: Invalid value: … field is immutable",
    ),
    // Labels and annotations.
    sees("kubectl label configmap page tier=front", "configmap/page labeled"),
    fails("kubectl label configmap page tier=back", "'tier' already has a value (front), and --overwrite is false"),
    sees("kubectl label configmap page tier=back --overwrite", "configmap/page labeled"),
    sees("kubectl get configmaps -l 'tier in (back,front),!missing' -o name", "configmap/page"),
    sees("kubectl label configmaps --all seen=yes", "configmap/page labeled"),
    sees("kubectl label configmap page tier-", "configmap/page"),
    fails("kubectl label configmap page 'bad key=x'", "bad key"),
    sees("kubectl annotate configmap page note=1", "configmap/page annotated"),
    sees("kubectl annotate configmap page note-", "configmap/page annotated"),
];

#[test]
fn kubectl_applies_and_changes() -> Result<()> {
    try_all(&Server::start()?, &Kubectl::ALL, CASES)
}
