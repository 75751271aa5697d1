//! The story of a small cluster, from its start to what a factory floor does to it, told by real kubectl.
//!
//! `scripts/run` shows its beginning to a newcomer.

mod boots;
mod by_hand;
mod first_start;
mod kills;
mod reach;

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

/// A Deployment that answers at port 80; the specs of its pods and of their container say more, such as `a: 1, b: 2`.
fn echo(image: &str, replicas: usize, pod: &str, container: &str) -> String {
    format!(
        r#"
apiVersion: apps/v1
kind: Deployment
metadata: {{name: echo}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: echo}}}}
  template:
    metadata: {{labels: {{app: echo}}}}
    spec: {{containers: [{{name: echo, image: {image}, {container}}}], {pod}}}
"#
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
#[expect(clippy::disallowed_methods, reason = "what a pod answers, and when, nobody tells from outside")]
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
    // Pods are spread over the nodes that take them, and one takes none until its taint is gone, soon after it is ready.
    eventually(|| {
        let taints = cluster.kubectl("get nodes -o jsonpath={.items[*].spec.taints}")?;
        ensure!(taints.is_empty(), "{taints}");
        Ok(())
    })?;
    let role = r"jsonpath={.metadata.labels.node-role\.kubernetes\.io/control-plane}=true";
    cluster.kubectl(&format!("wait --for={role} node/server --timeout=60s"))?;
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

/// A Job whose pod fails twice and then succeeds, by what it remembers on its node.
fn third_time_lucky(image: &str) -> String {
    format!(
        r#"
apiVersion: batch/v1
kind: Job
metadata: {{name: lucky, namespace: shop}}
spec:
  backoffLimit: 4
  template:
    spec:
      restartPolicy: OnFailure
      containers: [{{name: try, image: {image}, args: [fail-until, /kept/tries, "2"], volumeMounts: [{{name: kept, mountPath: /kept}}]}}]
      volumes: [{{name: kept, emptyDir: {{}}}}]
"#
    )
}

fn everywhere(image: &str) -> String {
    format!(
        r#"
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: everywhere, namespace: shop}}
spec:
  selector: {{matchLabels: {{app: everywhere}}}}
  template:
    metadata: {{labels: {{app: everywhere}}}}
    spec: {{containers: [{{name: echo, image: {image}, args: [echo, --http, "8080"]}}]}}
"#
    )
}

#[test]
fn work_is_done_looked_at_and_cleared_away() -> Result<()> {
    let lab = Lab::new()?;
    let cluster = Cluster::start(&lab, 1)?;
    let guest = cluster.push(&Image::guest("guest", ["echo", "--http", "8080"])?.build()?)?;
    let shell = cluster.push(&shell()?)?;
    cluster.kubectl("wait --for=condition=Ready node --all --timeout=60s")?;
    cluster.kubectl("create namespace shop")?;
    cluster.apply(&third_time_lucky(&guest))?;
    cluster.apply(&everywhere(&guest))?;
    cluster.apply(&client(&shell))?;
    cluster.kubectl("-n shop rollout status daemonset/everywhere --timeout=120s")?;
    let nodes =
        cluster.kubectl("-n shop get pods -l app=everywhere -o jsonpath={.items[*].spec.nodeName}")?;
    assert_eq!(nodes.split_whitespace().count(), 2, "one on each node: {nodes}");
    cluster.kubectl("-n shop wait --for=condition=Complete job/lucky --timeout=120s")?;
    let log = cluster.kubectl("-n shop logs job/lucky")?;
    assert_eq!(log, "success after 2 failures\n");
    let restarts =
        "-n shop get pods -l job-name=lucky -o jsonpath={.items[0].status.containerStatuses[0].restartCount}";
    assert_eq!(cluster.kubectl(restarts)?, "2");

    cluster.kubectl("wait --for=condition=Ready pod/client --timeout=120s")?;
    let said = cluster.command(["exec", "client", "-i", "--", "sh", "-c", "cat; echo done >&2; exit 3"])?;
    let said = said.stdin("through the wire").run()?;
    assert_eq!(said.stdout, "through the wire");
    assert!(said.stderr.contains("done") && said.stderr.contains("exit code 3"), "{said:?}");
    // Events come beside what they tell of, and a little later.
    eventually(|| {
        let described = cluster.kubectl("describe pod client")?;
        for event in ["Scheduled", "Pulled", "Created", "Started"] {
            ensure!(described.contains(event), "{event} is missing: {described}");
        }
        Ok(())
    })?;
    cluster.kubectl("delete namespace shop --timeout=120s")?;
    let left = cluster.kubectl("get pods,jobs,daemonsets -A -o name")?;
    assert_eq!(left, "pod/client\n");
    Ok(())
}

