//! `connection rotate`: another credential for a connection that stays what it is.

use std::io::Write;
use std::path::PathBuf;

use super::select::find;
use crate::access::connection::{CredentialKind, Standing};
use crate::cli::admin::{Admin, ReasonArgs, print, provenance, runtime};
use crate::cli::kill::{warn_of_stops, warn_of_stops_left};
use crate::cli::{CommandError, CommandResult, Exit};
use crate::tokens::Enrolment;
use crate::vault::secret_file;

/// Arguments of `connection rotate`.
#[derive(Debug, Default, clap::Args)]
pub struct RotateArgs {
    /// Its name.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// A file with the new private-app token or service key.
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "refresh_token_file",
        conflicts_with = "refresh_token_file"
    )]
    pub token_file: Option<PathBuf>,
    /// A file with the refresh token of the new grant, after somebody has authorised the app again.
    #[arg(long, value_name = "FILE")]
    pub refresh_token_file: Option<PathBuf>,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
    /// Why.
    #[command(flatten)]
    pub reason: ReasonArgs,
}

pub(super) fn rotate(
    args: &RotateArgs,
    admin: &Admin,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> CommandResult {
    let by = provenance(&args.reason)?;
    let (file, kind) = match (&args.token_file, &args.refresh_token_file) {
        (Some(file), None) => (file, CredentialKind::PrivateApp),
        (None, Some(file)) => (file, CredentialKind::OAuth),
        _ => {
            return Err(CommandError::usage(
                "give either `--token-file` or `--refresh-token-file`",
            ));
        }
    };
    let row = find(&args.name, admin)?;
    let credential = secret_file::read(file).map_err(|error| CommandError::usage(error.to_string()))?;
    let (vault, client, endpoints) = (admin.vault()?, admin.client()?, admin.endpoints());
    let enrolment = Enrolment {
        store: &admin.store,
        vault: &vault,
        client: &client,
        endpoints: &endpoints,
    };
    let rejected = row.health.as_deref() == Some("rejected");
    if row.standing.refusal().is_none() && !rejected && enrolment.holds(&row, &credential).unwrap_or(false) {
        return Err(CommandError::findings(format!(
            "it is the credential that connection `{}` has already: nothing was changed",
            row.name
        ))
        .hint("rotate it at HubSpot first, and give the new one here"));
    }
    let rotated = runtime()?.block_on(enrolment.rotate(&row, kind, &credential, &by))?;
    let (kind_now, standing) = (rotated.kind.as_str(), rotated.standing.as_str());
    let text = if args.json {
        let object = serde_json::json!({
            "name": row.name.as_str(),
            "id": row.id.as_str(),
            "portal": row.portal.get(),
            "kind": kind_now,
            "before": row.standing.as_str(),
            "state": standing,
            "same": rotated.same,
        });
        format!("{object}\n")
    } else {
        format!("{} portal {} {kind_now} {standing}\n", row.name, row.portal)
    };
    print(out, &text)?;
    let note = match rotated.standing {
        Standing::Ok if rotated.same => {
            "note: HubSpot takes the same credential again; its age is counted from when it was first given\n"
        }
        Standing::Ok => "",
        Standing::InstallerRemoved => {
            "warning: the same person as before is behind the new credential, so the connection stays stopped\n"
        }
        _ => {
            "warning: the credential is replaced, and the connection stays stopped until it is resumed or revived\n"
        }
    };
    // Nobody to tell if stderr is gone.
    let _ = err.write_all(note.as_bytes());
    if kind == CredentialKind::OAuth && !rotated.same {
        let _ = writeln!(
            err,
            "note: the old grant works at HubSpot until it is revoked there, and its last access token for up to half \
             an hour more"
        );
    }
    admin.tell_followers(err);
    warn_of_stops(&[&row.name], admin, err);
    warn_of_stops_left(&row, admin, err);
    Ok(Exit::Fine)
}
