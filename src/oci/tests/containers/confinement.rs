//! What a container may not do.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;

use oci::capabilities::Capabilities;
use oci::{Device, ExecSpec, Mount, Propagation, SeccompProfile};
use rustix::process::{getgroups, umask};
use rustix::thread::{
    CpuSet, disable_transparent_huge_pages, sched_getaffinity, sched_setaffinity, set_thread_groups,
};

use crate::ground::{Ground, run, shell};
use crate::streams::output_of;

crate::tests![
    capabilities_are_the_default_ones,
    a_denied_call_gives_eperm,
    an_unprivileged_user,
    the_root_filesystem_is_read_only,
    proc_and_sys_are_guarded,
    devices_are_few,
    a_privileged_container,
    mounts_are_seen_as_told,
    propagation_is_per_mount,
    control_groups_are_read_only,
    huge_pages_are_the_containers_own_affair,
    what_skiff_was_started_with_is_no_container_s,
    keys_are_shared_with_nobody,
    a_shim_holds_nothing_of_who_started_skiff,
];

async fn capabilities_are_the_default_ones(ground: &Ground) {
    let pod = ground.pod().await;
    let script = "grep -E '^Cap|^NoNew|^Seccomp:' /proc/self/status";
    run(&pod, &ground.shell("app", script)).await;
    let log = ground.log("app");
    for line in [
        "CapInh:\t0000000000000000",
        "CapPrm:\t00000000a80425fb",
        "CapEff:\t00000000a80425fb",
        "CapBnd:\t00000000a80425fb",
        "CapAmb:\t0000000000000000",
        "NoNewPrivs:\t0",
        "Seccomp:\t2",
    ] {
        assert!(log.contains(&format!("stdout F {line}")), "{line}: {log:?}");
    }
    let mut spec = ground.shell("few", script);
    spec.process.capabilities = Capabilities::NONE.with("NET_ADMIN".parse().unwrap());
    run(&pod, &spec).await;
    assert!(ground.log("few").contains(&"stdout F CapEff:\t0000000000001000".to_owned()));
}

/// Making a user namespace needs no capability: only the filter can refuse it.
async fn a_denied_call_gives_eperm(ground: &Ground) {
    let pod = ground.pod().await;
    let mut spec = ground.shell("confined", "unshare -U true");
    assert_ne!(run(&pod, &spec).await.code, 0);
    let log = ground.log("confined");
    assert!(log[0].contains("Operation not permitted"), "{log:?}");
    spec = ground.shell("free", "unshare -U true");
    spec.process.seccomp = SeccompProfile::Unconfined;
    assert_eq!(run(&pod, &spec).await.code, 0, "{:?}", ground.log("free"));
}

async fn an_unprivileged_user(ground: &Ground) {
    let pod = ground.pod().await;
    let mut spec = ground
        .shell("app", "id; grep CapEff /proc/self/status; echo out > /dev/stdout; echo err > /dev/stderr");
    (spec.process.user.uid, spec.process.user.gid) = (1000, 1001);
    spec.process.user.additional_gids = vec![2000];
    assert_eq!(run(&pod, &spec).await.code, 0);
    let log = ground.log("app");
    assert!(log.iter().any(|line| line.contains("uid=1000 gid=1001") && line.contains("2000")), "{log:?}");
    for line in ["stdout F CapEff:\t0000000000000000", "stdout F out", "stderr F err"] {
        assert!(log.contains(&line.to_owned()), "{line}: {log:?}");
    }
}

async fn the_root_filesystem_is_read_only(ground: &Ground) {
    let pod = ground.pod().await;
    let mut spec = ground.shell("app", "touch /tmp/x || exit 9");
    spec.read_only_rootfs = true;
    assert_eq!(run(&pod, &spec).await.code, 9);
    assert!(ground.log("app")[0].contains("Read-only file system"));
    assert!(!ground.path().join("rootfs/tmp/x").exists());
    assert_eq!(run(&pod, &ground.shell("writable", "touch /tmp/x")).await.code, 0);
}

