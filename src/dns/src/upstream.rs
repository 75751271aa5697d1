//! The node's own resolvers, as its configuration names them now.
//!
//! The file changes when a cable is plugged in or a lease renewed, mostly by being replaced: its folder is watched, not the file.

#![expect(unsafe_code, reason = "tokio cannot know that the descriptor of an OwnedFd never changes")]

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;
use tracing::{info, warn};

/// Where systemd-resolved keeps the list of resolvers it asks itself.
const BEHIND_SYSTEMD: &str = "/run/systemd/resolve/resolv.conf";
/// Where systemd-resolved listens: on this node only, and not for pods.
const SYSTEMD_STUBS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53)), IpAddr::V4(Ipv4Addr::new(127, 0, 0, 54))];
const PORT: u16 = 53;

/// The resolvers that `path` names, without ourselves: what is asked of us must not come back to us.
pub(crate) fn read(path: &Path, ourselves: &[IpAddr]) -> Vec<SocketAddr> {
    let servers = parse(&fs::read_to_string(path).unwrap_or_default());
    let servers = if servers.iter().any(|server| SYSTEMD_STUBS.contains(&server.ip())) {
        fs::read_to_string(BEHIND_SYSTEMD).map_or(servers, |behind| parse(&behind))
    } else {
        servers
    };
    servers.into_iter().filter(|server| !ourselves.contains(&server.ip())).collect()
}

fn parse(text: &str) -> Vec<SocketAddr> {
    let values = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()).flatten()
    });
    values.filter_map(address).collect()
}

/// `fe80::1%eth0` is on a link: it can be reached only through it.
fn address(text: &str) -> Option<SocketAddr> {
    match text.split_once('%') {
        None => Some(SocketAddr::new(text.parse().ok()?, PORT)),
        Some((address, link)) => {
            let address: Ipv6Addr = address.parse().ok()?;
            let index = link.parse().ok().or_else(|| index_of(link))?;
            Some(SocketAddrV6::new(address, PORT, 0, index).into())
        }
    }
}

fn index_of(link: &str) -> Option<u32> {
    if link.contains('/') {
        return None;
    }
    fs::read_to_string(format!("/sys/class/net/{link}/ifindex")).ok()?.trim().parse().ok()
}

/// Keeps `servers` true for ever.
pub(crate) async fn follow(path: PathBuf, ourselves: Vec<IpAddr>, servers: watch::Sender<Vec<SocketAddr>>) {
    if let Err(error) = follow_changes(&path, &ourselves, &servers).await {
        warn!(path = %path.display(), %error, "changes of the node's resolvers will not be seen");
    }
    std::future::pending::<()>().await;
}

async fn follow_changes(
    path: &Path,
    ourselves: &[IpAddr],
    servers: &watch::Sender<Vec<SocketAddr>>,
) -> io::Result<()> {
    let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    // SAFETY: an `OwnedFd` is the same open descriptor as long as it lives, and the `AsyncFd` owns it.
    let watcher = unsafe { AsyncFd::register(events) }?;
    loop {
        watch(&watcher, path)?;
        let now = read(path, ourselves);
        if *servers.borrow() != now {
            info!(resolvers = ?now, "the node's resolvers");
            servers.send_replace(now);
        }
        until_changed(&watcher, path).await?;
    }
}

/// Watches the folders of the file, of what it points to, and of systemd's list. Watching twice is watching once.
fn watch(watcher: &AsyncFd<OwnedFd>, path: &Path) -> io::Result<()> {
    let target = fs::canonicalize(path).ok();
    let behind = Path::new(BEHIND_SYSTEMD).parent().filter(|folder| folder.is_dir());
    let files = [Some(path), target.as_deref()].into_iter().flatten();
    let folders = files.filter_map(Path::parent).chain(behind);
    let events = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::CLOSE_WRITE;
    for folder in folders {
        inotify::add_watch(watcher.get_ref(), folder, events)?;
    }
    Ok(())
}

async fn until_changed(watcher: &AsyncFd<OwnedFd>, path: &Path) -> io::Result<()> {
    loop {
        let mut readable = watcher.readable().await?;
        match names_file(watcher.get_ref(), path) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => readable.clear_ready(),
            Err(error) => return Err(error),
        }
    }
}

/// Whether the next event is about a file of a name that matters; all folders together hold few others.
fn names_file(watcher: &OwnedFd, path: &Path) -> io::Result<bool> {
    let mut buffer = [MaybeUninit::uninit(); 1024];
    let mut reader = inotify::Reader::new(watcher, &mut buffer);
    let mut found = false;
    loop {
        let event = reader.next()?;
        let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
        let target = fs::canonicalize(path).ok();
        let watched = [Some(path), target.as_deref(), Some(Path::new(BEHIND_SYSTEMD))];
        found |= name.is_some() && watched.into_iter().flatten().any(|file| file.file_name() == name);
        if reader.is_buffer_empty() {
            return Ok(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nameserver_lines_are_read_and_nothing_else() {
        let text = "# nameserver 9.9.9.9\nsearch lan\nnameserver 192.168.1.1\nnameserver\tfd00::1 # home\nnameserver nonsense\nnameserver fe80::1%1\noptions edns0";
        let found: Vec<String> = parse(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.168.1.1:53", "[fd00::1]:53", "[fe80::1%1]:53"]);
    }

    #[test]
    fn we_are_not_our_own_resolver() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        fs::write(&path, "nameserver 10.43.0.10\nnameserver 192.168.1.1\n").unwrap();
        let found = read(&path, &["10.43.0.10".parse().unwrap()]);
        assert_eq!(found, ["192.168.1.1:53".parse().unwrap()]);
        assert_eq!(read(&folder.path().join("missing"), &[]), []);
    }

    #[tokio::test]
    async fn a_replaced_file_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        fs::write(&path, "nameserver 192.168.1.1\n").unwrap();
        let (sender, mut servers) = watch::channel(Vec::new());
        let mut tasks = task::Tasks::new();
        tasks.spawn("follow", follow(path.clone(), Vec::new(), sender));
        let is = |address: &str| {
            let address: SocketAddr = address.parse().unwrap();
            move |servers: &Vec<SocketAddr>| servers[..] == [address]
        };
        servers.wait_for(is("192.168.1.1:53")).await.unwrap();
        fs::write(folder.path().join("new"), "nameserver 192.168.2.1\n").unwrap();
        fs::rename(folder.path().join("new"), &path).unwrap();
        servers.wait_for(is("192.168.2.1:53")).await.unwrap();
        fs::write(&path, "nameserver 192.168.3.1\n").unwrap();
        servers.wait_for(is("192.168.3.1:53")).await.unwrap();
    }
}
