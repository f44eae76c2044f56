//! Images: the distinct URLs of a request, and what became of each.

use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Bytea, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::schema::{hosts, images, job_states, processing_requests};
use super::viewer::{Viewer, is_visible_to};
use super::{Connection, text_enum::text_enum};

text_enum! {
    /// Where an image is in its life. The last three are final.
    pub enum ImageStatus {
        Pending = "PENDING",
        Processing = "PROCESSING",
        Retrying = "RETRYING",
        Succeeded = "SUCCEEDED",
        Failed = "FAILED",
        Canceled = "CANCELED",
    }
}

impl ImageStatus {
    /// Nothing of the image will change any more in this run.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled)
    }
}

text_enum! {
    /// How an image succeeded.
    pub enum ImageOutcome {
        Compressed = "COMPRESSED",
        KeptOriginal = "KEPT_ORIGINAL",
        Unchanged = "UNCHANGED",
        Reused = "REUSED",
    }
}

text_enum! {
    /// How an image compares with what it was before its run, or in the request that its upload is based on.
    pub enum ImageChange {
        Added = "ADDED",
        Changed = "CHANGED",
        Unchanged = "UNCHANGED",
        NewlyBroken = "NEWLY_BROKEN",
        Mended = "MENDED",
    }
}

text_enum! {
    /// Why an image has no output.
    pub enum ImageErrorCode {
        BlockedAddress = "BLOCKED_ADDRESS",
        DnsFailure = "DNS_FAILURE",
        ConnectFailure = "CONNECT_FAILURE",
        TlsFailure = "TLS_FAILURE",
        Timeout = "TIMEOUT",
        ConnectionLost = "CONNECTION_LOST",
        BadAnswer = "BAD_ANSWER",
        TooManyRedirects = "TOO_MANY_REDIRECTS",
        HttpNotFound = "HTTP_NOT_FOUND",
        HttpForbidden = "HTTP_FORBIDDEN",
        HttpThrottled = "HTTP_THROTTLED",
        HttpClientError = "HTTP_CLIENT_ERROR",
        HttpServerError = "HTTP_SERVER_ERROR",
        TooManyBytes = "TOO_MANY_BYTES",
        TooManyPixels = "TOO_MANY_PIXELS",
        TooSlow = "TOO_SLOW",
        HtmlPage = "HTML_PAGE",
        NotAnImage = "NOT_AN_IMAGE",
        UnsupportedFormat = "UNSUPPORTED_FORMAT",
        CorruptImage = "CORRUPT_IMAGE",
        CompressionFailure = "COMPRESSION_FAILURE",
        StorageFailure = "STORAGE_FAILURE",
        WorkerCrashed = "WORKER_CRASHED",
        Internal = "INTERNAL",
    }
}

impl From<halftone_compress::ErrorCode> for ImageErrorCode {
    fn from(code: halftone_compress::ErrorCode) -> Self {
        use halftone_compress::ErrorCode;
        match code {
            ErrorCode::HtmlPage => Self::HtmlPage,
            ErrorCode::NotAnImage => Self::NotAnImage,
            ErrorCode::UnsupportedFormat => Self::UnsupportedFormat,
            ErrorCode::TooManyPixels => Self::TooManyPixels,
            ErrorCode::TooSlow => Self::TooSlow,
            ErrorCode::CorruptImage => Self::CorruptImage,
            ErrorCode::CompressionFailure => Self::CompressionFailure,
        }
    }
}

impl ImageErrorCode {
    /// Trying again later, with nothing changed, may help.
    pub fn is_retryable(self) -> bool {
        matches!(
            self,
            Self::DnsFailure
                | Self::ConnectFailure
                | Self::Timeout
                | Self::ConnectionLost
                | Self::HttpThrottled
                | Self::HttpServerError
                | Self::StorageFailure
                | Self::WorkerCrashed
                | Self::Internal
        )
    }
}

