-- Times are milliseconds since 1970 in UTC. `connections.generation` counts the tokens of one connection;
-- `fence` counts the attempts to refresh it; both only grow.
CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value ANY NOT NULL
) STRICT;
CREATE TABLE apps (
    name TEXT PRIMARY KEY,
    client_id TEXT NOT NULL,
    data_key BLOB NOT NULL,
    secret BLOB NOT NULL,
    secret_version INTEGER NOT NULL,
    other_secret BLOB,
    other_secret_version INTEGER,
    created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE connections (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    portal INTEGER NOT NULL,
    kind TEXT NOT NULL,
    app TEXT REFERENCES apps (name),
    standing TEXT NOT NULL,
    standing_why TEXT,
    standing_since INTEGER NOT NULL,
    whose TEXT NOT NULL,
    health TEXT,
    user_id INTEGER,
    scopes TEXT NOT NULL,
    data_key BLOB NOT NULL,
    generation INTEGER NOT NULL,
    access_token BLOB,
    access_obtained_at INTEGER,
    access_expires_at INTEGER,
    refresh_token BLOB,
    fence INTEGER NOT NULL DEFAULT 0,
    lease_holder TEXT,
    lease_until INTEGER,
    intent_at INTEGER,
    created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX connections_app_portal ON connections (app, portal) WHERE app IS NOT NULL;
CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    hash BLOB NOT NULL,
    integration TEXT NOT NULL,
    connection TEXT,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;
CREATE INDEX keys_connection ON keys (connection) WHERE connection IS NOT NULL;
CREATE TABLE changes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL
) STRICT;
CREATE TABLE applied (
    instance TEXT PRIMARY KEY,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE TABLE audited (
    instance TEXT PRIMARY KEY,
    seq INTEGER NOT NULL
) STRICT;
CREATE TABLE admin_events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    reason TEXT
) STRICT;
