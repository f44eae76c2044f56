-- What `halftone run` did last for a file, so that it goes on with that.
CREATE TABLE remembered_files (
    path       text PRIMARY KEY,
    -- Of the file's bytes and of what was to be done with it.
    hash       bytea NOT NULL,
    request_id uuid NOT NULL REFERENCES processing_requests ON DELETE CASCADE
);
CREATE INDEX remembered_files_by_request ON remembered_files (request_id);
