//! Which connections a command is about: by name, or by what all that match have in common.

use crate::access::connection::{ConnectionName, PortalId, Standing};
use crate::access::label::{Label, Labels};
use crate::cli::CommandError;
use crate::cli::admin::Admin;
use crate::cli::kill::state_of;
use crate::store::{ConnectionRow, KillRow};

/// Selectors: all that are given must hold.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Selectors {
    /// Connections of this app.
    #[arg(long, value_name = "NAME")]
    pub app: Option<String>,
    /// Connections with this label; more than one: all of them.
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub labels: Vec<Label>,
    /// Connections in this state.
    #[arg(long, value_name = "STATE", value_parser = standing)]
    pub state: Option<Standing>,
    /// Connections to this account.
    #[arg(long, value_name = "ID", value_parser = portal)]
    pub portal: Option<PortalId>,
}

/// Names, or else selectors.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Chosen {
    /// Their names; or else selectors.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Selectors.
    #[command(flatten)]
    pub by: Selectors,
}

impl Selectors {
    /// Whether none is given.
    pub fn is_empty(&self) -> bool {
        self.app.is_none() && self.labels.is_empty() && self.state.is_none() && self.portal.is_none()
    }

    /// Whether a connection matches, in the state that people see.
    fn matches(&self, row: &ConnectionRow, kills: &[KillRow]) -> bool {
        let labels = Labels::of_stored(&row.labels);
        self.app.as_ref().is_none_or(|app| row.app.as_ref() == Some(app))
            && self.labels.iter().all(|label| labels.has(label))
            && self
                .state
                .is_none_or(|state| state_of(row, kills) == state.as_str())
            && self.portal.is_none_or(|portal| row.portal == portal)
    }

    /// All that match, by name: all there are without a selector.
    ///
    /// # Errors
    /// Selectors that nothing matches: a script that meant somebody must not go on.
    pub fn rows(&self, admin: &Admin) -> Result<Vec<ConnectionRow>, CommandError> {
        let mut rows = admin.store.connections()?;
        let kills = admin.store.kills()?;
        rows.retain(|row| self.matches(row, &kills));
        if rows.is_empty() && !self.is_empty() {
            return Err(CommandError::findings("no connection matches these selectors")
                .hint("see `scopegate connection list`"));
        }
        Ok(rows)
    }
}

impl Chosen {
    /// What is chosen, in the order of the names given, or by name.
    ///
    /// # Errors
    /// Nothing chosen, names and selectors at once, a name that is nobody's, selectors that nothing
    /// matches. Then none is touched.
    pub fn rows(&self, admin: &Admin) -> Result<Vec<ConnectionRow>, CommandError> {
        match (self.names.is_empty(), self.by.is_empty()) {
            (true, true) => Err(CommandError::usage(
                "which connections: give names, or selectors (`--app`, `--label`, `--state`, `--portal`)",
            )),
            (false, false) => Err(CommandError::usage(
                "give names or selectors, not both: it would not be clear which are meant",
            )),
            (true, false) => self.by.rows(admin),
            (false, true) => {
                let mut rows: Vec<ConnectionRow> = Vec::with_capacity(self.names.len());
                for name in &self.names {
                    let row = find(name, admin)?;
                    if rows.iter().all(|known| known.id != row.id) {
                        rows.push(row);
                    }
                }
                Ok(rows)
            }
        }
    }

    /// Whether it is one connection, named: such a command speaks as it always did.
    pub fn is_one_name(&self) -> bool {
        self.names.len() == 1 && self.by.is_empty()
    }
}

/// The connection of a name.
pub(super) fn find(name: &str, admin: &Admin) -> Result<ConnectionRow, CommandError> {
    ConnectionName::parse(name)
        .map(|name| admin.store.connection_by_name(&name))
        .transpose()?
        .flatten()
        .ok_or_else(|| {
            CommandError::findings("there is no connection of that name")
                .hint("see `scopegate connection list`")
        })
}

fn standing(word: &str) -> Result<Standing, String> {
    Standing::parse(word).ok_or_else(|| {
        let words = Standing::ALL.map(|standing| format!("`{}`", standing.as_str()));
        format!("one of {} is needed here", words.join(", "))
    })
}

fn portal(text: &str) -> Result<PortalId, String> {
    PortalId::parse(text)
        .ok_or_else(|| "the account's id is needed here: digits, as HubSpot shows them".to_owned())
}
