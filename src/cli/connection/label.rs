//! `connection label` and `connection mark-rotation`: what is noted about connections, many at a time.

use std::io::Write;

use super::outcome::{Outcome, Telling, What, tell};
use super::select::Chosen;
use crate::access::connection::CredentialKind;
use crate::access::label::{Label, LabelKey, Labels};
use crate::cli::admin::{Admin, ReasonArgs, provenance};
use crate::cli::{CommandError, CommandResult};

/// Arguments of `connection label`.
#[derive(Debug, Default, clap::Args)]
pub struct LabelArgs {
    /// Which.
    #[command(flatten)]
    pub chosen: Chosen,
    /// Give them this label, in place of one of the same key.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<Label>,
    /// Take the label of this key away.
    #[arg(long, value_name = "KEY")]
    pub unset: Vec<LabelKey>,
    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,
    /// Why.
    #[command(flatten)]
    pub reason: ReasonArgs,
}

/// Arguments of `connection mark-rotation`.
#[derive(Debug, Default, clap::Args)]
pub struct MarkArgs {
    /// Which.
    #[command(flatten)]
    pub chosen: Chosen,
    /// One JSON object a line.
    #[arg(long)]
    pub json: bool,
    /// Why.
    #[command(flatten)]
    pub reason: ReasonArgs,
}

pub(super) fn label(
    args: &LabelArgs,
    admin: &Admin,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> CommandResult {
    if args.set.is_empty() && args.unset.is_empty() {
        return Err(CommandError::usage(
            "say what to change: `--set KEY=VALUE`, `--unset KEY`",
        ));
    }
    let set = Labels::new(args.set.clone()).map_err(|error| CommandError::usage(error.to_string()))?;
    if set
        .iter()
        .any(|(key, _)| args.unset.iter().any(|unset| unset.as_str() == key))
    {
        return Err(CommandError::usage("a label is set and unset at once"));
    }
    let by = provenance(&args.reason)?;
    let rows = args.chosen.rows(admin)?;
    let (mut wished, mut outcomes) = (Vec::new(), Vec::new());
    for before in rows {
        let known = Labels::of_stored(&before.labels);
        let labels = known
            .changed(&args.set, &args.unset)
            .map_err(|error| CommandError::usage(format!("connection `{}`: {error}", before.name)))?;
        let what = if labels == known {
            What::Already
        } else {
            wished.push((before.id, labels.clone()));
            What::Changed(labels.to_text())
        };
        outcomes.push(Outcome { before, what });
    }
    admin.store.set_labels(&wished, &by)?;
    let telling = Telling {
        json: args.json,
        follow: false,
    };
    tell(&outcomes, &telling, admin, out, err)
}

pub(super) fn mark(
    args: &MarkArgs,
    admin: &Admin,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> CommandResult {
    let by = provenance(&args.reason)?;
    if by.reason.is_none() {
        return Err(CommandError::usage(
            "say why with `--reason`: whoever finds the mark must know what happened",
        ));
    }
    let rows = args.chosen.rows(admin)?;
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    admin.store.mark_rotation(&ids, &by)?;
    if rows.iter().any(|row| row.kind == CredentialKind::OAuth) {
        // Nobody to tell if stderr is gone.
        let _ = writeln!(
            err,
            "note: a stolen OAuth grant is ended only by uninstalling the app in that account, or by revoking it, and \
             installing again; refreshing it is no rotation"
        );
    }
    let outcomes: Vec<Outcome> = rows
        .into_iter()
        .map(|before| Outcome {
            before,
            what: What::Changed("due for rotation".to_owned()),
        })
        .collect();
    let telling = Telling {
        json: args.json,
        follow: true,
    };
    tell(&outcomes, &telling, admin, out, err)
}
