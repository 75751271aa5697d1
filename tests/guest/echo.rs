//! `echo [--http PORT] [--tcp PORT] [--fail-first N]`: says over HTTP who answers whom, gives back TCP bytes.
//!
//! | path               | answer                                                               |
//! |--------------------|----------------------------------------------------------------------|
//! | `/healthz`         | 200; 503 the first N times; what `/healthz/STATUS` last asked for     |
//! | `/healthz/STATUS`  | 200, and from now on `/healthz` answers STATUS                        |
//! | `/status/STATUS`   | STATUS                                                               |
//! | `/slow/SECONDS`    | as any other path, but SECONDS later                                  |
//! | any other          | hostname, pod (`$POD_NAME`), peer address, request line and headers   |

use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::Outcome;
use crate::arguments::Arguments;
use crate::health::Health;
use crate::http::{Request, Response};

pub fn run(mut args: Arguments) -> Outcome {
    let health = Arc::new(Health::failing_first(args.option("--fail-first")?.unwrap_or(0)));
    let http: Option<u16> = args.option("--http")?;
    let tcp: Option<u16> = args.option("--tcp")?;
    args.end()?;
    let mut servers = Vec::new();
    if let Some(port) = http {
        servers.push(serve("http", port, move |stream| answer(&stream, &health))?);
    }
    if let Some(port) = tcp {
        servers.push(serve("tcp", port, |stream| io::copy(&mut &stream, &mut &stream).map(drop))?);
    }
    if servers.is_empty() {
        return Err("echo needs --http, --tcp or both".into());
    }
    for server in servers {
        server.join().map_err(|_| "a server ended")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// One thread per connection. A connection that fails is the peer's affair.
fn serve<F>(protocol: &str, port: u16, handle: F) -> io::Result<thread::JoinHandle<()>>
where
    F: Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static,
{
    let listener = listen(port)?;
    println!("{protocol} on {}", listener.local_addr()?);
    Ok(thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let handle = handle.clone();
            thread::spawn(move || handle(stream));
        }
    }))
}

/// Both address families, or IPv4 alone where the machine has no IPv6.
fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))
        .or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))
}

fn answer(stream: &TcpStream, health: &Health) -> io::Result<()> {
    let peer = stream.peer_addr()?;
    let request = Request::read(stream)?;
    let response = respond(&request, canonical(peer), health);
    println!("{} {} {}", response.status, canonical(peer), request.line);
    response.write(stream)
}

fn respond(request: &Request, peer: SocketAddr, health: &Health) -> Response {
    let mut path = request.path().split('/').skip(1);
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<u16>().ok());
    match (path.next(), number(path.next())) {
        (Some("healthz"), None) => Response::status(health.check()),
        (Some("healthz"), Some(status)) => {
            health.set(status);
            Response::status(200)
        }
        (Some("status"), Some(status)) => Response::status(status),
        (Some("slow"), Some(seconds)) => {
            thread::sleep(Duration::from_secs(seconds.into()));
            describe(request, peer)
        }
        _ => describe(request, peer),
    }
}

fn describe(request: &Request, peer: SocketAddr) -> Response {
    let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let pod = std::env::var("POD_NAME").unwrap_or_default();
    let Request { line, headers } = request;
    let body = format!("hostname: {}\npod: {pod}\npeer: {peer}\nrequest: {line}\n{headers}", hostname.trim());
    Response { status: 200, body }
}

/// `10.0.0.1`, not `::ffff:10.0.0.1`.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