async fn proc_and_sys_are_guarded(ground: &Ground) {
    let pod = ground.pod().await;
    let script = "echo 1 > /proc/sys/kernel/panic; touch /sys/x; wc -c < /proc/interrupts; ls /sys/firmware";
    run(&pod, &ground.shell("app", script)).await;
    let log = ground.log("app");
    assert_eq!(log.iter().filter(|line| line.contains("Read-only file system")).count(), 2, "{log:?}");
    assert!(log.contains(&"stdout F 0".to_owned()), "{log:?}");
}

async fn devices_are_few(ground: &Ground) {
    let pod = ground.pod().await;
    // MKNOD is a default capability: only the control group keeps the new node shut.
    let script = "ls /dev; mknod /tmp/mem c 1 1 && head -c 1 /tmp/mem; echo hello > /dev/null; head -c 4 /dev/urandom | wc -c; head -c 2 /dev/seen | wc -c";
    let mut spec = ground.shell("app", script);
    spec.devices =
        vec![Device { host: "/dev/zero".into(), container: "/dev/seen".into(), permissions: "r".to_owned() }];
    run(&pod, &spec).await;
    let log = ground.log("app");
    assert!(
        log.iter().any(|line| line.contains("/tmp/mem") && line.contains("Operation not permitted")),
        "{log:?}"
    );
    assert!(log.contains(&"stdout F 4".to_owned()) && log.contains(&"stdout F 2".to_owned()), "{log:?}");
}

async fn a_privileged_container(ground: &Ground) {
    let pod = ground.pod().await;
    let script = "mount -t tmpfs none /tmp && echo mounted; grep -E 'Seccomp:' /proc/self/status; ls /dev/kmsg; echo 1 > /proc/sys/net/ipv4/ip_forward && echo set";
    let mut spec = ground.shell("app", script);
    spec.privileged = true;
    spec.process.capabilities = Capabilities::ALL;
    spec.process.seccomp = SeccompProfile::Unconfined;
    assert_eq!(run(&pod, &spec).await.code, 0, "{:?}", ground.log("app"));
    let log = ground.log("app");
    for line in ["mounted", "Seccomp:\t0", "/dev/kmsg", "set"] {
        assert!(log.contains(&format!("stdout F {line}")), "{line}: {log:?}");
    }
}

fn mount(ground: &Ground, name: &str, destination: &str) -> Mount {
    let source = ground.path().join(name);
    fs::create_dir_all(&source).unwrap();
    Mount {
        source,
        destination: destination.into(),
        read_only: false,
        recursive_read_only: false,
        propagation: Propagation::None,
    }
}

async fn mounts_are_seen_as_told(ground: &Ground) {
    let pod = ground.pod().await;
    let mut spec = ground
        .shell("app", "cat /etc/config; echo kept > /data/file; touch /fixed/x; echo shared > /dev/shm/x");
    fs::write(ground.path().join("config"), "configured\n").unwrap();
    let file = Mount {
        source: ground.path().join("config"),
        read_only: true,
        ..mount(ground, "unused", "/etc/config")
    };
    let fixed = Mount { read_only: true, recursive_read_only: true, ..mount(ground, "fixed", "/fixed") };
    spec.mounts = vec![file, mount(ground, "data", "/data"), fixed];
    run(&pod, &spec).await;
    let log = ground.log("app");
    assert!(log.contains(&"stdout F configured".to_owned()), "{log:?}");
    assert!(log.iter().any(|line| line.contains("Read-only file system")), "{log:?}");
    assert_eq!(fs::read_to_string(ground.path().join("data/file")).unwrap(), "kept\n");
    run(&pod, &ground.shell("other", "cat /dev/shm/x")).await;
    assert_eq!(ground.log("other"), ["stdout F shared"], "one /dev/shm for the pod");
}

