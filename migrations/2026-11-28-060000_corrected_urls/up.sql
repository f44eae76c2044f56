-- URLs can be corrected. What they were stays on record: of an image the ones before, of a row all of them as the CSV has
-- them, by which the row is found again in the file.
ALTER TABLE images ADD COLUMN former_urls text[] NOT NULL DEFAULT '{}';
ALTER TABLE products ADD COLUMN csv_urls text[];
ALTER TABLE products ADD CONSTRAINT products_csv_url_of_each_url CHECK (cardinality(csv_urls) = cardinality(input_urls));
