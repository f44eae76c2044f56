//! Connects to a bucket of S3, Google or Azure, or of a server with one of their interfaces.
//!
//! Its address is the operator's, never a user's, so it may be private and no address guard is asked.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::signer::Signer;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use super::address::{Bucket, Provider};
use crate::trace;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the server may say nothing while it is asked, or in the middle of an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(20);
/// What is asked again when the server fails, throttles, or the connection is lost.
const RETRIES: usize = 5;
const RETRY_TIMEOUT: Duration = Duration::from_secs(40);
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LATEST_RETRY: Duration = Duration::from_secs(4);

const USER_AGENT: &str = concat!("Halftone/", env!("CARGO_PKG_VERSION"));

/// The variables by which the providers' own tools are configured: `AWS_ACCESS_KEY_ID`, `AWS_REGION`,
/// `GOOGLE_APPLICATION_CREDENTIALS`, `AZURE_STORAGE_ACCOUNT_NAME` and their like. Without credentials among them the role of the
/// machine is asked for.
#[derive(Clone, Default)]
pub struct Environment(Vec<(String, String)>);

impl Environment {
    /// Those among these variables that mean something to a provider.
    pub fn of(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let is_ours = |name: &str| {
            ["AWS_", "GOOGLE_", "AZURE_"].iter().any(|beginning| name.starts_with(beginning)) || name == MSI_ENDPOINT
        };
        Self(variables.into_iter().filter(|(name, value)| is_ours(name) && !value.is_empty()).collect())
    }

    /// The settings of a provider whose variables have this beginning, those that it knows.
    fn settings<K: FromStr>(&self, beginning: &str) -> impl Iterator<Item = (K, &str)> {
        let of_provider = self.0.iter().filter(move |(name, _)| name.starts_with(beginning));
        of_provider.filter_map(|(name, value)| Some((name.to_ascii_lowercase().parse().ok()?, value.as_str())))
    }
}

/// The values may be secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Where Azure's machines ask for the credentials of their role.
const MSI_ENDPOINT: &str = "IDENTITY_ENDPOINT";

/// The objects of a bucket, and what signs addresses of them.
pub(super) fn connect(
    bucket: &Bucket,
    endpoint: Option<&str>,
    environment: &Environment,
) -> anyhow::Result<(Arc<dyn ObjectStore>, Arc<dyn Signer>)> {
    // Only the first provider of a process can be installed; if one is there already, it is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = ClientOptions::new()
        .with_user_agent(reqwest::header::HeaderValue::from_static(USER_AGENT))
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_timeout_disabled()
        .with_read_timeout(READ_TIMEOUT)
        .with_allow_http(endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")));
    let retry = RetryConfig {
        backoff: BackoffConfig { init_backoff: FIRST_RETRY, max_backoff: LATEST_RETRY, base: 2.0 },
        max_retries: RETRIES,
        retry_timeout: RETRY_TIMEOUT,
    };
    match bucket.provider {
        Provider::S3 => {
            let mut builder =
                AmazonS3Builder::new().with_http_connector(Connector).with_client_options(client).with_retry(retry);
            for (key, value) in environment.settings::<AmazonS3ConfigKey>("AWS_") {
                builder = builder.with_config(key, value);
            }
            if let Some(endpoint) = endpoint {
                builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
            }
            both(builder.with_bucket_name(&bucket.name).build())
        }
        Provider::Google => {
            let mut builder = GoogleCloudStorageBuilder::new()
                .with_http_connector(Connector)
                .with_client_options(client)
                .with_retry(retry);
            for (key, value) in environment.settings::<GoogleConfigKey>("GOOGLE_") {
                builder = builder.with_config(key, value);
            }
            if let Some(endpoint) = endpoint {
                builder = builder.with_base_url(endpoint);
            }
            both(builder.with_bucket_name(&bucket.name).build())
        }
        Provider::Azure => {
            let mut builder = MicrosoftAzureBuilder::new()
                .with_http_connector(Connector)
                .with_client_options(client)
                .with_retry(retry);
            for (key, value) in environment.settings::<AzureConfigKey>("AZURE_") {
                builder = builder.with_config(key, value);
            }
            if let Some((_, address)) = environment.0.iter().find(|(name, _)| name == MSI_ENDPOINT) {
                builder = builder.with_config(AzureConfigKey::MsiEndpoint, address);
            }
            if let Some(endpoint) = endpoint {
                builder = builder.with_endpoint(endpoint.to_owned());
            }
            both(builder.with_container_name(&bucket.name).build())
        }
    }
    .with_context(|| format!("the settings of {bucket} are not complete"))
}

/// Connects as the library does; what is asked for somebody's trace says so. Such headers need not be signed.
#[derive(Debug)]
struct Connector;

#[derive(Debug)]
struct Service(HttpClient);

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service(ReqwestConnector::default().connect(options)?)))
    }
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        if let Some(trace) = trace::current()
            && let Ok(value) = trace.to_string().try_into()
        {
            request.headers_mut().insert(trace::HEADER, value);
        }
        self.0.execute(request).await
    }
}

fn both<S: ObjectStore + Signer>(
    built: object_store::Result<S>,
) -> anyhow::Result<(Arc<dyn ObjectStore>, Arc<dyn Signer>)> {
    let store = Arc::new(built?);
    Ok((store.clone(), store))
}
