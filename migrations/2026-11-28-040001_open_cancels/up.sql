-- The cancels under way, among which those are that a process left unfinished when it died.
CREATE INDEX processing_requests_open_cancels ON processing_requests (id)
 WHERE cancel_requested_at IS NOT NULL AND finished_at IS NULL;
