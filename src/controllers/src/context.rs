//! What every controller is given.

use client::{Caches, Client, Error, Object, Recorder, Scoped};
use task::ClockSettings;

use crate::ages::Ages;

/// The way to the API, in the name of the controllers. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) caches: Caches,
    pub(crate) recorder: Recorder,
    /// Of pods: since when they are ready, or have ended.
    pub(crate) ages: Ages,
    pub(crate) clock: ClockSettings,
}

impl Context {
    pub(crate) fn client(&self) -> &Client {
        self.caches.client()
    }

    /// Writes the status of an object and waits until the cache has seen it. One that is gone needs none.
    pub(crate) async fn write_status<K: Object<Scope: Scoped>>(&self, updated: &K) -> Result<(), Error> {
        match self.client().update_status(updated).await {
            Ok(written) => {
                self.caches.of::<K>().seen(written.metadata()).await;
                Ok(())
            }
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }
}
