//! Bodies, documents, hosts and origins that are refused.

use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, HOST, ORIGIN};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{
    sockets::Peer,
    toy::{outcome, serve},
};
use crate::http::{
    graphql::{EndpointOptions, UploadLimits},
    origins::{AllowedHosts, OriginPolicy},
};

/// The query every GraphQL tool sends first, as graphql-js writes it with all its options.
const INTROSPECTION: &str = "query IntrospectionQuery { __schema { description queryType { name } \
    mutationType { name } subscriptionType { name } types { ...FullType } \
    directives { name description isRepeatable locations args(includeDeprecated: true) { ...InputValue } } } } \
    fragment FullType on __Type { kind name description specifiedByURL isOneOf \
    fields(includeDeprecated: true) { name description args(includeDeprecated: true) { ...InputValue } \
    type { ...TypeRef } isDeprecated deprecationReason } \
    inputFields(includeDeprecated: true) { ...InputValue } interfaces { ...TypeRef } \
    enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } possibleTypes { ...TypeRef } } \
    fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue isDeprecated deprecationReason } \
    fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name \
    ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } } }";

#[tokio::test]
async fn the_standard_introspection_query_passes_every_limit() {
    let toy = serve(EndpointOptions::default()).await;
    let answer = toy.ask(INTROSPECTION).await;
    assert!(answer.get("errors").is_none(), "{answer}");
    let deep = "{ nested ".repeat(15) + "{ hello" + &" }".repeat(16);
    assert!(toy.ask(&deep).await.get("errors").is_none());
    assert_eq!(answer["data"]["__schema"]["subscriptionType"]["name"], "Subscriptions");
}

#[tokio::test]
async fn an_introspection_bomb_is_refused_however_it_comes() {
    let toy = serve(EndpointOptions::default()).await;
    let bomb = include_str!("../../../graphql/admission/bomb.graphql");
    assert_eq!(outcome(toy.post(json!({ "query": bomb }))).await.1, "QUERY_TOO_COMPLEX");
    assert_eq!(outcome(toy.get(&[("query", bomb)])).await.1, "QUERY_TOO_COMPLEX");
    let mut peer = Peer::open(&toy).await;
    peer.subscribe("a", bomb).await;
    let refused = peer.hear().await;
    assert_eq!(refused["type"], "error");
    assert_eq!(refused["payload"][0]["extensions"]["code"], "QUERY_TOO_COMPLEX");
    let image =
        toy.get(&[("query", "{ hello }")]).header("sec-fetch-site", "cross-site").header(ACCEPT, "image/*,*/*;q=0.8");
    assert_eq!(outcome(image).await.1, "ORIGIN_NOT_ALLOWED");
}

#[tokio::test]
async fn an_answer_has_a_greatest_size() {
    let toy = serve(EndpointOptions::default()).await;
    let fits = outcome(toy.post(json!({ "query": "{ text(mebibytes: 15) }" }))).await;
    assert_eq!((fits.0, fits.1.as_str()), (200, ""));
    let (_, code, body) =
        outcome(toy.post(json!({ "query": "{ a: text(mebibytes: 9) b: text(mebibytes: 9) }" }))).await;
    assert_eq!(code, "ANSWER_TOO_LARGE");
    assert!(body.get("data").is_none());
}

#[tokio::test]
async fn a_json_body_over_the_limit_is_413_whether_announced_or_not() {
    let toy = serve(EndpointOptions::default()).await;
    let limit = toy.options.query.body_bytes;
    let padded = |size: usize| {
        let start = r#"{"query":"{ hello }","x":""#;
        format!("{start}{}\"}}", "x".repeat(size - start.len() - 2))
    };
    let send = |body: reqwest::Body| toy.client.post(toy.url()).header("content-type", "application/json").body(body);
    assert_eq!(outcome(send(padded(limit).into())).await.0, 200);
    let (status, code, body) = outcome(send(padded(limit + 1).into())).await;
    assert_eq!((status, code.as_str()), (413, "BODY_TOO_LARGE"));
    assert!(body["errors"][0]["message"].as_str().unwrap().contains("262144"));
    let pieces = futures_util::stream::iter((0..40).map(|_| Ok::<_, std::io::Error>(vec![b' '; 64 * 1024])));
    let (status, code, _) = outcome(send(reqwest::Body::wrap_stream(pieces))).await;
    assert_eq!((status, code.as_str()), (413, "BODY_TOO_LARGE"));
}

