//! From selections to values: collections and single records, their properties, and what they are
//! associated with.

use serde_json::{Map, Value, json};

use super::parse::{Document, Field, Selection};
use crate::sim::access::{self, Access};
use crate::sim::associations::store::End;
use crate::sim::call::Cx;
use crate::sim::object_types::ObjectKind;
use crate::sim::objects::{find, property_value};
use crate::sim::portal::PortalData;
use crate::sim::problem::Handled;
use crate::sim::records::Record;

/// Records of one collection, unless `limit` says otherwise.
const PAGE: usize = 10;
const PAGE_MOST: usize = 100;
/// Fields of one answer.
const FIELDS: usize = 50_000;
/// Fragments within fragments.
const SPREADS: usize = 20;

/// A refusal by status, or a GraphQL error by message.
type Answered<T> = Handled<Result<T, String>>;

/// `?` for the inner result.
macro_rules! inner {
    ($outcome:expr) => {
        match $outcome {
            Ok(value) => value,
            Err(message) => return Ok(Err(message)),
        }
    };
}

/// Answers the whole document.
pub(super) fn run(cx: Cx<'_>, document: &Document) -> Answered<Value> {
    let mut runner = Runner {
        cx,
        document,
        fields: 0,
    };
    let mut answer = Map::new();
    for root in inner!(runner.fields(&document.selections)) {
        if root.name != "CRM" {
            return Ok(Err(unknown(&root.name, "Query")));
        }
        let mut crm = Map::new();
        for field in inner!(runner.fields(&root.selections)) {
            let value = inner!(runner.of_crm(field)?);
            crm.insert(field.key.clone(), value);
        }
        answer.insert(root.key.clone(), Value::Object(crm));
    }
    Ok(Ok(Value::Object(answer)))
}

fn unknown(field: &str, on: &str) -> String {
    format!("Validation error: Field '{field}' in type '{on}' is undefined")
}

struct Runner<'a> {
    cx: Cx<'a>,
    document: &'a Document,
    fields: usize,
}

