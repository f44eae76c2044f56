//! Every setting: its meaning, unit and default. Read once at start, from flags and the environment; every bad value is
//! reported at once.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use ipnet::IpNet;
use url::Url;

use halftone_compress as compress;
use halftone_sheet as sheet;

use crate::fetch;
use crate::web_origin::WebOrigin;

/// The settings as they are written on the command line or in the environment.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Postgres to use. Without it Halftone runs a server of its own in the data directory
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true, global = true)]
    database_url: Option<String>,
    /// Where the outputs and the managed database live
    #[arg(long, env = "HALFTONE_DATA_DIR", value_name = "DIR", default_value = "./halftone-data", global = true)]
    data_dir: String,
    /// Database connections for the API; jobs have half as many of their own
    #[arg(long, env = "HALFTONE_DATABASE_CONNECTIONS", value_name = "N", default_value = "16", global = true)]
    database_connections: String,
    /// What to log: error, warn, info, debug or trace, also per module (`info,halftone::fetch=debug`)
    #[arg(long, env = "HALFTONE_LOG", value_name = "FILTER", default_value = "info", global = true)]
    log: String,
    /// How to log: text or json
    #[arg(long, env = "HALFTONE_LOG_FORMAT", value_name = "FORMAT", default_value = "text", global = true)]
    log_format: String,

    /// The API's address and port
    #[arg(
        long,
        env = "HALFTONE_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8080",
        global = true,
        help_heading = "Server"
    )]
    listen: String,
    /// How clients reach the API, for the links in results. Default: http:// and the listener's address
    #[arg(long, env = "HALFTONE_PUBLIC_URL", value_name = "URL", global = true, help_heading = "Server")]
    public_url: Option<String>,
    /// Serve other machines without any authentication
    #[arg(long, env = "HALFTONE_INSECURE_NO_AUTH", value_parser = clap::builder::BoolishValueParser::new(), global = true, help_heading = "Server")]
    insecure_no_auth: bool,
    /// Serve only the API: no console at / and no playground
    #[arg(long, env = "HALFTONE_NO_CONSOLE", value_parser = clap::builder::BoolishValueParser::new(), global = true, help_heading = "Server")]
    no_console: bool,
    /// A web origin whose pages may call the API (repeatable; comma-separated in the environment)
    #[arg(
        long,
        env = "HALFTONE_CORS_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ',',
        global = true,
        help_heading = "Server"
    )]
    cors_origin: Vec<String>,
    /// How long a signed download link works
    #[arg(
        long,
        env = "HALFTONE_LINK_LIFETIME",
        value_name = "DURATION",
        default_value = "7d",
        global = true,
        help_heading = "Server"
    )]
    link_lifetime: String,

    /// Images compressed at once; 0: API only. Default: one a core
    #[arg(long, env = "HALFTONE_WORKERS", value_name = "N", global = true, help_heading = "Workers")]
    workers: Option<String>,
    /// Images downloaded at once
    #[arg(
        long,
        env = "HALFTONE_DOWNLOADS",
        value_name = "N",
        default_value = "72",
        global = true,
        help_heading = "Workers"
    )]
    downloads: String,
    /// Memory for decoding images
    #[arg(
        long,
        env = "HALFTONE_DECODE_MEMORY",
        value_name = "BYTES",
        default_value = "1GiB",
        global = true,
        help_heading = "Workers"
    )]
    decode_memory: String,
    /// Memory for downloaded images that wait for a core
    #[arg(
        long,
        env = "HALFTONE_DOWNLOAD_MEMORY",
        value_name = "BYTES",
        default_value = "256MiB",
        global = true,
        help_heading = "Workers"
    )]
    download_memory: String,
    /// How long a worker may be silent before its images are given to others
    #[arg(
        long,
        env = "HALFTONE_WORKER_TIMEOUT",
        value_name = "DURATION",
        default_value = "15s",
        global = true,
        help_heading = "Workers"
    )]
    worker_timeout: String,
    /// How long images in hand may take to end when the process is told to stop
    #[arg(
        long,
        env = "HALFTONE_DRAIN_TIMEOUT",
        value_name = "DURATION",
        default_value = "25s",
        global = true,
        help_heading = "Workers"
    )]
    drain_timeout: String,

    /// A network whose addresses image and webhook hosts may have although they are private, on any port (repeatable;
    /// comma-separated in the environment)
    #[arg(
        long,
        env = "HALFTONE_ALLOW_NET",
        value_name = "CIDR",
        value_delimiter = ',',
        global = true,
        help_heading = "Fetching"
    )]
    allow_net: Vec<String>,
    /// Ports on which public hosts are contacted
    #[arg(
        long,
        env = "HALFTONE_FETCH_PORTS",
        value_name = "PORTS",
        value_delimiter = ',',
        default_value = "80,443",
        global = true,
        help_heading = "Fetching"
    )]
    fetch_ports: Vec<String>,
    /// What image and webhook hosts see as the User-Agent. Default: Halftone and its version. Some hosts refuse programs
    #[arg(long, env = "HALFTONE_USER_AGENT", value_name = "TEXT", global = true, help_heading = "Fetching")]
    user_agent: Option<String>,
    /// Largest image that is downloaded
    #[arg(
        long,
        env = "HALFTONE_MAX_IMAGE_BYTES",
        value_name = "BYTES",
        default_value = "25MiB",
        global = true,
        help_heading = "Fetching"
    )]
    max_image_bytes: String,
    /// Time to connect to an image host
    #[arg(
        long,
        env = "HALFTONE_CONNECT_TIMEOUT",
        value_name = "DURATION",
        default_value = "5s",
        global = true,
        help_heading = "Fetching"
    )]
    connect_timeout: String,
    /// Time until an image host begins to answer
    #[arg(
        long,
        env = "HALFTONE_FIRST_BYTE_TIMEOUT",
        value_name = "DURATION",
        default_value = "10s",
        global = true,
        help_heading = "Fetching"
    )]
    first_byte_timeout: String,
    /// Time for a whole download
    #[arg(
        long,
        env = "HALFTONE_DOWNLOAD_TIMEOUT",
        value_name = "DURATION",
        default_value = "30s",
        global = true,
        help_heading = "Fetching"
    )]
    download_timeout: String,
    /// Slowest download that is not cut, in bytes a second
    #[arg(
        long,
        env = "HALFTONE_MIN_DOWNLOAD_RATE",
        value_name = "BYTES",
        default_value = "16KiB",
        global = true,
        help_heading = "Fetching"
    )]
    min_download_rate: String,
    /// Redirects followed
    #[arg(
        long,
        env = "HALFTONE_MAX_REDIRECTS",
        value_name = "N",
        default_value = "5",
        global = true,
        help_heading = "Fetching"
    )]
    max_redirects: String,
    /// Downloads at once from one host that answers well; a host that complains gets fewer
    #[arg(
        long,
        env = "HALFTONE_DOWNLOADS_PER_HOST",
        value_name = "N",
        default_value = "64",
        global = true,
        help_heading = "Fetching"
    )]
    downloads_per_host: String,
    /// Attempts at an image whose failure may pass
    #[arg(
        long,
        env = "HALFTONE_MAX_ATTEMPTS",
        value_name = "N",
        default_value = "5",
        global = true,
        help_heading = "Fetching"
    )]
    max_attempts: String,
    /// Wait before the second attempt; each further one waits three times as long
    #[arg(
        long,
        env = "HALFTONE_RETRY_DELAY",
        value_name = "DURATION",
        default_value = "5s",
        global = true,
        help_heading = "Fetching"
    )]
    retry_delay: String,

    /// Largest CSV
    #[arg(
        long,
        env = "HALFTONE_MAX_CSV_BYTES",
        value_name = "BYTES",
        default_value = "50MiB",
        global = true,
        help_heading = "Limits"
    )]
    max_csv_bytes: String,
    /// Most rows in a CSV
    #[arg(
        long,
        env = "HALFTONE_MAX_ROWS",
        value_name = "N",
        default_value = "1000000",
        global = true,
        help_heading = "Limits"
    )]
    max_rows: String,
    /// Most image URLs in a CSV
    #[arg(
        long,
        env = "HALFTONE_MAX_IMAGES",
        value_name = "N",
        default_value = "1000000",
        global = true,
        help_heading = "Limits"
    )]
    max_images: String,
    /// Most image URLs in a row
    #[arg(
        long,
        env = "HALFTONE_MAX_IMAGES_PER_PRODUCT",
        value_name = "N",
        default_value = "100",
        global = true,
        help_heading = "Limits"
    )]
    max_images_per_product: String,
    /// Problems of a CSV that are kept; all are counted
    #[arg(
        long,
        env = "HALFTONE_MAX_CSV_ISSUES",
        value_name = "N",
        default_value = "1000",
        global = true,
        help_heading = "Limits"
    )]
    max_csv_issues: String,
    /// Largest image, in pixels, summed over its frames
    #[arg(
        long,
        env = "HALFTONE_MAX_PIXELS",
        value_name = "N",
        default_value = "50000000",
        global = true,
        help_heading = "Limits"
    )]
    max_pixels: String,
    /// Longest side of an image, in pixels
    #[arg(
        long,
        env = "HALFTONE_MAX_SIDE",
        value_name = "N",
        default_value = "16384",
        global = true,
        help_heading = "Limits"
    )]
    max_side: String,

    /// The key that signs webhooks, `whsec_` and base64. Default: one is made and kept in the database; see `halftone keys`
    #[arg(
        long,
        env = "HALFTONE_WEBHOOK_SECRET",
        value_name = "SECRET",
        hide_env_values = true,
        global = true,
        help_heading = "Webhooks"
    )]
    webhook_secret: Option<String>,
    /// Waits before each attempt at a webhook
    #[arg(
        long,
        env = "HALFTONE_WEBHOOK_SCHEDULE",
        value_name = "DURATIONS",
        value_delimiter = ',',
        default_value = "0s,5s,5m,30m,2h,5h,10h,14h,20h,24h",
        global = true,
        help_heading = "Webhooks"
    )]
    webhook_schedule: Vec<String>,
}

