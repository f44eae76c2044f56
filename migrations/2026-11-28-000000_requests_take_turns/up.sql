-- Requests take turns, and so do the hosts within each: a claim visits the groups that have ready jobs one after the other,
-- and within a group leaves out the hosts that take nothing at the moment.

DROP INDEX jobs_ready;
DROP INDEX jobs_suspects;

-- The host (scheme, name and port) that the job will contact.
ALTER TABLE jobs ADD COLUMN host text NOT NULL DEFAULT '';
-- When the job was first claimed: how long it has been tried does not depend on how long it was queued.
ALTER TABLE jobs ADD COLUMN first_claimed_at timestamptz;
UPDATE jobs SET host = coalesce(lower(substring(images.input_url FROM '^([a-zA-Z]+://[^/?#]+)')), '')
  FROM images WHERE images.id = jobs.id;

-- The order among jobs of one group and host: the position at first, and a time, which is behind every position, once
-- the job was put back.
ALTER TABLE jobs ALTER COLUMN rank DROP DEFAULT;
ALTER TABLE jobs ALTER COLUMN rank TYPE bigint USING (extract(epoch FROM rank) * 1000)::bigint;
ALTER TABLE jobs ALTER COLUMN rank SET DEFAULT 0;

CREATE INDEX jobs_ready ON jobs (kind, group_id, host, rank) WHERE state = 'READY';

-- Since when the worker's heartbeats have come without a gap. Only a worker that has seen the database answer for a while
-- may say that another one is dead.
ALTER TABLE workers ADD COLUMN steady_since timestamptz NOT NULL DEFAULT now();

-- What the queue tells others about a job.
CREATE VIEW job_states AS
SELECT id, group_id, kind, attempts, run_at,
       CASE WHEN state = 'RUNNING' THEN 'PROCESSING'
            WHEN state = 'WAITING' OR attempts > 0 THEN 'RETRYING'
            ELSE 'PENDING' END AS status,
       CASE WHEN state = 'WAITING' THEN run_at END AS next_attempt_at,
       -- Written like the condition of the index jobs_in_progress, so that it is used.
       (state <> 'READY' OR attempts > 0) AS in_progress
  FROM jobs;

-- The deliveries that must have a job.
CREATE INDEX webhook_deliveries_open ON webhook_deliveries (id) WHERE status IN ('PENDING', 'RETRYING');
