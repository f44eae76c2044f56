//! Webhook deliveries and the log of their attempts.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::schema::{processing_requests, webhook_attempts, webhook_deliveries};
use super::viewer::{Viewer, is_visible_to};
use super::{Connection, text_enum::text_enum};

text_enum! {
    /// Where a delivery is in its life.
    pub enum WebhookDeliveryStatus {
        Pending = "PENDING",
        Delivered = "DELIVERED",
        Retrying = "RETRYING",
        Exhausted = "EXHAUSTED",
        /// The receiver returned 410.
        Refused = "REFUSED",
    }
}

/// Deliveries that are listed of one request.
const MAX_LISTED: i64 = 100;

/// A row of `webhook_deliveries`.
#[derive(Debug, Clone, Queryable, QueryableByName, Selectable)]
#[diesel(table_name = webhook_deliveries, check_for_backend(diesel::pg::Pg))]
pub struct WebhookDelivery {
    pub id: Uuid,
    pub request_id: Uuid,
    pub url: String,
    pub body: String,
    pub status: WebhookDeliveryStatus,
    /// The run whose end it announces.
    pub run: i32,
}

/// A row of `webhook_attempts`.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = webhook_attempts, check_for_backend(diesel::pg::Pg))]
pub struct WebhookAttempt {
    pub delivery_id: Uuid,
    pub number: i32,
    pub started_at: DateTime<Utc>,
    pub duration_ms: i32,
    pub http_status: Option<i32>,
    pub error: Option<String>,
}

impl WebhookDelivery {
    /// Stores the delivery that announces the end of a run; `body` is what every attempt will send.
    pub async fn insert(
        conn: &mut Connection,
        id: Uuid,
        (request_id, run): (Uuid, i32),
        url: &str,
        body: &str,
    ) -> QueryResult<()> {
        use webhook_deliveries as table;
        diesel::insert_into(table::table)
            .values((
                table::id.eq(id),
                table::request_id.eq(request_id),
                table::run.eq(run),
                table::url.eq(url),
                table::body.eq(body),
            ))
            .execute(conn)
            .await?;
        Ok(())
    }

    /// The delivery with this id.
    pub async fn find(conn: &mut Connection, viewer: Viewer, id: Uuid) -> QueryResult<Option<Self>> {
        Ok(Self::load(conn, viewer, &[id]).await?.pop())
    }

    /// The deliveries with these ids, in no particular order.
    pub async fn load(conn: &mut Connection, viewer: Viewer, ids: &[Uuid]) -> QueryResult<Vec<Self>> {
        let of_requests = webhook_deliveries::table.inner_join(processing_requests::table);
        let rows = of_requests.filter(is_visible_to!(viewer));
        let rows = rows.filter(webhook_deliveries::id.eq_any(ids));
        rows.select(Self::as_select()).load(conn).await
    }

