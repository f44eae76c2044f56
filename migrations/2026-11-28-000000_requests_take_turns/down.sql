DROP INDEX webhook_deliveries_open;
DROP VIEW job_states;
ALTER TABLE workers DROP COLUMN steady_since;
DROP INDEX jobs_ready;
ALTER TABLE jobs ALTER COLUMN rank DROP DEFAULT;
-- Positions become times before those of every job that was put back.
ALTER TABLE jobs ALTER COLUMN rank TYPE timestamptz USING to_timestamp(rank / 1000.0);
ALTER TABLE jobs ALTER COLUMN rank SET DEFAULT now();
ALTER TABLE jobs DROP COLUMN first_claimed_at, DROP COLUMN host;
CREATE INDEX jobs_ready ON jobs (kind, rank) WHERE state = 'READY';
CREATE INDEX jobs_suspects ON jobs (kind, rank) WHERE state = 'READY' AND crashes >= 2;
