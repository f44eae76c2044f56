//! Processing requests: one uploaded CSV and the counters of everything that came of it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Integer, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::page::Page;
use super::progress::Savings;
use super::run::{NewRun, Run, RunReason};
use super::schema::processing_requests;
use super::viewer::{Viewer, is_visible_to};
use super::{Connection, text_enum::text_enum};

text_enum! {
    /// Where a request is in its life. The last four are final.
    pub enum RequestStatus {
        Pending = "PENDING",
        Processing = "PROCESSING",
        Completed = "COMPLETED",
        CompletedWithErrors = "COMPLETED_WITH_ERRORS",
        Failed = "FAILED",
        Canceled = "CANCELED",
    }
}

impl RequestStatus {
    /// Nothing of the request will change any more, unless a caller begins another run.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Processing)
    }
}

/// A row of `processing_requests`.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = processing_requests, check_for_backend(diesel::pg::Pg))]
pub struct ProcessingRequest {
    pub id: Uuid,
    pub filename: Option<String>,
    pub label: Option<String>,
    pub status: RequestStatus,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    pub cancel_requested_at: Option<DateTime<Utc>>,
    pub settings: serde_json::Value,
    pub webhook_url: Option<String>,
    pub public_url: String,
    pub csv_byte_size: i64,
    pub csv_encoding: String,
    pub csv_delimiter: String,
    pub csv_row_count: i32,
    pub csv_accepted_row_count: i32,
    pub csv_rejected_row_count: i32,
    pub csv_issue_count: i32,
    pub csv_error_count: i32,
    pub csv_extra_columns: Vec<String>,
    /// What is kept of the uploaded file beside its rows; see `pipeline::source`.
    pub csv_source: serde_json::Value,
    pub total: i32,
    pub succeeded: i32,
    pub failed: i32,
    pub canceled: i32,
    #[diesel(embed)]
    pub outcomes: Outcomes,
    pub input_bytes: i64,
    pub output_bytes: i64,
    pub revision: i64,
    /// The run that is under way, or ended last.
    pub run: i32,
    pub paused_at: Option<DateTime<Utc>>,
}

diesel::table! {
    /// The columns that a new request has values for. The tenant is no column of the table above; see `db::viewer`.
    #[sql_name = "processing_requests"]
    new_requests (id) {
        id -> Uuid,
        tenant_id -> Uuid,
        filename -> Nullable<Text>,
        label -> Nullable<Text>,
        settings -> Jsonb,
        webhook_url -> Nullable<Text>,
        public_url -> Text,
        csv_byte_size -> Int8,
        csv_encoding -> Text,
        csv_delimiter -> Text,
        csv_row_count -> Int4,
        csv_accepted_row_count -> Int4,
        csv_rejected_row_count -> Int4,
        csv_issue_count -> Int4,
        csv_error_count -> Int4,
        csv_extra_columns -> Array<Text>,
        csv_source -> Jsonb,
        total -> Int4,
        traceparent -> Nullable<Text>,
    }
}

/// How images succeeded, in numbers.
#[derive(Debug, Clone, Copy, Queryable, Selectable)]
#[diesel(table_name = processing_requests, check_for_backend(diesel::pg::Pg))]
pub struct Outcomes {
    pub kept_original: i32,
    pub target_missed: i32,
    // Columns that are not in the schema of diesel, see `viewer::is_visible_to`.
    #[diesel(select_expression = sql::<Integer>("processing_requests.unchanged"))]
    #[diesel(select_expression_type = SqlLiteral<Integer>)]
    pub unchanged: i32,
    #[diesel(select_expression = sql::<Integer>("processing_requests.reused"))]
    #[diesel(select_expression_type = SqlLiteral<Integer>)]
    pub reused: i32,
    #[diesel(select_expression = sql::<Integer>("processing_requests.avoided_downloads"))]
    #[diesel(select_expression_type = SqlLiteral<Integer>)]
    pub avoided_downloads: i32,
    #[diesel(select_expression = sql::<BigInt>("processing_requests.avoided_bytes"))]
    #[diesel(select_expression_type = SqlLiteral<BigInt>)]
    pub avoided_bytes: i64,
}