/// The settings, checked.
#[derive(Debug, Clone)]
pub struct Config {
    pub database_url: Option<String>,
    pub data_dir: PathBuf,
    pub database_connections: usize,
    pub log: String,
    pub log_json: bool,
    pub listen: SocketAddr,
    /// Addresses this process listens on, once it does: no image is fetched from them.
    pub own_listeners: Vec<SocketAddr>,
    /// Without a trailing slash.
    pub public_url: String,
    /// Whether `public_url` was chosen rather than derived from the listener.
    pub public_url_given: bool,
    pub insecure_no_auth: bool,
    /// Whether the console and the playground are served.
    pub console: bool,
    pub cors_origins: Vec<WebOrigin>,
    pub link_lifetime: Duration,
    /// Images compressed at once.
    pub workers: usize,
    /// Images downloaded at once.
    pub downloads: usize,
    pub decode_memory: u64,
    pub download_memory: u64,
    pub worker_timeout: Duration,
    pub drain_timeout: Duration,
    pub allow_nets: Vec<IpNet>,
    pub fetch_ports: Vec<u16>,
    pub user_agent: Option<String>,
    pub fetch: fetch::Limits,
    pub max_attempts: u32,
    pub retry_delay: Duration,
    pub sheet: sheet::Limits,
    pub compress: compress::Limits,
    pub webhook_secret: Option<String>,
    pub webhook_schedule: Vec<Duration>,
}

