//! A toy schema behind the real routes on a real port.

use std::{
    io::Read,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_graphql::{Context, Object, Result, Schema, SimpleObject, Subscription, Upload};
use chrono::DateTime;
use futures_util::{Stream, StreamExt, stream};
use serde_json::Value as Json;
use tokio::net::TcpListener;
use tokio_util::sync::DropGuard;

use crate::access::Caller;
use crate::db::api_key::{ApiKey, Scope};
use crate::db::tenant;
use crate::http::graphql::{EndpointOptions, routes};
use crate::http::server::{ConnectionLimits, serve as serve_connections};

/// Someone who has shown a key with this name.
pub fn person(name: String) -> Caller {
    Caller::with_key(ApiKey {
        id: String::new(),
        tenant_id: tenant::DEFAULT,
        tenant_name: tenant::DEFAULT_NAME.to_owned(),
        name,
        scope: Scope::Write,
        hash: Vec::new(),
        created_at: DateTime::UNIX_EPOCH,
        expires_at: None,
        revoked_at: None,
        last_used_at: None,
        is_expired: false,
        is_use_noted: true,
    })
}

/// How many subscriptions are alive.
#[derive(Clone, Default)]
pub struct Alive(Arc<AtomicUsize>);

impl Alive {
    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    fn enter(&self) -> Guard {
        self.0.fetch_add(1, Ordering::SeqCst);
        Guard(self.clone())
    }
}

struct Guard(Alive);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

pub struct Query;

#[Object]
impl Query {
    async fn hello(&self, #[graphql(default = "world")] name: String) -> String {
        format!("hello {name}")
    }

    async fn me(&self, ctx: &Context<'_>) -> Option<String> {
        Some(ctx.data_opt::<Caller>()?.key.as_ref()?.name.clone())
    }

    async fn text(&self, mebibytes: usize) -> String {
        "x".repeat(mebibytes << 20)
    }

    async fn nested(&self) -> Query {
        Query
    }

    async fn fails(&self) -> Result<i32> {
        Err("it failed".into())
    }

    async fn maybe_fails(&self) -> Option<Result<i32>> {
        Some(Err("it failed".into()))
    }

    async fn panics(&self, #[graphql(default = true)] really: bool) -> i32 {
        assert!(!really, "a resolver panics, as the test wants");
        0
    }

    #[graphql(complexity = "5 * child_complexity")]
    async fn five(&self) -> Query {
        Query
    }
}

pub struct Mutation;

#[derive(SimpleObject)]
struct Received {
    filename: String,
    content_type: Option<String>,
    size: usize,
    /// The last bytes, to see that it is the whole file.
    tail: String,
}

#[Object]
impl Mutation {
    async fn bump(&self, ctx: &Context<'_>) -> Result<usize> {
        Ok(ctx.data::<Bumps>()?.0.fetch_add(1, Ordering::SeqCst) + 1)
    }

    async fn upload(&self, ctx: &Context<'_>, file: Option<Upload>) -> Result<Option<Received>> {
        let Some(file) = file else { return Ok(None) };
        let mut file = file.value(ctx)?;
        let mut content = Vec::new();
        file.content.read_to_end(&mut content)?;
        let tail = content.len().saturating_sub(8);
        Ok(Some(Received {
            filename: file.filename,
            content_type: file.content_type,
            size: content.len(),
            tail: String::from_utf8_lossy(&content[tail..]).into_owned(),
        }))
    }
}

#[derive(Clone, Default)]
pub struct Bumps(Arc<AtomicUsize>);

pub struct Subscriptions;

#[Subscription]
impl Subscriptions {
    /// 0 up to `to`.
    async fn count(
        &self,
        ctx: &Context<'_>,
        to: i32,
        #[graphql(default = 1)] every_ms: u64,
    ) -> impl Stream<Item = i32> {
        let alive = ctx.data_unchecked::<Alive>().enter();
        stream::iter(0..to).then(move |number| {
            let _ = &alive;
            async move {
                tokio::time::sleep(Duration::from_millis(every_ms)).await;
                number
            }
        })
    }

    /// Nothing, for ever.
    async fn silence(&self, ctx: &Context<'_>) -> impl Stream<Item = i32> {
        let alive = ctx.data_unchecked::<Alive>().enter();
        stream::pending().inspect(move |_| {
            let _ = &alive;
        })
    }

    /// 64 KiB at a time, without end, as fast as they are taken.
    async fn flood(&self, ctx: &Context<'_>) -> impl Stream<Item = String> {
        let alive = ctx.data_unchecked::<Alive>().enter();
        stream::repeat_with(move || {
            let _ = &alive;
            "x".repeat(64 * 1024)
        })
    }

    async fn panics(&self) -> impl Stream<Item = i32> {
        stream::iter(0..).map(|number| match number {
            0 => 0,
            _ => panic!("a subscription panicked, as the test wants"),
        })
    }

    async fn refuses(&self) -> Result<stream::Empty<i32>> {
        Err("no such thing".into())
    }

    async fn me(&self, ctx: &Context<'_>) -> impl Stream<Item = Option<String>> {
        let key = ctx.data_opt::<Caller>().and_then(|caller| caller.key.as_ref());
        let caller = key.map(|key| key.name.clone());
        stream::iter([caller])
    }
}

/// A running server; it is shut when dropped.
pub struct Toy {
    pub address: SocketAddr,
    pub options: EndpointOptions,
    pub alive: Alive,
    pub client: reqwest::Client,
    _shut: DropGuard,
}

pub async fn serve(options: EndpointOptions) -> Toy {
    // The client is built to speak TLS too; all but the first test find a provider installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let alive = Alive::default();
    let schema = Schema::build(Query, Mutation, Subscriptions)
        .data(alive.clone())
        .data(Bumps::default())
        .limit_depth(options.query.depth)
        .limit_complexity(options.query.complexity)
        .finish();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let app = routes(schema, options.clone());
    let shutdown = options.shutdown.clone();
    options.tasks.spawn(async move {
        serve_connections(listener, app, ConnectionLimits::default(), None, shutdown).await;
    });
    Toy {
        address,
        _shut: options.shutdown.clone().drop_guard(),
        alive,
        options,
        client: reqwest::Client::builder().no_proxy().build().expect("a client"),
    }
}

impl Toy {
    pub fn url(&self) -> String {
        format!("http://{}/graphql", self.address)
    }

    pub fn post(&self, body: Json) -> reqwest::RequestBuilder {
        self.client.post(self.url()).json(&body)
    }

    pub fn get(&self, parameters: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let url = url::Url::parse_with_params(&self.url(), parameters);
        self.client.get(url.expect("a URL"))
    }

    pub async fn ask(&self, query: &str) -> Json {
        self.post(serde_json::json!({ "query": query })).send().await.expect("an answer").json().await.expect("JSON")
    }

    /// Waits until this many subscriptions are alive.
    pub async fn alive(&self, wanted: usize) {
        let reached = async {
            while self.alive.count() != wanted {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(5), reached).await;
        assert!(waited.is_ok(), "{} alive, not {wanted}", self.alive.count());
    }
}

/// Status, code of the first error, and the whole body.
pub async fn outcome(request: reqwest::RequestBuilder) -> (u16, String, Json) {
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    let body: Json = response.json().await.expect("a JSON body");
    let code = body["errors"][0]["extensions"]["code"].as_str().unwrap_or_default();
    (status, code.to_owned(), body)
}
