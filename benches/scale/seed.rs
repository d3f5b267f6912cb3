//! Fills the store of a configuration with accounts and keys, as `connection import` and `key create` would,
//! without asking HubSpot about each: through the store's own functions, every credential sealed, every row
//! with its seal. For `benches/scale/run.py`; it refuses a store that holds anything.
//!
//! Reads settings as lines `NAME VALUE` from standard input, and `hot PORTAL REFRESH_TOKEN ACCESS_TOKEN` for
//! accounts that begin with a live token. Prints `key TEXT` for the first keys.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout)] // what it prints is what it is run for

use std::collections::HashMap;
use std::error::Error;
use std::io::BufRead;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use scopegate::access::connection::{ConnectionId, ConnectionName, CredentialKind, PortalId, Standing};
use scopegate::access::integration::Binding;
use scopegate::access::key::{Environment, IssuedKey, KeyRandomness};
use scopegate::access::label::{Label, Labels};
use scopegate::config::{self, Overrides};
use scopegate::secret::Secret;
use scopegate::store::{NewApp, NewConnection, NewKey, Provenance, Store, StoredToken};
use scopegate::tokens::unlock;
use scopegate::vault::{CredentialDigest, Owner, Place, Vault};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Keys in one transaction, as many as `key create --count` makes.
const KEYS_AT_ONCE: usize = 1_000;

/// What an app of some size asks for.
const SCOPES: [&str; 16] = [
    "oauth",
    "crm.objects.contacts.read",
    "crm.objects.contacts.write",
    "crm.objects.companies.read",
    "crm.objects.companies.write",
    "crm.objects.deals.read",
    "crm.objects.deals.write",
    "crm.objects.owners.read",
    "crm.objects.line_items.read",
    "crm.objects.quotes.read",
    "crm.schemas.contacts.read",
    "crm.schemas.companies.read",
    "crm.schemas.deals.read",
    "crm.lists.read",
    "tickets",
    "account-info.security.read",
];

/// What to make.
struct Wished {
    config: String,
    app: String,
    client_id: String,
    client_secret: Secret,
    first_portal: u64,
    accounts: u64,
    keys: usize,
    /// Keys are spread over so many integrations, `NAME-0`, `NAME-1`, ….
    integrations: usize,
    shown_keys: usize,
    /// How old the live tokens count as, in seconds of their 1,800.
    token_age: i64,
    hot: HashMap<u64, (Secret, Secret)>,
}

fn main() -> Outcome<()> {
    let wished = Wished::read()?;
    let config = config::load(Some(Path::new(&wished.config)), Overrides::default())
        .map_err(|errors| errors.render(false))?
        .config;
    let store = Store::open(&config.store)?;
    if !store.connections()?.is_empty() || !store.keys()?.is_empty() {
        return Err("the store is not empty".into());
    }
    let vault = unlock(&store, &config.master_key, &config.key_command)?;
    store.seal_rows_with(&vault)?;
    let by = Provenance {
        actor: "bench:seed".to_owned(),
        reason: None,
    };
    let seed = Seed { store, vault, by };
    seed.app(&wished)?;
    for portal in wished.first_portal..wished.first_portal + wished.accounts {
        seed.account(&wished, portal)?;
    }
    seed.keys(&wished)
}

struct Seed {
    store: Store,
    vault: Vault,
    by: Provenance,
}

impl Seed {
    fn app(&self, wished: &Wished) -> Outcome<()> {
        let owner = Owner::app(&wished.app);
        let (key, data_key) = self.vault.new_data_key(&owner)?;
        let place = Place {
            owner: &owner,
            field: "secret",
            version: 1,
        };
        let app = NewApp {
            name: wished.app.clone(),
            client_id: wished.client_id.clone(),
            secret: key.seal(place, &wished.client_secret)?,
            other_secret: None,
            data_key,
        };
        Ok(self.store.add_app(&app, &self.by)?)
    }

