//! The API over https: what is spoken, who is believed, and that a renewed certificate is taken over.

use std::path::Path;

use reqwest::{Certificate, Client, Version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::database;
use crate::support::process::{Process, halftone};
use crate::support::tls;
use crate::support::wait::{in_time, until};

/// A client that believes this certificate and no other.
fn believing(name: &str, http1: bool) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let certificate = Certificate::from_pem(&std::fs::read(tls::file(name)).unwrap()).unwrap();
    let client = Client::builder().no_proxy().tls_certs_only([certificate]).pool_max_idle_per_host(0);
    if http1 { client.http1_only().build().unwrap() } else { client.build().unwrap() }
}

fn install(name: &str, at: &Path) {
    // As who renews a certificate does it: beside its place, then renamed.
    let beside = at.with_extension("new");
    std::fs::copy(tls::file(name), &beside).unwrap();
    std::fs::rename(beside, at).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_is_served_over_https_and_a_renewed_certificate_is_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let [certificate, key] = ["tls.crt", "tls.key"].map(|name| directory.path().join(name));
    install("signed.pem", &certificate);
    install("key.pem", &key);
    let database_url = database::fresh().await;
    let files = ["--tls-cert", certificate.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
    let ours = ["serve", "--listen", "127.0.0.1:0", "--compressions", "0", "--database-url", &database_url];
    let data_dir = ["--data-dir", directory.path().to_str().unwrap()];
    let mut process = Process::start(&[&ours, &files[..], &data_dir].concat());
    let line = process.log_line("ready at https://127.0.0.1:").await;
    let port: String =
        line.split("https://127.0.0.1:").nth(1).unwrap().chars().take_while(char::is_ascii_digit).collect();
    let url = format!("https://localhost:{port}/healthz");

    for (http1, version) in [(false, Version::HTTP_2), (true, Version::HTTP_11)] {
        let answer = believing("authority.pem", http1).get(&url).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, version));
    }
    assert!(believing("self_signed.pem", false).get(&url).send().await.unwrap_err().is_connect());
    // Nothing is served to who does not encrypt.
    let mut plain = TcpStream::connect(format!("127.0.0.1:{port}")).await.unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = in_time("the end of a plain connection", plain.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP/"), "{answer:?}");
    let listen = format!("127.0.0.1:{port}");
    let check = halftone().args(["healthcheck", "--listen", &listen]).args(files).output().await.unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));

    // What cannot be used changes nothing.
    std::fs::write(&key, "no key").unwrap();
    process.log_line("keeping the previous certificate").await;
    assert_eq!(believing("authority.pem", false).get(&url).send().await.unwrap().status(), 200);
    install("key.pem", &key);
    install("self_signed.pem", &certificate);
    process.log_line("serving with the new certificate").await;
    // It is not signed by the authority.
    until("the new certificate is shown", async || {
        believing("authority.pem", false).get(&url).send().await.is_err_and(|error| error.is_connect())
    })
    .await;
    assert_eq!(process.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_without_its_key_is_refused_at_the_start() {
    let database_url = database::fresh().await;
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().to_str().unwrap();
    let signed = tls::file("signed.pem");
    let start = async |arguments: &[&str]| {
        let ours = ["serve", "--listen", "127.0.0.1:0", "--database-url", &database_url, "--data-dir", data_dir];
        let output = halftone().args(ours).args(arguments).output().await.unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let certificate = ["--tls-cert", signed.to_str().unwrap()];
    let (code, said) = start(&certificate).await;
    assert!(code == Some(2) && said.contains("--tls-key"), "{said}");
    let (code, said) = start(&[&certificate[..], &["--tls-key", signed.to_str().unwrap()]].concat()).await;
    assert!(code == Some(1) && said.contains("read the key in"), "{said}");
}
