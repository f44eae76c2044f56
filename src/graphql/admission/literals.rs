//! The values that a document gives to arguments.

use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};
use async_graphql::{Pos, Positioned};
use async_graphql_value::Value;

use super::Rejection;

type Check<'a> = dyn FnMut(&str, &Value, Pos) -> Result<(), Rejection> + 'a;

/// Calls `check` with the name and the value of each argument, fragments once each.
pub(super) fn each(document: &ExecutableDocument, check: &mut Check) -> Result<(), Rejection> {
    for (_, operation) in document.operations.iter() {
        in_selections(&operation.node.selection_set.node, check)?;
    }
    document.fragments.values().try_for_each(|fragment| in_selections(&fragment.node.selection_set.node, check))
}

fn in_selections(selections: &SelectionSet, check: &mut Check) -> Result<(), Rejection> {
    for selection in &selections.items {
        match &selection.node {
            Selection::Field(field) => {
                for (name, Positioned { pos, node }) in &field.node.arguments {
                    check(&name.node, node, *pos)?;
                }
                in_selections(&field.node.selection_set.node, check)?;
            }
            Selection::InlineFragment(fragment) => in_selections(&fragment.node.selection_set.node, check)?,
            Selection::FragmentSpread(_) => {}
        }
    }
    Ok(())
}
