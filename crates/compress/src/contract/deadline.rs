//! The time one image may take.

use std::time::{Duration, Instant};

use crate::contract::Error;

/// When to give up. Whatever repeats work looks at it: searches, bands of rows, encoders that can be stopped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    /// `None` for one that never comes.
    at: Option<Instant>,
    limit: Duration,
}

impl Deadline {
    pub fn after(limit: Duration) -> Deadline {
        Deadline { at: Instant::now().checked_add(limit), limit }
    }

    /// # Errors
    ///
    /// [`Error::TooSlow`] once the time is over.
    pub fn check(&self) -> Result<(), Error> {
        if self.at.is_some_and(|at| Instant::now() >= at) { Err(Error::TooSlow { limit: self.limit }) } else { Ok(()) }
    }
}
