//! From created to gone.

use std::fs;

use oci::cgroup::{Hierarchy, Limits};
use oci::{ContainerState, Error, PidNamespace, PodSpec, Process, Sandbox};

use crate::ground::{Changes, Ground, processes_with, run, shell};

crate::tests![
    exit_codes_and_times,
    a_signal_ends_a_container,
    the_log_is_complete_when_the_end_is_known,
    a_missing_program_is_named,
    a_container_may_be_restarted_under_a_new_id,
    memory_runs_out,
    limits_are_in_force,
    who_is_to_be_spared_starts_wherever_skiff_runs,
    the_pod_s_namespaces,
    one_pid_namespace_for_the_pod,
    removal_leaves_nothing,
    many_containers_in_one_pod,
    an_unknown_container_is_refused,
    sysctls_are_the_pod_s_own,
    a_shim_is_small,
];

async fn exit_codes_and_times(ground: &Ground) {
    let pod = ground.pod().await;
    let spec = ground.shell("app", "exit 3");
    pod.create_container(&spec).await.unwrap();
    assert!(matches!(pod.state().borrow().containers["app"], ContainerState::Created { .. }));
    pod.start("app").await.unwrap();
    let exit = pod.wait("app").await.unwrap();
    assert_eq!((exit.code, exit.signal, exit.oom_killed, exit.unknown), (3, None, false, false));
    assert!(exit.started.unwrap() <= exit.finished);
    assert!(matches!(pod.start("app").await, Err(Error::Refused(_))), "it ran already");
    pod.delete("app").await.unwrap();
    assert!(pod.state().borrow().containers.is_empty());
}

async fn a_signal_ends_a_container(ground: &Ground) {
    let pod = ground.pod().await;
    let spec =
        ground.shell("app", "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 1000 & wait; done");
    pod.create_container(&spec).await.unwrap();
    pod.start("app").await.unwrap();
    await_log(ground, "app", "stdout F ready").await;
    assert!(matches!(pod.start("app").await, Err(Error::Refused(_))), "it runs");
    pod.signal("app", libc::SIGTERM).await.unwrap();
    assert_eq!(pod.wait("app").await.unwrap().code, 7);
    assert_eq!(ground.log("app"), ["stdout F ready", "stdout F bye"]);

    pod.create_container(&ground.shell("other", "sleep 1000")).await.unwrap();
    pod.start("other").await.unwrap();
    pod.signal("other", libc::SIGKILL).await.unwrap();
    let exit = pod.wait("other").await.unwrap();
    assert_eq!((exit.code, exit.signal), (137, Some(9)));
    assert!(pod.signal("other", libc::SIGKILL).await.is_err());
}

/// Waits until the container has said `line`.
pub(crate) async fn await_log(ground: &Ground, id: &str, line: &str) {
    let changes = Changes::of(&ground.path().join("logs"));
    while !ground.log(id).iter().any(|logged| logged == line) {
        changes.next().await;
    }
}

async fn the_log_is_complete_when_the_end_is_known(ground: &Ground) {
    let pod = ground.pod().await;
    let exit = run(&pod, &ground.shell("app", "seq 20000; echo oops >&2; printf unended")).await;
    assert_eq!(exit.code, 0);
    let log = ground.log("app");
    let numbers: Vec<_> = log.iter().filter_map(|line| line.strip_prefix("stdout F ")).collect();
    assert_eq!(numbers.len(), 20000);
    assert_eq!(numbers[19999], "20000");
    assert!(log.contains(&"stderr F oops".to_owned()));
    assert!(log.contains(&"stdout P unended".to_owned()));
    // A line of 40000 bytes is three parts.
    run(&pod, &ground.shell("long", "head -c 40000 /dev/zero | tr '\\0' x; echo")).await;
    let parts: Vec<_> =
        ground.log("long").iter().map(|line| (line[7..8].to_owned(), line.len() - 9)).collect();
    assert_eq!(parts, [("P".to_owned(), 16384), ("P".to_owned(), 16384), ("F".to_owned(), 7232)]);
}

async fn a_missing_program_is_named(ground: &Ground) {
    let pod = ground.pod().await;
    let mut spec = ground.shell("app", "");
    spec.process.args = vec!["frobnicate".into()];
    pod.create_container(&spec).await.unwrap();
    let error = pod.start("app").await.unwrap_err().to_string();
    assert!(error.contains("exec: \"frobnicate\": executable file not found in $PATH"), "{error}");
    spec.process.args = vec!["/nothing/here".into()];
    spec.id = "path".into();
    pod.create_container(&spec).await.unwrap();
    let error = pod.start("path").await.unwrap_err().to_string();
    assert!(
        error.contains("exec: \"/nothing/here\": stat /nothing/here: no such file or directory"),
        "{error}"
    );
    assert!(matches!(pod.state().borrow().containers["app"], ContainerState::Created { .. }));
    pod.delete("app").await.unwrap();
}

