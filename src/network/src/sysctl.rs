//! Settings of the kernel's network below `/proc/sys/net`, for the network namespace of the calling thread.
//!
//! They belong to the whole machine: what already suits is left alone, and nothing is set that is not needed.

use std::io;
use std::path::{Path, PathBuf};

const ROOT: &str = "/proc/sys/net";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("write {value} to {path}")]
    Write { path: PathBuf, value: &'static str, source: io::Error },
}

impl Error {
    /// Links come and go while they are looked at.
    fn is_of_what_is_gone(&self) -> bool {
        let (Self::Read { source, .. } | Self::Write { source, .. }) = self;
        source.kind() == io::ErrorKind::NotFound
    }
}

/// Lets this machine pass on what is not for itself.
pub(crate) fn forward(six: bool) -> Result<(), Error> {
    set("ipv4/ip_forward", "1")?;
    if six { forward6() } else { Ok(()) }
}

/// A machine that forwards IPv6 no longer listens to router advertisements, by which it may have its own address and
/// default route, unless it is told to do both.
fn forward6() -> Result<(), Error> {
    let folder = Path::new(ROOT).join("ipv6/conf");
    let links = folder.read_dir().map_err(|source| Error::Read { path: folder, source })?;
    for link in links.flatten().filter_map(|link| link.file_name().into_string().ok()) {
        match listen_though_forwarding(&link) {
            Err(error) if error.is_of_what_is_gone() => {}
            done => done?,
        }
    }
    set("ipv6/conf/all/forwarding", "1")
}

fn listen_though_forwarding(link: &str) -> Result<(), Error> {
    let listens = format!("ipv6/conf/{link}/accept_ra");
    if get(&listens)? == "1" { set(&listens, "2") } else { Ok(()) }
}

/// Accepts packets of senders to whom the way leads through another link, where only the shortest way was accepted.
///
/// The kernel takes the stricter word of the link and of `all`, which is the larger one but that 2 is looser than 1.
pub(crate) fn accept_detours(link: &str) -> Result<(), Error> {
    let own = format!("ipv4/conf/{link}/rp_filter");
    if get(&own)? == "1" || get("ipv4/conf/all/rp_filter")? == "1" { set(&own, "2") } else { Ok(()) }
}

/// Lets the machine speak from 127.0.0.1 to whoever is behind the link. What comes from there *to* 127.0.0.1 must be kept out by rules.
pub(crate) fn pass_loopback(link: &str) -> Result<(), Error> {
    set(&format!("ipv4/conf/{link}/route_localnet"), "1")
}

fn get(name: &str) -> Result<String, Error> {
    let path = Path::new(ROOT).join(name);
    match std::fs::read_to_string(&path) {
        Ok(value) => Ok(value.trim().to_owned()),
        Err(source) => Err(Error::Read { path, source }),
    }
}

fn set(name: &str, value: &'static str) -> Result<(), Error> {
    if get(name)? == value {
        return Ok(());
    }
    let path = Path::new(ROOT).join(name);
    std::fs::write(&path, value).map_err(|source| Error::Write { path, value, source })
}
