-- Connections that share one grant: the same refresh token, held under several names or apps.
-- HMAC of the refresh token under a subkey of the master key; NULL = not looked at yet.
ALTER TABLE connections ADD COLUMN grant_print BLOB;
-- The same in all that share a grant, whatever it rotates to; NULL = shared with nobody.
ALTER TABLE connections ADD COLUMN grant_id TEXT;
CREATE INDEX connections_grant_print ON connections (grant_print) WHERE grant_print IS NOT NULL;
CREATE INDEX connections_grant_id ON connections (grant_id) WHERE grant_id IS NOT NULL;
-- When the access token was received by the machine's own clock, which no wall clock moves: which run of the
-- machine, and milliseconds since it started.
ALTER TABLE connections ADD COLUMN access_boot TEXT;
ALTER TABLE connections ADD COLUMN access_boot_ms INTEGER;
