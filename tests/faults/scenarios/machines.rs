//! Two APIs and two workers on machines of their own, with PostgreSQL and a bucket elsewhere.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use crate::network::{Network, Relay};
use crate::support::bucket::Bucket;
use crate::support::origin::{Answer, Origin};
use crate::support::proxy::Proxy;
use crate::support::sink::Sink;
use crate::world::{Program, World};

/// The addresses: what serves the images and takes the webhooks, the database, the bucket; then the machines.
const HOSTS: u8 = 1;
const DATABASE: u8 = 2;
const BUCKET: u8 = 3;
const APIS: [u8; 2] = [11, 12];
const WORKERS: [u8; 2] = [21, 22];

const IMAGES: u32 = 2_000;
/// Longer than a worker may be silent, and than a connection is.
const CUT: Duration = Duration::from_secs(5);
const LONG_CUT: Duration = Duration::from_secs(25);

/// Each link is cut for a while, the database is slow, and a worker is killed with its machine; whoever watches, at either
/// API, is told of every image once.
pub async fn links_are_cut(world: &mut World) {
    let mut network = Network::create();
    (world.origin, world.sink) =
        (Origin::start_at(network.address(HOSTS)).await, Sink::start_at(network.address(HOSTS), &[]).await);
    let bucket = Bucket::start_at(network.address(BUCKET)).await;
    // The database may have no address but a socket.
    let proxy = Proxy::start(&world.database_url).await;
    let behind = url::Url::parse(&proxy.url).expect("a URL");
    let behind = format!("127.0.0.1:{}", behind.port().expect("a port"));
    let database = Relay::start(network.address(DATABASE), behind.clone()).await;
    let database_url = proxy.url.replace(&behind, &database.address.to_string());
    world.arguments = [&bucket.arguments()[..], &["--allow-net".to_owned(), network.cidr()]].concat();
    world.bucket = Some(bucket);

    let mut clients = Vec::new();
    let mut programs = Vec::new();
    for host in APIS {
        let listen = format!("{}:8080", network.address(host));
        let arguments = ["serve", "--listen", &listen, "--insecure-no-auth", "--compressions", "0"];
        let program = start(world, &network, host, &database_url, &arguments);
        programs.push(world.ready(program).await);
        clients.push(world.client().clone());
    }
    let mut workers = Vec::new();
    for host in WORKERS {
        let worker = start(world, &network, host, &database_url, &["work"]);
        worker.logged("\"working\"").await;
        workers.push(worker);
    }

    let id = world.upload(IMAGES, |bytes| Answer::Slow(Duration::from_millis(1_000), bytes)).await;
    let mut watching = tokio::task::JoinSet::new();
    for client in clients {
        let variables = json!({ "id": id });
        let query = "subscription ($id: ID!) { imageUpdated(requestId: $id) { image { id } } }";
        watching.spawn(async move { client.subscribe(query, variables).await });
    }
    world.ended(20).await;
    let began = Instant::now();
    for (service, machines) in [(DATABASE, &WORKERS[..]), (BUCKET, &WORKERS), (HOSTS, &WORKERS), (DATABASE, &APIS)] {
        for machine in machines {
            network.cut(service, *machine);
            sleep(CUT).await;
            network.heal();
            sleep(Duration::from_secs(1)).await;
        }
    }
    // Longer than its lease, and the other one works under a slow database meanwhile.
    network.cut(DATABASE, WORKERS[0]);
    database.delay(Duration::from_millis(20));
    sleep(LONG_CUT).await;
    network.heal();
    database.delay(Duration::ZERO);
    workers.pop().expect("a worker").kill().await;
    world.note(format!("links cut for {:.0} s", began.elapsed().as_secs_f64()));
    // The checker has a server of its own, which needs the bucket.
    world.network = Some(network);

    world.succeeded(&id).await;
    while let Some(images) = watching.join_next().await {
        let images = images.expect("it was watched to its end");
        let ids = images.iter().map(|update| update["imageUpdated"]["image"]["id"].to_string());
        let different: std::collections::BTreeSet<String> = ids.collect();
        assert_eq!((images.len(), different.len()), (IMAGES as usize, IMAGES as usize), "every image once");
    }
}

fn start(world: &World, network: &Network, host: u8, database_url: &str, arguments: &[&str]) -> Program {
    let common: Vec<&str> = world.arguments.iter().map(String::as_str).collect();
    let arguments = [arguments, &["--database-url", database_url], &common].concat();
    // Machines share no directory.
    Program::start_on(&network.machine(host), &world.data_dir.path().join(host.to_string()), &arguments)
}
