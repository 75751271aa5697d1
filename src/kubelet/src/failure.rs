//! Why a container was not started, and what follows from that.

use crate::container;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// As its status shows it, such as `ErrImagePull`.
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) then: Then,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// The registry is left alone for a while, longer each time.
    PullLater,
    /// Something outside of the container is missing: look again soon.
    Again,
    /// The container was made: it counts as one that ended.
    Ended,
    /// The pod ended meanwhile.
    Nothing,
}

impl Failure {
    pub(crate) fn pull(reason: &'static str, message: String) -> Self {
        Self { reason, message, then: Then::PullLater }
    }

    pub(crate) fn again(reason: &'static str, message: String) -> Self {
        Self { reason, message, then: Then::Again }
    }

    pub(crate) fn config(message: String) -> Self {
        Self::again("CreateContainerConfigError", message)
    }

    pub(crate) fn cancelled() -> Self {
        Self { reason: "ContainerCreating", message: String::new(), then: Then::Nothing }
    }

    /// The message of the event that tells of it; some reasons speak for themselves.
    pub(crate) fn told(&self) -> String {
        match self.then {
            Then::PullLater => format!("Error: {}", self.reason),
            _ if self.reason == "ErrImageNeverPull" => format!("Error: {}", self.reason),
            _ => format!("Error: {}", self.message),
        }
    }
}

impl From<container::Error> for Failure {
    fn from(error: container::Error) -> Self {
        let message = error.to_string();
        match error {
            container::Error::NoCommand | container::Error::User(_) | container::Error::Group(_) => {
                Self::again("CreateContainerError", format!("failed to generate container spec: {message}"))
            }
            _ => Self::config(message),
        }
    }
}
