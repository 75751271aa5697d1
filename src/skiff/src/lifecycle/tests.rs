//! The life cycle as a service manager sees it: a real process with real signals and a real notification socket.
//!
//! [`process`] is that process: this test binary, started again with the name of a [`Behaviour`]. The tests wait for what it
//! says, never for time.

use std::convert::Infallible;
use std::future::{pending, ready};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::bail;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::process::{Pid, Signal, kill_process};
use task::{ReadySignal, Shutdown, readiness};
use tempfile::TempDir;

use super::{Component, run};
use crate::config::{LogArgs, LogFormat};
use crate::{logs, panics};

/// What the component under test does.
const BEHAVIOUR: &str = "SKIFF_TEST_BEHAVIOUR";
/// Where its client listens, which speaks first once it is connected.
const CLIENT: &str = "SKIFF_TEST_CLIENT";

#[test]
#[ignore = "is the process that the other tests start"]
#[expect(clippy::disallowed_methods, reason = "the exit code is what is tested")]
fn process() {
    panics::handle();
    logs::start(&LogArgs { log_level: "debug".parse().unwrap(), log_format: LogFormat::Text });
    let behaviour = std::env::var(BEHAVIOUR).unwrap();
    let exit = run(async || Ok(vec![component(behaviour)])).unwrap();
    std::process::exit(exit as i32);
}

fn component(behaviour: String) -> Component {
    let (ready, is_ready) = readiness();
    Component::new("part", is_ready, move |shutdown| async move { behave(&behaviour, ready, shutdown).await })
}

async fn behave(behaviour: &str, ready: ReadySignal, shutdown: Shutdown) -> anyhow::Result<()> {
    match behaviour {
        "fails before it is ready" => bail!("no luck"),
        "ends by itself" => ready.set(),
        "drains" => {
            ready.set();
            shutdown.requested().await;
            tracing::info!("finished what was begun");
        }
        "fails while draining" => {
            ready.set();
            shutdown.requested().await;
            bail!("could not flush");
        }
        "never drains" => {
            ready.set();
            pending::<()>().await;
        }
        "holds every thread" => {
            ready.set();
            shutdown.requested().await;
            hold_every_thread();
        }
        "panics in a thread" => {
            ready.set();
            let thread = thread::Builder::new().name("clumsy".into()).spawn(|| panic!("out of cheese"))?;
            // The process ends; a thread that outlives this line would be the failure.
            let _ = thread.join();
        }
        "panics in a request" => {
            ready.set();
            let answered = task::apart(async { panic!("out of cheese") }).await;
            assert_eq!(answered, Err::<(), _>(task::Panicked));
            tracing::info!("the client knows");
            pending::<()>().await;
        }
        "panics in a stream" => {
            ready.set();
            serve_a_stream_that_panics().await?;
        }
        other => bail!("no behaviour {other}"),
    }
    Ok(())
}

/// A body is produced in the task of its connection, as the listener has it.
async fn serve_a_stream_that_panics() -> anyhow::Result<()> {
    let client = tokio::net::TcpStream::connect(std::env::var(CLIENT)?).await?;
    let answer = service_fn(async |_request| {
        let begun = stream::once(ready(Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"begun")))));
        let goes_on = stream::once(async {
            // What there is goes out meanwhile.
            tokio::task::yield_now().await;
            panic!("out of cheese")
        });
        Ok::<_, Infallible>(hyper::Response::new(StreamBody::new(begun.chain(goes_on))))
    });
    let mut connections = task::Tasks::new();
    let connection = http1::Builder::new().serve_connection(TokioIo::new(client), answer);
    connections.spawn("connection", connection.map(drop));
    pending().await
}

/// Blocks more workers than the runtime has.
fn hold_every_thread() {
    let mut stuck = task::Tasks::<()>::new();
    for _ in 0..8 {
        stuck.spawn("stuck", async {
            loop {
                thread::park();
            }
        });
    }
    loop {
        thread::park();
    }
}

