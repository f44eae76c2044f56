//! The contract: `schema.graphql` in Rust. A resolver takes the input, calls the pipeline, wraps the row.

pub mod query;

pub mod mutation;

pub mod subscription;

mod request;

mod progress;

mod result_file;

mod csv;

mod product;

mod host;

mod image;

mod format;

mod settings;

mod webhook;

mod limits;

mod loaders;

mod paging;

mod scalars;

pub mod admission;

pub mod error;

use async_graphql::Schema as GraphqlSchema;

use crate::app::App;
use admission::QueryLimits;

/// The schema, with what its resolvers need.
pub type Schema = GraphqlSchema<query::Query, mutation::Mutation, subscription::Subscription>;

/// Builds the schema on a running Halftone.
pub fn schema(app: App, limits: QueryLimits) -> Schema {
    builder()
        .data(loaders::Loaders::new(app.pool.clone()))
        .data(app)
        .data(limits)
        .limit_depth(limits.depth)
        .limit_complexity(limits.complexity)
        .finish()
}

/// The schema in the schema definition language, as `schema.graphql` holds it.
pub fn sdl() -> String {
    let options = async_graphql::SDLExportOptions::new().sorted_enum_items().include_specified_by();
    let sdl = builder().finish().sdl_with_options(options);
    format!("{}\n", sdl.trim_end())
}

fn builder() -> async_graphql::SchemaBuilder<query::Query, mutation::Mutation, subscription::Subscription> {
    GraphqlSchema::build(query::Query, mutation::Mutation, subscription::Subscription)
        .register_output_type::<query::Node>()
        .disable_suggestions()
}
