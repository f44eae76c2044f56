//! Settings of downloads: which hosts may be contacted, how long they may take, how often a failed image is tried again.

use std::time::Duration;

use ipnet::IpNet;

use super::value::{self, bytes, duration, number};
use crate::fetch;

/// Settings of downloads.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Fetching")]
pub struct Fetching {
    /// A private network in which image and webhook hosts may be contacted, on any port (repeatable; comma-separated in the
    /// environment)
    #[arg(
        long = "allow-net",
        env = "HALFTONE_ALLOW_NET",
        value_name = "CIDR",
        value_delimiter = ',',
        value_parser = value::network
    )]
    pub allow_nets: Vec<IpNet>,
    /// Ports on which public hosts are contacted
    #[arg(
        long,
        env = "HALFTONE_FETCH_PORTS",
        value_name = "PORTS",
        value_delimiter = ',',
        default_value = "80,443",
        value_parser = number::<u16>(1, 65_535)
    )]
    pub fetch_ports: Vec<u16>,
    /// What image and webhook hosts see as the User-Agent. Default: Halftone and its version. Some hosts refuse automated clients
    #[arg(long, env = "HALFTONE_USER_AGENT", value_name = "TEXT", value_parser = value::user_agent)]
    pub user_agent: Option<String>,
    /// Largest image that is downloaded
    #[arg(
        long,
        env = "HALFTONE_MAX_IMAGE_BYTES",
        value_name = "BYTES",
        default_value = "25MiB",
        value_parser = bytes(1)
    )]
    max_image_bytes: u64,
    /// Time to connect to an image host
    #[arg(
        long,
        env = "HALFTONE_CONNECT_TIMEOUT",
        value_name = "DURATION",
        default_value = "5s",
        value_parser = duration("1ms", "10m")
    )]
    connect_timeout: Duration,
    /// Time until an image host begins to answer
    #[arg(
        long,
        env = "HALFTONE_FIRST_BYTE_TIMEOUT",
        value_name = "DURATION",
        default_value = "10s",
        value_parser = duration("1ms", "10m")
    )]
    first_byte_timeout: Duration,
    /// Time for a whole download
    #[arg(
        long,
        env = "HALFTONE_DOWNLOAD_TIMEOUT",
        value_name = "DURATION",
        default_value = "30s",
        value_parser = duration("1ms", "1h")
    )]
    download_timeout: Duration,
    /// Slowest download that is not cut off, in bytes per second
    #[arg(
        long,
        env = "HALFTONE_MIN_DOWNLOAD_RATE",
        value_name = "BYTES",
        default_value = "16KiB",
        value_parser = bytes(0)
    )]
    min_download_rate: u64,
    /// Redirects followed
    #[arg(
        long,
        env = "HALFTONE_MAX_REDIRECTS",
        value_name = "N",
        default_value = "5",
        value_parser = number::<usize>(0, 20)
    )]
    max_redirects: usize,
    /// Downloads at once from one host that answers well; a host that complains gets fewer
    #[arg(
        long,
        env = "HALFTONE_DOWNLOADS_PER_HOST",
        value_name = "N",
        default_value = "64",
        value_parser = number::<usize>(1, 1_024)
    )]
    downloads_per_host: usize,
    /// Attempts at an image whose failure may be temporary
    #[arg(
        long,
        env = "HALFTONE_MAX_ATTEMPTS",
        value_name = "N",
        default_value = "5",
        value_parser = number::<u32>(1, 100)
    )]
    pub max_attempts: u32,
    /// Wait before the second attempt; each further one waits three times as long
    #[arg(
        long,
        env = "HALFTONE_RETRY_DELAY",
        value_name = "DURATION",
        default_value = "5s",
        value_parser = duration("0s", "1h")
    )]
    pub retry_delay: Duration,
}

impl Fetching {
    /// What downloads may take; `downloads` of them run at once.
    pub fn limits(&self, downloads: usize) -> fetch::Limits {
        fetch::Limits {
            max_bytes: self.max_image_bytes,
            connect_timeout: self.connect_timeout,
            first_byte_timeout: self.first_byte_timeout,
            total_timeout: self.download_timeout,
            min_bytes_per_second: self.min_download_rate,
            max_redirects: self.max_redirects,
            downloads,
            max_per_host: self.downloads_per_host,
            ..fetch::Limits::default()
        }
    }
}