/// A row of `images`. Its `status` says only whether it ended; see [`ImageState`].
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = images, check_for_backend(diesel::pg::Pg))]
pub struct Image {
    pub id: Uuid,
    pub request_id: Uuid,
    pub position: i32,
    pub input_url: String,
    pub outcome: Option<ImageOutcome>,
    pub error_code: Option<ImageErrorCode>,
    pub error_message: Option<String>,
    pub http_status: Option<i32>,
    pub warnings: Vec<String>,
    pub source_format: Option<String>,
    pub source_bytes: Option<i64>,
    pub source_width: Option<i32>,
    pub source_height: Option<i32>,
    pub source_sha256: Option<Vec<u8>>,
    pub output_format: Option<String>,
    pub output_bytes: Option<i64>,
    pub output_width: Option<i32>,
    pub output_height: Option<i32>,
    pub output_sha256: Option<Vec<u8>>,
    pub output_key: Option<String>,
    pub receipt: Option<serde_json::Value>,
    pub attempt_count: i32,
    pub finished_at: Option<DateTime<Utc>>,
    pub revision: i64,
    /// The run in which it ended or will end.
    pub run: i32,
    /// What `input_url` was before it was corrected, the first one first.
    pub former_urls: Vec<String>,
    /// Which of its outputs it has, counted from 1; an address names one of them.
    pub output_number: i32,
    pub change: Option<ImageChange>,
}

/// A file that an image has as its output, or had before.
#[derive(Debug, Clone, QueryableByName)]
pub struct OutputFile {
    #[diesel(sql_type = Text)]
    pub key: String,
    #[diesel(sql_type = Text)]
    pub format: String,
    #[diesel(sql_type = BigInt)]
    pub bytes: i64,
    #[diesel(sql_type = Bytea)]
    pub sha256: Vec<u8>,
}

/// An image with what its job adds to it while it has not ended.
#[derive(Debug, Clone, Queryable)]
pub struct ImageState {
    pub image: Image,
    pub status: ImageStatus,
    /// When the next attempt is due, while the image waits for one.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Attempts that failed so far, while the image has not ended.
    pub failed_attempts: Option<i32>,
    /// Why it was put back last; see `pipeline::waiting`.
    pub last_error: Option<String>,
    /// The host it is downloaded from, while it has not ended and the host is known.
    pub host: Option<String>,
    /// Set while the host's pause lasts.
    pub paused_until: Option<DateTime<Utc>>,
    /// The status with which the host asked for a pause.
    pub paused_status: Option<i32>,
    /// Set while the host counts as down.
    pub down_until: Option<DateTime<Utc>>,
}

/// Which images a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ImageFilter {
    pub statuses: Option<Vec<ImageStatus>>,
    pub error_codes: Option<Vec<ImageErrorCode>>,
    pub outcomes: Option<Vec<ImageOutcome>>,
    /// Whether the goal of the settings was reached.
    pub target_met: Option<bool>,
}

/// What [`Image::assignments`] tells a worker.
#[derive(Debug, Clone, Queryable)]
pub struct Assignment {
    pub image_id: Uuid,
    pub request_id: Uuid,
    pub input_url: String,
    pub settings: serde_json::Value,
    pub run: i32,
    pub started: bool,
    pub cancel_requested: bool,
    pub paused: bool,
    pub tenant_id: Uuid,
    /// Whether its run does everything again, even what has not changed.
    pub is_fresh: bool,
    /// The last output it had before its run: an [`Output`](super::ending::Output).
    pub former: Option<serde_json::Value>,
    /// Its outputs up to this number have expired.
    pub expired_outputs: i32,
    /// The trace that its upload was part of.
    pub traceparent: Option<String>,
}

/// Failed images of a request with the same cause and host.
#[derive(Debug, Clone, QueryableByName)]
pub struct FailureGroup {
    #[diesel(sql_type = Text)]
    pub code: ImageErrorCode,
    #[diesel(sql_type = Nullable<Text>)]
    pub host: Option<String>,
    #[diesel(sql_type = Integer)]
    pub count: i32,
    #[diesel(sql_type = SqlUuid)]
    pub example_id: Uuid,
}

