-- Why a job waits, for those who look at what it works on: what its last holder said, and the host it will contact.
CREATE OR REPLACE VIEW job_states AS
SELECT id, group_id, kind, attempts, run_at,
       CASE WHEN state = 'RUNNING' THEN 'PROCESSING'
            WHEN state = 'WAITING' OR attempts > 0 THEN 'RETRYING'
            ELSE 'PENDING' END AS status,
       CASE WHEN state = 'WAITING' THEN run_at END AS next_attempt_at,
       -- Written like the condition of the index jobs_in_progress, so that it is used.
       (state <> 'READY' OR attempts > 0) AS in_progress,
       host, last_error
  FROM jobs;
