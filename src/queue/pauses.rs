//! Groups that are paused: their jobs stay as they are, and none is claimed.

use diesel::prelude::*;
use diesel::sql_types::{Array, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::db::Connection;

/// Has no job of this group claimed any more.
pub async fn pause(conn: &mut Connection, group_id: Uuid) -> QueryResult<()> {
    diesel::sql_query("INSERT INTO paused_groups (group_id) VALUES ($1) ON CONFLICT (group_id) DO NOTHING")
        .bind::<SqlUuid, _>(group_id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Has jobs of these groups claimed again.
pub async fn resume(conn: &mut Connection, group_ids: &[Uuid]) -> QueryResult<()> {
    diesel::sql_query("DELETE FROM paused_groups WHERE group_id = ANY($1)")
        .bind::<Array<SqlUuid>, _>(group_ids)
        .execute(conn)
        .await?;
    Ok(())
}
