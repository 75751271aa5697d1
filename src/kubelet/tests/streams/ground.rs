//! A pod with real containers, and a server that knows no other.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use k8s_openapi::api::core::v1::Pod;
use kubelet::server::{Container, Log, Network, Refusal, Running, Server, Workloads, serve_stream};
use oci::cgroup::{Cgroup, Hierarchy};
use oci::{ContainerSpec, PodSpec, Pods, Process, Size, Stdin};
use task::{Carrier, Tasks};
use tokio::io::{DuplexStream, duplex};

use crate::harness::{BUSYBOX, Stand};

static GROUNDS: AtomicU32 = AtomicU32::new(0);

/// A pod `n/p`.
pub(crate) struct Ground {
    folder: tempfile::TempDir,
    cgroup: PathBuf,
    pub(crate) pod: oci::Pod,
    carrier: Arc<Carrier>,
    tasks: Mutex<Tasks<()>>,
}

impl Stand for Ground {
    async fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("streams-").tempdir().unwrap();
        make_root(&folder.path().join("rootfs"));
        fs::create_dir(folder.path().join("logs")).unwrap();
        let number = GROUNDS.fetch_add(1, Ordering::Relaxed);
        let cgroup = PathBuf::from(format!("/streams-test-{}-{number}", std::process::id()));
        let spec = PodSpec {
            id: "p".to_owned(),
            hostname: "p".to_owned(),
            cgroup: cgroup.join("p"),
            ..PodSpec::default()
        };
        let pod = Pods::open(folder.path().join("pods")).unwrap().create_pod(spec).await.unwrap();
        let (carrier, mut tasks) = (Arc::new(Carrier::default()), Tasks::new());
        let carrying = carrier.clone();
        tasks.spawn("carrier", async move { carrying.run().await });
        Self { folder, cgroup, pod, carrier, tasks: Mutex::new(tasks) }
    }

    async fn clear(&self) {
        self.pod.remove().await.unwrap();
        let hierarchy = Hierarchy::detect().unwrap();
        Cgroup::new(&hierarchy, &self.cgroup).remove().unwrap();
    }
}

impl Ground {
    /// A container that runs this with busybox's shell.
    pub(crate) fn container(&self, id: &str, script: &str) -> ContainerSpec {
        ContainerSpec {
            id: id.to_owned(),
            rootfs: self.folder.path().join("rootfs"),
            process: Process {
                args: vec!["/bin/sh".into(), "-c".into(), script.into()],
                env: vec!["FROM=container".into()],
                ..Process::default()
            },
            log: Some(oci::Log { path: self.log(id), max_size: 64 * 1024, max_files: 100 }),
            ..ContainerSpec::default()
        }
    }

    pub(crate) async fn start(&self, spec: &ContainerSpec) {
        self.pod.create_container(spec).await.unwrap();
        self.pod.start(&spec.id).await.unwrap();
    }

    pub(crate) async fn run(&self, id: &str, script: &str) {
        self.start(&self.container(id, script)).await;
    }

    /// One that takes input, on a terminal if `terminal`.
    pub(crate) async fn interactive(&self, id: &str, script: &str, terminal: bool) {
        let mut spec = self.container(id, script);
        spec.stdin = Stdin::Once;
        spec.process.terminal = terminal.then_some(Size { columns: 80, rows: 24 });
        self.start(&spec).await;
    }

    fn log(&self, id: &str) -> PathBuf {
        self.folder.path().join("logs").join(format!("{id}.log"))
    }

    /// A new connection to the server.
    pub(crate) fn connect(&self) -> DuplexStream {
        let workloads = Arc::new(OnePod { pod: self.pod.clone(), logs: self.folder.path().join("logs") });
        let server = Server::new(workloads, self.carrier.clone());
        let (client, ours) = duplex(64 * 1024);
        let serving = async move {
            let _ended_by_the_client = serve_stream(server, ours).await;
        };
        self.tasks.lock().unwrap().spawn("connection", serving);
        client
    }
}

fn make_root(root: &Path) {
    let bin = root.join("bin");
    fs::create_dir_all(&bin).unwrap();
    fs::copy(BUSYBOX, bin.join("busybox")).unwrap();
    for applet in ["sh", "cat", "echo", "sleep", "seq", "stty", "nc", "tty", "tr", "head", "yes", "grep"] {
        symlink("busybox", bin.join(applet)).unwrap();
    }
    for name in ["proc", "dev", "sys", "tmp", "etc"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
}

struct OnePod {
    pod: oci::Pod,
    logs: PathBuf,
}

impl OnePod {
    fn container(&self, id: &str) -> Container {
        Container { pod: self.pod.clone(), id: id.to_owned() }
    }
}

impl Workloads for OnePod {
    fn pods(&self) -> Vec<Arc<Pod>> {
        Vec::new()
    }

    fn log(&self, _: &str, _: &str, container: &str, previous: bool) -> Result<Log, Refusal> {
        let path = self.logs.join(format!("{container}.log"));
        Ok(Log { path, writer: (!previous).then(|| self.container(container)) })
    }

    fn running(&self, _: &str, _: &str, _: Option<&str>, container: &str) -> Result<Running, Refusal> {
        let state = self.pod.state();
        if !state.borrow().containers.get(container).is_some_and(oci::ContainerState::is_running) {
            return Err(Refusal::not_found(format!("container not found ({container:?})")));
        }
        let process = Process { env: vec!["FROM=container".into()], ..Process::default() };
        Ok(Running { container: self.container(container), process })
    }

    fn network(&self, _: &str, _: &str, _: Option<&str>) -> Result<Network, Refusal> {
        Ok(Network::Own(self.pod.netns().unwrap()))
    }
}
