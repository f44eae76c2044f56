//! Clients that are slow, silent or many: each has an end, and others are answered meanwhile.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::database;
use crate::support::process::Process;
use crate::support::wait::{found, in_time};

/// `halftone serve` with these limits, and where it listens.
async fn serve(limits: &[&str]) -> (Process, String, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let arguments = [&["--compressions", "0"], limits].concat();
    let (process, client) = Process::serve(&database::fresh().await, directory.path(), &arguments).await;
    (process, client.url.strip_prefix("http://").unwrap().to_owned(), directory)
}

/// A connection on which this has been said.
async fn saying(address: &str, words: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(words).await.unwrap();
    stream
}

/// All that comes until the server closes the connection.
async fn until_closed(mut stream: TcpStream) -> String {
    let mut received = Vec::new();
    // A reset is an end too.
    let _ = in_time("the end of the connection", stream.read_to_end(&mut received)).await;
    String::from_utf8_lossy(&received).into_owned()
}

const ALIVE: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_keep_nobody_out() {
    let (process, address, _directory) = serve(&["--max-connections", "8"]).await;
    let mut idle = Vec::new();
    for beginning in [&b""[..], b"GET / HT", b"PRI * HT", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
        for _ in 0..10 {
            idle.push(saying(&address, beginning).await);
        }
    }
    for _ in 0..10 {
        let answer = until_closed(saying(&address, ALIVE).await).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    drop(idle);
    assert_eq!(process.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_keeps_the_server_waiting_is_disconnected() {
    let (process, address, _directory) = serve(&["--idle-timeout", "1s", "--request-timeout", "2s"]).await;
    for beginning in [&b""[..], b"GET / HT", b"PRI * HT", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"] {
        assert!(!until_closed(saying(&address, beginning).await).await.contains("200"), "{beginning:?}");
    }
    // A byte now and then is not silence, but the request has to come to an end.
    let head = b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n";
    let mut stream = saying(&address, head).await;
    let answer = found("an answer to a body that trickles", async || {
        let _ = stream.write_all(b" ").await;
        let mut answer = [0; 12];
        matches!(stream.try_read(&mut answer), Ok(12)).then_some(answer)
    })
    .await;
    assert_eq!(&answer, b"HTTP/1.1 408");
    // The head of a request may have 64 KiB.
    let long = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: {}\r\n\r\n", "x".repeat(100_000));
    let answer = until_closed(saying(&address, long.as_bytes()).await).await;
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(process.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_two_hosts_at_once_is_refused() {
    let (process, address, _directory) = serve(&[]).await;
    let ask = async |request: &str| {
        let request = format!("GET {request}\r\nConnection: close\r\n\r\n");
        until_closed(saying(&address, request.as_bytes()).await).await
    };
    let query = "/graphql?query=%7B__typename%7D";
    for request in [
        format!("{query} HTTP/1.1\r\nHost: localhost\r\nHost: evil.example"),
        format!("http://evil.example{query} HTTP/1.1\r\nHost: localhost"),
        format!("{query} HTTP/1.1"),
    ] {
        let answer = ask(&request).await;
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("BAD_REQUEST"), "{request}: {answer}");
    }
    let whole = format!("http://localhost{query} HTTP/1.1\r\nHost: localhost");
    assert!(ask(&whole).await.contains(r#"{"__typename":"Query"}"#));
    assert_eq!(process.terminate().await, Some(0));
}
