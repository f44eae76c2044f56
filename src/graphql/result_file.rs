//! The files a request can be downloaded as.

use async_graphql::{Context, Enum, Object, Result};

use super::error::internal;
use super::scalars::{DateTime, Url};
use super::viewer::links;
use crate::app::App;
use crate::db::request::ProcessingRequest as Row;
use crate::pipeline::export;

/// The result files of a request.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "export::ResultKind")]
#[expect(clippy::enum_variant_names, reason = "the contract's names, from when there was only CSV")]
pub enum ResultKind {
    /// S. No, Product Name, Input Image Urls, Output Image Urls, then the carried-through columns.
    OutputCsv,
    /// One line for each image URL of each row: status, outcome, code, reason, HTTP status, bytes, score, URLs.
    DetailCsv,
    /// Only the rows that need attention, in the input's shape plus Reason: correct them and upload the file again.
    FailedRowsCsv,
    /// The uploaded file with each image URL replaced by the URL of its output: import it into the shop it came from. An image
    /// without an output keeps its URL. Not available for requests from earlier versions.
    UpdatedCsv,
}

/// The format of a result file.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultFormat {
    /// CSV in UTF-8; an updated file keeps its original encoding.
    Csv,
    /// A workbook with one sheet. Text stays text, including URLs and numbers that were text.
    Xlsx,
}

impl ResultFormat {
    /// What a link's query string says of it.
    fn parameter(self) -> &'static str {
        match self {
            Self::Csv => "&format=csv",
            Self::Xlsx => "&format=xlsx",
        }
    }
}

pub struct ResultFile<'a> {
    pub request: &'a Row,
    pub kind: ResultKind,
    pub format: Option<ResultFormat>,
}

/// A file to download.
#[Object]
impl ResultFile<'_> {
    /// The kind of file.
    async fn kind(&self) -> ResultKind {
        self.kind
    }

    /// Signed; valid until expiresAt. Append `&bom=1` for a byte order mark, which Excel needs to read UTF-8 in a CSV.
    async fn url(&self, ctx: &Context<'_>) -> Url {
        let kind = export::ResultKind::from(self.kind);
        let url = links(ctx).result(self.request.id, kind.file()).url;
        Url(url + self.format.map_or("", ResultFormat::parameter))
    }

    /// When the link in `url` stops working.
    async fn expires_at(&self, ctx: &Context<'_>) -> DateTime {
        DateTime(
            ctx.data_unchecked::<App>()
                .links
                .result(self.request.id, export::ResultKind::from(self.kind).file())
                .expires_at,
        )
    }

    /// The suggested file name.
    async fn filename(&self) -> Result<String> {
        let kind = export::ResultKind::from(self.kind);
        let format = match self.format {
            None => kind.default_format(self.request).map_err(internal)?,
            Some(ResultFormat::Csv) => export::FileFormat::Csv { byte_order_mark: false },
            Some(ResultFormat::Xlsx) => export::FileFormat::Xlsx,
        };
        Ok(kind.filename(self.request, format))
    }

    /// True while the request is running: a consistent snapshot.
    async fn is_partial(&self) -> bool {
        !self.request.status.is_final()
    }
}
