//! Whom the kernel kills when memory runs out.

use std::fs;
use std::io::ErrorKind;

use super::Error;
use crate::spec::Process;

const SCORE: &str = "/proc/self/oom_score_adj";

/// Gives this process, and all that it starts, the score of `process`.
///
/// Not left to libcontainer: where skiff itself runs inside of somebody's container it may not make a process likelier to be
/// spared, and a pod that is killed a little too early is better than one that cannot start.
pub(super) fn set_score(process: &Process) -> Result<(), Error> {
    let Some(score) = process.oom_score_adj else { return Ok(()) };
    match fs::write(SCORE, score.to_string()) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
        done => done.map_err(|source| Error::Prepare { what: SCORE, source }),
    }
}
