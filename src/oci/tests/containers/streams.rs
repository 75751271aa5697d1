//! Exec and attach.

use oci::{ContainerSpec, ExecSpec, Output, Pod, Process, Size, Stdin, Wanted};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::ground::{Ground, run, shell};
use crate::lifecycle::await_log;

crate::tests![
    an_exec_has_streams_and_a_code,
    an_exec_reads_its_input,
    an_exec_on_a_terminal,
    an_exec_is_confined_too,
    attached_output_and_input,
    a_slow_client_loses_nothing,
    a_container_on_a_terminal,
    execs_leave_no_files,
    execs_beside_one_another,
    a_pod_goes_with_its_execs,
];

const ALL: Wanted = Wanted { stdin: true, stdout: true, stderr: true };

pub(crate) async fn read(output: Option<Output>) -> String {
    let mut bytes = Vec::new();
    output.unwrap().read_to_end(&mut bytes).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

/// The code, and stdout followed by stderr.
pub(crate) async fn output_of(pod: &Pod, container: &str, spec: &ExecSpec) -> (i32, String) {
    let wanted = Wanted { stdin: false, ..ALL };
    let mut exec = pod.exec(container, spec, wanted).await.unwrap();
    let streams = exec.take_streams();
    let code = exec.wait();
    let (stdout, stderr, code) = tokio::join!(read(streams.stdout), read(streams.stderr), code);
    (code.unwrap(), stdout + &stderr)
}

async fn running(ground: &Ground, spec: &ContainerSpec) -> Pod {
    let pod = ground.pod().await;
    pod.create_container(spec).await.unwrap();
    pod.start(&spec.id).await.unwrap();
    pod
}

async fn an_exec_has_streams_and_a_code(ground: &Ground) {
    let pod = running(ground, &ground.shell("app", "sleep 1000")).await;
    let spec = ExecSpec { process: shell("echo out; echo err >&2; hostname; exit 5") };
    assert_eq!(output_of(&pod, "app", &spec).await, (5, "out\nweb-0\nerr\n".to_owned()));
    let mut missing = spec.clone();
    missing.process.args = vec!["frobnicate".into()];
    let error = pod.exec("app", &missing, ALL).await.unwrap_err().to_string();
    assert!(error.contains("exec: \"frobnicate\": executable file not found in $PATH"), "{error}");
    let exec = pod.exec("app", &ExecSpec { process: shell("sleep 1000") }, Wanted::default()).await.unwrap();
    exec.signal(libc::SIGKILL).await.unwrap();
    assert_eq!(exec.wait().await.unwrap(), 137);
}

async fn an_exec_reads_its_input(ground: &Ground) {
    let pod = running(ground, &ground.shell("app", "sleep 1000")).await;
    let mut exec = pod.exec("app", &ExecSpec { process: shell("cat; echo done") }, ALL).await.unwrap();
    let mut streams = exec.take_streams();
    let mut stdin = streams.stdin.take().unwrap();
    let large = "x".repeat(300_000);
    let write = async {
        stdin.write_all(large.as_bytes()).await.unwrap();
        drop(stdin);
    };
    let ((), output) = tokio::join!(write, read(streams.stdout));
    assert_eq!(output, large + "done\n");
    assert_eq!(exec.wait().await.unwrap(), 0);
}

async fn an_exec_on_a_terminal(ground: &Ground) {
    let pod = running(ground, &ground.shell("app", "sleep 1000")).await;
    let process = Process {
        terminal: Some(Size { columns: 91, rows: 33 }),
        ..shell("tty; stty size; read word; stty size; echo $word $TERM")
    };
    let mut exec = pod.exec("app", &ExecSpec { process }, ALL).await.unwrap();
    let mut streams = exec.take_streams();
    let mut output = streams.stdout.take().unwrap();
    let mut seen = String::new();
    while !seen.contains("33 91") {
        let mut chunk = [0; 256];
        let count = output.read(&mut chunk).await.unwrap();
        assert!(count > 0, "{seen}");
        seen.push_str(std::str::from_utf8(&chunk[..count]).unwrap());
    }
    assert!(seen.starts_with("/dev/pts/"), "{seen}");
    exec.resize(Size { columns: 80, rows: 24 }).unwrap();
    streams.stdin.unwrap().write_all(b"hello\n").await.unwrap();
    let rest = read(Some(output)).await;
    assert!(rest.contains("24 80") && rest.contains("hello xterm"), "{rest}");
    assert_eq!(exec.wait().await.unwrap(), 0);
}

async fn an_exec_is_confined_too(ground: &Ground) {
    let pod = running(ground, &ground.shell("app", "sleep 1000")).await;
    let mut process =
        shell("grep -E 'CapEff|CapBnd|^Seccomp:|NoNewPrivs' /proc/self/status; id -u; echo x > /dev/stdout");
    process.user.uid = 1000;
    process.no_new_privileges = true;
    let (code, output) = output_of(&pod, "app", &ExecSpec { process }).await;
    assert_eq!(code, 0, "{output}");
    for line in [
        "CapEff:\t0000000000000000",
        "CapBnd:\t00000000a80425fb",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "1000",
        "x",
    ] {
        assert!(output.lines().any(|other| other == line), "{line}: {output}");
    }
}

async fn attached_output_and_input(ground: &Ground) {
    let mut spec = ground.shell("app", "cat; echo bye >&2");
    spec.stdin = Stdin::Once;
    let pod = running(ground, &spec).await;
    let mut streams = pod.attach("app", ALL).await.unwrap();
    let mut stdin = streams.stdin.take().unwrap();
    stdin.write_all(b"hello\n").await.unwrap();
    drop(stdin);
    pod.close_stdin("app").await.unwrap();
    let (stdout, stderr) = tokio::join!(read(streams.stdout), read(streams.stderr));
    assert_eq!((stdout.as_str(), stderr.as_str()), ("hello\n", "bye\n"));
    assert_eq!(pod.wait("app").await.unwrap().code, 0);
    let mut log = ground.log("app");
    // Nothing orders one stream against the other.
    log.sort();
    assert_eq!(log, ["stderr F bye", "stdout F hello"], "the log has it too");
    assert!(pod.attach("app", ALL).await.is_err(), "it has ended");
}

async fn a_slow_client_loses_nothing(ground: &Ground) {
    let mut spec = ground.shell("app", "read go; seq 100000");
    spec.stdin = Stdin::Open;
    let pod = running(ground, &spec).await;
    let mut streams = pod.attach("app", ALL).await.unwrap();
    // This one goes away while its pipe is full.
    let quitter = pod.attach("app", ALL).await.unwrap();
    streams.stdin.take().unwrap().write_all(b"go\n").await.unwrap();
    // Both pipes are full by the time the first number that no longer fits is written.
    await_log(ground, "app", "stdout F 1000").await;
    drop(quitter);
    let stdout = read(streams.stdout).await;
    assert_eq!(stdout.lines().count(), 100_000);
    assert_eq!(pod.wait("app").await.unwrap().code, 0);
    assert_eq!(ground.log("app").len(), 100_000);
}

async fn a_container_on_a_terminal(ground: &Ground) {
    let mut spec = ground.shell("app", "stty -echo; stty size; read word; stty size; echo got $word");
    spec.process.terminal = Some(Size { columns: 80, rows: 24 });
    spec.stdin = Stdin::Open;
    let pod = running(ground, &spec).await;
    await_log(ground, "app", "stdout F 24 80").await;
    let mut streams = pod.attach("app", ALL).await.unwrap();
    pod.resize("app", Size { columns: 100, rows: 40 }).await.unwrap();
    streams.stdin.take().unwrap().write_all(b"word\n").await.unwrap();
    let output = read(streams.stdout).await;
    assert!(output.contains("40 100\r\ngot word\r\n"), "{output:?}");
    assert_eq!(pod.wait("app").await.unwrap().code, 0);
}

async fn execs_leave_no_files(ground: &Ground) {
    let pod = running(ground, &ground.shell("app", "sleep 1000")).await;
    let folder = ground.path().join("pods/web/containers/app");
    let list = || {
        let mut names: Vec<_> = [folder.clone(), folder.join("run/app")]
            .iter()
            .flat_map(|folder| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()))
            .collect();
        names.sort();
        names
    };
    let before = list();
    for terminal in [None, Some(Size { columns: 80, rows: 24 })] {
        let process = Process { terminal, ..shell("true") };
        let exec = pod.exec("app", &ExecSpec { process }, Wanted::default()).await.unwrap();
        assert_eq!(exec.wait().await.unwrap(), 0);
    }
    assert_eq!(list(), before);
    run(&pod, &ground.shell("end", "true")).await;
}

