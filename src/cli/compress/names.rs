//! Where each output goes: beside its source or into one folder.
//!
//! Settled for all files before the first is written, in the order given, so that the same command always writes the same names.
//! No output takes a source's place or another output's.

use std::collections::HashSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use halftone_compress::{Format, output_name, sniff};

/// Bytes of a file that tell its format.
const HEAD: u64 = 4096;

/// A file to compress and where its output goes.
#[derive(Clone)]
pub struct Job {
    /// As it was given.
    pub source: PathBuf,
    /// The output's folder.
    pub folder: PathBuf,
    /// The source's name, with a number behind it where the output's name would be taken.
    name: String,
}

impl Job {
    /// The output's path, once its format is known.
    pub fn output(&self, format: Format) -> PathBuf {
        self.folder.join(output_name(&self.name, format))
    }
}

/// One job per file. `folder` is for all outputs, `format` is the one asked for; without them each keeps its own.
pub fn jobs(sources: Vec<PathBuf>, folder: Option<&Path>, format: Option<Format>) -> Vec<Job> {
    // Names that differ only in case are one name to some file systems.
    let key = |path: &Path| whole(path).to_string_lossy().to_lowercase();
    let mut taken: HashSet<String> = sources.iter().map(|source| key(source)).collect();
    let job = |source: PathBuf| {
        let folder = folder.unwrap_or_else(|| source.parent().unwrap_or(Path::new(""))).to_owned();
        let given = source.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // An animation keeps its format where the one asked for has no frames, so its name must be free in both.
        let formats: Vec<Format> = format.into_iter().chain(head_format(&source)).collect();
        let mut name = given.clone();
        let mut number = 1;
        let paths = loop {
            let path = |format: &Format| key(&folder.join(output_name(&name, *format)));
            let paths: Vec<String> = formats.iter().map(path).collect();
            if !paths.iter().any(|path| taken.contains(path)) {
                break paths;
            }
            number += 1;
            name = numbered(&given, number);
        };
        taken.extend(paths);
        Job { source, folder, name }
    };
    sources.into_iter().map(job).collect()
}

/// The format of a file by its first bytes; `None` if it is none or cannot be read, which its own turn will report.
fn head_format(source: &Path) -> Option<Format> {
    let mut head = Vec::new();
    // Opening a pipe would wait for its other end.
    source.metadata().ok().filter(std::fs::Metadata::is_file)?;
    std::fs::File::open(source).ok()?.take(HEAD).read_to_end(&mut head).ok()?;
    sniff(&head).ok()
}

/// `a.jpg` as `a-2.jpg`. The number goes in front of a long name, which is cut at its end.
fn numbered(name: &str, number: u32) -> String {
    match name.rsplit_once('.') {
        _ if name.len() > 80 => format!("{number}-{name}"),
        Some((stem, extension)) if !stem.is_empty() => format!("{stem}-{number}.{extension}"),
        _ => format!("{name}-{number}"),
    }
}

/// The path with its folder's links resolved, so that one place has one name.
fn whole(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    folder.join(path.file_name().unwrap_or_default())
}
