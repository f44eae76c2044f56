//! The contract: `schema.graphql` in Rust. A resolver takes the input, calls the pipeline, wraps the row.

pub mod query;

pub mod mutation;

pub mod subscription;

mod request;

mod request_totals;

mod run;

mod steering;

mod correcting;

mod rerunning;

mod estimate;

mod progress;

mod result_file;

mod csv;

mod product;

mod host;

mod image;

mod failure;

mod format;

mod settings;

mod viewer;

mod webhook;

mod limits;

mod system;

mod loaders;

pub mod snapshots;

pub mod watching;

mod paging;

mod scalars;

pub mod admission;

pub mod charging;

pub mod error;

use std::sync::LazyLock;

use async_graphql::Schema as GraphqlSchema;

use crate::app::App;
use crate::pipeline::system::Readings;
use admission::QueryLimits;

/// The schema, with what its resolvers need.
pub type Schema = GraphqlSchema<query::Query, mutation::Mutation, subscription::Subscription>;

/// Builds the schema on a running Halftone.
pub fn schema(app: App, limits: QueryLimits) -> Schema {
    builder()
        .data(loaders::Loaders::new(app.pool.clone()))
        .data(snapshots::Snapshots::default())
        .data(Readings::default())
        .data(app)
        .data(limits)
        .limit_depth(limits.depth)
        .limit_complexity(limits.complexity)
        .extension(charging::Charging)
        .finish()
}

/// The schema in the schema definition language, as `schema.graphql` holds it. It is made once: anyone may ask for it, as often
/// as they like.
pub fn sdl() -> &'static str {
    static SDL: LazyLock<String> = LazyLock::new(|| {
        let options = async_graphql::SDLExportOptions::new().sorted_enum_items().include_specified_by();
        let sdl = builder().finish().sdl_with_options(options);
        format!("{}\n", sdl.trim_end())
    });
    &SDL
}

fn builder() -> async_graphql::SchemaBuilder<query::Query, mutation::Mutation, subscription::Subscription> {
    GraphqlSchema::build(query::Query, mutation::Mutation::default(), subscription::Subscription)
        .register_output_type::<query::Node>()
        .disable_suggestions()
}

/// The schema without a Halftone: it can only be asked about itself.
#[cfg(test)]
fn schema_for_tests() -> Schema {
    builder().finish()
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    /// Types that the library makes, with its own words.
    fn is_made_by_the_library(name: &str) -> bool {
        name.starts_with("__") || ["PageInfo", "String", "Int", "Float", "Boolean", "ID", "Upload"].contains(&name)
    }

    #[test]
    fn the_schema_is_written_once() {
        assert!(std::ptr::eq(super::sdl(), super::sdl()));
    }

    #[tokio::test]
    async fn everything_in_the_schema_says_what_it_is() {
        let asked = "name description args { name description }";
        let query = format!(
            "{{ __schema {{ types {{ name description fields(includeDeprecated: true) {{ {asked} }}
               inputFields {{ name description }} enumValues {{ name description }} }} }} }}"
        );
        let answer = super::schema_for_tests().execute(query).await;
        assert_eq!(answer.errors, []);
        let schema = answer.data.into_json().unwrap();
        let mut silent = Vec::new();
        let mut check = |path: String, what: &Json| {
            if what["description"].as_str().is_none_or(|text| text.trim().is_empty()) {
                silent.push(path);
            }
        };
        let list = |value: &Json| value.as_array().cloned().unwrap_or_default();
        for of in list(&schema["__schema"]["types"]) {
            let name = of["name"].as_str().unwrap();
            if is_made_by_the_library(name) {
                continue;
            }
            let is_page = name.ends_with("Connection") || name.ends_with("Edge");
            if !is_page {
                check(name.to_owned(), &of);
            }
            for members in ["fields", "inputFields", "enumValues"] {
                for member in list(&of[members]) {
                    let path = format!("{name}.{}", member["name"].as_str().unwrap());
                    for argument in list(&member["args"]) {
                        check(format!("{path}({})", argument["name"].as_str().unwrap()), &argument);
                    }
                    check(path, &member);
                }
            }
        }
        assert!(silent.is_empty(), "{} without a description: {silent:#?}", silent.len());
    }
}
