//! Settings of the workers.

use std::time::Duration;

use super::value::{bytes, duration, number};

/// Settings of the workers of one process.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Workers")]
pub struct Workers {
    /// Images compressed at once; 0: API only. Default: one per core
    // `--workers` is its name of before: it counts no processes.
    #[arg(
        long,
        alias = "workers",
        env = "HALFTONE_COMPRESSIONS",
        value_name = "N",
        default_value_t = cores(),
        hide_default_value = true,
        value_parser = number::<usize>(0, 1_024)
    )]
    pub compressions: usize,
    /// Images downloaded at once
    #[arg(
        long,
        env = "HALFTONE_DOWNLOADS",
        value_name = "N",
        default_value = "72",
        value_parser = number::<usize>(1, 1_024)
    )]
    pub downloads: usize,
    /// Memory for decoding images
    #[arg(
        long,
        env = "HALFTONE_DECODE_MEMORY",
        value_name = "BYTES",
        default_value = "1GiB",
        value_parser = bytes(64 << 20)
    )]
    pub decode_memory: u64,
    /// Memory for downloaded images that are waiting for a core
    #[arg(
        long,
        env = "HALFTONE_DOWNLOAD_MEMORY",
        value_name = "BYTES",
        default_value = "256MiB",
        value_parser = bytes(1 << 20)
    )]
    pub download_memory: u64,
    /// Compress every image, even if the same one was compressed with the same settings before
    #[arg(long, env = "HALFTONE_NO_REUSE")]
    pub no_reuse: bool,
    /// How long a worker may be silent before its images are given to others
    #[arg(
        long,
        env = "HALFTONE_WORKER_TIMEOUT",
        value_name = "DURATION",
        default_value = "15s",
        value_parser = duration("1s", "1h")
    )]
    pub worker_timeout: Duration,
    /// How long images in progress may take to finish when the process is asked to stop
    #[arg(
        long,
        env = "HALFTONE_DRAIN_TIMEOUT",
        value_name = "DURATION",
        default_value = "25s",
        value_parser = duration("0s", "1h")
    )]
    pub drain_timeout: Duration,
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
