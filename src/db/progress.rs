//! How far requests are, and what their images have saved.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Connection;
use super::request::{Outcomes, ProcessingRequest};
use super::run::Run;

/// How far a request is, read in one statement so that its numbers add up.
#[derive(Debug, Clone, QueryableByName)]
pub struct Progress {
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = Integer)]
    pub total: i32,
    #[diesel(sql_type = Integer)]
    pub processing: i32,
    #[diesel(sql_type = Integer)]
    pub retrying: i32,
    #[diesel(sql_type = Integer)]
    pub succeeded: i32,
    #[diesel(sql_type = Integer)]
    pub failed: i32,
    #[diesel(sql_type = Integer)]
    pub canceled: i32,
    #[diesel(sql_type = BigInt)]
    pub revision: i64,
    #[diesel(sql_type = Integer)]
    pub run: i32,
    /// Images ended a second over the latest of them; `None` while nothing runs or there is too little evidence.
    #[diesel(sql_type = Nullable<diesel::sql_types::Double>)]
    pub images_per_second: Option<f64>,
}

impl Progress {
    /// How far these requests are, each read in one statement.
    pub async fn of(conn: &mut Connection, ids: &[Uuid]) -> QueryResult<Vec<Self>> {
        diesel::sql_query(
            "SELECT r.id, r.total, r.succeeded, r.failed, r.canceled, r.revision, r.run,
                    coalesce(j.processing, 0)::int AS processing, coalesce(j.retrying, 0)::int AS retrying,
                    CASE WHEN r.finished_at IS NULL THEN pace.images_per_second END AS images_per_second
               FROM processing_requests r
               LEFT JOIN LATERAL (
                    SELECT count(*) FILTER (WHERE status = 'PROCESSING') AS processing,
                           count(*) FILTER (WHERE status = 'RETRYING') AS retrying
                      FROM job_states
                     WHERE group_id = r.id AND in_progress AND r.finished_at IS NULL
               ) j ON true
               LEFT JOIN LATERAL (
                    SELECT (count(*) / nullif(extract(epoch FROM now() - min(finished_at)), 0))::float8 AS images_per_second
                      FROM (SELECT finished_at FROM images
                             WHERE request_id = r.id AND revision > 0 ORDER BY revision DESC LIMIT 256) latest
                     WHERE finished_at > now() - interval '15 seconds'
                    HAVING count(*) >= 3
               ) pace ON r.finished_at IS NULL
              WHERE r.id = ANY($1)",
        )
        .bind::<Array<SqlUuid>, _>(ids)
        .load(conn)
        .await
    }

    /// The same at the moment at which `request` was read, which was a little earlier: one snapshot must not contradict
    /// itself. What was in progress later was not yet ended then, so it still adds up.
    pub fn seen_with(self, request: &ProcessingRequest) -> Self {
        let ProcessingRequest { total, succeeded, failed, canceled, revision, run, .. } = *request;
        Self { total, succeeded, failed, canceled, revision, ..self.in_run(run) }
    }

    /// The progress of this run alone, whose row was read a little earlier.
    pub fn of_run(self, run: &Run) -> Self {
        let Run { total, succeeded, failed, canceled, .. } = *run;
        Self { total, succeeded, failed, canceled, ..self.in_run(run.number) }
    }

    /// What is in progress in another run is of no concern to this one.
    fn in_run(self, run: i32) -> Self {
        if self.run == run { self } else { Self { run, processing: 0, retrying: 0, images_per_second: None, ..self } }
    }

    /// Images that have ended, one way or another.
    pub fn ended(&self) -> i32 {
        self.succeeded + self.failed + self.canceled
    }

    /// 0–100; 100 only when every image has ended.
    pub fn percent(&self) -> f64 {
        // A thousandth below: of a million images the last one still shows.
        let percent = 100.0 * f64::from(self.ended()) / f64::from(self.total.max(1));
        if self.ended() == self.total { 100.0 } else { percent.min(99.999) }
    }

    /// Images nobody has started on.
    pub fn pending(&self) -> i32 {
        self.total - self.processing - self.retrying - self.ended()
    }
}

/// What images have saved.
#[derive(Debug, Clone, Copy)]
pub struct Savings {
    pub input_bytes: i64,
    pub output_bytes: i64,
    pub succeeded: i32,
    pub outcomes: Outcomes,
}

impl Savings {
    /// Images that were made smaller in the runs that these are.
    pub fn compressed(&self) -> i32 {
        let Outcomes { kept_original, unchanged, reused, .. } = self.outcomes;
        self.succeeded - kept_original - unchanged - reused
    }

    /// 1 − output ÷ input; 0 when there is no input.
    pub fn saved_ratio(&self) -> f64 {
        if self.input_bytes == 0 { 0.0 } else { 1.0 - self.output_bytes as f64 / self.input_bytes as f64 }
    }
}
