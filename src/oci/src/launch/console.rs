//! How a terminal gets out of a container: libcontainer opens it inside and sends it to a socket.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::termios::{Winsize, tcsetwinsize};

use crate::spec::Size;

/// A socket that waits for one terminal.
pub(super) struct Console {
    listener: UnixListener,
    path: PathBuf,
}

impl Console {
    /// `folder` may be deep: a socket's own path must be short, so it is bound from inside.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let _left_by_an_earlier_attempt = fs::remove_file(&path);
        let listener = crate::shim::socket::at(&path, |short| UnixListener::bind(short))?;
        Ok(Self { listener, path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The terminal, once the container was built: by then it has been sent.
    pub(super) fn receive(self) -> io::Result<OwnedFd> {
        let (connection, _) = self.listener.accept()?;
        crate::protocol::receive_descriptor(connection.as_fd())
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _already_gone = fs::remove_file(&self.path);
    }
}

pub(crate) fn resize(terminal: impl AsFd, size: Size) -> io::Result<()> {
    let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
    Ok(tcsetwinsize(terminal, size)?)
}
