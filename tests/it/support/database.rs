//! One Postgres cluster a run, without the fsync that only a power cut would miss; a fresh database a test.
//!
//! With `TEST_DATABASE_URL` set, that server is used instead.

use std::sync::atomic::{AtomicU32, Ordering};

use local_postgres::LocalPostgres;
use tokio::sync::OnceCell;
use tokio_postgres::NoTls;

use super::wait::{in_time, until};

static CLUSTER: OnceCell<Cluster> = OnceCell::const_new();
static COUNT: AtomicU32 = AtomicU32::new(0);

/// The server of this run, with a migrated template database on it.
struct Cluster {
    server: Server,
    template: String,
}

enum Server {
    /// Lives as long as the run, and ends with the process.
    Local(LocalPostgres),
    Given(url::Url),
}

impl Server {
    fn url(&self, database: &str) -> String {
        match self {
            Self::Local(local) => local.url(database),
            Self::Given(url) => {
                let mut url = url.clone();
                url.set_path(database);
                url.into()
            }
        }
    }
}

/// The URL of a new, migrated, empty database.
pub async fn fresh() -> String {
    let cluster = CLUSTER.get_or_init(start).await;
    let name = format!("halftone_test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let create = format!("CREATE DATABASE {name} TEMPLATE {} STRATEGY file_copy", cluster.template);
    execute(&cluster.server.url("postgres"), &create).await;
    cluster.server.url(&name)
}

/// The URL of a new database without any tables.
pub async fn empty() -> String {
    let cluster = CLUSTER.get_or_init(start).await;
    let name = format!("halftone_test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    execute(&cluster.server.url("postgres"), &format!("CREATE DATABASE {name}")).await;
    cluster.server.url(&name)
}

/// Runs statements in the database at `url`.
pub async fn execute(url: &str, sql: &str) {
    let executing = async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("connect to the test database");
        tokio::select! {
            done = client.batch_execute(sql) => done.expect(sql),
            _ = connection => panic!("the connection ended"),
        }
    };
    in_time(sql, executing).await;
}

/// The single number a query returns.
pub async fn number(url: &str, sql: &str) -> i64 {
    let asking = async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("connect to the test database");
        tokio::select! {
            row = client.query_one(sql, &[]) => row.expect(sql).get(0),
            _ = connection => panic!("the connection ended"),
        }
    };
    in_time(sql, asking).await
}

/// Returns once the number that a query returns is as wanted.
pub async fn number_is(url: &str, sql: &str, is_wanted: impl Fn(i64) -> bool) {
    until(sql, async || is_wanted(number(url, sql).await)).await;
}

async fn start() -> Cluster {
    let template = format!("halftone_template_{}", std::process::id());
    let server = match std::env::var_os("TEST_DATABASE_URL") {
        Some(given) => {
            let given = given.to_str().expect("TEST_DATABASE_URL is text");
            Server::Given(given.parse().expect("TEST_DATABASE_URL is a URL"))
        }
        None => {
            let started = tokio::task::spawn_blocking(LocalPostgres::throw_away).await.expect("start the test cluster");
            Server::Local(started.expect("start the test cluster"))
        }
    };
    execute(&server.url("postgres"), &format!("CREATE DATABASE {template}")).await;
    halftone::db::migrate(&server.url(&template)).await.expect("migrate the template");
    Cluster { server, template }
}
