//! Where a store is, as an operator writes it: a directory, or a bucket and a prefix.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Longest prefix of keys in a bucket, in bytes: a key has 1,024, and Halftone's part of it up to 400.
const MAX_PREFIX: usize = 512;

/// Where objects are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    Directory(PathBuf),
    Bucket(Bucket),
}

/// A bucket, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    pub provider: Provider,
    pub name: String,
    /// What every key begins with, without slashes around it; empty: nothing.
    pub prefix: String,
}

/// Whose interface is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// Amazon S3 and the many servers with its interface.
    S3,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage.
    Azure,
}

impl Provider {
    const ALL: [Self; 3] = [Self::S3, Self::Google, Self::Azure];

    fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Google => "gs",
            Self::Azure => "az",
        }
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let takes =
            || "a directory, or a bucket with an optional prefix, such as s3://pictures/halftone, gs:// or az://";
        let text = text.trim();
        if text.is_empty() {
            return Err(takes().to_owned());
        }
        let Some((scheme, rest)) = text.split_once("://") else { return Ok(Self::Directory(text.into())) };
        let provider = Provider::ALL.into_iter().find(|provider| provider.scheme() == scheme).ok_or_else(takes)?;
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/');
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let is_prefix = |part: &str| !part.is_empty() && part != "." && part != ".." && part.bytes().all(is_name);
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(takes().to_owned());
        }
        if prefix.len() > MAX_PREFIX || (!prefix.is_empty() && !prefix.split('/').all(is_prefix)) {
            return Err(format!(
                "a bucket with a prefix of letters, digits, \"-\", \"_\", \".\" and \"/\", at most {MAX_PREFIX} in all"
            ));
        }
        Ok(Self::Bucket(Bucket { provider, name: name.to_owned(), prefix: prefix.to_owned() }))
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.provider.scheme(), self.name)?;
        if self.prefix.is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(directory) => directory.display().fmt(f),
            Self::Bucket(bucket) => bucket.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_and_buckets_are_told_apart() {
        for (text, shown) in [
            ("/var/lib/halftone", Some("/var/lib/halftone")),
            ("outputs", Some("outputs")),
            ("s3://pictures", Some("s3://pictures")),
            ("s3://pictures/", Some("s3://pictures")),
            ("gs://pictures/a/b/", Some("gs://pictures/a/b")),
            ("az://pictures/a", Some("az://pictures/a")),
            ("", None),
            ("s3://", None),
            ("s3:///prefix", None),
            ("s3://key:secret@pictures", None),
            ("s3://pictures/a//b", None),
            ("s3://pictures/../b", None),
            ("s3://pictures/a?b", None),
            ("https://pictures.example.com", None),
        ] {
            assert_eq!(text.parse::<Address>().ok().map(|address| address.to_string()).as_deref(), shown, "{text}");
        }
        assert!(format!("s3://pictures/{}", "a".repeat(MAX_PREFIX + 1)).parse::<Address>().is_err());
    }
}
