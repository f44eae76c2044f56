//! Connections to Postgres that notice when the server falls silent.
//!
//! A connection that is cut is noticed at once. One whose packets are dropped without a word, as after a failover behind
//! a moved address, is not: the system would wait for a quarter of an hour. So every connection has time-outs of TCP,
//! and one of its own for the server's answers, which also notices a proxy that takes everything and answers nothing.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use anyhow::Context as _;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::{Instant, Sleep, timeout};
use tokio_postgres::config::{Host, TargetSessionAttrs};
use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::{Client, Connection, NoTls};
use tokio_rustls::client::TlsStream;

use super::target::Target;
use super::tls::{Secured, Tls};

/// How long the server may take to accept a connection, unless the URL says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a statement may run. Postgres ends one that takes longer; see [`SILENCE`].
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the server may leave a statement without any answer: a little longer than a statement may run.
const SILENCE: Duration = Duration::from_secs(17);
/// How long an idle connection is quiet before TCP asks whether the other side is there, how often it asks again, and after
/// how long without an acknowledgement it gives up. Longer values of the URL are not kept.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
const UNACKNOWLEDGED: Duration = Duration::from_secs(15);

/// The task of a connection, to be polled while its [`Client`] is used.
pub type Driver = Connection<Watched, NoTlsStream>;

/// Connects to the first of the configured hosts that can be reached.
pub async fn establish(target: &Target) -> anyhow::Result<(Client, Driver)> {
    establish_with(target, Some(SILENCE)).await
}

/// The same for statements that may take as long as they need.
pub async fn establish_patiently(target: &Target) -> anyhow::Result<(Client, Driver)> {
    establish_with(target, None).await
}

async fn establish_with(target: &Target, silence: Option<Duration>) -> anyhow::Result<(Client, Driver)> {
    let Target { config, tls } = target;
    let patience = config.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT);
    let ports = config.get_ports();
    let count = config.get_hosts().len().max(config.get_hostaddrs().len());
    let mut last = None;
    for place in 0..count {
        let port = ports.get(place).or(ports.first()).copied().unwrap_or(5432);
        let connecting = async {
            let socket = match (config.get_hostaddrs().get(place), config.get_hosts().get(place)) {
                (Some(address), Some(Host::Tcp(name))) => Socket::tcp(tls, &address.to_string(), port, name).await?,
                (Some(address), _) => Socket::tcp(tls, &address.to_string(), port, &address.to_string()).await?,
                (None, Some(Host::Tcp(name))) => Socket::tcp(tls, name, port, name).await?,
                (None, Some(Host::Unix(directory))) => {
                    Socket::Unix(UnixStream::connect(directory.join(format!(".s.PGSQL.{port}"))).await?)
                }
                (None, None) => anyhow::bail!("neither a host nor an address is given"),
            };
            let (client, mut driver) = config.connect_raw(Watched::new(socket, silence), NoTls).await?;
            if config.get_target_session_attrs() != TargetSessionAttrs::Any {
                check_session(&client, &mut driver, config.get_target_session_attrs()).await?;
            }
            Ok((client, driver))
        };
        match timeout(patience, connecting).await {
            Ok(Ok(connected)) => return Ok(connected),
            Ok(Err(error)) => last = Some(error),
            Err(_) => last = Some(anyhow::anyhow!("the server did not answer within {patience:?}")),
        }
    }
    Err(last.unwrap_or_else(|| anyhow::anyhow!("no host is given")))
}

/// Whether the server is of the kind that `target_session_attrs` asks for.
async fn check_session(client: &Client, driver: &mut Driver, wanted: TargetSessionAttrs) -> anyhow::Result<()> {
    let asked = client.query_one("SELECT current_setting('transaction_read_only')", &[]);
    let row = tokio::select! {
        row = asked => row.context("ask whether the server is read-only")?,
        ended = driver => {
            ended?;
            anyhow::bail!("the server closed the connection")
        }
    };
    let is_read_only = row.get::<_, &str>(0) == "on";
    match wanted {
        TargetSessionAttrs::ReadWrite if is_read_only => anyhow::bail!("the server is read-only"),
        TargetSessionAttrs::ReadOnly if !is_read_only => anyhow::bail!("the server is not read-only"),
        _ => Ok(()),
    }
}

/// A connection's socket. A Unix socket leaves no machine, so it is never encrypted.
enum Socket {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

impl Socket {
    /// Connects to `address`, where the server `name` must be.
    async fn tcp(tls: &Tls, address: &str, port: u16, name: &str) -> anyhow::Result<Self> {
        Ok(match tls.secure(Self::connect(address, port).await?, name).await? {
            Secured::Plain(stream) => Self::Tcp(stream),
            Secured::Encrypted(stream) => Self::Tls(stream),
        })
    }

    async fn connect(name: &str, port: u16) -> anyhow::Result<TcpStream> {
        let mut last = None;
        for address in lookup_host((name, port)).await? {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    let socket = SockRef::from(&stream);
                    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
                    socket.set_tcp_keepalive(&keepalive)?;
                    #[cfg(target_os = "linux")]
                    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
                    return Ok(stream);
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.map_or_else(|| anyhow::anyhow!("{name} has no address"), anyhow::Error::from))
    }
}

/// A socket that fails when the server leaves what was sent without an answer for too long. It is above TLS, since it reads
/// the messages.
pub struct Watched {
    socket: Socket,
    /// How long the server may take; `None`: as long as it needs.
    silence: Option<Duration>,
    /// Runs while an answer is owed.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Answers that the server owes: several when statements are sent without waiting for each.
    owed: usize,
    sent: Messages,
    received: Messages,
}

impl Watched {
    fn new(socket: Socket, silence: Option<Duration>) -> Self {
        Self { socket, silence, deadline: None, owed: 0, sent: Messages::of_client(), received: Messages::of_server() }
    }

