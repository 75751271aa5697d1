//! What bounds the work that is done at once, and with it the memory: places for requests, and room for large bodies.
//!
//! Upstream's 400 reads and 200 writes in flight would take more than a board has. A place is worth what a request with a body
//! of up to [`SMALL`] can hold: the body, its tree, the object before and the bytes after, ten times the body at worst and some
//! 50 KiB as a rule. [`PLACES`] of them are 3 MiB as a rule and 40 MiB at worst, and more than enough for the processors and for
//! the writes that wait for the same commit. Larger bodies share [`Bodies::ROOM`].
//!
//! A body is read before its request has a place, so that a slow sender costs its own connection alone; a large one waits for its
//! room before that. Watches, streams and health take no place, nor do the components of this process: they are few, and
//! others wait for them.

mod bodies;
mod turns;

pub(crate) use self::bodies::Bodies;
pub(crate) use self::turns::Turns;

/// Requests that are answered at once.
const PLACES: usize = 64;
/// Requests of one client that wait for a place. The next one is refused.
const WAITING: usize = 128;
/// Bodies up to this size need no room beside a place.
const SMALL: u64 = 64 * 1024;
