//! Why rows and URLs were refused when the CSV was read, met again row by row.
//!
//! Memory stays flat: the stored problems are read a page at a time, in the order of the file, as the rows are.

use std::collections::VecDeque;

use uuid::Uuid;

use crate::db::Connection;
use crate::db::csv_issue::CsvIssue;

/// Problems read by one statement.
const ISSUES_PER_PAGE: i64 = 500;

/// The errors of a request's CSV, for rows that come in their order.
pub struct Refusals {
    request_id: Uuid,
    /// Position of the last problem that was read.
    after: Option<i32>,
    ahead: VecDeque<CsvIssue>,
    ended: bool,
}

impl Refusals {
    pub fn of_request(request_id: Uuid) -> Self {
        Self { request_id, after: None, ahead: VecDeque::new(), ended: false }
    }

    /// The errors of this row that were kept. Ask for rows in ascending order only.
    pub async fn of_row(&mut self, conn: &mut Connection, row_number: i32) -> diesel::QueryResult<Vec<CsvIssue>> {
        let mut found = Vec::new();
        loop {
            while self.ahead.front().is_some_and(|issue| issue.row_number <= Some(row_number)) {
                found.extend(self.ahead.pop_front().filter(|issue| issue.row_number == Some(row_number)));
            }
            if self.ended || !self.ahead.is_empty() {
                return Ok(found);
            }
            self.read_on(conn).await?;
        }
    }

    async fn read_on(&mut self, conn: &mut Connection) -> diesel::QueryResult<()> {
        let page = CsvIssue::page(conn, self.request_id, self.after, ISSUES_PER_PAGE).await?;
        match page.last() {
            Some(last) => self.after = Some(last.position),
            None => self.ended = true,
        }
        self.ahead.extend(page.into_iter().filter(|issue| issue.severity == "ERROR"));
        Ok(())
    }
}
