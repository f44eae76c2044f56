-- Callers show a key, which belongs to a tenant. What belongs to one tenant does not exist for the others.

CREATE TABLE tenants (
    id         uuid PRIMARY KEY,
    name       text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT tenants_name_once UNIQUE (name)
);
-- The tenant of those who call without a key, where none is needed.
INSERT INTO tenants (id, name) VALUES ('00000000-0000-0000-0000-000000000000', 'default');

CREATE TABLE api_keys (
    -- The part of the key that is not secret.
    id           text PRIMARY KEY,
    tenant_id    uuid NOT NULL REFERENCES tenants,
    name         text NOT NULL,
    scope        text NOT NULL,
    -- The SHA-256 of the key. The key itself is kept nowhere.
    hash         bytea NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    revoked_at   timestamptz,
    -- Written at most once a minute.
    last_used_at timestamptz,
    CONSTRAINT api_keys_scope_known CHECK (scope IN ('READ', 'WRITE', 'ADMIN'))
);

ALTER TABLE processing_requests ADD COLUMN tenant_id uuid NOT NULL
    DEFAULT '00000000-0000-0000-0000-000000000000' REFERENCES tenants;
CREATE INDEX processing_requests_by_tenant ON processing_requests (tenant_id, id) WHERE deleted_at IS NULL;

ALTER TABLE idempotency_keys ADD COLUMN tenant_id uuid NOT NULL
    DEFAULT '00000000-0000-0000-0000-000000000000' REFERENCES tenants;
ALTER TABLE idempotency_keys DROP CONSTRAINT idempotency_keys_pkey;
ALTER TABLE idempotency_keys ADD PRIMARY KEY (tenant_id, key);
