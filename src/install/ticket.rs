//! Tickets: the right to connect one account, once, within a quarter of an hour.
//!
//! A ticket is an id and a signature under a key derived from the master key. The signature is over
//! everything the ticket is good for, so neither a forged link nor an altered row in the store opens
//! anything; the store keeps a hash of the ticket only. How far its install is, and in whose browser, the
//! row's own seal says.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};

use super::random::{hash_of, is_same};
use crate::access::connection::{ConnectionId, ConnectionName, PortalId};
use crate::access::label::Labels;
use crate::secret::Secret;
use crate::store::{InstallRow, NewInstall};
use crate::vault::{Vault, VaultError};

/// How long a ticket can be opened.
pub const TICKET_LIFE: SignedDuration = SignedDuration::from_mins(15);

const ID_BYTES: usize = 16;
const TAG_BYTES: usize = 32;
/// Both in base64url.
const LENGTH: usize = (ID_BYTES + TAG_BYTES) / 3 * 4;

/// What a ticket is good for.
#[derive(Clone, Debug)]
pub struct Binding {
    /// What to call the connection.
    pub name: ConnectionName,
    /// The app.
    pub app: String,
    /// The connection that is authorised again.
    pub connection: Option<ConnectionId>,
    /// The account it must be; `None`: whichever the person picks.
    pub portal: Option<PortalId>,
    /// Labels of the connection.
    pub labels: Labels,
    /// Scopes without which nothing is stored.
    pub required: Vec<String>,
    /// Scopes that may be missing.
    pub optional: Vec<String>,
}

/// A ticket for a person, and its row for the store.
#[derive(Debug)]
pub struct Minted {
    /// To be shown once.
    pub ticket: Secret,
    /// Without the ticket.
    pub row: NewInstall,
}

/// Why a ticket opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TicketFault {
    /// Not one of ours, or forgotten since.
    Unknown,
    /// Its time is over.
    Expired,
}

/// Makes a ticket.
///
/// # Errors
/// The system has no random bytes.
pub fn mint(vault: &Vault, binding: &Binding, now: Timestamp) -> Result<Minted, VaultError> {
    let mut id = [0; ID_BYTES];
    aws_lc_rs::rand::fill(&mut id).map_err(|_| VaultError::NoRandomness)?;
    // Whole milliseconds, as the store keeps them.
    let expires = now.checked_add(TICKET_LIFE).unwrap_or(now).as_millisecond();
    let expires = Timestamp::from_millisecond(expires).unwrap_or(now);
    let mut row = NewInstall {
        id: URL_SAFE_NO_PAD.encode(id),
        ticket: None,
        app: binding.app.clone(),
        name: Some(binding.name.clone()),
        connection: binding.connection,
        portal: binding.portal,
        labels: binding.labels.to_text(),
        required: binding.required.clone(),
        optional: binding.optional.clone(),
        expires,
    };
    let tag = vault.sign(&parts(&row).iter().map(Vec::as_slice).collect::<Vec<_>>());
    let ticket = URL_SAFE_NO_PAD.encode([&id[..], &tag[..]].concat());
    row.ticket = Some(hash_of(ticket.as_bytes()));
    Ok(Minted {
        ticket: Secret::new(ticket),
        row,
    })
}

/// A ticket as a browser sent it.
#[derive(Debug)]
pub(super) struct Presented {
    text: Secret,
    pub(super) id: String,
    tag: Vec<u8>,
}

impl Presented {
    /// `None` when it can't be one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() != LENGTH {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (id, tag) = bytes.split_at_checked(ID_BYTES)?;
        Some(Self {
            text: Secret::new(text.to_owned()),
            id: URL_SAFE_NO_PAD.encode(id),
            tag: tag.to_vec(),
        })
    }

    /// Whether it opens the install in `row`.
    pub(super) fn check(&self, vault: &Vault, row: &InstallRow, now: Timestamp) -> Result<(), TicketFault> {
        let presented = hash_of(self.text.expose().as_bytes());
        if !row.ticket.is_some_and(|ticket| is_same(&ticket, &presented)) {
            return Err(TicketFault::Unknown);
        }
        if now >= row.expires {
            return Err(TicketFault::Expired);
        }
        let parts = parts(&stored(row));
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        match vault.is_signed(&parts, &self.tag) {
            true => Ok(()),
            false => Err(TicketFault::Unknown),
        }
    }

    pub(super) fn text(&self) -> &Secret {
        &self.text
    }
}

/// Whether a row is what its ticket was made for: for steps that come after the ticket was shown.
pub(super) fn is_sound(vault: &Vault, row: &InstallRow) -> bool {
    let Ok(mut ticket) = URL_SAFE_NO_PAD.decode(&row.id) else {
        return false;
    };
    let parts = parts(&stored(row));
    ticket.extend(vault.sign(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>()));
    let hash = hash_of(URL_SAFE_NO_PAD.encode(ticket).as_bytes());
    row.ticket.is_some_and(|stored| is_same(&stored, &hash))
}

