//! One socket, from its first message to its close code. What an operation executes is a task of its own, which waits when its
//! answer is not taken: one that waited for the socket in the middle of a query would hold its database connection for so long.
//! While a message is being sent nothing is read and no answer is polled, so a slow peer costs one
//! message and slows nobody; one that takes nothing for [`StreamLimits::send`] is cut off.
//!
//! [`StreamLimits::send`]: crate::http::graphql::StreamLimits::send

use std::{collections::HashMap, pin::pin, sync::Arc, task::Poll, time::Duration};

use async_graphql::{Executor, ServerError, parser::types::OperationType};
use axum::{
    extract::ws::{CloseFrame, Message, WebSocket},
    http::StatusCode,
};
use bytes::Bytes;
use futures_util::{
    StreamExt, poll,
    stream::{self, AbortHandle, BoxStream, SelectAll},
};
use serde_json::Value as Json;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::message::{self, End, FromClient, ToClient};
use crate::access::Caller;
use crate::graphql::watching::Rendered;
use crate::http::graphql::{
    answer::{self, Answers},
    caller::Credentials,
    options::EndpointOptions,
    request, shared,
};
use crate::http::refusal::Refusal;

/// What the last message and the closing handshake may take.
const GRACE: Duration = Duration::from_secs(1);

pub(super) struct Session<E> {
    socket: WebSocket,
    executor: E,
    options: Arc<EndpointOptions>,
    operations: SelectAll<BoxStream<'static, Event>>,
    running: HashMap<Arc<str>, Running>,
    /// Numbers operations, so that a late event is not attributed to a newer operation with the same id.
    started: u64,
}

struct Running {
    number: u64,
    /// Ends the operation when it is dropped.
    _stop: StopOnDrop,
}

/// Ends a stream.
struct StopOnDrop(AbortHandle);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Something an operation has to say; `None`: it is over.
struct Event {
    id: Arc<str>,
    number: u64,
    answer: Option<Arc<Rendered>>,
}

impl<E: Executor> Session<E> {
    pub(super) fn new(socket: WebSocket, executor: E, options: Arc<EndpointOptions>) -> Self {
        Self { socket, executor, options, operations: SelectAll::new(), running: HashMap::new(), started: 0 }
    }

    pub(super) async fn serve(mut self, credentials: Credentials, speaks_ours: bool) {
        let end = match speaks_ours {
            true => self.run(credentials).await,
            false => Err(End::wrong_protocol()),
        };
        // Running operations end before the closing handshake.
        self.running.clear();
        self.operations.clear();
        let Err(end) = end;
        self.close(end).await;
    }

    async fn run(&mut self, credentials: Credentials) -> Result<std::convert::Infallible, End> {
        let shutdown = self.options.shutdown.clone();
        let caller = tokio::select! {
            caller = timeout(self.options.stream.init, self.handshake(credentials)) => {
                caller.map_err(|_| End::init_timeout())??
            }
            () = shutdown.cancelled() => return Err(End::going_away()),
        };
        let every = self.options.stream.ping;
        let mut ping = interval_at(Instant::now() + every, every);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = true;
        let mut stopping = pin!(shutdown.cancelled());
        let mut key_ended = pin!(caller.ended());
        loop {
            tokio::select! {
                () = &mut stopping => return Err(End::going_away()),
                () = &mut key_ended => return Err(End::forbidden("The API key no longer works")),
                message = self.socket.recv() => {
                    heard = true;
                    if let Some(text) = self.text_of(message)? {
                        self.handle(&text, &caller).await?;
                    }
                }
                Some(event) = self.operations.next(), if !self.operations.is_empty() => {
                    self.forward(event).await?;
                }
                _ = ping.tick() => {
                    if !std::mem::take(&mut heard) {
                        return Err(End::Lost);
                    }
                    self.send(Message::Ping(Bytes::new())).await?;
                }
            }
        }
    }

    /// Up to the acknowledgement.
    async fn handshake(&mut self, credentials: Credentials) -> Result<Caller, End> {
        loop {
            let message = self.socket.recv().await;
            let Some(text) = self.text_of(message)? else {
                continue;
            };
            match parse(&text)? {
                FromClient::ConnectionInit { payload } => {
                    if !matches!(payload, Json::Null | Json::Object(_)) {
                        return Err(End::bad_message("The payload must be an object"));
                    }
                    let credentials = Credentials::of_init(&payload, &credentials);
                    let caller = self.options.authenticate.ask(credentials).await;
                    let caller = caller.map_err(|error| match error.status.is_client_error() {
                        true => End::forbidden(error.message),
                        false => End::internal(),
                    })?;
                    self.send_message(&ToClient::ConnectionAck).await?;
                    return Ok(caller);
                }
                FromClient::Subscribe { .. } => return Err(End::unauthorized()),
                FromClient::Ping { payload } => {
                    self.send_message(&ToClient::Pong { payload: &payload }).await?;
                }
                FromClient::Complete { .. } | FromClient::Pong {} => {}
            }
        }
    }

    async fn handle(&mut self, text: &str, caller: &Caller) -> Result<(), End> {
        match parse(text)? {
            FromClient::ConnectionInit { .. } => Err(End::initialised_twice()),
            FromClient::Subscribe { id, payload } => self.start(id, payload, caller).await,
            FromClient::Complete { id } => {
                self.running.remove(id.as_str());
                Ok(())
            }
            FromClient::Ping { payload } => self.send_message(&ToClient::Pong { payload: &payload }).await,
            FromClient::Pong {} => Ok(()),
        }
    }

