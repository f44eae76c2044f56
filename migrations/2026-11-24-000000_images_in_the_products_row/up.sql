-- A row's images stand in the row. A table of places cost four in ten parts of storing an upload, most of it for checking
-- two foreign keys of rows that the same transaction had just written.

-- The image of each of `input_urls`; NULL where the URL, or the row, was refused.
ALTER TABLE products ADD COLUMN image_ids uuid[];
UPDATE products SET image_ids = ARRAY(
    SELECT placed.image_id
      FROM generate_subscripts(input_urls, 1) AS place
      LEFT JOIN product_images placed ON placed.product_id = products.id AND placed.position = place - 1
     ORDER BY place
);
ALTER TABLE products
    ALTER COLUMN image_ids SET NOT NULL,
    ADD CONSTRAINT products_image_of_each_url CHECK (cardinality(image_ids) = cardinality(input_urls));
-- The rows an image stands in. Entries go in at once: a list of pending ones would have to be searched by every reader.
CREATE INDEX products_by_image ON products USING gin (image_ids) WITH (fastupdate = off);

DROP TABLE product_images;
