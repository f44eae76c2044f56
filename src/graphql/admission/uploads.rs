//! Refuses strings that pose as uploaded files.
//! After [`check`], only a multipart request's own `map` can fill an `Upload`.
//!
//! The library marks a file as the string `#__graphql_file__:<index>` and trusts any string of that
//! form: an index that is no number, or past the last file, panics.

use async_graphql::{
    Pos, Positioned, Value, Variables,
    parser::types::{Directive, ExecutableDocument, Selection, SelectionSet},
};

use async_graphql_value::Value as InputValue;

use super::{BAD_UPLOAD, Rejection};

const PREFIX: &str = "#__graphql_file__:";

/// Refuses such a string in the variables, in an argument, or as a variable's default.
pub(super) fn check(document: &ExecutableDocument, variables: &Variables) -> Result<(), Rejection> {
    if variables.values().any(forged) {
        return Err(refuse(None));
    }
    for (_, operation) in document.operations.iter() {
        for variable in &operation.node.variable_definitions {
            if let Some(default) = &variable.node.default_value
                && forged(&default.node)
            {
                return Err(refuse(Some(default.pos)));
            }
            in_directives(&variable.node.directives)?;
        }
        in_directives(&operation.node.directives)?;
        in_selections(&operation.node.selection_set)?;
    }
    for fragment in document.fragments.values() {
        in_directives(&fragment.node.directives)?;
        in_selections(&fragment.node.selection_set)?;
    }
    Ok(())
}

fn in_selections(set: &Positioned<SelectionSet>) -> Result<(), Rejection> {
    for selection in &set.node.items {
        in_directives(selection.node.directives())?;
        match &selection.node {
            Selection::Field(field) => {
                in_arguments(field.node.arguments.iter().map(|(_, value)| value))?;
                in_selections(&field.node.selection_set)?;
            }
            Selection::InlineFragment(inline) => in_selections(&inline.node.selection_set)?,
            Selection::FragmentSpread(_) => {}
        }
    }
    Ok(())
}

fn in_directives(directives: &[Positioned<Directive>]) -> Result<(), Rejection> {
    directives.iter().try_for_each(|directive| in_arguments(directive.node.arguments.iter().map(|(_, value)| value)))
}

fn in_arguments<'a>(mut values: impl Iterator<Item = &'a Positioned<InputValue>>) -> Result<(), Rejection> {
    match values.find(|value| forged_literal(&value.node)) {
        Some(value) => Err(refuse(Some(value.pos))),
        None => Ok(()),
    }
}

fn forged(value: &Value) -> bool {
    match value {
        Value::String(text) => text.starts_with(PREFIX),
        Value::List(items) => items.iter().any(forged),
        Value::Object(fields) => fields.values().any(forged),
        _ => false,
    }
}

fn forged_literal(value: &InputValue) -> bool {
    match value {
        InputValue::String(text) => text.starts_with(PREFIX),
        InputValue::List(items) => items.iter().any(forged_literal),
        InputValue::Object(fields) => fields.values().any(forged_literal),
        _ => false,
    }
}

fn refuse(location: Option<Pos>) -> Rejection {
    let message = format!("A string may not begin with `{PREFIX}`; send files as multipart/form-data with a `map`.");
    Rejection::new(BAD_UPLOAD, location, message)
}