impl Options {
    /// Reads every setting; on failure every problem, each with the name of its flag and what it takes.
    pub fn check(self) -> Result<Config, Vec<String>> {
        let mut problems = Problems::default();
        let p = &mut problems;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);

        let listen: SocketAddr = p.parse(
            "--listen",
            &self.listen,
            "an address and port such as 127.0.0.1:8080",
            SocketAddr::from(([127, 0, 0, 1], 8080)),
        );
        if !listen.ip().is_loopback() && !self.insecure_no_auth {
            p.add(format!(
                "--listen {listen} can be reached by other machines, and nothing would ask them who they are; listen on \
                 127.0.0.1, or say --insecure-no-auth when something in front of Halftone does"
            ));
        }
        let public_url_given = self.public_url.is_some();
        let public_url = match &self.public_url {
            None => format!("http://{listen}"),
            Some(text) => match Url::parse(text) {
                Ok(url)
                    if matches!(url.scheme(), "http" | "https")
                        && url.query().is_none()
                        && url.fragment().is_none() =>
                {
                    url.as_str().trim_end_matches('/').to_owned()
                }
                _ => {
                    p.refuse("--public-url", text, "an http or https URL such as https://images.example.com");
                    String::new()
                }
            },
        };
        let mut cors_origins = Vec::new();
        for text in &self.cors_origin {
            match text.parse() {
                Ok(origin) => cors_origins.push(origin),
                Err(_) => p.refuse("--cors-origin", text, "a web origin such as https://shop.example.com, or *"),
            }
        }
        let log_json = match self.log_format.as_str() {
            "json" => true,
            "text" => false,
            other => {
                p.refuse("--log-format", other, "text or json");
                false
            }
        };
        if let Err(error) = tracing_subscriber::EnvFilter::builder().parse(&self.log) {
            p.add(format!("--log {:?}: {error}", self.log));
        }
        if let Some(url) = &self.database_url
            && url.parse::<tokio_postgres::Config>().is_err()
        {
            // The URL holds a password: it is not repeated.
            p.add("--database-url is not a Postgres URL such as postgres://user:password@host/database".to_owned());
        }
        if let Some(secret) = &self.webhook_secret
            && let Err(error) = crate::webhook::Secret::parse(secret)
        {
            p.add(format!("--webhook-secret: {error}"));
        }