impl<'a> Runner<'a> {
    /// The fields of a selection, fragments taken apart.
    fn fields(&mut self, selections: &'a [Selection]) -> Result<Vec<&'a Field>, String> {
        let mut flat = Vec::new();
        self.flatten(selections, 0, &mut flat)?;
        self.fields += flat.len();
        match self.fields > FIELDS {
            true => Err("The query is too complex".to_owned()),
            false => Ok(flat),
        }
    }

    fn flatten(
        &self,
        selections: &'a [Selection],
        depth: usize,
        flat: &mut Vec<&'a Field>,
    ) -> Result<(), String> {
        if depth > SPREADS || flat.len() > FIELDS {
            return Err("The fragments are nested too deeply".to_owned());
        }
        for selection in selections {
            match selection {
                Selection::Field(field) => flat.push(field),
                Selection::Inline(inner) => self.flatten(inner, depth + 1, flat)?,
                Selection::Spread(name) => {
                    let fragment = self.document.fragments.get(name);
                    let fragment = fragment.ok_or_else(|| format!("Undefined fragment {name}"))?;
                    self.flatten(fragment, depth + 1, flat)?;
                }
            }
        }
        Ok(())
    }

    /// `contact_collection(…)` or `contact(uniqueIdentifier: …, uniqueIdentifierValue: …)`.
    fn of_crm(&mut self, field: &'a Field) -> Answered<Value> {
        let (word, collection) = match field.name.strip_suffix("_collection") {
            Some(word) => (word, true),
            None => (field.name.as_str(), false),
        };
        let Some(kind) = self.cx.who.portal.kind(word) else {
            return Ok(Err(unknown(&field.name, "CRM")));
        };
        access::allow(self.cx, kind, Access::Read)?;
        let portal = self.cx.who.portal.clone();
        let data = portal.read();
        if collection {
            let records: Vec<&Record> = data
                .table(kind)
                .into_iter()
                .flat_map(|table| table.live())
                .collect();
            return self.collection(&data, kind, field, records);
        }
        let text = |name: &str| field.arguments.get(name).map(plain);
        let (Some(name), Some(value)) = (text("uniqueIdentifier"), text("uniqueIdentifierValue")) else {
            return Ok(Err(
                "uniqueIdentifier and uniqueIdentifierValue are required".to_owned()
            ));
        };
        let name = if name == "id" {
            "hs_object_id".to_owned()
        } else {
            name
        };
        let found = find(&data, kind, &value, Some(&name)).ok();
        let record = found.and_then(|id| data.table(kind)?.get(id));
        match record.filter(|record| record.archived_ms.is_none()) {
            Some(record) => self.record(&data, kind, record, field),
            None => Ok(Ok(Value::Null)),
        }
    }

    fn collection(
        &mut self,
        data: &PortalData,
        kind: ObjectKind,
        field: &'a Field,
        records: Vec<&Record>,
    ) -> Answered<Value> {
        let number = |name: &str| field.arguments.get(name).and_then(Value::as_u64);
        let limit = number("limit").map_or(PAGE, |limit| usize::try_from(limit).unwrap_or(PAGE_MOST));
        let offset = usize::try_from(number("offset").unwrap_or(0)).unwrap_or(usize::MAX);
        let mut found = records;
        if let Some(filter) = field.arguments.get("filter") {
            let filter = inner!(tests(data, kind, filter));
            found.retain(|record| filter.iter().all(|test| test.holds(kind, record)));
        }
        if let Some(order) = field.arguments.get("orderBy").map(plain) {
            let (name, down) = match order.rsplit_once("__") {
                Some((name, direction)) => (name.to_owned(), direction == "desc"),
                None => (order, false),
            };
            found.sort_by_key(|record| property_value(kind, record, &name));
            if down {
                found.reverse();
            }
        }
        let mut answer = Map::new();
        for part in inner!(self.fields(&field.selections)) {
            let value = match part.name.as_str() {
                "total" => json!(found.len()),
                "limit" => json!(limit.min(PAGE_MOST)),
                "offset" => json!(offset),
                "hasMore" => json!(offset.saturating_add(limit.min(PAGE_MOST)) < found.len()),
                "__typename" => json!(format!("{}_collection", kind.spec().singular)),
                "items" => {
                    let mut items = Vec::new();
                    for record in found.iter().skip(offset).take(limit.min(PAGE_MOST)) {
                        items.push(inner!(self.record(data, kind, record, part)?));
                    }
                    Value::Array(items)
                }
                other => return Ok(Err(unknown(other, "collection"))),
            };
            answer.insert(part.key.clone(), value);
        }
        Ok(Ok(Value::Object(answer)))
    }

    fn record(
        &mut self,
        data: &PortalData,
        kind: ObjectKind,
        record: &Record,
        field: &'a Field,
    ) -> Answered<Value> {
        let mut answer = Map::new();
        for part in inner!(self.fields(&field.selections)) {
            let value = match part.name.as_str() {
                "__typename" => json!(format!("CRM_{}", kind.spec().singular)),
                "associations" => inner!(self.associations(data, kind, record, part)?),
                name => {
                    let Some(property) = data.property(kind, name) else {
                        return Ok(Err(unknown(name, kind.spec().singular)));
                    };
                    access::allow_sensitive(self.cx, kind, property.sensitivity, Access::Read)?;
                    json!(property_value(kind, record, name))
                }
            };
            answer.insert(part.key.clone(), value);
        }
        Ok(Ok(Value::Object(answer)))
    }

    /// `associations { company_collection__primary { … } }`: the label is not told apart.
    fn associations(
        &mut self,
        data: &PortalData,
        kind: ObjectKind,
        record: &Record,
        field: &'a Field,
    ) -> Answered<Value> {
        let mut answer = Map::new();
        for part in inner!(self.fields(&field.selections)) {
            let word = part.name.split("__").next().unwrap_or_default();
            let word = word.strip_suffix("_collection").unwrap_or_default();
            let Some(other) = ObjectKind::standard(word) else {
                return Ok(Err(unknown(&part.name, "associations")));
            };
            access::allow_both(self.cx, kind, other, Access::Read)?;
            let end = End { kind, id: record.id };
            let table = data.table(other);
            let ids = data.associations.of(end, other).map(|(id, _)| id);
            let records: Vec<&Record> = ids.filter_map(|id| table?.get(id)).collect();
            let value = inner!(self.collection(data, other, part, records)?);
            answer.insert(part.key.clone(), value);
        }
        Ok(Ok(Value::Object(answer)))
    }
}

/// `name__operator: value`.
struct Test {
    name: String,
    operator: String,
    value: String,
}

fn tests(data: &PortalData, kind: ObjectKind, filter: &Value) -> Result<Vec<Test>, String> {
    let members = filter.as_object().into_iter().flatten();
    members
        .map(|(key, value)| {
            let (name, operator) = key.rsplit_once("__").unwrap_or((key, "eq"));
            if data.property(kind, name).is_none() {
                return Err(unknown(name, "filter"));
            }
            if !["eq", "neq", "contains", "gt", "lt", "null"].contains(&operator) {
                return Err(unknown(key, "filter"));
            }
            Ok(Test {
                name: name.to_owned(),
                operator: operator.to_owned(),
                value: plain(value).to_lowercase(),
            })
        })
        .collect()
}

impl Test {
    fn holds(&self, kind: ObjectKind, record: &Record) -> bool {
        let value = property_value(kind, record, &self.name).map(|value| value.to_lowercase());
        let number = |text: &str| text.parse::<f64>().ok();
        let order = || number(value.as_deref()?)?.partial_cmp(&number(&self.value)?);
        match self.operator.as_str() {
            "eq" => value.as_deref() == Some(&self.value),
            "neq" => value.as_deref() != Some(&self.value),
            "contains" => value.is_some_and(|value| value.contains(&self.value)),
            "gt" => order() == Some(std::cmp::Ordering::Greater),
            "lt" => order() == Some(std::cmp::Ordering::Less),
            _ => value.is_none() == (self.value == "true"),
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
