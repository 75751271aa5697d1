//! Noticing a peer that vanished without a word, by the kernel alone.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

/// Silence after which the kernel asks, and then how often: gone is who did not answer for a minute.
pub(crate) const IDLE: Duration = Duration::from_secs(30);
pub(crate) const INTERVAL: Duration = Duration::from_secs(10);
pub(crate) const RETRIES: u32 = 3;
/// The same for data that is under way and not acknowledged.
pub(crate) const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

pub(crate) fn set(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(IDLE).with_interval(INTERVAL).with_retries(RETRIES);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
    stream.set_nodelay(true)
}
