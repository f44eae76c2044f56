//! How a CSV was read, with every problem that was found.

use async_graphql::{Context, Enum, InputObject, Object, Result, SimpleObject};
use uuid::Uuid;

use super::error::internal;
use super::loaders::{IssueCountOf, IssuesOf, load};
use super::paging::{Args, Paged, Total, page_cost, paginate};
use super::scalars::UnsignedInt53;
use crate::db::csv_issue::CsvIssue as IssueRow;
use crate::db::page::Page;
use crate::db::request::ProcessingRequest;
use crate::pipeline::source::Source;
use halftone_sheet as sheet;

/// How serious a problem is.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "sheet::Severity")]
pub enum CsvIssueSeverity {
    /// The row, URL or file was rejected.
    Error,
    /// The problem was repaired.
    Warning,
}

/// What is wrong.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "sheet::IssueCode")]
pub enum CsvIssueCode {
    /// The file has no rows.
    EmptyFile,
    /// The first row does not name the columns.
    NoHeader,
    /// A required column is missing.
    MissingColumn,
    /// A column's role was guessed from its cells.
    GuessedColumn,
    /// Two columns could have the same role.
    AmbiguousColumn,
    /// The file is not a CSV or workbook, but HTML, XML, JSON, PDF or an image.
    UnsupportedFile,
    /// Some bytes are not valid text in the file's encoding.
    UndecodableText,
    /// A quotation mark is opened and never closed.
    UnterminatedQuote,
    /// The file contains a NUL character.
    NulByte,
    /// Image URLs spilled into further cells and were read as URLs.
    SpilledUrls,
    /// A column contains URLs, but no images are fetched from it.
    UnusedUrls,
    /// A line that is not a product was skipped: text above the header, rules for the columns, units or totals.
    SkippedLine,
    /// Rows take their product name from the row above.
    ContinuedRows,
    /// A URL was repaired.
    RepairedUrl,
    /// A row has more cells than the header.
    UnexpectedCell,
    /// The row has no product name.
    EmptyProductName,
    /// The row has no image URL.
    NoImageUrls,
    /// The text is not a URL.
    InvalidUrl,
    /// The URL is neither http nor https.
    UnsupportedScheme,
    /// An earlier row has the same serial number.
    DuplicateSerialNumber,
    /// The row contains the URL more than once.
    DuplicateUrlInRow,
    /// The cell is longer than allowed.
    CellTooLong,
    /// The URL is longer than allowed.
    UrlTooLong,
    /// The row has more URLs than allowed.
    TooManyUrlsInRow,
    /// The file has more rows than allowed.
    TooManyRows,
    /// The file has more distinct URLs than allowed.
    TooManyImages,
    /// The file is larger than allowed.
    FileTooLarge,
}

/// One problem in a CSV.
#[derive(SimpleObject, Clone)]
pub struct CsvIssue {
    /// How serious it is.
    severity: CsvIssueSeverity,
    /// What is wrong, for programs.
    code: CsvIssueCode,
    /// What is wrong and what to do, in a sentence.
    message: String,
    /// 1-based line number, as a text editor shows it.
    line: i32,
    /// 1-based data row, counted as in a spreadsheet.
    row: Option<i32>,
    /// The column it is in, by its header.
    column: Option<String>,
    /// At most 200 characters of the offending text.
    value: Option<String>,
}

/// The role of a column.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "sheet::ColumnRole")]
pub enum CsvColumnRole {
    /// The row's serial number.
    SerialNumber,
    /// The product's name.
    ProductName,
    /// The URLs of the images.
    ImageUrls,
    /// Carried through to the output as it is.
    CarriedThrough,
    /// Dropped: it has no name, or it comes from an earlier result file.
    Ignored,
}

/// Why a column was given its role.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "sheet::MatchedBy")]
pub enum CsvColumnMatch {
    /// The caller named it in `columns`.
    Caller,
    /// Its name is recognised.
    Name,
    /// Its cells contain values of that kind.
    Content,
}

/// How one column of the file was interpreted.
#[derive(SimpleObject, Clone)]
pub struct CsvColumn {
    /// The column's name, as written in the header.
    header: String,
    /// The role it was given.
    role: CsvColumnRole,
    /// Why it was given that role; null for a column that is not used.
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

/// What each column contains, for files whose column names do not make that clear. Columns not given here are detected.
#[derive(InputObject, Default)]
pub struct CsvColumnsInput {
    /// The name of the column of product names.
    product_name: Option<String>,
    /// The names of all columns of image URLs.
    image_urls: Option<Vec<String>>,
    /// The name of the column of serial numbers.
    serial_number: Option<String>,
    /// The line number of the header, as a text editor shows it.
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

/// How the file was read, including everything that was guessed.
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

/// How the file was read, including everything that was guessed.
#[Object]
impl CsvReport {
    /// Size of the file in bytes.
    async fn byte_size(&self) -> UnsignedInt53 {
        self.byte_size
    }

    /// The text encoding of the file, such as `UTF-8`.
    async fn encoding(&self) -> &str {
        &self.encoding
    }

    /// The character between two cells, such as `,`.
    async fn delimiter(&self) -> &str {
        &self.delimiter
    }

    /// How each column was interpreted, in the order of the file. Empty if no header was found, and for requests from
    /// earlier versions.
    async fn columns(&self) -> &[CsvColumn] {
        &self.columns
    }

    /// Data rows, without the header and empty rows.
    async fn row_count(&self) -> i32 {
        self.row_count
    }

    /// Rows that became products.
    async fn accepted_row_count(&self) -> i32 {
        self.accepted_row_count
    }

    /// Rows that were rejected; `issues` says why.
    async fn rejected_row_count(&self) -> i32 {
        self.rejected_row_count
    }

    /// Number of problems found. `issues` lists those that were stored; see `limits.csv.maxIssues`.
    async fn issue_count(&self) -> i32 {
        self.issue_count
    }

    /// In the order of the file.
    #[graphql(complexity = page_cost(first, None, child_complexity))]
    async fn issues(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Number of items from the start; 20 by default, at most 100.")] first: Option<i32>,
        #[graphql(desc = "Only items after this cursor.")] after: Option<String>,
    ) -> Result<Paged<i32, CsvIssue>> {
        let rows = async |page: Page<i32>| match &self.issues {
            Issues::Stored(request_id) => {
                let rows = load(ctx, IssuesOf(*request_id, page)).await?.unwrap_or_default();
                rows.into_iter().map(|row| Ok((row.position, stored(row)?))).collect()
            }
            Issues::Here(issues) => {
                let rows = (0..).zip(issues.iter().cloned()).filter(|(position, _)| Some(*position) > page.after);
                Ok(rows.take(usize::try_from(page.limit).unwrap_or(0)).collect())
            }
        };
        let total = match &self.issues {
            Issues::Stored(request_id) => Total::Issues(IssueCountOf(*request_id)),
            Issues::Here(issues) => Total::Known(i64::try_from(issues.len()).unwrap_or(i64::MAX)),
        };
        let args = Args { first, after, last: None, before: None, offset: None };
        paginate(args, total, rows, |(position, _)| *position, |(_, issue)| issue).await
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
