//! Two versions on one database.
//!
//! The older one is built of the commit that `FAULT_OLD_COMMIT` names, by default of the last release or, before there is one, of
//! twenty commits ago; `FAULT_OLD_PROGRAM` names a program that is built already.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::checker;
use crate::support::database;
use crate::support::images;
use crate::support::origin::Answer;
use crate::world::{Program, World};

const COMMITS_AGO: &str = "HEAD~20";
/// Of each of two requests.
const IMAGES: u32 = 1_000;

/// An API and a worker of an older version work while the newer one migrates the database and joins them; then the older ones
/// leave and do not come back.
pub async fn old_and_new_side_by_side(world: &mut World) {
    let old = tokio::task::spawn_blocking(older_program).await.unwrap();
    world.database_url = database::empty().await;
    let old_api = world.serve_with(&old, &["--compressions", "0"]).await;
    let old_client = world.client().clone();
    checker::audit(&world.database_url).await;
    let old_worker = world.work_with(&old).await;
    let migrations = "SELECT count(*) FROM __diesel_schema_migrations";
    let known_before = database::number(&world.database_url, migrations).await;
    let slow = |bytes| Answer::Slow(Duration::from_millis(300), bytes);
    let first = world.upload(IMAGES, slow).await;
    world.ended(50).await;

    let new_api = world.serve(&["--compressions", "0"]).await;
    let new_worker = world.work(&[]).await;
    let new_client = world.client().clone();
    let known = database::number(&world.database_url, migrations).await;
    world.note(format!("{} migrations while it ran", known - known_before));
    // Each takes uploads and answers for those of the other.
    let urls: Vec<String> =
        (0..IMAGES).map(|n| world.origin.set(&format!("b/{n}.jpg"), slow(images::jpeg(96, 64, n % 50)))).collect();
    let second = world.upload_urls(&urls, json!({ "webhookUrl": world.sink.url })).await;
    world.client = Some(old_client.clone());
    let third = world.upload_urls(&urls[..100], json!({ "webhookUrl": world.sink.url })).await;
    let query = "query ($id: ID!) { processingRequest(id: $id) { id status } }";
    for (client, id) in [(&old_client, &second), (&new_client, &first), (&new_client, &third)] {
        let data = client.query(query, json!({ "id": id })).await;
        assert_eq!(data["processingRequest"]["id"].as_str(), Some(id.as_str()), "{data}");
    }
    world.ended(i64::from(IMAGES) / 2).await;

    assert_eq!(old_worker.terminate().await, Some(0));
    world.ended(i64::from(IMAGES)).await;
    assert_eq!(old_api.terminate().await, Some(0));
    world.client = Some(new_client);
    if known > known_before {
        let arguments = ["work", "--database-url", &world.database_url];
        let refused = Program::start_version(&old, world.data_dir.path(), &arguments);
        refused.logged("A newer Halftone has migrated this database").await;
        assert_eq!(refused.ended().await, Some(1));
    }
    for id in [&first, &second, &third] {
        world.succeeded(id).await;
    }
    drop((new_api, new_worker));
}

fn older_program() -> PathBuf {
    if let Some(program) = std::env::var_os("FAULT_OLD_PROGRAM") {
        return program.into();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(root).args(arguments).output().expect("git");
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        output.status.success().then_some(said)
    };
    let named = std::env::var_os("FAULT_OLD_COMMIT").map(|commit| commit.into_string().expect("a commit"));
    let commit = named.or_else(|| git(&["describe", "--tags", "--abbrev=0"])).unwrap_or_else(|| COMMITS_AGO.to_owned());
    let commit = git(&["rev-parse", &format!("{commit}^{{commit}}")]).expect("there is such a commit");
    let (tree, target) = (root.join("target/old/tree"), root.join("target/old/target"));
    let path = tree.to_str().expect("a path in UTF-8");
    let is_there = git(&["worktree", "list", "--porcelain"]).is_some_and(|list| list.contains(path)) && tree.exists();
    let checked_out = if is_there {
        git(&["-C", path, "checkout", "--detach", "--force", &commit])
    } else {
        git(&["worktree", "prune"]).and_then(|_| git(&["worktree", "add", "--detach", path, &commit]))
    };
    checked_out.expect("the older version is checked out");
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--locked", "--bin", "halftone"]).current_dir(&tree).env("CARGO_TARGET_DIR", &target);
    assert!(build.status().expect("cargo").success(), "the older version {commit} is not built");
    target.join("debug/halftone")
}
