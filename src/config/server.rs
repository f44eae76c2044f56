//! Settings of the API's server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::value::{self, duration, number};
use crate::web_origin::WebOrigin;

/// Settings of the server.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Server")]
pub struct Server {
    /// The API's address and port
    #[arg(
        long,
        env = "HALFTONE_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8080",
        value_parser = value::address
    )]
    pub listen: SocketAddr,
    /// The address and port of a listener for operators: /metrics for Prometheus, /healthz and /readyz. It requires no key.
    /// Default: none
    #[arg(long, env = "HALFTONE_ADMIN_LISTEN", value_name = "ADDRESS", value_parser = value::address)]
    pub admin_listen: Option<SocketAddr>,
    /// The API's certificate, with its chain, in PEM, to serve the API over https. Read again when it changes
    #[arg(long, env = "HALFTONE_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's key, in PEM
    #[arg(long, env = "HALFTONE_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// How clients reach the API, for the links in results. Default: http:// (or https://) and the listener's address
    #[arg(long, env = "HALFTONE_PUBLIC_URL", value_name = "URL", value_parser = value::base_url)]
    pub public_url: Option<String>,
    /// A network of proxies that are trusted to say in X-Forwarded-For, -Proto and -Host who is calling and, without
    /// --public-url, how clients reach the API (repeatable; comma-separated in the environment). Default: none
    #[arg(
        long = "trusted-proxy",
        env = "HALFTONE_TRUSTED_PROXY",
        value_name = "CIDR",
        value_delimiter = ',',
        value_parser = value::network
    )]
    pub trusted_proxies: Vec<IpNet>,
    /// Simultaneous client connections, at most half of the limit of open files. When there are more, idle clients are
    /// disconnected, and the others wait
    #[arg(
        long,
        env = "HALFTONE_MAX_CONNECTIONS",
        value_name = "N",
        default_value = "4096",
        value_parser = number::<usize>(1, 1_000_000)
    )]
    pub max_connections: usize,
    /// How long a client may be idle: until the head of its next request is complete, between two pieces of a body, and while
    /// it reads nothing more of a response
    #[arg(
        long,
        env = "HALFTONE_IDLE_TIMEOUT",
        value_name = "DURATION",
        default_value = "30s",
        value_parser = duration("1s", "1h")
    )]
    pub idle_timeout: Duration,
    /// How long a client may take to send a whole request
    #[arg(
        long,
        env = "HALFTONE_REQUEST_TIMEOUT",
        value_name = "DURATION",
        default_value = "15m",
        value_parser = duration("1s", "1d")
    )]
    pub request_timeout: Duration,
    /// Require no API key, not even from other machines: a proxy in front of Halftone authenticates callers
    #[arg(long, env = "HALFTONE_INSECURE_NO_AUTH", value_parser = value::boolean)]
    pub insecure_no_auth: bool,
    /// Serve only the API: no console at / and no playground
    #[arg(long, env = "HALFTONE_NO_CONSOLE", value_parser = value::boolean)]
    pub no_console: bool,
    /// A web origin whose pages may call the API (repeatable; comma-separated in the environment)
    #[arg(
        long = "cors-origin",
        env = "HALFTONE_CORS_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ',',
        value_parser = value::origin
    )]
    pub cors_origins: Vec<WebOrigin>,
    /// How long a signed download link works
    #[arg(
        long,
        env = "HALFTONE_LINK_LIFETIME",
        value_name = "DURATION",
        default_value = "7d",
        value_parser = duration("1s", "3650d")
    )]
    pub link_lifetime: Duration,
}

impl Server {
    /// The listener's address as a URL.
    pub fn listen_url(&self) -> String {
        let scheme = if self.tls_cert.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.listen)
    }
}
