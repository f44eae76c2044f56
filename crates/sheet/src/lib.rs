//! CSV and workbooks: bytes → rows or every problem with its line; rows → CSV or workbook.
//!
//! It reads from and writes to whatever it is given and touches nothing else, but for the temporary file of a workbook. Memory stays flat whatever the
//! size of the file: one 64 KiB block, one row and a capped list of problems are held at a time, plus what it takes to
//! notice a repeated serial number (see `serials`). Every bound of [`Limits`] is enforced before the memory is spent.
//!
//! ```
//! use halftone_sheet as sheet;
//!
//! let file = "S. No, Product Name, Input Image Urls\n1, SKU1, https://example.com/1.jpg,https://example.com/2.jpg\n";
//! let mut reader = sheet::Reader::open(file.as_bytes(), &sheet::Limits::default())?;
//! while let Some(row) = reader.next_row()? {
//!     assert_eq!((row.name.as_str(), row.urls.len()), ("SKU1", 2));
//! }
//! let report = reader.into_report();
//! assert!(!report.rejected);
//! # std::io::Result::Ok(())
//! ```
//!
//! The modules, in the order of the flow: `text` (bytes → UTF-8), `cells` (text → cells, on csv-core), `dialect`
//! (which delimiter), `header` (which column is what), `layout` and `assemble` (cells → a row), `urls` (a cell
//! → its URLs), `repair` (URLs among other text), `check_url`, `reader` (all of it together), `write` (rows → CSV).

mod text;

mod cells;

mod spaces;

mod bytes;

mod plain;
mod quoting;

mod record;

mod hints;

mod vocabulary;

mod dialect;

mod measure;

mod ods;

mod workbook;

mod source;

mod header;

mod row;

mod assemble;

mod layout;
mod lines;

mod skipped;

mod urls;

mod check_url;

mod repair;

mod serials;

mod issue;

mod refusal;

mod report;

mod reader;

mod update;

mod defuse;

mod write;

mod to_workbook;

#[cfg(test)]
mod tests;

pub use check_url::check_url;
pub use header::{ColumnRole, MatchedBy};
pub use hints::Hints;
pub use issue::{Issue, IssueCode, Severity};
pub use reader::{Reader, read, read_file, read_with};
pub use report::{Column, Report};
pub use row::{InputUrl, Row};
pub use source::{Container, Source};
pub use to_workbook::{WorkbookError, result_to_workbook, updated_to_workbook};
pub use update::Updater;

pub use write::{DETAIL_NUMBERS, Detail, OutputRow, Writer};

/// How much of a CSV is read before it is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest file, in bytes as uploaded. Default 50 MiB.
    pub max_bytes: u64,
    /// Most data rows in one file, accepted or not. Default 1,000,000.
    pub max_rows: u64,
    /// Most image URLs accepted in one file, counting each place. Default 1,000,000.
    pub max_images: u64,
    /// Most image URLs in one row. Default 100.
    pub max_images_per_product: usize,
    /// Largest cell, in bytes of UTF-8. A whole row may be sixteen times as long, and its image URLs as long as that.
    /// Default 64 KiB.
    pub max_cell_bytes: usize,
    /// Longest image URL, in bytes of UTF-8. Default 2,048.
    pub max_url_bytes: usize,
    /// Longest product name or serial number, in characters. Default 512.
    pub max_name_chars: usize,
    /// Most issues kept in a report; more are counted, not kept. Errors are kept before warnings. Default 1,000.
    pub max_issues: usize,
}

impl Limits {
    /// Longest row or header, as it would be written again without anything of ours.
    fn max_row_bytes(&self) -> usize {
        self.max_cell_bytes.saturating_mul(16)
    }

    /// Longest record that is read: a row and what results add to it, a comma for each place and an output URL for each
    /// accepted one, or a reason. So a row that was read can be read again once it was written.
    fn max_record_bytes(&self) -> usize {
        let outputs = self.max_images_per_product.saturating_mul(self.max_url_bytes);
        self.max_row_bytes().saturating_mul(2).saturating_add(outputs)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_bytes: 50 * 1024 * 1024,
            max_rows: 1_000_000,
            max_images: 1_000_000,
            max_images_per_product: 100,
            max_cell_bytes: 64 * 1024,
            max_url_bytes: 2_048,
            max_name_chars: 512,
            max_issues: 1_000,
        }
    }
}
