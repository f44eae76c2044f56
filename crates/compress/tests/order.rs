//! The folders of this crate stand in an order, and a folder uses only those before it.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};

/// Of `src`: by what a file must know, from settings to decisions.
const FOLDERS: [&str; 9] =
    ["contract", "container", "metadata", "jpeg", "header", "picture", "encode", "decide", "compress"];
/// Of `src/jpeg`.
const JPEG: [&str; 8] = ["types", "error", "headers", "hold", "read", "write", "source", "samples"];

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

/// The names that follow `prefix` in code outside of comments: `crate::a`, `crate::{a, b::c}`.
fn names<'a>(code: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    code.match_indices(prefix).flat_map(move |(at, _)| {
        let rest = &code[at + prefix.len()..];
        let list = match rest.strip_prefix('{') {
            Some(list) => &list[..list.find('}').expect("a list ends")],
            None => rest,
        };
        let count = if rest.starts_with('{') { usize::MAX } else { 1 };
        list.split([',', ';']).take(count).map(|path| {
            let path = path.trim();
            &path[..path.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(path.len())]
        })
    })
}

/// Returns how many uses were checked.
fn check(root: &Path, prefix: &str, order: &[&str]) -> usize {
    let place = |name: &str| order.iter().position(|folder| *folder == name);
    let mut files = Vec::new();
    sources(root, &mut files);
    let mut checked = 0;
    for file in files {
        let path = file.strip_prefix(root).unwrap();
        let folder = path.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        if matches!(&folder[..], "lib" | "mod" | "tests") {
            continue;
        }
        let own = place(&folder).unwrap_or_else(|| panic!("{folder} has no place in the order"));
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let code: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let code = code.join("\n");
        // A file in a folder may reach its folder's other files with `super`, and nothing further up.
        let depth = path.iter().count();
        assert!(!code.contains("super::super::") && (depth > 1 || !code.contains("super::")), "{}", path.display());
        for name in names(&code, prefix) {
            let used = place(name).unwrap_or_else(|| panic!("{}: {prefix}{name} has no place", path.display()));
            assert!(used <= own, "{}: `{folder}` must not use `{name}`", path.display());
            checked += 1;
        }
    }
    checked
}

#[test]
fn a_folder_uses_only_those_before_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    assert!(check(&src, "crate::", &FOLDERS) > 200);
    assert!(check(&src.join("jpeg"), "crate::jpeg::", &JPEG) > 50);
}
