-- The uploaded file is kept, so that it can be given back with its URLs replaced: where it is, what the caller said of it,
-- and what its columns were taken for. Requests from before have no such file.
ALTER TABLE processing_requests ADD COLUMN csv_source jsonb NOT NULL DEFAULT '{}';
