//! Takes the complexity of each query and mutation from what its caller's key may use in a minute, before it is executed.

use std::sync::Arc;

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation};
use async_graphql::{ServerError, ValidationResult};

use super::error::rate_limited;
use crate::access::Caller;

/// In the data of a request: its complexity is the caller's to pay. Subscriptions are paid for when they start, once, however
/// many share what is executed for them.
pub struct Charged;

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
        if let (Some(Charged), Some(caller)) = (ctx.data_opt(), ctx.data_opt::<Caller>()) {
            let taken = caller.quota.operation(result.complexity);
            taken.map_err(|exceeded| vec![rate_limited(&exceeded).into_server_error(Default::default())])?;
        }
        Ok(result)
    }
}