/// The process and the service manager's end of its socket.
struct Service {
    process: Pid,
    manager: UnixDatagram,
    /// Gives how the process ended, and its log.
    end: JoinHandle<(ExitStatus, String)>,
    _folder: TempDir,
}

impl Service {
    fn start(behaviour: &str, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = folder.path().join("notify");
        let manager = UnixDatagram::bind(&address).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "lifecycle::tests::process", "--ignored", "--nocapture"])
            .env_clear()
            .env(BEHAVIOUR, behaviour)
            .env("NOTIFY_SOCKET", &address)
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let process = Pid::from_child(&child);
        Self { process, manager, end: thread::spawn(|| watch(child, address)), _folder: folder }
    }

    /// The next thing the manager is told.
    fn told(&self) -> String {
        let mut message = [0; 1024];
        let length = self.manager.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    }

    fn until_told(&self, expected: &str) {
        loop {
            let told = self.told();
            assert_ne!(told, ENDED, "the process ended and did not say {expected:?}");
            if told == expected {
                break;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.process, signal).unwrap();
    }

    /// Listens to the last word: who speaks to a full queue waits for room in it.
    fn end(self) -> (ExitStatus, String) {
        while self.told() != ENDED {}
        self.end.join().unwrap()
    }
}

/// Said to the manager in place of a process that can no longer speak, so that no test waits for ever.
const ENDED: &str = "(the process ended)";

fn watch(mut child: Child, manager: PathBuf) -> (ExitStatus, String) {
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    let status = child.wait().unwrap();
    // The test may be over and its socket with it.
    let _ = UnixDatagram::unbound().unwrap().send_to(ENDED.as_bytes(), manager);
    (status, log)
}

const READY: &str = "READY=1\nSTATUS=ready";
const STOPPING: &str = "STOPPING=1\nSTATUS=stopping";

#[test]
fn a_signal_drains() {
    for signal in [Signal::TERM, Signal::INT] {
        let service = Service::start("drains", &[]);
        assert_eq!(service.told(), "STATUS=waiting for part");
        assert_eq!(service.told(), READY);
        service.signal(signal);
        assert_eq!(service.told(), STOPPING);
        let (status, log) = service.end();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(log.contains("finished what was begun"), "{log}");
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    for (behaviour, second, code) in
        [("never drains", Signal::TERM, 143), ("holds every thread", Signal::INT, 130)]
    {
        let service = Service::start(behaviour, &[]);
        service.until_told(READY);
        service.signal(Signal::TERM);
        service.until_told(STOPPING);
        service.signal(second);
        let (status, log) = service.end();
        assert_eq!(status.code(), Some(code), "{behaviour}: {status} {log}");
    }
}

#[test]
fn a_component_that_ends_by_itself_ends_the_process() {
    let cases = [("fails before it is ready", "no luck"), ("ends by itself", "ended without being asked to")];
    for (behaviour, reason) in cases {
        let service = Service::start(behaviour, &[]);
        service.until_told(STOPPING);
        let (status, log) = service.end();
        assert_eq!(status.code(), Some(1), "{behaviour}: {log}");
        assert!(log.contains(reason), "{behaviour}: {log}");
    }
}

#[test]
fn a_failure_while_draining_is_told() {
    let service = Service::start("fails while draining", &[]);
    service.until_told(READY);
    service.signal(Signal::TERM);
    let (status, log) = service.end();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("could not flush"), "{log}");
}

#[test]
fn a_panic_in_any_thread_ends_the_process_and_is_logged() {
    let (status, log) = Service::start("panics in a thread", &[]).end();
    assert_eq!((status.code(), status.signal()), (Some(101), None), "{log}");
    let line =
        log.lines().find(|line| line.contains("panic: out of cheese")).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains("thread=\"clumsy\""), "{line}");
    assert!(line.contains("lifecycle/tests.rs:"), "{line}");
    assert!(line.contains("backtrace=0x"), "{line}");
}

