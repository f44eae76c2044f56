//! The project keeps its own rules: what is written down is what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;

use crate::support::database;

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn schema_graphql_is_what_the_server_serves() {
    assert!(read(root("schema.graphql")) == halftone::graphql::sdl(), "run ./dev schema, and commit what changed");
}

/// Of two migrations with one version the second would never be applied, and no error would say so.
#[test]
fn every_migration_has_a_version_of_its_own() {
    let directories = std::fs::read_dir(root("migrations")).unwrap().map(|entry| entry.unwrap().file_name());
    let names: Vec<String> = directories.map(|name| name.into_string().unwrap()).collect();
    let mut versions = BTreeMap::new();
    for name in &names {
        let (version, title) = name.split_once('_').unwrap_or_default();
        assert!(!title.is_empty(), "{name}: write it as YYYY-MM-DD-HHMMSS_title");
        let shape = version.replace(|character: char| character.is_ascii_digit(), "0");
        assert_eq!(shape, "0000-00-00-000000", "{name}");
        // What the version is in the database.
        let other = versions.insert(version.replace('-', ""), name);
        assert_eq!(other, None, "{name} has the same version");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_go_down_and_up_again() {
    let url = database::empty().await;
    let applied = halftone::db::migrate(&url).await.expect("up");
    assert!(!applied.is_empty());
    let mut reverted = halftone::db::revert_all(&url).await.expect("down");
    reverted.reverse();
    assert_eq!(reverted, applied);
    let left = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE '\\_\\_diesel%'";
    assert_eq!(database::number(&url, left).await, 0, "down leaves nothing behind");
    assert_eq!(halftone::db::migrate(&url).await.expect("up again"), applied);
    assert_eq!(halftone::db::migrate(&url).await.expect("nothing to do"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_keeps_its_images_when_they_move_between_its_row_and_a_table() {
    let url = database::fresh().await;
    let [request, first, second, product] = [1, 2, 3, 4].map(|n| format!("'{}'::uuid", uuid::Uuid::from_u128(n)));
    let stored = format!(
        "INSERT INTO processing_requests (id, settings, public_url, csv_byte_size, csv_encoding, csv_delimiter,
             csv_row_count, csv_accepted_row_count, csv_rejected_row_count, csv_issue_count, csv_error_count,
             csv_extra_columns, total) VALUES ({request}, '{{}}', '', 1, 'UTF-8', ',', 1, 1, 0, 0, 0, '{{}}', 2);
         INSERT INTO images (id, request_id, position, input_url)
             VALUES ({first}, {request}, 0, 'a'), ({second}, {request}, 1, 'b');
         INSERT INTO products (id, request_id, row_number, accepted, name, input_urls, extra, image_ids)
             VALUES ({product}, {request}, 1, true, '', '{{b,-,a,b}}', '{{}}', ARRAY[{second}, NULL, {first}, {second}]);"
    );
    database::execute(&url, &stored).await;
    let migration = root("migrations/2026-11-24-000000_images_in_the_products_row");
    database::execute(&url, &read(migration.join("down.sql"))).await;
    let in_table = format!(
        "SELECT count(*) FROM product_images WHERE product_id = {product}
            AND (position, image_id) IN ((0, {second}), (2, {first}), (3, {second}))"
    );
    assert_eq!(database::number(&url, &in_table).await, 3);
    database::execute(&url, &read(migration.join("up.sql"))).await;
    let in_row = format!("SELECT count(*) FROM products WHERE image_ids = ARRAY[{second}, NULL, {first}, {second}]");
    assert_eq!(database::number(&url, &in_row).await, 1);
}

#[test]
fn the_documented_clients_are_the_ones_that_are_tested() {
    let page = read(root("docs/clients.md"));
    let shown: Vec<_> = page.split("<!-- tests/clients/").skip(1).collect();
    assert!(shown.len() >= 8, "{}", shown.len());
    for part in shown {
        let (name, rest) = part.split_once(" -->\n```").expect("a file, then its code");
        let (_, code) = rest.split_once('\n').expect("a language");
        let (code, _) = code.split_once("\n```").expect("an end");
        let file = read(root("tests/clients").join(name));
        assert!(file.trim_end() == code, "docs/clients.md does not show tests/clients/{name} as it is");
    }
}

#[test]
fn every_setting_of_the_environment_is_in_the_example_file() {
    #[derive(clap::Parser)]
    struct Arguments {
        #[command(flatten)]
        _options: halftone::config::Options,
    }
    let example = read(root(".env.example"));
    let command = Arguments::command();
    let settings: Vec<_> = command.get_arguments().filter_map(|argument| argument.get_env()).collect();
    assert!(settings.len() > 30, "{settings:?}");
    for name in settings {
        let name = name.to_str().unwrap();
        assert!(example.contains(&format!("{name}=")), "{name} is missing");
    }
}

/// The modules a module may use, beside itself. The order of the flow: arrows only point down.
const ARROWS: [(&str, &[&str]); 22] = [
    (
        "cli",
        &[
            "service",
            "graphql",
            "pipeline",
            "access",
            "app",
            "store",
            "webhook",
            "budget",
            "descriptors",
            "db",
            "config",
            "telemetry",
        ],
    ),
    ("service", &["http", "graphql", "pipeline", "access", "app", "descriptors", "db", "config"]),
    (
        "http",
        &["graphql", "pipeline", "access", "app", "config", "metrics", "store", "links", "web_origin", "trace", "db"],
    ),
    ("graphql", &["pipeline", "access", "app", "links", "db"]),
    ("pipeline", &["app", "metrics", "fetch", "webhook", "queue", "events", "store", "links", "budget", "trace", "db"]),
    ("access", &["app", "events", "db"]),
    (
        "app",
        &["config", "metrics", "fetch", "guard", "webhook", "store", "links", "descriptors", "budget", "events", "db"],
    ),
    ("config", &["fetch", "store", "webhook", "web_origin", "db"]),
    ("fetch", &["guard", "budget"]),
    ("store", &["trace"]),
    ("webhook", &["guard", "trace"]),
    ("links", &[]),
    ("web_origin", &[]),
    ("guard", &[]),
    ("queue", &["db"]),
    ("events", &["db"]),
    ("budget", &[]),
    ("descriptors", &[]),
    ("db", &[]),
    ("metrics", &[]),
    ("telemetry", &["trace"]),
    ("trace", &[]),
];

/// Packages with their features, as `cargo tree` prints them.
fn features(edges: &str) -> BTreeMap<String, String> {
    let mut cargo = std::process::Command::new(env!("CARGO"));
    cargo.args(["tree", "--workspace", "--prefix=none", "--format={p}\t{f}", "--edges", edges]).current_dir(root(""));
    let output = cargo.output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    let packages = lines.lines().filter_map(|line| line.trim_end_matches(" (*)").split_once('\t'));
    packages.map(|(package, features)| (package.to_owned(), features.to_owned())).collect()
}

/// Otherwise `cargo run` and `cargo test` would each compile those packages, and everything above them, again.
#[test]
fn the_tests_enable_no_feature_of_a_dependency_that_the_program_does_not() {
    let with_tests = features("normal,build,dev");
    for (package, features) in features("normal,build") {
        assert_eq!(with_tests.get(&package), Some(&features), "{package} is compiled twice");
    }
}

fn sources(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn first_word(text: &str) -> String {
    text.trim_start().chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect()
}

/// What code names after `crate::`, also in lists such as `crate::{db, queue::jobs}`.
fn used_modules(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (place, path) in code.match_indices("crate::") {
        let rest = &code[place + path.len()..];
        let Some(list) = rest.strip_prefix('{') else {
            used.insert(first_word(rest));
            continue;
        };
        // What is inside of inner braces belongs to the name before them.
        let mut depth = 1;
        let is_outer = |character: &char| {
            depth += match character {
                '{' => 1,
                '}' => -1,
                _ => 0,
            };
            depth == 1
        };
        let names: String = list.chars().take_while(|character| *character != ';').filter(is_outer).collect();
        used.extend(names.split(',').map(first_word));
    }
    // Types and functions at the root, and lists that end with a comma.
    used.retain(|name| name.starts_with(char::is_lowercase));
    used
}

#[test]
fn what_a_file_uses_is_read_from_its_paths() {
    let code = "use crate::{db, queue::{Claim, jobs}, app::App,};\nfn f() { crate::fetch::host_key(crate::ROOT) }";
    assert_eq!(used_modules(code), ["app", "db", "fetch", "queue"].map(str::to_owned).into());
}

#[test]
fn arrows_between_modules_only_point_down() {
    for (place, (module, uses)) in ARROWS.iter().enumerate() {
        for used in *uses {
            let below = ARROWS[place + 1..].iter().any(|(module, _)| module == used);
            assert!(below, "`{used}` must come below `{module}`, which uses it");
        }
    }
    let mut files = Vec::new();
    sources(&root("src"), &mut files);
    for file in files {
        let path = file.strip_prefix(root("src")).unwrap();
        let parts: Vec<&str> = path.iter().map(|part| part.to_str().unwrap().trim_end_matches(".rs")).collect();
        if matches!(parts[0], "lib" | "main" | "testing") || parts.contains(&"tests") {
            continue;
        }
        let module = parts[0];
        let (_, allowed) = ARROWS
            .iter()
            .find(|(known, _)| *known == module)
            .unwrap_or_else(|| panic!("`{module}` has no place among the arrows"));
        let code: Vec<String> =
            read(&file).lines().filter(|line| !line.trim_start().starts_with("//")).map(str::to_owned).collect();
        for used in used_modules(&code.join("\n")) {
            let may = used == module || allowed.contains(&used.as_str());
            assert!(may, "{}: `{module}` must not use `{used}`", path.display());
        }
    }
}

/// Each of them can be understood, built and tested alone.
#[test]
fn the_crates_below_use_neither_halftone_nor_each_other() {
    let manifests: Vec<PathBuf> =
        std::fs::read_dir(root("crates")).unwrap().map(|entry| entry.unwrap().path().join("Cargo.toml")).collect();
    assert!(manifests.len() >= 3, "{manifests:?}");
    for manifest in manifests {
        let text = read(&manifest);
        for line in text.lines() {
            let is_ours = line.starts_with("halftone") || line.starts_with("local-postgres") || line.contains("\"../");
            assert!(!is_ours, "{}: {line}", manifest.display());
        }
    }
}
