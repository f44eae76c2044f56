ALTER TABLE processing_requests DROP COLUMN traceparent;
