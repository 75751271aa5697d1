//! Objects between the store and the verbs: how they lie there, which are meant, where a list goes on.

pub(crate) mod manager;
pub(crate) mod page;
pub(crate) mod selected;
pub(crate) mod stored;
