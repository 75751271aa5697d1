//! What can be done with objects: one module per verb, each from a checked request to an answer.

pub(crate) mod apply;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod patch;
pub(crate) mod scale;
pub(crate) mod update;
pub(crate) mod watch;

pub(crate) mod body;
pub(crate) mod write;

pub(crate) use self::write::uid;