/// What is known of a request when it is submitted.
#[derive(Debug, Insertable)]
#[diesel(table_name = new_requests)]
pub struct NewProcessingRequest {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub filename: Option<String>,
    pub label: Option<String>,
    pub settings: serde_json::Value,
    pub webhook_url: Option<String>,
    pub public_url: String,
    pub csv_byte_size: i64,
    pub csv_encoding: String,
    pub csv_delimiter: String,
    pub csv_row_count: i32,
    pub csv_accepted_row_count: i32,
    pub csv_rejected_row_count: i32,
    pub csv_issue_count: i32,
    pub csv_error_count: i32,
    pub csv_extra_columns: Vec<String>,
    /// What is kept of the uploaded file beside its rows; see `pipeline::source`.
    pub csv_source: serde_json::Value,
    pub total: i32,
    /// The trace that the upload is part of.
    pub traceparent: Option<String>,
}

#[derive(QueryableByName)]
struct OfId {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// Which requests a list shows.
#[derive(Debug, Clone, Default)]
pub struct RequestFilter {
    pub statuses: Option<Vec<RequestStatus>>,
    pub label: Option<String>,
    /// A part of the file's name or of the label, in any case.
    pub search: Option<String>,
}

impl RequestFilter {
    fn rows(&self, viewer: Viewer) -> processing_requests::BoxedQuery<'static, diesel::pg::Pg> {
        use processing_requests::{filename, label, status};
        let mut rows = processing_requests::table.filter(is_visible_to!(viewer)).into_boxed();
        if let Some(statuses) = &self.statuses {
            rows = rows.filter(status.eq_any(statuses.clone()));
        }
        if let Some(wanted) = &self.label {
            rows = rows.filter(label.eq(wanted.clone()));
        }
        if let Some(pattern) = self.pattern() {
            rows = rows.filter(filename.ilike(pattern.clone()).or(label.ilike(pattern)));
        }
        rows
    }

    /// What `search` is for `ILIKE`.
    pub(super) fn pattern(&self) -> Option<String> {
        let escaped = self.search.as_ref()?.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
        Some(format!("%{escaped}%"))
    }
}

impl ProcessingRequest {
    /// The request with this id.
    pub async fn find(conn: &mut Connection, viewer: Viewer, id: Uuid) -> QueryResult<Option<Self>> {
        let row = processing_requests::table.find(id).filter(is_visible_to!(viewer));
        row.select(Self::as_select()).first(conn).await.optional()
    }

    /// The trace that the upload was part of.
    pub async fn traceparent(conn: &mut Connection, id: Uuid) -> QueryResult<Option<String>> {
        let traceparent = new_requests::table.find(id).select(new_requests::traceparent).first(conn).await;
        Ok(traceparent.optional()?.flatten())
    }

    /// The requests with these ids, in no particular order.
    pub async fn load(conn: &mut Connection, viewer: Viewer, ids: &[Uuid]) -> QueryResult<Vec<Self>> {
        use processing_requests::id;
        let rows = processing_requests::table.filter(id.eq_any(ids)).filter(is_visible_to!(viewer));
        rows.select(Self::as_select()).load(conn).await
    }

    /// A page of requests, the newest first. Keys are ids: UUIDv7 grow with time.
    pub async fn page(
        conn: &mut Connection,
        viewer: Viewer,
        filter: &RequestFilter,
        page: &Page<Uuid>,
    ) -> QueryResult<Vec<Self>> {
        use processing_requests::id;
        let mut rows = filter.rows(viewer).select(Self::as_select()).limit(page.limit);
        if let Some(after) = page.after {
            rows = rows.filter(id.lt(after));
        }
        if let Some(before) = page.before {
            rows = rows.filter(id.gt(before));
        }
        let rows = if page.backwards { rows.order(id.asc()) } else { rows.order(id.desc()) };
        Ok(page.in_order(rows.load(conn).await?))
    }

    /// How many requests a list with this filter has.
    pub async fn count(conn: &mut Connection, viewer: Viewer, filter: &RequestFilter) -> QueryResult<i64> {
        filter.rows(viewer).count().get_result(conn).await
    }

    /// The tenant of a request.
    pub async fn tenant_id(conn: &mut Connection, id: Uuid) -> QueryResult<Uuid> {
        let tenant_id = sql::<SqlUuid>("tenant_id");
        processing_requests::table.find(id).select(tenant_id).get_result(conn).await
    }

    /// How many images of a tenant are waiting or in progress.
    pub async fn queued_images(conn: &mut Connection, tenant_id: Uuid) -> QueryResult<i64> {
        #[derive(QueryableByName)]
        struct Queued {
            #[diesel(sql_type = BigInt)]
            images: i64,
        }
        let queued = diesel::sql_query(
            "SELECT coalesce(sum(total - succeeded - failed - canceled), 0)::bigint AS images
               FROM processing_requests WHERE tenant_id = $1 AND finished_at IS NULL AND deleted_at IS NULL",
        );
        let queued: Queued = queued.bind::<SqlUuid, _>(tenant_id).get_result(conn).await?;
        Ok(queued.images)
    }

