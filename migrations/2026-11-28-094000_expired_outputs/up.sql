-- Outputs can be kept for a limited time after the end of their request. An image without its output is still a success.
ALTER TABLE images ADD COLUMN expired_outputs integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN images.expired_outputs IS 'The outputs up to this number have expired: none of them comes back.';
ALTER TABLE images DROP CONSTRAINT images_succeeded_has_output;
ALTER TABLE images ADD CONSTRAINT images_succeeded_has_output
    CHECK (CASE WHEN status = 'SUCCEEDED' THEN output_key IS NOT NULL OR output_number <= expired_outputs
                ELSE output_key IS NULL END);
-- When the last of a request's outputs expired.
ALTER TABLE processing_requests ADD COLUMN outputs_expired_at timestamptz;
CREATE INDEX processing_requests_with_outputs ON processing_requests (finished_at)
    WHERE finished_at IS NOT NULL AND deleted_at IS NULL
      AND (outputs_expired_at IS NULL OR outputs_expired_at < finished_at);

-- Objects that no row names any more and that are still to be removed from the store.
CREATE TABLE expired_objects (
    key text PRIMARY KEY
);

-- The log of attempts is kept for a limited time.
CREATE INDEX webhook_attempts_by_time ON webhook_attempts (started_at);