async fn a_container_may_be_restarted_under_a_new_id(ground: &Ground) {
    let pod = ground.pod().await;
    for (number, code) in [(0, 1), (1, 0)] {
        let exit = run(&pod, &ground.shell(&format!("app_{number}"), &format!("exit {code}"))).await;
        assert_eq!(exit.code, code);
    }
    assert!(matches!(pod.create_container(&ground.shell("app_0", "true")).await, Err(Error::Exists(_))));
    assert!(matches!(pod.create_container(&ground.shell("../app", "true")).await, Err(Error::Id(_))));
}

async fn memory_runs_out(ground: &Ground) {
    let pod = ground.pod().await;
    let mut spec = ground.shell("app", "tail /dev/zero");
    spec.process.args = ["tail", "/dev/zero"].map(str::to_owned).to_vec();
    spec.limits = Limits { memory: Some(16 << 20), oom_group: Some(true), ..Limits::default() };
    let exit = run(&pod, &spec).await;
    assert_eq!((exit.code, exit.signal, exit.oom_killed), (137, Some(9), true));
}

async fn limits_are_in_force(ground: &Ground) {
    let pod = ground.pod().await;
    let mut spec = ground.shell("app", "echo ready; sleep 1000");
    spec.limits = Limits {
        cpu_shares: Some(512),
        cpu_quota: Some(50_000),
        memory: Some(64 << 20),
        pids: Some(5),
        ..Limits::default()
    };
    spec.process.oom_score_adj = Some(500);
    pod.create_container(&spec).await.unwrap();
    pod.start("app").await.unwrap();
    await_log(ground, "app", "stdout F ready").await;
    let hierarchy = Hierarchy::detect().unwrap();
    let usage = ground.cgroup(&hierarchy, "app").usage().unwrap();
    assert!(usage.pids >= 1 && usage.memory_bytes > 0 && usage.memory_bytes <= 64 << 20, "{usage:?}");
    let exec = oci::ExecSpec {
        process: shell(
            "cat /proc/1/oom_score_adj; i=0; while [ $i -lt 9 ]; do sleep 1000 >/dev/null 2>&1 & i=$((i+1)); done",
        ),
    };
    let (code, output) = crate::streams::output_of(&pod, "app", &exec).await;
    assert!(output.starts_with("500\n"), "{output}");
    assert!(code != 0 && output.contains("fork"), "{code} {output}");
}

async fn who_is_to_be_spared_starts_wherever_skiff_runs(ground: &Ground) {
    let pod = ground.pod().await;
    let mut spec = ground.shell("app", "cat /proc/self/oom_score_adj");
    spec.process.oom_score_adj = Some(-997);
    assert_eq!(run(&pod, &spec).await.code, 0);
    let own = fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    let allowed = if may_lower_scores() { "-997" } else { own.trim() };
    assert_eq!(ground.log("app"), [format!("stdout F {allowed}")]);
}

/// Whether this process has CAP_SYS_RESOURCE, which containers of others often do not.
fn may_lower_scores() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(effective.trim(), 16).unwrap() & (1 << 24) != 0
}

async fn the_pod_s_namespaces(ground: &Ground) {
    let pod = ground.pod().await;
    let script = "hostname; readlink /proc/self/ns/net; readlink /proc/self/ns/ipc; ip -o link show lo; echo $$; grep -E '^Sig(Blk|Ign)' /proc/self/status";
    run(&pod, &ground.shell("one", script)).await;
    run(&pod, &ground.shell("two", script)).await;
    let (one, two) = (ground.log("one"), ground.log("two"));
    assert_eq!(one[0], "stdout F web-0");
    assert_eq!(one[1..3], two[1..3], "shared");
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    assert!(!one[1].contains(own.to_str().unwrap()));
    assert!(one[3].contains("LOOPBACK,UP"), "{one:?}");
    assert_eq!(one[4], "stdout F 1", "its own pid namespace");
    assert_eq!(one[5], "stdout F SigBlk:\t0000000000000000");
    let ignored = one[6].strip_prefix("stdout F SigIgn:\t").unwrap();
    let ignored = u64::from_str_radix(ignored, 16).unwrap();
    let pipe = 1 << (libc::SIGPIPE - 1);
    assert_eq!(ignored & pipe, 0, "what skiff ignores is the container's to decide: {ignored:x}");
    assert!(pod.netns().unwrap().exists());
}

async fn one_pid_namespace_for_the_pod(ground: &Ground) {
    let spec = PodSpec { pid: PidNamespace::Pod, ..ground.pod_spec() };
    let pod = ground.pods().create_pod(spec).await.unwrap();
    // A word of its own, for a look at all processes of the machine.
    let word = format!("left-by-{}", ground.path().file_name().unwrap().display());
    let left = format!("sh -c 'sleep 1000; true' {word}");
    pod.create_container(&ground.shell("one", &format!("echo ready; ({left} &); sleep 1000"))).await.unwrap();
    pod.start("one").await.unwrap();
    await_log(ground, "one", "stdout F ready").await;
    run(&pod, &ground.shell("two", "ps; echo $$")).await;
    let two = ground.log("two");
    assert!(two.iter().any(|line| line.contains("sleep 1000")), "{two:?}");
    assert!(!processes_with(&word).is_empty());
    assert!(two.last().unwrap() != "stdout F 1");
    // What the first process leaves behind ends with its container.
    pod.signal("one", libc::SIGKILL).await.unwrap();
    pod.wait("one").await.unwrap();
    assert!(processes_with(&word).is_empty());
}

