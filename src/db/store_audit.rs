//! What the database says should be in the store.

use diesel::prelude::*;
use diesel::sql_types::{Array, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Connection;

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

fn ids(rows: Vec<Id>) -> Vec<Uuid> {
    rows.into_iter().map(|row| row.id).collect()
}

/// An output of an image.
#[derive(Debug, QueryableByName)]
pub struct StoredOutput {
    #[diesel(sql_type = SqlUuid)]
    pub image_id: Uuid,
    #[diesel(sql_type = Text)]
    pub key: String,
}

/// Of these requests, those that the database knows nothing of: neither stored, nor deleted, nor being uploaded.
pub async fn unknown(conn: &mut Connection, request_ids: &[Uuid]) -> QueryResult<Vec<Uuid>> {
    let rows = diesel::sql_query(
        "SELECT asked.id FROM unnest($1) AS asked (id)
          WHERE NOT EXISTS (SELECT FROM processing_requests WHERE processing_requests.id = asked.id)
            AND NOT EXISTS (SELECT FROM store_removals WHERE request_id = asked.id)",
    );
    Ok(ids(rows.bind::<Array<SqlUuid>, _>(request_ids).load(conn).await?))
}

/// The outputs of these images, those that they had before included.
pub async fn outputs(conn: &mut Connection, image_ids: &[Uuid]) -> QueryResult<Vec<StoredOutput>> {
    diesel::sql_query(
        "SELECT id AS image_id, output_key AS key FROM images WHERE id = ANY($1) AND output_key IS NOT NULL
         UNION
         SELECT image_id, output->>'output_key' FROM former_outputs WHERE image_id = ANY($1)",
    )
    .bind::<Array<SqlUuid>, _>(image_ids)
    .load(conn)
    .await
}
