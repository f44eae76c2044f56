//! How many statements answers cost.

use futures_util::future::join_all;
use serde_json::json;
use tokio::sync::{Barrier, oneshot};

use crate::support::database;
use crate::support::halftone::{Halftone, csv};
use crate::support::images;
use crate::support::origin::{Answer, Origin};
use crate::support::proxy::Proxy;
use crate::support::sink::Sink;

/// Everything that hangs on a request, a few of each.
const PAGE: &str = "query ($first: Int!) { processingRequests(first: $first) { nodes {
    id status settings { quality } progress { total percent } savings { savedBytes }
    csv { rowCount issues(first: 1) { nodes { code } } }
    products(first: 2) { nodes { name images { status output { url } } } }
    images(first: 2) { nodes { status products(first: 1) { nodes { name } } } }
    failureGroups { code count } hosts { host failed }
    webhookDelivery { status attempts { number } } } } }";

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_requests_costs_as_many_statements_as_one_request() {
    let origin = Origin::start().await;
    let sink = Sink::start(&[]).await;
    let proxy = Proxy::start(&database::fresh().await).await;
    let worker = Halftone::on(proxy.url.clone(), &[]).await;
    let url = origin.set("1.jpg", Answer::Image(images::jpeg(64, 48, 1)));
    let missing = origin.url("2.jpg");
    let sheet = format!("{}3,,not a url\n", csv(&[&[&url, &missing], &[&url]]));
    for _ in 0..8 {
        let id = worker.client.accepted(&sheet, json!({ "webhookUrl": sink.url })).await;
        worker.client.finished(&id).await;
    }
    sink.received(8).await;
    let delivered = "SELECT count(*) FROM webhook_deliveries WHERE status = 'DELIVERED'";
    database::number_is(&worker.database_url, delivered, |count| count == 8).await;
    drop(worker);
    let halftone = Halftone::on(proxy.url.clone(), &["--compressions", "0"]).await;
    let costs = async |first: i32| {
        // Beside the query there is at times a statement of the process's own, such as a heartbeat.
        let mut least = u64::MAX;
        for _ in 0..10 {
            let before = proxy.statements();
            let data = halftone.client.query(PAGE, json!({ "first": first })).await;
            least = least.min(proxy.statements() - before);
            let requests = data["processingRequests"]["nodes"].as_array().unwrap();
            assert_eq!(requests.len(), first as usize);
            for request in requests {
                assert_eq!(request["products"]["nodes"][0]["images"][1]["status"], "FAILED", "{request}");
                assert_eq!(request["webhookDelivery"]["attempts"], json!([{ "number": 1 }]), "{request}");
            }
        }
        least
    };
    let one = costs(1).await;
    assert!((8..30).contains(&one), "{one}");
    // The last statement of a query may be counted with the next one.
    let eight = costs(8).await;
    assert!(eight <= one + 1, "{one} statements for one request, {eight} for eight");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_watch_cost_fewer_statements_than_they_receive_snapshots() {
    let watchers = 100;
    let query = "subscription ($id: ID!) { requestUpdated(id: $id, minIntervalMs: 50) {
        status progress { revision succeeded } failureGroups { count }
        images(first: 1) { nodes { status products(first: 1) { nodes { name } } } } } }";
    let proxy = Proxy::start(&database::fresh().await).await;
    let halftone = Halftone::on(proxy.url.clone(), &[]).await;
    let origin = Origin::start().await;
    let url = origin.set("1.jpg", Answer::Held(images::jpeg(64, 48, 1)));
    let id = halftone.client.accepted(&csv(&[&[&url]]), json!({})).await;
    origin.held(1).await;
    let before = proxy.statements();
    let all_watch = Barrier::new(watchers);
    let watching = (0..watchers).map(|_| {
        let (begun, waiting) = oneshot::channel();
        let watch = halftone.client.subscribe_and(query, json!({ "id": id }), || begun.send(()).unwrap());
        let release = async {
            waiting.await.unwrap();
            if all_watch.wait().await.is_leader() {
                origin.open();
            }
        };
        async { tokio::join!(watch, release).0 }
    });
    for mut snapshots in join_all(watching).await {
        let last = snapshots.pop().unwrap()["requestUpdated"].take();
        assert_eq!((&last["status"], &last["progress"]["succeeded"]), (&json!("COMPLETED"), &json!(1)));
        assert!(snapshots.iter().all(|snapshot| snapshot["requestUpdated"]["progress"]["succeeded"] == 0));
        assert!(!snapshots.is_empty());
    }
    // Each watcher had at least two snapshots, and one alone costs several statements. Those of the process itself are
    // counted too: a few in each second, and some for each connection that it opens.
    let statements = proxy.statements() - before;
    assert!(statements < 2 * watchers as u64, "{statements} statements for {watchers} watchers");
}
