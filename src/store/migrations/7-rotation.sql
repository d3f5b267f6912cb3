-- Rotating what is long-lived: the secrets of an app, the credential of a connection.
-- When each secret of an app came in.
ALTER TABLE apps ADD COLUMN secret_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE apps ADD COLUMN other_secret_at INTEGER;
UPDATE apps SET secret_at = created_at, other_secret_at = iif(other_secret IS NULL, NULL, created_at);
-- The secret that HubSpot took last, by its version, and when that was first seen.
ALTER TABLE apps ADD COLUMN worked_version INTEGER;
ALTER TABLE apps ADD COLUMN worked_at INTEGER;
-- Somebody said that the credential must be rotated now, whatever its age: when and why.
ALTER TABLE connections ADD COLUMN rotation_marked_at INTEGER;
ALTER TABLE connections ADD COLUMN rotation_why TEXT;
-- SHA-256 of the credential as it was handed over. A server that rotates replaces it; a file that is
-- imported again still names this one.
ALTER TABLE connections ADD COLUMN handed_digest BLOB;
