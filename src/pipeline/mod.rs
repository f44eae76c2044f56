//! The product, a file per step, in the order of the flow: submit → process → settle → notify → export.
//!
//! Whatever dies, every image of an accepted request ends exactly once, and then the request ends.

pub mod submit;

pub mod read_csv;

pub mod source;

pub mod estimate;

pub mod leftovers;

pub mod store_audit;

mod assign;

pub mod process;

mod failure;

mod reuse;

mod output;

mod pace;

pub mod settle;

pub mod cancel;

pub mod pause;

pub mod retry;

pub mod correct;

pub mod rerun;

pub mod delete;

pub mod expire;

pub mod notify;

pub mod export;

pub mod waiting;

pub mod system;

pub mod hosts;

pub mod workers;
