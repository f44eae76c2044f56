//! Accepts connections and serves them, within limits: a client that is slow to speak or to listen, or does neither, holds a
//! connection for a while and never for good.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::rt::{Read, Write};
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error};

use super::connections::{Activity, Connections, InHand};

/// What connections may take.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionLimits {
    /// Connections at once; more wait until one of these ends.
    pub connections: usize,
    /// How long a client may keep us waiting: for the head of a request, or for taking more of an answer.
    pub idle: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { connections: 4_096, idle: Duration::from_secs(30) }
    }
}

/// How long to wait after a connection could not be accepted: most likely there are no file descriptors left.
const ACCEPT_REST: Duration = Duration::from_millis(200);
/// How long a connection that has to go may take for what it is doing.
const GRACE: Duration = Duration::from_secs(1);
/// The longest head of a request, and what is buffered of an answer.
const BUFFER_BYTES: usize = 64 * 1024;
/// Requests at once on a connection of HTTP/2, and what the heads of one may come to.
const STREAMS: u32 = 100;
const HEADER_LIST_BYTES: u32 = 64 * 1024;

/// The other end of a connection, in the extensions of each of its requests.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Serves until `stop`, then lets the requests in hand end. With `tls` nothing is served unencrypted.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    tls: Option<TlsAcceptor>,
    stop: CancellationToken,
) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.idle).max_buf_size(BUFFER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.idle)
        .keep_alive_timeout(limits.idle)
        .max_header_list_size(HEADER_LIST_BYTES)
        .max_send_buf_size(BUFFER_BYTES)
        .max_concurrent_streams(STREAMS);
    let open = Connections::new(limits.connections);
    let mut connections = JoinSet::new();
    let mut watching = pin!(open.clone().watch(limits.idle));
    loop {
        let accept = async {
            let (stream, peer) = listener.accept().await?;
            Ok::<_, io::Error>((stream, peer, open.place().await))
        };
        let (stream, peer, place) = tokio::select! {
            () = stop.cancelled() => break,
            () = &mut watching => break,
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
        let entered = open.enter(place);
        let connection = Connection {
            builder: builder.clone(),
            router: router.clone(),
            peer,
            activity: entered.activity().clone(),
            stop: stop.clone(),
        };
        let tls = tls.clone();
        connections.spawn(async move {
            connection.run(stream, tls).await;
            drop(entered);
        });
    }
    drop(listener);
    open.let_silent_go();
    let ended = async { while connections.join_next().await.is_some() {} };
    tokio::select! {
        () = ended => {}
        () = watching => {}
    }
}

/// What serves one connection.
struct Connection {
    builder: Builder<TokioExecutor>,
    router: Router,
    peer: SocketAddr,
    activity: Arc<Activity>,
    stop: CancellationToken,
}

impl Connection {
    /// How it ends is the client's affair.
    async fn run(mut self, stream: TcpStream, tls: Option<TlsAcceptor>) {
        let Some(tls) = tls else { return self.serve(TokioIo::new(stream)).await };
        let encrypted = tokio::select! {
            () = self.stop.cancelled() => return,
            () = self.activity.gone() => return,
            encrypted = tls.accept(stream) => encrypted,
        };
        let Ok(stream) = encrypted else { return };
        // Both sides have agreed on what they speak.
        let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        self.builder = if is_http2 { self.builder.http2_only() } else { self.builder.http1_only() };
        self.serve(TokioIo::new(stream)).await;
    }

    async fn serve(self, io: impl Read + Write + Unpin + Send + 'static) {
        let Self { builder, router, peer, activity, stop } = self;
        let router = TowerToHyperService::new(router);
        let answering = activity.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            let in_hand = InHand::begin(answering.clone());
            request.extensions_mut().insert(Peer(peer));
            let answer = router.call(request);
            async move { answer.await.map(|answer| answer.map(|body| in_hand.answering(body))) }
        });
        let mut connection = pin!(builder.serve_connection_with_upgrades(io, service));
        let has_to_go = tokio::select! {
            _ = &mut connection => return,
            () = stop.cancelled() => false,
            () = activity.gone() => true,
        };
        connection.as_mut().graceful_shutdown();
        if !has_to_go {
            tokio::select! {
                _ = &mut connection => return,
                () = activity.gone() => {}
            }
        }
        let _ = timeout(GRACE, connection).await;
    }
}

/// Whether the connection was lost before it was accepted.
fn is_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, Bytes};
    use axum::routing::get;
    use futures_util::StreamExt as _;
    use futures_util::stream::repeat;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn start(limits: ConnectionLimits) -> (SocketAddr, tokio_util::sync::DropGuard, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let endless = || Body::from_stream(repeat(Bytes::from_static(&[0; 64 * 1024])).map(Ok::<_, io::Error>));
        let router = Router::new().route("/", get(async || "hello")).route("/endless", get(async move || endless()));
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

    /// What a client begins with that speaks HTTP/2 (RFC 9113, 3.4), and its settings.
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

    #[tokio::test]
    async fn connections_that_say_nothing_or_stop_speaking_are_closed() {
        let limits = ConnectionLimits { idle: Duration::from_millis(300), ..ConnectionLimits::default() };
        let (address, _stop, _tasks) = start(limits).await;
        for beginning in [&b""[..], b"GET / HT", &PREFACE[..5], PREFACE, REQUEST] {
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
    async fn who_says_nothing_leaves_when_there_is_no_place_for_others() {
        let (address, _stop, _tasks) = start(ConnectionLimits { connections: 2, ..ConnectionLimits::default() }).await;
        let silent = TcpStream::connect(address).await.unwrap();
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET / HT").await.unwrap();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
            assert!(until_closed(stream).await.contains("hello"));
        }
        drop((silent, slow));
    }

    #[tokio::test]
    async fn an_answer_that_nobody_takes_ends() {
        let limits = ConnectionLimits { idle: Duration::from_millis(300), ..ConnectionLimits::default() };
        let (address, _stop, _tasks) = start(limits).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        // Only `write` is noticed here, so that nothing is taken.
        let closed = async {
            while stream.write_all(b"\r\n").await.is_ok() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(20), closed).await.expect("the server closes the connection");
    }

    #[tokio::test]
    async fn stopping_ends_idle_connections_too() {
        let (address, stop, mut tasks) = start(ConnectionLimits::default()).await;
        let silent = TcpStream::connect(address).await.unwrap();
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET / HT").await.unwrap();
        let mut idle = TcpStream::connect(address).await.unwrap();
        idle.write_all(REQUEST).await.unwrap();
        let mut byte = [0];
        idle.read_exact(&mut byte).await.unwrap();
        drop(stop);
        timeout(Duration::from_secs(20), tasks.join_next()).await.expect("it ends").unwrap().unwrap();
        drop((silent, slow, idle));
    }
}