    async fn start(&mut self, id: String, payload: Json, caller: &Caller) -> Result<(), End> {
        if id.is_empty() {
            return Err(End::bad_message("The id is empty"));
        }
        if self.running.contains_key(id.as_str()) {
            return Err(End::duplicate(&id));
        }
        let request = request::from_json(payload).map_err(|error| End::bad_message(error.message))?;
        let limit = self.options.stream.operations;
        if self.running.len() >= limit {
            let error = Refusal::new(
                StatusCode::TOO_MANY_REQUESTS,
                "TOO_MANY_OPERATIONS",
                format!("This socket already runs {limit} operations; complete one or open another."),
            );
            return self.refuse(&id, error.into_server_error()).await;
        }
        let (mut request, kind) = match request::prepare(request, caller, &self.options) {
            Ok(prepared) => prepared,
            Err(refusal) => return self.refuse(&id, refusal.into()).await,
        };
        let place = match kind {
            OperationType::Subscription => caller.quota.subscribe(),
            _ => Ok(None),
        };
        let place = match place {
            Ok(place) => place,
            Err(exceeded) => return self.refuse(&id, Refusal::rate_limited(exceeded).into_server_error()).await,
        };
        self.started += 1;
        let (id, number) = (Arc::<str>::from(id), self.started);
        let answers = shared::answers(&self.executor, &mut request, caller, &self.options)
            .unwrap_or_else(|| self.in_a_task(answer::all(&self.executor, request, kind)));
        let answers = answer::holding(answers, place);
        let (answers, stop) = stream::abortable(answers.map(Some).chain(stream::iter([None])));
        let of = id.clone();
        self.operations.push(answers.map(move |answer| Event { id: of.clone(), number, answer }).boxed());
        self.running.insert(id, Running { number, _stop: StopOnDrop(stop) });
        Ok(())
    }

    /// Answers that are made whether or not the socket takes them.
    fn in_a_task(&self, mut answers: Answers) -> Answers {
        let (outlet, made) = mpsc::channel(1);
        let run = async move {
            while let Some(answer) = answers.next().await {
                if outlet.send(answer).await.is_err() {
                    return;
                }
            }
        };
        let task = AbortOnDropHandle::new(self.options.tasks.spawn(run.in_current_span()));
        ReceiverStream::new(made)
            .inspect(move |_| {
                let _ = &task;
            })
            .boxed()
    }

    async fn refuse(&mut self, id: &str, error: ServerError) -> Result<(), End> {
        let payload = &[error];
        self.send_message(&ToClient::Error { id, payload }).await
    }

    async fn forward(&mut self, event: Event) -> Result<(), End> {
        let id = &*event.id;
        match self.running.get(id) {
            Some(running) if running.number == event.number => {}
            _ => return Ok(()), // the client completed it meanwhile
        }
        match event.answer.as_deref() {
            Some(Rendered::Refused(payload)) => {
                self.running.remove(id);
                self.send_message(&ToClient::Error { id, payload }).await
            }
            Some(Rendered::Executed(json)) => self.send(Message::Text(message::next(id, json).into())).await,
            None => {
                self.running.remove(id);
                self.send_message(&ToClient::Complete { id }).await
            }
        }
    }

    async fn send_message(&mut self, message: &ToClient<'_>) -> Result<(), End> {
        let text = serde_json::to_string(message).map_err(|_| End::internal())?;
        self.send(Message::Text(text.into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        let shutdown = &self.options.shutdown;
        let mut sending = pin!(self.socket.send(message));
        // Nearly always the message is taken at once, and no clock has to be set.
        if let Poll::Ready(sent) = poll!(&mut sending) {
            return sent.map_err(|_| End::Lost);
        }
        tokio::select! {
            sent = timeout(self.options.stream.send, sending) => match sent {
                Ok(Ok(())) => Ok(()),
                _ => Err(End::Lost),
            },
            () = async { shutdown.cancelled().await; sleep(GRACE).await } => Err(End::Lost),
        }
    }

    /// The text of a message; `None` for what only shows that the peer lives.
    fn text_of(
        &self,
        message: Option<Result<Message, axum::Error>>,
    ) -> Result<Option<axum::extract::ws::Utf8Bytes>, End> {
        match message {
            Some(Ok(Message::Text(text))) => Ok(Some(text)),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(None),
            Some(Ok(Message::Binary(_))) => Err(End::bad_message("Messages must be text")),
            Some(Ok(Message::Close(_))) | None => Err(End::ByPeer),
            Some(Err(error)) => Err(match error.to_string().contains("too long") {
                true => End::too_big(self.options.stream.message_bytes),
                false => End::Lost,
            }),
        }
    }

    /// Sends the close frame and waits for the peer's, so that the code is not lost with the connection.
    async fn close(mut self, end: End) {
        let frame = match end {
            End::Lost => return,
            End::ByPeer => None,
            End::Close(code, reason) => Some(Message::Close(Some(CloseFrame { code, reason: reason.into() }))),
        };
        let _ = timeout(GRACE, async {
            if let Some(frame) = frame {
                self.socket.send(frame).await?;
            }
            while let Some(Ok(_)) = self.socket.recv().await {}
            Ok::<(), axum::Error>(())
        })
        .await;
    }
}

fn parse(text: &str) -> Result<FromClient, End> {
    serde_json::from_str(text).map_err(|_| End::bad_message("Invalid message"))
}
