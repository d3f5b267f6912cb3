-- Whether reads and writes of a connection work, and when they last did.
CREATE TABLE connection_health (
    connection TEXT NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    class TEXT NOT NULL,
    -- The last 2xx of HubSpot's.
    success_at INTEGER,
    -- The last 401 or 403 of HubSpot's, and its cause.
    failure_at INTEGER,
    failure_cause TEXT,
    -- Since the last failure.
    successes INTEGER NOT NULL,
    -- Since the last success, and the first of them.
    failures INTEGER NOT NULL,
    failing_since INTEGER,
    PRIMARY KEY (connection, class)
) STRICT;
-- When HubSpot last carried out a read, or a write, for an integration.
CREATE TABLE last_uses (
    connection TEXT NOT NULL REFERENCES connections (id) ON DELETE CASCADE,
    integration TEXT NOT NULL,
    class TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (connection, integration, class)
) STRICT;
