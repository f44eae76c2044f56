//! URLs of images that are replaced by better ones, in the images and in the rows that name them.

use diesel::prelude::*;
use diesel::sql_types::{Array, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Connection;

/// Gives each image `ids[i]` of a request the URL `urls[i]`. The last twenty URLs an image had are kept, and of a row those
/// that the CSV has.
pub async fn replace_urls(conn: &mut Connection, request_id: Uuid, ids: &[Uuid], urls: &[&str]) -> QueryResult<()> {
    diesel::sql_query(
        "UPDATE products SET csv_urls = coalesce(csv_urls, input_urls), input_urls = ARRAY(
                    SELECT coalesce(new.url, placed.url)
                      FROM unnest(products.input_urls, products.image_ids) WITH ORDINALITY AS placed (url, image_id, place)
                      LEFT JOIN unnest($2, $3) AS new (id, url) ON new.id = placed.image_id
                     ORDER BY place)
          WHERE request_id = $1 AND image_ids && $2",
    )
    .bind::<SqlUuid, _>(request_id)
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Array<Text>, _>(urls)
    .execute(conn)
    .await?;
    diesel::sql_query(
        "UPDATE images SET input_url = new.url,
                former_urls = (former_urls || input_url)[greatest(1, cardinality(former_urls) - 18):]
           FROM unnest($2, $3) AS new (id, url)
          WHERE images.id = new.id AND request_id = $1 AND input_url <> new.url",
    )
    .bind::<SqlUuid, _>(request_id)
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Array<Text>, _>(urls)
    .execute(conn)
    .await?;
    Ok(())
}
