//! How many files and connections this process may have open, and how they are shared out: half of them are for clients of
//! the API, so that no number of clients keeps the workers from opening what they need.

use rustix::process::{Resource, getrlimit, setrlimit};

/// What is open without any client or image: logs, locks, listeners, the heartbeat, the runtime's own.
const BASE: usize = 32;
/// What an image needs while it is downloaded and stored: a connection that is kept for the next one, and a file.
const PER_DOWNLOAD: usize = 2;

/// Raises the limit of open files to what the system allows: each download and each client needs one, and the usual limit
/// of 1,024 exists for programs that would break with more.
pub fn raise_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // If that fails the present limit is shared out.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// How many files and connections may be open.
pub fn limit() -> usize {
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// How many connections clients may have to the API.
pub fn clients() -> usize {
    limit() / 2
}

/// How many images may be downloaded at once beside so many connections to the database.
pub fn downloads(database_connections: usize) -> usize {
    downloads_within(limit(), database_connections)
}

fn downloads_within(limit: usize, database_connections: usize) -> usize {
    ((limit / 2).saturating_sub(BASE + database_connections) / PER_DOWNLOAD).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_limits_leave_room_for_the_usual_downloads_and_low_ones_for_some() {
        for (limit, downloads) in [(1_024, 228), (256, 36), (128, 4), (48, 1), (0, 1)] {
            assert_eq!(downloads_within(limit, 24), downloads, "{limit}");
        }
        assert!(downloads_within(usize::MAX, 24) > 1_000_000);
    }
}
