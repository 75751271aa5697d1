//! Room for the bodies of requests that are larger than most.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::SMALL;

/// Room for large bodies, taken before they are read and given back after the answer.
///
/// Who comes when it is full waits, first come, first served, for no longer than a request may take.
#[derive(Debug)]
pub(crate) struct Bodies(Arc<Semaphore>);

impl Bodies {
    /// In KiB: five of the largest bodies at once.
    const ROOM: u32 = 15 * 1024;

    /// None is needed for a small body.
    pub(crate) async fn room(&self, size: u64) -> Option<OwnedSemaphorePermit> {
        if size <= SMALL {
            return None;
        }
        let kilobytes = u32::try_from(size.div_ceil(1024)).unwrap_or(Self::ROOM).min(Self::ROOM);
        Some(self.0.clone().acquire_many_owned(kilobytes).await.expect("the semaphore is never closed"))
    }
}

impl Default for Bodies {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(Self::ROOM as usize)))
    }
}
