//! Runs: what a request does again for some of its images, after the upload that is its first run.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::ending::OUTPUT_JSON;
use super::image::ImageErrorCode;
use super::progress::Savings;
use super::request::{Outcomes, RequestStatus};
use super::schema::runs;
use super::{Connection, text_enum::text_enum};

text_enum! {
    /// Why a run was begun.
    pub enum RunReason {
        Upload = "UPLOAD",
        Retry = "RETRY",
        Correction = "CORRECTION",
        Rerun = "RERUN",
    }
}

/// Runs that are listed of one request.
const MAX_LISTED: i64 = 100;

/// A row of `runs`. Its counters are those of its own images.
#[derive(Debug, Clone, Queryable, QueryableByName, Selectable)]
#[diesel(table_name = runs, check_for_backend(diesel::pg::Pg))]
pub struct Run {
    pub request_id: Uuid,
    pub number: i32,
    pub reason: RunReason,
    pub created_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    /// How the request stood when the run ended.
    pub status: Option<RequestStatus>,
    pub total: i32,
    pub succeeded: i32,
    pub failed: i32,
    pub canceled: i32,
    pub kept_original: i32,
    pub target_missed: i32,
    pub input_bytes: i64,
    pub output_bytes: i64,
    /// Whether everything is downloaded and compressed again, even what has not changed.
    pub is_fresh: bool,
    /// Images that kept their outputs.
    pub unchanged: i32,
    pub avoided_downloads: i32,
    pub avoided_bytes: i64,
    pub sources_changed: i32,
    pub sources_unchanged: i32,
    pub newly_broken: i32,
    pub mended: i32,
    /// Images that have the output of another one.
    pub reused: i32,
    /// The request with which the first run compares.
    pub based_on: Option<Uuid>,
    pub added: i32,
    pub removed: i32,
}

/// What is known of a run when it begins.
#[derive(Debug, Clone, Copy)]
pub struct NewRun {
    pub reason: RunReason,
    /// How many images it is about.
    pub total: i32,
    pub is_fresh: bool,
}

/// How the images of a run compare with what they were before it, or in the request that the upload is based on.
#[derive(Debug, Clone, Copy)]
pub struct Changes {
    pub added: i32,
    pub removed: i32,
    pub changed: i32,
    pub unchanged: i32,
    pub newly_broken: i32,
    pub mended: i32,
}

/// Which images of a final request are tried again: those that failed or were canceled, and that all of these match.
#[derive(Debug, Clone, Default)]
pub struct RetryFilter {
    pub codes: Option<Vec<ImageErrorCode>>,
    /// Names of hosts, or origins, in lower case.
    pub hosts: Option<Vec<String>>,
    pub ids: Option<Vec<Uuid>>,
}

/// An image that a run is about.
#[derive(Debug, Clone, QueryableByName)]
pub struct RunImage {
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    #[diesel(sql_type = Integer)]
    pub position: i32,
    #[diesel(sql_type = Text)]
    pub input_url: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

const MATCHES: &str = "request_id = $1 AND status IN ('FAILED', 'CANCELED')
     AND ($2::text[] IS NULL OR error_code = ANY($2))
     AND ($3::text[] IS NULL
          OR lower(substring(input_url FROM '^[a-zA-Z]+://(?:[^/?#@]*@)?([^/?#:]+)')) = ANY($3)
          OR lower(substring(input_url FROM '^[a-zA-Z]+://[^/?#]+')) = ANY($3))
     AND ($4::uuid[] IS NULL OR id = ANY($4))";

macro_rules! bind_filter {
    ($query:expr, $request_id:expr, $filter:expr) => {
        $query
            .bind::<SqlUuid, _>($request_id)
            .bind::<Nullable<Array<Text>>, _>(
                $filter.codes.as_ref().map(|all| all.iter().map(|code| code.as_str()).collect::<Vec<_>>()),
            )
            .bind::<Nullable<Array<Text>>, _>($filter.hosts.as_ref())
            .bind::<Nullable<Array<SqlUuid>>, _>($filter.ids.as_ref())
    };
}

impl RetryFilter {
    /// How many images it matches.
    pub async fn count(&self, conn: &mut Connection, request_id: Uuid) -> QueryResult<i64> {
        let query = diesel::sql_query(format!("SELECT count(*) AS count FROM images WHERE {MATCHES}"));
        Ok(bind_filter!(query, request_id, self).get_result::<Count>(conn).await?.count)
    }