    fn sent(&mut self, bytes: &[u8]) {
        // A start-up message, `Query` and `Sync` are each answered up to a `ReadyForQuery`.
        self.owed += self.sent.count(bytes, &[Messages::START_UP, b'Q', b'S']);
        if let (Some(silence), 1..) = (self.silence, self.owed) {
            self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(silence)));
        }
    }

    fn received(&mut self, bytes: &[u8]) {
        self.owed = self.owed.saturating_sub(self.received.count(bytes, b"Z"));
        match &mut self.deadline {
            // What comes unasked, such as a notification, is no answer and owes none.
            None => {}
            Some(_) if self.owed == 0 => self.deadline = None,
            Some(deadline) => deadline.as_mut().reset(Instant::now() + self.silence.unwrap_or(SILENCE)),
        }
    }

    /// Fails when the answer is overdue.
    fn check(&mut self, cx: &mut TaskContext<'_>) -> io::Result<()> {
        let is_overdue = self.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready());
        if is_overdue {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("the database has not answered for {SILENCE:?}"),
            ));
        }
        Ok(())
    }
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Socket::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Socket::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        match read {
            Poll::Pending => match self.check(cx) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            },
            Poll::Ready(Ok(())) => {
                self.received(&buf.filled()[before..]);
                Poll::Ready(Ok(()))
            }
            failed => failed,
        }
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Socket::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Socket::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        };
        if let Poll::Ready(Ok(count)) = written {
            self.sent(&bytes[..count]);
        }
        // Also when the bytes are on their way: this arranges for being woken when no answer comes.
        match self.check(cx) {
            Ok(()) => written,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Socket::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Socket::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        match &mut self.socket {
            Socket::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Socket::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Socket::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// Where in the messages of one direction a connection is. A message is a letter and its length, which counts itself but not
/// the letter; the client's first message has no letter.
struct Messages {
    head: Vec<u8>,
    /// Bytes of the message that are still to come.
    left: usize,
    is_start_up: bool,
}

impl Messages {
    /// Stands for the letter of the client's first message.
    const START_UP: u8 = 0;

    fn of_client() -> Self {
        Self { head: Vec::with_capacity(5), left: 0, is_start_up: true }
    }

    fn of_server() -> Self {
        Self { is_start_up: false, ..Self::of_client() }
    }

    /// How many messages with one of these letters begin in these bytes.
    fn count(&mut self, mut bytes: &[u8], letters: &[u8]) -> usize {
        let mut count = 0;
        while !bytes.is_empty() {
            let skipped = self.left.min(bytes.len());
            self.left -= skipped;
            bytes = &bytes[skipped..];
            if self.is_start_up && self.head.is_empty() {
                self.head.push(Self::START_UP);
            }
            let missing = (5 - self.head.len()).min(bytes.len());
            self.head.extend_from_slice(&bytes[..missing]);
            bytes = &bytes[missing..];
            if let [letter, length @ ..] = &self.head[..]
                && let Ok(length) = <[u8; 4]>::try_from(length)
            {
                count += usize::from(letters.contains(letter));
                self.left = (u32::from_be_bytes(length) as usize).saturating_sub(4);
                self.is_start_up = false;
                self.head.clear();
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START_UP: &[u8] = b"\0\0\0\x09\0\x03QQQ";
    const CLOSE: &[u8] = b"C\0\0\0\x07SZ\0S\0\0\0\x04";
    const QUERY: &[u8] = b"Q\0\0\0\x05\0";
    const READY: &[u8] = b"Z\0\0\0\x05I";

    #[test]
    fn messages_are_counted_wherever_they_are_cut() {
        let stream = [START_UP, CLOSE, QUERY].concat();
        for at in 0..stream.len() {
            let mut messages = Messages::of_client();
            let mut count = |bytes| messages.count(bytes, &[Messages::START_UP, b'Q', b'S']);
            assert_eq!(count(&stream[..at]) + count(&stream[at..]), 3, "cut at {at}");
        }
    }

    #[tokio::test]
    async fn an_answer_is_owed_until_every_statement_sent_has_one() {
        let (socket, _server) = UnixStream::pair().unwrap();
        let mut watched = Watched::new(Socket::Unix(socket), Some(SILENCE));
        watched.sent(START_UP);
        assert!(watched.deadline.is_some());
        watched.received(&[b"R\0\0\0\x08\0\0\0\0", READY].concat());
        assert!(watched.deadline.is_none());

        watched.received(b"A\0\0\0\x08note");
        assert!(watched.deadline.is_none(), "a notification is no answer");

        watched.sent(&[CLOSE, QUERY].concat());
        watched.received(&[b"3\0\0\0\x04", READY].concat());
        assert!(watched.deadline.is_some(), "the query has no answer yet");
        watched.received(&[b"I\0\0\0\x04", READY].concat());
        assert!(watched.deadline.is_none());
    }
}