    /// Stores a new request, and its first run.
    pub async fn insert(conn: &mut Connection, new: &NewProcessingRequest, is_fresh: bool) -> QueryResult<()> {
        diesel::insert_into(new_requests::table).values(new).execute(conn).await?;
        Run::insert(conn, new.id, 1, NewRun { reason: RunReason::Upload, total: new.total, is_fresh }).await
    }

    /// The first of a request's images is being worked on. Returns whether this call was the one that moved it to
    /// PROCESSING.
    pub async fn mark_processing(conn: &mut Connection, id: Uuid) -> QueryResult<bool> {
        use processing_requests::{revision, started_at, status};
        let pending =
            processing_requests::table.filter(processing_requests::id.eq(id).and(status.eq(RequestStatus::Pending)));
        let started = diesel::update(pending)
            .set((status.eq(RequestStatus::Processing), started_at.eq(diesel::dsl::now), revision.eq(revision + 1)))
            .execute(conn)
            .await?;
        Ok(started > 0)
    }

    /// Asks for a request to stop. Returns whether it was still running and had not been asked before.
    pub async fn request_cancel(conn: &mut Connection, id: Uuid) -> QueryResult<bool> {
        use processing_requests::{cancel_requested_at, finished_at, paused_at, revision};
        let running = processing_requests::table
            .filter(processing_requests::id.eq(id).and(finished_at.is_null()).and(cancel_requested_at.is_null()));
        let asked = diesel::update(running)
            .set((
                cancel_requested_at.eq(diesel::dsl::now),
                paused_at.eq(None::<DateTime<Utc>>),
                revision.eq(revision + 1),
            ))
            .execute(conn)
            .await?;
        Ok(asked > 0)
    }

    /// Says since when nothing of a request that runs is begun, or, with `is_paused` false, that it goes on. Returns whether
    /// that was new.
    pub async fn set_paused(conn: &mut Connection, id: Uuid, is_paused: bool) -> QueryResult<bool> {
        let set = diesel::sql_query(
            "UPDATE processing_requests SET paused_at = CASE WHEN $2 THEN now() END, revision = revision + 1
              WHERE id = $1 AND finished_at IS NULL AND cancel_requested_at IS NULL AND (paused_at IS NULL) = $2",
        );
        let changed = set.bind::<SqlUuid, _>(id).bind::<Bool, _>(is_paused).execute(conn).await?;
        Ok(changed > 0)
    }

    /// Requests that are being canceled and have jobs nobody works on, at most `limit`.
    pub async fn open_cancels(conn: &mut Connection, limit: i64) -> QueryResult<Vec<Uuid>> {
        let open = diesel::sql_query(
            "SELECT id FROM processing_requests request WHERE cancel_requested_at IS NOT NULL AND finished_at IS NULL
                AND EXISTS (SELECT FROM job_states WHERE group_id = request.id AND status <> 'PROCESSING')
              ORDER BY id LIMIT $1",
        )
        .bind::<BigInt, _>(limit)
        .load::<OfId>(conn)
        .await?;
        Ok(open.into_iter().map(|row| row.id).collect())
    }

    /// Locks these requests until the transaction ends, in one order for everyone, so that two workers that record endings
    /// can never wait for each other.
    pub async fn lock(conn: &mut Connection, viewer: Viewer, ids: &[Uuid]) -> QueryResult<Vec<Self>> {
        use processing_requests::id;
        let rows = processing_requests::table.filter(id.eq_any(ids)).filter(is_visible_to!(viewer));
        rows.order(id).select(Self::as_select()).for_no_key_update().load(conn).await
    }

    /// Until when it is kept, if that is this long after its end; `None` while it runs.
    pub fn kept_until(&self, kept: Duration) -> Option<DateTime<Utc>> {
        self.finished_at?.checked_add_signed(chrono::TimeDelta::from_std(kept).ok()?)
    }

    /// What its images have saved so far.
    pub fn savings(&self) -> Savings {
        let Self { input_bytes, output_bytes, succeeded, outcomes, .. } = *self;
        Savings { input_bytes, output_bytes, succeeded, outcomes }
    }
}
