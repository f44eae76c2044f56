//! Names the fields that an input of exactly one field has too many of: the library's refusal names none.

use async_graphql::parser::types::ExecutableDocument;
use async_graphql::{Pos, Value, Variables};
use async_graphql_value::Value as InputValue;

use super::{Rejection, VALIDATION_FAILED, literals};

/// The inputs of exactly one field, by the name of the argument or field that holds them.
const ONE_OF: [(&str, &[&str]); 1] =
    [("compression", &["quality", "relativeQuality", "targetRatio", "maxBytes", "minScore", "lossless"])];

fn fields_of(holder: &str) -> Option<&'static [&'static str]> {
    ONE_OF.iter().find(|(name, _)| *name == holder).map(|(_, fields)| *fields)
}

/// Refuses several known fields in one of [`ONE_OF`], in a variable or an argument. What else is wrong with them, the
/// schema's own validation says.
pub(super) fn check(document: &ExecutableDocument, variables: &Variables) -> Result<(), Rejection> {
    variables.iter().try_for_each(|(name, value)| in_value(name, value))?;
    literals::each(document, &mut |name, value, pos| in_literal(name, value, variables, pos))
}

fn in_value(name: &str, value: &Value) -> Result<(), Rejection> {
    match value {
        Value::Object(fields) => {
            refuse_several(name, fields.keys().map(async_graphql::Name::as_str), None)?;
            fields.iter().try_for_each(|(name, value)| in_value(name, value))
        }
        Value::List(items) => items.iter().try_for_each(|item| in_value(name, item)),
        _ => Ok(()),
    }
}

fn in_literal(name: &str, value: &InputValue, variables: &Variables, pos: Pos) -> Result<(), Rejection> {
    match value {
        InputValue::Object(fields) => {
            refuse_several(name, fields.keys().map(async_graphql::Name::as_str), Some(pos))?;
            fields.iter().try_for_each(|(name, value)| in_literal(name, value, variables, pos))
        }
        // A variable may have any name; what is deeper in it has been looked at under its own.
        InputValue::Variable(variable) => match variables.get(variable) {
            Some(Value::Object(fields)) => {
                refuse_several(name, fields.keys().map(async_graphql::Name::as_str), Some(pos))
            }
            _ => Ok(()),
        },
        InputValue::List(items) => items.iter().try_for_each(|item| in_literal(name, item, variables, pos)),
        _ => Ok(()),
    }
}

fn refuse_several<'a>(
    holder: &str,
    given: impl Iterator<Item = &'a str>,
    location: Option<Pos>,
) -> Result<(), Rejection> {
    let Some(fields) = fields_of(holder) else { return Ok(()) };
    let given: Vec<String> = given.filter(|name| fields.contains(name)).map(|name| format!("`{name}`")).collect();
    match given.split_last() {
        Some((last, others)) if !others.is_empty() => {
            let message = format!("`{holder}` has {} and {last}; give exactly one of them.", others.join(", "));
            Err(Rejection::new(VALIDATION_FAILED, location, message))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// What the schema says of itself: otherwise a new input of this kind would be forgotten here.
    #[tokio::test]
    async fn all_inputs_of_exactly_one_field_are_known_here() {
        let query = "{ __schema { types { name isOneOf inputFields { name type { name ofType { name } } }
                       fields { args { name type { name ofType { name } } } } } } }";
        let answer = crate::graphql::schema_for_tests().execute(query).await;
        assert_eq!(answer.errors, []);
        let schema = answer.data.into_json().unwrap();
        let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
        let types = list(&schema["__schema"]["types"]);
        let names = |fields: &serde_json::Value| -> BTreeSet<String> {
            list(fields).iter().map(|field| field["name"].as_str().unwrap().to_owned()).collect()
        };
        let one_of: BTreeMap<String, BTreeSet<String>> = types
            .iter()
            .filter(|of| of["isOneOf"] == true)
            .map(|of| (of["name"].as_str().unwrap().to_owned(), names(&of["inputFields"])))
            .collect();
        let mut holders = BTreeMap::new();
        for of in &types {
            let arguments = list(&of["fields"]).into_iter().flat_map(|field| list(&field["args"]));
            for place in list(&of["inputFields"]).into_iter().chain(arguments) {
                let named = [&place["type"]["name"], &place["type"]["ofType"]["name"]];
                for fields in named.into_iter().filter_map(|name| one_of.get(name.as_str()?)) {
                    holders.insert(place["name"].as_str().unwrap().to_owned(), fields.clone());
                }
            }
        }
        let known = ONE_OF.iter().map(|(holder, fields)| {
            (holder.to_string(), fields.iter().map(ToString::to_string).collect::<BTreeSet<_>>())
        });
        assert_eq!(known.collect::<BTreeMap<_, _>>(), holders);
    }
}
