//! What every controller is given.

use client::{Caches, Client, Recorder};

/// The way to the API, in the name of the controllers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Context {
    pub caches: Caches,
    pub recorder: Recorder,
}

impl Context {
    pub(crate) fn client(&self) -> &Client {
        self.caches.client()
    }
}
