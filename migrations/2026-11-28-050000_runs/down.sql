DROP TABLE paused_groups;
-- Only one delivery of each request has a place in the older table: that of the last run.
DELETE FROM webhook_deliveries older USING webhook_deliveries newer
 WHERE older.request_id = newer.request_id AND older.run < newer.run;
ALTER TABLE webhook_deliveries DROP CONSTRAINT webhook_deliveries_of_a_run;
ALTER TABLE webhook_deliveries DROP CONSTRAINT webhook_deliveries_once;
ALTER TABLE webhook_deliveries ADD CONSTRAINT webhook_deliveries_once UNIQUE (request_id);
ALTER TABLE webhook_deliveries DROP COLUMN run;
ALTER TABLE images DROP COLUMN run;
ALTER TABLE processing_requests DROP COLUMN paused_at;
ALTER TABLE processing_requests DROP COLUMN run;
DROP TABLE runs;
