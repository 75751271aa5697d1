//! What a service manager is told: systemd's notification protocol, datagrams of `KEY=value` lines.
//!
//! Without `NOTIFY_SOCKET` everything here does nothing. The watchdog's sign of life comes from a task on the runtime, so that
//! it stops when the runtime does.

use std::env;
use std::future::pending;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

#[derive(Debug, Clone)]
pub(super) struct Notifier {
    socket: Option<Arc<UnixDatagram>>,
    /// How long the manager waits for a sign of life.
    watchdog: Option<Duration>,
}

impl Notifier {
    pub(super) fn from_environment() -> io::Result<Self> {
        let socket =
            env::var("NOTIFY_SOCKET").ok().map(|address| connect(&address)).transpose()?.map(Arc::new);
        Ok(Self { socket, watchdog: watchdog() })
    }

    pub(super) fn ready(&self) {
        self.send("READY=1\nSTATUS=ready");
    }

    pub(super) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=stopping");
    }

    pub(super) fn status(&self, status: &str) {
        self.send(&format!("STATUS={status}"));
    }

    /// Sends signs of life, twice as often as the manager asks.
    pub(super) async fn keep_alive(self) {
        let Some(period) = self.watchdog.map(|timeout| timeout / 2).filter(|period| !period.is_zero()) else {
            return pending().await;
        };
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.send("WATCHDOG=1");
        }
    }

    /// A manager that does not listen is its own problem, but one that people should learn of.
    fn send(&self, message: &str) {
        let sent = self.socket.as_ref().map_or(Ok(0), |socket| socket.send(message.as_bytes()));
        if let Err(error) = sent {
            tracing::warn!("notify the service manager of {message:?}: {error}");
        }
    }
}

/// A path, or a name in the abstract namespace behind an `@`.
fn connect(address: &str) -> io::Result<UnixDatagram> {
    let address = match address.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(address)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    // A manager whose queue is full must not stop a worker of the runtime.
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Whether this very process is watched: a child inherits the variables.
fn watchdog() -> Option<Duration> {
    let number = |name| env::var(name).ok().map(|value| value.parse::<u64>().ok());
    let meant = number("WATCHDOG_PID").is_none_or(|pid| pid == Some(u64::from(std::process::id())));
    let microseconds = number("WATCHDOG_USEC")??;
    meant.then(|| Duration::from_micros(microseconds))
}
