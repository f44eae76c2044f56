//! What an introspection query grows to.
//!
//! Its lists have no complexity in the library, and a product of them (`possibleTypes { interfaces { … } }`, over and over)
//! makes hundreds of megabytes of a few hundred bytes. So each list counts as many items as our schema has in it, and a
//! document may ask for [`MAX_VALUES`] values: more than the query that tools send, which asks for each list once.

/// Values an introspection query may ask for. The query of graphql-js with all its options counts about 35,000.
pub(super) const MAX_VALUES: usize = 50_000;

/// Where in an introspection query a selection set is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// Not in one.
    Outside,
    /// Directly in the list of all types, where lists have their average size.
    AllTypes,
    /// Elsewhere, so many `ofType` deep. Lists may have their greatest size: one type is chosen again and again.
    Inside(u8),
}

/// Types wrap each other at most this deep: a required list of required items.
const MAX_WRAPPERS: u8 = 3;

impl Place {
    /// The place below a field, and how many items the field has there at most.
    pub(super) fn below(self, field: &str) -> (Place, usize) {
        let inside = Place::Inside(0);
        match (self, field) {
            (Place::Outside, "__schema" | "__type") => (inside, 1),
            (Place::Outside, _) => (Place::Outside, 1),
            (_, "types") => (Place::AllTypes, 130),
            (Place::AllTypes, "fields") => (inside, 6),
            (Place::AllTypes, "enumValues" | "inputFields") => (inside, 2),
            (Place::AllTypes, "possibleTypes") => (inside, 1),
            (Place::Inside(_), "fields") => (inside, 50),
            (Place::Inside(_), "enumValues") => (inside, 40),
            (Place::Inside(_), "inputFields") => (inside, 20),
            (Place::Inside(_), "possibleTypes") => (inside, 5),
            // Most fields have none, a few have six: an average, since arguments lead only to input types.
            (_, "args") => (inside, 1),
            (_, "directives") => (inside, 10),
            (Place::Inside(depth), "ofType") if depth >= MAX_WRAPPERS => (inside, 0),
            (Place::Inside(depth), "ofType") => (Place::Inside(depth + 1), 1),
            _ => (inside, 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::*;

    #[tokio::test]
    async fn no_list_of_the_schema_is_longer_than_it_is_counted() {
        let schema = crate::graphql::builder().finish();
        let lists = ["fields", "inputFields", "enumValues", "possibleTypes", "interfaces"];
        let asked = lists.map(|list| format!("{list} {{ name }}")).join(" ");
        let answer = schema.execute(format!("{{ __schema {{ directives {{ name }} types {{ {asked} }} }} }}")).await;
        assert_eq!(answer.errors, []);
        let schema = answer.data.into_json().unwrap()["__schema"].clone();
        let length = |value: &Json| value.as_array().map_or(0, Vec::len);
        let counted = |place: Place, list: &str| place.below(list).1;
        let types = schema["types"].as_array().unwrap();
        assert!(types.len() <= counted(Place::Inside(0), "types"), "{}", types.len());
        assert!(length(&schema["directives"]) <= counted(Place::Inside(0), "directives"));
        for list in lists {
            let lengths: Vec<usize> = types.iter().map(|of| length(&of[list])).collect();
            let most = lengths.iter().max().unwrap();
            assert!(*most <= counted(Place::Inside(0), list), "{list}: {most}");
            let average = lengths.iter().sum::<usize>().div_ceil(types.len());
            assert!(average <= counted(Place::AllTypes, list), "{list}: {average}");
        }
    }
}
