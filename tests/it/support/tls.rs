//! Postgres as it answers over TCP when TLS is on: what comes unencrypted is refused. The test cluster listens on a Unix socket,
//! over which Postgres never speaks TLS, so this does it and passes everything else on.
//!
//! The certificates beside this file are for `localhost` and valid until 2120. `signed.pem` is signed by `authority.pem`,
//! `self_signed.pem` by itself, as PostgreSQL's manual makes one; both have the key `key.pem`, which protects nothing.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio_postgres::config::Host;
use tokio_rustls::TlsAcceptor;

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// One of the certificates.
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/tls").join(name)
}

/// What a server does with those who ask for TLS.
#[derive(Clone)]
pub enum Offers {
    /// TLS with this certificate; nothing else.
    Tls(&'static str),
    /// No TLS.
    Plain,
}

/// A running server. It ends when it is dropped, and its connections with it.
pub struct TlsServer {
    pub port: u16,
    user: String,
    database: String,
    encrypted: Arc<AtomicUsize>,
    _server: JoinSet<()>,
}

impl TlsServer {
    /// Before the database at `database_url`.
    pub async fn start(database_url: &str, offers: Offers) -> Self {
        let config: tokio_postgres::Config = database_url.parse().expect("a database URL");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen");
        let port = listener.local_addr().expect("address").port();
        let encrypted = Arc::new(AtomicUsize::new(0));
        let (user, database) = (config.get_user().expect("a user"), config.get_dbname().expect("a database"));
        let (user, database) = (user.to_owned(), database.to_owned());
        let mut server = JoinSet::new();
        server.spawn(accept(listener, config, offers, encrypted.clone()));
        Self { port, user, database, encrypted, _server: server }
    }

    /// The database, by this name of the server, with these parameters.
    pub fn url(&self, host: &str, parameters: &str) -> String {
        format!("postgres://{}@{host}:{}/{}?{parameters}", self.user, self.port, self.database)
    }

    /// Connections that were encrypted so far.
    pub fn encrypted(&self) -> usize {
        self.encrypted.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, config: tokio_postgres::Config, offers: Offers, encrypted: Arc<AtomicUsize>) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.expect("accept");
        let (config, offers, encrypted) = (config.clone(), offers.clone(), encrypted.clone());
        // A client that breaks off is no fault of ours.
        connections.spawn(async move { drop(serve(client, &config, &offers, &encrypted).await) });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(
    mut client: TcpStream,
    config: &tokio_postgres::Config,
    offers: &Offers,
    encrypted: &AtomicUsize,
) -> std::io::Result<()> {
    let mut first = [0; 8];
    client.read_exact(&mut first).await?;
    match offers {
        Offers::Plain if first == SSL_REQUEST => {
            client.write_all(b"N").await?;
            join(client, config, &[]).await
        }
        Offers::Plain => join(client, config, &first).await,
        Offers::Tls(certificate) if first == SSL_REQUEST => {
            client.write_all(b"S").await?;
            let client = acceptor(certificate).accept(client).await?;
            encrypted.fetch_add(1, Ordering::Relaxed);
            join(client, config, &[]).await
        }
        Offers::Tls(_) => Ok(()),
    }
}

fn acceptor(certificate: &str) -> TlsAcceptor {
    let certificates = CertificateDer::pem_file_iter(file(certificate)).expect("a file").collect::<Result<_, _>>();
    let key = PrivateKeyDer::from_pem_file(file("key.pem")).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let config = config.with_no_client_auth().with_single_cert(certificates.expect("certificates"), key);
    TlsAcceptor::from(Arc::new(config.expect("a configuration")))
}

/// Passes everything on to Postgres, after what was read already.
async fn join<S>(mut client: S, config: &tokio_postgres::Config, read: &[u8]) -> std::io::Result<()>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let port = config.get_ports().first().copied().unwrap_or(5432);
    match &config.get_hosts()[0] {
        Host::Unix(directory) => {
            let mut server = UnixStream::connect(directory.join(format!(".s.PGSQL.{port}"))).await?;
            server.write_all(read).await?;
            copy_bidirectional(&mut client, &mut server).await?;
        }
        Host::Tcp(name) => {
            let mut server = TcpStream::connect((name.as_str(), port)).await?;
            server.write_all(read).await?;
            copy_bidirectional(&mut client, &mut server).await?;
        }
    }
    Ok(())
}
