//! A file → text: as it is, unpacked, or made of a workbook's sheet.
//!
//! What a file is shows in its first bytes, never in its name. Nothing is unpacked beyond [`Limits::max_bytes`], and a
//! workbook's parts are measured before they are read.

use std::io::{self, Cursor, Read, Seek, SeekFrom};

use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};
use zip::ZipArchive;

use super::Limits;
use super::hints::Hints;
use super::text::BLOCK_BYTES;
use super::workbook;

/// Most entries of an archive.
const MAX_ENTRIES: usize = 10_000;
/// What each entry of an archive's directory begins with, and the end of a directory.
const ENTRY: [u8; 4] = *b"PK\x01\x02";
const DIRECTORY_ENDS: [[u8; 4]; 2] = [*b"PK\x05\x06", *b"PK\x06\x06"];

/// The kinds of files that a table comes in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Container {
    /// Text as it is.
    #[default]
    Plain,
    /// Text, packed: `.csv.gz`, or a zip archive with one CSV in it.
    Packed,
    /// A sheet of an `.xlsx`, `.xlsm` or `.ods`.
    Workbook,
}

/// A file to be read as text.
pub struct Source<'a> {
    text: Box<dyn Read + Send + 'a>,
    container: Container,
    byte_size: u64,
}

/// Why a container cannot be read; travels as the cause of an I/O error of the kind `InvalidData`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unreadable(pub &'static str);

impl std::fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.0)
    }
}

impl std::error::Error for Unreadable {}

/// Gives the same error every time.
struct Broken(&'static str);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::new(io::ErrorKind::InvalidData, Unreadable(self.0)))
    }
}

impl<'a> Source<'a> {
    /// Looks at a file's first bytes, wherever its cursor stands, and reads a workbook whole. What is wrong with a
    /// container is reported when the text is read.
    pub fn open<F: Read + Seek + Send + 'a>(mut file: F, limits: &Limits, hints: &Hints) -> io::Result<Source<'a>> {
        let byte_size = file.seek(SeekFrom::End(0))?;
        file.rewind()?;
        let mut start = [0; 4];
        let mut read = 0;
        while read < start.len() {
            match file.read(&mut start[read..])? {
                0 => break,
                more => read += more,
            }
        }
        file.rewind()?;
        if byte_size > limits.max_bytes {
            // The reader says so when it gets there.
            return Ok(Source { text: Box::new(file), container: Container::Plain, byte_size });
        }
        let (text, container): (Box<dyn Read + Send + 'a>, Container) = if start.starts_with(&[0x1F, 0x8B]) {
            (Box::new(MultiGzDecoder::new(file)), Container::Packed)
        } else if &start == b"PK\x03\x04" {
            unzip(file, limits, hints)?
        } else {
            (Box::new(file), Container::Plain)
        };
        Ok(Source { text, container, byte_size })
    }

    pub fn container(&self) -> Container {
        self.container
    }

    /// Bytes of the file as it came.
    pub fn byte_size(&self) -> u64 {
        self.byte_size
    }
}

impl Read for Source<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.text.read(out)
    }
}

const DAMAGED: &str = "This archive or workbook is damaged. Open it, save it as \"CSV UTF-8\" and upload that.";
const NOT_ONE_CSV: &str =
    "This archive is not a workbook and does not contain exactly one CSV. Unpack it and upload the CSV itself.";

/// Whether an archive's directory, which is held as a whole, may have too many entries.
fn has_many_entries(file: &mut (impl Read + Seek)) -> io::Result<bool> {
    file.rewind()?;
    let mut block = vec![0; BLOCK_BYTES];
    let (mut kept, mut found) = (0, 0);
    loop {
        let read = file.read(&mut block[kept..])?;
        let filled = &block[..kept + read];
        let signatures = memchr::memmem::find_iter(filled, b"PK").filter_map(|at| filled.get(at..at + 4));
        found += signatures.filter(|sign| *sign == ENTRY || DIRECTORY_ENDS.iter().any(|end| sign == end)).count();
        if read == 0 || found > MAX_ENTRIES {
            file.rewind()?;
            return Ok(found > MAX_ENTRIES);
        }
        // One may go on in the next block.
        let rest = (kept + read).saturating_sub(3);
        block.copy_within(rest..kept + read, 0);
        kept = kept + read - rest;
    }
}

fn unzip<'a, F: Read + Seek + Send + 'a>(
    mut file: F,
    limits: &Limits,
    hints: &Hints,
) -> io::Result<(Box<dyn Read + Send + 'a>, Container)> {
    let broken = |message: &'static str, container| -> io::Result<(Box<dyn Read + Send + 'a>, Container)> {
        Ok((Box::new(Broken(message)), container))
    };
    if has_many_entries(&mut file)? {
        return broken(NOT_ONE_CSV, Container::Packed);
    }
    let mut archive = match ZipArchive::new(file) {
        Ok(archive) => archive,
        Err(zip::result::ZipError::Io(error))
            if error.kind() != io::ErrorKind::InvalidData && error.kind() != io::ErrorKind::UnexpectedEof =>
        {
            return Err(error);
        }
        Err(_) => return broken(DAMAGED, Container::Packed),
    };
    if workbook::is_workbook(&archive) {
        // A panic in a library that reads workbooks is a damaged workbook.
        let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| workbook::to_csv(archive, limits, hints)));
        return Ok(match read.unwrap_or(Err(DAMAGED)) {
            Ok(csv) => (Box::new(Cursor::new(csv)), Container::Workbook),
            Err(message) => (Box::new(Broken(message)), Container::Workbook),
        });
    }
    let tables: Vec<usize> = (0..archive.len())
        .filter(|&index| archive.name_for_index(index).and_then(Result::ok).is_some_and(|name| is_table(&name)))
        .collect();
    let [table] = tables[..] else { return broken(NOT_ONE_CSV, Container::Packed) };
    let mut csv = Vec::new();
    let read = archive.by_index(table).map_err(|_| DAMAGED).and_then(|entry| {
        // One byte past the limit: the reader says so when it gets there.
        entry.take(limits.max_bytes.saturating_add(1)).read_to_end(&mut csv).map_err(|_| DAMAGED)
    });
    match read {
        Ok(_) => Ok((Box::new(Cursor::new(csv)), Container::Packed)),
        Err(message) => broken(message, Container::Packed),
    }
}

/// Whether an archive's entry is a table, and none of those that a Mac adds.
fn is_table(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or_default();
    let ending = file.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
    !name.starts_with("__MACOSX") && !file.starts_with('.') && matches!(ending.as_str(), "csv" | "tsv" | "txt" | "tab")
}
