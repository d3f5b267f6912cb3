-- Whose consent a credential stands on, and how old it is.
ALTER TABLE connections ADD COLUMN installer_email TEXT;
-- The installer's rights when the grant was made, as HubSpot told: JSON, for people.
ALTER TABLE connections ADD COLUMN installer_rights TEXT;
-- When a person consented; NULL when nobody knows (a token that was handed over).
ALTER TABLE connections ADD COLUMN installed_at INTEGER;
-- What was asked for at the install; `scopes` is what was granted.
ALTER TABLE connections ADD COLUMN requested_scopes TEXT NOT NULL DEFAULT '';
-- `key=value`, separated by blanks.
ALTER TABLE connections ADD COLUMN labels TEXT NOT NULL DEFAULT '';
ALTER TABLE connections ADD COLUMN refreshed_at INTEGER;
-- When the long-lived credential in use was issued: what its rotation is counted from.
ALTER TABLE connections ADD COLUMN credential_at INTEGER NOT NULL DEFAULT 0;
UPDATE connections SET credential_at = created_at;