    /// The next `limit` images it matches behind the position `after`.
    pub async fn page(
        &self,
        conn: &mut Connection,
        request_id: Uuid,
        after: i32,
        limit: i64,
    ) -> QueryResult<Vec<RunImage>> {
        let query = diesel::sql_query(format!(
            "SELECT id, position, input_url FROM images WHERE {MATCHES} AND position > $5 ORDER BY position LIMIT $6"
        ));
        let query = bind_filter!(query, request_id, self).bind::<Integer, _>(after).bind::<BigInt, _>(limit);
        query.load(conn).await
    }
}

impl Run {
    /// Stores a run.
    pub async fn insert(conn: &mut Connection, request_id: Uuid, number: i32, new: NewRun) -> QueryResult<()> {
        diesel::insert_into(runs::table)
            .values((
                runs::request_id.eq(request_id),
                runs::number.eq(number),
                runs::reason.eq(new.reason),
                runs::total.eq(new.total),
                runs::is_fresh.eq(new.is_fresh),
            ))
            .execute(conn)
            .await?;
        Ok(())
    }

    /// The run with this number.
    pub async fn find(conn: &mut Connection, request_id: Uuid, number: i32) -> QueryResult<Self> {
        runs::table.find((request_id, number)).select(Self::as_select()).first(conn).await
    }

    /// Begins the next run of a final request, whose lock the caller holds. Its images are then taken back with
    /// [`Self::take_back`] in the same transaction. Returns its number.
    pub async fn begin(conn: &mut Connection, request_id: Uuid, new: NewRun) -> QueryResult<i32> {
        use super::schema::processing_requests as requests;
        let number: i32 = diesel::update(requests::table.find(request_id))
            .set((
                requests::run.eq(requests::run + 1),
                requests::status.eq(RequestStatus::Processing),
                requests::finished_at.eq(None::<DateTime<Utc>>),
                requests::cancel_requested_at.eq(None::<DateTime<Utc>>),
                requests::revision.eq(requests::revision + 1),
            ))
            .returning(requests::run)
            .get_result(conn)
            .await?;
        Self::insert(conn, request_id, number, new).await?;
        Ok(number)
    }

    /// Makes ended images of a request pending again, in this run: what they were no longer counts. Their outputs are kept
    /// in `former_outputs`. Returns how many.
    pub async fn take_back(conn: &mut Connection, request_id: Uuid, number: i32, ids: &[Uuid]) -> QueryResult<i64> {
        let taken = diesel::sql_query(format!(
            "WITH before AS (
                SELECT * FROM images WHERE id = ANY($3) AND request_id = $1 AND status <> 'PENDING'
             ), kept AS (
                INSERT INTO former_outputs (image_id, number, output)
                SELECT id, output_number, {OUTPUT_JSON}
                  FROM before AS images WHERE output_key IS NOT NULL
                -- It was kept before, by a run in which it did not change; the host may have other words for it now.
                ON CONFLICT (image_id, number) DO UPDATE SET output = excluded.output
             ), taken AS (
                UPDATE images SET
                    status = 'PENDING', run = $2, outcome = NULL, warnings = '{{}}', source_format = NULL, source_bytes = NULL,
                    source_width = NULL, source_height = NULL, source_sha256 = NULL, output_format = NULL,
                    output_bytes = NULL, output_width = NULL, output_height = NULL, output_sha256 = NULL, output_key = NULL,
                    receipt = NULL, error_code = NULL, error_message = NULL, http_status = NULL, attempt_count = 0,
                    finished_at = NULL, revision = 0, validators = NULL, download_avoided = false, content_key = NULL,
                    url_key = NULL, change = NULL,
                    -- A run that was canceled before it came to the image has not changed what it compares with.
                    former_status = CASE WHEN before.status = 'CANCELED' THEN before.former_status ELSE before.status END,
                    former_sha256 = CASE WHEN before.status = 'CANCELED' THEN before.former_sha256
                                         ELSE before.source_sha256 END
                  FROM before WHERE images.id = before.id
                RETURNING before.*
             ), delta AS (
                SELECT count(*) AS count, count(*) FILTER (WHERE status = 'SUCCEEDED') AS succeeded,
                       count(*) FILTER (WHERE status = 'FAILED') AS failed,
                       count(*) FILTER (WHERE status = 'CANCELED') AS canceled,
                       count(*) FILTER (WHERE outcome = 'KEPT_ORIGINAL') AS kept_original,
                       count(*) FILTER (WHERE receipt->>'target_met' = 'false') AS target_missed,
                       coalesce(sum(source_bytes), 0) AS input_bytes, coalesce(sum(output_bytes), 0) AS output_bytes,
                       count(*) FILTER (WHERE outcome = 'UNCHANGED') AS unchanged,
                       count(*) FILTER (WHERE outcome = 'REUSED') AS reused,
                       count(*) FILTER (WHERE download_avoided) AS avoided_downloads,
                       coalesce(sum(source_bytes) FILTER (WHERE download_avoided), 0) AS avoided_bytes
                  FROM taken
             )
             UPDATE processing_requests r SET
                    succeeded = r.succeeded - d.succeeded, failed = r.failed - d.failed, canceled = r.canceled - d.canceled,
                    kept_original = r.kept_original - d.kept_original, target_missed = r.target_missed - d.target_missed,
                    input_bytes = r.input_bytes - d.input_bytes, output_bytes = r.output_bytes - d.output_bytes,
                    unchanged = r.unchanged - d.unchanged, reused = r.reused - d.reused, avoided_downloads = r.avoided_downloads - d.avoided_downloads,
                    avoided_bytes = r.avoided_bytes - d.avoided_bytes
               FROM delta d WHERE r.id = $1
             RETURNING d.count",
        ));
        let count = taken.bind::<SqlUuid, _>(request_id).bind::<Integer, _>(number).bind::<Array<SqlUuid>, _>(ids);
        Ok(count.get_result::<Count>(conn).await?.count)
    }

