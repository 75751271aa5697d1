//! What bounds what is done at once, and with it the memory: places for requests, and room for large bodies.
//!
//! Upstream's 400 reads and 200 writes in flight would take more than a board has. A place is worth what a request with a body
//! of up to [`SMALL`] can hold: the body, its tree, the object before and the bytes after, ten times the body at worst and some
//! 50 KiB as a rule. [`PLACES`] of them are 3 MiB as a rule and 40 MiB at worst, and more than enough for the processors and for
//! the writes that wait for the same commit. Larger bodies share [`Bodies`], five of the largest.
//!
//! A body is read before its request has a place, so that a slow sender costs its own connection alone; a large one waits for its
//! room before that, and is read no longer than its client keeps up a pace. Watches, streams and health take no place, nor do the
//! components of this process: they are few, and others wait for them.

mod bodies;
mod turns;

use std::sync::Arc;

pub(crate) use self::bodies::Bodies;
pub(crate) use self::turns::{Place, Turns};

/// Requests that are answered at once.
const PLACES: usize = 64;
/// Places that one client may hold: some are left for all the others.
const OF_ONE: usize = PLACES * 3 / 4;
/// Requests of one client that wait for a place. The next one is refused.
const WAITING: usize = 128;
/// Bodies up to this size need no room beside a place.
const SMALL: u64 = 64 * 1024;

/// The places of a server.
pub(crate) fn places() -> Arc<Turns> {
    Turns::new(PLACES, OF_ONE)
}
