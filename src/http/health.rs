//! Is the process alive; can it work.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use diesel_async::RunQueryDsl as _;

use crate::app::App;
use crate::db;

/// How long the database may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The process answers.
pub async fn alive() -> &'static str {
    "ok\n"
}

/// The process answers and so does its database.
pub async fn ready(State(app): State<App>) -> (StatusCode, &'static str) {
    let ask = async {
        let mut conn = db::connect(&app.pool).await?;
        diesel::select(diesel::dsl::now).execute(&mut conn).await?;
        anyhow::Ok(())
    };
    match tokio::time::timeout(PATIENCE, ask).await {
        Ok(Ok(())) => (StatusCode::OK, "ready\n"),
        Ok(Err(_)) | Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n"),
    }
}
