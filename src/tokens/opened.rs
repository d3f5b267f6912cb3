//! The plain credentials of one attempt; wiped when it ends. Everything that can be done before HubSpot is
//! asked is done here, so that nothing stands between its answer and the disk.

use crate::hubspot::oauth::{ClientCredentials, TokenAnswer};
use crate::secret::Secret;
use crate::store::{AppCredentials, Member, NewTokens, Ticket};
use crate::tokens::stock::{ACCESS, APP_SECRET, REFRESH};
use crate::vault::{DataKey, KeyPrint, Owner, Place, Vault, VaultError};

/// What an attempt asks with and seals with.
pub(super) struct Opened {
    /// The grant's refresh token, the same for every member.
    pub(super) refresh: Secret,
    /// Client ids with their secrets, in the order they are tried in.
    clients: Vec<Client>,
    /// For each of the ticket's members, in their order.
    keys: Vec<(Owner, DataKey)>,
}

impl Opened {
    /// Opens what the ticket holds. Members that do not hold the asker's refresh token after all are
    /// taken out of the ticket and handed back.
    pub(super) fn of(vault: &Vault, ticket: &mut Ticket) -> Result<(Self, Vec<Member>), VaultError> {
        let (owner, key, refresh) = open(vault, &ticket.own)?;
        let mut keys = vec![(owner, key)];
        let mut strangers = Vec::new();
        for member in std::mem::take(&mut ticket.sharers) {
            match open(vault, &member) {
                Ok((owner, key, held)) if held.expose() == refresh.expose() => {
                    keys.push((owner, key));
                    ticket.sharers.push(member);
                }
                _ => strangers.push(member),
            }
        }
        let uncertain = ticket.members().any(|member| member.uncertain);
        ticket.uncertain = uncertain;
        let mut clients = Vec::new();
        for (index, app) in ticket.apps.iter().enumerate() {
            match clients_of(vault, app) {
                Ok(more) => clients.extend(more),
                Err(error) if index == 0 => return Err(error),
                // A sharer's app is a second chance, no more.
                Err(_) => {}
            }
        }
        let opened = Self {
            refresh,
            clients,
            keys,
        };
        Ok((opened, strangers))
    }

    /// With what to ask, in order.
    pub(super) fn clients(&self) -> impl Iterator<Item = ClientCredentials<'_>> {
        self.clients.iter().map(|client| ClientCredentials {
            id: &client.id,
            secret: &client.secret,
        })
    }

    /// Of which app the client at `index` is, and which version of its secret.
    pub(super) fn secret_of(&self, index: usize) -> Option<(String, u64)> {
        let client = self.clients.get(index)?;
        Some((client.app.clone(), client.version))
    }

    /// By what each member's credential is recognised, in their order.
    pub(super) fn prints(&self) -> Vec<KeyPrint> {
        self.keys.iter().map(|(_, key)| key.print()).collect()
    }

    /// Seals an answer for one member, for its next generation.
    pub(super) fn seal(
        &self,
        index: usize,
        member: &Member,
        answer: &TokenAnswer,
    ) -> Result<Sealing, VaultError> {
        let (owner, key) = self.keys.get(index).ok_or(VaultError::DoesNotOpen)?;
        let version = member.generation + 1;
        let seal = |field, plain| {
            let place = Place {
                owner,
                field,
                version,
            };
            key.seal(place, plain)
        };
        Ok(Sealing {
            access: seal(ACCESS, &answer.access)?,
            refresh: seal(REFRESH, answer.refresh.as_ref().unwrap_or(&self.refresh))?,
        })
    }
}

/// One way of proving who asks.
struct Client {
    app: String,
    id: String,
    secret: Secret,
    version: u64,
}

/// Both tokens of an answer, sealed for one member.
pub(super) struct Sealing {
    access: crate::vault::Sealed,
    refresh: crate::vault::Sealed,
}

impl Sealing {
    /// With until when the access token counts, and the standing it brings.
    pub(super) fn until(
        self,
        expires: jiff::Timestamp,
        standing: Option<(crate::access::connection::Standing, Option<&'static str>)>,
    ) -> NewTokens {
        NewTokens {
            access: self.access,
            refresh: self.refresh,
            expires,
            standing,
        }
    }
}

fn open(vault: &Vault, member: &Member) -> Result<(Owner, DataKey, Secret), VaultError> {
    let owner = Owner::connection(&member.connection);
    let key = vault.data_key(&owner, &member.data_key)?;
    let place = Place {
        owner: &owner,
        field: REFRESH,
        version: member.generation,
    };
    let refresh = key.open(place, &member.refresh)?;
    Ok((owner, key, refresh))
}

fn clients_of(vault: &Vault, app: &AppCredentials) -> Result<Vec<Client>, VaultError> {
    let owner = Owner::app(&app.name);
    let key = vault.data_key(&owner, &app.data_key)?;
    app.secrets
        .iter()
        .map(|(sealed, version)| {
            let place = Place {
                owner: &owner,
                field: APP_SECRET,
                version: *version,
            };
            Ok(Client {
                app: app.name.clone(),
                id: app.client_id.clone(),
                secret: key.open(place, sealed)?,
                version: *version,
            })
        })
        .collect()
}
