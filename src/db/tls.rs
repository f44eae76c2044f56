//! TLS to Postgres, by the rules of libpq's `sslmode`, with rustls.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, anyhow, bail};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Asks a server whether it speaks TLS: a length and a number that no protocol version has.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// How much TLS must prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    Disable,
    /// If the server offers it, whoever it is.
    Prefer,
    /// Encrypted, whoever the server is; with root certificates as `VerifyCa`, as libpq has it.
    Require,
    /// The certificate is signed by an authority that is trusted.
    VerifyCa,
    /// And it is for the host that is connected to.
    VerifyFull,
}

impl TlsMode {
    const WORDS: [(Self, &'static str); 5] = [
        (Self::Disable, "disable"),
        (Self::Prefer, "prefer"),
        (Self::Require, "require"),
        (Self::VerifyCa, "verify-ca"),
        (Self::VerifyFull, "verify-full"),
    ];

    pub fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.into_iter().find(|(_, own)| *own == word).map(|(mode, _)| mode)
    }
}

impl fmt::Display for TlsMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::WORDS.into_iter().find(|(mode, _)| mode == self).map(|(_, word)| word);
        f.write_str(word.unwrap_or_default())
    }
}

/// Which authorities are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RootCertificates {
    /// Those of the operating system.
    System,
    /// Those in this file.
    File(PathBuf),
}

impl From<String> for RootCertificates {
    fn from(text: String) -> Self {
        if text == "system" { Self::System } else { Self::File(text.into()) }
    }
}

/// How TLS is spoken to a database. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    mode: TlsMode,
    roots: Option<RootCertificates>,
    /// Made when it is needed first.
    config: Arc<OnceLock<Arc<ClientConfig>>>,
}

/// A connection, encrypted or not.
pub enum Secured {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl Tls {
    pub fn new(mode: TlsMode, roots: Option<RootCertificates>) -> Self {
        Self { mode, roots, config: Arc::default() }
    }

    #[cfg(test)]
    pub fn mode(&self) -> TlsMode {
        self.mode
    }

    #[cfg(test)]
    pub fn roots(&self) -> Option<&RootCertificates> {
        self.roots.as_ref()
    }

    /// Asks the server for TLS, and encrypts the connection to `host` with it.
    ///
    /// # Errors
    /// The server offers none although it must, or is not the one that it should be.
    pub async fn secure(&self, mut stream: TcpStream, host: &str) -> anyhow::Result<Secured> {
        let mode = self.mode;
        if mode == TlsMode::Disable {
            return Ok(Secured::Plain(stream));
        }
        stream.write_all(&SSL_REQUEST).await?;
        let mut answer = [0];
        stream.read_exact(&mut answer).await?;
        match &answer {
            b"S" => {}
            b"N" if mode == TlsMode::Prefer => return Ok(Secured::Plain(stream)),
            b"N" => bail!("the database server at {host} does not offer TLS, which sslmode={mode} requires"),
            _ => bail!("the server at {host} is not a PostgreSQL server"),
        }
        let name =
            ServerName::try_from(host.to_owned()).with_context(|| format!("{host} cannot be in a certificate"))?;
        let connector = TlsConnector::from(self.config()?);
        let stream = connector.connect(name, stream).await.map_err(|error| explain(error, host, mode))?;
        Ok(Secured::Encrypted(Box::new(stream)))
    }

    fn config(&self) -> anyhow::Result<Arc<ClientConfig>> {
        if let Some(config) = self.config.get() {
            return Ok(config.clone());
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let authorities = self.authorities()?;
        let verifier = Verifier {
            chain: authorities.as_ref().map(|known| verifier(known, &provider)).transpose()?,
            known: authorities.unwrap_or_default(),
            checks_name: self.mode == TlsMode::VerifyFull,
            provider: provider.clone(),
        };
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let config = config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth();
        Ok(self.config.get_or_init(|| Arc::new(config)).clone())
    }

    /// The certificates of those who are trusted; `None`: everyone is.
    fn authorities(&self) -> anyhow::Result<Option<Vec<CertificateDer<'static>>>> {
        let file = match (self.mode, &self.roots) {
            (TlsMode::Disable | TlsMode::Prefer, _) | (TlsMode::Require, None) => return Ok(None),
            (_, None | Some(RootCertificates::System)) => {
                let found = rustls_native_certs::load_native_certs();
                anyhow::ensure!(
                    !found.certs.is_empty(),
                    "the system has no root certificates; name a file of them with sslrootcert=FILE"
                );
                return Ok(Some(found.certs));
            }
            (_, Some(RootCertificates::File(file))) => file,
        };
        let read = || -> anyhow::Result<Vec<_>> {
            let certificates = CertificateDer::pem_file_iter(file)?.collect::<Result<Vec<_>, _>>()?;
            anyhow::ensure!(!certificates.is_empty(), "it has no certificate");
            Ok(certificates)
        };
        Ok(Some(read().with_context(|| format!("read the root certificates in {}", file.display()))?))
    }
}

fn verifier(
    authorities: &[CertificateDer<'static>],
    provider: &Arc<CryptoProvider>,
) -> anyhow::Result<Arc<WebPkiServerVerifier>> {
    let mut store = RootCertStore::empty();
    // Of the system's, some may be of a kind that nobody uses any more.
    let (added, _) = store.add_parsable_certificates(authorities.iter().cloned());
    anyhow::ensure!(added > 0, "no root certificate can be used");
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider.clone()).build();
    verifier.context("use the root certificates")
}

/// What is wrong, and what to do about it.
fn explain(error: std::io::Error, host: &str, mode: TlsMode) -> anyhow::Error {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>());
    match cause {
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => anyhow!(
            "the certificate of the database server at {host} is not signed by a trusted authority; name the file with the \
             authority's certificate with sslrootcert=FILE"
        ),
        Some(Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => anyhow!(
            "the certificate of the database server at {host} is for another name; connect to a name that is in it, or use \
             sslmode=verify-ca if every server of that authority can be trusted"
        ),
        _ => {
            anyhow::Error::new(error).context(format!("speak TLS with the database server at {host} (sslmode={mode})"))
        }
    }
}

/// Checks certificates as far as the mode asks for it.
#[derive(Debug)]
struct Verifier {
    /// `None`: any certificate will do.
    chain: Option<Arc<WebPkiServerVerifier>>,
    /// The certificates that are trusted. A server may show one of them: one that is signed by itself is its own authority.
    known: Vec<CertificateDer<'static>>,
    checks_name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        if self.known.iter().any(|known| known == certificate) {
            if self.checks_name {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        match chain.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            // The name is looked at last.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.checks_name => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
