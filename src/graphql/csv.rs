//! How a CSV was read, with every problem that was found.

use async_graphql::{Context, Enum, Object, Result, SimpleObject};
use uuid::Uuid;

use super::error::internal;
use super::paging::{Args, Paged, page_cost, paginate};
use super::scalars::UnsignedInt53;
use crate::app::App;
use crate::db;
use crate::db::csv_issue::CsvIssue as IssueRow;
use crate::db::request::ProcessingRequest;
use halftone_sheet as sheet;

/// What a problem means for the place it was found in.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "sheet::Severity")]
pub enum CsvIssueSeverity {
    /// The row, URL or file was rejected.
    Error,
    /// It was repaired.
    Warning,
}

/// What is wrong.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "sheet::IssueCode")]
pub enum CsvIssueCode {
    EmptyFile,
    NoHeader,
    MissingColumn,
    /// A column was taken for what its name does not say.
    GuessedColumn,
    AmbiguousColumn,
    /// A file of another kind: HTML, XML, JSON, PDF, an image.
    UnsupportedFile,
    UndecodableText,
    UnterminatedQuote,
    NulByte,
    /// Image URLs spilled into further cells and were read as URLs.
    SpilledUrls,
    /// A column with URLs from which no images are fetched.
    UnusedUrls,
    /// A line that is no product: above the header, of rules or units, or of totals.
    SkippedLine,
    /// Rows that take the product name from the row above.
    ContinuedRows,
    /// A URL that was repaired.
    RepairedUrl,
    UnexpectedCell,
    EmptyProductName,
    NoImageUrls,
    InvalidUrl,
    UnsupportedScheme,
    DuplicateSerialNumber,
    DuplicateUrlInRow,
    CellTooLong,
    UrlTooLong,
    TooManyUrlsInRow,
    TooManyRows,
    TooManyImages,
    FileTooLarge,
}

/// One problem of a CSV.
#[derive(SimpleObject, Clone)]
pub struct CsvIssue {
    severity: CsvIssueSeverity,
    code: CsvIssueCode,
    message: String,
    /// 1-based line, as a text editor counts.
    line: i32,
    /// 1-based data row, as a spreadsheet counts.
    row: Option<i32>,
    column: Option<String>,
    /// At most 200 characters of the offending text.
    value: Option<String>,
}

/// Where the issues of a report are.
enum Issues {
    /// In the database, of this request.
    Stored(Uuid),
    /// Here: the file was rejected, so nothing was stored.
    Here(Vec<CsvIssue>),
}

/// How the file was read; every guess is visible.
pub struct CsvReport {
    byte_size: UnsignedInt53,
    encoding: String,
    delimiter: String,
    row_count: i32,
    accepted_row_count: i32,
    rejected_row_count: i32,
    issue_count: i32,
    issues: Issues,
}

impl CsvReport {
    /// The report of an accepted file.
    pub fn of_request(row: &ProcessingRequest) -> Self {
        Self {
            byte_size: row.csv_byte_size.into(),
            encoding: row.csv_encoding.clone(),
            delimiter: row.csv_delimiter.clone(),
            row_count: row.csv_row_count,
            accepted_row_count: row.csv_accepted_row_count,
            rejected_row_count: row.csv_rejected_row_count,
            issue_count: row.csv_issue_count,
            issues: Issues::Stored(row.id),
        }
    }

    /// The report of a file that was only read.
    pub fn of_file(report: sheet::Report) -> Self {
        let issue = |issue: sheet::Issue| CsvIssue {
            severity: issue.severity.into(),
            code: issue.code.into(),
            message: issue.message,
            line: int(issue.line),
            row: issue.row.map(int),
            column: issue.column,
            value: issue.value,
        };
        Self {
            byte_size: UnsignedInt53(report.byte_size),
            encoding: report.encoding,
            delimiter: report.delimiter.to_string(),
            row_count: int(report.row_count),
            accepted_row_count: int(report.accepted_row_count),
            rejected_row_count: int(report.rejected_row_count),
            issue_count: int(report.issue_count),
            issues: Issues::Here(report.issues.into_iter().map(issue).collect()),
        }
    }
}

fn int(count: u64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// How the file was read; every guess is visible.
#[Object]
impl CsvReport {
    async fn byte_size(&self) -> UnsignedInt53 {
        self.byte_size
    }

    async fn encoding(&self) -> &str {
        &self.encoding
    }

    async fn delimiter(&self) -> &str {
        &self.delimiter
    }

    async fn row_count(&self) -> i32 {
        self.row_count
    }

    async fn accepted_row_count(&self) -> i32 {
        self.accepted_row_count
    }

    async fn rejected_row_count(&self) -> i32 {
        self.rejected_row_count
    }

    /// All that were found; `issues` has as many of them as are kept.
    async fn issue_count(&self) -> i32 {
        self.issue_count
    }

    /// In the order of the file.
    #[graphql(complexity = page_cost(first, None, child_complexity))]
    async fn issues(
        &self,
        ctx: &Context<'_>,
        first: Option<i32>,
        after: Option<String>,
    ) -> Result<Paged<i32, CsvIssue>> {
        let pool = &ctx.data_unchecked::<App>().pool;
        let load = async |page: db::page::Page<i32>| match &self.issues {
            Issues::Stored(request_id) => {
                let mut conn = db::connect(pool).await.map_err(internal)?;
                let rows = IssueRow::page(&mut conn, *request_id, page.after, page.limit).await.map_err(internal)?;
                rows.into_iter().map(|row| Ok((row.position, stored(row)?))).collect()
            }
            Issues::Here(issues) => {
                let rows = (0..).zip(issues.iter().cloned()).filter(|(position, _)| Some(*position) > page.after);
                Ok(rows.take(usize::try_from(page.limit).unwrap_or(0)).collect())
            }
        };
        paginate(Args { first, after, last: None, before: None }, load, |(position, _)| *position, |(_, issue)| issue)
            .await
    }
}

fn stored(row: IssueRow) -> Result<CsvIssue> {
    Ok(CsvIssue {
        severity: serde_json::from_value::<sheet::Severity>(row.severity.into()).map_err(internal)?.into(),
        code: serde_json::from_value::<sheet::IssueCode>(row.code.into()).map_err(internal)?.into(),
        message: row.message,
        line: row.line,
        row: row.row_number,
        column: row.column_name,
        value: row.value,
    })
}
