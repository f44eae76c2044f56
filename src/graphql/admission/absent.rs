//! Variables a client declares and does not send: every use of one is dropped from the document, and its declaration.
//! That is what the specification means by an argument "not provided" (GraphQL, October 2021, section 6.4.1), and clients
//! rely on it; the library's complexity count would refuse the request instead.

use std::collections::HashSet;

use async_graphql::parser::types::{
    BaseType, Directive, DocumentOperations, ExecutableDocument, OperationDefinition, Selection, SelectionSet,
};
use async_graphql::{Name, Positioned, Variables};
use async_graphql_value::Value;

/// Drops every use of an absent variable. `name` chooses the operation, as in the request.
pub(super) fn drop_uses(document: &mut ExecutableDocument, name: Option<&str>, variables: &Variables) {
    let chosen = document.operations.iter().find(|(own, _)| name.is_none() || own.map(Name::as_str) == name);
    let declared = chosen.map(|(_, operation)| operation.node.variable_definitions.as_slice()).unwrap_or_default();
    let absent: HashSet<Name> = declared
        .iter()
        .map(|definition| &definition.node)
        // A file is missing until its part has arrived.
        .filter(|variable| !matches!(&variable.var_type.node.base, BaseType::Named(name) if name == "Upload"))
        .filter(|variable| variable.var_type.node.nullable && variable.default_value.is_none())
        .filter(|variable| !variables.contains_key(&variable.name.node))
        .map(|variable| variable.name.node.clone())
        .collect();
    if absent.is_empty() {
        return;
    }
    match &mut document.operations {
        DocumentOperations::Single(operation) => in_operation(&mut operation.node, &absent),
        DocumentOperations::Multiple(operations) => {
            operations.values_mut().for_each(|operation| in_operation(&mut operation.node, &absent));
        }
    }
    for fragment in document.fragments.values_mut() {
        in_directives(&mut fragment.node.directives, &absent);
        in_selections(&mut fragment.node.selection_set.node, &absent);
    }
}

fn in_operation(operation: &mut OperationDefinition, absent: &HashSet<Name>) {
    operation.variable_definitions.retain(|definition| !absent.contains(&definition.node.name.node));
    in_directives(&mut operation.directives, absent);
    in_selections(&mut operation.selection_set.node, absent);
}

fn in_selections(selections: &mut SelectionSet, absent: &HashSet<Name>) {
    for selection in &mut selections.items {
        match &mut selection.node {
            Selection::Field(field) => {
                in_arguments(&mut field.node.arguments, absent);
                in_directives(&mut field.node.directives, absent);
                in_selections(&mut field.node.selection_set.node, absent);
            }
            Selection::FragmentSpread(spread) => in_directives(&mut spread.node.directives, absent),
            Selection::InlineFragment(fragment) => {
                in_directives(&mut fragment.node.directives, absent);
                in_selections(&mut fragment.node.selection_set.node, absent);
            }
        }
    }
}

fn in_directives(directives: &mut [Positioned<Directive>], absent: &HashSet<Name>) {
    for directive in directives {
        in_arguments(&mut directive.node.arguments, absent);
    }
}

fn in_arguments(arguments: &mut Vec<(Positioned<Name>, Positioned<Value>)>, absent: &HashSet<Name>) {
    arguments.retain_mut(|(_, value)| in_value(&mut value.node, absent));
}

/// Whether anything is left of the value. In a list an absent variable is null; in an object its field is absent too.
fn in_value(value: &mut Value, absent: &HashSet<Name>) -> bool {
    match value {
        Value::Variable(name) => return !absent.contains(name),
        Value::List(items) => {
            for item in items {
                if !in_value(item, absent) {
                    *item = Value::Null;
                }
            }
        }
        Value::Object(fields) => fields.retain(|_, field| in_value(field, absent)),
        _ => {}
    }
    true
}

#[cfg(test)]
mod tests {
    use async_graphql::{EmptyMutation, EmptySubscription, InputObject, Object, Request, Schema, Variables, value};

    use crate::graphql::admission::{QueryLimits, admit};

    #[derive(InputObject)]
    struct Filter {
        name: Option<String>,
        tags: Option<Vec<Option<String>>>,
    }

    struct Query;

    #[Object]
    impl Query {
        #[graphql(complexity = usize::try_from(first.unwrap_or(1)).unwrap_or(1) * child_complexity + 1)]
        async fn list(&self, first: Option<i32>, #[graphql(default = 7)] step: i32, filter: Option<Filter>) -> String {
            let (name, tags) = filter.map(|filter| (filter.name, filter.tags)).unwrap_or_default();
            format!("{first:?} {step} {name:?} {tags:?}")
        }
    }

    #[tokio::test]
    async fn a_variable_that_is_not_sent_is_an_argument_that_is_not_given() {
        let schema = Schema::new(Query, EmptyMutation, EmptySubscription);
        let document = "query A($first: Int, $step: Int, $name: String, $tag: String) {
                ...f
                a: list(first: $first, step: $step, filter: { name: $name, tags: [$tag, \"x\"] })
            }
            query B($first: Int) { list(first: $first) }
            fragment f on Query { list(first: $first) }";
        let mut request = Request::new(document).operation_name("A");
        admit(&mut request, &QueryLimits::default()).unwrap();
        let answer = schema.execute(request).await;
        assert_eq!(answer.errors, []);
        let data = answer.data.into_json().unwrap();
        assert_eq!(data["a"], "None 7 None Some([None, Some(\"x\")])");
        assert_eq!(data["list"], "None 7 None None");

        let variables = Variables::from_value(value!({ "first": 3, "step": 2, "name": "n", "tag": null }));
        let mut request = Request::new(document).operation_name("A").variables(variables);
        admit(&mut request, &QueryLimits::default()).unwrap();
        let data = schema.execute(request).await.data.into_json().unwrap();
        assert_eq!(data["a"], "Some(3) 2 Some(\"n\") Some([None, Some(\"x\")])");
    }
}
