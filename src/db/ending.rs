//! The statements that end images and requests. The caller holds the requests' locks ([`ProcessingRequest::lock`]).
//!
//! [`ProcessingRequest::lock`]: super::request::ProcessingRequest::lock

use diesel::prelude::*;
use diesel::sql_types::{Array, Jsonb, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Connection;
use super::image::{ImageErrorCode, ImageOutcome, ImageStatus};

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// How one image ended.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ImageEnd {
    pub id: Uuid,
    pub request_id: Uuid,
    /// One of the final ones.
    pub status: ImageStatus,
    pub attempt_count: i32,
    #[serde(flatten)]
    pub output: Option<Output>,
    #[serde(flatten)]
    pub error: Option<Error>,
}

/// What a succeeded image has.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Output {
    pub outcome: ImageOutcome,
    pub warnings: Vec<String>,
    pub source_format: String,
    pub source_bytes: i64,
    pub source_width: i32,
    pub source_height: i32,
    /// Hexadecimal, like `output_sha256`.
    pub source_sha256: String,
    pub output_format: String,
    pub output_bytes: i64,
    pub output_width: i32,
    pub output_height: i32,
    pub output_sha256: String,
    pub output_key: String,
    /// Which of the image's outputs it is.
    pub output_number: i32,
    pub receipt: serde_json::Value,
    /// What the host said of the source, by which it can be asked whether it has changed.
    pub validators: Option<serde_json::Value>,
    /// Whether the host said that the source has not changed, so that it was not downloaded.
    pub download_avoided: bool,
    /// By which images with the same content, or with the same URL, find it; see `pipeline::reuse`.
    pub content_key: Option<Uuid>,
    pub url_key: Option<Uuid>,
}

/// An [`Output`] of the row `images`, as JSON.
pub(super) const OUTPUT_JSON: &str = "jsonb_build_object(
    'outcome', images.outcome, 'warnings', images.warnings, 'source_format', images.source_format,
    'source_bytes', images.source_bytes, 'source_width', images.source_width, 'source_height', images.source_height,
    'source_sha256', encode(images.source_sha256, 'hex'), 'output_format', images.output_format,
    'output_bytes', images.output_bytes, 'output_width', images.output_width, 'output_height', images.output_height,
    'output_sha256', encode(images.output_sha256, 'hex'), 'output_key', images.output_key,
    'output_number', images.output_number, 'receipt', images.receipt, 'validators', images.validators,
    'download_avoided', images.download_avoided, 'content_key', images.content_key, 'url_key', images.url_key)";

/// Why an attempt at an image failed.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Error {
    pub error_code: ImageErrorCode,
    pub error_message: String,
    pub http_status: Option<i32>,
}

