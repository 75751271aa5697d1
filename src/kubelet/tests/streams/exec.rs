//! `kubectl exec`, new and old.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::client::{Session, until};
use crate::ground::Ground;
use crate::spdy;

crate::tests![
    output_and_exit_code,
    input_ends_where_the_client_ends_it,
    a_terminal_has_the_clients_size,
    a_terminals_session_ends_with_its_process,
    what_cannot_start_is_told,
    a_client_that_goes_away_takes_its_terminal_along,
    old_clients_are_served_too,
];

const V5: &str = "v5.channel.k8s.io";

fn command(script: &str, options: &str) -> String {
    let script: String = script.bytes().map(|byte| format!("%{byte:02x}")).collect();
    format!("/exec/n/p/c?command=sh&command=-c&command={script}&{options}")
}

async fn output_and_exit_code(ground: &Ground) {
    ground.run("c", "sleep 1000").await;
    let target = command("echo out $FROM; echo err >&2; exit 3", "output=1&error=1");
    for protocol in [V5, "v4.channel.k8s.io"] {
        let session = Session::open(ground.connect(), &target, protocol).await;
        let (stdout, stderr, error) = session.end().await;
        assert_eq!((&*stdout, &*stderr), ("out container\n", "err\n"));
        let status: Value = serde_json::from_str(&error).unwrap();
        assert_eq!(status["reason"], "NonZeroExitCode");
        assert_eq!(status["details"]["causes"], json!([{"reason": "ExitCode", "message": "3"}]));
    }
    let session = Session::open(ground.connect(), &command("seq 1 100000", "output=1"), V5).await;
    let (stdout, _, error) = session.end().await;
    assert_eq!(stdout.lines().count(), 100_000);
    assert_eq!(error, r#"{"metadata":{},"status":"Success"}"#);
    let session = Session::open(ground.connect(), &target, "channel.k8s.io").await;
    assert!(session.end().await.2.starts_with("command terminated with non-zero exit code"));
}

async fn input_ends_where_the_client_ends_it(ground: &Ground) {
    ground.run("c", "sleep 1000").await;
    let target = command("cat; echo end", "input=1&output=1");
    let mut session = Session::open(ground.connect(), &target, V5).await;
    let text = "line\n".repeat(50_000);
    let mut stdin = session.stdin.take().unwrap();
    let writing = async {
        stdin.write_all(text.as_bytes()).await.unwrap();
        stdin.shutdown().await.unwrap();
        stdin
    };
    let (stdin, (stdout, _, error)) = tokio::join!(writing, session.end());
    drop(stdin);
    assert!(stdout == format!("{text}end\n"), "{} bytes came back", stdout.len());
    assert!(error.contains("Success"));
}

async fn a_terminal_has_the_clients_size(ground: &Ground) {
    ground.run("c", "sleep 1000").await;
    let script = "trap 'stty size; tty; exit 7' WINCH; echo ready; sleep 1000 & wait";
    let target = command(script, "input=1&output=1&error=1&tty=1");
    let mut session = Session::open(ground.connect(), &target, V5).await;
    until(&mut session.stdout, "ready").await;
    session.resize.write_all(br#"{"Width":120,"Height":40}"#).await.unwrap();
    let (stdout, stderr, error) = session.end().await;
    assert!(stdout.contains("40 120\r\n/dev/"), "{stdout}");
    assert_eq!(stderr, "");
    assert!(error.contains(r#""message":"7""#), "{error}");
}

/// Whoever still holds the terminal: hanging up does not end everyone, and nobody else is waited for.
async fn a_terminals_session_ends_with_its_process(ground: &Ground) {
    ground.run("c", "sleep 1000").await;
    let script = "trap '' HUP; sleep 1000 & seq 1 2000; exit 7";
    let session =
        Session::open(ground.connect(), &command(script, "input=1&output=1&error=1&tty=1"), V5).await;
    let (stdout, _, error) = session.end().await;
    assert!(stdout.ends_with("1999\r\n2000\r\n"), "{stdout}");
    assert!(error.contains(r#""message":"7""#), "{error}");
}

async fn what_cannot_start_is_told(ground: &Ground) {
    ground.run("c", "sleep 1000").await;
    let session = Session::open(ground.connect(), "/exec/n/p/c?command=frobnicate&output=1", V5).await;
    let (_, _, error) = session.end().await;
    let status: Value = serde_json::from_str(&error).unwrap();
    assert_eq!(status["code"], 500);
    let message = status["message"].as_str().unwrap();
    assert!(message.contains(r#"exec: "frobnicate": executable file not found in $PATH"#), "{message}");
}

async fn a_client_that_goes_away_takes_its_terminal_along(ground: &Ground) {
    // The shell hangs up with its terminal; its last words go to the container's own log, by way of a pipe.
    ground.run("c", "sh -c 'while :; do cat /tmp/fifo 2>/dev/null && break; sleep 0.1; done'").await;
    let script = "busybox mkfifo /tmp/fifo; trap 'echo gone >/tmp/fifo; exit' HUP; echo ready; while :; do sleep 0.1; done";
    let mut session = Session::open(ground.connect(), &command(script, "input=1&output=1&tty=1"), V5).await;
    until(&mut session.stdout, "ready").await;
    drop(session);
    ground.pod.wait("c").await.unwrap();
    let log = crate::client::get(ground.connect(), "/containerLogs/n/p/c").await.rest().await;
    assert_eq!(log, "gone\n");
}

async fn old_clients_are_served_too(ground: &Ground) {
    ground.run("c", "sleep 1000").await;
    let target = command("cat; echo err >&2; exit 4", "input=1&output=1&error=1");
    let mut client = spdy::Client::open(ground.connect(), &target, &["v4.channel.k8s.io"]).await;
    for (number, kind) in [(1, "error"), (3, "stdin"), (5, "stdout"), (7, "stderr")] {
        client.open_stream(number, &[("streamtype", kind)]).await;
    }
    client.write(3, b"hello", true).await;
    let heard = client.rest().await;
    assert_eq!(heard.text(5), "hello");
    assert_eq!(heard.text(7), "err\n");
    assert!(heard.text(1).contains(r#""message":"4""#), "{}", heard.text(1));
    assert_eq!(heard.replies, [1, 3, 5, 7]);
}
