//! Multipart requests.

use std::time::Duration;

use reqwest::multipart::{Form, Part};
use serde_json::{Value as Json, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::toy::{Toy, outcome, serve};
use crate::http::graphql::{EndpointOptions, UploadLimits};

const QUERY: &str = "mutation ($file: Upload) { upload(file: $file) { filename contentType size tail } }";

fn form(operations: Json, map: Json, files: &[(&'static str, Vec<u8>)]) -> Form {
    let mut form = Form::new().text("operations", operations.to_string()).text("map", map.to_string());
    for (name, content) in files {
        let part = Part::bytes(content.clone()).file_name("products.csv").mime_str("text/csv").unwrap();
        form = form.part(*name, part);
    }
    form
}

fn standard(content: Vec<u8>) -> Form {
    let operations = json!({ "query": QUERY, "variables": { "file": null } });
    form(operations, json!({ "0": ["variables.file"] }), &[("0", content)])
}

fn send(toy: &Toy, form: Form) -> reqwest::RequestBuilder {
    toy.client.post(toy.url()).header("graphql-preflight", "1").multipart(form)
}

async fn small(file_bytes: u64) -> Toy {
    let upload = UploadLimits { file_bytes, idle: Duration::from_millis(500), ..UploadLimits::default() };
    serve(EndpointOptions { upload, ..EndpointOptions::default() }).await
}

#[tokio::test]
async fn a_file_arrives_whole() {
    let toy = serve(EndpointOptions::default()).await;
    let mut content = vec![b'a'; 5 * 1024 * 1024];
    content.extend_from_slice(b"--\r\n-end");
    let (status, _, body) = outcome(send(&toy, standard(content))).await;
    assert_eq!(status, 200);
    let expected =
        json!({ "filename": "products.csv", "contentType": "text/csv", "size": 5_242_888, "tail": "--\r\n-end" });
    assert_eq!(body["data"]["upload"], expected);
    // An empty file is a file; a request without files is a request.
    assert_eq!(outcome(send(&toy, standard(Vec::new()))).await.2["data"]["upload"]["size"], 0);
    let none = form(json!({ "query": QUERY }), json!({}), &[]);
    assert_eq!(outcome(send(&toy, none)).await.2["data"], json!({ "upload": null }));
}

#[tokio::test]
async fn without_a_preflight_header_a_form_is_refused() {
    let toy = serve(EndpointOptions::default()).await;
    let bare = || toy.client.post(toy.url()).multipart(standard(vec![1]));
    assert_eq!(outcome(bare()).await.1, "PREFLIGHT_REQUIRED");
    assert_eq!(outcome(bare().header("graphql-preflight", "")).await.0, 403);
    // Also a large one is told so, rather than reset while it sends.
    let large = toy.client.post(toy.url()).multipart(standard(vec![1; 20_000_000]));
    assert_eq!(outcome(large).await.1, "PREFLIGHT_REQUIRED");
    assert_eq!(outcome(bare().header("apollo-require-preflight", "true")).await.0, 200);
}

#[tokio::test]
async fn a_file_over_the_limit_is_413_and_names_the_limit() {
    let toy = small(100_000).await;
    assert_eq!(outcome(send(&toy, standard(vec![7; 100_000]))).await.0, 200);
    // Just over; over the whole request's limit, so that its announced length is enough; not announced.
    let unknown = futures_util::stream::iter((0..200).map(|_| Ok::<_, std::io::Error>(vec![7u8; 10_000])));
    let unknown = Part::stream(reqwest::Body::wrap_stream(unknown)).file_name("endless.csv");
    let operations = json!({ "query": QUERY, "variables": { "file": null } });
    let unknown = form(operations, json!({ "0": ["variables.file"] }), &[]).part("0", unknown);
    for form in [standard(vec![7; 100_001]), standard(vec![7; 5_000_000]), unknown] {
        let (status, code, body) = outcome(send(&toy, form)).await;
        assert_eq!((status, code.as_str()), (413, "FILE_TOO_LARGE"));
        assert!(body["errors"][0]["message"].as_str().unwrap().contains("100000 bytes"), "{body}");
    }
}

#[tokio::test]
async fn more_files_than_the_limit_are_refused() {
    let toy = serve(EndpointOptions::default()).await;
    let query = "mutation ($a: Upload, $b: Upload) { a: upload(file: $a) { size } b: upload(file: $b) { size } }";
    let two = || {
        let operations = json!({ "query": query, "variables": { "a": null, "b": null } });
        let map = json!({ "0": ["variables.a"], "1": ["variables.b"] });
        form(operations, map, &[("0", vec![1; 3]), ("1", vec![2; 4])])
    };
    let (status, code, _) = outcome(send(&toy, two())).await;
    assert_eq!((status, code.as_str()), (413, "TOO_MANY_FILES"));
    let upload = UploadLimits { files: 2, ..UploadLimits::default() };
    let toy = serve(EndpointOptions { upload, ..EndpointOptions::default() }).await;
    let (_, _, body) = outcome(send(&toy, two())).await;
    assert_eq!(body["data"], json!({ "a": { "size": 3 }, "b": { "size": 4 } }));
}

#[tokio::test]
async fn operations_and_map_share_the_limit_of_a_json_body() {
    let toy = serve(EndpointOptions::default()).await;
    for operations in [200 * 1024, 300 * 1024] {
        let operations = json!({ "query": QUERY, "variables": {}, "x": "x".repeat(operations) });
        let map = json!({ "0": ["variables.file"], "x": ["x".repeat(100 * 1024)] });
        let (status, code, _) = outcome(send(&toy, form(operations, map, &[]))).await;
        assert_eq!((status, code.as_str()), (413, "BODY_TOO_LARGE"));
    }
}

#[tokio::test]
async fn forms_that_are_not_the_specification_are_400() {
    let toy = serve(EndpointOptions::default()).await;
    let variables = json!({ "query": QUERY, "variables": { "file": null } });
    let map = || json!({ "0": ["variables.file"] });
    let file = || [("0", vec![1u8])];
    let twice = vec![("0", vec![1u8]), ("0", vec![1u8])];
    for (why, form) in [
        ("no parts", Form::new()),
        ("only operations", Form::new().text("operations", variables.to_string())),
        ("map first", Form::new().text("map", map().to_string()).text("operations", variables.to_string())),
        ("file first", Form::new().part("0", Part::bytes(vec![1]).file_name("a"))),
        ("map no object", form(variables.clone(), json!([]), &file())),
        ("map of strings", form(variables.clone(), json!({ "0": "variables.file" }), &file())),
        ("no path", form(variables.clone(), json!({ "0": [] }), &file())),
        ("two paths", form(variables.clone(), json!({ "0": ["variables.file", "variables.b"] }), &file())),
        ("unknown variable", form(variables.clone(), json!({ "0": ["variables.nope"] }), &file())),
        ("no variable", form(variables.clone(), json!({ "0": ["query"] }), &file())),
        ("empty path", form(variables.clone(), json!({ "0": [""] }), &file())),
        ("missing file", form(variables.clone(), map(), &[])),
        ("unnamed file", form(variables.clone(), json!({}), &file())),
        ("file twice", form(variables.clone(), map(), &twice)),
        ("batch", form(json!([variables]), map(), &file())),
        ("long name", form(variables.clone(), map(), &[]).part("0", Part::bytes(vec![1]).file_name("n".repeat(2000)))),
    ] {
        let (status, code, body) = outcome(send(&toy, form)).await;
        assert_eq!(status, 400, "{why}: {body}");
        assert!(["BAD_UPLOAD", "BATCH_NOT_SUPPORTED"].contains(&code.as_str()), "{why}: {body}");
    }
    let raw = |content_type: &str, body: &'static str| {
        let request = toy.client.post(toy.url()).header("graphql-preflight", "1");
        request.header("content-type", content_type).body(body)
    };
    for (content_type, body) in [
        ("multipart/form-data", ""),
        ("multipart/form-data; boundary=", ""),
        ("multipart/form-data; boundary=x", ""),
        ("multipart/form-data; boundary=x", "--x\r\ncontent-disposition: form-data; name=\"operations\"\r\n\r\n{"),
        ("multipart/form-data; boundary=x", "--x--\r\n"),
        ("multipart/form-data; boundary=x", "--x\r\n\u{1}\u{2}\r\n\r\n{}\r\n--x--"),
    ] {
        assert_eq!(outcome(raw(content_type, body)).await.0, 400, "{body}");
    }
}

#[tokio::test]
async fn a_refused_document_is_refused_before_its_file_is_read() {
    let toy = small(10_000_000).await;
    let operations = json!({ "query": "mutation { nope( }", "variables": { "file": null } });
    let refused = form(operations, json!({ "0": ["variables.file"] }), &[("0", vec![1; 1_000_000])]);
    assert_eq!(outcome(send(&toy, refused)).await.1, "GRAPHQL_PARSE_FAILED");
    let operations = json!({ "query": QUERY, "variables": { "file": "#__graphql_file__:0" } });
    let forged = form(operations, json!({ "0": ["variables.file"] }), &[("0", vec![1])]);
    assert_eq!(outcome(send(&toy, forged)).await.1, "BAD_UPLOAD");
}

#[tokio::test]
async fn a_head_that_does_not_end_is_cut_off_early() {
    let toy = small(50_000_000).await;
    let mut stream = TcpStream::connect(toy.address).await.unwrap();
    let head = "POST /graphql HTTP/1.1\r\nhost: localhost\r\ngraphql-preflight: 1\r\n\
        content-type: multipart/form-data; boundary=x\r\ncontent-length: 40000000\r\n\r\n--x\r\nname: ";
    stream.write_all(head.as_bytes()).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let flood = async {
        for _ in 0..8 {
            writer.write_all(&[b'h'; 64 * 1024]).await.unwrap();
        }
        futures_util::future::pending::<()>().await;
    };
    let answer = async {
        let mut answer = vec![0; 1024];
        let length = reader.read(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer[..length]).into_owned()
    };
    let answer = tokio::select! {
        () = flood => unreachable!(),
        answer = tokio::time::timeout(Duration::from_secs(8), answer) => answer.expect("an answer in time"),
    };
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("do not end"), "{answer}");
}

#[tokio::test]
async fn files_are_kept_in_the_directory_given_and_a_missing_one_is_our_fault() {
    for (directory, status) in [("", 200), ("missing", 500)] {
        let home = tempfile::tempdir().unwrap();
        let upload = UploadLimits { directory: Some(home.path().join(directory)), ..UploadLimits::default() };
        let toy = serve(EndpointOptions { upload, ..EndpointOptions::default() }).await;
        let (found, code, body) = outcome(send(&toy, standard(vec![1; 100]))).await;
        assert_eq!(found, status, "{body}");
        assert_eq!(code == "INTERNAL", status == 500, "{body}");
        // Nothing with a name is left, or ever was.
        assert_eq!(home.path().read_dir().unwrap().count(), 0);
    }
}
