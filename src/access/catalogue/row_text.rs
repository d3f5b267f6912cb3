//! One table of operations, read into rows.

use super::CatalogueError;
use super::reader::Reader;
use super::recognise::BodyNeed;
use super::rows::{Marks, Reading, Resolve, Row, TypeSource, is_operation_id, is_version};
use super::scopes::{Scopes, freeze};
use super::table::{Record, Table};
use super::types::ObjectTypes;
use crate::access::effect::Effect;
use crate::access::facts::{Risks, ScopeIndex};
use crate::access::target::Method;

/// Reads one table of operations. All three (specifications, legacy, the operator's own) have the
/// columns `method path id effect`; `former_ids resolve least notes` may be left out.
pub(super) fn parse(
    name: &'static str,
    text: &str,
    scopes: &Scopes,
    types: &ObjectTypes,
) -> Result<Vec<Row>, CatalogueError> {
    let table = Table::parse(name, text)?;
    table
        .records()
        .map(|record| row(&record, scopes, types))
        .collect()
}

fn row(record: &Record<'_, '_>, scopes: &Scopes, types: &ObjectTypes) -> Result<Row, CatalogueError> {
    let method = Method::parse(record.need("method")?)
        .ok_or_else(|| record.error("`method` is one of GET, POST, PUT, PATCH, DELETE"))?;
    let template = record.need("path")?;
    check_template(template).map_err(|message| record.error(message))?;
    let id = record.need("id")?;
    if !is_operation_id(id) {
        return Err(record.error(format!(
            "`{id}` is no operation id: AREA.RESOURCE.VERB, a-z, 0-9 and -"
        )));
    }
    let effect = Effect::parse(record.need("effect")?)
        .ok_or_else(|| record.error("`effect` is one of read, write, delete, irreversible, auth, meta"))?;
    let notes: Vec<&str> = record
        .optional("notes")
        .map_or(Vec::new(), |n| n.split(',').collect());
    let has = |note: &str| notes.contains(&note);
    let risks = notes
        .iter()
        .filter_map(|note| Risks::parse(note))
        .fold(Risks::default(), Risks::union);
    let least = record.optional("least").unwrap_or("-");
    let resolve = record.optional("resolve").unwrap_or("fixed");
    let resolve = parse_resolve(resolve, least, template, effect, scopes, types)
        .map_err(|message| record.error(message))?;
    Ok(Row {
        method,
        template: template.into(),
        version: template
            .split('/')
            .find(|segment| is_version(segment))
            .map(Into::into),
        id: id.into(),
        effect,
        risks,
        line: record.line(),
        former_ids: record
            .optional("former_ids")
            .map_or(Vec::new(), |ids| ids.split(',').map(Into::into).collect()),
        accepted: accepted(record, &resolve, scopes),
        resolve,
        marks: Marks {
            inline_associations: has("inline-associations"),
            irreversible_if_archived: has("irreversible-if-archived=true"),
            delete_if_removing: has("delete-if-removing"),
            delete_if_refiltering: has("delete-if-refiltering"),
            delete_if_restaging: has("delete-if-restaging"),
            concerns_types: has("concerns-types"),
            concerns_contacts: has("concerns-contacts"),
            shows_links: has("shows-links"),
            names_many: has("names-many") || is_batch(id),
            names_none: has("names-none"),
            searches: id == "crm.objects.search" && method == Method::Post,
            associated_objects: has("associated-objects"),
        },
        takes_rest: has("multi-segment-param"),
        body_need: BodyNeed::None,
    })
}

/// The specifications' any-of list, where it is one of this row's own and speaks of no type.
fn accepted(record: &Record<'_, '_>, resolve: &Resolve, scopes: &Scopes) -> Vec<ScopeIndex> {
    let list = record.optional("scopes").filter(|list| !list.starts_with('@'));
    match (resolve, list) {
        (Resolve::Fixed(_), Some(list)) => list.split('|').filter_map(|name| scopes.find(name)).collect(),
        _ => Vec::new(),
    }
}

/// Whether an operation's id says that its requests name many records at once.
fn is_batch(id: &str) -> bool {
    id.split('.').any(|part| part == "batch" || part == "batch-async")
}

