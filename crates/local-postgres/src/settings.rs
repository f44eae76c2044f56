//! The server's settings: a small machine's share, a hot small queue table, nothing reachable from outside.
//! The file is complete; `initdb`'s own sample is not read.

use std::path::Path;

use super::Durability;

/// The text of `postgresql.conf`. `socket_dir` is a path without quotes, commas or spaces.
pub(super) fn render(socket_dir: &Path, owner: &str, durability: Durability, major: u32) -> String {
    let owner = owner.replace('\'', "''");
    let mut text = format!(
        "\
# Written at every start; put your own settings in custom.conf next to this file.
listen_addresses = ''
port = 5432
unix_socket_directories = '{socket_dir}'
unix_socket_permissions = 0700
cluster_name = '{owner}'

shared_buffers = 128MB
jit = off
wal_compression = on
max_wal_size = 1GB
random_page_cost = 1.1

# The queue's table is small and changes all the time: clean it often, in small portions.
autovacuum_naptime = 10s
autovacuum_vacuum_scale_factor = 0.05
autovacuum_analyze_scale_factor = 0.05

timezone = 'UTC'
log_timezone = 'UTC'
client_encoding = 'UTF8'

# A file per weekday, emptied when its day comes again.
logging_collector = on
log_directory = '../log'
log_filename = 'postgresql-%a.log'
log_file_mode = 0600
log_rotation_age = 1d
log_rotation_size = 0
log_truncate_on_rotation = on
log_line_prefix = '%m [%p] %q%d '
log_checkpoints = off
log_autovacuum_min_duration = 10s
# A failed statement is named by its error; its text may hold addresses and secrets.
log_min_error_statement = panic
",
        socket_dir = socket_dir.display()
    );
    text.push_str(match durability {
        Durability::Full => "\nmax_connections = 100\nfsync = on\nsynchronous_commit = on\nfull_page_writes = on\n",
        // Commits are still handed to the operating system, so a server that is killed loses none. Many tests share it.
        Durability::None => "\nmax_connections = 400\nfsync = off\nsynchronous_commit = on\nfull_page_writes = off\n",
    });
    // Before recovering from a crash, flush the filesystem once rather than open every file.
    if major >= 14 && cfg!(target_os = "linux") {
        text.push_str("recovery_init_sync_method = syncfs\n");
    }
    text.push_str("\ninclude_if_exists = 'custom.conf'\n");
    text
}
