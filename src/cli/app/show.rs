//! `app list` and `app show`: never a secret, only which there are.

use std::collections::BTreeMap;
use std::io::Write;

use jiff::Timestamp;

use crate::cli::admin::{Admin, columns, print, short};
use crate::cli::{CommandResult, Exit};
use crate::store::{AppRow, no_such_app};

/// Arguments of `app list`.
#[derive(Debug, Default, clap::Args)]
pub struct ListArgs {
    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `app show`.
#[derive(Debug, Default, clap::Args)]
pub struct ShowArgs {
    /// Its name.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
}

/// An app and the states of its connections.
struct Shown {
    row: AppRow,
    states: BTreeMap<&'static str, usize>,
}

/// One of an app's secrets.
struct ShownSecret {
    tried: &'static str,
    since: Timestamp,
    /// Since when HubSpot has taken it, if it took this one last.
    worked: Option<Timestamp>,
}

impl Shown {
    fn connections(&self) -> usize {
        self.states.values().sum()
    }

    fn secrets(&self) -> Vec<ShownSecret> {
        let row = &self.row;
        let worked = |version: u64| {
            row.worked
                .filter(|(worked, _)| *worked == version)
                .map(|(_, at)| at)
        };
        let mut secrets = vec![ShownSecret {
            tried: "first",
            since: row.secret_at,
            worked: worked(row.secret.1),
        }];
        if let (Some((_, version)), Some(since)) = (&row.other_secret, row.other_secret_at) {
            secrets.push(ShownSecret {
                tried: "second",
                since,
                worked: worked(*version),
            });
        }
        secrets
    }

    fn json(&self) -> serde_json::Value {
        let secrets: Vec<_> = self
            .secrets()
            .into_iter()
            .map(|secret| {
                serde_json::json!({
                    "tried": secret.tried,
                    "since": secret.since.to_string(),
                    "worked_last": secret.worked.is_some(),
                    "worked_since": secret.worked.map(|at| at.to_string()),
                })
            })
            .collect();
        serde_json::json!({
            "name": self.row.name,
            "client_id": self.row.client_id,
            "created": self.row.created.to_string(),
            "rotating": self.row.other_secret.is_some(),
            "secrets": secrets,
            "connections": self.connections(),
            "states": self.states,
        })
    }

    fn text(&self) -> String {
        let mut fields = vec![
            vec!["name".to_owned(), self.row.name.clone()],
            vec!["client id".to_owned(), self.row.client_id.clone()],
            vec!["added".to_owned(), short(self.row.created)],
        ];
        for secret in self.secrets() {
            let worked = match secret.worked {
                Some(at) => format!("HubSpot took it last, at first {}", short(at)),
                None if self.row.worked.is_none() => "no refresh has told yet whether it works".to_owned(),
                None => "not the one that HubSpot took last".to_owned(),
            };
            fields.push(vec![
                format!("tried {}", secret.tried),
                format!("since {}; {worked}", short(secret.since)),
            ]);
        }
        if self.row.other_secret.is_some() {
            fields.push(vec![
                "rotation".to_owned(),
                format!(
                    "under way; `scopegate app rotate-secret {} --finish` drops the second",
                    self.row.name
                ),
            ]);
        }
        let states: Vec<String> = self
            .states
            .iter()
            .map(|(state, count)| format!("{count} {state}"))
            .collect();
        fields.push(vec![
            "connections".to_owned(),
            format!("{}  {}", self.connections(), states.join(", ")),
        ]);
        columns(&fields)
    }
}

pub(super) fn list(args: &ListArgs, admin: &Admin, out: &mut dyn Write) -> CommandResult {
    let apps = shown(admin, admin.store.apps()?)?;
    if args.json {
        let lines: String = apps.iter().map(|app| format!("{}\n", app.json())).collect();
        print(out, &lines)?;
        return Ok(Exit::Fine);
    }
    let mut table = vec![
        [
            "NAME",
            "CLIENT ID",
            "CONNECTIONS",
            "OK",
            "SECRET SINCE",
            "ROTATION",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    for app in apps {
        table.push(vec![
            app.row.name.clone(),
            app.row.client_id.clone(),
            app.connections().to_string(),
            app.states.get("ok").copied().unwrap_or(0).to_string(),
            short(app.row.secret_at),
            if app.row.other_secret.is_some() {
                "under way"
            } else {
                "-"
            }
            .to_owned(),
        ]);
    }
    print(out, &columns(&table))?;
    Ok(Exit::Fine)
}

pub(super) fn show(args: &ShowArgs, admin: &Admin, out: &mut dyn Write) -> CommandResult {
    let row = admin
        .store
        .app(&args.name)?
        .ok_or_else(|| no_such_app(&args.name))?;
    for app in shown(admin, vec![row])? {
        let text = if args.json {
            format!("{}\n", app.json())
        } else {
            app.text()
        };
        print(out, &text)?;
    }
    Ok(Exit::Fine)
}

fn shown(admin: &Admin, rows: Vec<AppRow>) -> Result<Vec<Shown>, crate::store::StoreError> {
    let mut states: BTreeMap<String, BTreeMap<&'static str, usize>> = BTreeMap::new();
    let kills = admin.store.kills()?;
    for connection in admin.store.connections()? {
        let state = connection.state(&kills).as_str();
        if let Some(app) = connection.app {
            *states.entry(app).or_default().entry(state).or_default() += 1;
        }
    }
    Ok(rows
        .into_iter()
        .map(|row| Shown {
            states: states.remove(&row.name).unwrap_or_default(),
            row,
        })
        .collect())
}
