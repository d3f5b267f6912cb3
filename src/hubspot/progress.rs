//! How a request's body is getting on, so that a slow upload is not taken for a slow answer.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

/// Tells the pool how a request body is getting on.
#[derive(Clone, Default)]
pub struct Progress(Rc<Upload>);

#[derive(Default)]
struct Upload {
    last: Cell<Option<Instant>>,
    client_is_late: Cell<bool>,
}

impl Progress {
    /// Something of the body went up just now.
    pub fn made(&self) {
        self.0.last.set(Some(Instant::now()));
        self.0.client_is_late.set(false);
    }

    /// The client has not sent the next piece yet: its own deadline runs, not the upstream's.
    pub fn waits_for_client(&self) {
        self.0.client_is_late.set(true);
    }

    pub(super) fn last(&self) -> Option<Instant> {
        if self.0.client_is_late.get() {
            Some(Instant::now())
        } else {
            self.0.last.get()
        }
    }
}
