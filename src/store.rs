//! Bytes → a stable key; a key → bytes. A local directory today, behind the interface of every object store.
//!
//! No partial object is ever visible: an object is written beside its place, flushed to the disk, then renamed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::{GetOptions, GetResult, ObjectStore, ObjectStoreExt as _, PutPayload};

/// Where outputs are kept. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    directory: PathBuf,
}

impl Store {
    /// A store in a local directory, which is created when it is absent.
    pub fn local(directory: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
        let directory = directory.canonicalize().with_context(|| format!("open {}", directory.display()))?;
        let objects = LocalFileSystem::new_with_prefix(&directory)?.with_fsync(true);
        Ok(Self { objects: Arc::new(objects), directory })
    }

    /// Stores an object; replaces one with the same key.
    pub async fn put(&self, key: &str, bytes: Bytes) -> anyhow::Result<()> {
        let path = object_store::path::Path::parse(key).with_context(|| format!("the key {key}"))?;
        self.objects.put(&path, PutPayload::from_bytes(bytes)).await.with_context(|| format!("store {key}"))?;
        Ok(())
    }

    /// An object, or a range of it; `None` when there is none.
    pub async fn get(&self, key: &str, options: GetOptions) -> anyhow::Result<Option<GetResult>> {
        let path = object_store::path::Path::parse(key).with_context(|| format!("the key {key}"))?;
        match self.objects.get_opts(&path, options).await {
            Ok(object) => Ok(Some(object)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("read {key}")),
        }
    }

    /// The file of an object.
    pub fn file(&self, key: &str) -> PathBuf {
        self.directory.join(key)
    }
}
