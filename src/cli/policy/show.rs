//! `scopegate policy show`: the effective permission of one integration as a table.

use std::io::Write;

use jiff::Timestamp;

use super::folder::Folder;
use super::write_json;
use crate::access::catalogue::Catalogue;
use crate::access::decide::bounds;
use crate::access::effect::Effect;
use crate::access::facts::Surface;
use crate::access::fields::{Bounds, OnExtra};
use crate::access::limits::Limits;
use crate::access::policy::Policy;
use crate::access::policy::opens::{Opened, everything, object_label};
use crate::access::policy_text::written::Selector;
use crate::cli::Exit;
use crate::reports::granted;
use crate::reports::opened::{RowName, by_row, ids, risks};
use crate::reports::permission::{self, Cells, object, rules};

/// Columns of the table; `auth` and `meta` appear only where something is opened.
const COLUMNS: [Effect; 4] = [Effect::Read, Effect::Write, Effect::Delete, Effect::Irreversible];

/// Prints the table, or one JSON object for each cell.
pub fn run(
    folder: &Folder,
    policy: &Policy,
    catalogue: &Catalogue,
    now: Timestamp,
    as_json: bool,
    out: &mut dyn Write,
) -> std::io::Result<Exit> {
    let opened = permission::opened(policy, folder.set.ceiling(), catalogue);
    let cells = by_row(catalogue, opened.iter());
    let bounds = bounds(policy, folder.set.ceiling());
    if as_json {
        for line in permission::lines(policy, &bounds, catalogue, &cells) {
            write_json(out, &line)?;
        }
        return Ok(Exit::Fine);
    }
    head(policy, now, out)?;
    table(policy, &bounds, catalogue, &cells, out)?;
    Ok(Exit::Fine)
}

fn head(policy: &Policy, now: Timestamp, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "integration  {}", policy.integration)?;
    if let Some(description) = &policy.description {
        writeln!(out, "for          {description}")?;
    }
    writeln!(out, "owner        {}", policy.owner)?;
    let connections: Vec<String> = policy.connections.iter().map(connection).collect();
    writeln!(out, "connections  {}", connections.join(", "))?;
    if let Some(day) = policy.review_by {
        let late = if policy.is_review_overdue(now) {
            ", overdue"
        } else {
            ""
        };
        writeln!(out, "review by    {day}{late}")?;
    }
    if let Some(day) = policy.expires {
        let over = if policy.is_expired(now) {
            ", expired: everything is denied"
        } else {
            ""
        };
        writeln!(out, "expires      {day}{over}")?;
    }
    if let Some(observe) = policy.observe.as_ref().filter(|o| o.is_on(now)) {
        let effects: Vec<&str> = observe.effects.iter().map(Effect::as_str).collect();
        writeln!(
            out,
            "observes     {} until {}: such calls pass although no rule allows them",
            effects.join(", "),
            observe.until
        )?;
    }
    if let Some(OnExtra::Deny) = policy.properties.as_ref().map(|block| block.on_extra) {
        writeln!(
            out,
            "reads        denied if they name a property that is not granted"
        )?;
    }
    writeln!(
        out,
        "installer    removed: {}; lost rights: {}",
        policy.installer.removed.as_str(),
        policy.installer.lost_rights.as_str()
    )?;
    if policy.limits != Limits::default() {
        writeln!(out, "limits       {}", policy.limits)?;
    }
    writeln!(out)
}

fn connection(selector: &Selector) -> String {
    match selector {
        Selector::Name(name) => name.clone(),
        Selector::App(app) => format!("all of app {app}"),
        Selector::All => "all".to_owned(),
    }
}

fn table(
    policy: &Policy,
    bounds: &Bounds,
    catalogue: &Catalogue,
    cells: &Cells<'_>,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let whole = everything(&policy.allow, catalogue);
    let whole = by_row(catalogue, whole.iter());
    let mut columns = COLUMNS.to_vec();
    columns.extend(
        [Effect::Auth, Effect::Meta]
            .into_iter()
            .filter(|effect| cells.keys().any(|(_, e)| e == effect)),
    );
    let mut names: Vec<&RowName> = cells.keys().map(|(row, _)| row).collect();
    names.dedup();
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut title = vec!["on".to_owned()];
    title.extend(columns.iter().map(|effect| effect.as_str().to_owned()));
    title.extend(["properties".to_owned(), "risks".to_owned()]);
    rows.push(title);
    for name in names {
        let mut row = vec![name.name.clone()];
        let mut of_row: Vec<&Opened> = Vec::new();
        for effect in &columns {
            let key = (name.clone(), *effect);
            let found = cells.get(&key).map(Vec::as_slice).unwrap_or_default();
            of_row.extend(found);
            let all = whole.get(&key).map_or(0, |all| ids(catalogue, all).len());
            row.push(cell(policy, found, ids(catalogue, found).len(), all));
        }
        row.push(properties(bounds, catalogue, &of_row));
        row.push(match risks(&of_row) {
            none if none.is_empty() => "-".to_owned(),
            names => names.join(", "),
        });
        rows.push(row);
    }
    write_table(&rows, out)?;
    writeln!(
        out,
        "\na number: so many of the operations there are; without one: all of them"
    )
}

/// What is granted of a type's properties. Definitions are shown as far as those may be read.
fn properties(bounds: &Bounds, catalogue: &Catalogue, found: &[&Opened]) -> String {
    let Some(object) = object(found) else {
        return "-".to_owned();
    };
    let words = granted::words(&bounds.view(object));
    let is_definitions = found
        .iter()
        .any(|opened| opened.opening.touch.surface == Surface::Definitions);
    match is_definitions && words != "all" {
        true => format!("as {}", object_label(catalogue, object)),
        false => words,
    }
}

/// `allow[0]`, or `allow[1] 2/9` where a rule opens some operations of the kind.
fn cell(policy: &Policy, found: &[&Opened], open: usize, all: usize) -> String {
    if open == 0 {
        return "-".to_owned();
    }
    let rules = rules(policy, found).join(" ");
    match open < all {
        true => format!("{rules} {open}/{all}"),
        false => rules,
    }
}

fn write_table(rows: &[Vec<String>], out: &mut dyn Write) -> std::io::Result<()> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}
