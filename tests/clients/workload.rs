//! Workloads without a node: scale, set, autoscale, rollouts, and deletion in each of its ways.

use anyhow::Result;

use super::Server;
use super::case::Kubectl::{self, V1_32};
use super::case::{Case, fails, sees, try_all};

const CASES: &[Case] = &[
    sees("kubectl create deployment web --image=nginx:1 --replicas=2", "created"),
    sees("kubectl wait deploy/web --for=condition=Progressing --timeout=60s", "met"),
    sees("kubectl scale deploy web --replicas=3", "deployment.apps/web scaled"),
    sees("kubectl scale deploy web --replicas=2 --current-replicas=3", "deployment.apps/web scaled"),
    fails("kubectl scale deploy web --replicas=1 --current-replicas=9", "Expected replicas to be 9, was 2"),
    sees(
        "kubectl autoscale deploy web --min=1 --max=3",
        "horizontalpodautoscaler.autoscaling/web autoscaled",
    ),
    sees(
        "kubectl get hpa",
        "NAME REFERENCE TARGETS MINPODS MAXPODS REPLICAS AGE web Deployment/web cpu: <unknown>/80% 1 3 0",
    ),
    sees(
        "kubectl get horizontalpodautoscalers.v1.autoscaling web -o jsonpath='{.spec.targetCPUUtilizationPercentage}'",
        "80",
    ),
    sees("kubectl describe hpa web", "Min replicas: 1 Max replicas: 3"),
    // Each change of the template is a revision, which can be looked at and gone back to.
    sees("kubectl set image deploy/web nginx=nginx:2", "deployment.apps/web image updated"),
    sees(
        "kubectl wait deploy/web --timeout=60s \
         --for=jsonpath='{.metadata.annotations.deployment\\.kubernetes\\.io/revision}'=2",
        "met",
    )
    .since(V1_32),
    sees("kubectl set env deploy/web A=B", "deployment.apps/web env updated"),
    sees("kubectl set env deploy/web --list", "A=B"),
    sees("kubectl set resources deploy web --limits=cpu=200m,memory=64Mi", "resource requirements updated"),
    sees("kubectl create sa app; kubectl set serviceaccount deploy web app", "serviceaccount updated"),
    sees("kubectl annotate deploy web kubernetes.io/change-cause=mine", "annotated"),
    sees(
        "kubectl get deploy web -o jsonpath='{.spec.template.spec.containers[0].resources.limits} \
         {.spec.template.spec.serviceAccountName}'",
        r#"{"cpu":"200m","memory":"64Mi"} app"#,
    ),
    sees(
        "kubectl create service clusterip web --tcp=80; kubectl set selector service web a=b",
        "service/web selector updated",
    ),
    sees(
        "kubectl create rolebinding web --role=r --user=u; kubectl set subject rolebinding web --group=g",
        "rolebinding.rbac.authorization.k8s.io/web subjects updated",
    ),
    sees("kubectl rollout history deploy web", "deployment.apps/web REVISION CHANGE-CAUSE 1 <none>"),
    sees(
        "kubectl rollout history deploy web --revision=1",
        "deployment.apps/web with revision #1 Pod Template: … Image: nginx:1",
    ),
    sees("kubectl rollout undo deploy web --to-revision=1", "deployment.apps/web rolled back"),
    sees("kubectl get deploy web -o jsonpath='{.spec.template.spec.containers[0].image}'", "nginx:1"),
    fails(
        "kubectl rollout undo deploy web --to-revision=99",
        "unable to find specified revision 99 in history",
    ),
    sees("kubectl rollout restart deploy web", "deployment.apps/web restarted"),
    sees("kubectl rollout pause deploy web", "deployment.apps/web paused"),
    fails("kubectl rollout pause deploy web", r#"deployments.apps "web" is already paused"#),
    fails("kubectl rollout restart deploy web", "can't restart paused deployment"),
    sees("kubectl rollout resume deploy web", "deployment.apps/web resumed"),
    sees("kubectl rollout status deploy web --watch=false", "Waiting for deployment"),
    // Deletion: what depends on it stays, goes before it, or goes after it.
    sees("kubectl delete deploy web --cascade=orphan", r#"deployment.apps "web" deleted"#),
    sees("kubectl get rs -o name", "replicaset.apps/web-"),
    sees("kubectl delete rs --all --cascade=foreground", r#"replicaset.apps "web-"#),
    sees("kubectl get pods -o name | wc -l", "0"),
    sees(
        "kubectl create deployment gone --image=i; kubectl wait deploy/gone --for=condition=Progressing --timeout=60s",
        "met",
    ),
    sees("kubectl delete deploy gone --cascade=background", r#"deployment.apps "gone" deleted"#),
    sees(
        "kubectl wait pods -l app=gone --for=delete --timeout=60s; kubectl get rs -l app=gone -o name | wc -l",
        "0",
    ),
    sees("kubectl run pod --image=i; kubectl delete pod pod --now", r#"pod "pod" deleted"#),
    sees(
        "kubectl run pod --image=i; kubectl delete pod pod --grace-period=0 --force",
        r#"pod "pod" force deleted"#,
    ),
    sees(
        "kubectl create cm held; kubectl patch cm held --type=merge -p '{\"metadata\":{\"finalizers\":[\"a.b/c\"]}}'",
        "patched",
    ),
    sees("kubectl delete cm held --wait=false", r#"configmap "held" deleted"#),
    sees("kubectl get cm held -o jsonpath='{.metadata.finalizers}'", "a.b/c"),
    sees("kubectl patch cm held --type=merge -p '{\"metadata\":{\"finalizers\":null}}'", "patched"),
    fails("kubectl get cm held", r#"configmaps "held" not found"#),
    sees("kubectl create cm a; kubectl label cm a x=y; kubectl delete cm -l x=y", r#"configmap "a" deleted"#),
    sees("kubectl delete svc --all", r#"service "web" deleted"#),
    fails("kubectl delete cm none", r#"configmaps "none" not found"#),
    sees("kubectl delete cm none --ignore-not-found && echo fine", "fine"),
    sees("kubectl delete namespace $N --timeout=60s", r#"namespace "k1"#),
    fails("kubectl get namespace $N", "not found"),
];

#[test]
fn kubectl_runs_workloads() -> Result<()> {
    try_all(&Server::start()?, &Kubectl::ALL, CASES)
}
