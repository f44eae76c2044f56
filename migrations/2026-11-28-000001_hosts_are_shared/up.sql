-- What the workers on one database tell each other about image hosts, about once a second, so that together they keep to
-- a host's limit and to its pauses.

CREATE TABLE hosts (
    -- Scheme, name and port.
    origin        text PRIMARY KEY,
    paused_until  timestamptz,
    -- The status with which the host asked for the pause.
    paused_status integer,
    down_until    timestamptz,
    -- The median time of the last downloads, at the worker that reported last.
    median_ms     integer,
    reported_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX hosts_by_age ON hosts (reported_at);

-- What one worker has under way at a host.
CREATE TABLE host_workers (
    origin      text NOT NULL,
    worker_id   uuid NOT NULL,
    window_size integer NOT NULL,
    in_flight   integer NOT NULL,
    reported_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (origin, worker_id)
);

-- Where the APIs on this database listen: no worker fetches images from them.
CREATE TABLE api_listeners (
    hostname text NOT NULL,
    address  text NOT NULL,
    seen_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (hostname, address)
);
