//! `catalogue.extra`: an operator's own operations, and stricter readings of known ones.
//!
//! It may add a row, raise a known operation's effect, or ask for more scopes. It never lowers:
//! a file that could open what the shipped tables keep closed would be a policy outside the policies.

use super::CatalogueError;
use super::rows::{Resolve, Row, is_version};
use super::scopes::covers;
use super::tree::{Tree, Walk};
use super::types::ObjectTypes;
use crate::access::facts::Requirement;
use crate::access::target::Target;

/// What stands for a parameter when a template is read as a path.
const PLACEHOLDER: &str = "placeholder-of-a-parameter";

/// Merges `more` into `rows`, which the shipped tables filled.
pub(super) fn apply(rows: &mut Vec<Row>, more: Vec<Row>, types: &ObjectTypes) -> Result<(), CatalogueError> {
    let shipped = Tree::build(rows, &[]);
    for new in more {
        let known = find(&shipped, &new, types)?;
        match known.and_then(|index| rows.get_mut(index)) {
            Some(row) if shape(&row.template) == shape(&new.template) => {
                raise_row(row, &new)?;
                raise_operation(rows, &new)?;
                continue;
            }
            Some(row) => check_shadow(row, &new)?,
            None => {}
        }
        let sibling = rows
            .iter()
            .find(|row| row.method == new.method && shape(&row.template) == shape(&new.template));
        if let Some(sibling) = sibling
            && sibling.id != new.id
        {
            return Err(error(
                &new,
                format!("other versions of it are the operation `{}`", sibling.id),
            ));
        }
        raise_operation(rows, &new)?;
        rows.push(new);
    }
    Ok(())
}

/// The shipped row that reads the paths of `new`, in whatever layout.
fn find(shipped: &Tree, new: &Row, types: &ObjectTypes) -> Result<Option<usize>, CatalogueError> {
    let segments = new.template.split('/');
    let path: Vec<&str> = segments
        .map(|s| if s.starts_with('{') { PLACEHOLDER } else { s })
        .collect();
    let target = Target::parse(new.method.as_str(), &path.join("/"))
        .map_err(|refusal| error(new, format!("`path` is no path: {}", refusal.cause)))?;
    Ok(match shipped.walk(&target, types) {
        Walk::Found(row, _) => Some(row.0 as usize),
        Walk::UnknownVersion | Walk::Unknown => None,
    })
}

/// The template without its version and the names of its parameters: equal for all layouts and
/// versions of one identity.
fn shape(template: &str) -> Vec<&str> {
    template
        .trim_matches('/')
        .split('/')
        .filter(|segment| !is_version(segment))
        .map(|segment| if segment.starts_with('{') { "{}" } else { segment })
        .collect()
}

/// A literal where the shipped tables have a parameter takes paths away from a known operation.
fn check_shadow(known: &Row, new: &Row) -> Result<(), CatalogueError> {
    let is_closed = matches!(&new.resolve, Resolve::Body)
        || matches!(&new.resolve, Resolve::Fixed(requirement) if requirement.is_empty());
    let is_weaker = new.effect != known.effect && !new.effect.is_at_least(known.effect);
    if is_weaker || !is_closed {
        return Err(error(
            new,
            format!(
                "its paths are read as `{}` ({}); give it at least that effect and no `least`, so that only its name opens it",
                known.id,
                known.effect.as_str()
            ),
        ));
    }
    Ok(())
}

fn raise_row(known: &mut Row, new: &Row) -> Result<(), CatalogueError> {
    if known.id != new.id {
        return Err(error(new, format!("its operation is `{}`", known.id)));
    }
    known.risks = known.risks.union(new.risks);
    known.marks.inline_associations |= new.marks.inline_associations;
    known.marks.irreversible_if_archived |= new.marks.irreversible_if_archived;
    known.marks.delete_if_removing |= new.marks.delete_if_removing;
    match (&mut known.resolve, &new.resolve) {
        (Resolve::Body, Resolve::Body) => {}
        (Resolve::Body, _) => {
            return Err(error(
                new,
                "its object types stand in the body: say `body` in `resolve`",
            ));
        }
        (_, Resolve::Body) => return Err(error(new, "its object types are not found in the body")),
        (Resolve::Fixed(known), Resolve::Fixed(raised)) => {
            if !asks_for_more(raised, known) {
                return Err(error(new, "`least` asks for less than the shipped table"));
            }
            *known = raised.clone();
        }
        (known, raised) => {
            if *known != *raised {
                return Err(error(
                    new,
                    "its object types are found in another way: repeat the shipped `resolve`",
                ));
            }
        }
    }
    Ok(())
}

/// The effect of an operation is one over all its rows: raised for one spelling, raised for all.
fn raise_operation(rows: &mut [Row], new: &Row) -> Result<(), CatalogueError> {
    for row in rows.iter_mut().filter(|row| row.id == new.id) {
        if new.effect != row.effect && !new.effect.is_at_least(row.effect) {
            let (is, to) = (row.effect.as_str(), new.effect.as_str());
            return Err(error(
                new,
                format!("`{}` is {is} and can't be lowered to {to}", row.id),
            ));
        }
        row.effect = new.effect;
    }
    Ok(())
}

/// Whether whoever meets `new` meets `known`, too. Nothing meets the empty requirement.
fn asks_for_more(new: &Requirement, known: &Requirement) -> bool {
    new.iter().all(|term| known.iter().any(|old| covers(old, term)))
}

fn error(new: &Row, message: impl Into<String>) -> CatalogueError {
    let message = format!("{} {}: {}", new.method.as_str(), new.template, message.into());
    CatalogueError::new("catalogue.extra", new.line, message)
}
