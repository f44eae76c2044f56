//! Processes of this version beside a newer one: they go on, until it takes something away that they need.

use crate::support::database;
use crate::support::process::Process;

#[tokio::test(flavor = "multi_thread")]
async fn a_running_process_goes_on_beside_a_newer_schema_until_it_must_know_it() {
    let database_url = database::fresh().await;
    let directory = tempfile::tempdir().unwrap();
    let mut worker = Process::work(&database_url, directory.path(), &[]).await;
    let (api, client) = Process::serve(&database_url, directory.path(), &["--compressions", "0"]).await;
    // A newer version adds something, and asks for what is known here.
    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000');
        INSERT INTO required_migrations SELECT max(version) FROM __diesel_schema_migrations WHERE version < '2999'";
    database::execute(&database_url, newer).await;
    assert!(client.query("{ __typename }", serde_json::json!({})).await["__typename"].is_string());

    database::execute(&database_url, "INSERT INTO required_migrations VALUES ('29990101000000')").await;
    let sentence = "so that this version no longer works with it (it does not know the migration 29990101000000)";
    worker.log_line("\"stopping\"").await;
    for process in [worker, api] {
        let (code, log) = process.ended().await;
        assert!(code == Some(1) && log.contains(sentence), "{code:?} {log}");
    }
}
