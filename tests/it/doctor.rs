//! `halftone doctor`: what is good, what is wrong, and that it says so.

use serde_json::Value;

use crate::support::bucket::Bucket;
use crate::support::database;
use crate::support::process::halftone;

/// The exit code, what was found of each subject, and all that was printed.
async fn doctor(arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, Value, String) {
    let mut command = halftone();
    command.args(["doctor", "--json"]).args(arguments).envs(variables.iter().copied());
    let output = command.output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let report: Value = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {text} {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), report, text)
}

fn verdict<'a>(report: &'a Value, subject: &str) -> &'a str {
    let findings = report["findings"].as_array().unwrap();
    let finding = findings.iter().find(|finding| finding["subject"] == subject);
    finding.unwrap_or_else(|| panic!("nothing of {subject}: {report}"))["verdict"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_nothing_wrong_where_nothing_is_and_names_what_is() {
    let bucket = Bucket::start().await;
    let database_url = database::fresh().await;
    let directory = tempfile::tempdir().unwrap();
    let data_dir = ["--data-dir", directory.path().to_str().unwrap()];
    let store = bucket.arguments();
    let store: Vec<&str> = store.iter().map(String::as_str).collect();
    let database = ["--database-url", &database_url];
    let free = ["--listen", "127.0.0.1:0"];

    let (code, report, text) = doctor(&[&data_dir, &database, &free, &store[..]].concat(), &[]).await;
    assert_eq!(code, Some(0), "{text}");
    for subject in ["disk", "database", "database TLS", "schema", "clock", "store", "listen"] {
        assert!(["good", "doubtful"].contains(&verdict(&report, subject)), "{subject}: {text}");
    }
    for subject in ["database", "schema", "clock", "store", "listen"] {
        assert_eq!(verdict(&report, subject), "good", "{text}");
    }
    assert!(!text.contains("database pool"), "{text}");
    assert_eq!(bucket.keys(), [""; 0], "what was stored is removed");

    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')";
    database::execute(&database_url, newer).await;
    let elsewhere = ["--listen", "203.0.113.7:8080", "--admin-listen", "0.0.0.0:0"];
    let secret = "wrong/secret+of40characters0000000000000";
    let (code, report, text) =
        doctor(&[&data_dir[..], &database, &elsewhere, &store].concat(), &[("AWS_SECRET_ACCESS_KEY", secret)]).await;
    assert_eq!(code, Some(1));
    for subject in ["schema", "store", "listen", "public-url"] {
        assert_eq!(verdict(&report, subject), "bad", "{text}");
    }
    assert_eq!(verdict(&report, "admin-listen"), "good", "{text}");
    assert!(!text.contains(secret) && text.contains("29990101000000"), "{text}");

    std::fs::write(directory.path().join("file"), "").unwrap();
    let no_directory = directory.path().join("file/data");
    let nowhere = "postgres://halftone:swordfish@127.0.0.1:1/halftone?connect_timeout=2";
    let arguments = ["--data-dir", no_directory.to_str().unwrap(), "--database-url", nowhere];
    let (code, report, text) = doctor(&[&arguments, &free[..]].concat(), &[]).await;
    assert_eq!(code, Some(1));
    for subject in ["disk", "database", "store"] {
        assert_eq!(verdict(&report, subject), "bad", "{text}");
    }
    assert!(!text.contains("swordfish"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_says_that_the_database_is_its_own_when_none_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().to_str().unwrap();
    let (code, report, text) = doctor(&["--data-dir", data_dir, "--listen", "127.0.0.1:0"], &[]).await;
    assert_eq!((code, verdict(&report, "database")), (Some(0), "good"), "{text}");
    assert!(text.contains(&format!("the managed one in {data_dir}: DATABASE_URL is not set")), "{text}");
}
