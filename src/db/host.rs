//! Image hosts: what the workers on this database tell each other about them, and how those of a request cope.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Double, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use url::Url;
use uuid::Uuid;

use super::Connection;

/// What one worker knows of a host it uses. Times are in seconds from now.
#[derive(Debug, Clone)]
pub struct HostReport {
    /// Scheme, host and port.
    pub origin: String,
    pub window: i32,
    pub in_flight: i32,
    pub paused_for: Option<f64>,
    pub paused_status: Option<i32>,
    pub down_for: Option<f64>,
    /// Whether the host answered since the last report: then it is not down, whatever others said before.
    pub answered: bool,
    pub median_ms: Option<i32>,
}

/// What all workers together know of a host. Times are in seconds from now.
#[derive(Debug, Clone, QueryableByName)]
pub struct HostShare {
    #[diesel(sql_type = Text)]
    pub origin: String,
    /// Workers that use it; 0 when the asking one does not.
    #[diesel(sql_type = BigInt)]
    pub workers: i64,
    /// How many of them come before the asking one.
    #[diesel(sql_type = BigInt)]
    pub rank: i64,
    #[diesel(sql_type = BigInt)]
    pub others_window: i64,
    #[diesel(sql_type = Nullable<Double>)]
    pub paused_for: Option<f64>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub paused_status: Option<i32>,
    #[diesel(sql_type = Nullable<Double>)]
    pub down_for: Option<f64>,
}

/// Stores what a worker knows and returns what all know: of its hosts, and of every other host that is paused or down.
pub async fn exchange(
    conn: &mut Connection,
    worker_id: Uuid,
    mut reports: Vec<HostReport>,
) -> QueryResult<Vec<HostShare>> {
    // Workers that report the same hosts lock them in the same order.
    reports.sort_by(|one, other| one.origin.cmp(&other.origin));
    let column = |value: fn(&HostReport) -> Option<i32>| reports.iter().map(value).collect::<Vec<_>>();
    let seconds = |value: fn(&HostReport) -> Option<f64>| reports.iter().map(value).collect::<Vec<_>>();
    let origins: Vec<String> = reports.iter().map(|report| report.origin.clone()).collect();
    if !reports.is_empty() {
        diesel::sql_query(
            "INSERT INTO hosts (origin, paused_until, paused_status, down_until, median_ms)
             SELECT origin, now() + make_interval(secs => paused), status,
                    now() + make_interval(secs => CASE WHEN answered THEN coalesce(down, -1) ELSE down END), median
               FROM unnest($1, $2, $3, $4, $5, $6) AS new(origin, paused, status, down, answered, median)
             ON CONFLICT (origin) DO UPDATE SET
                    paused_until = greatest(hosts.paused_until, excluded.paused_until),
                    paused_status = CASE WHEN excluded.paused_until >= hosts.paused_until IS NOT FALSE
                                         THEN coalesce(excluded.paused_status, hosts.paused_status)
                                         ELSE hosts.paused_status END,
                    down_until = CASE WHEN excluded.down_until <= now() THEN NULL
                                      ELSE greatest(hosts.down_until, excluded.down_until) END,
                    median_ms = coalesce(excluded.median_ms, hosts.median_ms),
                    reported_at = now()",
        )
        .bind::<Array<Text>, _>(&origins)
        .bind::<Array<Nullable<Double>>, _>(seconds(|report| report.paused_for))
        .bind::<Array<Nullable<Integer>>, _>(column(|report| report.paused_status))
        .bind::<Array<Nullable<Double>>, _>(seconds(|report| report.down_for))
        .bind::<Array<Bool>, _>(reports.iter().map(|report| report.answered).collect::<Vec<_>>())
        .bind::<Array<Nullable<Integer>>, _>(column(|report| report.median_ms))
        .execute(conn)
        .await?;
        diesel::sql_query(
            "INSERT INTO host_workers (origin, worker_id, window_size, in_flight)
             SELECT origin, $1, window_size, in_flight FROM unnest($2, $3, $4) AS new(origin, window_size, in_flight)
             ON CONFLICT (origin, worker_id) DO UPDATE SET
                    window_size = excluded.window_size, in_flight = excluded.in_flight, reported_at = now()",
        )
        .bind::<SqlUuid, _>(worker_id)
        .bind::<Array<Text>, _>(&origins)
        .bind::<Array<Nullable<Integer>>, _>(column(|report| Some(report.window)))
        .bind::<Array<Nullable<Integer>>, _>(column(|report| Some(report.in_flight)))
        .execute(conn)
        .await?;
    }
    diesel::sql_query("DELETE FROM host_workers WHERE worker_id = $1 AND origin <> ALL($2)")
        .bind::<SqlUuid, _>(worker_id)
        .bind::<Array<Text>, _>(&origins)
        .execute(conn)
        .await?;
    diesel::sql_query(
        "SELECT origin, coalesce(workers, 0) AS workers, coalesce(rank, 0) AS rank,
                coalesce(others_window, 0) AS others_window,
                extract(epoch FROM paused_until - now())::float8 AS paused_for, paused_status,
                extract(epoch FROM down_until - now())::float8 AS down_for
           FROM hosts
           LEFT JOIN LATERAL (
                SELECT count(*) AS workers, count(*) FILTER (WHERE worker_id < $1) AS rank,
                       sum(window_size) FILTER (WHERE worker_id <> $1) AS others_window
                  FROM host_workers
                 WHERE host_workers.origin = hosts.origin AND reported_at > now() - interval '5 seconds'
                HAVING bool_or(worker_id = $1)) AS use ON true
          WHERE origin = ANY($2) OR paused_until > now() OR down_until > now()
          LIMIT 4096",
    )
    .bind::<SqlUuid, _>(worker_id)
    .bind::<Array<Text>, _>(&origins)
    .load(conn)
    .await
}

