//! The API beside the main flow: reading, refusing, repeating.

use serde_json::{Value, json};

use crate::support::halftone::{Client, Halftone, csv};
use crate::support::images;
use crate::support::origin::{Answer, Origin};

/// Halftone with workers that have nothing to do: what is uploaded stays as it is.
async fn idle() -> Halftone {
    Halftone::start(&["--compressions", "0"]).await
}

fn product_rows(count: usize) -> String {
    let urls: Vec<String> = (1..=count).map(|n| format!("https://www.example.com/{n}.jpg")).collect();
    let rows: Vec<[&str; 1]> = urls.iter().map(|url| [url.as_str()]).collect();
    csv(&rows.iter().map(|row| &row[..]).collect::<Vec<_>>())
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_paged_in_both_directions_without_gaps() {
    let halftone = idle().await;
    let id = halftone.client.accepted(&product_rows(25), json!({})).await;
    let query =
        "query ($id: ID!, $first: Int, $after: String, $last: Int, $before: String) { processingRequest(id: $id) {
        products(first: $first, after: $after, last: $last, before: $before) {
            edges { cursor node { rowNumber } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }";
    let page = async |mut variables: Value| -> (Vec<i64>, Value) {
        variables["id"] = json!(id);
        let data = halftone.client.query(query, variables).await;
        let products = &data["processingRequest"]["products"];
        let rows = products["edges"].as_array().unwrap().iter();
        (rows.map(|edge| edge["node"]["rowNumber"].as_i64().unwrap()).collect(), products["pageInfo"].clone())
    };
    let (rows, info) = page(json!({ "first": 10 })).await;
    assert_eq!(rows, (1..=10).collect::<Vec<_>>());
    assert_eq!((&info["hasNextPage"], &info["hasPreviousPage"]), (&json!(true), &json!(false)));
    let (rows, info) = page(json!({ "first": 20, "after": info["endCursor"] })).await;
    assert_eq!(rows, (11..=25).collect::<Vec<_>>());
    assert_eq!((&info["hasNextPage"], &info["hasPreviousPage"]), (&json!(false), &json!(true)));
    let (rows, info) = page(json!({ "last": 5 })).await;
    assert_eq!(rows, (21..=25).collect::<Vec<_>>());
    let (rows, info) = page(json!({ "last": 20, "before": info["startCursor"] })).await;
    assert_eq!(rows, (1..=20).collect::<Vec<_>>());
    assert_eq!((&info["hasNextPage"], &info["hasPreviousPage"]), (&json!(true), &json!(false)));
    let (rows, _) = page(json!({})).await;
    assert_eq!(rows.len(), 20);

    for (variables, about) in [
        (json!({ "first": 101 }), "0 to 100"),
        (json!({ "first": -1 }), "0 to 100"),
        (json!({ "first": 1, "last": 1 }), "not both"),
        (json!({ "after": "nonsense" }), "not a cursor"),
    ] {
        let mut variables = variables;
        variables["id"] = json!(id);
        let answer = halftone.client.post(query, variables).await;
        let error = &answer["errors"][0];
        assert_eq!(error["extensions"]["code"], "BAD_USER_INPUT", "{answer}");
        assert!(error["message"].as_str().unwrap().contains(about), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_images_is_entered_at_any_place() {
    let halftone = idle().await;
    let id = halftone.client.accepted(&product_rows(30), json!({})).await;
    let query = "query ($id: ID!, $offset: Int, $first: Int, $last: Int, $after: String, $filter: ImageFilter) {
        processingRequest(id: $id) { images(first: $first, last: $last, after: $after, offset: $offset, filter: $filter) {
            totalCount nodes { inputUrl } pageInfo { hasNextPage hasPreviousPage endCursor } } } }";
    let page = async |mut variables: Value| {
        variables["id"] = json!(id);
        halftone.client.post(query, variables).await
    };
    let numbers = |answer: &Value| -> Vec<usize> {
        let nodes =
            answer["data"]["processingRequest"]["images"]["nodes"].as_array().unwrap_or_else(|| panic!("{answer}"));
        let number = |node: &Value| node["inputUrl"].as_str()?.rsplit_once('/')?.1.strip_suffix(".jpg")?.parse().ok();
        nodes.iter().map(|node| number(node).expect("a number")).collect()
    };
    for filter in [json!(null), json!({ "status": ["PENDING"] })] {
        let answer = page(json!({ "first": 3, "offset": 20, "filter": filter })).await;
        assert_eq!(numbers(&answer), [21, 22, 23], "{filter}");
        let images = &answer["data"]["processingRequest"]["images"];
        assert_eq!(images["totalCount"], 30);
        assert_eq!(
            (&images["pageInfo"]["hasPreviousPage"], &images["pageInfo"]["hasNextPage"]),
            (&json!(true), &json!(true))
        );
        let cursor = &images["pageInfo"]["endCursor"];
        let answer = page(json!({ "first": 10, "offset": 5, "after": cursor, "filter": filter })).await;
        assert_eq!(numbers(&answer), [29, 30], "{filter}");
        assert_eq!(answer["data"]["processingRequest"]["images"]["pageInfo"]["hasNextPage"], false);
        assert_eq!(numbers(&page(json!({ "offset": i32::MAX, "filter": filter })).await), [0; 0], "{filter}");
    }
    for refused in [json!({ "offset": -1 }), json!({ "offset": 1, "last": 3 })] {
        assert_eq!(page(refused).await["errors"][0]["extensions"]["code"], "BAD_USER_INPUT");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_object_is_found_by_its_id_and_unknown_ids_find_nothing() {
    let halftone = idle().await;
    let client = &halftone.client;
    let id = client.accepted(&product_rows(2), json!({ "label": "mine" })).await;
    let other = client.accepted(&product_rows(1), json!({})).await;
    let data = client
        .query("query ($id: ID!) { processingRequest(id: $id) { label filename createdAt settings { quality lossless background }
            csv { encoding delimiter rowCount } products { edges { node { id name serialNumber images { id } } } } } }", json!({ "id": id }))
        .await;
    let request = &data["processingRequest"];
    assert_eq!((&request["label"], &request["filename"]), (&json!("mine"), &json!("catalogue.csv")));
    assert_eq!(request["settings"], json!({ "quality": 50, "lossless": false, "background": "#ffffff" }));
    assert_eq!(request["csv"], json!({ "encoding": "UTF-8", "delimiter": ",", "rowCount": 2 }));
    let product = &request["products"]["edges"][0]["node"];
    assert_eq!((&product["name"], &product["serialNumber"]), (&json!("SKU1"), &json!("1")));

    let image = &product["images"][0]["id"];
    let nodes = "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }";
    let unknown = "0192f0c1-2345-7000-8000-000000000000";
    let data = client.query(nodes, json!({ "ids": [image, id, unknown, product["id"], "nonsense"] })).await;
    assert_eq!(
        data["nodes"],
        json!([
            { "__typename": "Image", "id": image },
            { "__typename": "ProcessingRequest", "id": id },
            null,
            { "__typename": "Product", "id": product["id"] },
            null
        ])
    );
    let single = "query ($image: ID!, $product: ID!, $unknown: ID!) {
        image(id: $image) { inputUrl status request { id } } product(id: $product) { rowNumber request { id } }
        none: processingRequest(id: $unknown) { id } node(id: $unknown) { id } }";
    let data = client.query(single, json!({ "image": image, "product": product["id"], "unknown": unknown })).await;
    assert_eq!(
        data,
        json!({
            "image": { "inputUrl": "https://www.example.com/1.jpg", "status": "PENDING", "request": { "id": id } },
            "product": { "rowNumber": 1, "request": { "id": id } },
            "none": null,
            "node": null
        })
    );
    let list =
        "query ($filter: ProcessingRequestFilter) { processingRequests(filter: $filter) { edges { node { id } } } }";
    let ids = async |filter: Value| -> Vec<String> {
        let data = client.query(list, json!({ "filter": filter })).await;
        let edges = data["processingRequests"]["edges"].as_array().unwrap().clone();
        edges.iter().map(|edge| edge["node"]["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(json!(null)).await, [&*other, &*id]);
    assert_eq!(ids(json!({ "label": "mine" })).await, [&*id]);
    assert_eq!(ids(json!({ "status": ["COMPLETED"] })).await, [""; 0]);
    assert_eq!(ids(json!({ "status": ["PENDING", "FAILED"] })).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_inside_lists_belong_to_their_parents_and_know_how_many_they_are() {
    let halftone = idle().await;
    let client = &halftone.client;
    let shared = "https://www.example.com/shared.jpg";
    let sheet = format!(
        "Name,Images\nA,\"{shared},https://www.example.com/a.jpg\"\nB,\"{shared},ftp://no\"\n,https://www.example.com/c.jpg\nD,{shared}\n"
    );
    let first = client.accepted(&sheet, json!({ "label": "first" })).await;
    let second = client.accepted(&product_rows(3), json!({ "label": "second" })).await;
    let query = "{ processingRequests(first: 2) { totalCount nodes { id
        products(first: 2) { totalCount edges { node { name } } pageInfo { hasNextPage } }
        images(last: 2) { totalCount nodes { inputUrl products(first: 2) { totalCount nodes { name } pageInfo { hasNextPage } } } }
        waiting: images(first: 0, filter: { status: [PENDING] }) { totalCount }
        missed: images(filter: { outcome: [COMPRESSED], targetMet: false }) { totalCount nodes { id } }
        csv { issues(first: 1) { totalCount nodes { code } pageInfo { hasNextPage } } }
        failureGroups { count } webhookDelivery { id } } } }";
    let data = client.query(query, json!({})).await;
    let lists = &data["processingRequests"];
    assert_eq!(lists["totalCount"], 2);
    assert_eq!((&lists["nodes"][0]["id"], &lists["nodes"][1]["id"]), (&json!(second), &json!(first)));
    let [newer, older] = [&lists["nodes"][0], &lists["nodes"][1]];
    assert_eq!(
        newer["products"],
        json!({ "totalCount": 3, "edges": [{ "node": { "name": "SKU1" } }, { "node": { "name": "SKU2" } }],
                "pageInfo": { "hasNextPage": true } })
    );
    assert_eq!(older["products"]["totalCount"], 3);
    let of_shared =
        json!({ "totalCount": 3, "nodes": [{ "name": "A" }, { "name": "B" }], "pageInfo": { "hasNextPage": true } });
    let of_other = json!({ "totalCount": 1, "nodes": [{ "name": "A" }], "pageInfo": { "hasNextPage": false } });
    assert_eq!(
        older["images"],
        json!({ "totalCount": 2, "nodes": [
            { "inputUrl": shared, "products": of_shared },
            { "inputUrl": "https://www.example.com/a.jpg", "products": of_other },
        ] })
    );
    assert_eq!((&newer["waiting"]["totalCount"], &older["waiting"]["totalCount"]), (&json!(3), &json!(2)));
    assert_eq!(older["missed"], json!({ "totalCount": 0, "nodes": [] }));
    let issues = &older["csv"]["issues"];
    assert_eq!((&issues["totalCount"], &issues["pageInfo"]["hasNextPage"]), (&json!(2), &json!(true)));
    assert_eq!(issues["nodes"][0]["code"], "UNSUPPORTED_SCHEME");
    assert_eq!((&older["failureGroups"], &older["webhookDelivery"]), (&json!([]), &json!(null)));
    let answer = client.post("{ processingRequests(filter: { label: \"\\u0000\" }) { totalCount } }", json!({})).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_file_stores_nothing_and_says_everything_that_is_wrong() {
    let halftone = idle().await;
    let client = &halftone.client;
    for (csv, code) in [
        ("", "EMPTY_FILE"),
        ("S. No,Product Name\n1,SKU1\n", "MISSING_COLUMN"),
        ("S. No,Product Name,Input Image Urls\n1,SKU1,\"https://www.example.com/1.jpg\n", "UNTERMINATED_QUOTE"),
        ("S. No,Product Name,Input Image Urls\n1,SKU1,\0\n", "NUL_BYTE"),
    ] {
        let payload = client.upload(csv, json!({})).await;
        assert_eq!(payload["userErrors"][0]["code"], "CSV_REJECTED", "{payload}");
        assert_eq!(payload["userErrors"][0]["field"], json!(["input", "file"]));
        assert_eq!(payload["csv"]["issues"]["edges"][0]["node"]["code"], code, "{payload}");
        assert_eq!(payload["processingRequest"], json!(null));
    }
    let message = async |csv: &str| {
        let payload = client.upload(csv, json!({ "onInvalidRow": "REJECT_FILE" })).await;
        payload["userErrors"][0]["message"].as_str().unwrap().to_owned()
    };
    let begins = "The CSV was rejected. Line 1: No column is called";
    assert!(message("S. No,Product Name\n1,SKU1\n").await.starts_with(begins));
    let begins = "The CSV was rejected because `onInvalidRow` is REJECT_FILE. Line 3: This row has no product name.";
    let one = "Name,Images\nSKU1,https://www.example.com/1.jpg\n,https://www.example.com/2.jpg\n";
    assert!(message(one).await.starts_with(begins));
    let mixed = "S. No,Product Name,Input Image Urls,Colour\n1,SKU1,https://www.example.com/1.jpg,red\n2,,https://www.example.com/2.jpg,green\n3,SKU3,ftp://www.example.com/3.jpg,blue\n4,SKU4,\"https://www.example.com/4.jpg,https://\",=1+1\n";
    let payload = client.upload(mixed, json!({ "onInvalidRow": "REJECT_FILE" })).await;
    assert_eq!(payload["userErrors"][0]["code"], "CSV_REJECTED");
    assert_eq!(
        payload["userErrors"][0]["message"],
        "The CSV was rejected because `onInvalidRow` is REJECT_FILE: 3 errors were found in it, the first on line 3."
    );
    let csv = &payload["csv"];
    assert_eq!((&csv["acceptedRowCount"], &csv["rejectedRowCount"]), (&json!(0), &json!(4)), "as of any refused file");
    assert_eq!(
        client.query("{ processingRequests { edges { node { id } } } }", json!({})).await["processingRequests"]["edges"],
        json!([])
    );

    let payload = client.upload(mixed, json!({})).await;
    let csv = &payload["csv"];
    assert_eq!(
        (&csv["rowCount"], &csv["acceptedRowCount"], &csv["rejectedRowCount"]),
        (&json!(4), &json!(2), &json!(2))
    );
    let issues = csv["issues"]["edges"].as_array().unwrap().iter().map(|issue| &issue["node"]);
    let issues: Vec<_> =
        issues.map(|issue| (issue["line"].as_i64().unwrap(), issue["code"].as_str().unwrap())).collect();
    assert_eq!(issues, [(3, "EMPTY_PRODUCT_NAME"), (4, "UNSUPPORTED_SCHEME"), (5, "INVALID_URL")]);

    let id = payload["processingRequest"]["id"].as_str().unwrap();
    let query = "query ($id: ID!) { processingRequest(id: $id) { outputCsvUrl result { url filename isPartial } } }";
    let data = client.query(query, json!({ "id": id })).await;
    let request = &data["processingRequest"];
    assert_eq!(request["outputCsvUrl"], json!(null));
    assert_eq!(
        (&request["result"]["filename"], &request["result"]["isPartial"]),
        (&json!("catalogue_output.csv"), &json!(true))
    );
    let output = client.download(request["result"]["url"].as_str().unwrap()).await;
    let mut reader = csv::Reader::from_reader(&output[..]);
    let rows: Vec<Vec<String>> = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
    assert_eq!(rows.len(), 4, "rejected rows have their place");
    assert_eq!((rows[1][0].as_str(), rows[1][4].as_str()), ("2", "green"));
    assert_eq!(rows[3][3], ",", "a place for each URL, also the refused one");
    assert_eq!(rows[3][4], "'=1+1", "formulas are defused");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_idempotency_key_makes_one_request_also_when_two_arrive_at_once() {
    let halftone = idle().await;
    let client = &halftone.client;
    let sheet = product_rows(3);
    let input = json!({ "idempotencyKey": "spring-2026" });
    let (one, two) =
        tokio::join!(client.upload(sheet.as_str(), input.clone()), client.upload(sheet.as_str(), input.clone()));
    assert_eq!(one["processingRequest"]["id"], two["processingRequest"]["id"]);
    assert_ne!(one["replayed"], two["replayed"]);
    let empty = client.upload(sheet.as_str(), json!({ "idempotencyKey": "" })).await;
    assert_eq!(
        (&empty["userErrors"][0]["code"], &empty["userErrors"][0]["field"]),
        (&json!("INVALID_SETTINGS"), &json!(["input", "idempotencyKey"]))
    );
    let third = client.upload(sheet.as_str(), input.clone()).await;
    assert_eq!(
        (&third["replayed"], &third["processingRequest"]["id"]),
        (&json!(true), &one["processingRequest"]["id"])
    );

    let other_file = client.upload(product_rows(4), input.clone()).await;
    assert_eq!(other_file["userErrors"][0]["code"], "IDEMPOTENCY_KEY_REUSED");
    let mut other_settings = input;
    other_settings["compression"] = json!({ "quality": 60 });
    let other_settings = client.upload(sheet.as_str(), other_settings).await;
    assert_eq!(other_settings["userErrors"][0]["code"], "IDEMPOTENCY_KEY_REUSED");
    let data = client.query("{ processingRequests { edges { node { id } } } }", json!({})).await;
    assert_eq!(data["processingRequests"]["edges"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_setting_is_reported_at_once() {
    let halftone = idle().await;
    let input = json!({
        "compression": { "quality": 0 }, "output": { "maxWidth": 0, "background": "red", "format": "TIFF" },
        "webhookUrl": "nonsense", "label": "x".repeat(300)
    });
    let payload = halftone.client.upload(product_rows(1), input).await;
    let codes: Vec<&str> =
        payload["userErrors"].as_array().unwrap().iter().map(|error| error["code"].as_str().unwrap()).collect();
    assert_eq!(codes.iter().filter(|code| **code == "INVALID_SETTINGS").count(), 5, "{payload}");
    assert!(codes.contains(&"INVALID_WEBHOOK_URL"));

    // Exactly one goal may be given: the refusal names those that were.
    let upload = |argument: &str| {
        format!("mutation ($c: CompressionInput) {{ uploadCsv(input: {{ {argument} }}) {{ replayed }} }}")
    };
    let two = json!({ "c": { "quality": 50, "minScore": 85, "lossless": true } });
    for (query, variables, given) in [
        (upload("compression: { targetRatio: 0.5, quality: 1 }"), json!({}), "`targetRatio` and `quality`"),
        (upload("compression: $c"), two, "`lossless`, `minScore` and `quality`"),
    ] {
        let answer = halftone.client.post(&query, variables).await;
        let message = format!("`compression` has {given}; give exactly one of them.");
        assert_eq!(answer["errors"][0]["message"], message, "{answer}");
        assert_eq!(answer["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_open_only_what_they_were_signed_for_and_images_are_cached_for_ever() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let client = &halftone.client;
    let url = origin.set("photo one.jpg", Answer::Image(images::jpeg(160, 120, 1))).replace(' ', "%20");
    let id = client.accepted(&csv(&[&[&url]]), json!({})).await;
    let request = client.finished(&id).await;

    let link = request["outputCsvUrl"].as_str().unwrap();
    let status = async |url: String| client.http.get(url).send().await.unwrap().status().as_u16();
    assert_eq!(status(link.to_owned()).await, 200);
    assert_eq!(status(link.replace("expires=1", "expires=2")).await, 404);
    assert_eq!(status(link[..link.len() - 3].to_owned()).await, 404);
    assert_eq!(status(link.split('?').next().unwrap().to_owned()).await, 404);
    let answer = client.http.get(link).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/csv; charset=utf-8");
    assert!(answer.headers()["content-disposition"].to_str().unwrap().contains("filename=\"catalogue_output.csv\""));

    let image = &client.images(&id).await[0];
    let output = image["output"]["url"].as_str().unwrap();
    assert!(output.ends_with("/compressed_photo-one.jpg"), "{output}");
    let answer = client.http.get(output).send().await.unwrap();
    assert_eq!(
        (&answer.headers()["content-type"], &answer.headers()["x-content-type-options"]),
        (&"image/jpeg".parse().unwrap(), &"nosniff".parse().unwrap())
    );
    assert!(answer.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    let etag = answer.headers()["etag"].clone();
    assert_eq!(etag, format!("\"{}\"", image["output"]["sha256"].as_str().unwrap()));
    let bytes = answer.bytes().await.unwrap();
    assert_eq!(bytes.len(), image["output"]["byteSize"].as_u64().unwrap() as usize);
    let list = format!("\"other\", W/{}", etag.to_str().unwrap());
    let again = client.http.get(output).header("if-none-match", list).send().await.unwrap();
    assert_eq!(again.status(), 304);
    let part = client.http.get(output).header("range", "bytes=2-5").header("if-range", etag).send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.headers()["content-range"], format!("bytes 2-5/{}", bytes.len()));
    assert_eq!(part.bytes().await.unwrap(), bytes[2..6]);
    let outside = client.http.get(output).header("range", "bytes=99999999-").send().await.unwrap();
    assert_eq!(outside.status(), 416);
    assert_eq!(status(output.replace("compressed_", "other_")).await, 404);
    assert_eq!(status(format!("{}/images/nonsense/x.jpg", client.url)).await, 404);
    for (path, expected) in
        [("/healthz", 200), ("/readyz", 200), ("/", 200), ("/schema.graphql", 200), ("/nothing", 404)]
    {
        assert_eq!(status(format!("{}{path}", client.url)).await, expected, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_see_every_image_once_and_can_go_on_where_they_were() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&[]).await;
    let urls: Vec<String> =
        (0..30).map(|n| origin.set(&format!("{n}.jpg"), Answer::Held(images::jpeg(64, 48, n)))).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let id = halftone.client.accepted(&csv(&[&urls]), json!({})).await;
    let updates = "subscription ($id: ID!, $after: String) { imageUpdated(requestId: $id, after: $after) {
        cursor image { inputUrl status } progress { total pending processing retrying succeeded failed canceled percent } } }";
    let snapshots = "subscription ($id: ID!) { requestUpdated(id: $id, minIntervalMs: 50) { status progress { percent revision } } }";
    let (images, requests, ()) = tokio::join!(
        halftone.client.subscribe(updates, json!({ "id": id })),
        halftone.client.subscribe(snapshots, json!({ "id": id })),
        async {
            origin.held(8).await;
            origin.open();
        }
    );
    let mut seen: Vec<&str> =
        images.iter().map(|update| update["imageUpdated"]["image"]["inputUrl"].as_str().unwrap()).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!((seen.len(), images.len()), (30, 30));
    for update in &images {
        let progress = &update["imageUpdated"]["progress"];
        let sum: i64 = ["pending", "processing", "retrying", "succeeded", "failed", "canceled"]
            .iter()
            .map(|name| progress[name].as_i64().unwrap())
            .sum();
        assert_eq!(sum, 30, "{progress}");
    }
    let percents: Vec<f64> =
        requests.iter().map(|snapshot| snapshot["requestUpdated"]["progress"]["percent"].as_f64().unwrap()).collect();
    assert!(percents.is_sorted() && percents.last() == Some(&100.0), "{percents:?}");
    let revisions: Vec<u64> =
        requests.iter().map(|snapshot| snapshot["requestUpdated"]["progress"]["revision"].as_u64().unwrap()).collect();
    assert!(revisions.is_sorted(), "{revisions:?}");
    assert_eq!(requests.last().unwrap()["requestUpdated"]["status"], "COMPLETED");

    let middle = &images[11]["imageUpdated"]["cursor"];
    let rest = halftone.client.subscribe(updates, json!({ "id": id, "after": middle })).await;
    let cursors = |updates: &[Value]| -> Vec<Value> {
        updates.iter().map(|update| update["imageUpdated"]["cursor"].clone()).collect()
    };
    assert_eq!(cursors(&rest), cursors(&images[12..]));
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_queries_are_refused_before_they_cost_anything() {
    let halftone = idle().await;
    let client: &Client = &halftone.client;
    let bomb = format!(
        "query {{ ...f0 }} {}  fragment f24 on Query {{ limits {{ csv {{ maxBytes }} }} }}",
        (0..24).map(|n| format!("fragment f{n} on Query {{ ...f{0} ...f{0} }}", n + 1)).collect::<String>()
    );
    let list = "processingRequests(first: 50) { edges { node { products(first: 100) { edges { node { images { products(first: 100) { edges { node { name } } } } } } } } } }";
    let answer = client.post(&bomb, json!({})).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "QUERY_TOO_COMPLEX", "{answer}");
    let answer = client.post(&format!("{{ {list} }}"), json!({})).await;
    assert!(answer["data"].is_null() && answer["errors"][0]["message"].is_string(), "{answer}");

    let upload = "mutation ($file: Upload!) { checkCsv(file: $file) { csv { rowCount } } }";
    let answer = client.post(upload, json!({ "file": "#__graphql_file__:0" })).await;
    assert!(answer["errors"][0]["message"].is_string(), "{answer}");

    let form = client.http.post(format!("{}/graphql", client.url)).header("content-type", "text/plain");
    let answer = form.body("{\"query\":\"{ __typename }\"}").send().await.unwrap();
    assert_eq!(answer.status(), 415);
    let get = client.http.get(format!("{}/graphql?query=mutation%7Bx%7D", client.url)).send().await.unwrap();
    assert!(get.status().is_client_error());
    let foreign = client.http.post(format!("{}/graphql", client.url)).header("origin", "https://evil.example");
    assert_eq!(foreign.json(&json!({ "query": "{ __typename }" })).send().await.unwrap().status(), 403);
}
