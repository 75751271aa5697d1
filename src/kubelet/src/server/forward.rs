//! Ports of a pod, forwarded: connections from the client's machine to the pod's own localhost.
//!
//! Three protocols carry it: SPDY, SPDY inside a WebSocket, and channels of a WebSocket whose ports are named beforehand. Only the
//! making of a socket happens in the pod's network namespace, on a thread made for that; the socket stays there by itself.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;

use bytes::Bytes;
use http::Request;
use hyper::body::Incoming as RequestBody;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use task::{Carrier, Tasks};
use tokio::io::{AsyncWriteExt, copy};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tracing::debug;
use transport::spdy::{self, Streams};
use transport::websocket::{self, Channels, Coding, Role};
use transport::{Incoming, Outgoing};

use super::query::Query;
use super::upgrade::{Connection, agree, carry, refused, together};
use super::{Answer, Network, Refusal, body};

const STREAMS: &str = "portforward.k8s.io";
const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
const PROTOCOLS: [&str; 4] = ["", "v4.channel.k8s.io", "v4.base64.channel.k8s.io", TUNNEL];
/// Ports that one WebSocket can name: each has two channels.
const MOST_PORTS: usize = 127;
/// Connections whose second stream has not come yet; more are an attack.
const MOST_HALVES: usize = 64;

/// A pod.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) network: Network,
    /// Its name, for messages.
    pub(super) subject: String,
}

pub(super) async fn answer(
    mut request: Request<RequestBody>,
    carrier: &Carrier,
    query: &Query,
    target: Target,
) -> Result<Answer, Refusal> {
    let upgrade = hyper::upgrade::on(&mut request);
    let headers = request.headers();
    if !websocket::is_requested(headers) {
        let (response, _) = agree(headers, &[STREAMS], STREAMS)?;
        carry(carrier, upgrade, |connection| over_streams(connection, target)).await?;
        return Ok(response);
    }
    let (response, protocol) = websocket::accept(headers, &PROTOCOLS).map_err(|error| refused(&error))?;
    if protocol == TUNNEL {
        carry(carrier, upgrade, |connection| over_tunnel(connection, target)).await?;
    } else {
        let ports = ports(query)?;
        let coding = if protocol.contains("base64") { Coding::Base64 } else { Coding::Binary };
        carry(carrier, upgrade, move |connection| over_channels(connection, coding, ports, target)).await?;
    }
    Ok(response.map(|()| body::empty()))
}

/// The ports that are to be forwarded, in order.
fn ports(query: &Query) -> Result<Vec<u16>, Refusal> {
    let named = query.all("port").chain(query.all("ports")).flat_map(|list| list.split(','));
    let ports: Vec<u16> = named
        .map(|port| {
            let number = port.parse().ok().filter(|port| *port > 0);
            number.ok_or_else(|| Refusal::bad_request(format!("unable to parse {port:?} as a port")))
        })
        .collect::<Result<_, _>>()?;
    match ports.len() {
        0 => Err(Refusal::bad_request("query parameter \"port\" is required")),
        1..=MOST_PORTS => Ok(ports),
        _ => Err(Refusal::bad_request("too many ports")),
    }
}

async fn over_tunnel(connection: Connection, target: Target) {
    let (inner, tunnel) = websocket::tunnel(connection, Role::Server);
    let (streams, carrying) = spdy::serve(inner);
    let spdy = together(carrying, pairs(streams, target));
    // The tunnel ends with what is in it, and the other way round.
    let (tunnel, ()) = tokio::join!(tunnel, spdy);
    if let Err(error) = tunnel {
        debug!(%error, "a tunnel broke off");
    }
}

async fn over_streams(connection: Connection, target: Target) {
    let (streams, carrying) = spdy::serve(connection);
    together(carrying, pairs(streams, target)).await;
}

/// Each connection is two streams of the same request: one for its data, one for what goes wrong.
async fn pairs(mut streams: Streams, target: Target) {
    let mut halves: HashMap<String, spdy::Stream> = HashMap::new();
    let mut connections = Tasks::new();
    loop {
        let stream = tokio::select! {
            stream = streams.next() => match stream {
                Some(stream) => stream,
                None => return,
            },
            Some(_) = connections.next() => continue,
        };
        let request = stream.headers.get("requestid").cloned().unwrap_or_default();
        let Some(other) = halves.remove(&request) else {
            if halves.len() < MOST_HALVES {
                halves.insert(request, stream);
            }
            continue;
        };
        let is_error =
            |stream: &spdy::Stream| stream.headers.get("streamtype").is_some_and(|kind| kind == "error");
        let (data, error) = if is_error(&other) { (stream, other) } else { (other, stream) };
        let port = data.headers.get("port").and_then(|port| port.parse().ok()).unwrap_or_default();
        let target = target.clone();
        connections.spawn("forwarded connection", async move {
            forward(&target, port, data.incoming, data.outgoing, error.outgoing).await;
        });
    }
}