/// Takes back what a worker reported: it contacts nobody any more.
pub async fn leave(conn: &mut Connection, worker_id: Uuid) -> QueryResult<()> {
    diesel::sql_query("DELETE FROM host_workers WHERE worker_id = $1")
        .bind::<SqlUuid, _>(worker_id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Forgets hosts that nobody contacted for a month, and what dead workers had under way.
pub async fn forget_unused(conn: &mut Connection) -> QueryResult<()> {
    diesel::sql_query("DELETE FROM host_workers WHERE reported_at < now() - interval '1 minute'").execute(conn).await?;
    diesel::sql_query("DELETE FROM hosts WHERE reported_at < now() - interval '30 days'").execute(conn).await?;
    Ok(())
}

/// A host of a request: how its images fare, and how it copes with all workers together.
#[derive(Debug, Clone)]
pub struct RequestHost {
    pub origin: String,
    pub succeeded: i32,
    pub failed: i32,
    pub state: Option<HostState>,
}

/// How a host copes.
#[derive(Debug, Clone, QueryableByName)]
pub struct HostState {
    #[diesel(sql_type = Text)]
    pub origin: String,
    /// Set while the pause lasts.
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub paused_until: Option<DateTime<Utc>>,
    /// Set while the host counts as down.
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub down_until: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub median_ms: Option<i32>,
    /// Requests all workers may have under way; `None` when none contacts the host.
    #[diesel(sql_type = Nullable<Integer>)]
    pub window: Option<i32>,
    #[diesel(sql_type = Integer)]
    pub in_flight: i32,
}

/// Selects [`HostState`]s; a condition and `GROUP BY hosts.origin` follow.
const HOST_STATES: &str =
    "SELECT hosts.origin, median_ms, sum(window_size)::int AS \"window\", coalesce(sum(in_flight), 0)::int AS in_flight,
            CASE WHEN paused_until > now() THEN paused_until END AS paused_until,
            CASE WHEN down_until > now() THEN down_until END AS down_until
       FROM hosts
       LEFT JOIN host_workers ON host_workers.origin = hosts.origin
                             AND host_workers.reported_at > now() - interval '5 seconds'";

/// At most `limit` hosts that are paused or down.
pub async fn unavailable(conn: &mut Connection, limit: i64) -> QueryResult<Vec<HostState>> {
    diesel::sql_query(format!(
        "{HOST_STATES} WHERE paused_until > now() OR down_until > now()
         GROUP BY hosts.origin ORDER BY hosts.origin LIMIT $1"
    ))
    .bind::<BigInt, _>(limit)
    .load(conn)
    .await
}

#[derive(QueryableByName)]
struct Origin {
    #[diesel(sql_type = Text)]
    origin: String,
}

/// The hosts from which no more can be downloaded at the moment: they are paused, down, or at the limit of all workers together.
pub async fn closed(conn: &mut Connection) -> QueryResult<Vec<String>> {
    let origins: Vec<Origin> = diesel::sql_query(format!(
        "SELECT origin FROM ({HOST_STATES} GROUP BY hosts.origin) AS states
          WHERE paused_until IS NOT NULL OR down_until IS NOT NULL OR in_flight >= \"window\""
    ))
    .load(conn)
    .await?;
    Ok(origins.into_iter().map(|host| host.origin).collect())
}

#[derive(QueryableByName)]
struct Site {
    #[diesel(sql_type = SqlUuid)]
    request_id: Uuid,
    #[diesel(sql_type = Nullable<Text>)]
    site: Option<String>,
    #[diesel(sql_type = Integer)]
    succeeded: i32,
    #[diesel(sql_type = Integer)]
    failed: i32,
}

/// The hosts of each request with the most images, at most `limit` of each.
pub async fn of_requests(
    conn: &mut Connection,
    request_ids: &[Uuid],
    limit: i64,
) -> QueryResult<HashMap<Uuid, Vec<RequestHost>>> {
    let sites: Vec<Site> = diesel::sql_query(
        "SELECT wanted.id AS request_id, child.* FROM unnest($1) AS wanted (id) CROSS JOIN LATERAL (
            SELECT substring(input_url FROM '^[a-zA-Z]+://[^/?#]+') AS site,
                   (count(*) FILTER (WHERE status = 'SUCCEEDED'))::int AS succeeded,
                   (count(*) FILTER (WHERE status = 'FAILED'))::int AS failed, count(*) AS images
              FROM images WHERE request_id = wanted.id
             GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT $2
         ) AS child ORDER BY child.images DESC, child.site",
    )
    .bind::<Array<SqlUuid>, _>(request_ids)
    .bind::<BigInt, _>(limit)
    .load(conn)
    .await?;
    let mut of_requests: HashMap<Uuid, Vec<RequestHost>> = HashMap::new();
    for Site { request_id, site, succeeded, failed } in sites {
        let Some(url) = site.and_then(|site| Url::parse(&site).ok()) else { continue };
        let origin = url.origin().ascii_serialization();
        let hosts = of_requests.entry(request_id).or_default();
        match hosts.iter_mut().find(|host| host.origin == origin) {
            Some(host) => {
                host.succeeded += succeeded;
                host.failed += failed;
            }
            None => hosts.push(RequestHost { origin, succeeded, failed, state: None }),
        }
    }
    let origins: Vec<&str> = of_requests.values().flatten().map(|host| host.origin.as_str()).collect();
    let states: Vec<HostState> =
        diesel::sql_query(format!("{HOST_STATES} WHERE hosts.origin = ANY($1) GROUP BY hosts.origin"))
            .bind::<Array<Text>, _>(origins)
            .load(conn)
            .await?;
    let states: HashMap<String, HostState> = states.into_iter().map(|state| (state.origin.clone(), state)).collect();
    for host in of_requests.values_mut().flatten() {
        host.state = states.get(&host.origin).cloned();
    }
    Ok(of_requests)
}
