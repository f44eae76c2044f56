-- A request that is deleted is seen by nobody from that moment. Its rows go afterwards, in small batches.
ALTER TABLE processing_requests ADD COLUMN deleted_at timestamptz;
ALTER TABLE processing_requests ADD CONSTRAINT processing_requests_deleted_is_final
    CHECK (deleted_at IS NULL OR finished_at IS NOT NULL);
CREATE INDEX processing_requests_deleted ON processing_requests (deleted_at) WHERE deleted_at IS NOT NULL;
-- The requests that are kept for a limited time.
CREATE INDEX processing_requests_by_end ON processing_requests (finished_at)
    WHERE finished_at IS NOT NULL AND deleted_at IS NULL;
