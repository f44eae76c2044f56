//! Catches the panics of decoders.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::contract::Error;

/// Runs code that reads untrusted bytes. A panic means that the image is damaged.
pub(crate) fn guarded<T>(decoder: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(decoder)).unwrap_or_else(|_| Err(Error::corrupt("its data is invalid")))
}
