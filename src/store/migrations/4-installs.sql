-- Installs under way: a ticket that an operator made (`name` is set), or one that HubSpot's marketplace
-- began. Of ticket, browser and state the store has SHA-256 hashes only.
-- phase: open (the ticket can be opened), begun (a browser is at HubSpot), exchanging (a code is being
-- used; if the process dies here, nobody knows how that ended), done.
CREATE TABLE installs (
    id TEXT PRIMARY KEY,
    ticket BLOB,
    app TEXT NOT NULL REFERENCES apps (name) ON DELETE CASCADE,
    name TEXT,
    -- The connection that is authorised again.
    connection TEXT,
    portal INTEGER,
    labels TEXT NOT NULL,
    required_scopes TEXT NOT NULL,
    optional_scopes TEXT NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT,
    phase TEXT NOT NULL,
    -- Counts the uses of a code.
    attempt INTEGER NOT NULL DEFAULT 0,
    browser BLOB,
    state BLOB,
    -- The PKCE verifier, sealed for this row.
    data_key BLOB,
    verifier BLOB,
    created_at INTEGER NOT NULL,
    -- Until when the ticket can be opened, and the browser come back.
    expires_at INTEGER NOT NULL,
    back_until INTEGER
) STRICT;
CREATE UNIQUE INDEX installs_state ON installs (state) WHERE state IS NOT NULL;
