//! What is said of a file once it was read.

use serde::{Deserialize, Serialize};

use super::header::{ColumnRole, MatchedBy};
use super::issue::Issue;
use super::source::Container;

/// How a file was read; every guess is visible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub container: Container,
    /// Bytes read: the whole file, unless reading ended early.
    pub byte_size: u64,
    /// `UTF-8`, `UTF-16LE`, `UTF-16BE` or `windows-1252`.
    pub encoding: String,
    pub delimiter: char,
    /// The header's cells, trimmed; unnamed columns at its end are left out.
    pub header: Vec<String>,
    /// What each of its columns was taken for.
    pub columns: Vec<Column>,
    /// Columns that are carried through to the output, in order.
    pub extra_columns: Vec<String>,
    /// Data rows, as far as the file was read; blank lines are none.
    pub row_count: u64,
    /// None in a file that was refused, whatever was accepted before that was known.
    pub accepted_row_count: u64,
    /// All others: every row of a refused file.
    pub rejected_row_count: u64,
    /// Places with an accepted URL, counting repeated ones; none in a refused file.
    pub image_count: u64,
    /// All issues, kept or not.
    pub issue_count: u64,
    pub error_count: u64,
    /// At most [`Limits::max_issues`](crate::Limits::max_issues), in the order of the file; errors are kept before warnings.
    pub issues: Vec<Issue>,
    /// Whether the whole file was refused. The last error says why.
    pub rejected: bool,
}

/// What a column was taken for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Column {
    /// Its name, as the header writes it.
    pub header: String,
    pub role: ColumnRole,
    /// Why; none for a column that is not used.
    pub matched_by: Option<MatchedBy>,
    /// Accepted image URLs in it; none in a refused file.
    pub image_count: u64,
}
