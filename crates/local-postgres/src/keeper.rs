//! A process's share in a running server: joining, watching over it, leaving.
//! As long as one user process lives there is a server; when the last one leaves, it stops.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::cluster::Cluster;
use super::{Error, lock, socket};

/// How often the keeper looks whether the server is alive. A look is two system calls.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long to wait after a server could not be started again; doubled up to the longest.
const RETRY_AFTER: Duration = Duration::from_secs(2);
const RETRY_AFTER_AT_MOST: Duration = Duration::from_secs(60);
/// How long another process may be busy starting or stopping the server before we give up.
const TURN_WITHIN: Duration = Duration::from_secs(16 * 60);
/// The same when we leave: nothing is lost by leaving without our turn, since the watcher stops a server without users.
const LAST_TURN_WITHIN: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Keeper {
    cluster: Arc<Cluster>,
    users: File,
    /// Held open for writing; see the lock module.
    alive: File,
    leaving: Arc<AtomicBool>,
    /// Watches the server, and hands the process it started back at the end.
    watch: JoinHandle<Option<Child>>,
    pub(super) socket_dir: PathBuf,
    /// The server was running, in use by another process, when we joined.
    pub(super) attached: bool,
}

impl Keeper {
    /// Joins the users of the cluster; when it returns, a server accepts connections.
    pub(super) fn join(cluster: Cluster) -> Result<Keeper, Error> {
        let (layout, run_as) = (&cluster.layout, &cluster.run_as);
        run_as.check_reach(layout.dir())?;
        if !layout.version_file().exists() {
            // Before anything is created: without PostgreSQL there is nothing to create.
            super::binaries::Binaries::find(&cluster.search, run_as, None)?;
        }
        layout.make(run_as)?;
        let turn = lock::open(&layout.lock(), run_as)?;
        if !lock::lock_within(&turn, TURN_WITHIN)? {
            return Err(Error::Busy { dir: layout.dir().to_owned() });
        }
        let users = lock::open(&layout.users(), run_as)?;
        let nobody = lock::try_lock(&users)?;
        if nobody && !cluster.is_down()? {
            // An orphan, which its watcher is about to stop. Rather than race with the watcher, do its work.
            cluster.stop(None)?;
        }
        let alive = lock::open_pipe(&layout.alive(), run_as)?;
        lock::share(&users)?;
        let leaving = Arc::new(AtomicBool::new(false));
        let child = cluster.ensure_running(&leaving)?;
        let attached = child.is_none();
        let socket_dir = socket::recorded(layout);
        drop(turn);

        let cluster = Arc::new(cluster);
        let watch = std::thread::Builder::new()
            .name("postgres-keeper".to_owned())
            .spawn({
                let (cluster, leaving, socket_dir) = (cluster.clone(), leaving.clone(), socket_dir.clone());
                move || watch(&cluster, child, &leaving, &socket_dir)
            })
            .map_err(|source| Error::io("start a thread".to_owned(), source))?;
        Ok(Keeper { cluster, users, alive, leaving, watch, socket_dir, attached })
    }

    /// Leaves the users of the cluster, and stops the server if we are the last.
    pub(super) fn leave(self) -> Result<(), Error> {
        self.leaving.store(true, Ordering::Relaxed);
        self.watch.thread().unpark();
        let mut child = self.watch.join().unwrap_or_default();
        let layout = &self.cluster.layout;
        let turn = lock::open(&layout.lock(), &self.cluster.run_as)?;
        if !lock::lock_within(&turn, LAST_TURN_WITHIN)? {
            return Err(Error::Busy { dir: layout.dir().to_owned() });
        }
        self.users.unlock().map_err(|source| Error::io("leave the local database".to_owned(), source))?;
        if lock::try_lock(&self.users)? {
            self.cluster.stop(child.as_mut())?;
            self.cluster.clear();
        }
        // Only now: its end wakes the watcher, which then finds nothing to do.
        drop(self.alive);
        Ok(())
    }
}

/// Starts the server again whenever it has died under its users. Returns when we leave.
fn watch(cluster: &Cluster, mut child: Option<Child>, leaving: &AtomicBool, socket_dir: &Path) -> Option<Child> {
    let mut pause = RETRY_AFTER;
    let mut next = Instant::now();
    loop {
        std::thread::park_timeout(LOOK_EVERY);
        if leaving.load(Ordering::Relaxed) {
            return child;
        }
        if child.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|status| status.is_some())) {
            child = None;
        }
        if Instant::now() < next {
            continue;
        }
        match revive(cluster, leaving, socket_dir) {
            Ok(None) => pause = RETRY_AFTER,
            Ok(Some(revived)) => {
                tracing::warn!("the local PostgreSQL server had stopped and was started again");
                child = Some(revived);
            }
            Err(error) => {
                tracing::error!(error = %error, "the local PostgreSQL server has stopped and cannot be started again");
                next = Instant::now() + pause;
                pause = (pause * 2).min(RETRY_AFTER_AT_MOST);
            }
        }
    }
}

/// `Some` if the server was dead and is running again.
fn revive(cluster: &Cluster, leaving: &AtomicBool, socket_dir: &Path) -> Result<Option<Child>, Error> {
    let turn = lock::open(&cluster.layout.lock(), &cluster.run_as)?;
    if !lock::try_lock(&turn)? || !cluster.is_down()? {
        return Ok(None);
    }
    if !cluster.layout.version_file().exists() {
        // Never replace data that has vanished by an empty cluster.
        return Err(Error::NotACluster { dir: cluster.layout.data() });
    }
    let child = cluster.ensure_running(leaving)?;
    if socket::recorded(&cluster.layout) != socket_dir {
        return Err(Error::NotPrivate { dir: socket_dir.to_owned() });
    }
    Ok(child)
}