    /// What its images have saved.
    pub fn savings(&self) -> Savings {
        let Self { input_bytes, output_bytes, succeeded, kept_original, target_missed, .. } = *self;
        let Self { unchanged, reused, avoided_downloads, avoided_bytes, .. } = *self;
        let outcomes = Outcomes { kept_original, target_missed, unchanged, reused, avoided_downloads, avoided_bytes };
        Savings { input_bytes, output_bytes, succeeded, outcomes }
    }

    /// Notes with which request the first run of another compares, and how many URLs it has that the other has not, and the
    /// other way round.
    pub async fn compare(
        conn: &mut Connection,
        request_id: Uuid,
        based_on: Uuid,
        added: i32,
        removed: i32,
    ) -> QueryResult<()> {
        diesel::update(runs::table.find((request_id, 1)))
            .set((runs::based_on.eq(based_on), runs::added.eq(added), runs::removed.eq(removed)))
            .execute(conn)
            .await?;
        Ok(())
    }

    /// How its images compare with what they were before; `None` for a first run that is based on no other request.
    pub fn changes(&self) -> Option<Changes> {
        let Self { added, removed, newly_broken, mended, .. } = *self;
        let Self { sources_changed: changed, sources_unchanged: unchanged, .. } = *self;
        let changes = Changes { added, removed, changed, unchanged, newly_broken, mended };
        (self.number > 1 || self.based_on.is_some()).then_some(changes)
    }

    /// The next `limit` images of a request behind the position `after`.
    pub async fn images_after(
        conn: &mut Connection,
        request_id: Uuid,
        after: i32,
        limit: i64,
    ) -> QueryResult<Vec<RunImage>> {
        diesel::sql_query(
            "SELECT id, position, input_url FROM images WHERE request_id = $1 AND position > $2 ORDER BY position LIMIT $3",
        )
        .bind::<SqlUuid, _>(request_id)
        .bind::<Integer, _>(after)
        .bind::<BigInt, _>(limit)
        .load(conn)
        .await
    }

    /// The latest runs of each request, at most 100 of each; the first one first.
    pub async fn of_requests(conn: &mut Connection, request_ids: &[Uuid]) -> QueryResult<Vec<Self>> {
        diesel::sql_query(
            "SELECT run.* FROM unnest($1) AS wanted (id) CROSS JOIN LATERAL (
                SELECT * FROM runs WHERE request_id = wanted.id ORDER BY number DESC LIMIT $2
             ) AS run ORDER BY run.request_id, run.number",
        )
        .bind::<Array<SqlUuid>, _>(request_ids)
        .bind::<BigInt, _>(MAX_LISTED)
        .load(conn)
        .await
    }
}
