-- An older version would show them again.
DELETE FROM processing_requests WHERE deleted_at IS NOT NULL;
DROP INDEX processing_requests_by_end;
ALTER TABLE processing_requests DROP COLUMN deleted_at;
