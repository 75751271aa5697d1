//! The node agent and the shim may die at any time; containers do not.

use std::fs;

use oci::{ContainerState, Error, ExecSpec, Pod, Pods, Sandbox};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept, bind, listen, socket_with,
};

use crate::ground::{Changes, Ground, kill, run, shell, shim_pid, signal};
use crate::lifecycle::await_log;
use crate::streams::output_of;

crate::tests![
    the_agent_comes_back,
    an_exit_while_the_agent_was_away,
    a_killed_shim_is_replaced,
    an_end_that_nobody_saw,
    a_killed_shim_loses_no_output_written_later,
    everything_is_killed,
    a_restart_of_the_machine,
    a_shim_that_does_not_answer,
    a_shim_that_stops_answering,
    a_start_that_takes_too_long,
    a_shim_of_another_time,
    a_pod_that_cannot_be_read,
];

const TICKING: &str = "echo ready; while [ ! -e /tmp/stop ]; do sleep 0.05; done; echo over; exit 4";

async fn started(ground: &Ground) -> Pod {
    let pod = ground.pod().await;
    start(ground, &pod, TICKING).await;
    pod
}

async fn start(ground: &Ground, pod: &Pod, script: &str) {
    pod.create_container(&ground.shell("app", script)).await.unwrap();
    pod.start("app").await.unwrap();
    await_log(ground, "app", "stdout F ready").await;
}

fn stop(ground: &Ground) {
    fs::write(ground.path().join("rootfs/tmp/stop"), "").unwrap();
}

fn running_pid(pod: &Pod) -> i32 {
    match &pod.state().borrow().containers["app"] {
        ContainerState::Running { process, .. } => process.pid,
        other => panic!("{other:?}"),
    }
}

async fn the_agent_comes_back(ground: &Ground) {
    let pid = {
        let pod = ground.pod().await;
        start(ground, &pod, TICKING).await;
        running_pid(&pod)
    };
    let (pods, errors) = ground.pods().adopt().await.unwrap();
    assert!(errors.is_empty());
    let pod = &pods[0];
    assert_eq!(running_pid(pod), pid);
    assert_eq!(pod.spec().hostname, "web-0");
    stop(ground);
    let exit = pod.wait("app").await.unwrap();
    assert_eq!((exit.code, exit.unknown), (4, false), "its shim never left");
}

async fn an_exit_while_the_agent_was_away(ground: &Ground) {
    {
        let pod = ground.pod().await;
        start(ground, &pod, TICKING).await;
    }
    // The shim records the end whether or not anyone listens.
    let folder = ground.path().join("pods/web/containers/app");
    let changes = Changes::of(&folder);
    stop(ground);
    while !fs::read_to_string(folder.join("state.json")).unwrap().contains("exited") {
        changes.next().await;
    }
    let (pods, _) = ground.pods().adopt().await.unwrap();
    assert_eq!(pods[0].wait("app").await.unwrap().code, 4);
    assert_eq!(ground.log("app"), ["stdout F ready", "stdout F over"]);
}

async fn replaced(ground: &Ground, pod: &Pod) {
    let mut state = pod.state();
    kill(shim_pid(ground));
    state.wait_for(|pod| pod.sandbox == Sandbox::Recovering).await.unwrap();
    state.wait_for(|pod| pod.sandbox == Sandbox::Ready).await.unwrap();
}

async fn a_killed_shim_is_replaced(ground: &Ground) {
    let pod = ground.pod().await;
    start(ground, &pod, TICKING).await;
    let (pid, netns) = (running_pid(&pod), inode(&pod));
    replaced(ground, &pod).await;
    assert_eq!(running_pid(&pod), pid);
    assert_eq!(inode(&pod), netns, "the same namespaces");
    assert_eq!(
        output_of(&pod, "app", &ExecSpec { process: shell("hostname") }).await,
        (0, "web-0\n".to_owned())
    );
    assert_eq!(run(&pod, &ground.shell("another", "exit 2")).await.code, 2);
    pod.signal("app", libc::SIGKILL).await.unwrap();
    let exit = pod.wait("app").await.unwrap();
    assert!(exit.code == 137 || (exit.code == 255 && exit.unknown), "{exit:?}");
}

