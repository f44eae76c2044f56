//! Who is calling: the credentials of a request, and the hook that decides about them.

use std::{future::Future, sync::Arc};

use axum::http::{StatusCode, header, request::Parts};
use futures_util::{FutureExt, future::BoxFuture};

use crate::access::{Caller, Denied, Gate};
use crate::db;
use crate::http::forwarded::Route;
use crate::http::refusal::Refusal;

/// What a caller shows: the token of `Authorization: Bearer <token>`, which a WebSocket may send as
/// the member `authorization` of its `connection_init` payload instead.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    pub bearer: Option<String>,
    /// Where they call from.
    pub route: Route,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = self.bearer.as_ref().map(|_| "(secret)");
        f.debug_struct("Credentials").field("bearer", &shown).field("route", &self.route).finish()
    }
}

impl Credentials {
    pub(super) fn of(parts: &Parts) -> Self {
        let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
        // Of two, a proxy in front may have looked at the other one.
        let bearer = match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok().and_then(bearer),
            _ => None,
        };
        Self { bearer, route: parts.extensions.get().cloned().unwrap_or_default() }
    }

    /// From the payload of `connection_init`, else from the headers of the upgrade.
    pub(super) fn of_init(payload: &serde_json::Value, headers: &Self) -> Self {
        let named = payload.as_object().into_iter().flatten();
        let value =
            named.filter(|(key, _)| key.eq_ignore_ascii_case("authorization")).find_map(|(_, value)| value.as_str());
        match value {
            Some(value) => Self { bearer: bearer(value), route: headers.route.clone() },
            None => headers.clone(),
        }
    }
}

fn bearer(value: &str) -> Option<String> {
    let (scheme, token) = value.trim().split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim().to_owned())
}

/// Decides who may call.
#[derive(Clone)]
pub struct Authenticate(Arc<Decide>);

type Decide = dyn Fn(Credentials) -> BoxFuture<'static, Result<Caller, Refusal>> + Send + Sync;

impl Authenticate {
    /// Anyone may call.
    pub fn everyone() -> Self {
        Self::with(|_| async { Ok(Caller::anonymous()) })
    }

    /// Those whom `gate` admits.
    pub fn by(gate: Gate) -> Self {
        Self::with(move |credentials| {
            let gate = gate.clone();
            async move { Ok(gate.admit(credentials.bearer.as_deref(), credentials.route.client).await?) }
        })
    }

    /// Ask `decide`; its error is what the caller gets (a socket is closed with 4403).
    pub fn with<F, R>(decide: F) -> Self
    where
        F: Fn(Credentials) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Caller, Refusal>> + Send + 'static,
    {
        Self(Arc::new(move |credentials| decide(credentials).boxed()))
    }

    pub(super) async fn ask(&self, credentials: Credentials) -> Result<Caller, Refusal> {
        let origin = credentials.route.origin.clone();
        let mut caller = (self.0)(credentials).await?;
        caller.origin = origin;
        Ok(caller)
    }
}

impl From<Denied> for Refusal {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Fault(error) => {
                tracing::error!("cannot look up who is calling: {error:#}");
                if db::is_unavailable(&error) {
                    Self::unavailable("The database does not answer; try again in a few seconds.")
                } else {
                    Self::internal()
                }
            }
            denied => Self::new(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", denied.to_string()),
        }
    }
}