/// The status a client sees: the image's own once it ended, its job's before.
pub(super) const STATUS: &str =
    "CASE WHEN images.status <> 'PENDING' THEN images.status ELSE coalesce(job_states.status, 'PENDING') END";

/// `images` with the job of each and its host, selected as [`ImageState`].
macro_rules! states {
    ($viewer:expr) => {
        images::table
            .inner_join(processing_requests::table)
            .left_join(job_states::table.on(job_states::id.eq(images::id)))
            .left_join(hosts::table.on(hosts::origin.nullable().eq(job_states::host.nullable())))
            .filter(is_visible_to!($viewer))
            .select((
                Image::as_select(),
                sql::<Text>(STATUS),
                job_states::next_attempt_at.nullable(),
                job_states::attempts.nullable(),
                job_states::last_error.nullable(),
                hosts::origin.nullable(),
                sql::<Nullable<Timestamptz>>("CASE WHEN hosts.paused_until > now() THEN hosts.paused_until END"),
                hosts::paused_status.nullable(),
                sql::<Nullable<Timestamptz>>("CASE WHEN hosts.down_until > now() THEN hosts.down_until END"),
            ))
    };
}

impl Image {
    /// Stores the distinct URLs of a new request: `ids[i]` is the image of `urls[i]`, whose position is `first + i`. Where the
    /// request is based on another, `earlier[i]` is the image with that URL there, if there is one.
    pub async fn insert(
        conn: &mut Connection,
        request_id: Uuid,
        first: i32,
        ids: &[Uuid],
        urls: &[&str],
        earlier: Option<&[Option<Uuid>]>,
    ) -> QueryResult<()> {
        let Some(earlier) = earlier else {
            diesel::sql_query(
                "INSERT INTO images (id, request_id, position, input_url)
                 SELECT id, $1, $2 + ordinality - 1, url FROM unnest($3, $4) WITH ORDINALITY AS new(id, url, ordinality)",
            )
            .bind::<SqlUuid, _>(request_id)
            .bind::<Integer, _>(first)
            .bind::<Array<SqlUuid>, _>(ids)
            .bind::<Array<Text>, _>(urls)
            .execute(conn)
            .await?;
            return Ok(());
        };
        diesel::sql_query(
            "INSERT INTO images (id, request_id, position, input_url, former_status, former_sha256, change)
             SELECT new.id, $1, $2 + ordinality - 1, url,
                    -- What it was before a run that has not come to it: one that was canceled, or began since it was asked.
                    CASE WHEN earlier.status IN ('PENDING', 'CANCELED') THEN earlier.former_status ELSE earlier.status END,
                    CASE WHEN earlier.status IN ('PENDING', 'CANCELED') THEN earlier.former_sha256
                         ELSE earlier.source_sha256 END,
                    CASE WHEN earlier_id IS NULL THEN 'ADDED' END
               FROM unnest($3, $4, $5) WITH ORDINALITY AS new(id, url, earlier_id, ordinality)
               LEFT JOIN images earlier ON earlier.id = earlier_id",
        )
        .bind::<SqlUuid, _>(request_id)
        .bind::<Integer, _>(first)
        .bind::<Array<SqlUuid>, _>(ids)
        .bind::<Array<Text>, _>(urls)
        .bind::<Array<Nullable<SqlUuid>>, _>(earlier)
        .execute(conn)
        .await?;
        Ok(())
    }

    /// These images, in no particular order.
    pub async fn load(conn: &mut Connection, viewer: Viewer, ids: &[Uuid]) -> QueryResult<Vec<ImageState>> {
        states!(viewer).filter(images::id.eq_any(ids)).load(conn).await
    }

    /// The ended images of a request that changed after `revision`, in the order they ended.
    pub async fn ended_after(
        conn: &mut Connection,
        request_id: Uuid,
        revision: i64,
        limit: i64,
    ) -> QueryResult<Vec<ImageState>> {
        states!(Viewer::Operator)
            .filter(images::request_id.eq(request_id).and(images::revision.gt(revision)).and(images::revision.gt(0)))
            .order(images::revision)
            .limit(limit)
            .load(conn)
            .await
    }