fn inode(pod: &Pod) -> u64 {
    std::os::unix::fs::MetadataExt::ino(&fs::metadata(pod.netns().unwrap()).unwrap())
}

async fn an_end_that_nobody_saw(ground: &Ground) {
    {
        let pod = ground.pod().await;
        start(ground, &pod, TICKING).await;
        let pid = running_pid(&pod);
        drop(pod);
        kill(shim_pid(ground));
        kill(pid);
    }
    let (pods, _) = ground.pods().adopt().await.unwrap();
    let exit = pods[0].wait("app").await.unwrap();
    assert_eq!((exit.code, exit.unknown), (255, true));
}

/// The pipe outlives the shim: what is written meanwhile waits in it, and the writer with it when it is full.
async fn a_killed_shim_loses_no_output_written_later(ground: &Ground) {
    let pod = ground.pod().await;
    let script = "echo ready; while [ ! -e /tmp/stop ]; do sleep 0.05; done; seq 50000; exec sleep 1000";
    start(ground, &pod, script).await;
    let mut state = pod.state();
    kill(shim_pid(ground));
    stop(ground);
    state.wait_for(|pod| pod.sandbox == Sandbox::Recovering).await.unwrap();
    await_log(ground, "app", "stdout F 50000").await;
    assert_eq!(ground.log("app").len(), 50_001);
}

async fn everything_is_killed(ground: &Ground) {
    let pid = {
        let pod = ground.pod().await;
        start(ground, &pod, TICKING).await;
        running_pid(&pod)
    };
    kill(shim_pid(ground));
    // What a crash leaves of a container that was just being made.
    fs::create_dir(ground.path().join("pods/web/containers/half")).unwrap();
    let (pods, errors) = ground.pods().adopt().await.unwrap();
    assert!(errors.is_empty(), "{errors:?}");
    pods[0].create_container(&ground.shell("half", "true")).await.unwrap();
    assert_eq!(running_pid(&pods[0]), pid);
    assert!(matches!(pods[0].delete("app").await, Err(Error::Refused(_))), "it runs");
}

async fn a_restart_of_the_machine(ground: &Ground) {
    let pid = {
        let pod = ground.pod().await;
        start(ground, &pod, TICKING).await;
        running_pid(&pod)
    };
    kill(shim_pid(ground));
    kill(pid);
    // As if the files were from before it.
    let file = ground.path().join("pods/web/pod.json");
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let text = fs::read_to_string(&file).unwrap().replace(boot.trim(), "an earlier boot");
    fs::write(&file, text).unwrap();
    let (pods, _) = ground.pods().adopt().await.unwrap();
    let pod = &pods[0];
    assert_eq!(pod.state().borrow().sandbox, Sandbox::Gone);
    let exit = pod.wait("app").await.unwrap();
    assert_eq!((exit.code, exit.unknown), (255, true));
    assert!(matches!(pod.start("app").await, Err(Error::Gone)));
}

async fn adopt(ground: &Ground) -> (Pods, (Vec<Pod>, Vec<Error>)) {
    let all = ground.pods();
    let adopted = all.adopt().await.unwrap();
    (all, adopted)
}

/// Whatever is wrong with it: it is on record, and nothing of it is left when it was removed.
async fn assert_it_can_be_removed(
    ground: &Ground,
    (all, (pods, errors)): (Pods, (Vec<Pod>, Vec<Error>)),
    expected: impl Fn(&Error) -> bool,
) {
    assert!(matches!(&errors[..], [error] if expected(error)), "{errors:?}");
    assert_eq!(pods[0].state().borrow().sandbox, Sandbox::Gone);
    assert!(matches!(all.create_pod(ground.pod_spec()).await, Err(Error::Exists(_))));
    all.get("web").unwrap().remove().await.unwrap();
    ground.assert_clean();
    all.create_pod(ground.pod_spec()).await.unwrap();
}

