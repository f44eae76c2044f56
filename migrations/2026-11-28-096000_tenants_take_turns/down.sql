DROP INDEX jobs_in_turn;
ALTER TABLE jobs DROP COLUMN tenant_id;