fn stored(row: &InstallRow) -> NewInstall {
    NewInstall {
        id: row.id.clone(),
        ticket: None,
        app: row.app.clone(),
        name: row.name.clone(),
        connection: row.connection,
        portal: row.portal,
        labels: row.labels.clone(),
        required: row.required.clone(),
        optional: row.optional.clone(),
        expires: row.expires,
    }
}

/// What is signed: all that a ticket is good for.
fn parts(row: &NewInstall) -> Vec<Vec<u8>> {
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        text("install ticket 1"),
        text(&row.id),
        text(&row.app),
        text(row.name.as_ref().map_or("", ConnectionName::as_str)),
        text(row.connection.as_ref().map_or("", ConnectionId::as_str)),
        row.portal.map_or(0, PortalId::get).to_be_bytes().to_vec(),
        text(&row.labels),
        text(&row.required.join(" ")),
        text(&row.optional.join(" ")),
        row.expires.as_millisecond().to_be_bytes().to_vec(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{InstallPhase, Provenance};
    use crate::vault::MasterKey;

    fn vault(seed: u8) -> Vault {
        Vault::open(&MasterKey::from_bytes([seed; 32]), "store", None).unwrap()
    }

    fn binding() -> Binding {
        Binding {
            name: ConnectionName::parse("acme").unwrap(),
            app: "agency".to_owned(),
            connection: None,
            portal: PortalId::new(1001),
            labels: Labels::new(["tier=gold".parse().unwrap()]).unwrap(),
            required: vec!["oauth".to_owned()],
            optional: vec!["tickets".to_owned()],
        }
    }

    fn row(new: &NewInstall) -> InstallRow {
        InstallRow {
            id: new.id.clone(),
            ticket: new.ticket,
            app: new.app.clone(),
            name: new.name.clone(),
            connection: new.connection,
            portal: new.portal,
            labels: new.labels.clone(),
            required: new.required.clone(),
            optional: new.optional.clone(),
            by: Provenance {
                actor: "test".to_owned(),
                reason: None,
            },
            phase: InstallPhase::Open,
            attempt: 0,
            browser: None,
            state: None,
            verifier: None,
            created: new.expires,
            expires: new.expires,
            back_until: None,
            genuine: true,
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_ticket_opens_its_own_install_for_a_quarter_of_an_hour() {
        let minted = mint(&vault(1), &binding(), at("2026-11-26T12:00:00Z")).unwrap();
        let presented = Presented::parse(minted.ticket.expose()).unwrap();
        let row = row(&minted.row);
        assert_eq!(presented.id, row.id);
        assert_eq!(
            presented.check(&vault(1), &row, at("2026-11-26T12:14:59Z")),
            Ok(())
        );
        assert_eq!(
            presented.check(&vault(1), &row, at("2026-11-26T12:15:00Z")),
            Err(TicketFault::Expired)
        );
        assert!(!format!("{minted:?} {presented:?}").contains(minted.ticket.expose()));
    }

    #[test]
    fn a_forged_ticket_an_altered_row_and_another_master_key_open_nothing() {
        let now = at("2026-11-26T12:00:00Z");
        let minted = mint(&vault(1), &binding(), now).unwrap();
        let presented = Presented::parse(minted.ticket.expose()).unwrap();
        let unknown = Err(TicketFault::Unknown);
        let altered: [fn(&mut InstallRow); 7] = [
            |row| row.app = "other".to_owned(),
            |row| row.name = ConnectionName::parse("other"),
            |row| row.portal = PortalId::new(1002),
            |row| row.connection = Some(ConnectionId::generate([1; 12])),
            |row| row.required.push("tickets".to_owned()),
            |row| row.labels = "tier=lead".to_owned(),
            |row| row.expires = row.expires.checked_add(SignedDuration::from_mins(1)).unwrap(),
        ];
        for alter in altered {
            let mut row = row(&minted.row);
            alter(&mut row);
            assert_eq!(presented.check(&vault(1), &row, now), unknown, "{row:?}");
            assert!(!is_sound(&vault(1), &row), "{row:?}");
        }
        assert_eq!(presented.check(&vault(2), &row(&minted.row), now), unknown);
        assert!(is_sound(&vault(1), &row(&minted.row)) && !is_sound(&vault(2), &row(&minted.row)));
        let other = mint(&vault(1), &binding(), now).unwrap();
        let other = Presented::parse(other.ticket.expose()).unwrap();
        assert_eq!(other.check(&vault(1), &row(&minted.row), now), unknown);
        // A signature of our own over a row that another ticket belongs to.
        let mut forged = minted.ticket.expose().to_owned();
        forged.replace_range(63..64, if forged.ends_with('A') { "B" } else { "A" });
        assert_eq!(
            Presented::parse(&forged)
                .unwrap()
                .check(&vault(1), &row(&minted.row), now),
            unknown
        );
        for bad in ["", "x", &"x".repeat(65), &"=".repeat(64), &"ä".repeat(32)] {
            assert!(Presented::parse(bad).is_none(), "{bad}");
        }
    }
}
