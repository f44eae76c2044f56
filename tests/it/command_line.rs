//! The command line: the whole job without a server, and what it says when something is wrong.

use std::process::Output;

use tokio::process::Command;

use crate::support::database;
use crate::support::halftone::csv;
use crate::support::images;
use crate::support::origin::{Answer, Origin};

async fn halftone(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_halftone"));
    command.args(arguments).env_remove("DATABASE_URL").kill_on_drop(true);
    command.output().await.expect("run halftone")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[tokio::test(flavor = "multi_thread")]
async fn run_does_the_whole_job_for_one_file() {
    let origin = Origin::start().await;
    let database_url = database::fresh().await;
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let urls = [1, 2, 3].map(|n| origin.set(&format!("{n}.jpg"), Answer::Image(images::jpeg(160, 120, n))));
    let missing = origin.url("missing.jpg");
    std::fs::write(path("shop.csv"), csv(&[&[&urls[0], &urls[1]], &[&missing], &[&urls[2]]])).unwrap();
    let data_dir = path("data");
    let run = [
        "run",
        &path("shop.csv"),
        "--database-url",
        &database_url,
        "--data-dir",
        &data_dir,
        "--allow-net",
        "127.0.0.0/8",
    ];
    let output = halftone(&run).await;
    assert_eq!(output.status.code(), Some(1), "one image has no output: {}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(said.contains("3 of 4 images compressed") && said.contains("saved"), "{said}");
    assert!(said.contains("HTTP_NOT_FOUND") && said.contains(&missing), "{said}");

    let mut reader = csv::Reader::from_path(path("shop_output.csv")).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.unwrap()).collect();
    assert_eq!(rows.len(), 3);
    assert_eq!(&rows[1][3], "");
    for output in rows[0][3].split(',').chain(rows[2][3].split(',')) {
        let file = url::Url::parse(output).unwrap().to_file_path().expect("a file URL");
        image::load_from_memory(&std::fs::read(file).unwrap()).expect("it decodes");
    }

    std::fs::write(path("good.csv"), csv(&[&[&urls[0]]])).unwrap();
    let output = path("elsewhere.csv");
    let run = [
        "run",
        &path("good.csv"),
        "-o",
        &output,
        "--database-url",
        &database_url,
        "--data-dir",
        &data_dir,
        "--allow-net",
        "127.0.0.0/8",
    ];
    assert_eq!(halftone(&run).await.status.code(), Some(0));
    assert!(std::fs::read_to_string(output).unwrap().lines().count() == 2);

    std::fs::write(path("bad.csv"), "S. No,Product Name\n1,SKU1\n").unwrap();
    let rejected = halftone(&["run", &path("bad.csv"), "--database-url", &database_url, "--data-dir", &data_dir]).await;
    assert_eq!(rejected.status.code(), Some(1));
    assert!(text(&rejected.stderr).contains("line 1"), "{}", text(&rejected.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_bad_settings_are_reported_at_once() {
    let bad = [
        "serve",
        "--listen",
        "nowhere",
        "--workers",
        "many",
        "--max-image-bytes",
        "much",
        "--allow-net",
        "10.0.0.0/99",
        "--download-timeout",
        "soon",
        "--database-url",
        "mysql://x",
    ];
    let output = halftone(&bad).await;
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    for flag in ["--listen", "--workers", "--max-image-bytes", "--allow-net", "--download-timeout", "--database-url"] {
        assert!(said.contains(flag), "{flag}: {said}");
    }
    let open = halftone(&["serve", "--listen", "0.0.0.0:0"]).await;
    assert_eq!(open.status.code(), Some(2));
    assert!(text(&open.stderr).contains("--insecure-no-auth"), "{}", text(&open.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_brings_its_catalogue_to_its_end() {
    let database_url = database::fresh().await;
    let data_dir = tempfile::tempdir().unwrap();
    let demo = [
        "demo",
        "--once",
        "--listen",
        "127.0.0.1:0",
        "--database-url",
        &database_url,
        "--data-dir",
        data_dir.path().to_str().unwrap(),
    ];
    let output = halftone(&demo).await;
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
    assert!(said.contains("COMPLETED_WITH_ERRORS") && said.contains("missing-photo.jpg"), "{said}");
    assert_eq!(database::number(&database_url, "SELECT succeeded::bigint FROM processing_requests").await, 18);
    assert_eq!(
        database::number(&database_url, "SELECT count(*) FROM images WHERE output_bytes > source_bytes").await,
        0
    );
}
