//! `kubectl attach`.

use tokio::io::AsyncWriteExt;

use crate::client::{Session, get, until};
use crate::ground::Ground;

crate::tests![streams_of_a_container, input_ends_with_the_client, a_terminal_is_resized];

const V5: &str = "v5.channel.k8s.io";

async fn streams_of_a_container(ground: &Ground) {
    ground.interactive("c", "read line; echo out $line; echo err >&2", false).await;
    let mut session = Session::open(ground.connect(), "/attach/n/p/c?input=1&output=1&error=1", V5).await;
    session.stdin.as_mut().unwrap().write_all(b"hello\n").await.unwrap();
    let (stdout, stderr, error) = session.end().await;
    assert_eq!((&*stdout, &*stderr), ("out hello\n", "err\n"));
    assert_eq!(error, r#"{"metadata":{},"status":"Success"}"#);
}

async fn input_ends_with_the_client(ground: &Ground) {
    ground.interactive("c", "echo ready; cat; echo end", false).await;
    let mut session = Session::open(ground.connect(), "/attach/n/p/c?input=1&output=1", V5).await;
    session.stdin.as_mut().unwrap().write_all(b"hello\n").await.unwrap();
    until(&mut session.stdout, "hello").await;
    drop(session);
    // It ends because its input does.
    assert_eq!(ground.pod.wait("c").await.unwrap().code, 0);
}

async fn a_terminal_is_resized(ground: &Ground) {
    ground.interactive("c", "trap 'stty size; exit' WINCH; echo ready; sleep 1000 & wait", true).await;
    get(ground.connect(), "/containerLogs/n/p/c?follow=true").await.until("ready").await;
    let mut session = Session::open(ground.connect(), "/attach/n/p/c?input=1&output=1&tty=1", V5).await;
    session.resize.write_all(br#"{"Width":99,"Height":33}"#).await.unwrap();
    assert_eq!(session.end().await.0, "33 99\r\n");
}
