ALTER TABLE processing_requests DROP COLUMN reused;
ALTER TABLE runs DROP COLUMN reused;
DROP INDEX images_by_url;
DROP INDEX images_by_content;
ALTER TABLE images DROP COLUMN url_key;
ALTER TABLE images DROP COLUMN content_key;
