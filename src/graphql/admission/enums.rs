//! Refuses a string literal where the name of an enum value belongs. The specification does; the library takes both, because
//! in a variable, which is JSON, such a name is a string.

use async_graphql::Pos;
use async_graphql::parser::types::ExecutableDocument;
use async_graphql_value::Value;

use super::{Rejection, VALIDATION_FAILED, literals};

/// The arguments and input fields whose values are enums or lists of them.
const ENUMS: [&str; 7] = ["codes", "errorCode", "format", "kind", "onInvalidRow", "outcome", "status"];

pub(super) fn check(document: &ExecutableDocument) -> Result<(), Rejection> {
    literals::each(document, &mut |name, value, pos| in_literal(name, value, pos))
}

fn in_literal(name: &str, value: &Value, pos: Pos) -> Result<(), Rejection> {
    match value {
        Value::String(_) if ENUMS.contains(&name) => {
            let message = format!("`{name}` takes the name of an enum value. Write it without quotation marks.");
            Err(Rejection::new(VALIDATION_FAILED, Some(pos), message))
        }
        Value::Object(fields) => fields.iter().try_for_each(|(name, value)| in_literal(name, value, pos)),
        Value::List(items) => items.iter().try_for_each(|item| in_literal(name, item, pos)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use async_graphql::parser::parse_query;

    use super::*;

    #[test]
    fn a_string_is_no_enum_value() {
        let verdict = |query: &str| check(&parse_query(query).unwrap());
        for refused in [
            r#"{ processingRequests(filter: { status: ["COMPLETED"] }) { nodes { id } } }"#,
            r#"{ processingRequests(filter: { status: "COMPLETED" }) { nodes { id } } }"#,
            r#"{ ...F } fragment F on Query { node(id: "1") { ... on ProcessingRequest { result(kind: "OUTPUT_CSV") { url } } } }"#,
        ] {
            assert_eq!(verdict(refused).expect_err(refused).code, VALIDATION_FAILED);
        }
        for taken in [
            "query ($s: [ProcessingRequestStatus!]) { processingRequests(filter: { status: $s }) { nodes { id } } }",
            r#"{ processingRequests(filter: { status: [COMPLETED], label: "x" }) { nodes { id } } }"#,
        ] {
            assert_eq!(verdict(taken), Ok(()), "{taken}");
        }
    }

    /// What the schema says of itself: all places of enums are known here, and none of these names is of anything else.
    #[tokio::test]
    async fn all_places_of_enums_are_known_here() {
        let value = "name type { kind ofType { kind ofType { kind ofType { kind } } } }";
        let query =
            format!("{{ __schema {{ types {{ inputFields {{ {value} }} fields {{ args {{ {value} }} }} }} }} }}");
        let answer = crate::graphql::schema_for_tests().execute(query).await;
        assert_eq!(answer.errors, []);
        let schema = answer.data.into_json().unwrap();
        let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
        let (mut enums, mut others) = (BTreeSet::new(), BTreeSet::new());
        for of in list(&schema["__schema"]["types"]) {
            let arguments = list(&of["fields"]).into_iter().flat_map(|field| list(&field["args"]));
            for place in list(&of["inputFields"]).into_iter().chain(arguments) {
                let mut kind = &place["type"];
                while !kind["ofType"].is_null() {
                    kind = &kind["ofType"];
                }
                let name = place["name"].as_str().unwrap().to_owned();
                if kind["kind"] == "ENUM" {
                    enums.insert(name)
                } else {
                    others.insert(name)
                };
            }
        }
        assert_eq!(enums, ENUMS.iter().map(ToString::to_string).collect());
        assert_eq!(enums.intersection(&others).next(), None);
    }
}
