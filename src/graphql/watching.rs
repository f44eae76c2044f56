//! Watching one request: its snapshots at a pace, and the answers made of them, which all who run the same operation share.
//!
//! An operation that asks for `requestUpdated` and nothing else has an answer that depends on its text, its variables and
//! the snapshot alone. So it is executed once per snapshot, however many watch; see `http::graphql::shared`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_graphql::parser::types::{OperationType, Selection};
use async_graphql::{Request, ServerError, Value, Variables};
use async_graphql_value::Value as Argument;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};
use uuid::Uuid;

use super::Schema;
use super::snapshots::{Receiver, Seen, Snapshot, Snapshots};
use crate::access::Caller;
use crate::app::App;

/// Shortest and longest time between two snapshots, in milliseconds.
pub const INTERVAL_MS: std::ops::RangeInclusive<i32> = 50..=60_000;
/// The time between two snapshots of a request for a client that names none, in milliseconds.
pub const DEFAULT_INTERVAL_MS: i32 = 250;
/// What each watcher of a request adds to the time between two snapshots: a crowd is sent 200 a second together.
const PER_WATCHER: Duration = Duration::from_millis(5);
/// Different operations whose answers to one snapshot are kept; more are executed by each watcher.
const OPERATIONS_KEPT: usize = 64;

/// The snapshots of one request until it ends, at most one per interval.
pub struct Watch {
    seen: Receiver<Snapshot>,
    interval: Duration,
    last: Option<Taken>,
    is_over: bool,
}

struct Taken {
    at: Instant,
    snapshot: Arc<Snapshot>,
}

impl Watch {
    pub fn new(seen: Receiver<Snapshot>, interval: Duration) -> Self {
        Self { seen, interval, last: None, is_over: false }
    }

    /// What was seen, and nothing after it.
    pub fn only(pinned: &Pinned) -> Self {
        Self::new(watch::channel(pinned.0.clone()).1, Duration::ZERO)
    }

    /// The next snapshot with something new in it; the last one is that with which the request has ended.
    ///
    /// # Errors
    /// The database has not answered for long; nothing more will come.
    pub async fn next(&mut self) -> Option<Result<Arc<Snapshot>, Arc<anyhow::Error>>> {
        while !self.is_over {
            if let Some(last) = &self.last {
                // Resolves at once when it changed while the snapshot was on its way.
                if self.seen.changed().await.is_err() {
                    break;
                }
                let crowded = PER_WATCHER * u32::try_from(last.snapshot.watchers).unwrap_or(u32::MAX);
                // The end is worth a wake-up of everyone.
                if crowded <= self.interval
                    || timeout_at(last.at + crowded, last.snapshot.over.cancelled()).await.is_ok()
                {
                    sleep_until(last.at + self.interval).await;
                }
            }
            let at = Instant::now();
            let seen = self.seen.borrow_and_update().clone();
            match seen {
                Seen::Nothing => {
                    if self.seen.changed().await.is_err() {
                        break;
                    }
                }
                Seen::Gone => break,
                Seen::Lost(error) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
                Seen::This(snapshot) => {
                    self.is_over = snapshot.request.status.is_final();
                    let sent = self.last.replace(Taken { at, snapshot: snapshot.clone() });
                    // A revision that was sent before has nothing new in it, whatever woke us.
                    if sent.is_none_or(|sent| sent.snapshot.request.revision != snapshot.request.revision) {
                        return Some(Ok(snapshot));
                    }
                }
            }
        }
        None
    }
}

/// What `requestUpdated` is to answer with, in the data of a request to the schema; nothing follows it.
pub struct Pinned(pub Seen<Snapshot>);

/// An answer as it is sent.
pub enum Rendered {
    /// What was executed, as JSON with `data` and perhaps `errors`.
    Executed(String),
    /// Why nothing was.
    Refused(Vec<ServerError>),
}

/// Subscribes to the snapshots of requests. Cheap to clone.
#[derive(Clone)]
pub struct Watching {
    app: App,
    snapshots: Snapshots,
}

