//! TLS of a listener, with a certificate and a key from files. Both are read again when they change, so that who renews them need
//! not restart anything.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, crypto::CryptoProvider};
use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};

/// How often is looked whether the files have changed.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// What is spoken inside, the preferred one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Who the server says it is.
pub struct Identity {
    certificate: PathBuf,
    key: PathBuf,
    current: Arc<Current>,
}

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

impl Identity {
    /// Reads the certificate, followed by those that lead to its authority, and its key, both in PEM.
    pub fn read(certificate: &Path, key: &Path) -> anyhow::Result<Self> {
        let (certificate, key) = (certificate.to_owned(), key.to_owned());
        let current = Arc::new(Current(RwLock::new(Arc::new(load(&certificate, &key)?))));
        Ok(Self { certificate, key, current })
    }

    /// What makes a connection an encrypted one.
    pub fn acceptor(&self) -> anyhow::Result<TlsAcceptor> {
        let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
        let mut config = config.with_no_client_auth().with_cert_resolver(self.current.clone());
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Reads the files again whenever they have changed, until it is dropped. What cannot be used changes nothing.
    pub async fn watch(self) {
        let mut seen = self.versions();
        loop {
            tokio::time::sleep(LOOK_INTERVAL).await;
            let now = self.versions();
            if now == seen {
                continue;
            }
            match load(&self.certificate, &self.key) {
                Ok(identity) => {
                    *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(identity);
                    seen = now;
                    info!("serving with the new certificate in {}", self.certificate.display());
                }
                // One of the two may be written before the other.
                Err(error) => warn!("keeping the previous certificate: {error:#}"),
            }
        }
    }

    fn versions(&self) -> [Option<(SystemTime, u64)>; 2] {
        [&self.certificate, &self.key].map(|file| {
            let metadata = std::fs::metadata(file).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        })
    }
}

fn load(certificate: &Path, key: &Path) -> anyhow::Result<CertifiedKey> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
    let certificates = certificates.with_context(|| format!("read the certificate in {}", certificate.display()))?;
    anyhow::ensure!(!certificates.is_empty(), "{} has no certificate in PEM", certificate.display());
    let private = PrivateKeyDer::from_pem_file(key).with_context(|| format!("read the key in {}", key.display()))?;
    let both = CertifiedKey::from_der(certificates, private, &provider());
    both.with_context(|| format!("use the certificate in {} with the key in {}", certificate.display(), key.display()))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
