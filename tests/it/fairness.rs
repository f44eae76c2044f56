//! Requests and hosts share the workers: nobody waits for the work of others.

use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use crate::support::database;
use crate::support::halftone::{Client, Halftone, csv};
use crate::support::images;
use crate::support::keys;
use crate::support::origin::{Answer, Origin};
use crate::support::wait::until;

/// The bound within which a small request ends, whatever else there is to do: many times what it takes, and a small part of
/// what it would take behind the others.
const SOON: Duration = Duration::from_secs(30);

/// A request with a row for each of `count` URLs of a host, all with this answer.
async fn catalogue(client: &Client, origin: &Origin, name: &str, count: usize, answer: &Answer) -> String {
    let mut sheet = String::from("S. No,Product Name,Input Image Urls\n");
    for n in 0..count {
        let url = origin.set(&format!("{name}/{n}.jpg"), answer.clone());
        sheet.push_str(&format!("{n},SKU{n},{url}\n"));
    }
    client.accepted(&sheet, json!({})).await
}

async fn ends_soon(client: &Client, id: &str) {
    let request = timeout(SOON, client.finished(id)).await.expect("a small request does not wait for the others");
    assert_eq!(request["status"], "COMPLETED", "{request}");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_images_of_a_quick_host_do_not_wait_for_a_host_that_never_answers() {
    let (slow, quick) = (Origin::start().await, Origin::start().await);
    let halftone = Halftone::start(&["--first-byte-timeout", "10m", "--download-timeout", "10m"]).await;
    let client = &halftone.client;
    let bytes = images::jpeg(64, 48, 1);
    let stuck = catalogue(client, &slow, "slow", 2_000, &Answer::Held(bytes.clone())).await;
    slow.held(8).await;
    for round in 0..3 {
        let small = catalogue(client, &quick, &format!("quick{round}"), 3, &Answer::Image(bytes.clone())).await;
        ends_soon(client, &small).await;
    }
    // Nor do they within one request.
    let mixed: Vec<String> = (0..300)
        .map(|n| match n % 2 {
            0 => slow.set(&format!("mixed/{n}.jpg"), Answer::Held(bytes.clone())),
            _ => quick.set(&format!("mixed/{n}.jpg"), Answer::Image(bytes.clone())),
        })
        .collect();
    let mixed: Vec<&str> = mixed.iter().map(String::as_str).collect();
    let rows: Vec<&[&str]> = mixed.chunks(1).collect();
    let mixed = client.accepted(&csv(&rows), json!({})).await;
    let succeeded = "query ($id: ID!) { processingRequest(id: $id) { progress { succeeded } } }";
    let all_quick_ones = until("all quick ones", async || {
        let data = client.query(succeeded, json!({ "id": mixed })).await;
        data["processingRequest"]["progress"]["succeeded"] == 150
    });
    timeout(SOON, all_quick_ones).await.expect("the quick half of a request does not wait for the slow half");

    let cancel = "mutation ($id: ID!) { cancelProcessingRequest(id: $id) { userErrors { code } } }";
    for id in [stuck, mixed] {
        client.query(cancel, json!({ "id": id })).await;
    }
    slow.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_request_takes_turns_with_a_large_one_of_the_same_host() {
    let origin = Origin::start().await;
    let halftone = Halftone::start(&["--downloads", "4"]).await;
    let client = &halftone.client;
    // At four downloads of a fifth of a second each, the large one alone takes minutes.
    let slow = Answer::Slow(Duration::from_millis(200), images::jpeg(64, 48, 1));
    let large = catalogue(client, &origin, "large", 5_000, &slow).await;
    for round in 0..3 {
        let small = catalogue(client, &origin, &format!("small{round}"), 3, &slow).await;
        ends_soon(client, &small).await;
    }
    let cancel = "mutation ($id: ID!) { cancelProcessingRequest(id: $id) { userErrors { code } } }";
    client.query(cancel, json!({ "id": large })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_with_many_requests_has_the_same_share_as_a_tenant_with_one() {
    const REQUESTS: usize = 20;
    const IMAGES: usize = 25;
    const OF_ONE: usize = 100;
    let origin = Origin::start().await;
    let held = ["--downloads", "4", "--first-byte-timeout", "10m", "--download-timeout", "10m"];
    let halftone = Halftone::start(&held).await;
    let database = &halftone.database_url;
    let of_tenant = async |name| halftone.client.with_key(&keys::create(database, &["--tenant", name]).await);
    let (many, one) = (of_tenant("many").await, of_tenant("one").await);
    let answer = Answer::Held(images::jpeg(16, 12, 1));
    let mut of_many = Vec::new();
    for n in 0..REQUESTS {
        of_many.push(catalogue(&many, &origin, &format!("many{n}"), IMAGES, &answer).await);
    }
    // All places are taken before there is a second tenant, and nothing ends before all is uploaded.
    origin.held(4).await;
    let of_one = catalogue(&one, &origin, "one", OF_ONE, &answer).await;
    origin.open();
    for id in &of_many {
        many.finished(id).await;
    }
    one.finished(&of_one).await;

    let ended_before = format!(
        "SELECT count(*) FROM images JOIN processing_requests r ON r.id = request_id
          WHERE r.id <> '{of_one}'
            AND images.finished_at <= (SELECT finished_at FROM processing_requests WHERE id = '{of_one}')"
    );
    let ended_before = database::number(database, &ended_before).await as usize;
    // As many as those of the other tenant, beside what was held at first, and what one transaction records.
    assert!(
        (OF_ONE / 2..OF_ONE * 2).contains(&ended_before),
        "{ended_before} of {} images ended while the other tenant's {OF_ONE} did",
        REQUESTS * IMAGES
    );
}
