//! What a test stands on: a folder, a root filesystem, a control group; and proof that nothing of it is left.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use oci::cgroup::{Cgroup, Hierarchy};
use oci::{ContainerSpec, Exit, Log, Pod, PodSpec, Pods, Process};
use rustix::fs::inotify;
use tokio::io::unix::AsyncFd;
use tokio::runtime::{self, Runtime};

use crate::harness::{BUSYBOX, Stand};

pub(crate) struct Ground {
    folder: tempfile::TempDir,
    cgroup: PathBuf,
}

static GROUNDS: AtomicU32 = AtomicU32::new(0);

impl Stand for Ground {
    fn runtime() -> Runtime {
        runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    async fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("oci-").tempdir().unwrap();
        let number = GROUNDS.fetch_add(1, Ordering::Relaxed);
        let cgroup = PathBuf::from(format!("/oci-test-{}-{number}", std::process::id()));
        let bin = folder.path().join("rootfs/bin");
        fs::create_dir_all(&bin).unwrap();
        fs::create_dir(folder.path().join("logs")).unwrap();
        fs::copy(BUSYBOX, bin.join("busybox")).unwrap();
        for applet in [
            "sh", "cat", "echo", "sleep", "id", "ls", "hostname", "mount", "unshare", "touch", "kill",
            "grep", "dd", "tail", "seq", "yes", "head", "stty", "tty", "ps", "mknod", "ip", "stat", "pwd",
            "true", "printf", "sync", "chroot", "wc", "tr", "readlink",
        ] {
            symlink("busybox", bin.join(applet)).unwrap();
        }
        for name in ["proc", "dev", "sys", "tmp", "etc"] {
            fs::create_dir_all(folder.path().join("rootfs").join(name)).unwrap();
        }
        Self { folder, cgroup }
    }

    async fn clear(&self) {
        let (pods, errors) = self.pods().adopt().await.unwrap();
        assert!(errors.is_empty(), "{errors:?}");
        for pod in pods {
            pod.remove().await.unwrap();
        }
        self.assert_clean();
        let hierarchy = Hierarchy::detect().unwrap();
        Cgroup::new(&hierarchy, &self.cgroup).remove().unwrap();
    }
}

impl Ground {
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn pods(&self) -> Pods {
        Pods::open(self.path().join("pods")).unwrap()
    }

    pub(crate) fn pod_spec(&self) -> PodSpec {
        PodSpec {
            id: "web".to_owned(),
            hostname: "web-0".to_owned(),
            cgroup: self.cgroup.join("web"),
            ..PodSpec::default()
        }
    }

    pub(crate) async fn pod(&self) -> Pod {
        self.pods().create_pod(self.pod_spec()).await.unwrap()
    }

    /// A container that runs this with busybox's shell.
    pub(crate) fn shell(&self, id: &str, script: &str) -> ContainerSpec {
        ContainerSpec {
            id: id.to_owned(),
            rootfs: self.path().join("rootfs"),
            process: shell(script),
            log: Some(Log { path: self.log_path(id), max_size: 0, max_files: 0 }),
            ..ContainerSpec::default()
        }
    }

    fn log_path(&self, id: &str) -> PathBuf {
        self.path().join("logs").join(format!("{id}.log"))
    }

    /// The log's lines without their times: stream, tag, text.
    pub(crate) fn log(&self, id: &str) -> Vec<String> {
        let text = fs::read_to_string(self.log_path(id)).unwrap();
        text.lines().filter_map(|line| Some(line.split_once(' ')?.1.to_owned())).collect()
    }

    pub(crate) fn cgroup<'a>(&self, hierarchy: &'a Hierarchy, container: &str) -> Cgroup<'a> {
        Cgroup::new(hierarchy, self.cgroup.join("web").join(container))
    }

    pub(crate) fn assert_clean(&self) {
        let hierarchy = Hierarchy::detect().unwrap();
        assert!(!Cgroup::new(&hierarchy, self.cgroup.join("web")).exists(), "a control group is left");
        let here = self.path().to_str().unwrap();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(here), "a mount is left");
        assert_eq!(processes_with(here), [] as [i32; 0], "a process is left");
        assert!(fs::read_dir(self.path().join("pods")).map_or(true, |mut entries| entries.next().is_none()));
    }
}

/// Living processes that name `word` on their command line, other than this one.
pub(crate) fn processes_with(word: &str) -> Vec<i32> {
    let names_it = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(word)
    };
    let pids =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| *pid != i32::try_from(std::process::id()).unwrap()).filter(names_it).collect()
}

/// The pod's shim.
pub(crate) fn shim_pid(ground: &Ground) -> i32 {
    let serving = processes_with(ground.path().join("pods/web").to_str().unwrap());
    assert_eq!(serving.len(), 1, "one shim");
    serving[0]
}

pub(crate) fn kill(pid: i32) {
    signal("-9", pid);
}

pub(crate) fn signal(signal: &str, pid: i32) {
    assert!(Command::new(BUSYBOX).args(["kill", signal, &pid.to_string()]).status().unwrap().success());
}

pub(crate) fn shell(script: &str) -> Process {
    Process { args: vec!["/bin/sh".into(), "-c".into(), script.into()], ..Process::default() }
}

/// Creates, starts, waits.
pub(crate) async fn run(pod: &Pod, spec: &ContainerSpec) -> Exit {
    pod.create_container(spec).await.unwrap();
    pod.start(&spec.id).await.unwrap();
    pod.wait(&spec.id).await.unwrap()
}

/// Tells when files in a folder change, so that nothing needs to look again and again.
pub(crate) struct Changes(AsyncFd<OwnedFd>);

impl Changes {
    pub(crate) fn of(folder: &Path) -> Self {
        let watcher = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC).unwrap();
        let flags = inotify::WatchFlags::MODIFY | inotify::WatchFlags::MOVED_TO | inotify::WatchFlags::CREATE;
        inotify::add_watch(&watcher, folder, flags).unwrap();
        // SAFETY: an `OwnedFd` keeps its descriptor open, the same one, until it is dropped.
        Self(unsafe { AsyncFd::register(watcher) }.unwrap())
    }

    pub(crate) async fn next(&self) {
        let mut ready = self.0.readable().await.unwrap();
        while rustix::io::read(&self.0, &mut [0; 4096]).is_ok() {}
        ready.clear_ready();
    }
}
