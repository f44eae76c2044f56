//! The path that the public URL has, such as `/halftone` of `https://shop.example.com/halftone`.
//!
//! Addresses begin with it. A proxy in front may pass it on or take it off: it is not needed to find a route.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use axum::{Router, middleware};
use url::Url;

/// Without a slash at its end: empty when the public URL has no path.
#[derive(Clone)]
pub struct Prefix(Arc<str>);

impl Prefix {
    pub fn of(public_url: &str) -> Self {
        let url = Url::parse(public_url).ok();
        Self(url.as_ref().map_or("", |url| url.path().trim_end_matches('/')).into())
    }

    /// The path of this server's `path`, as clients have to ask for it.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// Serves the routes below the prefix, too.
    pub fn layer(self, routes: Router) -> Router {
        if self.0.is_empty() {
            return routes;
        }
        Router::new().fallback_service(routes).layer(middleware::map_request_with_state(self, take_off))
    }
}

async fn take_off(State(prefix): State<Prefix>, mut request: Request) -> Request {
    let uri = request.uri();
    let rest = uri.path_and_query().and_then(|path| path.as_str().strip_prefix(&*prefix.0));
    let shorter = match rest {
        Some(rest) if rest.starts_with('/') => PathAndQuery::try_from(rest),
        Some(rest) if rest.is_empty() || rest.starts_with('?') => PathAndQuery::try_from(format!("/{rest}")),
        _ => return request,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = shorter.ok().or(parts.path_and_query);
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request
}