/// In a privileged container that mounts below each of its volumes, only one mount appears outside.
async fn propagation_is_per_mount(ground: &Ground) {
    let shared = SharedFolder::new(ground);
    let pod = ground.pod().await;
    let script = "busybox mkdir -p /two/in /none/in; mount -t tmpfs a /two/in; mount -t tmpfs b /none/in; echo ready; read go; ls /slave/late /none/late";
    let mut spec = ground.shell("app", script);
    spec.privileged = true;
    spec.process.capabilities = Capabilities::ALL;
    spec.process.seccomp = SeccompProfile::Unconfined;
    spec.stdin = oci::Stdin::Open;
    spec.mounts = ["two", "slave", "none"]
        .into_iter()
        .zip([Propagation::Bidirectional, Propagation::HostToContainer, Propagation::None])
        .map(|(name, propagation)| Mount {
            propagation,
            ..mount(ground, &format!("shared/{name}"), &format!("/{name}"))
        })
        .collect();
    pod.create_container(&spec).await.unwrap();
    pod.start("app").await.unwrap();
    crate::lifecycle::await_log(ground, "app", "stdout F ready").await;
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(mounts.contains("shared/two/in"), "bidirectional");
    assert!(!mounts.contains("shared/none/in"), "none");
    for name in ["slave", "none"] {
        shared.mount_below(name);
    }
    let mut streams = pod.attach("app", oci::Wanted { stdin: true, ..Default::default() }).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(streams.stdin.as_mut().unwrap(), b"go\n").await.unwrap();
    assert_eq!(pod.wait("app").await.unwrap().code, 0);
    let log = ground.log("app").join("\n");
    assert!(log.contains("seen-slave"), "{log}");
    assert!(!log.contains("seen-none"), "{log}");
}

/// A mount with peers, as most of a systemd machine is.
struct SharedFolder(std::path::PathBuf);

impl SharedFolder {
    fn new(ground: &Ground) -> Self {
        let path = ground.path().join("shared");
        fs::create_dir(&path).unwrap();
        busybox(&["mount", "-t", "tmpfs", "shared", path.to_str().unwrap()]);
        busybox(&["mount", "--make-shared", path.to_str().unwrap()]);
        Self(path)
    }

    /// A tmpfs with a file named after its folder.
    fn mount_below(&self, name: &str) {
        let point = self.0.join(name).join("late");
        fs::create_dir(&point).unwrap();
        // What shows is the file: the folder alone is there with or without the mount.
        busybox(&["mount", "-t", "tmpfs", "late", point.to_str().unwrap()]);
        fs::write(point.join(format!("seen-{name}")), "").unwrap();
    }
}

impl Drop for SharedFolder {
    fn drop(&mut self) {
        busybox(&["umount", "-l", self.0.to_str().unwrap()]);
    }
}

fn busybox(arguments: &[&str]) {
    assert!(std::process::Command::new("/bin/busybox").args(arguments).status().unwrap().success());
}

async fn control_groups_are_read_only(ground: &Ground) {
    let pod = ground.pod().await;
    let script = "cd /sys/fs/cgroup; [ -d memory ] && cd memory; echo -1 > memory.limit_in_bytes; echo max > memory.max; cat cgroup.procs | head -n 1";
    run(&pod, &ground.shell("app", script)).await;
    let log = ground.log("app");
    assert!(log.iter().any(|line| line.contains("Read-only file system")), "{log:?}");
    assert!(log.contains(&"stdout F 1".to_owned()), "its own group, itself in it: {log:?}");
}

/// skiff refuses them for itself, and what a process refuses its children inherit.
async fn huge_pages_are_the_containers_own_affair(ground: &Ground) {
    disable_transparent_huge_pages(true).unwrap();
    let pod = ground.pod().await;
    run(&pod, &ground.shell("app", "grep THP_enabled /proc/self/status")).await;
    assert_eq!(ground.log("app"), ["stdout F THP_enabled:\t1"]);
}

/// A login or a service manager's unit as odd as can be, until it is dropped.
struct Odd {
    umask: rustix::fs::Mode,
    groups: Vec<rustix::fs::Gid>,
    processors: CpuSet,
    children: libc::sighandler_t,
}

