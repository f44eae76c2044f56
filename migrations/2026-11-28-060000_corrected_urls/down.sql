ALTER TABLE products DROP COLUMN csv_urls;
ALTER TABLE images DROP COLUMN former_urls;
