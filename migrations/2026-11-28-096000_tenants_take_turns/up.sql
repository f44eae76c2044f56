-- Tenants take turns, and the requests of each within its turn. Jobs that a process of the version before adds count as
-- those of the default tenant.
ALTER TABLE jobs ADD COLUMN tenant_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000';
UPDATE jobs SET tenant_id = processing_requests.tenant_id
  FROM images JOIN processing_requests ON processing_requests.id = images.request_id
 WHERE images.id = jobs.id AND processing_requests.tenant_id <> jobs.tenant_id;

-- Finds the tenants that have ready jobs, and the groups of each. Equal entries stay apart: those of jobs that were claimed
-- are then skipped one by one without a look at the table.
CREATE INDEX jobs_in_turn ON jobs (kind, tenant_id, group_id) WITH (deduplicate_items = off) WHERE state = 'READY';
