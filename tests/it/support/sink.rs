//! A real webhook receiver on loopback: answers what it was told to, keeps what it was sent.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::wait::in_time;

/// One delivery as it came.
#[derive(Clone, Debug)]
pub struct Received {
    pub headers: HeaderMap,
    pub body: serde_json::Value,
    raw: Bytes,
}

/// A running receiver. It ends when it is dropped.
pub struct Sink {
    pub url: String,
    received: watch::Sender<Vec<Received>>,
    _server: JoinSet<()>,
}

#[derive(Clone)]
struct Shared {
    statuses: Arc<Mutex<Vec<u16>>>,
    received: watch::Sender<Vec<Received>>,
}

impl Sink {
    /// A receiver that answers with these statuses one after the other, then with 200.
    pub async fn start(statuses: &[u16]) -> Self {
        Self::start_at(Ipv4Addr::LOCALHOST, statuses).await
    }

    pub async fn start_at(address: Ipv4Addr, statuses: &[u16]) -> Self {
        let listener = TcpListener::bind((address, 0)).await.expect("listen");
        let url = format!("http://{}/hook", listener.local_addr().expect("address"));
        let received = watch::Sender::new(Vec::new());
        let mut statuses = statuses.to_vec();
        statuses.reverse();
        let shared = Shared { statuses: Arc::new(Mutex::new(statuses)), received: received.clone() };
        let router = Router::new().route("/hook", post(take)).with_state(shared);
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.expect("serve") });
        Self { url, received, _server: server }
    }

    /// The first `count` deliveries, once they have come.
    pub async fn received(&self, count: usize) -> Vec<Received> {
        let mut receiver = self.received.subscribe();
        let received = receiver.wait_for(|received| received.len() >= count);
        in_time(&format!("{count} webhooks"), received).await.expect("the sink runs").clone()
    }
}

async fn take(State(shared): State<Shared>, headers: HeaderMap, raw: Bytes) -> StatusCode {
    let status = shared.statuses.lock().unwrap().pop().unwrap_or(200);
    let body = serde_json::from_slice(&raw).expect("a webhook's body is JSON");
    shared.received.send_modify(|received| received.push(Received { headers, body, raw }));
    StatusCode::from_u16(status).unwrap()
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("{name} is missing")).to_str().unwrap()
    }

    /// Whether a receiver that holds `secret` (`whsec_…`) would accept it, by the Standard Webhooks rules.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").expect("whsec_")).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{}.{}.", self.header("webhook-id"), self.header("webhook-timestamp")).as_bytes());
        mac.update(&self.raw);
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        self.header("webhook-signature").split(' ').any(|signature| signature == expected)
    }
}