        if let Some(text) = &self.user_agent
            && !(1..=255).contains(&text.len()) | text.bytes().any(|byte| !matches!(byte, b' '..=b'~'))
        {
            p.refuse("--user-agent", text, "a line of 1 to 255 ASCII characters");
        }

        let config = Config {
            database_url: self.database_url,
            data_dir: PathBuf::from(&self.data_dir),
            database_connections: p.number("--database-connections", &self.database_connections, 2, 1_000),
            log: self.log,
            log_json,
            listen,
            own_listeners: Vec::new(),
            public_url,
            public_url_given,
            insecure_no_auth: self.insecure_no_auth,
            console: !self.no_console,
            cors_origins,
            link_lifetime: p.duration("--link-lifetime", &self.link_lifetime, "1s", "3650d"),
            workers: self.workers.as_deref().map_or(cores, |text| p.number("--workers", text, 0, 1_024)),
            downloads: p.number("--downloads", &self.downloads, 1, 1_024),
            decode_memory: p.bytes("--decode-memory", &self.decode_memory, 64 << 20),
            download_memory: p.bytes("--download-memory", &self.download_memory, 1 << 20),
            worker_timeout: p.duration("--worker-timeout", &self.worker_timeout, "1s", "1h"),
            drain_timeout: p.duration("--drain-timeout", &self.drain_timeout, "0s", "1h"),
            allow_nets: self
                .allow_net
                .iter()
                .filter_map(|text| p.option("--allow-net", text, "a network such as 10.0.0.0/8 or fd00::/8"))
                .collect(),
            fetch_ports: self.fetch_ports.iter().map(|text| p.number("--fetch-ports", text, 1, 65_535)).collect(),
            user_agent: self.user_agent,
            fetch: fetch::Limits {
                max_bytes: p.bytes("--max-image-bytes", &self.max_image_bytes, 1),
                connect_timeout: p.duration("--connect-timeout", &self.connect_timeout, "1ms", "10m"),
                first_byte_timeout: p.duration("--first-byte-timeout", &self.first_byte_timeout, "1ms", "10m"),
                total_timeout: p.duration("--download-timeout", &self.download_timeout, "1ms", "1h"),
                min_bytes_per_second: p.bytes("--min-download-rate", &self.min_download_rate, 0),
                max_redirects: p.number("--max-redirects", &self.max_redirects, 0, 20),
                downloads: p.number("--downloads", &self.downloads, 1, 1_024),
                max_per_host: p.number("--downloads-per-host", &self.downloads_per_host, 1, 1_024),
                ..fetch::Limits::default()
            },
            max_attempts: p.number("--max-attempts", &self.max_attempts, 1, 100),
            retry_delay: p.duration("--retry-delay", &self.retry_delay, "0s", "1h"),
            sheet: sheet::Limits {
                max_bytes: p.bytes("--max-csv-bytes", &self.max_csv_bytes, 1),
                max_rows: p.number("--max-rows", &self.max_rows, 1, 100_000_000),
                max_images: p.number("--max-images", &self.max_images, 1, 100_000_000),
                max_images_per_product: p.number("--max-images-per-product", &self.max_images_per_product, 1, 10_000),
                max_issues: p.number("--max-csv-issues", &self.max_csv_issues, 1, 100_000),
                ..sheet::Limits::default()
            },
            compress: compress::Limits {
                max_pixels: p.number("--max-pixels", &self.max_pixels, 1, 1_000_000_000),
                max_side: p.number("--max-side", &self.max_side, 1, 65_535),
            },
            webhook_secret: self.webhook_secret,
            webhook_schedule: self
                .webhook_schedule
                .iter()
                .map(|text| p.duration("--webhook-schedule", text, "0s", "30d"))
                .collect(),
        };
        if problems.0.is_empty() { Ok(config) } else { Err(problems.0) }
    }
}

