-- A request has runs. The upload is the first; what is done again for some of the images is the next. The request's own
-- counters say how all of its images stand, those of a run how the images stand that it is about. Both move in the
-- transaction that ends the images.
CREATE TABLE runs (
    request_id    uuid NOT NULL REFERENCES processing_requests ON DELETE CASCADE,
    number        integer NOT NULL,
    reason        text NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    finished_at   timestamptz,
    -- How the request stood when the run ended.
    status        text,
    total         integer NOT NULL,
    succeeded     integer NOT NULL DEFAULT 0,
    failed        integer NOT NULL DEFAULT 0,
    canceled      integer NOT NULL DEFAULT 0,
    kept_original integer NOT NULL DEFAULT 0,
    target_missed integer NOT NULL DEFAULT 0,
    input_bytes   bigint NOT NULL DEFAULT 0,
    output_bytes  bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (request_id, number),
    CONSTRAINT runs_reason_known CHECK (reason IN ('UPLOAD', 'RETRY', 'CORRECTION')),
    CONSTRAINT runs_upload_is_the_first CHECK (number >= 1 AND (number = 1) = (reason = 'UPLOAD')),
    CONSTRAINT runs_status_known CHECK (status IN ('COMPLETED', 'COMPLETED_WITH_ERRORS', 'FAILED', 'CANCELED')),
    CONSTRAINT runs_finished_has_status CHECK ((finished_at IS NULL) = (status IS NULL)),
    CONSTRAINT runs_counts_add_up
        CHECK (total > 0 AND succeeded >= 0 AND failed >= 0 AND canceled >= 0 AND succeeded + failed + canceled <= total),
    CONSTRAINT runs_finished_is_complete CHECK (finished_at IS NULL OR succeeded + failed + canceled = total)
);
CREATE UNIQUE INDEX runs_one_at_a_time ON runs (request_id) WHERE finished_at IS NULL;
INSERT INTO runs (request_id, number, reason, created_at, finished_at, status, total, succeeded, failed, canceled,
                  kept_original, target_missed, input_bytes, output_bytes)
SELECT id, 1, 'UPLOAD', created_at, finished_at, CASE WHEN finished_at IS NOT NULL THEN status END, total, succeeded, failed,
       canceled, kept_original, target_missed, input_bytes, output_bytes
  FROM processing_requests;

-- The run that is under way, or ended last.
ALTER TABLE processing_requests ADD COLUMN run integer NOT NULL DEFAULT 1;
-- Since when nothing of the request is begun, because a caller asked for it.
ALTER TABLE processing_requests ADD COLUMN paused_at timestamptz;
ALTER TABLE processing_requests ADD CONSTRAINT processing_requests_final_is_not_paused
    CHECK (finished_at IS NULL OR paused_at IS NULL);
-- The run in which the image ended or will end.
ALTER TABLE images ADD COLUMN run integer NOT NULL DEFAULT 1;

-- Each run that ends is announced once.
ALTER TABLE webhook_deliveries ADD COLUMN run integer NOT NULL DEFAULT 1;
ALTER TABLE webhook_deliveries ALTER COLUMN run DROP DEFAULT;
ALTER TABLE webhook_deliveries DROP CONSTRAINT webhook_deliveries_once;
ALTER TABLE webhook_deliveries ADD CONSTRAINT webhook_deliveries_once UNIQUE (request_id, run);
ALTER TABLE webhook_deliveries ADD CONSTRAINT webhook_deliveries_of_a_run
    FOREIGN KEY (request_id, run) REFERENCES runs ON DELETE CASCADE;

-- Groups of which no job is claimed for the time being.
CREATE TABLE paused_groups (
    group_id  uuid PRIMARY KEY,
    paused_at timestamptz NOT NULL DEFAULT now()
);
