//! One look at a container.

use std::time::Duration;

use k8s_openapi::api::core::v1::Probe;
use tokio::time::timeout;

use crate::hook::Target;
use crate::web::{self, Answer, Asker, Request};

use super::grpc;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Good,
    /// Good, and yet people should know.
    Doubtful(String),
    Bad(String),
    /// It could not be found out.
    Unknown(String),
}

pub(super) async fn check(target: &Target<'_>, probe: &Probe, patience: Duration) -> Outcome {
    if let Some(exec) = &probe.exec {
        return command(target, exec.command.clone().unwrap_or_default(), patience).await;
    }
    if let Some(get) = &probe.http_get {
        let request = match Request::new(target, get, Asker::Probe) {
            Ok(request) => request,
            Err(error) => return Outcome::Unknown(error),
        };
        return match web::get(&request, patience).await {
            Ok(answer) => judged(&answer),
            Err(error) => Outcome::Bad(error),
        };
    }
    if let Some(socket) = &probe.tcp_socket {
        let host = target.host(socket.host.as_deref());
        return match target.port(&socket.port) {
            Ok(port) => {
                within(patience, &format!("dial tcp {host}:{port}: i/o timeout"), web::connect(&host, port))
                    .await
            }
            Err(error) => Outcome::Unknown(error),
        };
    }
    if let Some(action) = &probe.grpc {
        let host = target.host(None);
        let port = u16::try_from(action.port).unwrap_or(0);
        let service = action.service.as_deref().unwrap_or_default();
        let late =
            format!("timeout: failed to connect service \"{host}:{port}\" within {}s", patience.as_secs());
        return within(patience, &late, grpc::check(&host, port, service)).await;
    }
    Outcome::Unknown("missing probe handler".to_owned())
}

/// What leads to another server is not followed, and taken for an answer.
fn judged(answer: &Answer) -> Outcome {
    match answer.code {
        200..300 => Outcome::Good,
        300..400 => Outcome::Doubtful(format!("Probe terminated redirects, Response body: {}", answer.body)),
        code => Outcome::Bad(format!("HTTP probe failed with statuscode: {code}")),
    }
}

async fn within<T>(patience: Duration, late: &str, work: impl Future<Output = Result<T, String>>) -> Outcome {
    match timeout(patience, work).await {
        Ok(Ok(_)) => Outcome::Good,
        Ok(Err(error)) => Outcome::Bad(error),
        Err(_) => Outcome::Bad(late.to_owned()),
    }
}

async fn command(target: &Target<'_>, command: Vec<String>, patience: Duration) -> Outcome {
    let words = command.join(" ");
    match target.exec(command, Some(patience)).await {
        Ok(Some((0, _))) => Outcome::Good,
        Ok(Some((_, output))) => Outcome::Bad(output),
        Ok(None) => {
            Outcome::Bad(format!("command timed out: \"{words}\" timed out after {}s", patience.as_secs()))
        }
        Err(error) => Outcome::Unknown(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_leads_away_is_good_and_told_of() {
        let of = |code| judged(&Answer { code, body: "gone".to_owned() });
        assert_eq!(of(204), Outcome::Good);
        assert_eq!(of(302), Outcome::Doubtful("Probe terminated redirects, Response body: gone".to_owned()));
        assert_eq!(of(404), Outcome::Bad("HTTP probe failed with statuscode: 404".to_owned()));
    }
}
