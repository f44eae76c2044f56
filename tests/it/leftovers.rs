//! What is stored of an upload that never became a request is removed, and nothing else.

use std::path::Path;
use std::time::Duration;

use halftone::db::{self, store_removal};
use halftone::pipeline::leftovers;
use serde_json::json;
use tokio_postgres::NoTls;
use uuid::Uuid;

use crate::support::database;
use crate::support::halftone::{Halftone, csv};
use crate::support::images;
use crate::support::origin::{Answer, Origin};

/// The requests that have objects in the store.
fn stored(halftone: &Halftone) -> Vec<String> {
    let entries = std::fs::read_dir(halftone.data_dir().join("outputs")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// As after the death of a process that was storing an upload: a part of a file, and the note.
async fn cut_off(halftone: &Halftone, due_after: Duration) -> Uuid {
    let id = Uuid::now_v7();
    let directory = halftone.data_dir().join("outputs").join(id.to_string());
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("source#1"), "S. No,Prod").unwrap();
    let conn = &mut *db::connect(&halftone.app().pool).await.unwrap();
    store_removal::schedule(conn, id, due_after).await.unwrap();
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_upload_leaves_behind_is_removed_once_nobody_can_be_storing_it() {
    let halftone = Halftone::start(&["--compressions", "0"]).await;
    let running = cut_off(&halftone, Duration::from_secs(3_600)).await;
    let committing = cut_off(&halftone, Duration::ZERO).await;
    cut_off(&halftone, Duration::ZERO).await;

    // A transaction that stores its request, however long it takes.
    let (mut client, connection) = tokio_postgres::connect(&halftone.database_url, NoTls).await.unwrap();
    #[expect(clippy::disallowed_methods, reason = "it ends with its connection, before the test")]
    let driver = tokio::task::spawn(connection);
    let transaction = client.transaction().await.unwrap();
    let delete = "DELETE FROM store_removals WHERE request_id = $1 AND NOT is_begun";
    assert_eq!(transaction.execute(delete, &[&committing]).await.unwrap(), 1);

    assert_eq!(leftovers::sweep(halftone.app()).await.unwrap(), 1);
    let mut kept = stored(&halftone);
    kept.sort_unstable();
    let mut expected = [running, committing].map(|id| id.to_string());
    expected.sort_unstable();
    assert_eq!(kept, expected);
    transaction.commit().await.unwrap();
    assert_eq!(leftovers::sweep(halftone.app()).await.unwrap(), 0);
    assert_eq!(stored(&halftone).len(), 2);
    drop(client);
    driver.await.unwrap().unwrap();

    // Once a removal has begun it is too late to store the request.
    let conn = &mut *db::connect(&halftone.app().pool).await.unwrap();
    assert!(store_removal::begin(conn, running).await.unwrap());
    assert!(!store_removal::cancel(conn, running).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_keeps_its_file_if_and_only_if_it_becomes_a_request() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let url = origin.set("1.jpg", Answer::Image(images::jpeg(64, 48, 1)));
    let sheet = csv(&[&[&url]]);
    let id = halftone.client.accepted(&sheet, json!({ "idempotencyKey": "a" })).await;
    // The same again, and another file under the same key.
    let again = halftone.client.upload(sheet.as_str(), json!({ "idempotencyKey": "a" })).await;
    assert_eq!(again["replayed"], true, "{again}");
    let other = halftone.client.upload(csv(&[&[&url], &[&url]]), json!({ "idempotencyKey": "a" })).await;
    assert_eq!(other["userErrors"][0]["code"], "IDEMPOTENCY_KEY_REUSED", "{other}");
    halftone.client.finished(&id).await;
    assert_eq!(stored(&halftone), [id.as_str()]);
    assert_eq!(database::number(&halftone.database_url, "SELECT count(*) FROM store_removals").await, 0);

    // The answer to its commit was lost, so the upload takes itself for failed.
    leftovers::discard(halftone.app(), id.parse().unwrap()).await;
    assert!(Path::new(&halftone.data_dir().join("outputs").join(&id).join("source")).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_is_compared_with_the_database() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let urls = [1, 2].map(|n| origin.set(&format!("{n}.jpg"), Answer::Image(images::jpeg(64, 48, n))));
    let id = halftone.client.accepted(&csv(&[&[&urls[0], &urls[1]]]), json!({})).await;
    halftone.client.finished(&id).await;
    let uploading = cut_off(&halftone, Duration::from_secs(3_600)).await;
    let outputs = halftone.data_dir().join("outputs");
    let image = halftone.client.images(&id).await[0]["id"].as_str().unwrap().to_owned();
    let unknown = Uuid::now_v7().to_string();
    for key in [format!("{unknown}/source"), format!("{id}/{image}/run1/9/old.jpg"), format!("{id}/else")] {
        std::fs::create_dir_all(outputs.join(&key).parent().unwrap()).unwrap();
        std::fs::write(outputs.join(&key), "left").unwrap();
    }
    let lost = outputs.join(&id).join(halftone.client.images(&id).await[1]["id"].as_str().unwrap());
    std::fs::remove_dir_all(lost).unwrap();

    let sweep = async |arguments: &[&str]| {
        let data_dir = halftone.data_dir().to_str().unwrap();
        let ours = ["store", "sweep", "--database-url", &halftone.database_url, "--data-dir", data_dir];
        let output = crate::support::process::halftone().args(ours).args(arguments).output().await.unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, said) = sweep(&["--dry-run"]).await;
    assert_eq!((code, said.matches("No request uses").count()), (Some(1), 3), "{said}");
    assert!(said.contains("3 objects would be removed") && said.contains("1 output missing"), "{said}");
    assert!(outputs.join(&unknown).exists());
    let (_, said) = sweep(&[]).await;
    assert!(said.contains("3 objects removed"), "{said}");
    let (_, said) = sweep(&[]).await;
    assert!(said.contains("0 objects removed"), "{said}");
    let mut kept = stored(&halftone);
    kept.sort_unstable();
    assert_eq!(kept, [id.clone(), uploading.to_string()]);
    let output = halftone.client.images(&id).await[0]["output"]["url"].as_str().unwrap().to_owned();
    halftone.client.download(&output).await;
}
