//! A proxy between Halftone and Postgres that counts statements, and can fall silent, as a network does that drops packets:
//! what is sent is taken, nothing is answered, and nobody closes anything.

use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_postgres::config::Host;

/// A running proxy. It ends when it is dropped, and its connections with it.
pub struct Proxy {
    /// The database behind it.
    pub url: String,
    state: Arc<watch::Sender<State>>,
    _server: JoinSet<()>,
}

#[derive(Clone, Copy, Default)]
struct State {
    /// Connections with a lower number than this are silent for good.
    silent_below: u64,
    /// Counts what cuts all connections.
    cuts: u64,
    is_refusing: bool,
    accepted: u64,
    /// Statements that were sent to be run.
    statements: u64,
}

/// Where Postgres is.
#[derive(Clone)]
enum Server {
    Tcp(String, u16),
    Unix(std::path::PathBuf),
}

impl Proxy {
    /// A proxy before the database at `database_url`.
    pub async fn start(database_url: &str) -> Self {
        let config: tokio_postgres::Config = database_url.parse().expect("a database URL");
        let port = config.get_ports().first().copied().unwrap_or(5432);
        let server = match &config.get_hosts()[0] {
            Host::Tcp(name) => Server::Tcp(name.clone(), port),
            Host::Unix(directory) => Server::Unix(directory.join(format!(".s.PGSQL.{port}"))),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen");
        let address = listener.local_addr().expect("address");
        let mut url = url::Url::parse("postgres://127.0.0.1").expect("a URL");
        url.set_port(Some(address.port())).expect("a port");
        url.set_username(config.get_user().expect("a user")).expect("a user");
        if let Some(password) = config.get_password() {
            url.set_password(Some(std::str::from_utf8(password).expect("a password"))).expect("a password");
        }
        url.set_path(config.get_dbname().expect("a database"));
        // It counts messages, so it has to understand them.
        url.set_query(Some("sslmode=disable"));
        let state = Arc::new(watch::Sender::new(State::default()));
        let mut server_tasks = JoinSet::new();
        server_tasks.spawn(accept(listener, server, state.clone()));
        Self { url: url.into(), state, _server: server_tasks }
    }

    /// How many statements were sent to be run, on all connections.
    pub fn statements(&self) -> u64 {
        self.state.borrow().statements
    }

    /// The connections there are fall silent; new ones work.
    pub fn silence(&self) {
        self.state.send_modify(|state| state.silent_below = state.accepted);
    }

    /// Cuts all connections and refuses new ones.
    pub fn go_away(&self) {
        self.state.send_modify(|state| {
            state.is_refusing = true;
            state.cuts += 1;
        });
    }

    /// Takes new connections again.
    pub fn come_back(&self) {
        self.state.send_modify(|state| state.is_refusing = false);
    }
}

async fn accept(listener: TcpListener, server: Server, state: Arc<watch::Sender<State>>) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.expect("accept");
        if state.borrow().is_refusing {
            continue;
        }
        let mut number = 0;
        state.send_modify(|state| {
            number = state.accepted;
            state.accepted += 1;
        });
        connections.spawn(relay(client, server.clone(), state.clone(), number));
    }
}

async fn relay(mut client: TcpStream, server: Server, shared: Arc<watch::Sender<State>>, number: u64) {
    let mut state = shared.subscribe();
    let cuts = state.borrow().cuts;
    let relaying = async move {
        match server {
            Server::Tcp(name, port) => {
                let mut server = TcpStream::connect((name, port)).await?;
                copy(&mut client, &mut server, &shared, number).await
            }
            Server::Unix(path) => {
                let mut server = UnixStream::connect(path).await?;
                copy(&mut client, &mut server, &shared, number).await
            }
        }
    };
    tokio::select! {
        _ = relaying => {}
        () = async { let _ = state.wait_for(|state| state.cuts > cuts).await; } => {}
    }
}

async fn copy(
    client: &mut TcpStream,
    server: &mut (impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin),
    shared: &watch::Sender<State>,
    number: u64,
) -> std::io::Result<()> {
    let mut state = shared.subscribe();
    let mut messages = Messages::default();
    let (mut sent, mut answered) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        tokio::select! {
            () = async { let _ = state.wait_for(|state| number < state.silent_below).await; } => break,
            read = client.read(&mut sent) => match read? {
                0 => return Ok(()),
                some => {
                    let statements = messages.statements_in(&sent[..some]);
                    if statements > 0 {
                        shared.send_modify(|state| state.statements += statements);
                    }
                    server.write_all(&sent[..some]).await?;
                }
            },
            read = server.read(&mut answered) => match read? {
                0 => return Ok(()),
                some => client.write_all(&answered[..some]).await?,
            },
        }
    }
    // What the client sends is taken and goes nowhere.
    while client.read(&mut sent).await? > 0 {}
    Ok(())
}

/// Where in the client's messages a connection is: each is a letter, its length with that of the length itself, and so much
/// more. The first has no letter.
#[derive(Default)]
struct Messages {
    is_started: bool,
    head: Vec<u8>,
    left: usize,
}

impl Messages {
    /// How many messages begin in these bytes that have a statement run.
    fn statements_in(&mut self, bytes: &[u8]) -> u64 {
        let mut count = 0;
        for byte in bytes {
            if self.left > 0 {
                self.left -= 1;
                continue;
            }
            self.head.push(*byte);
            let letters = usize::from(self.is_started);
            if let Ok(length) = <[u8; 4]>::try_from(&self.head[letters.min(self.head.len())..]) {
                // `Execute` and `Query`.
                count += u64::from(letters == 1 && matches!(self.head[0], b'E' | b'Q'));
                self.left = u32::from_be_bytes(length) as usize - 4;
                self.is_started = true;
                self.head.clear();
            }
        }
        count
    }
}
