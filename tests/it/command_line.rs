//! The command line: the whole job without a server, and what it says when something is wrong.

use std::path::Path;
use std::process::{Output, Stdio};

use crate::support::database;
use crate::support::halftone::csv;
use crate::support::images;
use crate::support::origin::{Answer, Origin};
use crate::support::process;

async fn halftone(arguments: &[&str]) -> Output {
    process::halftone().args(arguments).kill_on_drop(true).output().await.expect("run halftone")
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

    // The caller says which columns are meant, and asks for a workbook and for the file itself.
    let export = |url: &str| format!("made by hand\nA;B\n {url};\"Mug \"\"blue\"\"\"\n");
    std::fs::write(path("export.csv"), export(&urls[0])).unwrap();
    let (updated, workbook) = (path("updated.csv"), path("output.xlsx"));
    let columns = ["--name-column", "B", "--image-column", "A", "--header-line", "2"];
    let outputs = ["--updated-csv", &updated, "--output", &workbook];
    let common = ["--database-url", &database_url, "--data-dir", &data_dir, "--allow-net", "127.0.0.0/8"];
    let done = halftone(&[&["run", &path("export.csv")], &columns[..], &outputs, &common].concat()).await;
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let updated = std::fs::read_to_string(updated).unwrap();
    let output = updated.split_once("file://").unwrap().1.split_once(';').unwrap().0;
    assert_eq!(updated, export(&format!("file://{output}")));
    image::load_from_memory(&std::fs::read(output).unwrap()).expect("it decodes");
    let said = halftone(&["check", &workbook]).await;
    assert_eq!(said.status.code(), Some(0), "{}", text(&said.stdout));
    assert!(text(&said.stdout).contains("1 of 1 row and 1 image URL can be used"), "{}", text(&said.stdout));
    let unknown = halftone(&["check", &path("export.csv"), "--image-column", "Photos", "--header-line", "2"]).await;
    assert_eq!(unknown.status.code(), Some(1));
    assert!(
        text(&unknown.stdout).contains("\"Photos\"") && text(&unknown.stdout).contains("A, B"),
        "{}",
        text(&unknown.stdout)
    );

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
    let good = halftone(&run).await;
    assert_eq!(good.status.code(), Some(0));
    assert!(text(&good.stdout).contains("1 of 1 image compressed"), "{}", text(&good.stdout));
    assert!(std::fs::read_to_string(output).unwrap().lines().count() == 2);

    std::fs::write(path("bad.csv"), "S. No,Product Name\n1,SKU1\n").unwrap();
    let rejected = halftone(&["run", &path("bad.csv"), "--database-url", &database_url, "--data-dir", &data_dir]).await;
    assert_eq!(rejected.status.code(), Some(1));
    assert!(text(&rejected.stderr).contains("line 1"), "{}", text(&rejected.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn run_says_what_a_file_would_come_to() {
    let origin = Origin::start().await;
    let database_url = database::fresh().await;
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let urls: Vec<String> =
        (0..60).map(|n| origin.set(&format!("{n}.jpg"), Answer::Image(images::jpeg(80, 60, n)))).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let missing = origin.url("missing.png");
    std::fs::write(path("shop.csv"), csv(&[&urls, &[&missing]])).unwrap();
    let (shop, data_dir) = (path("shop.csv"), path("data"));
    let ours = ["--estimate", "--database-url", &database_url, "--data-dir", &data_dir, "--allow-net", "127.0.0.0/8"];
    let output = halftone(&[&["run", &shop][..], &ours].concat()).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    for part in ["61 images, about", "would be saved", "It would take about", "49 JPEG", "HTTP_NOT_FOUND", &missing] {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
    assert!(!Path::new(&path("shop_output.csv")).exists());
    assert_eq!(database::number(&database_url, "SELECT count(*) FROM processing_requests").await, 0);
    let output = halftone(&["run", &shop, "--estimate", "-o", "out.csv"]).await;
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn run_goes_on_with_what_it_did_for_the_same_file() {
    let origin = Origin::start().await;
    let database_url = database::fresh().await;
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let urls: Vec<String> =
        (0..4).map(|n| origin.set(&format!("{n}.jpg"), Answer::Tagged("\"1\"", images::jpeg(80, 60, n)))).collect();
    let broken = origin.url("broken.jpg");
    let sheet = |more: &[&str]| csv(&[&[&urls[0], &urls[1], &urls[2]], more]);
    let (shop, data_dir) = (path("shop.csv"), path("data"));
    let run = async |more: &[&str]| {
        let ours =
            ["run", &shop, "--database-url", &database_url, "--data-dir", &data_dir, "--allow-net", "127.0.0.0/8"];
        let output = halftone(&[&ours[..], more].concat()).await;
        (output.status.code(), text(&output.stdout).to_owned())
    };
    let hits = || [0, 1, 2, 3].map(|n| origin.hits(&format!("{n}.jpg")));
    let requests = async || database::number(&database_url, "SELECT count(*) FROM processing_requests").await;

    std::fs::write(&shop, sheet(&[&broken])).unwrap();
    let (code, said) = run(&[]).await;
    assert_eq!((code, hits()), (Some(1), [1, 1, 1, 0]), "{said}");
    // Only what failed is tried again.
    origin.set("broken.jpg", Answer::Image(images::jpeg(80, 60, 9)));
    let (code, said) = run(&[]).await;
    assert_eq!((code, hits(), requests().await), (Some(0), [1, 1, 1, 0], 1), "{said}");
    assert!(said.contains("Trying 1 image again"), "{said}");
    // Nothing is missing, and the file is written.
    std::fs::remove_file(path("shop_output.csv")).unwrap();
    let (code, said) = run(&[]).await;
    assert_eq!((code, hits(), requests().await), (Some(0), [1, 1, 1, 0], 1), "{said}");
    assert!(said.contains("Every image already has its output"), "{said}");
    assert_eq!(csv::Reader::from_path(path("shop_output.csv")).unwrap().records().count(), 2);

    // A corrected file is compared with the last one, and costs a question for each image that is known.
    std::fs::write(&shop, sheet(&[&urls[3]])).unwrap();
    let (code, said) = run(&[]).await;
    assert_eq!((code, hits(), origin.not_modified(), requests().await), (Some(0), [2, 2, 2, 1], 3, 2), "{said}");
    assert!(said.contains("Compared with last time: 1 added, 1 removed, 0 changed, 3 unchanged"), "{said}");
    // With another quality it is another matter.
    let (code, said) = run(&["--quality", "30"]).await;
    assert_eq!((code, requests().await), (Some(0), 3), "{said}");
    assert!(said.contains("4 of 4 images compressed") && !said.contains("of them before"), "{said}");
    let (code, said) = run(&["--quality", "30", "--fresh"]).await;
    assert_eq!((code, requests().await, origin.not_modified()), (Some(0), 4, 3), "{said}");
    assert!(said.contains("4 of 4 images compressed") && !said.contains("Compared"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn run_goes_on_after_it_was_killed() {
    let origin = Origin::start().await;
    let database_url = database::fresh().await;
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let urls: Vec<String> = (0..12)
        .map(|n| {
            let picture = images::jpeg(80, 60, n);
            origin.set(&format!("{n}.jpg"), if n < 6 { Answer::Image(picture) } else { Answer::Held(picture) })
        })
        .collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    std::fs::write(path("shop.csv"), csv(&[&urls])).unwrap();
    let (shop, data_dir) = (path("shop.csv"), path("data"));
    let ours = ["run", &shop, "--database-url", &database_url, "--data-dir", &data_dir, "--worker-timeout", "2s"];
    let killed = process::Process::start(&ours);
    database::number_is(&database_url, "SELECT count(*) FROM images WHERE finished_at IS NOT NULL", |ended| ended == 6)
        .await;
    origin.held(6).await;
    killed.kill().await;
    origin.open();
    let output = halftone(&[&ours[..], &["--allow-net", "127.0.0.0/8"]].concat()).await;
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said} {}", text(&output.stderr));
    assert!(said.contains("Continuing an earlier run") && said.contains("12 of 12 images compressed"), "{said}");
    assert!((0..6).all(|n| origin.hits(&format!("{n}.jpg")) == 1));
    assert_eq!(database::number(&database_url, "SELECT count(*) FROM processing_requests").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn run_touches_nothing_where_a_file_cannot_be_read_or_written() {
    let directory = tempfile::Builder::new().prefix("shop").tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (sheet, data_dir) = (csv(&[&["https://www.example.com/1.jpg"]]), path("data"));
    std::fs::write(path("shop.csv"), &sheet).unwrap();
    std::fs::create_dir(path("folder")).unwrap();
    std::os::unix::fs::symlink(path("shop.csv"), path("link.csv")).unwrap();
    let (shop, link, roundabout) = (path("shop.csv"), path("link.csv"), path("folder/../shop.csv"));
    let (nowhere, absent, folder) = (path("nowhere/out.csv"), path("absent.csv"), path("folder"));
    for (arguments, expected) in [
        (&[&shop, "-o", &shop][..], "is the CSV itself"),
        (&[&shop, "-o", &roundabout], "is the CSV itself"),
        (&[&shop, "-o", &link], "is the CSV itself"),
        (&[&link, "-o", &shop], "is the CSV itself"),
        (&[&shop, "-o", &nowhere], &format!("cannot write {nowhere}: ")),
        (&[&shop, "-o", &folder], &format!("cannot write {folder}: ")),
        (&[&absent], &format!("cannot read {absent}: ")),
        (&[&folder], &format!("cannot read {folder}: ")),
    ] {
        let output = halftone(&[&["run", "--data-dir", &data_dir], arguments].concat()).await;
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(expected) && !said.contains(".tmp"), "{arguments:?}: {said}");
    }
    assert_eq!(std::fs::read_to_string(&shop).unwrap(), sheet);
    assert!(!Path::new(&data_dir).exists(), "nothing is stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_what_is_wrong_without_a_database() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let data_dir = path("data");
    // Nothing listens there: a command that needed a database would fail.
    let check = async |name: &str, more: &[&str]| {
        let file = path(name);
        let ours =
            ["check", file.as_str(), "--data-dir", &data_dir, "--database-url", "postgres://nobody@127.0.0.1:9/none"];
        halftone(&[&ours, more].concat()).await
    };
    let urls = ["https://www.example.com/1.jpg", "https://www.example.com/2.jpg"];
    std::fs::write(path("good.csv"), csv(&[&urls, &urls[..1]])).unwrap();
    let good = check("good.csv", &[]).await;
    assert_eq!(good.status.code(), Some(0), "{}", text(&good.stderr));
    assert!(
        text(&good.stdout).contains("2 of 2 rows and 3 image URLs can be used; 0 errors"),
        "{}",
        text(&good.stdout)
    );

    let mixed = "S. No;Product Name;Input Image Urls\n1;Mug;https://www.example.com/1.jpg,https://\n2;;https://www.example.com/2.jpg\n";
    std::fs::write(path("mixed.csv"), mixed).unwrap();
    let said = check("mixed.csv", &[]).await;
    assert_eq!(said.status.code(), Some(1));
    assert!(text(&said.stdout).contains("error: line 3: This row has no product name."), "{}", text(&said.stdout));
    let json = check("mixed.csv", &["--json"]).await;
    assert_eq!(json.status.code(), Some(1));
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(
        json["products"],
        serde_json::json!([{ "rowNumber": 1, "line": 2, "serialNumber": "1", "name": "Mug", "imageUrls": [urls[0]] }])
    );
    assert_eq!((&json["byteSize"], &json["encoding"]), (&mixed.len().into(), &"UTF-8".into()));
    assert_eq!((&json["delimiter"], &json["rejected"]), (&";".into(), &false.into()));
    assert_eq!((&json["rowCount"], &json["acceptedRowCount"]), (&2.into(), &1.into()));
    assert_eq!((&json["rejectedRowCount"], &json["issueCount"]), (&1.into(), &2.into()));
    let issues: Vec<_> =
        json["issues"].as_array().unwrap().iter().map(|issue| (&issue["code"], &issue["line"])).collect();
    assert_eq!(issues, [(&"INVALID_URL".into(), &2.into()), (&"EMPTY_PRODUCT_NAME".into(), &3.into())]);

    let early = "S. No,Product Name\n1,Mug\n".to_owned();
    let late = csv(&[&urls, &urls[..1]]) + "3,\"Mug,https://www.example.com/3.jpg\n";
    for refused in [early, late] {
        std::fs::write(path("refused.csv"), &refused).unwrap();
        let said = check("refused.csv", &["--json"]).await;
        assert_eq!(said.status.code(), Some(1), "{refused}");
        let json: serde_json::Value = serde_json::from_slice(&said.stdout).expect("JSON");
        assert_eq!((&json["products"], &json["rejected"]), (&serde_json::json!([]), &true.into()), "{refused}");
    }
    for unreadable in ["absent.csv", "."] {
        let said = check(unreadable, &[]).await;
        assert_eq!(said.status.code(), Some(2), "{unreadable}");
        assert!(text(&said.stderr).contains("cannot read"), "{}", text(&said.stderr));
    }
    assert!(!Path::new(&data_dir).exists(), "nothing is stored");

    std::fs::write(path("one.csv"), "Name,Images\nMug,https://www.example.com/1.jpg\nJug,\n").unwrap();
    let one = check("one.csv", &[]).await;
    let said = text(&one.stdout);
    assert!(said.contains("1 of 2 rows and 1 image URL can be used; 1 error, 0 warnings."), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_is_a_good_neighbour_in_a_pipe() {
    let directory = tempfile::tempdir().unwrap();
    let good = directory.path().join("good.csv");
    std::fs::write(&good, csv(&[&["https://www.example.com/1.jpg"]])).unwrap();
    // More than a pipe holds.
    let bad = directory.path().join("bad.csv");
    std::fs::write(&bad, format!("Name,Images\n{}", "Mug,nonsense\n".repeat(20_000))).unwrap();
    let check = |file: &Path, input: Stdio, output: Stdio| {
        let mut command = process::halftone();
        command.arg("check").arg(file).stdin(input).stdout(output).stderr(Stdio::piped()).kill_on_drop(true);
        command.spawn().expect("run halftone")
    };
    let input = std::fs::File::open(&good).unwrap();
    let output = check(Path::new("-"), input.into(), Stdio::piped()).wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).starts_with("-: 1 of 1 row and 1 image URL can be used"), "{}", text(&output.stdout));

    let mut left_alone = check(&bad, Stdio::null(), Stdio::piped());
    drop(left_alone.stdout.take());
    let output = left_alone.wait_with_output().await.unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(141), ""));

    let full = std::fs::File::create("/dev/full").unwrap();
    let output = check(&good, Stdio::null(), full.into()).wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("cannot print the report"), "{}", text(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_bad_settings_are_reported_at_once() {
    let bad = [
        "serve",
        "--listen",
        "nowhere",
        "--compressions",
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
    for problem in [
        "error: --listen \"nowhere\" is not an address and port such as 127.0.0.1:8080.\n",
        "error: --compressions \"many\" is not a whole number from 0 to 1024.\n",
        "error: --max-image-bytes \"much\" is not a number of bytes such as 25MiB.\n",
        "error: --allow-net \"10.0.0.0/99\" is not a network such as 10.0.0.0/8 or fd00::/8.\n",
        "error: --download-timeout \"soon\" is not a duration from 1ms to 1h such as 30s, 5m or 2h.\n",
        "error: The value of --database-url is not a Postgres URL such as postgres://user:password@host/database.\n",
    ] {
        assert_eq!(said.matches(problem).count(), 1, "{problem}: {said}");
    }
    assert_eq!(said.matches("error: ").count(), 6, "{said}");
    // Its name of before.
    let output = halftone(&["serve", "--compressions", "many"]).await;
    assert!(text(&output.stderr).contains("--compressions \"many\""), "{}", text(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_of_webhooks_is_printed_and_stays_the_same() {
    let database_url = database::fresh().await;
    let data_dir = tempfile::tempdir().unwrap();
    let common = ["webhook-secret", "--database-url", &database_url, "--data-dir", data_dir.path().to_str().unwrap()];
    let first = halftone(&common).await;
    assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
    assert!(text(&first.stdout).starts_with("HALFTONE_WEBHOOK_SECRET=whsec_"), "{}", text(&first.stdout));
    assert_eq!(halftone(&common).await.stdout, first.stdout);
    let given = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let given = halftone(&[&common[..], &["--webhook-secret", given]].concat()).await;
    assert!(text(&given.stdout).contains("MfKQ9r8G"), "{}", text(&given.stdout));
    // What printed it before.
    let keys = halftone(&["keys"]).await;
    assert!(keys.status.code() == Some(2) && text(&keys.stderr).contains("create"), "{}", text(&keys.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn help_lists_the_settings_that_a_command_reads() {
    for (command, read, unread) in [
        ("serve", "--database-url --listen --max-csv-bytes --max-pixels", "--json"),
        (
            "check",
            "--json --max-csv-bytes --max-images --max-images-per-product --max-csv-issues",
            "--data-dir --max-pixels",
        ),
        (
            "compress",
            "--quality --compressions --decode-memory --max-image-bytes --max-pixels --max-side",
            "--database-url --max-csv-bytes",
        ),
        ("schema", "--help", "--data-dir --log"),
    ] {
        let output = halftone(&[command, "--help"]).await;
        assert_eq!(output.status.code(), Some(0));
        let listed: Vec<&str> = text(&output.stdout).split_whitespace().collect();
        assert!(read.split(' ').all(|flag| listed.contains(&flag)), "{command}: {listed:?}");
        assert!(!unread.split(' ').any(|flag| listed.contains(&flag)), "{command}: {listed:?}");
    }
    // What is not listed is still taken: one environment file can serve all commands.
    let output = halftone(&["schema", "--data-dir", "elsewhere"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
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
    for part in ["COMPLETED_WITH_ERRORS", "missing-photo.jpg", "Watch it:  http://127.0.0.1:", "/playground"] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(database::number(&database_url, "SELECT succeeded::bigint FROM processing_requests").await, 22);
    assert_eq!(
        database::number(&database_url, "SELECT count(*) FROM images WHERE output_bytes > source_bytes").await,
        0
    );
}

fn sources(directory: &Path) -> [String; 3] {
    let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    std::fs::create_dir_all(directory.join("other")).unwrap();
    let files = [path("photo.jpg"), path("other/photo.jpg"), path("plan.png")];
    std::fs::write(&files[0], images::jpeg(320, 240, 1)).unwrap();
    std::fs::write(&files[1], images::jpeg(320, 240, 2)).unwrap();
    std::fs::write(&files[2], images::png(160, 120, 3)).unwrap();
    files
}

fn objects(output: &Output) -> Vec<serde_json::Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn compress_writes_beside_the_sources_and_leaves_them_alone() {
    let directory = tempfile::tempdir().unwrap();
    let files = sources(directory.path());
    let before = files.clone().map(|file| std::fs::read(file).unwrap());
    let output = halftone(&["compress", &files[0], &files[1], &files[2]]).await;
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", text(&output.stderr));
    assert_eq!(said.lines().count(), 4, "a line a file and a total: {said}");
    assert!(said.contains("3 of 3 files compressed") && said.contains("q50") && said.contains("% saved"), "{said}");
    for (name, source) in
        ["compressed_photo.jpg", "other/compressed_photo.jpg", "compressed_plan.png"].iter().zip(&before)
    {
        let bytes = std::fs::read(directory.path().join(name)).unwrap();
        assert!(bytes.len() < source.len(), "{name}");
        image::load_from_memory(&bytes).expect("it decodes");
    }
    assert_eq!(files.map(|file| std::fs::read(file).unwrap()), before);
    let names: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 5, "nothing half-written is left behind: {names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn compress_goes_on_when_nobody_reads_what_it_says() {
    let directory = tempfile::tempdir().unwrap();
    let sources = sources(directory.path());
    let mut command = process::halftone();
    let outputs = directory.path().join("outputs");
    command.arg("compress").args(&sources).arg("-o").arg(&outputs);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut left_alone = command.spawn().expect("run halftone");
    drop(left_alone.stdout.take());
    let output = left_alone.wait_with_output().await.unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    assert_eq!(std::fs::read_dir(&outputs).unwrap().count(), sources.len());

    let mut command = process::halftone();
    command.args(["compress", "--json"]).args(&sources).arg("-o").arg(&outputs).kill_on_drop(true);
    command.stdout(std::fs::File::create("/dev/full").unwrap()).stderr(Stdio::piped());
    let output = command.spawn().expect("run halftone").wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stderr).matches("error: cannot print").count(), 1, "{}", text(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn compress_gives_every_output_a_name_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let [first, second, plan] = sources(directory.path());
    let out = directory.path().join("out");
    let (out_text, in_out) = (out.to_str().unwrap(), out.join("compressed_photo.jpg"));
    std::fs::create_dir(&out).unwrap();
    // A source already stands where the first output would go.
    std::fs::write(&in_out, images::jpeg(320, 240, 4)).unwrap();
    let in_the_way = std::fs::read(&in_out).unwrap();
    let arguments = ["compress", "--json", "-o", out_text, &first, &second, in_out.to_str().unwrap(), &first, &plan];
    let output = halftone(&arguments).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let written: Vec<_> =
        objects(&output).iter().map(|one| one["output"]["file"].as_str().unwrap().to_owned()).collect();
    let names: Vec<_> = written.iter().map(|path| Path::new(path).file_name().unwrap().to_str().unwrap()).collect();
    let expected = [
        "compressed_photo-2.jpg",
        "compressed_photo-3.jpg",
        "compressed_compressed_photo.jpg",
        "compressed_photo-4.jpg",
        "compressed_plan.png",
    ];
    assert_eq!(names, expected);
    assert_eq!(std::fs::read(&in_out).unwrap(), in_the_way);
    let bytes: Vec<_> = written.iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert!(bytes[0] == bytes[3] && bytes[0] != bytes[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn compress_reaches_goals_and_reports_them() {
    let directory = tempfile::tempdir().unwrap();
    let [photo, _, plan] = sources(directory.path());
    let one = halftone(&["compress", &photo]).await;
    assert!(text(&one.stdout).contains("1 of 1 file compressed"), "{}", text(&one.stdout));
    let size = std::fs::metadata(&photo).unwrap().len();
    let half = objects(&halftone(&["compress", "--json", "--target-ratio", "0.5", &photo]).await);
    assert_eq!(half[0]["receipt"]["targetMet"], true, "{half:?}");
    assert!(half[0]["output"]["byteSize"].as_u64().unwrap() <= size / 2);
    assert_eq!(half[0]["source"]["byteSize"], size);
    let small = ["compress", "--json", "--format", "webp", "--max-width", "80", "--background", "#102030", &plan];
    let small = objects(&halftone(&small).await);
    assert_eq!(small[0]["output"]["format"], "WEBP");
    assert_eq!((&small[0]["output"]["width"], &small[0]["output"]["height"]), (&80.into(), &60.into()));
    assert!(small[0]["output"]["file"].as_str().unwrap().ends_with("compressed_plan.webp"));
    let avif = objects(&halftone(&["compress", "--json", "--format", "avif", "--max-width", "80", &plan]).await);
    let file = avif[0]["output"]["file"].as_str().unwrap();
    assert!(file.ends_with("compressed_plan.avif"));
    assert_eq!(&std::fs::read(file).unwrap()[4..12], b"ftypavif");
    let lossless = objects(&halftone(&["compress", "--json", "--lossless", &plan]).await);
    let output = lossless[0]["output"]["file"].as_str().unwrap();
    assert!(image::open(output).unwrap() == image::open(&plan).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn compress_fails_one_file_alone_and_bad_settings_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let [photo, other, _] = sources(directory.path());
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("page.jpg"), "<!doctype html><html></html>").unwrap();
    std::fs::write(path("cut.jpg"), &std::fs::read(&other).unwrap()[..2000]).unwrap();
    let arguments = ["compress", &path("page.jpg"), &photo, &path("missing.jpg"), &path("cut.jpg"), &path("other")];
    let output = halftone(&arguments).await;
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("web page") && said.contains("cannot be read"), "{said}");
    assert!(said.contains("damaged") && said.contains("not a file"), "{said}");
    assert!(said.contains("1 of 5 files compressed, 4 failed"), "{said}");
    assert!(!directory.path().join("compressed_cut.jpg").exists());
    let arguments = ["compress", "--json", &path("page.jpg"), &path("missing.jpg"), &path("cut.jpg"), &path("other")];
    let failed = objects(&halftone(&arguments).await);
    let codes: Vec<_> = failed.iter().map(|one| one["error"]["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["HTML_PAGE", "STORAGE_FAILURE", "CORRUPT_IMAGE", "NOT_AN_IMAGE"]);

    for bad in [
        &["--quality", "101", "--max-width", "0"][..],
        &["--target-ratio", "1.5"],
        &["--quality", "50", "--lossless"],
        &["--background", "blue"],
        &["--format", "gif"],
        &["--format", "avif", "--lossless"],
    ] {
        let output = halftone(&[&["compress", &photo][..], bad].concat()).await;
        assert_eq!(output.status.code(), Some(2), "{bad:?}");
    }
    let both = halftone(&["compress", "--quality", "0", "--max-height", "0", &photo]).await;
    let said = text(&both.stderr);
    assert!(said.contains("`quality` must be") && said.contains("`maxHeight` must be"), "{said}");
}
