//! A TCP proxy in front of Postgres that can cut connections, refuse them, or let them fall silent.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_postgres::config::Host;

/// Where the server listens.
#[derive(Clone)]
enum Server {
    Unix(PathBuf),
    Tcp(String, u16),
}

/// What is wrong with the connections. A connection knows how many there were before it, so that a fault can concern
/// those that are open and spare later ones.
#[derive(Clone, Copy, Default)]
struct Faults {
    /// Connections before this one carry nothing any more, and stay open.
    silent_before: u64,
    /// Connections before this one are closed.
    closed_before: u64,
    refuses: bool,
}

/// A running proxy. It ends when it is dropped.
pub struct Proxy {
    pub database_url: String,
    faults: watch::Sender<Faults>,
    count: watch::Receiver<u64>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// A proxy in front of the server of `database_url`.
    pub async fn start(database_url: &str) -> Self {
        let config: tokio_postgres::Config = database_url.parse().expect("a database URL");
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let server = match &config.get_hosts()[0] {
            Host::Unix(directory) => Server::Unix(directory.join(format!(".s.PGSQL.{port}"))),
            Host::Tcp(host) => Server::Tcp(host.clone(), port),
        };
        let password = config.get_password().map(|word| format!(":{}", String::from_utf8_lossy(word)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen");
        let address: SocketAddr = listener.local_addr().expect("address");
        let database_url = format!(
            "postgres://{}{}@{address}/{}?sslmode=disable",
            config.get_user().expect("a user"),
            password.unwrap_or_default(),
            config.get_dbname().expect("a database"),
        );
        let faults = watch::Sender::new(Faults::default());
        let (counter, count) = watch::channel(0);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, server, faults.subscribe(), counter));
        Self { database_url, faults, count, _tasks: tasks }
    }

    /// Closes the connections that are open.
    pub fn cut(&self) {
        let before = *self.count.borrow();
        self.faults.send_modify(|faults| faults.closed_before = before);
    }

    /// Nothing passes any more over the connections that are open, and nobody is told. New ones work.
    pub fn silence(&self) {
        let before = *self.count.borrow();
        self.faults.send_modify(|faults| faults.silent_before = before);
    }

    /// Closes the connections that are open, and every new one, until [`Self::admit`].
    pub fn refuse(&self) {
        self.faults.send_modify(|faults| faults.refuses = true);
        self.cut();
    }

    pub fn admit(&self) {
        self.faults.send_modify(|faults| faults.refuses = false);
    }
}

async fn accept(listener: TcpListener, server: Server, faults: watch::Receiver<Faults>, count: watch::Sender<u64>) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.expect("accept");
        if faults.borrow().refuses {
            continue;
        }
        let number = *count.borrow();
        count.send_replace(number + 1);
        let (server, faults) = (server.clone(), faults.clone());
        connections.spawn(async move {
            match server {
                Server::Unix(path) => match UnixStream::connect(path).await {
                    Ok(server) => forward(client, server, number, faults).await,
                    Err(error) => eprintln!("proxy: {error}"),
                },
                Server::Tcp(host, port) => match TcpStream::connect((host.as_str(), port)).await {
                    Ok(server) => forward(client, server, number, faults).await,
                    Err(error) => eprintln!("proxy: {error}"),
                },
            }
        });
    }
}

async fn forward(
    mut client: TcpStream,
    mut server: impl AsyncRead + AsyncWrite + Unpin,
    number: u64,
    faults: watch::Receiver<Faults>,
) {
    let (mut silent, mut closed) = (faults.clone(), faults);
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => return,
        _ = closed.wait_for(|faults| number < faults.closed_before) => return,
        _ = silent.wait_for(|faults| number < faults.silent_before) => {}
    }
    // Both ends stay open, and nothing is read from either.
    let _ = closed.wait_for(|faults| number < faults.closed_before).await;
}
