//! Which system calls a container may make.
//!
//! libcontainer knows seccomp only through a C library, so the filter is ours: the table in [`profile`] holds the default
//! profile of container runtimes for the four architectures a board may run, [`filter`] compiles it to a classic BPF program
//! of the native and the compatible architecture, and [`load`] installs it in the process that becomes the container.

mod filter;
mod profile;

use std::io;

use crate::capabilities::Capabilities;

/// A compiled filter, ready to be loaded.
#[derive(Clone)]
pub(crate) struct Filter(Vec<libc::sock_filter>);

impl Filter {
    /// The default profile for a process with these capabilities.
    pub(crate) fn default_for(capabilities: Capabilities) -> Self {
        Self(filter::compile(capabilities))
    }

    /// Confines this process and all it will start, forever. Needs `no_new_privs` or CAP_SYS_ADMIN.
    pub(crate) fn load(&self) -> io::Result<()> {
        let len = u16::try_from(self.0.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let program = libc::sock_fprog { len, filter: self.0.as_ptr().cast_mut() };
        // SAFETY: `program` and the instructions it points to live until the call returns; the kernel copies them.
        let done = unsafe {
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, std::ptr::from_ref(&program))
        };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}
