-- A request can be run again for what changed. Hosts are asked whether a source has changed, and one that has not keeps its
-- output.
ALTER TABLE runs DROP CONSTRAINT runs_reason_known;
ALTER TABLE runs ADD CONSTRAINT runs_reason_known CHECK (reason IN ('UPLOAD', 'RETRY', 'CORRECTION', 'RERUN'));
-- Whether everything is downloaded and compressed again, even what has not changed.
ALTER TABLE runs ADD COLUMN is_fresh boolean NOT NULL DEFAULT false;
-- Images that kept their outputs, and downloads that were not needed for it.
ALTER TABLE runs ADD COLUMN unchanged integer NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN avoided_downloads integer NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN avoided_bytes bigint NOT NULL DEFAULT 0;
-- How its images compare with what they were before it.
ALTER TABLE runs ADD COLUMN sources_changed integer NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN sources_unchanged integer NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN newly_broken integer NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN mended integer NOT NULL DEFAULT 0;
ALTER TABLE processing_requests ADD COLUMN unchanged integer NOT NULL DEFAULT 0;
ALTER TABLE processing_requests ADD COLUMN avoided_downloads integer NOT NULL DEFAULT 0;
ALTER TABLE processing_requests ADD COLUMN avoided_bytes bigint NOT NULL DEFAULT 0;

-- What the host said of the source, by which it can be asked whether it has changed; see `fetch::Validators`.
ALTER TABLE images ADD COLUMN validators jsonb;
ALTER TABLE images ADD COLUMN download_avoided boolean NOT NULL DEFAULT false;
-- Which of the image's outputs it has: an image that gets other bytes gets another address.
ALTER TABLE images ADD COLUMN output_number integer NOT NULL DEFAULT 1;
-- How the image stood before its run, and how it compares with that since it has ended.
ALTER TABLE images ADD COLUMN former_status text;
ALTER TABLE images ADD COLUMN former_sha256 bytea;
ALTER TABLE images ADD COLUMN change text;
ALTER TABLE images ADD CONSTRAINT images_change_known CHECK (change IN ('CHANGED', 'UNCHANGED', 'NEWLY_BROKEN', 'MENDED'));

-- The outputs that images had before a run. Their addresses go on working.
CREATE TABLE former_outputs (
    image_id uuid NOT NULL REFERENCES images ON DELETE CASCADE,
    number   integer NOT NULL,
    -- As `db::ending::Output` has it.
    output   jsonb NOT NULL,
    PRIMARY KEY (image_id, number)
);