/// Ends these images, each exactly once in a run, and moves the counters of their requests and runs and the revisions with
/// them. Each image gets a revision of its own, the next of its request. An image that has ended before is left alone.
pub async fn images(conn: &mut Connection, ends: &[ImageEnd]) -> QueryResult<()> {
    let ends = serde_json::to_value(ends).map_err(|error| diesel::result::Error::SerializationError(error.into()))?;
    diesel::sql_query(
        "WITH ending AS (
            SELECT e.*, row_number() OVER (PARTITION BY e.request_id ORDER BY e.id) AS place
              FROM jsonb_to_recordset($1) AS e(
                id uuid, request_id uuid, status text, attempt_count int, outcome text, warnings text[],
                source_format text, source_bytes bigint, source_width int, source_height int, source_sha256 text,
                output_format text, output_bytes bigint, output_width int, output_height int, output_sha256 text,
                output_key text, output_number int, receipt jsonb, validators jsonb, download_avoided boolean,
                content_key uuid, url_key uuid,
                error_code text, error_message text, http_status int)
         ), ended AS (
            UPDATE images SET
                status = e.status, outcome = e.outcome, warnings = coalesce(e.warnings, '{}'),
                source_format = e.source_format, source_bytes = e.source_bytes, source_width = e.source_width,
                source_height = e.source_height, source_sha256 = decode(e.source_sha256, 'hex'),
                output_format = e.output_format, output_bytes = e.output_bytes, output_width = e.output_width,
                output_height = e.output_height, output_sha256 = decode(e.output_sha256, 'hex'), output_key = e.output_key,
                output_number = coalesce(e.output_number, images.output_number), receipt = e.receipt, validators = e.validators,
                download_avoided = coalesce(e.download_avoided, false), content_key = e.content_key, url_key = e.url_key,
                error_code = e.error_code, error_message = e.error_message, http_status = e.http_status,
                attempt_count = e.attempt_count, finished_at = now(), revision = r.revision + e.place,
                change = CASE
                    WHEN images.change = 'ADDED' THEN 'ADDED'
                    WHEN e.status = 'SUCCEEDED' AND former_status = 'SUCCEEDED'
                    THEN CASE WHEN former_sha256 = decode(e.source_sha256, 'hex') THEN 'UNCHANGED' ELSE 'CHANGED' END
                    WHEN e.status = 'SUCCEEDED' AND former_status = 'FAILED' THEN 'MENDED'
                    WHEN e.status = 'FAILED' AND former_status = 'SUCCEEDED' THEN 'NEWLY_BROKEN' END
              FROM ending e JOIN processing_requests r ON r.id = e.request_id
             WHERE images.id = e.id AND images.status = 'PENDING'
            RETURNING images.*
         ), delta AS (
            SELECT request_id, max(revision) AS revision,
                   count(*) FILTER (WHERE status = 'SUCCEEDED') AS succeeded,
                   count(*) FILTER (WHERE status = 'FAILED') AS failed,
                   count(*) FILTER (WHERE status = 'CANCELED') AS canceled,
                   count(*) FILTER (WHERE outcome = 'KEPT_ORIGINAL') AS kept_original,
                   count(*) FILTER (WHERE receipt->>'target_met' = 'false') AS target_missed,
                   coalesce(sum(source_bytes), 0) AS input_bytes, coalesce(sum(output_bytes), 0) AS output_bytes,
                   count(*) FILTER (WHERE outcome = 'UNCHANGED') AS unchanged,
                   count(*) FILTER (WHERE outcome = 'REUSED') AS reused,
                   count(*) FILTER (WHERE download_avoided) AS avoided_downloads,
                   coalesce(sum(source_bytes) FILTER (WHERE download_avoided), 0) AS avoided_bytes,
                   count(*) FILTER (WHERE change = 'CHANGED') AS sources_changed,
                   count(*) FILTER (WHERE change = 'UNCHANGED') AS sources_unchanged,
                   count(*) FILTER (WHERE change = 'NEWLY_BROKEN') AS newly_broken,
                   count(*) FILTER (WHERE change = 'MENDED') AS mended
              FROM ended GROUP BY request_id
         ), of_run AS (
            UPDATE runs SET
                   succeeded = runs.succeeded + d.succeeded, failed = runs.failed + d.failed,
                   canceled = runs.canceled + d.canceled, kept_original = runs.kept_original + d.kept_original,
                   target_missed = runs.target_missed + d.target_missed, input_bytes = runs.input_bytes + d.input_bytes,
                   output_bytes = runs.output_bytes + d.output_bytes, unchanged = runs.unchanged + d.unchanged,
                   reused = runs.reused + d.reused,
                   avoided_downloads = runs.avoided_downloads + d.avoided_downloads,
                   avoided_bytes = runs.avoided_bytes + d.avoided_bytes,
                   sources_changed = runs.sources_changed + d.sources_changed,
                   sources_unchanged = runs.sources_unchanged + d.sources_unchanged,
                   newly_broken = runs.newly_broken + d.newly_broken, mended = runs.mended + d.mended
              FROM delta d JOIN processing_requests r ON r.id = d.request_id
             WHERE runs.request_id = r.id AND runs.number = r.run
         )
         UPDATE processing_requests r SET
                revision = d.revision, succeeded = r.succeeded + d.succeeded, failed = r.failed + d.failed,
                canceled = r.canceled + d.canceled, kept_original = r.kept_original + d.kept_original,
                target_missed = r.target_missed + d.target_missed, input_bytes = r.input_bytes + d.input_bytes,
                output_bytes = r.output_bytes + d.output_bytes, unchanged = r.unchanged + d.unchanged,
                reused = r.reused + d.reused,
                avoided_downloads = r.avoided_downloads + d.avoided_downloads,
                avoided_bytes = r.avoided_bytes + d.avoided_bytes
           FROM delta d WHERE r.id = d.request_id",
    )
    .bind::<Jsonb, _>(ends)
    .execute(conn)
    .await?;
    Ok(())
}

/// Those of these keys under which their images have outputs, now or before a later run.
pub async fn recorded(conn: &mut Connection, outputs: &[(Uuid, &str)]) -> QueryResult<Vec<String>> {
    #[derive(QueryableByName)]
    struct Key {
        #[diesel(sql_type = Text)]
        key: String,
    }
    let (ids, keys): (Vec<Uuid>, Vec<&str>) = outputs.iter().copied().unzip();
    let recorded: Vec<Key> = diesel::sql_query(
        "SELECT key FROM unnest($1, $2) AS stored(id, key) JOIN images USING (id)
          WHERE output_key = key
             OR EXISTS (SELECT FROM former_outputs WHERE image_id = images.id AND output->>'output_key' = key)",
    )
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Array<Text>, _>(keys)
    .load(conn)
    .await?;
    Ok(recorded.into_iter().map(|output| output.key).collect())
}

/// Gives requests whose images changed without ending, such as by waiting for another attempt, a new revision.
pub async fn bump_revisions(conn: &mut Connection, request_ids: &[Uuid]) -> QueryResult<()> {
    use super::schema::processing_requests::{id, revision, table};
    diesel::update(table.filter(id.eq_any(request_ids))).set(revision.eq(revision + 1)).execute(conn).await?;
    Ok(())
}

/// Ends those of these requests whose last image has ended, and their runs. Returns the ones it ended.
pub async fn finish_requests(conn: &mut Connection, request_ids: &[Uuid]) -> QueryResult<Vec<Uuid>> {
    let finished: Vec<Id> = diesel::sql_query(
        "WITH finished AS (
            UPDATE processing_requests SET
                finished_at = now(), started_at = coalesce(started_at, now()), paused_at = NULL, revision = revision + 1,
                status = CASE WHEN canceled > 0 THEN 'CANCELED'
                              WHEN succeeded = 0 THEN 'FAILED'
                              WHEN failed > 0 OR csv_error_count > 0 THEN 'COMPLETED_WITH_ERRORS'
                              ELSE 'COMPLETED' END
             WHERE id = ANY($1) AND finished_at IS NULL AND succeeded + failed + canceled = total
            RETURNING id, run, status, finished_at
         )
         UPDATE runs SET finished_at = finished.finished_at, status = finished.status
           FROM finished WHERE runs.request_id = finished.id AND runs.number = finished.run
         RETURNING finished.id",
    )
    .bind::<Array<SqlUuid>, _>(request_ids)
    .load(conn)
    .await?;
    Ok(finished.into_iter().map(|request| request.id).collect())
}
