//! Readiness: said once by the part itself, awaited by whoever relies on it.
//!
//! A part that ends before it was ready drops its signal, and the waiting ones learn that instead of waiting for ever.

use tokio::sync::watch;

/// Held by the part that will be ready.
#[derive(Debug)]
pub struct ReadySignal(watch::Sender<bool>);

/// Held by those who wait for it; cheap to clone.
#[derive(Debug, Clone)]
pub struct Ready(watch::Receiver<bool>);

/// The part ended before it was ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotReady;

/// A part that is not ready yet.
pub fn readiness() -> (ReadySignal, Ready) {
    let (sender, receiver) = watch::channel(false);
    (ReadySignal(sender), Ready(receiver))
}

impl ReadySignal {
    /// From here on the part can be relied on.
    pub fn set(self) {
        self.0.send_replace(true);
    }
}

impl Ready {
    /// Waits for the part to be ready, or to have ended without.
    pub async fn wait(&mut self) -> Result<(), NotReady> {
        self.0.wait_for(|ready| *ready).await.map(drop).map_err(|_| NotReady)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_for_the_signal() {
        let (signal, mut early) = readiness();
        let mut late = early.clone();
        let (waited, ()) = tokio::join!(early.wait(), async { signal.set() });
        assert_eq!(waited, Ok(()));
        assert_eq!(late.wait().await, Ok(()), "it stays ready after the signal is gone");
    }

    #[tokio::test]
    async fn learns_that_the_part_ended() {
        let (signal, mut ready) = readiness();
        let (waited, ()) = tokio::join!(ready.wait(), async { drop(signal) });
        assert_eq!(waited, Err(NotReady));
    }
}
