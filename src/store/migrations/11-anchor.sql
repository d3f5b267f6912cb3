-- What tells an old copy of this file from this file: grows with every transaction. What a gate saw last
-- stands outside, in the audit folder.
CREATE TABLE anchor (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL
) STRICT;
INSERT INTO anchor (one, version) VALUES (1, 0);
-- Tags over what plain columns say, under `meta.row_key`: of a key what it opens, of a connection which
-- account it is. A revoked key has none.
ALTER TABLE keys ADD COLUMN seal BLOB;
ALTER TABLE connections ADD COLUMN seal BLOB;
-- SHA-256 of kind and subject: a stop that a bad disk has changed is not another stop. Rows of earlier
-- versions have none.
ALTER TABLE kills ADD COLUMN digest BLOB;
