-- People behind credentials, as their portal's watcher last saw them. `presence`: here, deactivated,
-- removed; `watch`: what the watcher goes by, as JSON.
CREATE TABLE people (
    portal INTEGER NOT NULL,
    user_id INTEGER NOT NULL,
    email TEXT,
    super_admin INTEGER,
    presence TEXT NOT NULL,
    presence_since INTEGER NOT NULL,
    lost_rights_since INTEGER,
    unknown_since INTEGER,
    unknown_why TEXT,
    seen_at INTEGER,
    watch TEXT NOT NULL,
    PRIMARY KEY (portal, user_id)
) STRICT;
-- Who leaves by an operator's word, before HubSpot knows. Addresses in lower case.
CREATE TABLE offboarded (
    email TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
-- What each portal's watcher last learnt of those who could authorise anew; `super_admins` is JSON.
CREATE TABLE watches (
    portal INTEGER PRIMARY KEY,
    watcher TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    trouble TEXT,
    super_admins TEXT NOT NULL,
    others INTEGER NOT NULL
) STRICT;
-- `since` tells one state of the same kind from the next; `detail` is JSON, for people.
CREATE TABLE findings (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    connection TEXT NOT NULL,
    person TEXT,
    since INTEGER NOT NULL,
    began_at INTEGER NOT NULL,
    ended_at INTEGER,
    detail TEXT NOT NULL,
    acknowledged_at INTEGER,
    acknowledged_by TEXT,
    acknowledged_why TEXT
) STRICT;
CREATE UNIQUE INDEX findings_open ON findings (kind, connection) WHERE ended_at IS NULL;
CREATE INDEX findings_connection ON findings (connection);
-- What there is to say about each connection's installer. Derived whenever a connection is read, so that
-- another installer on the row is another answer at once. Rights lost before the person consented anew
-- are not lost since. There may be several for one connection, one of which an operator has acknowledged:
-- which counts is said where it is read.
CREATE VIEW installer_claims (connection, about, since, rank, acknowledged) AS
SELECT claim.connection, claim.about, claim.since, claim.rank,
    EXISTS (
        SELECT 1 FROM findings f
        WHERE f.connection = claim.connection AND f.kind = 'installer_' || claim.about
            AND f.since = claim.since AND f.acknowledged_at IS NOT NULL
    )
FROM (
    SELECT c.id AS connection, rank,
        CASE rank WHEN 1 THEN 'offboarded' WHEN 2 THEN p.presence ELSE 'lost_rights' END AS about,
        CASE rank
            WHEN 1 THEN
                (SELECT max(o.at) FROM offboarded o
                 WHERE o.email IN (lower(c.installer_email), lower(p.email)))
            WHEN 2 THEN iif(p.presence <> 'here', p.presence_since, NULL)
            ELSE iif(p.lost_rights_since > coalesce(c.installed_at, 0), p.lost_rights_since, NULL)
        END AS since
    FROM connections c LEFT JOIN people p ON p.portal = c.portal AND p.user_id = c.user_id,
        (SELECT 1 AS rank UNION ALL SELECT 2 UNION ALL SELECT 3)
) AS claim
WHERE claim.since IS NOT NULL;
-- Whoever writes another installer, a refresh or an install, need not know of people: the address that
-- was the other's goes, and running gates read the row again.
CREATE TRIGGER installer_changed AFTER UPDATE OF user_id ON connections
WHEN OLD.user_id IS NOT NEW.user_id
BEGIN
    UPDATE connections SET installer_email = NULL
    WHERE id = NEW.id AND OLD.user_id IS NOT NULL AND NEW.installer_email IS OLD.installer_email;
    UPDATE connections SET installer_email =
        (SELECT email FROM installer_addresses WHERE portal = NEW.portal AND user_id = NEW.user_id)
    WHERE id = NEW.id AND installer_email IS NULL AND NEW.user_id IS NOT NULL;
    INSERT INTO changes (kind, id) VALUES ('connection', NEW.id);
END;
-- HubSpot tells the address with one kind of credential and not with another. One person of one account is
-- one person: an emergency stop by the address must not miss the connection that came without it.
CREATE INDEX connections_person ON connections (portal, user_id);
CREATE VIEW installer_addresses (portal, user_id, email) AS
SELECT portal, user_id, email FROM people WHERE email IS NOT NULL
UNION ALL
SELECT portal, user_id, installer_email FROM connections WHERE installer_email IS NOT NULL;
CREATE TRIGGER installer_added AFTER INSERT ON connections
WHEN NEW.user_id IS NOT NULL
BEGIN
    UPDATE connections SET installer_email =
        (SELECT email FROM installer_addresses WHERE portal = NEW.portal AND user_id = NEW.user_id)
    WHERE id = NEW.id AND installer_email IS NULL;
    INSERT INTO changes (kind, id)
    SELECT 'connection', id FROM connections
    WHERE NEW.installer_email IS NOT NULL AND portal = NEW.portal AND user_id = NEW.user_id
        AND installer_email IS NULL;
    UPDATE connections SET installer_email = NEW.installer_email
    WHERE NEW.installer_email IS NOT NULL AND portal = NEW.portal AND user_id = NEW.user_id
        AND installer_email IS NULL;
END;
CREATE TRIGGER installer_named AFTER UPDATE OF installer_email ON connections
WHEN NEW.installer_email IS NOT NULL AND NEW.user_id IS NOT NULL
BEGIN
    INSERT INTO changes (kind, id)
    SELECT 'connection', id FROM connections
    WHERE portal = NEW.portal AND user_id = NEW.user_id AND installer_email IS NULL;
    UPDATE connections SET installer_email = NEW.installer_email
    WHERE portal = NEW.portal AND user_id = NEW.user_id AND installer_email IS NULL;
END;