/// What is wrong with the settings. The methods return a stand-in for a bad value: it is never used, since any problem
/// makes [`Options::check`] fail.
#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn add(&mut self, problem: String) {
        self.0.push(problem);
    }

    fn refuse(&mut self, flag: &str, text: &str, takes: &str) {
        self.add(format!("{flag} {text:?} is not {takes}"));
    }

    fn option<T: FromStr>(&mut self, flag: &str, text: &str, takes: &str) -> Option<T> {
        let parsed = text.trim().parse().ok();
        if parsed.is_none() {
            self.refuse(flag, text, takes);
        }
        parsed
    }

    fn parse<T: FromStr>(&mut self, flag: &str, text: &str, takes: &str, stand_in: T) -> T {
        self.option(flag, text, takes).unwrap_or(stand_in)
    }

    fn number<T: TryFrom<u64>>(&mut self, flag: &str, text: &str, least: u64, most: u64) -> T {
        let number = text.trim().replace('_', "").parse::<u64>().ok().filter(|number| (least..=most).contains(number));
        match number.and_then(|number| T::try_from(number).ok()) {
            Some(number) => number,
            None => {
                self.refuse(flag, text, &format!("a whole number from {least} to {most}"));
                T::try_from(least).unwrap_or_else(|_| unreachable!("every range begins within its type"))
            }
        }
    }

    fn bytes(&mut self, flag: &str, text: &str, least: u64) -> u64 {
        match text.trim().parse::<ByteSize>() {
            Ok(size) if size.0 >= least => size.0,
            Ok(_) => {
                self.refuse(flag, text, &format!("at least {}", ByteSize(least)));
                least
            }
            Err(_) => {
                self.refuse(flag, text, "a number of bytes such as 25MiB");
                least
            }
        }
    }

    /// `least` and `most` are durations as they are written.
    fn duration(&mut self, flag: &str, text: &str, least: &str, most: &str) -> Duration {
        let bound = |text| humantime::parse_duration(text).unwrap_or_else(|_| unreachable!("bounds are durations"));
        match humantime::parse_duration(text.trim()) {
            Ok(duration) if (bound(least)..=bound(most)).contains(&duration) => duration,
            _ => {
                self.refuse(flag, text, &format!("a duration from {least} to {most} such as 30s, 5m or 2h"));
                bound(least)
            }
        }
    }
}
