//! Bytes → a key; a key → bytes. In a local directory, or in a bucket that all machines share.
//!
//! No partial object is ever visible: in a directory an object is written beside its place, flushed to the disk, then renamed.

mod address;

mod bucket;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, future, stream};
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use object_store::signer::Signer;
use object_store::{
    Attribute, Attributes, GetOptions, GetResult, ListResult, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutOptions,
    PutPayload,
};
use reqwest::Method;
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};
use url::Url;

pub use self::address::Address;
use self::address::Bucket;
pub use self::bucket::Environment;

/// How long an object may take to be stored. A store that takes longer is as good as gone.
const PUT_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the first object may take, at the start.
const CHECK_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a signed address works. Who redirects to one must not let it be remembered for longer.
pub const SIGNED_FOR: Duration = Duration::from_secs(15 * 60);

/// What caches may do with objects: no key is ever used for other bytes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// Where outputs are kept. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    place: Place,
}

#[derive(Clone)]
enum Place {
    Directory(PathBuf),
    /// `origin`: of the addresses that are signed.
    Bucket {
        bucket: Bucket,
        signer: Arc<dyn Signer>,
        origin: Arc<str>,
    },
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
    /// Opens the store at an address. `endpoint`: where the bucket's server is, if not at its provider's own address.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub async fn open(address: &Address, endpoint: Option<&str>, environment: &Environment) -> anyhow::Result<Self> {
        match address {
            Address::Directory(directory) => Self::local(directory),
            Address::Bucket(bucket) => {
                let (objects, signer) = bucket::connect(bucket, endpoint, environment)?;
                let objects = match bucket.prefix.as_str() {
                    "" => objects,
                    prefix => Arc::new(PrefixStore::new(objects, prefix)),
                };
                let unwritable = || format!("cannot write outputs to {bucket}");
                check(&objects).await.with_context(unwritable)?;
                let signed = signer.signed_url(Method::GET, &path("check")?, SIGNED_FOR).await;
                // Without one nobody is sent there.
                let origin = signed.map(|url| url.origin().ascii_serialization()).unwrap_or_default().into();
                Ok(Self { objects, place: Place::Bucket { bucket: bucket.clone(), signer, origin } })
            }
        }
    }

    /// A store in a local directory, which is created when it is absent.
    fn local(directory: &Path) -> anyhow::Result<Self> {
        let unwritable = || format!("cannot write outputs to {}", directory.display());
        std::fs::create_dir_all(directory).with_context(unwritable)?;
        tempfile::tempfile_in(directory).with_context(unwritable)?;
        let directory = directory.canonicalize().with_context(|| format!("open {}", directory.display()))?;
        let objects = LocalFileSystem::new_with_prefix(&directory)?.with_fsync(true);
        Ok(Self { objects: Arc::new(objects), place: Place::Directory(directory) })
    }

    /// Stores an object, reads it and removes it.
    pub async fn try_out(&self) -> anyhow::Result<()> {
        let (key, bytes) =
            (format!("check-{:016x}", rand::random::<u64>()), Bytes::from_static(b"Halftone can write here."));
        let put = self.put(&key, "text/plain", bytes.clone()).await;
        put.map_err(|(PutError::Name(error) | PutError::Store(error))| error)?;
        let object = self.get(&key, GetOptions::default()).await?.context("what was stored cannot be found")?;
        anyhow::ensure!(object.bytes().await? == bytes, "what was read is not what was stored");
        self.objects.delete(&path(&key)?).await.context("remove what was stored")
    }

    /// Stores an object; replaces one with the same key.
    pub async fn put(&self, key: &str, content_type: &'static str, bytes: Bytes) -> Result<(), PutError> {
        let path = path(key).map_err(PutError::Name)?;
        let options = PutOptions { attributes: self.attributes(content_type), ..PutOptions::default() };
        let putting = self.objects.put_opts(&path, PutPayload::from_bytes(bytes), options);
        match tokio::time::timeout(PUT_TIMEOUT, putting).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                let is_of_name = self.is_of_name(&error);
                let error = anyhow::Error::new(error).context(format!("store {key}"));
                Err(if is_of_name { PutError::Name(error) } else { PutError::Store(error) })
            }
            Err(_) => Err(PutError::Store(anyhow::anyhow!("store {key}: it took longer than {PUT_TIMEOUT:?}"))),
        }
    }

    /// Stores a file, wherever its cursor stands, without holding it in memory.
    pub async fn put_file(&self, key: &str, content_type: &'static str, file: std::fs::File) -> anyhow::Result<()> {
        let mut file = tokio::fs::File::from_std(file);
        let object = object_store::buffered::BufWriter::new(Arc::clone(&self.objects), path(key)?);
        let mut object = object.with_attributes(self.attributes(content_type));
        let copied = async {
            file.rewind().await?;
            tokio::io::copy(&mut file, &mut object).await
        };
        if let Err(error) = copied.await {
            // What came of it so far is in nobody's way, but takes up room.
            let _ = object.abort().await;
            return Err(error).with_context(|| format!("store {key}"));
        }
        object.shutdown().await.with_context(|| format!("store {key}"))
    }

    /// What a bucket says of an object to those who get it from there. A directory keeps no such thing.
    fn attributes(&self, content_type: &'static str) -> Attributes {
        match self.place {
            Place::Directory(_) => Attributes::new(),
            Place::Bucket { .. } => {
                Attributes::from_iter([(Attribute::ContentType, content_type), (Attribute::CacheControl, FOR_EVER)])
            }
        }
    }

    /// Stores the object `from` under another key too; in a directory both share their bytes on the disk. False when there is
    /// no such object.
    pub async fn copy(&self, from: &str, to: &str) -> anyhow::Result<bool> {
        match self.objects.copy(&path(from)?, &path(to)?).await {
            Ok(()) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error).with_context(|| format!("store {from} as {to}")),
        }
    }

    /// An object, or a range of it; `None` when there is none.
    pub async fn get(&self, key: &str, options: GetOptions) -> anyhow::Result<Option<GetResult>> {
        match self.objects.get_opts(&path(key)?, options).await {
            Ok(object) => Ok(Some(object)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("read {key}")),
        }
    }

    /// What is known of an object without reading it; `None` when there is none.
    pub async fn head(&self, key: &str) -> anyhow::Result<Option<ObjectMeta>> {
        match self.objects.head(&path(key)?).await {
            Ok(object) => Ok(Some(object)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("look for {key}")),
        }
    }

    /// Removes an object, if there is one, and the directories that then are empty.
    pub async fn remove(&self, key: &str) -> anyhow::Result<()> {
        let Place::Directory(root) = &self.place else {
            return self.remove_each(stream::iter([Ok(path(key)?)])).await;
        };
        let file = root.join(key);
        match tokio::fs::remove_file(&file).await {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).context("remove an output"),
            _ => {}
        }
        remove_empty_above(&file, root).await;
        Ok(())
    }

    /// Removes the parts of `directory` with these names and everything in them, partly written files too.
    pub async fn remove_parts(
        &self,
        directory: &str,
        is_removed: impl Fn(&str) -> bool + Send + 'static,
    ) -> anyhow::Result<()> {
        let Place::Directory(root) = &self.place else {
            let above = format!("{directory}/");
            let is_removed = move |key: &str| {
                let part = key.strip_prefix(&above).and_then(|rest| rest.split('/').next());
                part.is_some_and(&is_removed)
            };
            let listed = self.objects.list(Some(&path(directory)?)).map_ok(|object| object.location);
            return self.remove_each(listed.try_filter(move |path| future::ready(is_removed(path.as_ref())))).await;
        };
        let mut entries = match tokio::fs::read_dir(root.join(directory)).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            entries => entries.with_context(|| format!("list {directory}"))?,
        };
        while let Some(entry) = entries.next_entry().await? {
            let path = entry.path();
            if !entry.file_name().to_str().is_some_and(&is_removed) {
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

    /// Removes everything below `directory`, the directory, and those around it that then are empty.
    pub async fn remove_all(&self, directory: &str) -> anyhow::Result<()> {
        let Place::Directory(root) = &self.place else { return self.remove_parts(directory, |_| true).await };
        let whole = root.join(directory);
        match tokio::fs::remove_dir_all(&whole).await {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("remove {directory}"));
            }
            _ => {}
        }
        remove_empty_above(&whole, root).await;
        Ok(())
    }

    /// Removes objects of a bucket, as many by a request as it takes.
    async fn remove_each(
        &self,
        paths: impl Stream<Item = object_store::Result<object_store::path::Path>> + Send + 'static,
    ) -> anyhow::Result<()> {
        let mut removed = self.objects.delete_stream(paths.boxed());
        while let Some(removed) = removed.next().await {
            match removed {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(error).context("remove an object"),
            }
        }
        Ok(())
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
        let path = path(directory)?;
        self.objects.list_with_delimiter(Some(&path)).await.with_context(|| format!("list {directory}"))
    }

    /// All objects below `directory`.
    pub async fn objects(&self, directory: &str) -> anyhow::Result<Vec<Object>> {
        let listed = self.objects.list(Some(&path(directory)?)).map_ok(Object::from).try_collect();
        listed.await.with_context(|| format!("list {directory}"))
    }

    /// Where an object is: `file:///…`, or `s3://bucket/…` and the like.
    pub fn url(&self, key: &str) -> anyhow::Result<Url> {
        match &self.place {
            Place::Directory(directory) => {
                Url::from_file_path(directory.join(key)).map_err(|()| anyhow::anyhow!("{key} has no absolute path"))
            }
            Place::Bucket { bucket, .. } => {
                let mut url = Url::parse(&bucket.to_string())?;
                let parts = url.path_segments_mut();
                parts.map_err(|()| anyhow::anyhow!("{bucket} takes no path"))?.pop_if_empty().extend(key.split('/'));
                Ok(url)
            }
        }
    }

    /// The origin of [`Self::signed_url`].
    pub fn origin(&self) -> Option<&str> {
        match &self.place {
            Place::Bucket { origin, .. } => Some(&**origin).filter(|origin| !origin.is_empty()),
            Place::Directory(_) => None,
        }
    }

    /// An address at which the store itself gives an object to anyone for [`SIGNED_FOR`], for requests with this method; `None`
    /// where a store gives nothing.
    pub async fn signed_url(&self, method: Method, key: &str) -> anyhow::Result<Option<Url>> {
        let Place::Bucket { bucket, signer, .. } = &self.place else { return Ok(None) };
        // The signer knows of no prefix.
        let whole = if bucket.prefix.is_empty() { key.to_owned() } else { format!("{}/{key}", bucket.prefix) };
        let signed = signer.signed_url(method, &path(&whole)?, SIGNED_FOR).await;
        Ok(Some(signed.with_context(|| format!("sign an address of {key}"))?))
    }

    /// Whether it is the name that the store does not take.
    fn is_of_name(&self, error: &object_store::Error) -> bool {
        let mut cause: Option<&dyn std::error::Error> = Some(error);
        while let (Some(error), Place::Directory(_)) = (cause, &self.place) {
            if let Some(error) = error.downcast_ref::<std::io::Error>() {
                return matches!(error.kind(), ErrorKind::InvalidFilename | ErrorKind::InvalidInput);
            }
            cause = error.source();
        }
        matches!(error, object_store::Error::InvalidPath { .. })
    }
}

