//! Power cuts and failing disks: the store on a file system that loses, at any point, what nobody synced.
//!
//! The file system is ours (FUSE), so that it can be as bad as POSIX allows and not only as bad as one that happens to be
//! mounted; everything above it is real. A cut falls at any change or sync, a fault at any operation at all.

mod cuts;
mod disk;
mod faults;
mod mount;
mod writer;
