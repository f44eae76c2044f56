//! Settings of the store: where outputs are kept, and how clients get them.

use std::str::FromStr;

use super::value;
use crate::store::{Address, Environment};

/// Settings of the store.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Store")]
pub struct Storage {
    /// Where outputs, uploads and result files are kept: a directory, or a bucket and a prefix that all machines share, such as
    /// s3://pictures/halftone, gs://… or az://…. Default: outputs in the data directory
    #[arg(long, env = "HALFTONE_STORE", value_name = "ADDRESS", value_parser = Address::from_str)]
    pub store: Option<Address>,
    /// The address of the bucket's server, if it is not the provider's: MinIO, Garage, Ceph, R2. It may be private
    #[arg(long, env = "HALFTONE_STORE_ENDPOINT", value_name = "URL", value_parser = value::base_url)]
    pub store_endpoint: Option<String>,
    /// How /images/… serves objects in a bucket: redirect (to a signed address of the bucket) or proxy (through this server)
    #[arg(long, env = "HALFTONE_SERVE_OBJECTS", value_name = "HOW", default_value = "redirect")]
    serve_objects: ServeObjects,
    /// The URL at which a CDN or a web server serves the store; outputs have their addresses there
    #[arg(long, env = "HALFTONE_IMAGES_URL", value_name = "URL", value_parser = value::base_url)]
    pub images_url: Option<String>,
    /// The variables that providers' tools read.
    #[arg(skip)]
    pub environment: Environment,
}

impl Storage {
    /// Whether clients are sent to the bucket, where there is one.
    pub fn redirects(&self) -> bool {
        self.serve_objects == ServeObjects::Redirect
    }
}

/// How objects of a bucket are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ServeObjects {
    Redirect,
    Proxy,
}

impl FromStr for ServeObjects {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "redirect" => Ok(Self::Redirect),
            "proxy" => Ok(Self::Proxy),
            _ => Err("redirect or proxy".to_owned()),
        }
    }
}
