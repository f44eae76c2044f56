//! What was found while a request's CSV was read, in the order of the file.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Connection;
use super::schema::csv_issues;

/// Rows a statement inserts at once.
const ROWS_PER_INSERT: usize = 500;

/// A row of `csv_issues`.
#[derive(Debug, Clone, Queryable, QueryableByName, Selectable, Insertable)]
#[diesel(table_name = csv_issues, check_for_backend(diesel::pg::Pg))]
pub struct CsvIssue {
    pub request_id: Uuid,
    pub position: i32,
    pub severity: String,
    pub code: String,
    pub message: String,
    pub line: i32,
    pub row_number: Option<i32>,
    pub column_name: Option<String>,
    pub value: Option<String>,
}

impl CsvIssue {
    /// Stores the issues of a new request.
    pub async fn insert(conn: &mut Connection, issues: &[Self]) -> QueryResult<()> {
        for chunk in issues.chunks(ROWS_PER_INSERT) {
            diesel::insert_into(csv_issues::table).values(chunk).execute(conn).await?;
        }
        Ok(())
    }

    /// At most `limit` issues of a request behind the position `after`.
    pub async fn page(
        conn: &mut Connection,
        request_id: Uuid,
        after: Option<i32>,
        limit: i64,
    ) -> QueryResult<Vec<Self>> {
        csv_issues::table
            .filter(csv_issues::request_id.eq(request_id).and(csv_issues::position.gt(after.unwrap_or(-1))))
            .order(csv_issues::position)
            .limit(limit)
            .select(Self::as_select())
            .load(conn)
            .await
    }
}