async fn removal_leaves_nothing(ground: &Ground) {
    let pods = ground.pods();
    let pod = pods.create_pod(ground.pod_spec()).await.unwrap();
    pod.create_container(&ground.shell("app", "sleep 1000 & sleep 1000")).await.unwrap();
    pod.start("app").await.unwrap();
    pod.create_container(&ground.shell("never", "true")).await.unwrap();
    assert!(matches!(pod.delete("app").await, Err(Error::Refused(_))), "it runs");
    assert!(pods.get("web").is_some());
    assert!(matches!(pods.create_pod(ground.pod_spec()).await, Err(Error::Exists(_))));
    pod.remove().await.unwrap();
    ground.assert_clean();
    assert!(pods.get("web").is_none());
    assert_eq!(pod.state().borrow().sandbox, Sandbox::Gone);
    assert!(matches!(pod.start("app").await, Err(Error::Gone)));
    pod.remove().await.unwrap();
}

async fn many_containers_in_one_pod(ground: &Ground) {
    let pod = ground.pod().await;
    for number in 0..8 {
        let spec = ground.shell(&format!("app{number}"), &format!("exit {number}"));
        pod.create_container(&spec).await.unwrap();
    }
    let ids: Vec<String> = (0..8).map(|number| format!("app{number}")).collect();
    let (a, b) = tokio::join!(start_all(&pod, &ids[..4]), start_all(&pod, &ids[4..]));
    let codes: Vec<i32> = a.into_iter().chain(b).collect();
    assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7]);
}

async fn start_all(pod: &oci::Pod, ids: &[String]) -> Vec<i32> {
    let mut codes = Vec::new();
    for id in ids {
        pod.start(id).await.unwrap();
    }
    for id in ids {
        codes.push(pod.wait(id).await.unwrap().code);
    }
    codes
}

async fn an_unknown_container_is_refused(ground: &Ground) {
    let pod = ground.pod().await;
    assert!(matches!(pod.start("nobody").await, Err(Error::Refused(_))));
    assert!(matches!(pod.wait("nobody").await, Err(Error::NoContainer(_))));
    let mut spec = ground.shell("cwd", "pwd");
    spec.process = Process { cwd: "/made/for/it".into(), ..spec.process };
    assert_eq!(run(&pod, &spec).await.code, 0);
    assert_eq!(ground.log("cwd"), ["stdout F /made/for/it"]);
}

async fn sysctls_are_the_pod_s_own(ground: &Ground) {
    let mut spec = ground.pod_spec();
    spec.sysctls.insert("net.ipv4.ip_unprivileged_port_start".into(), "80".into());
    spec.sysctls.insert("kernel.shm_rmid_forced".into(), "1".into());
    let pod = ground.pods().create_pod(spec).await.unwrap();
    run(
        &pod,
        &ground.shell(
            "app",
            "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shm_rmid_forced",
        ),
    )
    .await;
    assert_eq!(ground.log("app"), ["stdout F 80", "stdout F 1"]);
    pod.remove().await.unwrap();
    let mut spec = ground.pod_spec();
    spec.sysctls.insert("net.no.such".into(), "1".into());
    let error = ground.pods().create_pod(spec).await.unwrap_err().to_string();
    assert!(error.contains("net.no.such"), "{error}");
    ground.assert_clean();
}

/// The figure is for people; the limit is far above it and only says that nothing large is held.
async fn a_shim_is_small(ground: &Ground) {
    const PODS: u64 = 10;
    let pods = ground.pods();
    for number in 0..PODS {
        let id = format!("web-{number}");
        let spec = PodSpec { cgroup: ground.pod_spec().cgroup.with_file_name(&id), id, ..ground.pod_spec() };
        let pod = pods.create_pod(spec).await.unwrap();
        pod.create_container(&ground.shell("app", "sleep 1000")).await.unwrap();
        pod.start("app").await.unwrap();
    }
    let shims = processes_with(ground.path().join("pods/web-").to_str().unwrap());
    let rollups: Vec<_> =
        shims.iter().map(|pid| fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap()).collect();
    let mean = |name: &str| rollups.iter().map(|rollup| kilobytes(rollup, name)).sum::<u64>() / PODS;
    let own = mean("Private_Dirty:");
    println!(
        "each of {PODS} shims: Rss {} kB, Pss {} kB, private dirty {own} kB",
        mean("Rss:"),
        mean("Pss:")
    );
    assert!(own < 4096);
}

fn kilobytes(rollup: &str, name: &str) -> u64 {
    let line = rollup.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}
