//! The gRPC health protocol: one call of `grpc.health.v1.Health/Check`.
//!
//! Its two messages have one field each, so they are written and read by hand: a name to ask for, a number that answers.

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, TE, USER_AGENT};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::web;

/// The status that says all is well.
const SERVING: u8 = 1;
/// A frame begins with a flag and its length.
const PREFIX: usize = 5;

pub(super) async fn check(host: &str, port: u16, service: &str) -> Result<(), String> {
    let words = |error: hyper::Error| error.to_string();
    let stream = web::connect(host, port).await?;
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(words)?;
    let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let request = Request::post(format!("http://{authority}/grpc.health.v1.Health/Check"))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .header(USER_AGENT, "kube-probe/1.37")
        .body(Full::new(Bytes::from(question(service))))
        .map_err(|error| error.to_string())?;
    let asked = async {
        let answer = sender.send_request(request).await.map_err(words)?;
        let early = status_of(answer.headers());
        let body = answer.into_body().collect().await.map_err(words)?;
        let status = early.or_else(|| body.trailers().and_then(status_of));
        match (status.as_deref(), serving(&body.to_bytes())) {
            (None | Some("0"), Some(SERVING)) => Ok(()),
            (None | Some("0"), Some(other)) => {
                Err(format!("service unhealthy (responded with \"{}\")", name(other)))
            }
            (None | Some("0"), None) => Err("service unhealthy (responded with \"UNKNOWN\")".to_owned()),
            (Some("12"), _) => {
                Err("error: this server does not implement the grpc health protocol (grpc.health.v1.Health)"
                    .to_owned())
            }
            (Some(code), _) => Err(format!("error: health rpc failed: code = {code}")),
        }
    };
    tokio::pin!(asked, connection);
    tokio::select! {
        done = &mut asked => done,
        ended = &mut connection => match ended {
            Ok(()) => asked.await,
            Err(error) => Err(words(error)),
        },
    }
}

fn status_of(headers: &hyper::HeaderMap) -> Option<String> {
    Some(headers.get("grpc-status")?.to_str().ok()?.to_owned())
}

/// A frame with `HealthCheckRequest { service = 1 }`.
fn question(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        varint(service.len(), &mut message);
        message.extend_from_slice(service.as_bytes());
    }
    let mut frame = vec![0];
    frame.extend_from_slice(&u32::try_from(message.len()).unwrap_or(0).to_be_bytes());
    frame.extend_from_slice(&message);
    frame
}

fn varint(mut number: usize, into: &mut Vec<u8>) {
    while number > 0x7f {
        into.push(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
        number >>= 7;
    }
    into.push(u8::try_from(number).unwrap_or(0));
}

/// The status in a frame with `HealthCheckResponse { status = 1 }`; 0, the default, is not written.
fn serving(frame: &[u8]) -> Option<u8> {
    match frame.get(PREFIX..)? {
        [] => Some(0),
        [0x08, status, ..] => Some(*status),
        _ => None,
    }
}

fn name(status: u8) -> &'static str {
    match status {
        SERVING => "SERVING",
        2 => "NOT_SERVING",
        3 => "SERVICE_UNKNOWN",
        _ => "UNKNOWN",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames() {
        assert_eq!(question(""), [0, 0, 0, 0, 0]);
        assert_eq!(question("ab"), [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        let long = question(&"x".repeat(300));
        assert_eq!(long[..8], [0, 0, 0, 1, 47, 0x0a, 0xac, 0x02]);
        assert_eq!(serving(&[0, 0, 0, 0, 2, 0x08, 1]), Some(SERVING));
        assert_eq!((serving(&[0, 0, 0, 0, 0]), serving(&[])), (Some(0), None));
    }
}
