//! POST and GET: one question, one answer.

use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde_json::json;

use super::toy::{outcome, person, serve};
use crate::http::graphql::{Authenticate, EndpointOptions, Refusal};

const GRAPHQL: &str = "application/graphql-response+json";

#[tokio::test]
async fn a_query_is_answered_in_the_media_type_asked_for() {
    let toy = serve(EndpointOptions::default()).await;
    for (accept, answered) in [
        ("*/*", "application/json; charset=utf-8"),
        ("application/json", "application/json; charset=utf-8"),
        (GRAPHQL, "application/graphql-response+json; charset=utf-8"),
    ] {
        let request = toy.post(json!({ "query": "{ hello }" })).header(ACCEPT, accept);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()[CONTENT_TYPE], answered);
        assert_eq!(response.text().await.unwrap(), r#"{"data":{"hello":"hello world"}}"#);
    }
    let (status, code, _) = outcome(toy.post(json!({ "query": "{ hello }" })).header(ACCEPT, "text/html")).await;
    assert_eq!((status, code.as_str()), (406, "NOT_ACCEPTABLE"));
}

#[tokio::test]
async fn a_refused_document_is_400_only_in_the_newer_media_type_and_has_no_data() {
    let toy = serve(EndpointOptions::default()).await;
    for (query, code) in [
        ("{ nope }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ hello ", "GRAPHQL_PARSE_FAILED"),
        ("query A { hello } query B { hello }", "OPERATION_RESOLUTION_FAILED"),
        ("query ($n: String!) { hello(name: $n) }", "GRAPHQL_VALIDATION_FAILED"),
    ] {
        for (accept, expected) in [("application/json", 200), (GRAPHQL, 400)] {
            let (status, found, body) = outcome(toy.post(json!({ "query": query })).header(ACCEPT, accept)).await;
            assert_eq!((status, found.as_str()), (expected, code), "{query} {body}");
            assert!(body.get("data").is_none(), "{body}");
        }
    }
}

#[tokio::test]
async fn a_failing_field_is_an_answer_with_data() {
    let toy = serve(EndpointOptions::default()).await;
    let request = toy.post(json!({ "query": "{ fails }" })).header(ACCEPT, GRAPHQL);
    let (status, _, body) = outcome(request).await;
    assert_eq!(status, 200);
    assert_eq!(body["data"], json!(null));
    assert_eq!(body["errors"][0]["path"], json!(["fails"]));
    let partial = toy.ask("{ hello maybeFails }").await;
    assert_eq!(partial["data"], json!({ "hello": "hello world", "maybeFails": null }));
}

