//! Unix sockets at paths of any length.
//!
//! A socket's address holds 108 bytes, a pod's folder may be longer. `/proc/self/fd/N` is a short name for the folder.

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};

/// Calls `open` with a short path of the file at `path`.
pub(crate) fn at<T>(path: &Path, open: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let folder = OpenOptions::new().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(folder)?;
    open(&PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name))
}

/// A listening socket that replaces whatever file is at `path`.
pub(crate) fn bound(path: &Path) -> io::Result<OwnedFd> {
    let _not_there = std::fs::remove_file(path);
    let listener = packet_socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    at(path, |short| Ok(bind(&listener, &SocketAddrUnix::new(short)?)?))?;
    listen(&listener, 4)?;
    Ok(listener)
}

/// A connection that does not block.
pub(crate) fn connected(path: &Path) -> io::Result<OwnedFd> {
    let connection = packet_socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    at(path, |short| Ok(connect(&connection, &SocketAddrUnix::new(short)?)?))?;
    Ok(connection)
}

fn packet_socket(flags: SocketFlags) -> io::Result<OwnedFd> {
    Ok(socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}
