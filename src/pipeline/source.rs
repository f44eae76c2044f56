//! The uploaded file, kept in the store under its request's key, and how it was read.
//!
//! Every machine that shares the store can read it again, and reads the same.

use std::fs::File;
use std::io::{Seek as _, Write as _};

use anyhow::Context as _;
use futures_util::TryStreamExt as _;
use object_store::GetOptions;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::db::request::ProcessingRequest;
use crate::store::Store;
use halftone_sheet as sheet;

/// What is kept of a request's file beside its rows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Source {
    /// Where the file is in the store; none for requests of versions that did not keep it.
    pub key: Option<String>,
    /// What kind of file it is.
    pub container: sheet::Container,
    /// What the caller said of it.
    pub hints: sheet::Hints,
    /// What its columns were taken for.
    pub columns: Vec<sheet::Column>,
}

impl Source {
    pub fn of(request: &ProcessingRequest) -> anyhow::Result<Self> {
        serde_json::from_value(request.csv_source.clone()).context("read what is kept of the CSV")
    }
}

/// What a bucket calls it: whatever was uploaded.
pub const CONTENT_TYPE: &str = "application/octet-stream";

/// Where the file of a request is kept.
pub fn key(request_id: Uuid) -> String {
    format!("{request_id}/source")
}

/// A copy of the file in the store, for reading.
pub async fn fetch(store: &Store, key: &str) -> anyhow::Result<File> {
    let object = store.get(key, GetOptions::default()).await?.with_context(|| format!("{key} is gone"))?;
    let mut copy = tempfile::tempfile().context("create a temporary file")?;
    let mut blocks = object.into_stream();
    while let Some(block) = blocks.try_next().await.with_context(|| format!("read {key}"))? {
        copy.write_all(&block)?;
    }
    copy.rewind()?;
    Ok(copy)
}
