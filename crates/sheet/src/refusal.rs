//! Why a file cannot be read on from some point.
//!
//! A refusal becomes the last issue of the report; only the input's own errors are errors.

use std::io;

use super::issue::IssueCode;
use super::text::Fault;

/// Why reading ended before the end.
#[derive(Debug)]
pub(super) enum Stop {
    Io(io::Error),
    Refused(Box<Refusal>),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Stop::Io(error)
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Stop::Refused(Box::new(refusal))
    }
}

/// Something that makes the whole file unreadable from here on.
#[derive(Debug)]
pub(super) struct Refusal {
    pub code: IssueCode,
    pub message: String,
    pub line: u64,
    /// 0-based cell of the record, where it is about one.
    pub cell: Option<usize>,
    pub value: Option<String>,
}

impl Refusal {
    pub fn new(code: IssueCode, line: u64, message: impl Into<String>) -> Self {
        Refusal { code, message: message.into(), line, cell: None, value: None }
    }

    /// Says which cell it is about and what of it was read.
    pub fn about(self, cell: usize, text: &[u8]) -> Self {
        Refusal { cell: Some(cell), value: Some(String::from_utf8_lossy(text).into_owned()), ..self }
    }

    pub fn cell_too_long(line: u64, max_bytes: usize) -> Self {
        let message = format!(
            "This cell is longer than {max_bytes} bytes. Shorten it; long texts do not belong in \
             this file."
        );
        Refusal::new(IssueCode::CellTooLong, line, message)
    }

    /// `has`: how much there is of the row.
    pub fn row_too_long(line: u64, has: &str) -> Self {
        let message = format!("This row has {has}. End it with a line break where the next row should begin.");
        Refusal::new(IssueCode::CellTooLong, line, message)
    }

    pub fn row_over_bytes(line: u64, max_bytes: usize) -> Self {
        Refusal::row_too_long(line, &format!("more than {max_bytes} bytes"))
    }

    /// `by`: up to where no closing quote was found.
    pub fn quote_left_open(line: u64, by: &str) -> Self {
        let message = format!(
            "The quote (\") that opens this cell is not closed {by}. Close it, or write two \
             (\"\") for a quote that is part of the text."
        );
        Refusal::new(IssueCode::UnterminatedQuote, line, message)
    }

    pub fn quote_closed_late(line: u64) -> Self {
        let message = "The quote (\") that opens this cell is only closed several lines later, before other text. Close it \
                       where the cell ends, or write two (\"\") for a quote that is part of the text.";
        Refusal::new(IssueCode::UnterminatedQuote, line, message)
    }

    pub fn unreadable(line: u64, fault: Fault) -> Self {
        match fault {
            Fault::Undecodable { encoding } => Refusal::new(
                IssueCode::UndecodableText,
                line,
                format!(
                    "The text up to here is {encoding}, but what follows is not. Save the file as \
                     \"CSV UTF-8\" and upload it again."
                ),
            ),
            Fault::Workbook => Refusal::new(
                IssueCode::UndecodableText,
                line,
                "This is an old or protected workbook or an archive, not a CSV. Save it as .xlsx without a password, or as \
                 \"CSV UTF-8\", and upload that.",
            ),
            Fault::OtherKind(message) => Refusal::new(IssueCode::UnsupportedFile, line, message),
            Fault::Nul => Refusal::new(
                IssueCode::NulByte,
                line,
                "There is a NUL byte here, so this is not plain text, or it is UTF-16 without a \
                 byte order mark. Save the file as \"CSV UTF-8\" and upload it again.",
            ),
            Fault::TooLarge { max_bytes } => Refusal::new(
                IssueCode::FileTooLarge,
                line,
                format!("The file is larger than {max_bytes} bytes. Split it into smaller files."),
            ),
        }
    }
}