    /// What a worker needs to know to process these images, without those that are gone or have ended.
    pub async fn assignments(conn: &mut Connection, ids: &[Uuid]) -> QueryResult<Vec<Assignment>> {
        images::table
            .inner_join(processing_requests::table)
            .filter(images::id.eq_any(ids).and(images::finished_at.is_null()))
            .select((
                images::id,
                images::request_id,
                images::input_url,
                processing_requests::settings,
                images::run,
                processing_requests::started_at.is_not_null(),
                processing_requests::cancel_requested_at.is_not_null(),
                processing_requests::paused_at.is_not_null(),
                sql::<SqlUuid>("processing_requests.tenant_id"),
                sql::<Bool>(
                    "EXISTS (SELECT FROM runs WHERE runs.request_id = images.request_id AND number = images.run AND is_fresh)",
                ),
                sql::<Nullable<Jsonb>>(
                    "(SELECT output FROM former_outputs WHERE image_id = images.id ORDER BY number DESC LIMIT 1)",
                ),
                sql::<Integer>("images.expired_outputs"),
                sql::<Nullable<Text>>("processing_requests.traceparent"),
            ))
            .load(conn)
            .await
    }

    /// An output of an image by its number, also one that it had before.
    pub async fn output_file(conn: &mut Connection, id: Uuid, number: i32) -> QueryResult<Option<OutputFile>> {
        diesel::sql_query(
            "SELECT file.* FROM images JOIN processing_requests ON processing_requests.id = request_id
              CROSS JOIN LATERAL (
                SELECT output_key AS key, output_format AS format, images.output_bytes AS bytes, output_sha256 AS sha256
                 WHERE output_key IS NOT NULL AND output_number = $2
                UNION ALL
                SELECT output->>'output_key', output->>'output_format', (output->>'output_bytes')::bigint,
                       decode(output->>'output_sha256', 'hex')
                  FROM former_outputs WHERE image_id = images.id AND number = $2
              ) AS file
              WHERE images.id = $1 AND processing_requests.deleted_at IS NULL LIMIT 1",
        )
        .bind::<SqlUuid, _>(id)
        .bind::<Integer, _>(number)
        .get_result(conn)
        .await
        .optional()
    }

    /// The image, if it has an output.
    pub async fn with_output(conn: &mut Connection, viewer: Viewer, id: Uuid) -> QueryResult<Option<Self>> {
        images::table
            .inner_join(processing_requests::table)
            .filter(is_visible_to!(viewer))
            .filter(images::id.eq(id).and(images::output_key.is_not_null()))
            .select(Self::as_select())
            .first(conn)
            .await
            .optional()
    }

    /// Ends images that nobody works on any more because their request is canceled. Returns how many.
    pub async fn cancel(conn: &mut Connection, request_id: Uuid, ids: &[Uuid]) -> QueryResult<usize> {
        // By their ids in any case: right after an upload the planner takes a request of a hundred thousand images for one of a few,
        // and would compare all of them with all the ids.
        diesel::sql_query(
            "WITH gone AS MATERIALIZED (
                SELECT id, row_number() OVER () AS place FROM images
                 WHERE id = ANY($2) AND request_id = $1 AND status = 'PENDING'
             ), ended AS (
                UPDATE images SET status = 'CANCELED', finished_at = now(), revision = r.revision + place
                  FROM processing_requests r, gone
                 WHERE images.id = gone.id AND r.id = $1
                RETURNING images.revision
             ), of_run AS (
                UPDATE runs SET canceled = runs.canceled + (SELECT count(*) FROM ended)
                  FROM processing_requests r
                 WHERE r.id = $1 AND runs.request_id = r.id AND runs.number = r.run
             )
             UPDATE processing_requests SET canceled = canceled + (SELECT count(*) FROM ended),
                    revision = greatest(revision, (SELECT max(revision) FROM ended))
              WHERE id = $1",
        )
        .bind::<SqlUuid, _>(request_id)
        .bind::<Array<SqlUuid>, _>(ids)
        .execute(conn)
        .await
    }
}
