-- What integrations have used of the limits that must be exact across restarts: records deleted, and records
-- to which was done what can't be undone. Counted before a call goes up, a row for each part of a window.
CREATE TABLE limit_uses (
    integration TEXT NOT NULL,
    connection TEXT NOT NULL,
    -- records_deleted or records_irreversible
    counted TEXT NOT NULL,
    -- Which run of the machine, and which part of the window in it, by the machine's own clock.
    boot TEXT NOT NULL,
    part INTEGER NOT NULL,
    window_ms INTEGER NOT NULL,
    records INTEGER NOT NULL,
    -- When it was last added to: by the machine's own clock, which no wall clock moves, and by the wall clock
    -- for who comes after another start of the machine.
    boot_ms INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (integration, connection, counted, boot, part, window_ms)
) WITHOUT ROWID;
