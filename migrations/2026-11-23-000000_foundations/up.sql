-- Requests, their rows and images, the job queue, webhooks. Every invariant is a named constraint.

-- ── requests ────────────────────────────────────────────────────────────────────────────────────────────────────────

-- One uploaded CSV. The counters move in the same transaction as the images they count, and `revision` grows with them.
CREATE TABLE processing_requests (
    id                     uuid PRIMARY KEY,
    filename               text,
    label                  text,
    status                 text NOT NULL DEFAULT 'PENDING',
    created_at             timestamptz NOT NULL DEFAULT now(),
    started_at             timestamptz,
    finished_at            timestamptz,
    cancel_requested_at    timestamptz,
    settings               jsonb NOT NULL,
    webhook_url            text,
    -- Where the API that took it in is reached: the links in its webhook begin with it, whoever sends that.
    public_url             text NOT NULL,

    csv_byte_size          bigint NOT NULL,
    csv_encoding           text NOT NULL,
    csv_delimiter          text NOT NULL,
    csv_row_count          integer NOT NULL,
    csv_accepted_row_count integer NOT NULL,
    csv_rejected_row_count integer NOT NULL,
    csv_issue_count        integer NOT NULL,
    csv_error_count        integer NOT NULL,
    csv_extra_columns      text[] NOT NULL,

    total                  integer NOT NULL,
    succeeded              integer NOT NULL DEFAULT 0,
    failed                 integer NOT NULL DEFAULT 0,
    canceled               integer NOT NULL DEFAULT 0,
    kept_original          integer NOT NULL DEFAULT 0,
    target_missed          integer NOT NULL DEFAULT 0,
    input_bytes            bigint NOT NULL DEFAULT 0,
    output_bytes           bigint NOT NULL DEFAULT 0,
    revision               bigint NOT NULL DEFAULT 0,

    CONSTRAINT processing_requests_status_known
        CHECK (status IN ('PENDING', 'PROCESSING', 'COMPLETED', 'COMPLETED_WITH_ERRORS', 'FAILED', 'CANCELED')),
    CONSTRAINT processing_requests_final_has_finished_at
        CHECK ((status IN ('PENDING', 'PROCESSING')) = (finished_at IS NULL)),
    CONSTRAINT processing_requests_counts_add_up
        CHECK (total > 0 AND succeeded >= 0 AND failed >= 0 AND canceled >= 0 AND succeeded + failed + canceled <= total),
    CONSTRAINT processing_requests_final_is_complete
        CHECK (finished_at IS NULL OR succeeded + failed + canceled = total)
);

-- What was found while the CSV was read, in the order of the file.
CREATE TABLE csv_issues (
    request_id  uuid NOT NULL REFERENCES processing_requests ON DELETE CASCADE,
    position    integer NOT NULL,
    severity    text NOT NULL,
    code        text NOT NULL,
    message     text NOT NULL,
    line        integer NOT NULL,
    row_number  integer,
    column_name text,
    value       text,
    PRIMARY KEY (request_id, position),
    CONSTRAINT csv_issues_severity_known CHECK (severity IN ('ERROR', 'WARNING'))
);

