//! Postgres over TLS: that everything goes through it, and that only the right server is believed.

use serde_json::json;

use crate::support::database;
use crate::support::halftone::{Halftone, csv};
use crate::support::images;
use crate::support::origin::{Answer, Origin};
use crate::support::process::{Process, halftone};
use crate::support::tls::{Offers, TlsServer, file};
use crate::support::wait::in_time;

fn root(name: &str) -> String {
    format!("&sslrootcert={}", file(name).display())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_processed_over_tls_alone() {
    let direct = database::fresh().await;
    let server = TlsServer::start(&direct, Offers::Tls("signed.pem")).await;
    let url = server.url("localhost", &format!("sslmode=verify-full{}", root("authority.pem")));
    let origin = Origin::start().await;
    let image = origin.set("1.jpg", Answer::Image(images::jpeg(64, 48, 1)));
    // Pool, heartbeat, notifications and migrations: the server lets none of them in without TLS.
    let mut halftone = Halftone::on(url.clone(), &[]).await;
    halftone.database_url.clone_from(&direct);
    let id = halftone.client.accepted(&csv(&[&[&image]]), json!({})).await;
    assert_eq!(halftone.client.finished(&id).await["status"], "COMPLETED");
    assert!(server.encrypted() >= 4, "{}", server.encrypted());

    let data_dir = tempfile::tempdir().unwrap();
    let worker = Process::work(&url, data_dir.path(), &[]).await;
    assert_eq!(worker.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sslmode_believes_the_servers_that_it_should() {
    let direct = database::fresh().await;
    let signed = TlsServer::start(&direct, Offers::Tls("signed.pem")).await;
    let own = TlsServer::start(&direct, Offers::Tls("self_signed.pem")).await;
    let plain = TlsServer::start(&direct, Offers::Plain).await;
    let (authority, itself) = (root("authority.pem"), root("self_signed.pem"));
    let unknown = Some("is not signed by a trusted authority");
    let another = Some("is for another name");
    for (server, host, parameters, refusal) in [
        (&signed, "localhost", "sslmode=prefer".to_owned(), None),
        (&signed, "localhost", "connect_timeout=20".to_owned(), None),
        (&signed, "127.0.0.1", "sslmode=require".to_owned(), None),
        (&signed, "127.0.0.1", format!("sslmode=require{authority}"), None),
        (&signed, "127.0.0.1", format!("sslmode=require{itself}"), unknown),
        (&signed, "127.0.0.1", format!("sslmode=verify-ca{authority}"), None),
        (&signed, "127.0.0.1", "sslmode=verify-ca".to_owned(), unknown),
        (&signed, "localhost", format!("sslmode=verify-full{authority}"), None),
        (&signed, "127.0.0.1", format!("sslmode=verify-full{authority}"), another),
        (&signed, "localhost", "sslmode=verify-full".to_owned(), unknown),
        (&signed, "localhost", "sslmode=verify-full&sslrootcert=system".to_owned(), unknown),
        (&signed, "localhost", "sslmode=verify-full&sslrootcert=nothing.pem".to_owned(), Some("in nothing.pem")),
        (&signed, "localhost", format!("sslmode=verify-full{}", root("key.pem")), Some("it has no certificate")),
        (&own, "localhost", format!("sslmode=verify-full{itself}"), None),
        (&own, "127.0.0.1", format!("sslmode=verify-ca{itself}"), None),
        (&own, "127.0.0.1", format!("sslmode=verify-full{itself}"), another),
        (&own, "localhost", format!("sslmode=verify-ca{authority}"), Some("speak TLS with the database server")),
        (&plain, "localhost", "sslmode=disable".to_owned(), None),
        (&plain, "localhost", "sslmode=prefer".to_owned(), None),
        (&plain, "localhost", "sslmode=require".to_owned(), Some("does not offer TLS, which sslmode=require requires")),
        (&plain, "localhost", format!("sslmode=verify-full{authority}"), Some("does not offer TLS")),
    ] {
        let encrypted = server.encrypted();
        let url = server.url(host, &parameters);
        match (in_time(&parameters, halftone::db::migrate(&url)).await, refusal) {
            (Ok(_), None) => {
                let is_plain = std::ptr::eq(server, &plain);
                assert_eq!(server.encrypted() > encrypted, !is_plain, "{host} {parameters}");
            }
            (Err(error), Some(refusal)) => {
                let said = format!("{error:#}");
                assert!(said.contains(refusal), "{host} {parameters}: {said}");
            }
            (Ok(_), Some(_)) => panic!("{host} {parameters} is believed"),
            (Err(error), None) => panic!("{host} {parameters}: {error:#}"),
        }
    }
    let disabled = halftone::db::migrate(&signed.url("localhost", "sslmode=disable")).await;
    disabled.expect_err("a server that wants TLS lets nobody in without");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_url_of_the_database_can_be_in_a_file() {
    let url = database::fresh().await;
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (file, wrong, data_dir) = (path("url"), path("wrong"), path("data"));
    std::fs::write(&file, format!("{url}\n")).unwrap();
    std::fs::write(&wrong, "postgres://me:swordfish@localhost/shop?sslmode=always").unwrap();
    let migrate = async |file: &str, more: &[&str]| {
        let mut command = halftone();
        command.env("DATABASE_URL_FILE", file).args(["migrate", "--data-dir", &data_dir]).args(more).kill_on_drop(true);
        let output = in_time("halftone migrate", command.output()).await.unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let (code, said) = migrate(&file, &[]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("The database is up to date."), "{said}");
    for (file, more, sentence) in [
        (&file, &["--database-url", &url][..], "Give --database-url or --database-url-file, not both."),
        (&path("nothing"), &[], "cannot be read"),
        (&wrong, &[], "is not a Postgres URL whose sslmode is disable, prefer, require, verify-ca or verify-full."),
    ] {
        let (code, said) = migrate(file, more).await;
        assert!(code == Some(2) && said.contains(sentence) && !said.contains("swordfish"), "{code:?} {said}");
    }
}
