//! A record as HubSpot writes it, with the properties that were asked for.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::sim::access::{self, Access};
use crate::sim::associations::store::End;
use crate::sim::associations::types as association_types;
use crate::sim::call::Cx;
use crate::sim::clock::iso;
use crate::sim::object_types::ObjectKind;
use crate::sim::options::AbsentValues;
use crate::sim::portal::PortalData;
use crate::sim::problem::Handled;
use crate::sim::records::Record;

/// Ids of one type shown inside a record.
const INLINE_ASSOCIATIONS: usize = 500;

/// Properties that `sales-email-read` protects.
const EMAIL_CONTENT: &[&str] = &["hs_email_text", "hs_email_html", "hs_email_subject"];

/// Which properties and associations an answer shows.
#[derive(Clone, Debug)]
pub(super) struct Selection {
    kind: ObjectKind,
    names: Vec<String>,
    history: Vec<String>,
    associations: Vec<ObjectKind>,
    absent: AbsentValues,
    redacted: bool,
    hub_id: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Rendered {
    #[serde(serialize_with = "as_text")]
    pub(super) id: u64,
    properties: BTreeMap<String, Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    properties_with_history: Option<BTreeMap<String, Vec<HistoryEntry>>>,
    created_at: String,
    updated_at: String,
    archived: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    archived_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    associations: Option<BTreeMap<String, InlinePage>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) new: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) object_write_trace_id: Option<String>,
    url: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HistoryEntry {
    value: String,
    timestamp: String,
    source_type: &'static str,
    source_id: &'static str,
}

#[derive(Debug, Serialize)]
struct InlinePage {
    results: Vec<InlineAssociation>,
}

#[derive(Debug, Serialize)]
struct InlineAssociation {
    id: String,
    #[serde(rename = "type")]
    how: String,
}

impl Selection {
    /// The named properties and the three that are always there; without any name, the defaults.
    /// A protected property without its scope is a 403.
    pub(super) fn new(
        cx: Cx<'_>,
        kind: ObjectKind,
        named: &[String],
        history: &[String],
        access: Access,
    ) -> Handled<Self> {
        let spec = kind.spec();
        let mut names: Vec<String> = ["hs_object_id", spec.created, spec.modified]
            .iter()
            .map(|name| (*name).to_owned())
            .collect();
        if named.is_empty() && history.is_empty() {
            names.extend(spec.defaults.iter().map(|name| (*name).to_owned()));
        }
        names.extend(named.iter().cloned());
        let selection = Self {
            kind,
            names,
            history: history.to_vec(),
            associations: Vec::new(),
            absent: cx.sim.options.absent_values,
            redacted: access::redacted(cx, kind),
            hub_id: cx.who.portal.hub_id(),
        };
        let data = cx.who.portal.read();
        let protected: Vec<_> = named
            .iter()
            .chain(history)
            .filter_map(|name| data.property(kind, name).map(|property| property.sensitivity))
            .collect();
        drop(data);
        for sensitivity in protected {
            access::allow_sensitive(cx, kind, sensitivity, access)?;
        }
        Ok(selection)
    }

    /// As a query names properties, history and associations.
    pub(super) fn of_query(cx: Cx<'_>, kind: ObjectKind) -> Handled<Self> {
        let query = &cx.call.query;
        let (named, history) = (query.list("properties"), query.list("propertiesWithHistory"));
        let mut selection = Self::new(cx, kind, &named, &history, Access::Read)?;
        for word in query.list("associations") {
            let other = access::kind(cx, &word)?;
            access::allow_both(cx, kind, other, Access::Read)?;
            selection.associations.push(other);
        }
        Ok(selection)
    }

    /// The record under this selection.
    pub(super) fn render(&self, data: &PortalData, record: &Record) -> Rendered {
        let mut properties = BTreeMap::new();
        for name in &self.names {
            if data.property(self.kind, name).is_none() {
                continue;
            }
            let value = self.value(record, name);
            if value.is_some() || self.absent == AbsentValues::Null {
                properties.insert(name.clone(), value);
            }
        }
        Rendered {
            id: record.id,
            properties,
            properties_with_history: (!self.history.is_empty()).then(|| self.render_history(data, record)),
            created_at: iso(record.created_ms),
            updated_at: iso(record.updated_ms),
            archived: record.archived_ms.is_some(),
            archived_at: record.archived_ms.map(iso),
            associations: self.render_associations(data, record),
            new: None,
            object_write_trace_id: None,
            url: format!(
                "https://app.hubspot.com/contacts/{}/record/{}/{}",
                self.hub_id,
                self.kind.type_id(),
                record.id
            ),
        }
    }

    fn value(&self, record: &Record, name: &str) -> Option<String> {
        if self.redacted && EMAIL_CONTENT.contains(&name) {
            return Some(String::new());
        }
        value(self.kind, record, name)
    }

    fn render_history(&self, data: &PortalData, record: &Record) -> BTreeMap<String, Vec<HistoryEntry>> {
        let known = self
            .history
            .iter()
            .filter(|name| data.property(self.kind, name).is_some());
        known
            .filter(|name| !(self.redacted && EMAIL_CONTENT.contains(&name.as_str())))
            .map(|name| {
                let entries = record.versions(name).into_iter().map(|version| HistoryEntry {
                    value: version.value,
                    timestamp: iso(version.at_ms),
                    source_type: version.source,
                    source_id: "simulator",
                });
                (name.clone(), entries.collect())
            })
            .collect()
    }

    fn render_associations(
        &self,
        data: &PortalData,
        record: &Record,
    ) -> Option<BTreeMap<String, InlinePage>> {
        let mut pages = BTreeMap::new();
        for other in &self.associations {
            let from = End {
                kind: self.kind,
                id: record.id,
            };
            let results: Vec<InlineAssociation> = data
                .associations
                .of(from, *other)
                .flat_map(|(id, types)| types.iter().map(move |how| (id, *how)))
                .take(INLINE_ASSOCIATIONS)
                .map(|(id, how)| InlineAssociation {
                    id: id.to_string(),
                    how: association_types::v3_name(self.kind, *other, how),
                })
                .collect();
            if !results.is_empty() {
                pages.insert(other.path_name(), InlinePage { results });
            }
        }
        (!pages.is_empty()).then_some(pages)
    }
}

/// Ids are decimal strings.
fn as_text<S: serde::Serializer>(id: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

/// A property's value; the id and the times are properties as well.
pub(in crate::sim) fn value(kind: ObjectKind, record: &Record, name: &str) -> Option<String> {
    let spec = kind.spec();
    match name {
        "hs_object_id" => Some(record.id.to_string()),
        _ if name == spec.created => Some(iso(record.created_ms)),
        _ if name == spec.modified => Some(iso(record.updated_ms)),
        _ => record.value(name).map(str::to_owned),
    }
}
