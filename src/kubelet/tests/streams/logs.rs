//! Logs as `kubectl logs` reads them.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use transport::websocket::Role;

use crate::client::{get, upgrade, websocket};
use crate::ground::Ground;

crate::tests![
    a_log_is_shown_whole_or_in_part,
    following_ends_with_the_container,
    following_crosses_rotations,
    a_log_in_messages_of_a_websocket,
    what_is_not_there_is_refused,
];

async fn a_log_is_shown_whole_or_in_part(ground: &Ground) {
    ground.run("c", "seq 1 5; echo oops >&2").await;
    ground.pod.wait("c").await.unwrap();
    let shown = async |query: &str| {
        get(ground.connect(), &format!("/containerLogs/n/p/c?{query}")).await.rest().await
    };
    // What was written to both outputs is in the order that the shim read it in.
    let mut lines: Vec<_> = shown("").await.lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["1", "2", "3", "4", "5", "oops"]);
    assert_eq!(shown("stream=Stdout").await, "1\n2\n3\n4\n5\n");
    assert_eq!(shown("tailLines=2").await.lines().count(), 2);
    assert_eq!(shown("limitBytes=3&stream=Stdout").await, "1\n2");
    assert!(shown("timestamps=true&stream=Stderr").await.ends_with("Z oops\n"));
    assert_eq!(shown("sinceTime=2100-01-01T00:00:00Z").await, "");
}

async fn following_ends_with_the_container(ground: &Ground) {
    ground.interactive("c", "echo one; read line; echo $line", false).await;
    let mut answer = get(ground.connect(), "/containerLogs/n/p/c?follow=true").await;
    answer.until("one\n").await;
    go(ground).await;
    assert_eq!(answer.rest().await, "one\ntwo\n");
    let again = get(ground.connect(), "/containerLogs/n/p/c?follow=true").await;
    assert_eq!(again.rest().await, "one\ntwo\n", "of one that has ended long ago");
}

async fn following_crosses_rotations(ground: &Ground) {
    // 30 lines to a file.
    let line = "x".repeat(2000);
    let script = format!("echo 0; read go; i=1; while [ $i -lt 100 ]; do echo $i {line}; i=$((i+1)); done");
    ground.interactive("c", &script, false).await;
    let mut answer = get(ground.connect(), "/containerLogs/n/p/c?follow=true").await;
    answer.until("0\n").await;
    go(ground).await;
    let whole = answer.rest().await;
    let first_words = whole.lines().map(|line| line.split(' ').next().unwrap().parse::<u32>().unwrap());
    assert!(first_words.eq(0..100));
    let last = get(ground.connect(), "/containerLogs/n/p/c").await.rest().await;
    assert!(last.lines().count() < 50, "it was rotated");
}

async fn a_log_in_messages_of_a_websocket(ground: &Ground) {
    ground.interactive("c", "echo one; read line; echo $line", false).await;
    let headers = websocket("binary.k8s.io");
    let (connection, answered, _http) =
        upgrade(ground.connect(), "/containerLogs/n/p/c?follow=true", &headers).await;
    assert_eq!(answered["sec-websocket-protocol"], "binary.k8s.io");
    let (mut log, carrying) = transport::websocket::tunnel(connection, Role::Client);
    let read = async {
        let mut text = vec![0; 4];
        log.read_exact(&mut text).await.unwrap();
        go(ground).await;
        log.read_to_end(&mut text).await.unwrap();
        String::from_utf8(text).unwrap()
    };
    let (_ended_by_the_server, text) = tokio::join!(carrying, read);
    assert_eq!(text, "one\ntwo\n");
}

/// Writes a line to the container's input, and then ends it.
async fn go(ground: &Ground) {
    let wanted = oci::Wanted { stdin: true, ..oci::Wanted::default() };
    let mut stdin = ground.pod.attach("c", wanted).await.unwrap().stdin.unwrap();
    stdin.write_all(b"two\n").await.unwrap();
    drop(stdin);
    ground.pod.close_stdin("c").await.unwrap();
}

async fn what_is_not_there_is_refused(ground: &Ground) {
    let refused = async |target: &str| {
        let answer = get(ground.connect(), target).await;
        (answer.code.as_u16(), answer.rest().await)
    };
    let (code, message) = refused("/containerLogs/n/p/absent").await;
    assert!(code == 500 && message.starts_with("failed to open log file"), "{code} {message}");
    assert_eq!(refused("/run/n/p/c").await.0, 404);
    assert_eq!(refused("/healthz").await, (200, "ok".to_owned()));
    assert_eq!(refused("/pods").await.1, r#"{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[]}"#);
    let exec = "/exec/n/p/c?output=1&command=true";
    assert_eq!(refused(exec).await, (404, "container not found (\"c\")".to_owned()));
    ground.run("c", "sleep 1000").await;
    assert_eq!(refused(exec).await, (400, "Upgrade request required".to_owned()));
}
