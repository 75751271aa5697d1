//! nf_tables: rulesets as plain data, put into the kernel in one transaction.
//!
//! [`Ruleset`] is a whole table; [`Nftables::apply`] replaces ours with it, so nothing is ever compared or patched by rule
//! handles. [`Nftables::update`] carries a table over into the next one and costs, in the kernel, by the difference. A part of skiff owns its table alone; tables are `inet`: one serves IPv4 and IPv6.

mod change;
mod difference;
mod expression;
mod family;
mod message;
mod removals;
mod ruleset;
mod socket;
mod value;

pub use change::Change;
pub use expression::{Expression, Rule, Target, Verdict};
pub use family::Family;
pub use message::Subject;
pub use removals::Removals;
pub use ruleset::{Base, Chain, Element, Hook, Key, Kind, Ruleset, Set, Stored, priority};
pub use socket::{Error, Nftables};
pub use value::{Data, Field, Type, Value};