async fn a_shim_that_does_not_answer(ground: &Ground) {
    drop(started(ground).await);
    signal("-STOP", shim_pid(ground));
    // Nothing else is waited for: the time it is given is over at once.
    tokio::time::pause();
    let adopted = adopt(ground).await;
    tokio::time::resume();
    assert_it_can_be_removed(ground, adopted, |error| matches!(error, Error::Silent(_))).await;
}

async fn a_shim_that_stops_answering(ground: &Ground) {
    let pod = started(ground).await;
    let (pid, shim) = (running_pid(&pod), shim_pid(ground));
    let mut state = pod.state();
    signal("-STOP", shim);
    tokio::time::pause();
    let unanswered = pod.signal("app", libc::SIGCONT).await;
    tokio::time::resume();
    assert!(matches!(unanswered, Err(Error::Silent(_))), "{unanswered:?}");
    state.wait_for(|pod| pod.sandbox == Sandbox::Ready).await.unwrap();
    pod.signal("app", libc::SIGCONT).await.unwrap();
    assert!(running_pid(&pod) == pid && shim_pid(ground) != shim, "the container runs on below another shim");
    stop(ground);
    pod.wait("app").await.unwrap();
    assert_eq!(ground.log("app"), ["stdout F ready", "stdout F over"]);
}

/// Its launcher waits for somebody to read what it writes.
async fn a_start_that_takes_too_long(ground: &Ground) {
    let pod = ground.pod().await;
    pod.create_container(&ground.shell("app", "exit 3")).await.unwrap();
    let holder = || fs::read_to_string(ground.path().join("pods/web/lock")).unwrap();
    let shim = holder();
    let file = ground.path().join("pods/web/containers/app/config.json");
    mknodat(CWD, &file, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    tokio::time::pause();
    let late = pod.start("app").await;
    tokio::time::resume();
    assert!(matches!(late, Err(Error::Late(_))), "{late:?}");
    assert!(matches!(pod.delete("app").await, Err(Error::Refused(_))), "its launcher is on its way");
    fs::remove_file(file).unwrap();
    // As soon as the shim has seen the end of the first attempt.
    while let Err(error) = pod.start("app").await {
        assert!(matches!(error, Error::Refused(_)), "{error}");
    }
    assert_eq!(pod.wait("app").await.unwrap().code, 3);
    assert_eq!(holder(), shim, "it was not to blame");
}

async fn a_shim_of_another_time(ground: &Ground) {
    drop(started(ground).await);
    kill(shim_pid(ground));
    let path = ground.path().join("pods/web/shim.sock");
    fs::remove_file(&path).unwrap();
    let listener =
        socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    listen(&listener, 1).unwrap();
    let greeter = std::thread::spawn(move || {
        let agent = accept(&listener).unwrap();
        let hello = br#"{"hello":{"version":99,"sandbox":{"Ok":null},"containers":{}}}"#;
        rustix::io::write(&agent, hello).unwrap();
    });
    assert_it_can_be_removed(ground, adopt(ground).await, |error| {
        matches!(error, Error::Version { version: 99, .. })
    })
    .await;
    greeter.join().unwrap();
}

async fn a_pod_that_cannot_be_read(ground: &Ground) {
    drop(started(ground).await);
    let file = ground.path().join("pods/web/pod.json");
    fs::write(&file, fs::read_to_string(&file).unwrap().replace("\"boot\"", "\"start\"")).unwrap();
    assert_it_can_be_removed(ground, adopt(ground).await, |error| matches!(error, Error::File(_))).await;
}
