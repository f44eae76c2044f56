//! What a process is working on that might kill it, in a small file that survives the process.
//!
//! When a process dies, most of the jobs it held were waiting for their turn and have nothing to do with it. Only those in
//! this file can have caused the crash. Writing an entry costs a microsecond.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use uuid::Uuid;

/// The bytes of one entry: the job's id, or nil.
const ENTRY: usize = 16;

/// The entries of this process. Cheap to clone. The file is removed when the last clone is dropped.
#[derive(Clone)]
pub struct RiskLog(Arc<Inner>);

struct Inner {
    file: File,
    path: PathBuf,
    taken: Mutex<Vec<bool>>,
}

/// Says that a job is being worked on, until it is dropped.
pub struct AtRisk {
    log: Arc<Inner>,
    place: usize,
}

impl RiskLog {
    /// The log of the worker `id`, which works on `places` jobs at once.
    pub fn open(directory: &Path, id: Uuid, places: usize) -> anyhow::Result<Self> {
        std::fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
        let path = directory.join(id.to_string());
        let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
        // Written now, so that no entry ever needs room on the disk.
        file.write_all_at(&vec![0; ENTRY * places], 0).with_context(|| format!("write {}", path.display()))?;
        Ok(Self(Arc::new(Inner { file, path, taken: Mutex::new(vec![false; places]) })))
    }

    /// Notes that work on this job begins. `None` when more are at work than there are places.
    pub fn enter(&self, job_id: Uuid) -> Option<AtRisk> {
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let place = taken.iter().position(|taken| !taken)?;
        taken[place] = true;
        self.0.write(place, job_id);
        Some(AtRisk { log: self.0.clone(), place })
    }
}

impl Inner {
    fn write(&self, place: usize, job_id: Uuid) {
        // An entry that cannot be written leaves a crash without a suspect; the job itself must not fail of it.
        let _ = self.file.write_all_at(job_id.as_bytes(), (place * ENTRY) as u64);
    }
}

impl Drop for AtRisk {
    fn drop(&mut self) {
        self.log.write(self.place, Uuid::nil());
        self.log.taken.lock().unwrap_or_else(PoisonError::into_inner)[self.place] = false;
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What the worker `id` was working on when it died. Empty when that is not known, as for a worker on another machine.
pub fn suspects(directory: &Path, id: Uuid) -> Vec<Uuid> {
    let entries = std::fs::read(directory.join(id.to_string())).unwrap_or_default();
    let ids = entries.chunks_exact(ENTRY).filter_map(|entry| Uuid::from_slice(entry).ok());
    ids.filter(|id| !id.is_nil()).collect()
}

/// Forgets what the worker `id`, which is dead, was working on.
pub fn forget(directory: &Path, id: Uuid) {
    let _ = std::fs::remove_file(directory.join(id.to_string()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_being_worked_on_can_be_read_by_another_process() {
        let directory = tempfile::tempdir().unwrap();
        let [worker, first, second, third] = [1, 2, 3, 4].map(Uuid::from_u128);
        let log = RiskLog::open(directory.path(), worker, 2).unwrap();
        assert!(suspects(directory.path(), worker).is_empty());
        let at_first = log.enter(first).unwrap();
        let at_second = log.enter(second).unwrap();
        assert!(log.enter(third).is_none(), "there are two places");
        assert_eq!(suspects(directory.path(), worker), [first, second]);
        drop(at_first);
        assert_eq!(suspects(directory.path(), worker), [second]);
        let at_third = log.enter(third).unwrap();
        assert_eq!(suspects(directory.path(), worker), [third, second]);
        drop((at_second, at_third, log));
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0, "the file goes with the process");
    }
}
