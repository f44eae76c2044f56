ALTER TABLE processing_requests DROP COLUMN csv_source;
