UPDATE images SET change = NULL WHERE change = 'ADDED';
ALTER TABLE images DROP CONSTRAINT images_change_known;
ALTER TABLE images ADD CONSTRAINT images_change_known CHECK (change IN ('CHANGED', 'UNCHANGED', 'NEWLY_BROKEN', 'MENDED'));
ALTER TABLE runs DROP COLUMN removed;
ALTER TABLE runs DROP COLUMN added;
ALTER TABLE runs DROP COLUMN based_on;