impl Watching {
    /// With what the resolvers of `schema` share; `None` for a schema without a Halftone.
    pub fn of(schema: &Schema) -> Option<Self> {
        Some(Self { app: schema.data::<App>()?.clone(), snapshots: schema.data::<Snapshots>()?.clone() })
    }

    /// The snapshots that an operation is about if its answers depend on nothing else.
    pub fn watch(&self, caller: &Caller, request: &mut Request) -> Option<(Watch, SnapshotOperation)> {
        let (id, interval) = asks_for(request)?;
        let operation = SnapshotOperation {
            words: Arc::new(Words {
                query: request.query.clone(),
                operation_name: request.operation_name.clone(),
                variables: serde_json::to_string(&request.variables).ok()?,
                origin: caller.origin.clone(),
            }),
            variables: request.variables.clone(),
        };
        Some((Watch::new(self.snapshots.request(&self.app, caller.viewer(), id), interval), operation))
    }
}

/// The request and the interval, if the operation's only field is `requestUpdated` and no directive decides about it.
fn asks_for(request: &mut Request) -> Option<(Uuid, Duration)> {
    let (name, variables) = (request.operation_name.clone(), request.variables.clone());
    let document = request.parsed_query().ok()?;
    let mut operations =
        document.operations.iter().filter(|(own, _)| name.is_none() || own.map(|own| &**own) == name.as_deref());
    let operation = &operations.next()?.1.node;
    let [selection] = &*operation.selection_set.node.items else { return None };
    let Selection::Field(field) = &selection.node else { return None };
    let field = &field.node;
    let is_plain = operation.ty == OperationType::Subscription
        && operation.directives.is_empty()
        && field.directives.is_empty()
        && field.name.node == "requestUpdated"
        && field.arguments.iter().all(|(name, _)| ["id", "minIntervalMs"].contains(&name.node.as_str()));
    if !is_plain {
        return None;
    }
    let value = |name: &str| match &field.get_argument(name)?.node {
        Argument::Variable(variable) => variables.get(variable).cloned(),
        argument => argument.clone().into_const(),
    };
    let Some(Value::String(id)) = value("id") else { return None };
    let interval = match (field.get_argument("minIntervalMs"), value("minIntervalMs")) {
        (None, _) => DEFAULT_INTERVAL_MS,
        (Some(_), Some(Value::Number(number))) => i32::try_from(number.as_i64()?).ok()?,
        _ => return None,
    };
    let interval = INTERVAL_MS.contains(&interval).then(|| Duration::from_millis(interval.unsigned_abs().into()))?;
    Some((Uuid::parse_str(&id).ok()?, interval))
}

/// An operation whose answers depend on a request's snapshots and nothing else.
pub struct SnapshotOperation {
    words: Arc<Words>,
    variables: Variables,
}

#[derive(PartialEq, Eq, Hash)]
struct Words {
    query: String,
    operation_name: Option<String>,
    variables: String,
    /// What links begin with.
    origin: Option<Arc<str>>,
}

impl SnapshotOperation {
    /// The request to the schema, as the client made it.
    pub fn request(&self) -> Request {
        let mut request = Request::new(self.words.query.clone()).variables(self.variables.clone());
        request.operation_name.clone_from(&self.words.operation_name);
        request
    }

    /// The answer to the snapshot: `make` is called by the first of those who need it.
    pub fn answer(
        &self,
        snapshot: &Snapshot,
        make: impl FnOnce() -> BoxFuture<'static, Arc<Rendered>>,
    ) -> SharedAnswer {
        let mut kept = snapshot.answers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = kept.get(&self.words) {
            return answer.clone();
        }
        let answer = make().shared();
        if kept.len() < OPERATIONS_KEPT {
            kept.insert(self.words.clone(), answer.clone());
        }
        answer
    }
}

type SharedAnswer = Shared<BoxFuture<'static, Arc<Rendered>>>;

/// The answers that were made of one snapshot.
#[derive(Default)]
pub struct Answers(Mutex<HashMap<Arc<Words>, SharedAnswer>>);
