//! Rules that a JPEG may break and still be shown by every browser.
//!
//! They are errors where a file is to be sound; [`repair`](crate::jpeg::repair) overlooks them, and says so.

use crate::jpeg::error::{Error, corrupt};

/// A broken rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// A quantisation step of zero.
    ZeroStep,
    /// A progressive file that brings AC before DC.
    Order,
    /// Restart markers that are lost or misnumbered.
    Restarts,
}

/// Those of a file.
#[derive(Debug)]
pub(crate) enum Flaws {
    /// None may occur.
    Refused,
    /// Any may occur; these did.
    Found(Vec<Flaw>),
}

impl Flaws {
    pub(crate) fn note(&mut self, flaw: Flaw) -> Result<(), Error> {
        match self {
            Self::Refused => Err(corrupt(match flaw {
                Flaw::ZeroStep => "a quantisation step is zero",
                Flaw::Order => "a progressive scan has AC before DC",
                Flaw::Restarts => "a restart marker is missing",
            })),
            Self::Found(found) => {
                if !found.contains(&flaw) {
                    found.push(flaw);
                }
                Ok(())
            }
        }
    }
}

impl Flaw {
    /// What a user has to know.
    pub(crate) fn warning(self) -> &'static str {
        match self {
            Self::ZeroStep => "The JPEG has a quantisation step of zero. It was decoded as browsers show it.",
            Self::Order => "The scans of the JPEG are out of order. It was decoded as browsers show it.",
            Self::Restarts => {
                "Restart markers of the JPEG are lost or misnumbered. It was decoded as browsers show it: parts of the picture may be \
                 missing or out of place."
            }
        }
    }
}
