-- Who may use the admin listener, and what: a tag under `meta.row_key` says that nobody else wrote it. A revoked or expired row stays: events name it by its id.
CREATE TABLE admin_credentials (
    id TEXT PRIMARY KEY,
    hash BLOB NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    seal BLOB
) STRICT;
CREATE INDEX admin_credentials_name ON admin_credentials (name);
