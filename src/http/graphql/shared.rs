//! Subscriptions to one request's snapshots: equal operations are executed once for all of its tenant who run them.

use std::sync::Arc;

use async_graphql::{Executor, Request};
use async_stream::stream;
use futures_util::{FutureExt, StreamExt, future::BoxFuture};

use super::{
    answer::{self, Answers},
    options::EndpointOptions,
    request,
};
use crate::access::Caller;
use crate::graphql::snapshots::Seen;
use crate::graphql::watching::{Pinned, Rendered};

/// The answers to an operation that others may run too; `None` when it is not of that kind. No answer waits for one who
/// polls them, and nothing is held between two polls.
pub(super) fn answers<E: Executor>(
    executor: &E,
    request: &mut Request,
    caller: &Caller,
    options: &Arc<EndpointOptions>,
) -> Option<Answers> {
    let (mut watch, operation) = options.watching.as_ref()?.watch(caller, request)?;
    let (executor, caller, options) = (executor.clone(), caller.clone(), options.clone());
    let answers = stream! {
        let answer_to = |seen| first_answer(&executor, operation.request().data(Pinned(seen)), &caller, &options);
        let mut sent_any = false;
        while let Some(next) = watch.next().await {
            let answer = match next {
                Ok(snapshot) => operation.answer(&snapshot, || answer_to(Seen::This(snapshot.clone()))).await,
                Err(error) => answer_to(Seen::Lost(error)).await,
            };
            let is_refused = matches!(*answer, Rendered::Refused(_));
            yield answer;
            if is_refused {
                return;
            }
            sent_any = true;
        }
        if !sent_any {
            // There is no such request; executed by itself, the operation says so.
            yield first_answer(&executor, operation.request(), &caller, &options).await;
        }
    };
    Some(answers.boxed())
}

/// A task of its own makes the answer, so that it is made even if the one who asked first is not polled again.
fn first_answer<E: Executor>(
    executor: &E,
    request: Request,
    caller: &Caller,
    options: &EndpointOptions,
) -> BoxFuture<'static, Arc<Rendered>> {
    let prepared = request::prepare(request, caller, options);
    let executor = executor.clone();
    let task = options.tasks.spawn(async move {
        match prepared {
            Ok((request, kind)) => answer::all(&executor, request, kind).next().await,
            Err(refusal) => Some(Arc::new(Rendered::Refused(vec![refusal.into()]))),
        }
    });
    async move { task.await.ok().flatten().unwrap_or_else(|| answer::rendered(answer::panicked())) }.boxed()
}
