//! Jobs: a Postgres queue that knows nothing of images.
//!
//! A job is a kind and an id, the id of the row it works on. It is enqueued in the transaction that needs it, claimed with
//! a lease in a short transaction, run outside any, and finished in the transaction that records what it did. Every change
//! to a claimed job is guarded by its lease, so a worker that was given up can never overwrite its successor. A job may run
//! twice; it is recorded once.

pub mod jobs;

pub mod claim;

pub mod pauses;

mod company;

mod pause;

pub mod runner;

pub mod worker;

pub mod workers;

pub mod heartbeat;

pub mod risk;

pub use claim::Claim;
pub use runner::{Job, JobRunner, Limits, Outcome};