#[test]
fn the_client_of_a_request_that_panics_is_told_before_the_process_ends() {
    let (status, log) = Service::start("panics in a request", &[]).end();
    assert_eq!(status.code(), Some(101), "{log}");
    let (panic, told) = (log.find("panic: out of cheese"), log.find("the client knows"));
    assert!(panic.is_some() && panic < told, "{log}");
}

#[test]
fn a_panic_in_a_stream_ends_the_connection_and_the_process() {
    let client = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = client.local_addr().unwrap().to_string();
    let service = Service::start("panics in a stream", &[(CLIENT, &address)]);
    let (mut connection, _) = client.accept().unwrap();
    connection.write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("begun"), "{answer}");
    assert!(!answer.ends_with("0\r\n\r\n"), "it does not look complete: {answer}");
    let (status, log) = service.end();
    assert_eq!(status.code(), Some(101), "{log}");
    let line = log.lines().find(|line| line.contains("panic: out of cheese"));
    assert!(line.is_some_and(|line| line.contains("backtrace=0x")), "{log}");
}

#[test]
fn the_watchdog_is_fed_from_the_runtime() {
    let service = Service::start("drains", &[("WATCHDOG_USEC", "20000")]);
    service.until_told("WATCHDOG=1");
    service.until_told("WATCHDOG=1");
    service.signal(Signal::TERM);
    assert_eq!(service.end().0.code(), Some(0));
}

#[test]
fn the_watchdog_of_another_process_is_not_fed() {
    let service = Service::start("drains", &[("WATCHDOG_USEC", "1"), ("WATCHDOG_PID", "1")]);
    assert_eq!(service.told(), "STATUS=waiting for part");
    assert_eq!(service.told(), READY);
    service.signal(Signal::TERM);
    assert_eq!(service.told(), STOPPING);
    assert_eq!(service.end().0.code(), Some(0));
}

mod drain {
    use super::super::{DRAIN, Parts, drain};
    use super::*;
    use crate::exit::Exit;

    #[tokio::test(start_paused = true)]
    async fn what_does_not_end_is_left_at_the_deadline() {
        let (trigger, shutdown) = task::shutdown();
        let mut parts = Parts::new();
        parts.spawn("stubborn", std::future::pending());
        let begun = tokio::time::Instant::now();
        assert_eq!(drain(parts, None, &trigger, &shutdown).await, Exit::NotDrained);
        assert_eq!(begun.elapsed(), DRAIN);
    }

    /// Of a unit, by section and name.
    fn setting<'a>(unit: &'a str, section: &str, name: &str) -> Option<&'a str> {
        let lines = unit.lines().skip_while(|line| *line != section).skip(1);
        let mut lines = lines.take_while(|line| !line.starts_with('['));
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    }

    const UNITS: [&str; 2] = [
        include_str!("../../../../packaging/systemd/skiff.service"),
        include_str!("../../../../packaging/systemd/skiff-agent.service"),
    ];

    /// What containers get, too, and what k3s gives them.
    #[test]
    fn limits_are_those_that_containers_need() {
        for unit in UNITS {
            let limits =
                ["LimitNOFILE", "LimitNPROC", "LimitCORE"].map(|name| setting(unit, "[Service]", name));
            assert_eq!(limits, [Some("1048576"), Some("infinity"), Some("infinity")]);
        }
    }

    #[test]
    fn the_service_manager_waits_for_a_start_and_a_drain_and_never_gives_up() {
        for unit in UNITS {
            assert_eq!(setting(unit, "[Unit]", "StartLimitIntervalSec"), Some("0"));
            assert_eq!(setting(unit, "[Service]", "TimeoutStartSec"), Some("infinity"));
            let usage = (Exit::Usage as u8).to_string();
            assert_eq!(setting(unit, "[Service]", "RestartPreventExitStatus"), Some(usage.as_str()));
            let stop = setting(unit, "[Service]", "TimeoutStopSec").unwrap();
            assert!(DRAIN < Duration::from_secs(stop.parse().unwrap()));
        }
    }
}
