//! Tenants: what belongs to one does not exist for the others. The places where an id can be given are found in the schema, so
//! that none is forgotten.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::StatusCode;
use serde_json::{Map, Value, json};

use crate::support::halftone::{Client, Halftone, csv};
use crate::support::images;
use crate::support::keys;
use crate::support::origin::{Answer, Origin};
use crate::support::sink::Sink;

const SCHEMA: &str = "{ __schema {
    queryType { name } mutationType { name } subscriptionType { name }
    types { kind name
        fields(includeDeprecated: true) { name type { ...T } args(includeDeprecated: true) { name defaultValue type { ...T } } }
        inputFields(includeDeprecated: true) { name defaultValue type { ...T } } } } }
    fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";

/// The name of a type without `!` and `[]`.
fn named(mut of: &Value) -> &str {
    while !of["ofType"].is_null() {
        of = &of["ofType"];
    }
    of["name"].as_str().unwrap()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A type as a variable declares it.
fn written(of: &Value) -> String {
    match of["kind"].as_str().unwrap() {
        "NON_NULL" => format!("{}!", written(&of["ofType"])),
        "LIST" => format!("[{}]", written(&of["ofType"])),
        _ => of["name"].as_str().unwrap().to_owned(),
    }
}

struct Schema {
    types: BTreeMap<String, Value>,
    roots: [(String, &'static str); 3],
}

/// A place in an argument of a root field that takes an id.
#[derive(Debug, Clone)]
struct Place {
    operation: &'static str,
    field: Value,
    argument: Value,
    /// From the argument to the id.
    path: Vec<String>,
}

impl Place {
    fn name(&self) -> String {
        let argument = self.argument["name"].as_str().unwrap();
        let inner: String = self.path.iter().map(|part| format!(".{part}")).collect();
        format!("{} {}({argument}{inner})", self.operation, self.field["name"].as_str().unwrap())
    }
}

impl Schema {
    async fn read(client: &Client) -> Self {
        let schema = client.query(SCHEMA, json!({})).await["__schema"].take();
        let root = |kind: &str| schema[kind]["name"].as_str().unwrap().to_owned();
        let roots = [
            (root("queryType"), "query"),
            (root("mutationType"), "mutation"),
            (root("subscriptionType"), "subscription"),
        ];
        let types = list(&schema["types"]).iter().map(|of| (of["name"].as_str().unwrap().to_owned(), of.clone()));
        Self { types: types.collect(), roots }
    }

    fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        for (root, operation) in &self.roots {
            for field in list(&self.types[root]["fields"]) {
                for argument in list(&field["args"]) {
                    let mut paths = Vec::new();
                    self.find_ids(&argument["type"], &mut Vec::new(), &mut paths);
                    let place = |path| Place { operation, field: field.clone(), argument: argument.clone(), path };
                    places.extend(paths.into_iter().map(place));
                }
            }
        }
        // What deletes comes last, so that the others still find what they are asked for.
        places.sort_by_key(|place| place.name().contains(" delete"));
        places
    }

    fn find_ids(&self, of: &Value, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
        let name = named(of);
        if name == "ID" {
            found.push(path.clone());
        }
        for field in list(&self.types[name]["inputFields"]) {
            path.push(field["name"].as_str().unwrap().to_owned());
            self.find_ids(&field["type"], path, found);
            path.pop();
        }
    }

    /// A value for an argument or a field, with `id` at the end of `path` and `own` where another id is needed.
    fn value(
        &self,
        of: &Value,
        path: Option<&[String]>,
        id: &str,
        own: &str,
        files: &mut Vec<String>,
        at: &str,
    ) -> Value {
        match (of["kind"].as_str().unwrap(), of["name"].as_str()) {
            ("NON_NULL", _) => self.value(&of["ofType"], path, id, own, files, at),
            ("LIST", _) => json!([self.value(&of["ofType"], path, id, own, files, at)]),
            (_, Some("ID")) => json!(if path == Some(&[]) { id } else { own }),
            (_, Some("Upload")) => {
                files.push(at.to_owned());
                Value::Null
            }
            (_, Some("String")) => json!("https://www.example.com/other.jpg"),
            ("INPUT_OBJECT", Some(name)) => {
                let mut object = Map::new();
                for field in list(&self.types[name]["inputFields"]) {
                    let name = field["name"].as_str().unwrap();
                    let rest = path.and_then(|path| path.split_first()).filter(|(first, _)| *first == name);
                    let needed = field["type"]["kind"] == "NON_NULL" && field["defaultValue"].is_null();
                    if needed || rest.is_some() {
                        let at = format!("{at}.{name}");
                        let value = self.value(&field["type"], rest.map(|(_, rest)| rest), id, own, files, &at);
                        object.insert(name.to_owned(), value);
                    }
                }
                Value::Object(object)
            }
            other => panic!("this test has no value of the type {other:?}"),
        }
    }

    /// What is asked of a result: enough to see whether anything was found.
    fn selection(&self, of: &Value) -> String {
        let of = &self.types[named(of)];
        if !["OBJECT", "INTERFACE"].contains(&of["kind"].as_str().unwrap()) {
            return String::new();
        }
        let mut selection = "{ __typename ".to_owned();
        if of["name"].as_str().unwrap().ends_with("Payload") {
            for field in list(&of["fields"]) {
                let name = field["name"].as_str().unwrap();
                selection += match (name, self.types[named(&field["type"])]["kind"].as_str().unwrap()) {
                    ("userErrors", _) => "userErrors { code } ".to_owned(),
                    (_, "OBJECT") => format!("{name} {{ __typename }} "),
                    _ => format!("{name} "),
                }
                .as_str();
            }
        }
        selection + "}"
    }

    /// The answer to an operation with `id` at this place.
    async fn ask(&self, client: &Client, place: &Place, id: &str, own: &str) -> Value {
        let (field, argument) = (place.field["name"].as_str().unwrap(), place.argument["name"].as_str().unwrap());
        let mut files = Vec::new();
        let of = &place.argument["type"];
        let value = self.value(of, Some(&place.path), id, own, &mut files, &format!("variables.{argument}"));
        let (mut variables, mut declared) = (Map::new(), Vec::new());
        variables.insert(argument.to_owned(), value);
        declared.push(argument);
        for other in list(&place.field["args"]) {
            let name = other["name"].as_str().unwrap();
            if name != argument && other["type"]["kind"] == "NON_NULL" && other["defaultValue"].is_null() {
                let at = format!("variables.{name}");
                variables.insert(name.to_owned(), self.value(&other["type"], None, id, own, &mut files, &at));
                declared.push(name);
            }
        }
        let arguments = list(&place.field["args"]).iter();
        let arguments: Vec<_> = arguments.filter(|one| declared.contains(&one["name"].as_str().unwrap())).collect();
        let join =
            |write: &dyn Fn(&Value) -> String| arguments.iter().map(|one| write(one)).collect::<Vec<_>>().join(", ");
        let name = |one: &Value| one["name"].as_str().unwrap().to_owned();
        let query = format!(
            "{} ({}) {{ {field}({}) {} }}",
            place.operation,
            join(&|one| format!("${}: {}", name(one), written(&one["type"]))),
            join(&|one| format!("{0}: ${0}", name(one))),
            self.selection(&place.field["type"]),
        );
        let variables = Value::Object(variables);
        match (&files[..], place.operation) {
            ([at], _) => client.send_file(&query, variables, at, csv(&[&["http://127.0.0.1:9/1.jpg"]])).await,
            (_, "subscription") => {
                let body = json!({ "query": query, "variables": variables });
                let post = client.http.post(format!("{}/graphql", client.url)).header("accept", "text/event-stream");
                let events = post.json(&body).send().await.unwrap().text().await.unwrap();
                let first = events.split("data: ").nth(1).and_then(|rest| rest.split('\n').next());
                serde_json::from_str(first.unwrap_or_else(|| panic!("no event: {events}"))).unwrap()
            }
            _ => client.post(&query, variables).await,
        }
    }
}

/// Whether an answer says that there is nothing with the id.
fn is_not_found(answer: &Value) -> bool {
    let codes: Vec<&Value> = list(&answer["errors"]).iter().map(|error| &error["extensions"]["code"]).collect();
    let Some(result) = answer["data"].as_object().and_then(|data| data.values().next()) else {
        return codes == ["NOT_FOUND"];
    };
    match result {
        Value::Null => codes.iter().all(|code| **code == "NOT_FOUND"),
        Value::Array(items) => codes.is_empty() && items.iter().all(Value::is_null),
        payload => {
            let errors = list(&payload["userErrors"]);
            !errors.is_empty() && errors.iter().all(|error| error["code"] == "NOT_FOUND")
        }
    }
}

/// A finished request with all that hangs on it: its own id, and those of a product, an image that failed and a webhook.
async fn finished(client: &Client, origin: &Origin, sink: &Sink) -> [String; 4] {
    let (good, missing) = (origin.url("1.jpg"), origin.url("missing.jpg"));
    let id = client.accepted(&csv(&[&[&good, &missing]]), json!({ "webhookUrl": sink.url })).await;
    assert_eq!(client.finished(&id).await["status"], "COMPLETED_WITH_ERRORS");
    let query = "query ($id: ID!) { processingRequest(id: $id) { products { nodes { id } }
        images(filter: { status: [FAILED] }) { nodes { id } } webhookDelivery { id } } }";
    let request = client.query(query, json!({ "id": id })).await["processingRequest"].take();
    let of = |value: &Value| value["id"].as_str().expect("an id").to_owned();
    let (product, image) = (of(&request["products"]["nodes"][0]), of(&request["images"]["nodes"][0]));
    [id, product, image, of(&request["webhookDelivery"])]
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_another_tenant_is_found_by_its_id() {
    let (origin, sink) = (Origin::start().await, Sink::start(&[]).await);
    origin.set("1.jpg", Answer::Image(images::jpeg(64, 48, 1)));
    let halftone = Halftone::start(&[]).await;
    let key =
        async |tenant: &str| keys::create(&halftone.database_url, &["--tenant", tenant, "--scope", "admin"]).await;
    let owner = halftone.client.with_key(&key("owner").await);
    let other = halftone.client.with_key(&key("other").await);
    let ids = finished(&owner, &origin, &sink).await;
    let own = finished(&other, &origin, &sink).await;
    sink.received(2).await;

    let schema = Schema::read(&owner).await;
    let places = schema.places();
    let names: Vec<String> = places.iter().map(Place::name).collect();
    for known in [
        "query node(id)",
        "query nodes(ids)",
        "mutation deleteProcessingRequest(input.id)",
        "mutation retryFailedImages(input.filter.ids)",
        "subscription imageUpdated(requestId)",
    ] {
        assert!(names.iter().any(|name| name == known), "{known} is not among {names:#?}");
    }
    let state =
        "query ($id: ID!) { processingRequest(id: $id) { status pausedAt run { number } progress { revision } } }";
    let before = owner.query(state, json!({ "id": ids[0] })).await;
    for place in &places {
        for id in &ids {
            let answer = schema.ask(&other, place, id, &own[0]).await;
            assert!(is_not_found(&answer), "{}: {answer}", place.name());
        }
    }
    assert_eq!(owner.query(state, json!({ "id": ids[0] })).await, before, "nothing was changed");

    // The lists are empty but for what is one's own.
    let lists = other
        .query(
            "{ processingRequests { totalCount nodes { id } } processingRequestTotals { requests }
        viewer { tenant { usage { requests } } } }",
            json!({}),
        )
        .await;
    assert_eq!(lists["processingRequests"], json!({ "totalCount": 1, "nodes": [{ "id": own[0] }] }));
    assert_eq!(
        (&lists["processingRequestTotals"]["requests"], &lists["viewer"]["tenant"]["usage"]["requests"]),
        (&json!(1), &json!(1))
    );

    // The owner finds something at each place: otherwise this test would prove nothing.
    for place in &places {
        let mut found = false;
        for id in &ids {
            found |= !is_not_found(&schema.ask(&owner, place, id, &ids[0]).await);
        }
        assert!(found, "{} finds nothing for its owner either", place.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_the_same_request_as_its_owner_does_not_see_it() {
    let origin = Origin::start().await;
    let held = origin.set("1.jpg", Answer::Held(images::jpeg(64, 48, 1)));
    let halftone = Halftone::start(&[]).await;
    let key = async |tenant: &str| keys::create(&halftone.database_url, &["--tenant", tenant]).await;
    let owner = halftone.client.with_key(&key("owner").await);
    let other = halftone.client.with_key(&key("other").await);
    let id = owner.accepted(&csv(&[&[&held]]), json!({})).await;
    let query = "subscription ($id: ID!) { requestUpdated(id: $id, minIntervalMs: 50) { status } }";
    let (begun, waiting) = tokio::sync::oneshot::channel();
    let watching = owner.subscribe_and(query, json!({ "id": id }), || begun.send(()).unwrap());
    let prying = async {
        waiting.await.unwrap();
        let post = other.http.post(format!("{}/graphql", other.url)).header("accept", "text/event-stream");
        let events = post.json(&json!({ "query": query, "variables": { "id": id } })).send().await.unwrap();
        let events = events.text().await.unwrap();
        assert!(events.contains("NOT_FOUND") && !events.contains("PROCESSING"), "{events}");
        // The list that consoles watch, too.
        let list = json!({ "query": "subscription { requestsUpdated { id } }" });
        let post = other.http.post(format!("{}/graphql", other.url)).header("accept", "text/event-stream");
        let mut events = post.json(&list).send().await.unwrap();
        let mine = other.accepted(&csv(&[&[&origin.url("2.jpg")]]), json!({})).await;
        let mut seen = String::new();
        while !seen.contains(&mine) {
            seen.push_str(std::str::from_utf8(&events.chunk().await.unwrap().expect("an event")).unwrap());
        }
        assert!(!seen.contains(&id), "{seen}");
        origin.open();
        other.finished(&mine).await;
    };
    let (snapshots, ()) = tokio::join!(watching, prying);
    assert_eq!(snapshots.last().unwrap()["requestUpdated"]["status"], "COMPLETED");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_is_one_tenants_own() {
    let halftone = Halftone::start(&["--compressions", "0"]).await;
    let key = async |tenant: &str| keys::create(&halftone.database_url, &["--tenant", tenant]).await;
    let one = halftone.client.with_key(&key("one").await);
    let other = halftone.client.with_key(&key("other").await);
    let sheet = csv(&[&["https://www.example.com/1.jpg"]]);
    let upload = async |client: &Client, sheet: &str| client.upload(sheet, json!({ "idempotencyKey": "1" })).await;
    let first = upload(&one, &sheet).await;
    let again = upload(&one, &sheet).await;
    assert_eq!(
        (&again["replayed"], &again["processingRequest"]["id"]),
        (&json!(true), &first["processingRequest"]["id"])
    );
    for sheet in [&sheet, &csv(&[&["https://www.example.com/2.jpg"]])] {
        let theirs = upload(&other, sheet).await;
        let reused = theirs["userErrors"][0]["code"] == "IDEMPOTENCY_KEY_REUSED";
        assert_eq!((reused, &theirs["replayed"]), (sheet.contains("2.jpg"), &json!(false)), "{theirs}");
        assert_ne!(theirs["processingRequest"]["id"], first["processingRequest"]["id"]);
    }
}

/// Links work without a key, so each is signed or too hard to guess.
#[tokio::test(flavor = "multi_thread")]
async fn files_are_found_by_their_links_only() {
    let mut routes = BTreeSet::new();
    for file in ["mod.rs", "previews.rs", "console.rs", "graphql/mod.rs"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http").join(file);
        let source = std::fs::read_to_string(path).unwrap();
        let literals = source
            .split('"')
            .filter(|text| text.starts_with('/') && text.contains('{') && !text.contains(char::is_whitespace));
        routes.extend(literals.map(str::to_owned));
    }
    let known = [
        "/assets/{name}",
        "/images/{id}",
        "/images/{id}/{name}",
        // An output that is not the image's first: found by the image's id as the first one is.
        "/images/{id}/{number}/{name}",
        "/requests/{id}",
        "/results/{id}/{file}",
        "/sources/{id}",
        "/thumbnails/{id}",
        "/thumbnails/{id}/{number}",
    ];
    assert_eq!(routes, known.map(str::to_owned).into(), "say here how the new route keeps strangers out");

    let (origin, sink) = (Origin::start().await, Sink::start(&[]).await);
    origin.set("1.jpg", Answer::Image(images::jpeg(64, 48, 1)));
    let halftone = Halftone::start(&[]).await;
    let client = halftone.client.with_key(&keys::create(&halftone.database_url, &[]).await);
    let [id, ..] = finished(&client, &origin, &sink).await;
    let [another, ..] = finished(&client, &origin, &sink).await;
    sink.received(2).await;
    let query = "query ($id: ID!) { processingRequest(id: $id) { outputCsvUrl
        images(filter: { status: [SUCCEEDED] }) { nodes { id thumbnailUrl sourceUrl output { url } } } } }";
    let request = client.query(query, json!({ "id": id })).await["processingRequest"].take();
    let image = &request["images"]["nodes"][0];
    let links = [&request["outputCsvUrl"], &image["sourceUrl"], &image["thumbnailUrl"], &image["output"]["url"]]
        .map(|link| link.as_str().expect("a link"));
    let stranger = &halftone.client.http;
    let status = async |url: String| stranger.get(url).send().await.unwrap().status();
    for link in links {
        assert_eq!(status(link.to_owned()).await, StatusCode::OK, "{link}");
    }
    let image_id = image["id"].as_str().unwrap();
    let nil = uuid::Uuid::nil().to_string();
    for (link, wrong) in [
        (links[0], links[0].split('?').next().unwrap().to_owned()),
        (links[0], links[0].replace(&id, &another)),
        (links[1], links[1].split('?').next().unwrap().to_owned()),
        (links[1], links[1].replace(image_id, &nil)),
        (links[2], links[2].replace(image_id, &nil)),
        (links[3], links[3].replace(image_id, &nil)),
        (links[3], format!("{}x", links[3])),
    ] {
        assert_eq!(status(wrong.clone()).await, StatusCode::NOT_FOUND, "{wrong} instead of {link}");
    }
    // The pages hold nothing: what they show they ask for with a key.
    let page =
        async |path: &str| stranger.get(format!("{}{path}", client.url)).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(page(&format!("/requests/{id}")).await, page("/").await);
    assert_eq!(page(&format!("/images/{image_id}")).await, page("/").await);
}
