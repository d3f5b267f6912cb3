-- Emergency stops in force. One row each; `revive` deletes it.
CREATE TABLE kills (
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    reason TEXT NOT NULL,
    actor TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (kind, subject)
) STRICT;
-- How far running gates have followed: a gate writes its line after its flags are set, and takes it away
-- when it stops.
CREATE TABLE kill_followers (
    instance TEXT PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT;
-- Grows with every kill and every revival.
INSERT INTO meta (name, value) VALUES ('kills_version', 0);
