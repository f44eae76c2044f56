//! Halftone from outside: GraphQL over HTTP, real Postgres, a real image origin, a real webhook sink.
//!
//! One Postgres cluster serves the whole run; every test has a database of its own, cloned from a migrated template.

#![expect(clippy::unwrap_used, reason = "what a test does not expect fails it")]

mod support;

mod upload;

mod results;

mod spreadsheets;

mod faults;

mod webhooks;

mod reruns;
mod reuse;
mod runs;

mod stores;

mod chosen_formats;
mod corrections;

mod deletions;
mod deploy;

mod doctor;

mod expiry;

mod estimates;

mod crashes;

mod fairness;

mod hosts;

mod leftovers;

mod outages;
mod overview;

mod queue;

mod quotas;

mod statements;

mod api;

mod encryption;

mod https;

mod keys;

mod metrics;

mod tenants;

mod traces;

mod upgrades;

mod connections;

mod console;

mod poolers;

mod previews;

mod proxies;

mod command_line;

mod project;
