//! `__typename` under a directive: the directive moves to an inline fragment around the field, which means the same. The
//! library does not look at directives of `__typename`, and would refuse a variable that is used nowhere else as unused.

use async_graphql::parser::types::{ExecutableDocument, Field, InlineFragment, Selection, SelectionSet};
use async_graphql::{Positioned, parser::types::DocumentOperations};

pub(super) fn wrap(document: &mut ExecutableDocument) {
    match &mut document.operations {
        DocumentOperations::Single(operation) => in_selections(&mut operation.node.selection_set.node),
        DocumentOperations::Multiple(operations) => {
            operations.values_mut().for_each(|operation| in_selections(&mut operation.node.selection_set.node));
        }
    }
    for fragment in document.fragments.values_mut() {
        in_selections(&mut fragment.node.selection_set.node);
    }
}

fn in_selections(selections: &mut SelectionSet) {
    for selection in &mut selections.items {
        match &mut selection.node {
            Selection::Field(field) if field.node.name.node == "__typename" => {
                if !field.node.directives.is_empty() {
                    selection.node = Selection::InlineFragment(wrapped(field.clone()));
                }
            }
            Selection::Field(field) => in_selections(&mut field.node.selection_set.node),
            Selection::InlineFragment(fragment) => in_selections(&mut fragment.node.selection_set.node),
            Selection::FragmentSpread(_) => {}
        }
    }
}

fn wrapped(mut field: Positioned<Field>) -> Positioned<InlineFragment> {
    let (pos, directives) = (field.pos, std::mem::take(&mut field.node.directives));
    let items = vec![Positioned::new(Selection::Field(field), pos)];
    let selection_set = Positioned::new(SelectionSet { items }, pos);
    Positioned::new(InlineFragment { type_condition: None, directives, selection_set }, pos)
}

#[cfg(test)]
mod tests {
    use async_graphql::{EmptyMutation, EmptySubscription, Object, Request, Schema, Variables, value};

    use crate::graphql::admission::{QueryLimits, admit};

    struct Query;

    #[Object]
    impl Query {
        async fn one(&self) -> Query {
            Query
        }
    }

    #[tokio::test]
    async fn a_variable_may_decide_about_nothing_but_the_typename() {
        let schema = Schema::new(Query, EmptyMutation, EmptySubscription);
        let document = "query ($no: Boolean!) {
            a: __typename @skip(if: $no)
            b: __typename @include(if: $no)
            ...f
        }
        fragment f on Query { one { ... on Query { c: __typename @skip(if: $no) } } }";
        for (no, expected) in [(true, r#"{"b":"Query","one":{}}"#), (false, r#"{"a":"Query","one":{"c":"Query"}}"#)] {
            let mut request = Request::new(document).variables(Variables::from_value(value!({ "no": no })));
            admit(&mut request, &QueryLimits::default()).unwrap();
            let answer = schema.execute(request).await;
            assert_eq!(answer.errors, []);
            assert_eq!(answer.data.into_json().unwrap().to_string(), expected);
        }
        // A variable of another type is refused there as elsewhere.
        let mut request = Request::new("query ($no: Int) { __typename @skip(if: $no) }");
        request.variables = Variables::from_value(value!({ "no": 1 }));
        admit(&mut request, &QueryLimits::default()).unwrap();
        assert!(!schema.execute(request).await.errors.is_empty());
    }
}
