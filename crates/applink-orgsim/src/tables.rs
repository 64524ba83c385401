//! The org's tables behind the scenes: sign-in, sessions, deployments and invocations. Their names start
//! with an underscore, so that no sObject can ever be meant. Secrets are kept as fingerprints only.

/// Makes the tables that are missing; [`crate::db::Database::open`] runs it.
pub(crate) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS _password (user_id TEXT PRIMARY KEY NOT NULL, hash TEXT NOT NULL);

    CREATE TABLE IF NOT EXISTS _oauth_client (
        consumer_key TEXT PRIMARY KEY NOT NULL,
        name TEXT NOT NULL UNIQUE,
        definition TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS _authorization_request (
        handle BLOB PRIMARY KEY NOT NULL,
        request TEXT NOT NULL,
        confirmation BLOB,
        expires_micros INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS _authorization_code (
        code BLOB PRIMARY KEY NOT NULL,
        request TEXT NOT NULL,
        user_id TEXT NOT NULL,
        grant_id TEXT,
        expires_micros INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS _approval (
        consumer_key TEXT NOT NULL,
        user_id TEXT NOT NULL,
        scopes TEXT NOT NULL,
        PRIMARY KEY (consumer_key, user_id)
    );
    CREATE TABLE IF NOT EXISTS _grant (
        id TEXT PRIMARY KEY NOT NULL,
        refresh_token BLOB UNIQUE,
        consumer_key TEXT NOT NULL,
        user_id TEXT NOT NULL,
        scopes TEXT NOT NULL,
        created_micros INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS _spent_refresh_token (token BLOB PRIMARY KEY NOT NULL, grant_id TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS _session (
        id TEXT PRIMARY KEY NOT NULL,
        token BLOB NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        user_id TEXT NOT NULL,
        consumer_key TEXT,
        scopes TEXT NOT NULL,
        grant_id TEXT,
        timeout_seconds INTEGER NOT NULL,
        created_micros INTEGER NOT NULL,
        expires_micros INTEGER NOT NULL
    );
    CREATE INDEX IF NOT EXISTS _session_grant ON _session (grant_id);
    CREATE TABLE IF NOT EXISTS _frontdoor (
        one_time BLOB PRIMARY KEY NOT NULL,
        user_id TEXT NOT NULL,
        expires_micros INTEGER NOT NULL
    );

    CREATE TABLE IF NOT EXISTS _login (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        micros INTEGER NOT NULL,
        username TEXT NOT NULL,
        kind TEXT NOT NULL,
        consumer_key TEXT,
        status TEXT NOT NULL
    );

    CREATE TABLE IF NOT EXISTS _component (
        type TEXT NOT NULL,
        full_name TEXT NOT NULL,
        id TEXT NOT NULL UNIQUE,
        definition TEXT NOT NULL,
        created_micros INTEGER NOT NULL,
        modified_micros INTEGER NOT NULL,
        PRIMARY KEY (type, full_name)
    );
    CREATE TABLE IF NOT EXISTS _deployment (
        id TEXT PRIMARY KEY NOT NULL,
        status TEXT NOT NULL,
        options TEXT NOT NULL,
        package BLOB,
        created_by TEXT NOT NULL,
        created_micros INTEGER NOT NULL,
        started_micros INTEGER,
        completed_micros INTEGER,
        outcome TEXT
    );

    CREATE TABLE IF NOT EXISTS _invocation (
        id TEXT PRIMARY KEY NOT NULL,
        request_id TEXT NOT NULL,
        service TEXT NOT NULL,
        operation TEXT NOT NULL,
        user_id TEXT NOT NULL,
        mode TEXT NOT NULL,
        session_id TEXT NOT NULL,
        state TEXT NOT NULL,
        created_micros INTEGER NOT NULL,
        ended_micros INTEGER,
        answer_status INTEGER,
        expires_micros INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS _elevation (
        session_id TEXT NOT NULL,
        permission_set_id TEXT NOT NULL,
        invocation_id TEXT NOT NULL,
        expires_micros INTEGER NOT NULL,
        PRIMARY KEY (session_id, permission_set_id)
    );
    CREATE TABLE IF NOT EXISTS _callback_url (
        handle BLOB PRIMARY KEY NOT NULL,
        invocation_id TEXT NOT NULL,
        callback TEXT NOT NULL,
        schema TEXT NOT NULL
    );
    CREATE INDEX IF NOT EXISTS _callback_url_invocation ON _callback_url (invocation_id);
    CREATE TABLE IF NOT EXISTS _callback (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        invocation_id TEXT NOT NULL,
        callback TEXT NOT NULL,
        user_id TEXT NOT NULL,
        session_ok INTEGER NOT NULL,
        received_micros INTEGER NOT NULL,
        body TEXT NOT NULL,
        finding TEXT
    );
    CREATE INDEX IF NOT EXISTS _callback_invocation ON _callback (invocation_id);";