async fn over_channels(connection: Connection, coding: Coding, ports: Vec<u16>, target: Target) {
    let mut channels = Channels::new(coding, false);
    let mut connections = Tasks::new();
    for (port, number) in ports.into_iter().zip((0_u8..).step_by(2)) {
        let (incoming, mut outgoing) = (channels.incoming(number), channels.outgoing(number));
        let mut error = channels.outgoing(number + 1);
        let target = target.clone();
        connections.spawn("forwarded port", async move {
            // Each channel begins with the port that it stands for.
            let name = Bytes::copy_from_slice(&port.to_le_bytes());
            if outgoing.send(name.clone()).await.is_ok() && error.send(name).await.is_ok() {
                forward(&target, port, incoming, outgoing, error).await;
            }
        });
    }
    let work = async { while connections.next().await.is_some() {} };
    together(channels.run(connection, Role::Server), work).await;
}

/// One connection, to its end; what goes wrong is told on `error`.
async fn forward(
    target: &Target,
    port: u16,
    incoming: Incoming,
    mut outgoing: Outgoing,
    mut error: Outgoing,
) {
    let joined = match connect(&target.network, port).await {
        Ok(socket) => join(socket, incoming, &mut outgoing).await,
        Err(error) => Err(error),
    };
    if let Err(why) = joined {
        let message = format!("error forwarding port {port} to pod {}: {why}", target.subject);
        let _gone = error.send(message.into()).await;
    }
    let _gone = tokio::join!(outgoing.shutdown(), error.shutdown());
}

/// Until the pod has said all it has to say: nobody waits for the client to say more.
async fn join(mut socket: TcpStream, mut incoming: Incoming, outgoing: &mut Outgoing) -> io::Result<()> {
    let (mut reading, mut writing) = socket.split();
    let up = async {
        let _told_by_the_other_direction = copy(&mut incoming, &mut writing).await;
        let _gone = writing.shutdown().await;
        std::future::pending().await
    };
    tokio::select! {
        copied = copy(&mut reading, outgoing) => copied.map(drop),
        never = up => never,
    }
}

/// Connects to a port of the pod's localhost, by the older protocol first.
async fn connect(network: &Network, port: u16) -> io::Result<TcpStream> {
    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    match socket(network, v4).await?.connect(v4).await {
        Ok(connected) => Ok(connected),
        // What is told is why the usual way failed.
        Err(error) => match socket(network, v6).await {
            Ok(socket) => socket.connect(v6).await.map_err(|_| error),
            Err(_) => Err(error),
        },
    }
}

async fn socket(network: &Network, address: SocketAddr) -> io::Result<TcpSocket> {
    match network {
        Network::Host => new_socket(address),
        Network::Own(path) => {
            let namespace = File::open(path)?;
            let (sender, made) = oneshot::channel();
            // A thread of its own, which ends here: no other may find itself in a foreign namespace.
            let thread = std::thread::Builder::new().name("port forward".to_owned());
            thread.spawn(move || {
                let entered = move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network));
                let socket = entered.map_err(io::Error::from).and_then(|()| new_socket(address));
                let _nobody_waits = sender.send(socket);
            })?;
            made.await.map_err(io::Error::other)?
        }
    }
}

fn new_socket(address: SocketAddr) -> io::Result<TcpSocket> {
    if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn ports_are_named_in_the_query() {
        let named = |query: &str| ports(&Query::parse(query));
        assert_eq!(named("port=80&port=8080,9090").unwrap(), [80, 8080, 9090]);
        for bad in ["", "port=0", "port=x", "port=70000"] {
            assert_eq!(named(bad).unwrap_err().code.as_u16(), 400, "{bad}");
        }
    }

    /// A network namespace of one thread; it lives as long as its descriptor.
    fn namespace() -> File {
        std::thread::spawn(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("tests of namespaces need root");
            File::open("/proc/thread-self/ns/net").unwrap()
        })
        .join()
        .unwrap()
    }

    #[tokio::test]
    async fn a_socket_is_made_in_the_pods_namespace() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut here = connect(&Network::Host, port).await.unwrap();
        let (mut accepted, _) = listener.accept().await.unwrap();
        accepted.write_all(b"hi").await.unwrap();
        drop(accepted);
        let mut text = String::new();
        here.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "hi");

        // Nothing listens there, and its loopback is not even up: ours is another one.
        let namespace = namespace();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&namespace)).into();
        assert!(connect(&Network::Own(path), port).await.is_err());
        assert!(connect(&Network::Host, port).await.is_ok(), "no other thread is in there");
    }
}