#[tokio::test]
async fn what_is_no_graphql_request_is_400_in_either_media_type() {
    let toy = serve(EndpointOptions::default()).await;
    for (body, code) in [
        ("", "BAD_REQUEST"),
        ("{", "BAD_REQUEST"),
        ("null", "BAD_REQUEST"),
        ("\"{ hello }\"", "BAD_REQUEST"),
        ("{}", "BAD_REQUEST"),
        (r#"{"query":1}"#, "BAD_REQUEST"),
        (r#"{"query":"{hello}","variables":"x"}"#, "BAD_REQUEST"),
        (r#"{"query":"{hello}","variables":[]}"#, "BAD_REQUEST"),
        (r#"{"query":"{hello}","operationName":1}"#, "BAD_REQUEST"),
        (r#"{"query":"{hello}","extensions":[]}"#, "BAD_REQUEST"),
        (r#"[{"query":"{hello}"}]"#, "BATCH_NOT_SUPPORTED"),
        ("[]", "BATCH_NOT_SUPPORTED"),
    ] {
        for accept in ["application/json", GRAPHQL] {
            let request = toy.client.post(toy.url()).header(CONTENT_TYPE, "application/json");
            let (status, found, _) = outcome(request.header(ACCEPT, accept).body(body)).await;
            assert_eq!((status, found.as_str()), (400, code), "{body}");
        }
    }
    let nulls = json!({ "query": "{ hello }", "variables": null, "operationName": null, "extensions": null, "id": 7 });
    assert_eq!(outcome(toy.post(nulls)).await.0, 200);
}

#[tokio::test]
async fn only_json_in_utf8_is_read_as_json() {
    let toy = serve(EndpointOptions::default()).await;
    let body = r#"{"query":"mutation { bump }"}"#;
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/graphql",
        "text/plain; application/json",
        "application/json; charset=latin1",
        "",
    ] {
        let mut request = toy.client.post(toy.url()).body(body);
        if !content_type.is_empty() {
            request = request.header(CONTENT_TYPE, content_type);
        }
        let (status, code, _) = outcome(request).await;
        assert_eq!((status, code.as_str()), (415, "UNSUPPORTED_MEDIA_TYPE"), "{content_type}");
    }
    for content_type in ["application/json", "Application/JSON; charset=\"UTF-8\""] {
        let request = toy.client.post(toy.url()).header(CONTENT_TYPE, content_type).body(body);
        assert_eq!(outcome(request).await.0, 200, "{content_type}");
    }
}

#[tokio::test]
async fn get_runs_queries_and_never_mutations() {
    let toy = serve(EndpointOptions::default()).await;
    let get = |parameters: &[(&str, &str)]| toy.get(parameters);
    let (status, _, body) = outcome(get(&[
        ("query", "query A($n: String) { hello(name: $n) } query B { me } mutation C { bump }"),
        ("operationName", "A"),
        ("variables", r#"{"n":"ä & b"}"#),
    ]))
    .await;
    assert_eq!((status, &body["data"]["hello"]), (200, &json!("hello ä & b")));

    for parameters in [
        &[("query", "mutation { bump }")][..],
        &[("query", "query A { hello } mutation C { bump }"), ("operationName", "C")][..],
    ] {
        let response = get(parameters).send().await.unwrap();
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()["allow"], "POST");
    }
    assert_eq!(toy.ask("mutation { bump }").await["data"]["bump"], 1);

    for parameters in [
        &[("query", "{ hello }"), ("variables", "{")][..],
        &[("query", "{ hello }"), ("variables", "7")][..],
        &[("query", "{ hello }"), ("query", "{ me }")][..],
        &[("operationName", "A")][..],
    ] {
        assert_eq!(outcome(get(parameters)).await.0, 400, "{parameters:?}");
    }
}

#[tokio::test]
async fn other_methods_are_refused_and_told_which_are_allowed() {
    let toy = serve(EndpointOptions::default()).await;
    for method in ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"] {
        let method = method.parse().unwrap();
        let response = toy.client.request(method, toy.url()).send().await.unwrap();
        assert_eq!(response.status(), 405);
        assert_eq!(response.headers()["allow"], "GET, POST");
    }
}

#[tokio::test]
async fn a_subscription_needs_a_stream() {
    let toy = serve(EndpointOptions::default()).await;
    let request = toy.post(json!({ "query": "subscription { count(to: 1) }" }));
    let (status, code, _) = outcome(request.header(ACCEPT, "application/json")).await;
    assert_eq!((status, code.as_str()), (406, "STREAM_NOT_ACCEPTED"));
}

#[tokio::test]
async fn a_resolver_that_panics_is_an_internal_error_and_the_server_goes_on() {
    let toy = serve(EndpointOptions::default()).await;
    let (status, code, body) = outcome(toy.post(json!({ "query": "{ panics }" }))).await;
    assert_eq!((status, code.as_str()), (500, "INTERNAL"));
    assert!(!body.to_string().contains("as the test wants"), "{body}");
    assert_eq!(toy.ask("{ hello }").await["data"]["hello"], "hello world");
}

#[tokio::test]
async fn who_may_call_is_asked_once_and_resolvers_are_told() {
    let authenticate = Authenticate::with(|credentials| async move {
        match credentials.bearer {
            Some(token) if token.starts_with("good") => Ok(person(token)),
            _ => Err(Refusal::new(axum::http::StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", "Show a key.")),
        }
    });
    let toy = serve(EndpointOptions { authenticate, ..EndpointOptions::default() }).await;
    let ask = || toy.post(json!({ "query": "{ me }" }));
    let (status, _, body) = outcome(ask().bearer_auth("good-1")).await;
    assert_eq!((status, &body["data"]["me"]), (200, &json!("good-1")));
    for request in [ask(), ask().bearer_auth("bad"), ask().header("authorization", "Basic good-1")] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
    }
}