fn parse_resolve(
    resolve: &str,
    least: &str,
    template: &str,
    effect: Effect,
    scopes: &Scopes,
    types: &ObjectTypes,
) -> Result<Resolve, String> {
    let own = || Ok::<_, String>(freeze(&scopes.requirement(least)?));
    let (kind, names) = resolve.split_once(':').unwrap_or((resolve, ""));
    let sources = || -> Result<Vec<TypeSource>, String> {
        let sources = names.split(',').map(|name| type_source(name, template, types));
        let sources: Vec<_> = sources.collect::<Result<_, _>>()?;
        if sources.len() > 2 {
            return Err("at most two types".to_owned());
        }
        Ok(sources)
    };
    Ok(match kind {
        "fixed" | "any" => Resolve::Fixed(own()?),
        "body" if names.is_empty() => Resolve::Body,
        "body" => {
            let reader = Reader::parse(names).ok_or_else(|| format!("unknown reader `{names}`"))?;
            let only = reader.only().iter().map(|name| types.resolve(name));
            let only = only.collect::<Option<Vec<_>>>();
            Resolve::Read(Reading {
                reader,
                only: only.filter(|only| !only.is_empty()),
                // `@write(body)`: those of the types that are found.
                own: if least.starts_with('@') {
                    None
                } else {
                    Some(own()?)
                },
            })
        }
        "literal" => {
            let source = type_source(names, template, types)?;
            let TypeSource::Literal(object) = &source else {
                return Err("`literal:` names a type".to_owned());
            };
            let agreed = types.row(object).map(|row| match effect {
                Effect::Read => &*row.least_read,
                _ => &*row.least_write,
            });
            match agreed == Some(least) {
                true => Resolve::Records(vec![source]),
                false => Resolve::OwnRecords(source, own()?),
            }
        }
        "type" | "types" => Resolve::Records(sources()?),
        "schema" => Resolve::Definitions(sources()?),
        "pipeline" => Resolve::Pipelines(type_source(names, template, types)?),
        _ => return Err(format!("unknown `resolve` `{resolve}`")),
    })
}

fn type_source(name: &str, template: &str, types: &ObjectTypes) -> Result<TypeSource, String> {
    if !name.starts_with('{') {
        let object = types
            .resolve(name)
            .ok_or_else(|| format!("unknown object type `{name}`"))?;
        return Ok(TypeSource::Literal(object));
    }
    let position = template
        .split('/')
        .filter(|segment| segment.starts_with('{'))
        .position(|segment| segment == name)
        .ok_or_else(|| format!("the path has no parameter `{name}`"))?;
    u8::try_from(position)
        .map(TypeSource::Parameter)
        .map_err(|_| "more than 255 parameters".to_owned())
}

fn check_template(template: &str) -> Result<(), String> {
    let Some(rest) = template.strip_prefix('/') else {
        return Err("`path` begins with /".to_owned());
    };
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    for segment in rest.split('/') {
        let name = segment
            .strip_prefix('{')
            .and_then(|s| s.strip_suffix('}'))
            .unwrap_or(segment);
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if name.is_empty() || name.starts_with('.') || !name.bytes().all(is_plain) {
            return Err(format!("`{segment}` is neither a literal nor a {{parameter}}"));
        }
    }
    match rest.split('/').filter(|segment| is_version(segment)).count() {
        0 | 1 => Ok(()),
        _ => Err("`path` has more than one version segment".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_and_ids_with_odd_characters_are_refused() {
        assert!(check_template("/crm/v3/objects/{objectType}").is_ok());
        for bad in [
            "crm/v3",
            "/crm//v3",
            "/crm/{a",
            "/crm/../x",
            "/crm/v3/v4/x",
            "/a b",
            "/{}",
        ] {
            assert!(check_template(bad).is_err(), "{bad}");
        }
        assert!(is_operation_id("crm.objects.gdpr-delete"));
        for bad in ["crm", "crm..get", "CRM.objects", "crm.objects.", "crm.o*"] {
            assert!(!is_operation_id(bad), "{bad}");
        }
    }
}
