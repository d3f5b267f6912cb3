-- A tag under `meta.row_key` over how far an install is and whose browser it waits for. Rows of earlier
-- versions have none, and open nothing any more: tickets live for minutes.
ALTER TABLE installs ADD COLUMN seal BLOB;
