//! Who asks: what belongs to another tenant does not exist for them.

use uuid::Uuid;

/// Whose rows a query finds. Every query that takes an id from outside takes a viewer too; what hangs on a row that was found
/// is found by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Viewer {
    /// Halftone itself, its command line, and those who hold a link: all rows.
    Operator,
    /// A caller: the rows of this tenant.
    Tenant(Uuid),
}

impl Viewer {
    /// The tenant whose rows are found; `None`: those of all.
    pub fn tenant(self) -> Option<Uuid> {
        match self {
            Self::Operator => None,
            Self::Tenant(id) => Some(id),
        }
    }
}

/// The condition that a row of `processing_requests` is there for a viewer. Neither column is in the schema of diesel, whose
/// tables have 32 columns at most unless it is built for more, which would take everyone longer.
macro_rules! is_visible_to {
    ($viewer:expr) => {
        diesel::dsl::sql::<diesel::sql_types::Bool>(
            "processing_requests.deleted_at IS NULL AND processing_requests.tenant_id = coalesce(",
        )
        .bind::<diesel::sql_types::Nullable<diesel::sql_types::Uuid>, _>($viewer.tenant())
        .sql(", processing_requests.tenant_id)")
    };
}

pub(super) use is_visible_to;
