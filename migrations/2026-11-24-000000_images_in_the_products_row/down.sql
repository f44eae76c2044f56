CREATE TABLE product_images (
    product_id uuid NOT NULL REFERENCES products ON DELETE CASCADE,
    position   integer NOT NULL,
    image_id   uuid NOT NULL REFERENCES images ON DELETE CASCADE,
    PRIMARY KEY (product_id, position)
);
INSERT INTO product_images (product_id, position, image_id)
SELECT products.id, place - 1, placed.image_id
  FROM products CROSS JOIN unnest(image_ids) WITH ORDINALITY AS placed (image_id, place)
 WHERE placed.image_id IS NOT NULL;
CREATE INDEX product_images_by_image ON product_images (image_id);
DROP INDEX products_by_image;
ALTER TABLE products DROP COLUMN image_ids;
