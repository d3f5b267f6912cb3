//! `catalogue.extra`: an operator's own operations, and stricter readings of known ones.
//!
//! It may add a row, raise a known operation's effect, or ask for more scopes. It never lowers:
//! a file that could open what the shipped tables keep closed would be a policy outside the policies.
//! What is known of an operation holds for each further version and layout of it, too. A row that says
//! `body` alone is refused whatever rules say: only the shipped readers (`body:…`) read bodies.

use super::CatalogueError;
use super::rows::{Resolve, Row, TypeSource, is_version};
use super::scopes::covers;
use super::siblings::{self, Kin};
use super::tree::{Tree, Walk};
use super::types::ObjectTypes;
use crate::access::facts::Requirement;
use crate::access::target::Target;

/// What stands for a parameter when a template is read as a path.
const PLACEHOLDER: &str = "placeholder-of-a-parameter";

/// Merges `more` into `rows`, which the shipped tables filled.
pub(super) fn apply(rows: &mut Vec<Row>, more: Vec<Row>, types: &ObjectTypes) -> Result<(), CatalogueError> {
    let shipped = Tree::build(rows, &[]);
    for mut new in more {
        let known = find(&shipped, &new, types)?;
        if let Some(row) = known.and_then(|index| rows.get_mut(index)) {
            if shape(&row.template) == shape(&new.template) {
                raise_row(row, &new)?;
                raise_operation(rows, &new)?;
                continue;
            }
            check_shadow(row, &new)?;
            inherit(&mut new, row);
        }
        check_siblings(rows, &mut new, types)?;
        raise_operation(rows, &new)?;
        rows.push(new);
    }
    Ok(())
}

/// A new row may be a known operation under another version or layout: whatever is known of that
/// holds here, too. One that is none may still take the paths of others.
fn check_siblings(rows: &[Row], new: &mut Row, types: &ObjectTypes) -> Result<(), CatalogueError> {
    let of_kin = |kin: Kin| -> Vec<&Row> {
        let kin_of = |row: &&Row| siblings::kin(row, new, types) == kin;
        rows.iter().filter(kin_of).collect()
    };
    let (exact, generic) = (of_kin(Kin::Sibling), of_kin(Kin::Generic));
    let others = of_kin(Kin::Overlaps);
    if let Some(other) = exact.iter().find(|row| row.id != new.id) {
        return Err(error(
            new,
            format!("other versions of it are the operation `{}`", other.id),
        ));
    }
    // Where the tables have rows of the type itself, those decide which operation it is.
    if exact.is_empty()
        && let Some(other) = generic.iter().find(|row| row.id != new.id)
    {
        return Err(error(
            new,
            format!("for any type its operation is `{}`", other.id),
        ));
    }
    let known: Vec<&Row> = exact
        .into_iter()
        .chain(generic.into_iter().filter(|row| row.id == new.id))
        .collect();
    for row in &known {
        check_sibling(row, new, types)?;
    }
    if known.is_empty() {
        let taken: Vec<&Row> = others
            .into_iter()
            .filter(|row| !siblings::is_answered_before(rows, row, new))
            .collect();
        for row in taken {
            check_shadow(row, new)?;
            inherit(new, row);
        }
    }
    for row in known {
        inherit(new, row);
    }
    Ok(())
}

/// Whether `new` asks for all that its sibling of another version asks for.
fn check_sibling(known: &Row, new: &Row, types: &ObjectTypes) -> Result<(), CatalogueError> {
    if new.takes_rest && !known.takes_rest {
        return Err(error(
            new,
            "in other versions it ends here: leave `multi-segment-param` out",
        ));
    }
    if known.stands_in_body() != new.stands_in_body() {
        return Err(error(
            new,
            match known.stands_in_body() {
                true => "its object types stand in the body in other versions: say `body` in `resolve`",
                false => "its object types are not found in the body in other versions",
            },
        ));
    }
    if new.is_unjudged() {
        return Ok(());
    }
    if known.reader() != new.reader()
        || known.surface() != new.surface()
        || siblings::types_of(known, new, types) != siblings::places(new)
    {
        return Err(error(
            new,
            "its object types are found in another way in other versions: say the same in `resolve`",
        ));
    }
    let is_less = match (&known.resolve, &new.resolve) {
        (Resolve::Fixed(old), Resolve::Fixed(raised)) => !asks_for_more(raised, old),
        (_, Resolve::OwnRecords(TypeSource::Literal(object), raised)) => {
            !asks_for_more(raised, &known.requirement(types, object))
        }
        (Resolve::OwnRecords(..), _) => known.resolve != new.resolve,
        (Resolve::Definitions(_), Resolve::Pipelines(_))
        | (Resolve::Pipelines(_), Resolve::Definitions(_)) => true,
        _ => false,
    };
    if is_less {
        return Err(error(
            new,
            format!("`least` asks for less than `{}` does in other versions", known.id),
        ));
    }
    Ok(())
}

/// What query and body may do on the known row, they may do on the new one.
fn inherit(new: &mut Row, known: &Row) {
    new.risks = new.risks.union(known.risks);
    new.marks.merge(known.marks);
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
pub(super) fn shape(template: &str) -> Vec<&str> {
    template
        .trim_matches('/')
        .split('/')
        .filter(|segment| !is_version(segment))
        .map(|segment| if segment.starts_with('{') { "{}" } else { segment })
        .collect()
}

/// A literal where the shipped tables have a parameter takes paths away from a known operation.
fn check_shadow(known: &Row, new: &Row) -> Result<(), CatalogueError> {
    if known.stands_in_body() && !new.is_unjudged() {
        return Err(error(
            new,
            format!(
                "its paths are read as `{}`, whose types stand in the body: say `body` in `resolve`",
                known.id
            ),
        ));
    }
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
    known.marks.merge(new.marks);
    match (&mut known.resolve, &new.resolve) {
        // What says `body` alone is refused: the strictest reading there is.
        (known @ (Resolve::Body | Resolve::Read(_)), Resolve::Body) => *known = Resolve::Body,
        (Resolve::Read(known), Resolve::Read(new)) if known.reader == new.reader => {}
        (Resolve::Body | Resolve::Read(_), _) => {
            return Err(error(
                new,
                "its object types stand in the body: say `body` in `resolve`",
            ));
        }
        (_, Resolve::Body | Resolve::Read(_)) => {
            return Err(error(new, "its object types are not found in the body"));
        }
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
