//! A local HTTP server for tests that does exactly what a script says, also what no server should.
//! One request per connection; the script writes raw bytes. Everything ends when the [`Server`] is dropped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A server on a free port of 127.0.0.1.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    _accepting: JoinSet<()>,
}

/// A connection whose request has been read.
pub(crate) struct Exchange {
    pub(crate) path: String,
    /// The head of the request, lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    stream: TcpStream,
}

/// Runs `script` for every connection.
pub(crate) async fn serve<S, F>(script: S) -> Server
where
    S: Fn(Exchange) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind a local port");
    let address = listener.local_addr().expect("the port's address");
    let script = Arc::new(script);
    let mut accepting = JoinSet::new();
    accepting.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                continue;
            };
            let script = Arc::clone(&script);
            connections.spawn(async move {
                if let Some(exchange) = Exchange::read(stream).await {
                    script(exchange).await;
                }
            });
            while connections.try_join_next().is_some() {}
        }
    });
    Server { address, _accepting: accepting }
}

impl Server {
    /// The URL of `path` on this server.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Exchange {
    async fn read(mut stream: TcpStream) -> Option<Exchange> {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        };
        let mut body = bytes.split_off(end);
        let head = String::from_utf8(bytes).ok()?;
        let path = head.split(' ').nth(1)?.to_owned();
        let head = head.to_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
        while body.len() < length.unwrap_or(0) {
            if stream.read_buf(&mut body).await.ok()? == 0 {
                return None;
            }
        }
        Some(Exchange { path, head, body, stream })
    }

    /// Writes raw bytes. `false`: the client is gone.
    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// A whole, correct answer; `headers` are lines ending in CRLF.
    pub(crate) async fn answer(mut self, status: &str, headers: &str, body: &[u8]) {
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
        if self.write(head).await {
            self.write(body).await;
        }
    }

    /// A whole, correct answer after which the connection stays open. `None`: the client sends no further request.
    pub(crate) async fn answer_and_read_next(mut self, status: &str, headers: &str, body: &[u8]) -> Option<Exchange> {
        let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        if self.write(head).await && self.write(body).await { Exchange::read(self.stream).await } else { None }
    }

    /// Ends the connection with a TCP reset.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().expect("set the linger time");
    }

    /// Waits until the client is gone.
    pub(crate) async fn until_gone(mut self) {
        let mut rest = [0; 64];
        while self.stream.read(&mut rest).await.is_ok_and(|read| read > 0) {}
    }

    /// Writes `piece` again and again, at `interval`, until the client is gone.
    pub(crate) async fn drip(&mut self, piece: &[u8], interval: Duration) {
        while self.write(piece).await {
            tokio::time::sleep(interval).await;
        }
    }
}