    /// The latest deliveries of each request, at most 100 of each; the first one first.
    pub async fn of_requests(conn: &mut Connection, request_ids: &[Uuid]) -> QueryResult<Vec<Self>> {
        diesel::sql_query(
            "SELECT delivery.* FROM unnest($1) AS wanted (id) CROSS JOIN LATERAL (
                SELECT * FROM webhook_deliveries WHERE request_id = wanted.id ORDER BY run DESC LIMIT $2
             ) AS delivery ORDER BY delivery.request_id, delivery.run",
        )
        .bind::<Array<SqlUuid>, _>(request_ids)
        .bind::<BigInt, _>(MAX_LISTED)
        .load(conn)
        .await
    }

    /// When the next attempt at each delivery is due, where it has a job.
    pub async fn next_attempts(conn: &mut Connection, ids: &[Uuid]) -> QueryResult<Vec<(Uuid, DateTime<Utc>)>> {
        use super::schema::job_states;
        let jobs = job_states::table.filter(job_states::id.eq_any(ids));
        jobs.select((job_states::id, job_states::run_at)).load(conn).await
    }

    /// At most `limit` deliveries that are to be sent and have no job that would. There should be none.
    pub async fn without_job(conn: &mut Connection, limit: i64) -> QueryResult<Vec<Self>> {
        use super::schema::job_states;
        let open = [WebhookDeliveryStatus::Pending, WebhookDeliveryStatus::Retrying];
        let has_job = diesel::dsl::exists(job_states::table.filter(job_states::id.eq(webhook_deliveries::id)));
        webhook_deliveries::table
            .filter(webhook_deliveries::status.eq_any(open))
            .filter(diesel::dsl::not(has_job))
            .limit(limit)
            .select(Self::as_select())
            .load(conn)
            .await
    }

    /// The ids of a request's deliveries.
    pub async fn ids_of(conn: &mut Connection, request_id: Uuid) -> QueryResult<Vec<Uuid>> {
        let deliveries = webhook_deliveries::table.filter(webhook_deliveries::request_id.eq(request_id));
        deliveries.select(webhook_deliveries::id).load(conn).await
    }

    /// Removes deliveries with their attempts.
    pub async fn delete(conn: &mut Connection, ids: &[Uuid]) -> QueryResult<()> {
        diesel::delete(webhook_deliveries::table.filter(webhook_deliveries::id.eq_any(ids))).execute(conn).await?;
        Ok(())
    }

    /// Where the delivery stands now.
    pub async fn set_status(conn: &mut Connection, id: Uuid, status: WebhookDeliveryStatus) -> QueryResult<()> {
        diesel::update(webhook_deliveries::table.find(id))
            .set(webhook_deliveries::status.eq(status))
            .execute(conn)
            .await?;
        Ok(())
    }
}

impl WebhookAttempt {
    /// The attempts at these deliveries, the first one first.
    pub async fn of_deliveries(conn: &mut Connection, delivery_ids: &[Uuid]) -> QueryResult<Vec<Self>> {
        webhook_attempts::table
            .filter(webhook_attempts::delivery_id.eq_any(delivery_ids))
            .order(webhook_attempts::number)
            .select(Self::as_select())
            .load(conn)
            .await
    }

    /// Forgets attempts that were made more than 90 days ago, at most `limit`. Returns how many.
    pub async fn forget_old(conn: &mut Connection, limit: i64) -> QueryResult<usize> {
        diesel::sql_query(
            "WITH old AS MATERIALIZED (
                SELECT delivery_id, number FROM webhook_attempts WHERE started_at < now() - interval '90 days'
                 ORDER BY started_at LIMIT $1 FOR UPDATE SKIP LOCKED
             )
             DELETE FROM webhook_attempts attempt USING old
              WHERE attempt.delivery_id = old.delivery_id AND attempt.number = old.number",
        )
        .bind::<BigInt, _>(limit)
        .execute(conn)
        .await
    }

    /// Logs an attempt; its number is the next of its delivery. Returns false when the delivery is gone.
    pub async fn log(
        conn: &mut Connection,
        delivery_id: Uuid,
        duration_ms: i32,
        http_status: Option<i32>,
        error: Option<&str>,
    ) -> QueryResult<bool> {
        use diesel::sql_types::{Integer, Nullable, Text, Uuid as SqlUuid};
        let logged = diesel::sql_query(
            "WITH delivery AS MATERIALIZED (SELECT id FROM webhook_deliveries WHERE id = $1 FOR KEY SHARE)
             INSERT INTO webhook_attempts (delivery_id, number, started_at, duration_ms, http_status, error)
             SELECT id, (SELECT coalesce(max(number), 0) + 1 FROM webhook_attempts WHERE delivery_id = $1),
                    now() - make_interval(secs => $2 / 1000.0), $2, $3, $4
               FROM delivery",
        )
        .bind::<SqlUuid, _>(delivery_id)
        .bind::<Integer, _>(duration_ms)
        .bind::<Nullable<Integer>, _>(http_status)
        .bind::<Nullable<Text>, _>(error)
        .execute(conn)
        .await?;
        Ok(logged > 0)
    }
}
