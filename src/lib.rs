//! Halftone: a CSV of products and image URLs in; smaller images, live progress, an output CSV and a webhook out.
//!
//! Organised by the steps of the flow: the modules are in the order in which an upload passes through them, and each uses only those
//! below it. `docs/architecture.md` walks through one upload.

pub mod cli;

pub mod service;

pub mod http;

pub mod graphql;

pub mod pipeline;

pub mod access;

pub mod app;

pub mod fetch;

pub mod store;

pub mod webhook;

pub mod links;

pub mod web_origin;

pub mod guard;

pub mod budget;

pub mod descriptors;

pub mod queue;

pub mod events;

pub mod db;

pub mod config;

pub mod metrics;

pub mod telemetry;

pub mod trace;

#[cfg(test)]
mod testing;
