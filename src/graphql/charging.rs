//! Counts queries and mutations: their complexity is taken from what their caller's key may use in a minute before they are
//! executed, and how long they ran goes into the metrics.

use std::sync::Arc;
use std::time::Instant;

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextExecute, NextValidation};
use async_graphql::parser::types::{ExecutableDocument, OperationType, Selection};
use async_graphql::{Name, Pos, Response, ServerError, ValidationResult};

use super::error::rate_limited;
use crate::access::Caller;
use crate::app::App;

/// In the data of a query or mutation: it is counted. Subscriptions are paid for when they start, once, however many share what
/// is executed for them.
pub struct Counted {
    kind: &'static str,
    /// The first field that is asked for. Names of operations are the client's, and without number.
    field: String,
}

impl Counted {
    /// Of the operation with this name; `None`: it is a subscription.
    pub fn of(document: &ExecutableDocument, name: Option<&str>) -> Option<Self> {
        let mut operations = document.operations.iter();
        let (_, operation) = operations.find(|(own, _)| name.is_none() || own.map(Name::as_str) == name)?;
        let kind = match operation.node.ty {
            OperationType::Query => "query",
            OperationType::Mutation => "mutation",
            OperationType::Subscription => return None,
        };
        let mut first = operation.node.selection_set.node.items.iter();
        let field = first.find_map(|selection| match &selection.node {
            Selection::Field(field) => Some(field.node.name.node.to_string()),
            Selection::FragmentSpread(_) | Selection::InlineFragment(_) => None,
        });
        Some(Self { kind, field: field.unwrap_or_else(|| "fragment".to_owned()) })
    }
}

pub struct Charging;

impl ExtensionFactory for Charging {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_graphql::async_trait::async_trait]
impl Extension for Charging {
    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let result = next.run(ctx).await?;
        if let (Some(_), Some(caller)) = (ctx.data_opt::<Counted>(), ctx.data_opt::<Caller>()) {
            let taken = caller.quota.operation(result.complexity);
            taken.map_err(|exceeded| vec![rate_limited(&exceeded).into_server_error(Pos::default())])?;
        }
        Ok(result)
    }

    /// Only what is valid comes here, so the field is one of the schema's.
    async fn execute(&self, ctx: &ExtensionContext<'_>, name: Option<&str>, next: NextExecute<'_>) -> Response {
        let began = Instant::now();
        let response = next.run(ctx, name).await;
        if let (Some(Counted { kind, field }), Some(app)) = (ctx.data_opt(), ctx.data_opt::<App>()) {
            app.metrics.graphql_operation(kind, field, response.errors.is_empty(), began.elapsed());
        }
        response
    }
}
