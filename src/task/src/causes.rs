//! Why something failed, for the log.

use std::error::Error;
use std::iter::successors;

/// An error with its causes, in one line.
pub fn causes(error: &dyn Error) -> String {
    let causes = successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the volume is not there")]
    struct Missing(#[source] io::Error);

    #[test]
    fn every_cause_is_told_once() {
        assert_eq!(
            causes(&Missing(io::Error::other("the disk is gone"))),
            "the volume is not there: the disk is gone"
        );
    }
}
