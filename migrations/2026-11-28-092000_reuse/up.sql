-- What was compressed before is not compressed again: images are found by what their outputs were made of, and by where that
-- came from. Each key is a hash that also covers the settings and the version of the encoders.
ALTER TABLE images ADD COLUMN content_key uuid;
ALTER TABLE images ADD COLUMN url_key uuid;
CREATE INDEX images_by_content ON images (content_key) WHERE content_key IS NOT NULL;
CREATE INDEX images_by_url ON images (url_key, finished_at) WHERE url_key IS NOT NULL;
-- Images that have the output of another one.
ALTER TABLE runs ADD COLUMN reused integer NOT NULL DEFAULT 0;
ALTER TABLE processing_requests ADD COLUMN reused integer NOT NULL DEFAULT 0;
