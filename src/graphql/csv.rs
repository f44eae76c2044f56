//! How a CSV was read, with every problem that was found.

use async_graphql::{Context, Enum, InputObject, Object, Result, SimpleObject};
use uuid::Uuid;

use super::error::internal;
use super::paging::{Args, Paged, page_cost, paginate};
use super::scalars::UnsignedInt53;
use crate::app::App;
use crate::db;
use crate::db::csv_issue::CsvIssue as IssueRow;
use crate::db::request::ProcessingRequest;
use crate::pipeline::source::Source;
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

/// What a column was taken for.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "sheet::ColumnRole")]
pub enum CsvColumnRole {
    SerialNumber,
    ProductName,
    ImageUrls,
    /// Carried through to the output as it is.
    CarriedThrough,
    /// Left behind: it has no name, or an earlier result added it.
    Ignored,
}

/// Why a column was taken for what it was.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "sheet::MatchedBy")]
pub enum CsvColumnMatch {
    /// The caller named it in `columns`.
    Caller,
    /// Its name is known.
    Name,
    /// Its cells look like it.
    Content,
}

/// What was understood of a column.
#[derive(SimpleObject, Clone)]
pub struct CsvColumn {
    /// Its name, as the header writes it.
    header: String,
    role: CsvColumnRole,
    /// Null for a column that is not used.
    matched_by: Option<CsvColumnMatch>,
    /// Accepted image URLs in it; 0 in a refused file.
    image_count: i32,
}

impl From<sheet::Column> for CsvColumn {
    fn from(column: sheet::Column) -> Self {
        Self {
            header: column.header,
            role: column.role.into(),
            matched_by: column.matched_by.map(Into::into),
            image_count: int(column.image_count),
        }
    }
}

/// Which columns are what, for files whose own names do not say it. What is left out is found out.
#[derive(InputObject, Default)]
pub struct CsvColumnsInput {
    /// The name of the column of product names.
    product_name: Option<String>,
    /// The names of all columns of image URLs.
    image_urls: Option<Vec<String>>,
    /// The name of the column of serial numbers.
    serial_number: Option<String>,
    /// The line the header is on, as a text editor counts.
    #[graphql(validator(minimum = 1))]
    header_line: Option<i32>,
    /// The name of a workbook's sheet.
    sheet: Option<String>,
}

impl From<CsvColumnsInput> for sheet::Hints {
    fn from(input: CsvColumnsInput) -> Self {
        Self {
            product_name: input.product_name,
            image_urls: input.image_urls.unwrap_or_default(),
            serial_number: input.serial_number,
            header_line: input.header_line.and_then(|line| u64::try_from(line).ok()),
            sheet: input.sheet,
        }
    }
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
    columns: Vec<CsvColumn>,
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
            columns: Source::of(row).unwrap_or_default().columns.into_iter().map(CsvColumn::from).collect(),
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
            columns: report.columns.into_iter().map(CsvColumn::from).collect(),
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

    /// What each column was taken for, in the order of the file. Empty where no header was found, and for requests of
    /// earlier versions.
    async fn columns(&self) -> &[CsvColumn] {
        &self.columns
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
