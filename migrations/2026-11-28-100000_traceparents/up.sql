-- The trace that the upload was part of, as a W3C traceparent header, to be passed on by what is done for it later.
ALTER TABLE processing_requests ADD COLUMN traceparent text;
