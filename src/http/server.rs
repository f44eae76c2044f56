//! Accepts connections and serves them, within limits: a client that is slow to speak, or says nothing, holds a connection
//! for a while and never for good.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

/// What connections may take.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// Connections at once; more wait in the system's queue.
    pub connections: usize,
    /// From the opening of a connection, or the end of its last request, to the end of the next request's head.
    pub head: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { connections: 4_096, head: Duration::from_secs(30) }
    }
}

/// How long to wait after a connection could not be accepted: most likely there are no file descriptors left.
const ACCEPT_REST: Duration = Duration::from_millis(200);
/// What a client begins with that speaks HTTP/2 (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Between two looks at a beginning that is not whole yet.
const PEEK_INTERVAL: Duration = Duration::from_millis(50);

/// Serves until `stop`, then lets the requests in hand end. With `tls` nothing is served unencrypted.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    tls: Option<TlsAcceptor>,
    stop: CancellationToken,
) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.head);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.head)
        .keep_alive_timeout(limits.head)
        .max_concurrent_streams(100);
    let places = Arc::new(Semaphore::new(limits.connections));
    let service = TowerToHyperService::new(router);
    let shutdown = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let accept = async {
            // Never closed, so there always is a place some time.
            let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((place, listener.accept().await?.0))
        };
        let (place, stream) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    if !is_clients(&error) {
                        error!("cannot accept a connection: {error}");
                        sleep(ACCEPT_REST).await;
                    }
                    continue;
                }
            },
        };
        while connections.try_join_next().is_some() {}
        // Answers are small and should leave at once instead of waiting for the client's acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            debug!("cannot set TCP_NODELAY: {error}");
        }
        let (builder, service, watcher) = (builder.clone(), service.clone(), shutdown.watcher());
        let (stop, tls) = (stop.clone(), tls.clone());
        connections.spawn(async move {
            let beginning = timeout(limits.head, async {
                Ok::<_, io::Error>(match tls {
                    None => begins(&stream).await?.then_some(Begun::Plain(stream)),
                    Some(tls) => encrypted(tls.accept(stream).await?).await?,
                })
            });
            let begun = tokio::select! {
                () = stop.cancelled() => None,
                begun = beginning => begun.ok().and_then(Result::ok).flatten(),
            };
            // How a connection ends is the client's affair.
            let _ = match begun {
                None => Ok(()),
                Some(Begun::Plain(stream)) => {
                    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
                    watcher.watch(connection.into_owned()).await
                }
                Some(Begun::Encrypted(stream, is_http2)) => {
                    let builder = if is_http2 { builder.http2_only() } else { builder.http1_only() };
                    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
                    watcher.watch(connection.into_owned()).await
                }
            };
            drop(place);
        });
    }
    drop(listener);
    shutdown.shutdown().await;
}

/// A connection on which the client has begun to speak.
enum Begun {
    Plain(TcpStream),
    /// And whether it speaks HTTP/2.
    Encrypted(Box<BufReader<TlsStream<TcpStream>>>, bool),
}

/// Waits for the beginning inside TLS. Both sides have agreed there on what they speak.
async fn encrypted(stream: TlsStream<TcpStream>) -> io::Result<Option<Begun>> {
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let mut stream = BufReader::new(stream);
    let beginning = stream.fill_buf().await?;
    // Every client sends its preface in one piece. Hyper itself would wait for the rest of one without end.
    let has_begun = !beginning.is_empty() && (!is_http2 || beginning.starts_with(PREFACE));
    Ok(has_begun.then(|| Begun::Encrypted(Box::new(stream), is_http2)))
}

/// Waits until the client has said enough to tell HTTP/1 from HTTP/2; `false` when it leaves first. Hyper itself would wait
/// for that without end.
async fn begins(stream: &TcpStream) -> io::Result<bool> {
    let mut beginning = [0; PREFACE.len()];
    loop {
        let seen = stream.peek(&mut beginning).await?;
        if seen == 0 {
            return Ok(false);
        }
        if seen == PREFACE.len() || beginning[..seen] != PREFACE[..seen] {
            return Ok(true);
        }
        sleep(PEEK_INTERVAL).await;
    }
}

/// Whether the connection was lost before it was accepted.
fn is_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn start(limits: ConnectionLimits) -> (std::net::SocketAddr, tokio_util::sync::DropGuard, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let router = Router::new().route("/", get(async || "hello"));
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, router, limits, None, stop.clone()));
        (address, stop.drop_guard(), tasks)
    }

    /// All that comes until the server closes the connection.
    async fn until_closed(mut stream: TcpStream) -> String {
        let mut received = Vec::new();
        let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut received));
        // A reset is an end too.
        let _ = read.await.expect("the server closes the connection");
        String::from_utf8_lossy(&received).into_owned()
    }

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

    #[tokio::test]
    async fn connections_that_say_nothing_or_stop_speaking_are_closed() {
        let limits = ConnectionLimits { head: Duration::from_millis(300), ..ConnectionLimits::default() };
        let (address, _stop, _tasks) = start(limits).await;
        for beginning in [&b""[..], b"GET / HT", &PREFACE[..5], REQUEST] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(beginning).await.unwrap();
            let received = until_closed(stream).await;
            assert_eq!(received.contains("hello"), beginning == REQUEST, "{received}");
        }
    }

    #[tokio::test]
    async fn a_connection_too_many_waits_for_its_place() {
        let (address, _stop, _tasks) = start(ConnectionLimits { connections: 1, ..ConnectionLimits::default() }).await;
        let ask = async |stream: &mut TcpStream| {
            stream.write_all(REQUEST).await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(b"hello") {
                assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "the connection stays open");
            }
        };
        let mut first = TcpStream::connect(address).await.unwrap();
        ask(&mut first).await;
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_all(REQUEST).await.unwrap();
        let mut byte = [0];
        tokio::select! {
            biased;
            // The first connection is served all the time; the second one has no answer until it goes.
            () = async {
                for _ in 0..20 {
                    ask(&mut first).await;
                }
            } => {}
            read = second.read(&mut byte) => panic!("answered without a place: {read:?}"),
        }
        drop(first);
        second.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"H");
    }

    #[tokio::test]
    async fn stopping_ends_idle_connections_too() {
        let (address, stop, mut tasks) = start(ConnectionLimits::default()).await;
        let silent = TcpStream::connect(address).await.unwrap();
        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(REQUEST).await.unwrap();
        let mut byte = [0];
        idle.read_exact(&mut byte).await.unwrap();
        drop(stop);
        timeout(Duration::from_secs(20), tasks.join_next()).await.expect("it ends").unwrap().unwrap();
        drop((silent, idle));
    }
}
