//! What is in `deploy/` fits the program.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;

fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files() -> Vec<PathBuf> {
    let (mut folders, mut files) = (vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    assert!(files.len() > 8, "{files:?}");
    files
}

/// The words of a text that begin like this, of letters, digits and underscores.
fn words<'a>(text: &'a str, start: &str) -> BTreeSet<&'a str> {
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
    text.split(|character| !is_part(character)).filter(|word| word.starts_with(start) && *word != start).collect()
}

/// A metric's name without what Prometheus adds to that of a histogram.
fn family(name: &str) -> &str {
    ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name)
}

#[test]
fn every_metric_is_documented_and_none_is_invented() {
    let sources = read("src/metrics.rs") + &read("src/http/admin.rs");
    let metrics = words(&sources, "halftone_");
    assert!(metrics.len() > 10, "{metrics:?}");
    let operations = read("docs/operations.md");
    assert_eq!(words(&operations, "halftone_"), metrics, "docs/operations.md lists every metric");
    for file in
        ["deploy/alerts.yml", "deploy/alerts_test.yml", "deploy/grafana.json", "deploy/kubernetes/autoscaling.yaml"]
    {
        for name in words(&read(file), "halftone_") {
            assert!(metrics.contains(family(name)), "{file} asks for {name}");
        }
    }
    let dashboard: serde_json::Value = serde_json::from_str(&read("deploy/grafana.json")).expect("JSON");
    let shown = dashboard.to_string();
    for name in &metrics {
        assert!(shown.contains(name), "the dashboard does not show {name}");
    }
}

#[test]
fn every_alert_is_explained() {
    let alerts = read("deploy/alerts.yml");
    let names: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() > 8, "{names:?}");
    let (operations, tests) = (read("docs/operations.md"), read("deploy/alerts_test.yml"));
    for name in names {
        assert!(operations.contains(&format!("\n### {name}\n")), "docs/operations.md does not explain {name}");
        assert!(
            tests.matches(&format!("alertname: {name}\n")).count() == 1,
            "deploy/alerts_test.yml does not raise {name}"
        );
    }
}

#[test]
fn every_setting_that_is_deployed_exists() {
    #[derive(clap::Parser)]
    struct Arguments {
        #[command(flatten)]
        _options: halftone::config::Options,
    }
    let command = Arguments::command();
    let settings: Vec<&str> = command.get_arguments().filter_map(|argument| argument.get_env()?.to_str()).collect();
    let mut named = 0;
    for file in files() {
        let text = read(&file);
        for setting in words(&text, "HALFTONE_").union(&words(&text, "DATABASE_")) {
            assert!(settings.contains(setting), "{}: there is no setting {setting}", file.display());
            named += 1;
        }
    }
    assert!(named > 8, "{named}");
}
