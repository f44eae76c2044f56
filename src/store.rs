//! Bytes → a key; a key → bytes. A local directory today, behind the interface of every object store.
//!
//! No partial object is ever visible: an object is written beside its place, flushed to the disk, then renamed.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::{GetOptions, GetResult, ListResult, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutPayload};
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};

/// How long an object may take to be stored. A disk that takes longer is as good as gone.
const PUT_TIMEOUT: Duration = Duration::from_secs(60);

/// Where outputs are kept. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    directory: PathBuf,
}

/// An object that is stored.
#[derive(Debug)]
pub struct Object {
    pub key: String,
    pub bytes: u64,
}

impl From<ObjectMeta> for Object {
    fn from(object: ObjectMeta) -> Self {
        Self { key: object.location.into(), bytes: object.size }
    }
}

/// Why an object is not stored.
#[derive(Debug)]
pub enum PutError {
    /// The store takes no object of this name.
    Name(anyhow::Error),
    /// The store takes nothing now: it is full, away or broken.
    Store(anyhow::Error),
}

impl Store {
    /// A store in a local directory, which is created when it is absent.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub fn local(directory: &Path) -> anyhow::Result<Self> {
        let unwritable = || format!("cannot write outputs to {}", directory.display());
        std::fs::create_dir_all(directory).with_context(unwritable)?;
        tempfile::tempfile_in(directory).with_context(unwritable)?;
        let directory = directory.canonicalize().with_context(|| format!("open {}", directory.display()))?;
        let objects = LocalFileSystem::new_with_prefix(&directory)?.with_fsync(true);
        Ok(Self { objects: Arc::new(objects), directory })
    }

    /// Stores an object; replaces one with the same key.
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<(), PutError> {
        let path = object_store::path::Path::parse(key);
        let path = path.with_context(|| format!("the key {key}")).map_err(PutError::Name)?;
        let putting = self.objects.put(&path, PutPayload::from_bytes(bytes));
        match tokio::time::timeout(PUT_TIMEOUT, putting).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                let is_of_name = is_of_name(&error);
                let error = anyhow::Error::new(error).context(format!("store {key}"));
                Err(if is_of_name { PutError::Name(error) } else { PutError::Store(error) })
            }
            Err(_) => Err(PutError::Store(anyhow::anyhow!("store {key}: it took longer than {PUT_TIMEOUT:?}"))),
        }
    }

    /// Stores a file, wherever its cursor stands, without holding it in memory.
    pub async fn put_file(&self, key: &str, file: std::fs::File) -> anyhow::Result<()> {
        let path = object_store::path::Path::parse(key).with_context(|| format!("the key {key}"))?;
        let mut file = tokio::fs::File::from_std(file);
        let mut object = object_store::buffered::BufWriter::new(Arc::clone(&self.objects), path);
        let copied = async {
            file.rewind().await?;
            tokio::io::copy(&mut file, &mut object).await?;
            object.shutdown().await
        };
        if let Err(error) = copied.await {
            // What came of it so far is in nobody's way, but takes up room.
            let _ = object.abort().await;
            return Err(error).with_context(|| format!("store {key}"));
        }
        Ok(())
    }

    /// Stores the object `from` under another key too; in a directory both share their bytes on the disk. False when there is
    /// no such object.
    pub async fn copy(&self, from: &str, to: &str) -> anyhow::Result<bool> {
        let path = |key: &str| object_store::path::Path::parse(key).with_context(|| format!("the key {key}"));
        match self.objects.copy(&path(from)?, &path(to)?).await {
            Ok(()) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error).with_context(|| format!("store {from} as {to}")),
        }
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

    /// Removes an object, if there is one, and the directory that it was alone in.
    pub async fn remove(&self, key: &str) -> anyhow::Result<()> {
        let file = self.file(key);
        match tokio::fs::remove_file(&file).await {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).context("remove an output"),
            _ => {}
        }
        if let Some(parent) = file.parent() {
            // Refused while there is anything else in it.
            let _ = tokio::fs::remove_dir(parent).await;
        }
        Ok(())
    }

    /// Removes everything below `directory`, partly written files too, but the part of it that `kept` is in.
    pub async fn remove_others(&self, directory: &str, kept: Option<&str>) -> anyhow::Result<()> {
        let kept = kept.map(|key| self.file(key));
        let mut entries = match tokio::fs::read_dir(self.file(directory)).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            entries => entries.with_context(|| format!("list {directory}"))?,
        };
        while let Some(entry) = entries.next_entry().await? {
            let path = entry.path();
            if kept.as_ref().is_some_and(|kept| kept.starts_with(&path)) {
                continue;
            }
            let removed = match entry.file_type().await?.is_dir() {
                true => tokio::fs::remove_dir_all(&path).await,
                false => tokio::fs::remove_file(&path).await,
            };
            match removed {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).context("remove an output"),
                _ => {}
            }
        }
        Ok(())
    }

    /// Removes everything below `directory`, and the directory.
    pub async fn remove_all(&self, directory: &str) -> anyhow::Result<()> {
        match tokio::fs::remove_dir_all(self.file(directory)).await {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("remove {directory}"))
            }
            _ => Ok(()),
        }
    }

    /// The names of the directories in `directory`; `""`: in the store.
    pub async fn directories(&self, directory: &str) -> anyhow::Result<Vec<String>> {
        let listed = self.list_level(directory).await?;
        let names = listed.common_prefixes.iter().filter_map(|path| path.parts().next_back());
        Ok(names.map(|name| name.as_ref().to_owned()).collect())
    }

    /// The objects in `directory`, not those in directories of it.
    pub async fn objects_in(&self, directory: &str) -> anyhow::Result<Vec<Object>> {
        Ok(self.list_level(directory).await?.objects.into_iter().map(Object::from).collect())
    }

    async fn list_level(&self, directory: &str) -> anyhow::Result<ListResult> {
        let path = object_store::path::Path::parse(directory)?;
        self.objects.list_with_delimiter(Some(&path)).await.with_context(|| format!("list {directory}"))
    }

    /// All objects below `directory`.
    pub async fn objects(&self, directory: &str) -> anyhow::Result<Vec<Object>> {
        let path = object_store::path::Path::parse(directory)?;
        let listed = self.objects.list(Some(&path)).map_ok(Object::from).try_collect();
        listed.await.with_context(|| format!("list {directory}"))
    }

    /// Whether there is an object with this key.
    pub async fn exists(&self, key: &str) -> anyhow::Result<bool> {
        let path = object_store::path::Path::parse(key).with_context(|| format!("the key {key}"))?;
        match self.objects.head(&path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error).with_context(|| format!("look for {key}")),
        }
    }

    /// The file of an object.
    pub fn file(&self, key: &str) -> PathBuf {
        self.directory.join(key)
    }
}

/// Whether it is the name that the store does not take.
fn is_of_name(error: &object_store::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return matches!(error.kind(), ErrorKind::InvalidFilename | ErrorKind::InvalidInput);
        }
        cause = error.source();
    }
    matches!(error, object_store::Error::InvalidPath { .. })
}
