//! The node agents that are connected: one, or two for a moment while it restarts.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::protocol::{self, Message};

use super::poller::{Poller, Token};

#[derive(Default)]
pub(super) struct Clients(BTreeMap<Token, OwnedFd>);

impl Clients {
    pub(super) fn add(&mut self, token: Token, connection: OwnedFd) {
        self.0.insert(token, connection);
    }

    pub(super) fn get(&self, token: Token) -> Option<&OwnedFd> {
        self.0.get(&token)
    }

    pub(super) fn drop(&mut self, token: Token, poller: &Poller) {
        if let Some(connection) = self.0.remove(&token) {
            poller.remove(&connection);
        }
    }

    /// An agent that does not read its messages is cut off: it will connect again and be told the state of everything.
    pub(super) fn send(
        &mut self,
        token: Token,
        message: &Message,
        descriptors: &[BorrowedFd<'_>],
        poller: &Poller,
    ) {
        let Some(connection) = self.0.get(&token) else { return };
        if protocol::send(connection.as_fd(), message, descriptors).is_err() {
            self.drop(token, poller);
        }
    }

    pub(super) fn tell_all(&mut self, message: &Message, poller: &Poller) {
        let tokens: Vec<Token> = self.0.keys().copied().collect();
        for token in tokens {
            self.send(token, message, &[], poller);
        }
    }
}
