//! `kubectl port-forward`, by each protocol.

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use transport::websocket::{Channels, Coding, Role, tunnel};

use crate::client::{get, until, upgrade};
use crate::ground::Ground;
use crate::spdy;

crate::tests![by_spdy, by_spdy_in_a_websocket, by_channels_of_a_websocket];

/// Says so when the kernel says that port 0x1F90 is listened on.
const SERVE: &str = "(until grep -q ':1F90 .* 0A ' /proc/net/tcp /proc/net/tcp6; do sleep 0.01; done; echo listening) & \
    nc -l -p 8080 -e tr a-z A-Z";
const WEBSOCKET: [(&str, &str); 3] = [
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

/// A server on the pod's own localhost.
async fn serve(ground: &Ground) {
    ground.run("c", SERVE).await;
    get(ground.connect(), "/containerLogs/n/p/c?follow=true").await.until("listening").await;
}

async fn forwarded(client: &mut spdy::Client) {
    for (request, port) in [("0", "8080"), ("1", "9")] {
        let number = 1 + 4 * request.parse::<u32>().unwrap();
        client.open_stream(number, &[("streamtype", "error"), ("port", port), ("requestid", request)]).await;
        client
            .open_stream(number + 2, &[("streamtype", "data"), ("port", port), ("requestid", request)])
            .await;
    }
    client.write(3, b"hello", true).await;
    let heard = client.until_last(&[1, 3, 5, 7]).await;
    assert_eq!(heard.text(3), "HELLO");
    assert_eq!(heard.text(1), "");
    let refused = heard.text(5);
    assert!(refused.starts_with("error forwarding port 9 to pod n/p: "), "{refused}");
    assert_eq!(heard.text(7), "");
}

async fn by_spdy(ground: &Ground) {
    serve(ground).await;
    let mut client = spdy::Client::open(ground.connect(), "/portForward/n/p", &["portforward.k8s.io"]).await;
    forwarded(&mut client).await;
}

async fn by_spdy_in_a_websocket(ground: &Ground) {
    serve(ground).await;
    let protocol = ("sec-websocket-protocol", "SPDY/3.1+portforward.k8s.io");
    let headers = [&WEBSOCKET[..], &[protocol]].concat();
    let (connection, headers, mut tasks) = upgrade(ground.connect(), "/portForward/n/p", &headers).await;
    assert_eq!(headers["sec-websocket-protocol"], protocol.1);
    let (inner, work) = tunnel(connection, Role::Client);
    tasks.spawn("tunnel", async move {
        let _ended_by_either = work.await;
    });
    forwarded(&mut spdy::Client::over(inner, tasks)).await;
}

async fn by_channels_of_a_websocket(ground: &Ground) {
    serve(ground).await;
    let headers = [&WEBSOCKET[..], &[("sec-websocket-protocol", "v4.channel.k8s.io")]].concat();
    let (connection, _, mut tasks) = upgrade(ground.connect(), "/portForward/n/p?port=8080", &headers).await;
    let mut channels = Channels::new(Coding::Binary, false);
    let (mut data, mut error) = (channels.incoming(0), channels.incoming(1));
    let mut write = channels.outgoing(0);
    tasks.spawn("channels", async move {
        let _ended_by_either = channels.run(connection, Role::Client).await;
    });
    let name = Bytes::copy_from_slice(&8080_u16.to_le_bytes());
    assert_eq!(data.next().await, Some(name.clone()));
    assert_eq!(error.next().await, Some(name));
    write.write_all(b"hello\n").await.unwrap();
    until(&mut data, "HELLO").await;
}
