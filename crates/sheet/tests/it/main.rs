//! Reading, through the crate's own API. `hostile` measures memory, so it is a program of its own.

mod exports;
mod layouts;
mod ods;
mod table;