    fn account(&self, wished: &Wished, portal: u64) -> Outcome<()> {
        let id = ConnectionId::generate(random()?);
        let owner = Owner::connection(&id);
        let (key, data_key) = self.vault.new_data_key(&owner)?;
        let seal = |field, plain: &Secret| {
            let place = Place {
                owner: &owner,
                field,
                version: 1,
            };
            key.seal(place, plain)
        };
        let cold = Secret::new(format!("na1-{}", uuid::Uuid::new_v4()));
        let (refresh, access) = match wished.hot.get(&portal) {
            None => (&cold, None),
            Some((refresh, access)) => (refresh, Some(access)),
        };
        let issued = Timestamp::now() - SignedDuration::from_secs(wished.token_age);
        let access = access.map(|token| {
            Ok::<_, Box<dyn Error>>(StoredToken {
                sealed: seal("access", token)?,
                obtained: issued,
                expires: Some(issued + SignedDuration::from_secs(1_800)),
            })
        });
        let region = if portal.is_multiple_of(2) { "eu" } else { "us" };
        let new = NewConnection {
            id,
            name: ConnectionName::parse(&format!("{}-{portal}", wished.app)).ok_or("not a name")?,
            portal: PortalId::new(portal).ok_or("not a portal")?,
            kind: CredentialKind::OAuth,
            app: Some(wished.app.clone()),
            standing: Standing::Ok,
            standing_why: None,
            user_id: Some(portal + 7),
            installer_email: Some(format!("integrations@customer-{portal}.example.com")),
            scopes: SCOPES.map(str::to_owned).to_vec(),
            data_key,
            access: access.transpose()?,
            refresh: Some(seal("refresh", refresh)?),
            labels: Labels::new([Label::new("region", region)?])?,
            handed: Some(CredentialDigest::of(refresh)),
        };
        self.store.add_connection(&new, &self.by)?;
        self.store
            .note_grant(&id, 1, &self.vault.grant_print(refresh), &self.by)?;
        Ok(())
    }

    fn keys(&self, wished: &Wished) -> Outcome<()> {
        let mut made = 0;
        while made < wished.keys {
            let mut batch = Vec::with_capacity(KEYS_AT_ONCE);
            for n in made..wished.keys.min(made + KEYS_AT_ONCE) {
                let issued = IssuedKey::generate(
                    Environment::Live,
                    &KeyRandomness {
                        id: random()?,
                        secret: random()?.into(),
                    },
                );
                if n < wished.shown_keys {
                    println!("key {}", issued.text.expose());
                }
                batch.push(NewKey {
                    id: issued.id,
                    hash: issued.hash,
                    integration: format!("bench-{}", n % wished.integrations),
                    binding: Binding::Any,
                    expires: None,
                });
            }
            made += batch.len();
            self.store.add_keys(&batch, &self.by)?;
        }
        Ok(())
    }
}

fn random<const N: usize>() -> Outcome<[u8; N]> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "the system has no random bytes")?;
    Ok(bytes)
}

impl Wished {
    fn read() -> Outcome<Self> {
        let mut settings = HashMap::new();
        let mut hot = HashMap::new();
        for line in std::io::stdin().lock().lines() {
            let line = line?;
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [] => {}
                ["hot", portal, refresh, access] => {
                    let tokens = [refresh, access].map(|text| Secret::new((*text).to_owned()));
                    let [refresh, access] = tokens;
                    hot.insert(portal.parse()?, (refresh, access));
                }
                [name, value] => {
                    settings.insert((*name).to_owned(), (*value).to_owned());
                }
                _ => return Err("a line is `NAME VALUE` or `hot PORTAL REFRESH ACCESS`".into()),
            }
        }
        let mut take = |name: &str| settings.remove(name).ok_or(format!("`{name}` is missing"));
        let wished = Self {
            config: take("config")?,
            app: take("app")?,
            client_id: take("client_id")?,
            client_secret: Secret::new(take("client_secret")?),
            first_portal: take("first_portal")?.parse()?,
            accounts: take("accounts")?.parse()?,
            keys: take("keys")?.parse()?,
            integrations: take("integrations")?.parse()?,
            shown_keys: take("shown_keys")?.parse()?,
            token_age: take("token_age")?.parse()?,
            hot,
        };
        match settings.keys().next() {
            Some(unknown) => Err(format!("`{unknown}` is no setting").into()),
            None => Ok(wished),
        }
    }
}