-- A key a caller chose so that sending an upload twice makes one request.
CREATE TABLE idempotency_keys (
    key        text PRIMARY KEY,
    request_id uuid NOT NULL REFERENCES processing_requests ON DELETE CASCADE,
    input_hash bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

-- ── products and images ─────────────────────────────────────────────────────────────────────────────────────────────

-- One row of the CSV, the rejected ones included: the output CSV has a place for each.
CREATE TABLE products (
    id            uuid PRIMARY KEY,
    request_id    uuid NOT NULL REFERENCES processing_requests ON DELETE CASCADE,
    row_number    integer NOT NULL,
    accepted      boolean NOT NULL,
    serial_number text,
    name          text NOT NULL,
    input_urls    text[] NOT NULL,
    extra         text[] NOT NULL,
    CONSTRAINT products_row_once UNIQUE (request_id, row_number)
);

-- One distinct image URL of a request. `status` is PENDING until the image ends; that it is being processed or waits
-- for another attempt is the state of its job, which carries the same id.
CREATE TABLE images (
    id             uuid PRIMARY KEY,
    request_id     uuid NOT NULL REFERENCES processing_requests ON DELETE CASCADE,
    position       integer NOT NULL,
    input_url      text NOT NULL,
    status         text NOT NULL DEFAULT 'PENDING',
    outcome        text,
    error_code     text,
    error_message  text,
    http_status    integer,
    warnings       text[] NOT NULL DEFAULT '{}',
    source_format  text,
    source_bytes   bigint,
    source_width   integer,
    source_height  integer,
    source_sha256  bytea,
    output_format  text,
    output_bytes   bigint,
    output_width   integer,
    output_height  integer,
    output_sha256  bytea,
    output_key     text,
    receipt        jsonb,
    attempt_count  integer NOT NULL DEFAULT 0,
    finished_at    timestamptz,
    revision       bigint NOT NULL DEFAULT 0,
    CONSTRAINT images_position_once UNIQUE (request_id, position),
    CONSTRAINT images_status_known CHECK (status IN ('PENDING', 'SUCCEEDED', 'FAILED', 'CANCELED')),
    CONSTRAINT images_final_has_finished_at CHECK ((status = 'PENDING') = (finished_at IS NULL)),
    CONSTRAINT images_succeeded_has_output CHECK ((status = 'SUCCEEDED') = (output_key IS NOT NULL)),
    CONSTRAINT images_failed_has_error CHECK ((status = 'FAILED') = (error_code IS NOT NULL))
);
CREATE INDEX images_failed ON images (request_id, position) WHERE status = 'FAILED';
-- The change log of a request: its ended images in the order they ended.
CREATE UNIQUE INDEX images_change_log ON images (request_id, revision) WHERE revision > 0;

-- Which image stands at which place of a row's URLs.
CREATE TABLE product_images (
    product_id uuid NOT NULL REFERENCES products ON DELETE CASCADE,
    position   integer NOT NULL,
    image_id   uuid NOT NULL REFERENCES images ON DELETE CASCADE,
    PRIMARY KEY (product_id, position)
);
CREATE INDEX product_images_by_image ON product_images (image_id);

-- ── the queue ───────────────────────────────────────────────────────────────────────────────────────────────────────

-- One row a process that runs jobs; its heartbeat says that it lives.
CREATE TABLE workers (
    id           uuid PRIMARY KEY,
    hostname     text NOT NULL,
    pid          integer NOT NULL,
    started_at   timestamptz NOT NULL DEFAULT now(),
    heartbeat_at timestamptz NOT NULL DEFAULT now()
);

-- Leases come from one sequence, so that a lease is never seen twice, not even after a job was deleted and made again.
CREATE SEQUENCE job_leases;

-- Work to be done. A job is named by the thing it works on: its id is that row's id. A finished job is deleted.
CREATE TABLE jobs (
    id          uuid PRIMARY KEY,
    kind        text NOT NULL,
    group_id    uuid NOT NULL,
    state       text NOT NULL DEFAULT 'READY',
    rank        timestamptz NOT NULL DEFAULT now(),
    run_at      timestamptz NOT NULL DEFAULT now(),
    lease       bigint NOT NULL DEFAULT 0,
    worker_id   uuid,
    attempts    integer NOT NULL DEFAULT 0,
    crashes     integer NOT NULL DEFAULT 0,
    last_error  text,
    enqueued_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT jobs_state_known CHECK (state IN ('READY', 'WAITING', 'RUNNING')),
    CONSTRAINT jobs_running_has_worker CHECK ((state = 'RUNNING') = (worker_id IS NOT NULL))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX jobs_ready ON jobs (kind, rank) WHERE state = 'READY';
CREATE INDEX jobs_suspects ON jobs (kind, rank) WHERE state = 'READY' AND crashes >= 2;
CREATE INDEX jobs_waiting ON jobs (run_at) WHERE state = 'WAITING';
CREATE INDEX jobs_running ON jobs (worker_id) WHERE state = 'RUNNING';
CREATE INDEX jobs_by_group ON jobs (group_id);
-- The few jobs of a request that a client sees as being processed or retried.
CREATE INDEX jobs_in_progress ON jobs (group_id) WHERE state <> 'READY' OR attempts > 0;

-- ── webhooks ────────────────────────────────────────────────────────────────────────────────────────────────────────

-- Made in the transaction that ends the request; its id is the `webhook-id` header of every attempt.
CREATE TABLE webhook_deliveries (
    id         uuid PRIMARY KEY,
    request_id uuid NOT NULL REFERENCES processing_requests ON DELETE CASCADE,
    url        text NOT NULL,
    body       text NOT NULL,
    status     text NOT NULL DEFAULT 'PENDING',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT webhook_deliveries_once UNIQUE (request_id),
    CONSTRAINT webhook_deliveries_status_known CHECK (status IN ('PENDING', 'DELIVERED', 'RETRYING', 'EXHAUSTED', 'REFUSED'))
);

CREATE TABLE webhook_attempts (
    delivery_id uuid NOT NULL REFERENCES webhook_deliveries ON DELETE CASCADE,
    number      integer NOT NULL,
    started_at  timestamptz NOT NULL,
    duration_ms integer NOT NULL,
    http_status integer,
    error       text,
    PRIMARY KEY (delivery_id, number)
);

-- ── secrets ─────────────────────────────────────────────────────────────────────────────────────────────────────────

-- Keys every process must share: what signs download links, what signs webhooks.
CREATE TABLE secrets (
    name       text PRIMARY KEY,
    value      bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
