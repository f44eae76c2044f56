//! What is served over HTTP: GraphQL, the console, image files, result files and health checks.

pub mod server;

mod connections;

mod forwarded;

pub mod tls;

mod media;

mod prefix;

mod refusal;

pub mod origins;

pub mod graphql;

mod console;

mod files;

mod previews;

mod health;

mod observe;

pub mod admin;

use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::get;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::app::App;
use crate::graphql::Schema;
use forwarded::Proxies;
use graphql::EndpointOptions;
use prefix::Prefix;

/// Everything that is served.
pub fn router(app: App, schema: Schema, options: EndpointOptions) -> Router {
    let prefix = Prefix::of(&app.config.public_url);
    let mut previews = previews::routes(app.clone());
    // What a page of a listed origin works with, besides GraphQL itself.
    let mut files = Router::new()
        .route("/schema.graphql", get(schema_sdl))
        .route("/images/{id}/{name}", get(files::first_output))
        .route("/images/{id}/{number}/{name}", get(files::later_output))
        .route("/results/{id}/{file}", get(files::result).layer(gzip()));
    if let Some(cors) = options.origins.cors() {
        previews = previews.layer(cors.clone());
        files = files.layer(cors);
    }
    let (front, graphql) = if !app.config.server.no_console {
        let playground = middleware::from_fn_with_state(prefix.clone(), console::show_playground);
        (console::routes(&prefix, &app.image_origins()), graphql::routes(schema, options).layer(playground))
    } else {
        (Router::new().route("/", get(welcome)), graphql::routes(schema, options))
    };
    let routes = front
        .merge(files)
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .fallback(not_found)
        .with_state(app.clone());
    let routes = routes
        .merge(graphql.layer(gzip()))
        .merge(previews)
        .layer(SetResponseHeaderLayer::if_not_present(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ))
        .layer(CatchPanicLayer::new())
        .layer(middleware::from_fn_with_state(app.clone(), observe::observe))
        .layer(middleware::from_fn_with_state(Proxies::of(&app.config.server), forwarded::read));
    prefix.layer(routes)
}

/// Result files and answers shrink to a tenth, and quickly. Images and workbooks do not, and event streams must not wait.
fn gzip() -> CompressionLayer<impl Predicate> {
    let whole = DefaultPredicate::new()
        .and(NotForContentType::const_new("multipart/mixed"))
        .and(NotForContentType::const_new(files::XLSX));
    CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(whole)
}

/// What someone sees who opens the address of a server without the console.
async fn welcome() -> impl IntoResponse {
    let text = "Halftone: bulk image compression with a live GraphQL API.\n\n\
                POST /graphql          queries and mutations; uploads as multipart/form-data\n\
                GET  /graphql          subscriptions over WebSocket (graphql-transport-ws) or Server-Sent Events\n\
                GET  /schema.graphql   the schema\n\
                GET  /healthz /readyz  is it alive, is it ready\n";
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text)
}

async fn schema_sdl() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], crate::graphql::sdl())
}

async fn not_found() -> impl IntoResponse {
    (StatusCode::NOT_FOUND, "There is nothing at this address.\n")
}
