//! What a caller says and hears: settings and limits in, a file with its receipt or an error out.

mod deadline;
mod error;
mod format;
mod limits;
mod name;
mod receipt;
mod settings;

pub(crate) use deadline::Deadline;
pub use error::{Error, ErrorCode};
pub use format::Format;
pub use limits::Limits;
pub use name::output_name;
pub use receipt::{Alternative, Compressed, Facts, Outcome, Receipt};
pub use settings::{Goal, InvalidSetting, Settings};
