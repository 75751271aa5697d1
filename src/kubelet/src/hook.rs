//! What containers are to do right after their start and before their end.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, LifecycleHandler};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use oci::{ExecSpec, Process, Wanted};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::sandbox::Ready;
use crate::signal;
use crate::web::{self, Asker, Request};

/// A running container.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) sandbox: &'a Ready,
    pub(crate) container: &'a Container,
    /// Of the container in its sandbox.
    pub(crate) id: &'a str,
}

/// No answer of a web server may take longer: hooks have no time limit of their own.
const PATIENCE: Duration = Duration::from_secs(60);
/// So much of a command's output is kept.
const OUTPUT: usize = 10 << 10;
const LINGER: Duration = Duration::from_millis(100);

/// The error is the message of the event that tells of it.
pub(crate) async fn run(target: &Target<'_>, handler: &LifecycleHandler) -> Result<(), String> {
    if let Some(exec) = &handler.exec {
        let command = exec.command.clone().unwrap_or_default();
        return match target.exec(command.clone(), None).await? {
            None | Some((0, _)) => Ok(()),
            Some((code, output)) => Err(format!(
                "Exec lifecycle hook ({command:?}) for Container \"{}\" failed - error: command exited with {code}, message: {output:?}",
                target.container.name
            )),
        };
    }
    if let Some(get) = &handler.http_get {
        let request = Request::new(target, get, Asker::Hook)?;
        // As upstream: it has been told, whatever it says to that.
        return web::get(&request, PATIENCE).await.map(drop);
    }
    if let Some(sleep) = &handler.sleep {
        tokio::time::sleep(Duration::from_secs(u64::try_from(sleep.seconds).unwrap_or(0))).await;
        return Ok(());
    }
    if let Some(socket) = &handler.tcp_socket {
        let host = target.host(socket.host.as_deref());
        let port = target.port(&socket.port)?;
        return web::connect(&host, port).await.map(drop);
    }
    Ok(())
}

impl Target<'_> {
    /// The host that is asked for, or the pod.
    pub(crate) fn host(&self, given: Option<&str>) -> String {
        let given = given.filter(|host| !host.is_empty()).map(str::to_owned);
        given.unwrap_or_else(|| self.sandbox.ips.first().map(ToString::to_string).unwrap_or_default())
    }

    /// A number, or the name of one of the container's ports.
    pub(crate) fn port(&self, port: &IntOrString) -> Result<u16, String> {
        let number = match port {
            IntOrString::Int(number) => *number,
            IntOrString::String(name) => {
                let mut ports = self.container.ports.iter().flatten();
                let named =
                    ports.find(|port| port.name.as_deref() == Some(name)).map(|port| port.container_port);
                named.or_else(|| name.parse().ok()).ok_or_else(|| format!("couldn't find port: {name}"))?
            }
        };
        let valid = u16::try_from(number).ok().filter(|port| *port > 0);
        valid.ok_or_else(|| format!("invalid port number: {number}"))
    }

    /// Runs a command in the container: its exit code and what it said. None when it takes longer than `patience`; then it is
    /// killed.
    pub(crate) async fn exec(
        &self,
        command: Vec<String>,
        patience: Option<Duration>,
    ) -> Result<Option<(i32, String)>, String> {
        let spec = self.sandbox.pod.container_spec(self.id).map_err(|error| error.to_string())?;
        let process = Process { args: command, terminal: None, ..spec.process };
        let wanted = Wanted { stdin: false, stdout: true, stderr: true };
        let started = self.sandbox.pod.exec(self.id, &ExecSpec { process }, wanted).await;
        let mut exec = started.map_err(|error| error.to_string())?;
        let streams = exec.take_streams();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = {
            let said =
                futures_util::future::join(drain(streams.stdout, &mut out), drain(streams.stderr, &mut err));
            tokio::pin!(said);
            let ended = async {
                tokio::select! {
                    code = exec.ended() => {
                        // A child of the command may hold its output open for ever.
                        let _what_is_left = timeout(LINGER, &mut said).await;
                        code
                    }
                    _ = &mut said => exec.ended().await,
                }
            };
            timeout(patience.unwrap_or(Duration::MAX), ended).await
        };
        match code {
            Ok(Ok(code)) => Ok(Some((code, String::from_utf8_lossy(&[out, err].concat()).into_owned()))),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => {
                let _may_have_ended = exec.signal(signal::KILL).await;
                Ok(None)
            }
        }
    }
}

/// Keeps the beginning and reads the rest, so that the writer never waits.
async fn drain(stream: Option<oci::Output>, kept: &mut Vec<u8>) {
    let Some(mut stream) = stream else { return };
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        let room = OUTPUT.saturating_sub(kept.len());
        kept.extend_from_slice(&buffer[..length.min(room)]);
    }
}
