-- Requests whose objects are to be removed from the store at a time, because no row names them: an upload is noted here
-- before its file is stored, and the transaction that stores its request deletes the note.
CREATE TABLE store_removals (
    request_id uuid PRIMARY KEY,
    due_at     timestamptz NOT NULL,
    -- Whether the removal has begun: too late to store the request.
    is_begun   boolean NOT NULL DEFAULT false
);
CREATE INDEX store_removals_by_time ON store_removals (due_at);
