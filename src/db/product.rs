//! Products: the rows of a CSV, each with its images place by place.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::Connection;
use super::schema::{processing_requests, products};
use super::viewer::{Viewer, is_visible_to};

/// A row of `products`.
#[derive(Debug, Clone, Queryable, QueryableByName, Selectable)]
#[diesel(table_name = products, check_for_backend(diesel::pg::Pg))]
pub struct Product {
    pub id: Uuid,
    pub request_id: Uuid,
    pub row_number: i32,
    pub accepted: bool,
    pub serial_number: Option<String>,
    pub name: String,
    pub input_urls: Vec<String>,
    pub extra: Vec<String>,
    /// The image of each of `input_urls`; `None` where the URL was refused.
    pub image_ids: Vec<Option<Uuid>>,
}

/// A row that is being submitted.
#[derive(Debug)]
pub struct NewProduct {
    pub id: Uuid,
    pub row_number: i32,
    pub accepted: bool,
    pub serial_number: Option<String>,
    pub name: String,
    pub input_urls: Vec<String>,
    pub extra: Vec<String>,
    /// The image of each of `input_urls`; `None` where the URL, or the row, was refused.
    pub image_ids: Vec<Option<Uuid>>,
}

/// A row with what became of the images at its places, for the result files.
#[derive(Debug, Clone, QueryableByName)]
pub struct ProductResult {
    #[diesel(sql_type = Integer)]
    pub row_number: i32,
    #[diesel(sql_type = Bool)]
    pub accepted: bool,
    #[diesel(sql_type = Nullable<Text>)]
    pub serial_number: Option<String>,
    #[diesel(sql_type = Text)]
    pub name: String,
    #[diesel(sql_type = Array<Text>)]
    pub input_urls: Vec<String>,
    /// As the CSV has them, where they were corrected since.
    #[diesel(sql_type = Nullable<Array<Text>>)]
    pub csv_urls: Option<Vec<String>>,
    #[diesel(sql_type = Array<Text>)]
    pub extra: Vec<String>,
    /// The image of each of `input_urls`; `None` where the URL, or the row, was refused.
    #[diesel(sql_type = Array<Nullable<SqlUuid>>)]
    pub image_ids: Vec<Option<Uuid>>,
    /// Where the output of each of those images is stored; `None` where there is none.
    #[diesel(sql_type = Array<Nullable<Text>>)]
    pub output_keys: Vec<Option<String>>,
    /// Which of its outputs each of those images has.
    #[diesel(sql_type = Array<Nullable<Integer>>)]
    pub output_numbers: Vec<Option<i32>>,
}

impl Product {
    /// Stores a batch of rows of a new request.
    pub async fn insert(conn: &mut Connection, request_id: Uuid, rows: &[NewProduct]) -> QueryResult<()> {
        // `unnest` cannot carry arrays of different lengths, so a row's own arrays travel as text. Reading them takes the
        // database a third of the time that one JSON value for the batch took.
        fn column<'a, T>(rows: &'a [NewProduct], value: impl Fn(&'a NewProduct) -> T) -> Vec<T> {
            rows.iter().map(value).collect()
        }
        diesel::sql_query(
            "INSERT INTO products (id, request_id, row_number, accepted, serial_number, name, input_urls, extra, image_ids)
             SELECT id, $1, row_number, accepted, serial_number, name, input_urls::text[], extra::text[], image_ids::uuid[]
               FROM unnest($2, $3, $4, $5, $6, $7, $8, $9)
                 AS new(id, row_number, accepted, serial_number, name, input_urls, extra, image_ids)",
        )
        .bind::<SqlUuid, _>(request_id)
        .bind::<Array<SqlUuid>, _>(column(rows, |row| row.id))
        .bind::<Array<Integer>, _>(column(rows, |row| row.row_number))
        .bind::<Array<Bool>, _>(column(rows, |row| row.accepted))
        .bind::<Array<Nullable<Text>>, _>(column(rows, |row| row.serial_number.as_deref()))
        .bind::<Array<Text>, _>(column(rows, |row| row.name.as_str()))
        .bind::<Array<Text>, _>(column(rows, |row| text_array(&row.input_urls)))
        .bind::<Array<Text>, _>(column(rows, |row| text_array(&row.extra)))
        .bind::<Array<Text>, _>(column(rows, |row| uuid_array(&row.image_ids)))
        .execute(conn)
        .await?;
        Ok(())
    }

    /// The accepted rows with these ids, in no particular order.
    pub async fn load(conn: &mut Connection, viewer: Viewer, ids: &[Uuid]) -> QueryResult<Vec<Self>> {
        let of_requests = products::table.inner_join(processing_requests::table);
        let rows = of_requests.filter(is_visible_to!(viewer));
        let rows = rows.filter(products::id.eq_any(ids).and(products::accepted));
        rows.select(Self::as_select()).load(conn).await
    }

    /// The next `limit` rows of a request behind `after_row`, rejected ones included, with what became of their images.
    pub async fn results(
        conn: &mut Connection,
        request_id: Uuid,
        after_row: i32,
        limit: i64,
    ) -> QueryResult<Vec<ProductResult>> {
        diesel::sql_query(
            "SELECT row_number, accepted, serial_number, name, input_urls, csv_urls, extra, image_ids,
                    output_keys, output_numbers
               FROM products
              CROSS JOIN LATERAL (
                SELECT coalesce(array_agg(output_key ORDER BY place), '{}') AS output_keys,
                       coalesce(array_agg(output_number ORDER BY place), '{}') AS output_numbers
                  FROM unnest(image_ids) WITH ORDINALITY AS placed (image_id, place)
                  LEFT JOIN images ON images.id = placed.image_id
              ) AS outputs
              WHERE request_id = $1 AND row_number > $2
              ORDER BY row_number
              LIMIT $3",
        )
        .bind::<SqlUuid, _>(request_id)
        .bind::<Integer, _>(after_row)
        .bind::<BigInt, _>(limit)
        .load(conn)
        .await
    }
}

/// An array as Postgres reads it from text: every element between quotes, where only quotes and backslashes are special.
fn text_array(elements: &[String]) -> String {
    let mut text = String::with_capacity(2 + elements.iter().map(|element| element.len() + 3).sum::<usize>());
    text.push('{');
    for (place, element) in elements.iter().enumerate() {
        text.push_str(if place == 0 { "\"" } else { ",\"" });
        for part in element.split_inclusive(['"', '\\']) {
            match part.strip_suffix(['"', '\\']) {
                Some(plain) => text.extend([plain, "\\", &part[plain.len()..]]),
                None => text.push_str(part),
            }
        }
        text.push('"');
    }
    text.push('}');
    text
}

fn uuid_array(elements: &[Option<Uuid>]) -> String {
    let elements: Vec<String> =
        elements.iter().map(|element| element.map_or_else(|| "NULL".to_owned(), |id| id.to_string())).collect();
    format!("{{{}}}", elements.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_written_as_postgres_reads_them() {
        let texts = ["", "a", r#"b"c\d"#, "{e,f}", " NULL ", r"\"].map(str::to_owned);
        assert_eq!(text_array(&texts), r#"{"","a","b\"c\\d","{e,f}"," NULL ","\\"}"#);
        assert_eq!((text_array(&[]), uuid_array(&[])), ("{}".to_owned(), "{}".to_owned()));
        assert_eq!(uuid_array(&[Some(Uuid::nil()), None]), format!("{{{},NULL}}", Uuid::nil()));
    }
}
