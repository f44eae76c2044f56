-- What belonged to tenants is everybody's again.
DELETE FROM idempotency_keys WHERE tenant_id <> '00000000-0000-0000-0000-000000000000';
ALTER TABLE idempotency_keys DROP COLUMN tenant_id;
ALTER TABLE idempotency_keys ADD PRIMARY KEY (key);
ALTER TABLE processing_requests DROP COLUMN tenant_id;
DROP TABLE api_keys;
DROP TABLE tenants;
