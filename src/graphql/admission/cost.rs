//! Counts what a parsed document grows to once every fragment is spread.
//! Each fragment is counted once for each kind of place it is spread in, so the time is linear in the document.

use std::collections::HashMap;

use async_graphql::{
    Name, Pos, Positioned,
    parser::types::{ExecutableDocument, Selection, SelectionSet},
};

use super::introspection::{MAX_VALUES, Place};
use super::{QueryLimits, Rejection, VALIDATION_FAILED};

/// Selection sets inside selection sets, fragments included: what the schema itself recurses to
/// (its `limit_recursive_depth` is 32 unless told otherwise).
const MAX_NESTING: usize = 32;

/// What a selection set grows to.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    selections: usize,
    aliases: usize,
    /// Levels of nested fields.
    depth: usize,
    /// Selection sets inside selection sets.
    nesting: usize,
    /// Values that introspection answers with.
    introspection: usize,
}

/// Refuses a document any operation or fragment of which is over a limit, or that spreads a fragment
/// inside itself.
pub(super) fn check(document: &ExecutableDocument, limits: &QueryLimits) -> Result<(), Rejection> {
    Counter::new(document, limits).check()
}

struct Counter<'a> {
    document: &'a ExecutableDocument,
    limits: &'a QueryLimits,
    known: HashMap<(&'a str, Place), Cost>,
    /// The fragments being counted, outermost first: one that appears again is a cycle.
    open: Vec<&'a str>,
    /// Selections looked at.
    visited: usize,
}

impl<'a> Counter<'a> {
    fn new(document: &'a ExecutableDocument, limits: &'a QueryLimits) -> Self {
        Self { document, limits, known: HashMap::new(), open: Vec::new(), visited: 0 }
    }

    fn check(&mut self) -> Result<(), Rejection> {
        // Validation visits every operation of the document, not only the chosen one.
        let mut total = Cost::default();
        for (_, operation) in self.document.operations.iter() {
            let cost = self.selection_set(&operation.node.selection_set, 1, Place::Outside)?;
            total.selections = total.selections.saturating_add(cost.selections);
            total.aliases = total.aliases.saturating_add(cost.aliases);
            total.introspection = total.introspection.saturating_add(cost.introspection);
            self.within_limits(&total, operation.pos)?;
        }
        for (name, fragment) in &self.document.fragments {
            self.fragment(name, fragment.pos, 1, Place::Outside)?;
        }
        Ok(())
    }

    /// `level` is how many selection sets this call is inside; it bounds our own recursion.
    fn selection_set(
        &mut self,
        set: &'a Positioned<SelectionSet>,
        level: usize,
        place: Place,
    ) -> Result<Cost, Rejection> {
        let mut cost = Cost::default();
        if level > MAX_NESTING {
            return Err(too_nested(set.pos));
        }
        for selection in &set.node.items {
            self.visited += 1;
            let (inner, fields) = match &selection.node {
                Selection::Field(field) => {
                    cost.aliases = cost.aliases.saturating_add(usize::from(field.node.alias.is_some()));
                    let (below, items) = place.below(&field.node.name.node);
                    let mut inner = match field.node.selection_set.node.items.is_empty() {
                        true => Cost::default(),
                        false => self.selection_set(&field.node.selection_set, level + 1, below)?,
                    };
                    inner.introspection = inner.introspection.saturating_mul(items);
                    if below != Place::Outside {
                        inner.introspection = inner.introspection.saturating_add(1);
                    }
                    (inner, 1)
                }
                Selection::InlineFragment(inline) => {
                    (self.selection_set(&inline.node.selection_set, level + 1, place)?, 0)
                }
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name;
                    (self.fragment(&name.node, name.pos, level + 1, place)?, 0)
                }
            };
            cost.selections = cost.selections.saturating_add(inner.selections.saturating_add(1));
            cost.aliases = cost.aliases.saturating_add(inner.aliases);
            cost.introspection = cost.introspection.saturating_add(inner.introspection);
            cost.depth = cost.depth.max(inner.depth + fields);
            cost.nesting = cost.nesting.max(inner.nesting);
            self.within_limits(&cost, selection.pos)?;
        }
        cost.nesting += 1;
        if level - 1 + cost.nesting > MAX_NESTING {
            return Err(too_nested(set.pos));
        }
        Ok(cost)
    }

    fn fragment(&mut self, name: &'a Name, at: Pos, level: usize, place: Place) -> Result<Cost, Rejection> {
        if let Some(cost) = self.known.get(&(name.as_str(), place)) {
            return Ok(*cost);
        }
        if self.open.contains(&name.as_str()) {
            return Err(Rejection::new(
                VALIDATION_FAILED,
                Some(at),
                format!("Cannot spread fragment \"{name}\" within itself."),
            ));
        }
        // A fragment that does not exist costs nothing; validation reports it.
        let Some(fragment) = self.document.fragments.get(name.as_str()) else {
            return Ok(Cost::default());
        };
        self.open.push(name.as_str());
        let cost = self.selection_set(&fragment.node.selection_set, level, place)?;
        self.open.pop();
        self.known.insert((name.as_str(), place), cost);
        Ok(cost)
    }

    fn within_limits(&self, cost: &Cost, at: Pos) -> Result<(), Rejection> {
        let refuse = |what: &str, limit: usize| {
            let message = format!("The query is too complex: more than {limit} {what}.");
            Err(Rejection::too_complex(at, message))
        };
        if cost.selections > self.limits.selections {
            return refuse("selections", self.limits.selections);
        }
        if cost.aliases > self.limits.aliases {
            return refuse("aliases", self.limits.aliases);
        }
        if cost.introspection > MAX_VALUES {
            let message = "The query is too complex: nested introspection lists multiply. Request each list of the schema only once.";
            return Err(Rejection::too_complex(at, message));
        }
        if cost.depth > self.limits.depth {
            return refuse("levels of fields", self.limits.depth);
        }
        Ok(())
    }
}

fn too_nested(at: Pos) -> Rejection {
    let message = format!("The query is too complex: selections nest deeper than {MAX_NESTING}.");
    Rejection::too_complex(at, message)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use async_graphql::parser::parse_query;

    use super::*;

    /// How often a selection is looked at in a document of so many fragments, each of which spreads the next ten times: 10 to
    /// that power of selections.
    fn visited(fragments: usize) -> usize {
        let mut query = "query { ...f0 }".to_owned();
        for level in 0..fragments {
            let spreads = format!("...f{} ", level + 1).repeat(10);
            write!(query, " fragment f{level} on Query {{ {spreads} }}").unwrap();
        }
        write!(query, " fragment f{fragments} on Query {{ a }}").unwrap();
        let document = parse_query(query).unwrap();
        let limits = QueryLimits { selections: usize::MAX, ..QueryLimits::default() };
        let mut counter = Counter::new(&document, &limits);
        assert_eq!(counter.check(), Ok(()));
        counter.visited
    }

    #[test]
    fn each_selection_is_looked_at_once_however_often_it_is_spread() {
        for fragments in [1, 2, 10, 20] {
            assert_eq!(visited(fragments), 1 + 10 * fragments + 1);
        }
    }
}