#[tokio::test]
async fn a_body_that_stops_arriving_or_takes_too_long_is_given_up() {
    for (idle, total) in [(100, 60_000), (60_000, 200)] {
        let upload = UploadLimits {
            idle: Duration::from_millis(idle),
            total: Duration::from_millis(total),
            ..UploadLimits::default()
        };
        let toy = serve(EndpointOptions { upload, ..EndpointOptions::default() }).await;
        for (content_type, start) in [("application/json", "{"), ("multipart/form-data; boundary=x", "--x\r\n")] {
            let mut stream = TcpStream::connect(toy.address).await.unwrap();
            let head = format!(
                "POST /graphql HTTP/1.1\r\nhost: localhost\r\ngraphql-preflight: 1\r\n\
                 content-type: {content_type}\r\ncontent-length: 50\r\n\r\n{start}"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            let mut answer = [0; 12];
            let read = stream.read_exact(&mut answer);
            tokio::time::timeout(Duration::from_secs(10), read).await.unwrap().unwrap();
            assert_eq!(&answer, b"HTTP/1.1 408");
        }
    }
}

#[tokio::test]
async fn bombs_are_refused_before_they_go_off_on_every_transport() {
    let toy = serve(EndpointOptions::default()).await;
    let mut fragments = String::from("{ ...f0 }");
    for level in 0..14 {
        fragments += &format!(" fragment f{level} on Query {{ {} }}", format!("...f{} ", level + 1).repeat(6));
    }
    fragments += " fragment f14 on Query { hello }";
    assert!(fragments.len() < 1_500);
    let lists = format!("{{ hello(name: {}", "[".repeat(200 * 1024));
    let braces = "{ nested ".repeat(20_000);
    let deep = "{ nested ".repeat(16) + "{ hello" + &" }".repeat(17);
    let complex = "{ five ".repeat(5) + "{ hello" + &" }".repeat(6);
    let aliases: String = (0..101).map(|number| format!("a{number}: hello ")).collect();
    for query in [fragments, lists, braces, deep, complex, format!("{{ {aliases} }}")] {
        let begun = Instant::now();
        for accept in ["application/json", "text/event-stream"] {
            let request = toy.post(json!({ "query": query })).header(ACCEPT, accept);
            let answer = request.send().await.unwrap().text().await.unwrap();
            assert!(answer.contains("\"QUERY_TOO_COMPLEX\""), "{}: {answer}", &query[..30]);
        }
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_string_that_poses_as_a_file_is_refused() {
    let toy = serve(EndpointOptions::default()).await;
    let query = "mutation ($file: Upload) { upload(file: $file) { size } }";
    for forged in ["#__graphql_file__:0", "#__graphql_file__:x", "#__graphql_file__:99999999999999999999"] {
        let request = toy.post(json!({ "query": query, "variables": { "file": forged } }));
        let (_, code, body) = outcome(request).await;
        assert_eq!(code, "BAD_UPLOAD", "{body}");
        let literal = format!("mutation {{ upload(file: \"{forged}\") {{ size }} }}");
        assert_eq!(toy.ask(&literal).await["errors"][0]["extensions"]["code"], "BAD_UPLOAD");
    }
}

#[tokio::test]
async fn an_answer_lists_no_more_reasons_than_a_reader_wants() {
    let toy = serve(EndpointOptions::default()).await;
    let unknown: String = (0..900).map(|number| format!("x{number} ")).collect();
    let answer = toy.ask(&format!("{{ {unknown} }}")).await;
    assert_eq!(answer["errors"].as_array().map(Vec::len), Some(50));
}

#[tokio::test]
async fn a_foreign_host_or_origin_is_refused() {
    let toy = serve(EndpointOptions::default()).await;
    let ask = || toy.post(json!({ "query": "{ hello }" }));
    assert_eq!(outcome(ask().header(HOST, "evil.example")).await.1, "HOST_NOT_ALLOWED");
    assert_eq!(outcome(ask().header(ORIGIN, "https://evil.example")).await.1, "ORIGIN_NOT_ALLOWED");
    assert_eq!(outcome(ask().header(ORIGIN, "null")).await.0, 403);
    let get = toy.get(&[("query", "{ hello }")]);
    assert_eq!(outcome(get.header(ORIGIN, "https://evil.example")).await.0, 403);
    assert_eq!(outcome(ask().header(ORIGIN, format!("http://{}", toy.address))).await.0, 200);
    // Without a list of origins there is no CORS, so a page's preflight fails too.
    let preflight = toy.client.request(reqwest::Method::OPTIONS, toy.url());
    let preflight = preflight.header(ORIGIN, "https://evil.example").send().await.unwrap();
    assert!(preflight.headers().get("access-control-allow-origin").is_none());
}

#[tokio::test]
async fn pages_of_a_listed_origin_may_call_and_read() {
    let shop = "https://shop.example.com";
    let origins = OriginPolicy::new(AllowedHosts::Loopback, None, vec![shop.parse().unwrap()]);
    let toy = serve(EndpointOptions { origins, ..EndpointOptions::default() }).await;
    let preflight = toy
        .client
        .request(reqwest::Method::OPTIONS, toy.url())
        .header(ORIGIN, shop)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type,graphql-preflight");
    let preflight = preflight.send().await.unwrap();
    assert_eq!(preflight.status(), 200);
    assert_eq!(preflight.headers()["access-control-allow-origin"], shop);
    let ask = |origin: &str| toy.post(json!({ "query": "{ nope }" })).header(ORIGIN, origin).send();
    let answer = ask(shop).await.unwrap();
    assert_eq!(answer.headers()["access-control-allow-origin"], shop);
    let foreign = ask("https://evil.example").await.unwrap();
    assert_eq!(foreign.status(), 403);
    assert!(foreign.headers().get("access-control-allow-origin").is_none());
}
