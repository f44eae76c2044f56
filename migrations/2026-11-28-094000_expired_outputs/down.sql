DROP INDEX webhook_attempts_by_time;
DROP TABLE expired_objects;
DROP INDEX processing_requests_with_outputs;
ALTER TABLE processing_requests DROP COLUMN outputs_expired_at;
-- An earlier version knows of no success without an output: such an image counts as one whose output is missing.
UPDATE images SET output_key = 'expired/' || id WHERE status = 'SUCCEEDED' AND output_key IS NULL;
ALTER TABLE images DROP CONSTRAINT images_succeeded_has_output;
ALTER TABLE images ADD CONSTRAINT images_succeeded_has_output
    CHECK ((status = 'SUCCEEDED') = (output_key IS NOT NULL));
ALTER TABLE images DROP COLUMN expired_outputs;
