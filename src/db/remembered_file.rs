//! Which request `halftone run` made last for a file.

use diesel::prelude::*;
use diesel::sql_types::{Binary, Bool, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Connection;

/// A file that was run before.
#[derive(Debug, QueryableByName)]
pub struct RememberedFile {
    #[diesel(sql_type = SqlUuid)]
    pub request_id: Uuid,
    /// What [`remember`] was called with.
    #[diesel(sql_type = Binary)]
    pub hash: Vec<u8>,
    /// Whether outputs of its request have expired.
    #[diesel(sql_type = Bool)]
    pub has_expired: bool,
}

/// What is remembered of the file at `path`, unless its request was deleted.
pub async fn find(conn: &mut Connection, path: &str) -> QueryResult<Option<RememberedFile>> {
    diesel::sql_query(
        "SELECT request_id, hash, EXISTS (
                SELECT FROM images WHERE images.request_id = request.id AND status = 'SUCCEEDED' AND output_key IS NULL
             ) AS has_expired
           FROM remembered_files JOIN processing_requests request ON request.id = request_id
          WHERE path = $1 AND deleted_at IS NULL",
    )
    .bind::<Text, _>(path)
    .get_result(conn)
    .await
    .optional()
}

/// Notes the request that was made for a file. `hash`: of its bytes and of what is to be done with it.
pub async fn remember(conn: &mut Connection, path: &str, hash: &[u8], request_id: Uuid) -> QueryResult<()> {
    diesel::sql_query(
        "INSERT INTO remembered_files (path, hash, request_id) VALUES ($1, $2, $3)
         ON CONFLICT (path) DO UPDATE SET hash = excluded.hash, request_id = excluded.request_id",
    )
    .bind::<Text, _>(path)
    .bind::<Binary, _>(hash)
    .bind::<SqlUuid, _>(request_id)
    .execute(conn)
    .await?;
    Ok(())
}
