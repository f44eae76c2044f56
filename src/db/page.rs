//! A window into an ordered list, by key rather than by offset: stays right while rows are added.

/// At most `limit` rows strictly between two keys, from the list's start or, `backwards`, from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Page<K> {
    /// Only rows that come later in the list than this key.
    pub after: Option<K>,
    /// Only rows that come earlier in the list than this key.
    pub before: Option<K>,
    /// Rows of the window that are passed over first; only lists of images know it.
    pub skip: i64,
    /// How many rows at most.
    pub limit: i64,
    /// The last rows of the window instead of the first; they are still returned in the list's order.
    pub backwards: bool,
}

impl<K> Page<K> {
    /// The first `limit` rows.
    pub fn first(limit: i64) -> Self {
        Self { after: None, before: None, skip: 0, limit, backwards: false }
    }

    /// Rows that were read from the end, in the list's order again.
    pub(super) fn in_order<T>(&self, mut rows: Vec<T>) -> Vec<T> {
        if self.backwards {
            rows.reverse();
        }
        rows
    }
}
