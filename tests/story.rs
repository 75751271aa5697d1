//! The story of a small cluster, from its start to what a factory floor does to it, told by real kubectl.
//!
//! `scripts/run` shows its beginning to a newcomer.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use lab::images::{Image, Layout};
use lab::{Cluster, Lab, PATIENCE};

/// The web application: three replicas that serve a page from a ConfigMap.
fn web(image: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: ConfigMap
metadata: {{name: page}}
data:
  index.html: "hello from the floor\n"
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 3
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers:
      - name: web
        image: {image}
        ports: [{{name: http, containerPort: 80}}]
        readinessProbe: {{httpGet: {{path: /, port: http}}, periodSeconds: 1}}
        volumeMounts: [{{name: page, mountPath: /usr/share/nginx/html}}]
      volumes: [{{name: page, configMap: {{name: page}}}}]
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  selector: {{app: web}}
  ports: [{{port: 80, targetPort: http}}]
"#
    )
}

/// A pod with a shell, to look at the cluster from inside.
fn client(image: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: client}}, spec: {{terminationGracePeriodSeconds: 1, \
         containers: [{{name: client, image: {image}, command: [sleep, infinity]}}]}}}}"
    )
}

fn shell() -> Result<Layout> {
    Image::new("shell").base_busybox()?.build()
}

/// What the client pod gets from a URL.
fn fetch(cluster: &Cluster, url: &str) -> Result<String> {
    cluster.kubectl(&format!("exec client -- wget -qO- {url}"))
}

/// Tries until it is so; the last failure says what is not.
fn eventually<T>(mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let end = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Err(_) if Instant::now() < end => std::thread::sleep(Duration::from_millis(200)),
            outcome => return outcome,
        }
    }
}

#[test]
fn a_deployment_behind_a_service_answers() -> Result<()> {
    let lab = Lab::new()?;
    let cluster = Cluster::start(&lab, 1)?;
    let (nginx, shell) = (cluster.push(&Image::nginx()?.build()?)?, cluster.push(&shell()?)?);
    cluster.kubectl("wait --for=condition=Ready node --all --timeout=60s")?;
    cluster.apply(&web(&nginx))?;
    cluster.apply(&client(&shell))?;
    cluster.kubectl("rollout status deployment/web --timeout=120s")?;
    cluster.kubectl("wait --for=condition=Ready pod/client --timeout=120s")?;

    let nodes = cluster.kubectl("get pods -l app=web -o jsonpath={.items[*].spec.nodeName}")?;
    assert!(nodes.contains("server") && nodes.contains("agent-1"), "pods are spread: {nodes}");
    for url in ["http://web", "http://web.default.svc.cluster.local"] {
        assert_eq!(eventually(|| fetch(&cluster, url))?, "hello from the floor\n");
    }
    let addresses = cluster.kubectl("get pods -l app=web -o jsonpath={.items[*].status.podIP}")?;
    for address in addresses.split_whitespace() {
        assert_eq!(fetch(&cluster, &format!("http://{address}"))?, "hello from the floor\n", "across nodes");
    }

    cluster.kubectl("set image deployment/web web=nowhere.invalid/nothing:1")?;
    let waiting = || {
        let pods = cluster.kubectl("get pods -l app=web")?;
        ensure!(pods.contains("ImagePull"), "{pods}");
        Ok(())
    };
    eventually(waiting)?;
    cluster.kubectl("rollout undo deployment/web")?;
    cluster.kubectl("rollout status deployment/web --timeout=120s")?;
    cluster.kubectl("delete deployment,service,configmap,pod --all --wait --timeout=120s")?;
    Ok(())
}
