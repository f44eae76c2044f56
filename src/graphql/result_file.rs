//! The files a request can be downloaded as.

use async_graphql::{Context, Enum, Object};

use super::scalars::{DateTime, Url};
use crate::app::App;
use crate::db::request::ProcessingRequest as Row;
use crate::pipeline::export;

/// The files a request can be downloaded as.
#[derive(Enum, Debug, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "export::ResultKind")]
#[expect(clippy::enum_variant_names, reason = "the contract's names; other results need not be CSV")]
pub enum ResultKind {
    /// S. No, Product Name, Input Image Urls, Output Image Urls, then the carried-through columns.
    OutputCsv,
    /// A line for each image URL of each row: status, outcome, code, reason, HTTP status, bytes, score, URLs.
    DetailCsv,
    /// Only the rows that need attention, in the input's shape plus Reason: correct them and upload the file again.
    FailedRowsCsv,
    /// The uploaded file as it was, with each image URL replaced in place by its output's: import it into the shop it came
    /// from. An image without an output keeps its URL. Requests of earlier versions have none.
    UpdatedCsv,
}

pub struct ResultFile<'a> {
    pub request: &'a Row,
    pub kind: ResultKind,
}

/// A file to download.
#[Object]
impl ResultFile<'_> {
    /// Which file it is.
    async fn kind(&self) -> ResultKind {
        self.kind
    }

    /// Signed; valid until expiresAt. Append `&bom=1` for a byte order mark, which Excel needs to read UTF-8.
    async fn url(&self, ctx: &Context<'_>) -> Url {
        let app = ctx.data_unchecked::<App>();
        let kind = export::ResultKind::from(self.kind);
        Url(app.links.result(self.request.id, kind.file()).url)
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

    /// The name it is saved under.
    async fn filename(&self) -> String {
        export::ResultKind::from(self.kind).filename(self.request)
    }

    /// True while the request is running: a consistent snapshot.
    async fn is_partial(&self) -> bool {
        !self.request.status.is_final()
    }
}
