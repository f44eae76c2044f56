//! What the tests stand on: a database each, a Halftone each, and the other side of its network.

pub mod bucket;

pub mod database;

pub mod halftone;

pub mod images;

pub mod keys;

pub mod origin;

pub mod process;

pub mod proxy;

pub mod signatures;

pub mod sink;

pub mod tls;

pub mod wait;
