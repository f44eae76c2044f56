-- An upload can be compared with an earlier request, URL by URL.
ALTER TABLE runs ADD COLUMN based_on uuid;
ALTER TABLE runs ADD COLUMN added integer NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN removed integer NOT NULL DEFAULT 0;
ALTER TABLE images DROP CONSTRAINT images_change_known;
ALTER TABLE images ADD CONSTRAINT images_change_known
    CHECK (change IN ('ADDED', 'CHANGED', 'UNCHANGED', 'NEWLY_BROKEN', 'MENDED'));