/// The exec is the shim's child and in the container's namespace: the one must be reaped before the other can be gone.
async fn a_pod_goes_with_its_execs(ground: &Ground) {
    let pod = running(ground, &ground.shell("app", "sleep 1000")).await;
    let exec = pod.exec("app", &ExecSpec { process: shell("sleep 1000") }, Wanted::default()).await.unwrap();
    pod.remove().await.unwrap();
    assert!(!matches!(exec.wait().await, Ok(0)));
    ground.assert_clean();
}

async fn execs_beside_one_another(ground: &Ground) {
    let pod = ground.pod().await;
    pod.create_container(&ground.shell("app", "sleep 1000")).await.unwrap();
    pod.start("app").await.unwrap();
    for round in 0..8 {
        let script = |number: u32| ExecSpec { process: shell(&format!("echo {round} {number}")) };
        let execs = [0, 1, 2, 3].map(script);
        let [a, b, c, d] = &execs;
        let said = tokio::join!(
            output_of(&pod, "app", a),
            output_of(&pod, "app", b),
            output_of(&pod, "app", c),
            output_of(&pod, "app", d)
        );
        let expected = [0, 1, 2, 3].map(|number| (0, format!("{round} {number}\n")));
        assert_eq!([said.0, said.1, said.2, said.3], expected);
    }
}
