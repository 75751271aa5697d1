//! What `/healthz` answers: failures counted down at the start, later whatever it was told.

use std::sync::{Mutex, PoisonError};

pub struct Health(Mutex<State>);

enum State {
    FailingFirst(u32),
    Always(u16),
}

impl Health {
    pub fn failing_first(count: u32) -> Self {
        Self(Mutex::new(State::FailingFirst(count)))
    }

    pub fn set(&self, status: u16) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State::Always(status);
    }

    pub fn check(&self) -> u16 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *state {
            State::Always(status) => *status,
            State::FailingFirst(0) => 200,
            State::FailingFirst(left) => {
                *left -= 1;
                503
            }
        }
    }
}