/// Removes the directories around `path`, from the inmost one on, as long as there is nothing in them.
async fn remove_empty_above(path: &Path, root: &Path) {
    for directory in path.ancestors().skip(1).take_while(|directory| *directory != root) {
        match tokio::fs::remove_dir(directory).await {
            // Refused while there is anything in it.
            Err(error) if error.kind() != ErrorKind::NotFound => return,
            _ => {}
        }
    }
}

/// Writes an object and removes it.
async fn check(objects: &dyn ObjectStore) -> anyhow::Result<()> {
    let path = object_store::path::Path::from(format!("check-{:016x}", rand::random::<u64>()));
    let checking = async {
        objects.put(&path, PutPayload::from_static(b"Halftone can write here.")).await?;
        objects.delete(&path).await
    };
    let checked = tokio::time::timeout(CHECK_TIMEOUT, checking).await;
    Ok(checked.map_err(|_| anyhow::anyhow!("it did not answer within {CHECK_TIMEOUT:?}"))??)
}

fn path(key: &str) -> anyhow::Result<object_store::path::Path> {
    object_store::path::Path::parse(key).with_context(|| format!("the key {key}"))
}

/// Whether the store failed, as it may not the next time.
pub fn is_unavailable(error: &anyhow::Error) -> bool {
    let is_passing = |error: &object_store::Error| matches!(error, object_store::Error::Generic { .. });
    error.chain().any(|cause| cause.downcast_ref().is_some_and(is_passing))
}
