//! What every controller is given.

use client::{Caches, Client, Recorder};

/// The way to the API, in the name of the controllers. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) caches: Caches,
    pub(crate) recorder: Recorder,
}

impl Context {
    pub(crate) fn client(&self) -> &Client {
        self.caches.client()
    }
}
