//! The tables as diesel sees them; written by `diesel print-schema` from `migrations/`.

diesel::table! {
    api_keys (id) {
        id -> Text,
        tenant_id -> Uuid,
        name -> Text,
        scope -> Text,
        hash -> Bytea,
        created_at -> Timestamptz,
        expires_at -> Nullable<Timestamptz>,
        revoked_at -> Nullable<Timestamptz>,
        last_used_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    api_listeners (hostname, address) {
        hostname -> Text,
        address -> Text,
        seen_at -> Timestamptz,
    }
}

diesel::table! {
    csv_issues (request_id, position) {
        request_id -> Uuid,
        position -> Int4,
        severity -> Text,
        code -> Text,
        message -> Text,
        line -> Int4,
        row_number -> Nullable<Int4>,
        column_name -> Nullable<Text>,
        value -> Nullable<Text>,
    }
}

diesel::table! {
    host_workers (origin, worker_id) {
        origin -> Text,
        worker_id -> Uuid,
        window_size -> Int4,
        in_flight -> Int4,
        reported_at -> Timestamptz,
    }
}

diesel::table! {
    hosts (origin) {
        origin -> Text,
        paused_until -> Nullable<Timestamptz>,
        paused_status -> Nullable<Int4>,
        down_until -> Nullable<Timestamptz>,
        median_ms -> Nullable<Int4>,
        reported_at -> Timestamptz,
    }
}

diesel::table! {
    idempotency_keys (tenant_id, key) {
        key -> Text,
        request_id -> Uuid,
        input_hash -> Bytea,
        created_at -> Timestamptz,
        tenant_id -> Uuid,
    }
}

diesel::table! {
    images (id) {
        id -> Uuid,
        request_id -> Uuid,
        position -> Int4,
        input_url -> Text,
        status -> Text,
        outcome -> Nullable<Text>,
        error_code -> Nullable<Text>,
        error_message -> Nullable<Text>,
        http_status -> Nullable<Int4>,
        warnings -> Array<Text>,
        source_format -> Nullable<Text>,
        source_bytes -> Nullable<Int8>,
        source_width -> Nullable<Int4>,
        source_height -> Nullable<Int4>,
        source_sha256 -> Nullable<Bytea>,
        output_format -> Nullable<Text>,
        output_bytes -> Nullable<Int8>,
        output_width -> Nullable<Int4>,
        output_height -> Nullable<Int4>,
        output_sha256 -> Nullable<Bytea>,
        output_key -> Nullable<Text>,
        receipt -> Nullable<Jsonb>,
        attempt_count -> Int4,
        finished_at -> Nullable<Timestamptz>,
        revision -> Int8,
        run -> Int4,
        former_urls -> Array<Text>,
        output_number -> Int4,
        change -> Nullable<Text>,
    }
}

diesel::table! {
    job_states (id) {
        id -> Uuid,
        group_id -> Uuid,
        kind -> Text,
        attempts -> Int4,
        run_at -> Timestamptz,
        status -> Text,
        next_attempt_at -> Nullable<Timestamptz>,
        in_progress -> Bool,
        host -> Text,
        last_error -> Nullable<Text>,
    }
}

diesel::table! {
    jobs (id) {
        id -> Uuid,
        kind -> Text,
        group_id -> Uuid,
        state -> Text,
        rank -> Int8,
        run_at -> Timestamptz,
        lease -> Int8,
        worker_id -> Nullable<Uuid>,
        attempts -> Int4,
        crashes -> Int4,
        last_error -> Nullable<Text>,
        enqueued_at -> Timestamptz,
        host -> Text,
        first_claimed_at -> Nullable<Timestamptz>,
        company -> Nullable<Int4>,
        tenant_id -> Uuid,
    }
}

diesel::table! {
    paused_groups (group_id) {
        group_id -> Uuid,
        paused_at -> Timestamptz,
    }
}

diesel::table! {
    processing_requests (id) {
        id -> Uuid,
        filename -> Nullable<Text>,
        label -> Nullable<Text>,
        status -> Text,
        created_at -> Timestamptz,
        started_at -> Nullable<Timestamptz>,
        finished_at -> Nullable<Timestamptz>,
        cancel_requested_at -> Nullable<Timestamptz>,
        settings -> Jsonb,
        webhook_url -> Nullable<Text>,
        public_url -> Text,
        csv_byte_size -> Int8,
        csv_encoding -> Text,
        csv_delimiter -> Text,
        csv_row_count -> Int4,
        csv_accepted_row_count -> Int4,
        csv_rejected_row_count -> Int4,
        csv_issue_count -> Int4,
        csv_error_count -> Int4,
        csv_extra_columns -> Array<Text>,
        csv_source -> Jsonb,
        total -> Int4,
        succeeded -> Int4,
        failed -> Int4,
        canceled -> Int4,
        kept_original -> Int4,
        target_missed -> Int4,
        input_bytes -> Int8,
        output_bytes -> Int8,
        revision -> Int8,
        run -> Int4,
        paused_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    products (id) {
        id -> Uuid,
        request_id -> Uuid,
        row_number -> Int4,
        accepted -> Bool,
        serial_number -> Nullable<Text>,
        name -> Text,
        input_urls -> Array<Text>,
        extra -> Array<Text>,
        image_ids -> Array<Nullable<Uuid>>,
        csv_urls -> Nullable<Array<Text>>,
    }
}

diesel::table! {
    runs (request_id, number) {
        request_id -> Uuid,
        number -> Int4,
        reason -> Text,
        created_at -> Timestamptz,
        finished_at -> Nullable<Timestamptz>,
        status -> Nullable<Text>,
        total -> Int4,
        succeeded -> Int4,
        failed -> Int4,
        canceled -> Int4,
        kept_original -> Int4,
        target_missed -> Int4,
        input_bytes -> Int8,
        output_bytes -> Int8,
        is_fresh -> Bool,
        unchanged -> Int4,
        avoided_downloads -> Int4,
        avoided_bytes -> Int8,
        sources_changed -> Int4,
        sources_unchanged -> Int4,
        newly_broken -> Int4,
        mended -> Int4,
        reused -> Int4,
        based_on -> Nullable<Uuid>,
        added -> Int4,
        removed -> Int4,
    }
}

diesel::table! {
    secrets (name) {
        name -> Text,
        value -> Bytea,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    tenants (id) {
        id -> Uuid,
        name -> Text,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    webhook_attempts (delivery_id, number) {
        delivery_id -> Uuid,
        number -> Int4,
        started_at -> Timestamptz,
        duration_ms -> Int4,
        http_status -> Nullable<Int4>,
        error -> Nullable<Text>,
    }
}

diesel::table! {
    webhook_deliveries (id) {
        id -> Uuid,
        request_id -> Uuid,
        url -> Text,
        body -> Text,
        status -> Text,
        created_at -> Timestamptz,
        run -> Int4,
    }
}

diesel::table! {
    workers (id) {
        id -> Uuid,
        hostname -> Text,
        pid -> Int4,
        started_at -> Timestamptz,
        heartbeat_at -> Timestamptz,
        steady_since -> Timestamptz,
    }
}

diesel::joinable!(api_keys -> tenants (tenant_id));
diesel::joinable!(csv_issues -> processing_requests (request_id));
diesel::joinable!(idempotency_keys -> processing_requests (request_id));
diesel::joinable!(idempotency_keys -> tenants (tenant_id));
diesel::joinable!(images -> processing_requests (request_id));
diesel::joinable!(products -> processing_requests (request_id));
diesel::joinable!(runs -> processing_requests (request_id));
diesel::joinable!(webhook_attempts -> webhook_deliveries (delivery_id));
diesel::joinable!(webhook_deliveries -> processing_requests (request_id));

diesel::allow_tables_to_appear_in_same_query!(
    api_keys,
    api_listeners,
    csv_issues,
    host_workers,
    hosts,
    idempotency_keys,
    images,
    job_states,
    jobs,
    paused_groups,
    processing_requests,
    products,
    runs,
    secrets,
    tenants,
    webhook_attempts,
    webhook_deliveries,
    workers,
);
