//! A file as a block device.
//!
//! The device frees itself when nobody has it open and nothing on it is mounted. Holding it open, instead of having
//! `mount` make one for each mount, gives a machine the same device at every boot: the kernel lets a new mount wait
//! for the end of an old one, if it can see that they are of one device.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use linux_raw_sys::loop_device::{LO_FLAGS_AUTOCLEAR, LOOP_CONFIGURE, LOOP_CTL_GET_FREE, loop_config};

#[derive(Debug)]
pub(crate) struct LoopDevice {
    pub(crate) path: PathBuf,
    _open: File,
}

impl LoopDevice {
    pub(crate) fn over(file: &Path) -> Result<Self> {
        let backing = open(file)?;
        let control = open(Path::new("/dev/loop-control"))?;
        loop {
            // SAFETY: it takes no argument and gives a number.
            let number = checked(unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE.into()) })
                .context("looking for a free loop device")?;
            let path = PathBuf::from(format!("/dev/loop{number}"));
            let device = open(&path)?;
            match configure(&device, &backing) {
                // Another was faster.
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
                result => {
                    result.with_context(|| format!("making {} of {}", path.display(), file.display()))?;
                    return Ok(Self { path, _open: device });
                }
            }
        }
    }
}

fn configure(device: &File, backing: &File) -> io::Result<()> {
    // SAFETY: a plain structure of numbers, for which zero means "the usual".
    let mut config: loop_config = unsafe { std::mem::zeroed() };
    config.fd = backing.as_raw_fd().try_into().map_err(io::Error::other)?;
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR as u32;
    // SAFETY: it reads the structure, which lives until it returns.
    checked(unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE.into(), &raw const config) }).map(drop)
}

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .with_context(|| format!("opening {}", path.display()))
}
