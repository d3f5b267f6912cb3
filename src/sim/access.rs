//! Whether a credential may touch an object type: the type by its spelling, the scopes by direction.

use super::call::Cx;
use super::object_types::ObjectKind;
use super::options::{AssociationScopes, EmailContent, PairedScopes};
use super::problem::{Handled, Problem};
use super::property::Sensitivity;
use super::scopes::Need;

/// What is done to a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
    SchemaRead,
    SchemaWrite,
}

const EMAIL_CONTENT: Need = &[&["sales-email-read"]];

/// The type a word means, if the credential may do this to it.
pub(super) fn open(cx: Cx<'_>, word: &str, access: Access) -> Handled<ObjectKind> {
    let kind = kind(cx, word)?;
    allow(cx, kind, access)?;
    Ok(kind)
}

/// The type a word means in the caller's portal.
pub(super) fn kind(cx: Cx<'_>, word: &str) -> Handled<ObjectKind> {
    cx.who
        .portal
        .kind(word)
        .ok_or_else(|| Problem::unknown_type(word))
}

/// The 403 when the credential lacks the scopes.
pub(super) fn allow(cx: Cx<'_>, kind: ObjectKind, access: Access) -> Handled<()> {
    let (spec, scopes) = (kind.spec(), cx.who.scopes());
    let need = match access {
        Access::Read => spec.read,
        Access::Write => spec.write,
        Access::SchemaRead => spec.schema_read,
        Access::SchemaWrite => spec.schema_write,
    };
    if matches!(access, Access::Read | Access::Write) {
        if is_pair(need) && all_of_pair(cx) {
            let missing = need.iter().any(|all| !all.iter().all(|name| scopes.has(name)));
            let names = need
                .iter()
                .flat_map(|all| all.iter())
                .map(|name| (*name).to_owned())
                .collect();
            return if missing {
                Err(Problem::missing_scopes(names, true))
            } else {
                Ok(())
            };
        }
        if spec.name == "emails" && cx.sim.options.email_content == EmailContent::Refused {
            scopes.require(EMAIL_CONTENT)?;
        }
    }
    scopes.require(need)
}

/// Both ends of an association, under the rule this simulator was told.
pub(super) fn allow_both(cx: Cx<'_>, from: ObjectKind, to: ObjectKind, access: Access) -> Handled<()> {
    let first = allow(cx, from, access);
    let second = allow(cx, to, access);
    match cx.sim.options.association_scopes {
        AssociationScopes::BothSides => first.and(second),
        AssociationScopes::EitherSide => first.or(second),
    }
}

/// Whether the e-mail content properties of this record type come back empty.
pub(super) fn redacted(cx: Cx<'_>, kind: ObjectKind) -> bool {
    kind.spec().name == "emails"
        && cx.sim.options.email_content == EmailContent::Redacted
        && !cx.who.scopes().satisfy(EMAIL_CONTENT)
}

/// The 403 when a protected property is named without its scope.
pub(super) fn allow_sensitive(cx: Cx<'_>, kind: ObjectKind, of: Sensitivity, access: Access) -> Handled<()> {
    let Some(word) = of.scope_word() else {
        return Ok(());
    };
    let direction = if access == Access::Write { "write" } else { "read" };
    let name = kind.spec().name;
    let base = format!("crm.objects.{name}.{word}.{direction}");
    let mut accepted = vec![format!("{base}.v2"), base];
    if name == "tickets" {
        accepted.extend([format!("tickets.{word}.v2"), format!("tickets.{word}")]);
    }
    if accepted.iter().any(|scope| cx.who.scopes().has(scope)) {
        return Ok(());
    }
    Err(Problem::missing_scopes(accepted, false))
}

/// An e-commerce pair: HubSpot's versions disagree whether it is OR or AND.
fn is_pair(need: Need) -> bool {
    need.len() == 2 && need.iter().any(|all| *all == ["e-commerce"])
}

fn all_of_pair(cx: Cx<'_>) -> bool {
    match cx.sim.options.paired_scopes {
        PairedScopes::AnyOf => false,
        PairedScopes::AllOf => true,
        PairedScopes::ByVersion => matches!(cx.call.version.as_str(), "2025-09" | "2026-09"),
    }
}