#[test]
fn what_runs_goes_on_whatever_is_killed() -> Result<()> {
    let lab = Lab::new()?;
    let cluster = Cluster::start(&lab, 1)?;
    let (nginx, shell) = (cluster.push(&Image::nginx()?.build()?)?, cluster.push(&shell()?)?);
    cluster.kubectl("wait --for=condition=Ready node --all --timeout=60s")?;
    cluster.apply(&web(&nginx))?;
    cluster.apply(&client(&shell))?;
    cluster.kubectl("rollout status deployment/web --timeout=120s")?;
    cluster.kubectl("wait --for=condition=Ready pod/client --timeout=120s")?;
    let started = "get pods -o jsonpath={range.items[*]}{.metadata.name}{.status.containerStatuses[0].state.running.startedAt}{.status.containerStatuses[0].restartCount},{end}";
    let before = cluster.kubectl(started)?;

    cluster.kubectl("create configmap acknowledged --from-literal=a=b")?;
    for node in cluster.nodes() {
        node.daemon.kill()?;
    }
    for node in cluster.nodes() {
        node.daemon.restart()?;
        node.wait_ready()?;
    }
    eventually(|| cluster.kubectl("wait --for=condition=Ready node --all --timeout=5s"))?;
    assert_eq!(cluster.kubectl("get configmap acknowledged -o jsonpath={.data.a}")?, "b");
    assert_eq!(eventually(|| fetch(&cluster, "http://web"))?, "hello from the floor\n");
    assert_eq!(cluster.kubectl(started)?, before, "no container was started anew");

    let agent = &cluster.agents[0];
    agent.host.reboot()?;
    agent.daemon.restart()?;
    agent.wait_ready()?;
    let back = || {
        let restarts = cluster.kubectl("get pods -l app=web --field-selector spec.nodeName=agent-1 -o jsonpath={.items[*].status.containerStatuses[0].restartCount}")?;
        ensure!(
            !restarts.is_empty() && restarts.split_whitespace().all(|count| count != "0"),
            "restarts: {restarts}"
        );
        cluster.kubectl("rollout status deployment/web --timeout=5s")
    };
    eventually(back)?;
    for address in
        cluster.kubectl("get pods -l app=web -o jsonpath={.items[*].status.podIP}")?.split_whitespace()
    {
        assert_eq!(eventually(|| fetch(&cluster, &format!("http://{address}")))?, "hello from the floor\n");
    }
    Ok(())
}

#[test]
fn an_update_under_steady_requests_fails_none_of_them() -> Result<()> {
    let lab = Lab::new()?;
    let cluster = Cluster::start(&lab, 1)?;
    let guest = cluster.push(&Image::guest("guest", ["echo", "--http", "80"])?.build()?)?;
    let newer = cluster.push(&Image::guest("guest", ["echo", "--http", "80"])?.tag("2").build()?)?;
    let shell = cluster.push(&shell()?)?;
    let container = "readinessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 1}, lifecycle: {preStop: {sleep: {seconds: 10}}}";
    cluster.apply(&echo(&guest, 3, "", container))?;
    cluster.apply(
        "{apiVersion: v1, kind: Service, metadata: {name: echo}, spec: {selector: {app: echo}, ports: [{port: 80}]}}",
    )?;
    cluster.apply(&client(&shell))?;
    cluster.kubectl("rollout status deployment/echo --timeout=120s")?;
    cluster.kubectl("wait --for=condition=Ready pod/client --timeout=120s")?;
    eventually(|| fetch(&cluster, "http://echo"))?;
    let asking = "while ! test -e /tmp/enough; do wget -qO/dev/null http://echo && echo ok || echo failed; sleep 0.02; done";
    let asking = cluster.command(["exec", "client", "--", "sh", "-c", asking])?.daemon("asking")?;
    asking.wait_line(|line| line == "ok", PATIENCE)?;
    cluster.kubectl(&format!("set image deployment/echo echo={newer}"))?;
    cluster.kubectl("rollout status deployment/echo --timeout=120s")?;
    let old = || {
        let images =
            cluster.kubectl("get pods -l app=echo -o jsonpath={.items[*].spec.containers[0].image}")?;
        ensure!(images.split_whitespace().all(|image| image == newer), "{images}");
        Ok(())
    };
    eventually(old)?;
    cluster.kubectl("exec client -- touch /tmp/enough")?;
    asking.wait_exit(PATIENCE)?;
    let answers = asking.logs();
    let failed = answers.lines().filter(|line| *line != "ok").count();
    assert_eq!(failed, 0, "of {}: {answers}", answers.lines().count());
    Ok(())
}

#[test]
fn pods_of_an_unplugged_machine_move() -> Result<()> {
    let lab = Lab::new()?;
    let cluster = Cluster::start(&lab, 1)?;
    let guest = cluster.push(&Image::guest("guest", ["echo", "--http", "80"])?.build()?)?;
    cluster.kubectl("wait --for=condition=Ready node --all --timeout=60s")?;
    let pod = "tolerations: [{key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 5}]";
    cluster.apply(&echo(&guest, 2, pod, ""))?;
    cluster.apply(&everywhere(&guest).replace("shop", "default"))?;
    cluster.kubectl("rollout status deployment/echo --timeout=120s")?;
    cluster.kubectl("rollout status daemonset/everywhere --timeout=120s")?;
    cluster.agents[0].host.link().cut()?;
    // The grace of a silent node is 50 seconds.
    cluster.kubectl("wait --for=condition=Ready=Unknown node/agent-1 --timeout=120s")?;
    let moved = || {
        let running =
            "get pods -l app=echo --field-selector spec.nodeName=server,status.phase=Running -o name";
        let running = cluster.kubectl(running)?;
        ensure!(running.lines().count() == 2, "on the server: {running}");
        Ok(())
    };
    eventually(moved)?;
    cluster.agents[0].host.link().mend()?;
    cluster.kubectl("wait --for=condition=Ready node/agent-1 --timeout=120s")?;
    let cleared = || {
        let left = cluster.kubectl("get pods -l app=echo -o name")?;
        ensure!(left.lines().count() == 2, "{left}");
        Ok(())
    };
    eventually(cleared)?;
    let again = || {
        let ready = "get pods -l app=everywhere -o jsonpath={.items[*].status.conditions[?(@.type==\"Ready\")].status}";
        let ready = cluster.kubectl(ready)?;
        ensure!(ready == "True True", "what stayed where it was is ready again: {ready}");
        Ok(())
    };
    eventually(again)
}