impl Odd {
    fn new() -> Self {
        let odd = Self {
            umask: umask(rustix::fs::Mode::from_raw_mode(0o077)),
            groups: getgroups().unwrap(),
            processors: sched_getaffinity(None).unwrap(),
            // SAFETY: installs no handler.
            children: unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) },
        };
        set_thread_groups(&[rustix::fs::Gid::from_raw(4242)]).unwrap();
        let first = (0..CpuSet::MAX_CPU).find(|number| odd.processors.is_set(*number)).unwrap();
        sched_setaffinity(None, &processors([first])).unwrap();
        odd
    }
}

impl Drop for Odd {
    fn drop(&mut self) {
        umask(self.umask);
        set_thread_groups(&self.groups).unwrap();
        sched_setaffinity(None, &self.processors).unwrap();
        // SAFETY: what was installed before this test.
        unsafe { libc::signal(libc::SIGCHLD, self.children) };
    }
}

fn processors(numbers: impl IntoIterator<Item = usize>) -> CpuSet {
    let mut set = CpuSet::new();
    numbers.into_iter().for_each(|number| set.set(number));
    set
}

/// The processors that this thread may run on, in the kernel's words.
fn allowed() -> String {
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    status.lines().find(|line| line.starts_with("Cpus_allowed:")).unwrap().to_owned()
}

async fn what_skiff_was_started_with_is_no_container_s(ground: &Ground) {
    let odd = Odd::new();
    let narrow = allowed();
    sched_setaffinity(None, &processors(0..CpuSet::MAX_CPU)).unwrap();
    let all = allowed();
    sched_setaffinity(None, &processors((0..CpuSet::MAX_CPU).find(|n| odd.processors.is_set(*n)))).unwrap();
    assert_eq!(allowed(), narrow);
    let pod = ground.pod().await;
    let script = "umask; id -G; grep Cpus_allowed: /proc/self/status; exit 3";
    assert_eq!(run(&pod, &ground.shell("app", script)).await.code, 3);
    assert_eq!(ground.log("app"), ["stdout F 0022", "stdout F 0", &format!("stdout F {all}")]);
    pod.create_container(&ground.shell("other", "sleep 1000")).await.unwrap();
    pod.start("other").await.unwrap();
    let said = output_of(&pod, "other", &ExecSpec { process: shell(script) }).await;
    assert_eq!(said, (3, format!("0022\n0\n{all}\n")));
}

/// Who possesses a keyring sees it, whoever owns it; others see only their own user's.
async fn keys_are_shared_with_nobody(ground: &Ground) {
    if !Path::new("/proc/keys").exists() {
        return println!("skipped: the kernel has no keys");
    }
    // SAFETY: the name is null-terminated and read before the call returns.
    let joined = unsafe {
        libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, c"of-who-started-skiff".as_ptr())
    };
    assert!(joined > 0, "{}", std::io::Error::last_os_error());
    let pod = ground.pod().await;
    let mut spec = ground.shell("app", "cat /proc/keys; echo looked");
    spec.unmasked = true;
    (spec.process.user.uid, spec.process.user.gid) = (1000, 1000);
    run(&pod, &spec).await;
    let log = ground.log("app");
    assert!(log.contains(&"stdout F looked".to_owned()), "{log:?}");
    assert!(!log.iter().any(|line| line.contains("of-who-started-skiff")), "{log:?}");
}

async fn a_shim_holds_nothing_of_who_started_skiff(ground: &Ground) {
    // Not closed by an exec.
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    rustix::io::ioctl_fionbio(&reader, true).unwrap();
    let mut reader = File::from(reader);
    let _pod = ground.pod().await;
    assert_eq!(
        reader.read(&mut [0]).unwrap_err().kind(),
        ErrorKind::WouldBlock,
        "the writing end is open here"
    );
    drop(writer);
    assert_eq!(reader.read(&mut [0]).unwrap(), 0, "and nowhere else");
}
