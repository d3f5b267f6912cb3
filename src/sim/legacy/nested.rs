//! Property values as older APIs nest them: `{"name": {"value": …, "versions": […]}}`.

use serde_json::{Map, Value, json};

use crate::sim::call::Cx;
use crate::sim::definitions;
use crate::sim::object_types::ObjectKind;
use crate::sim::portal::PortalData;
use crate::sim::property::Sensitivity;
use crate::sim::records::Record;

/// How much of a property is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// The value alone.
    Value,
    /// Value, time, source and all versions.
    Versions,
}

/// The names to show: those asked for under `parameter`, or `all`.
pub(super) fn names(cx: Cx<'_>, parameters: &[&str]) -> Vec<String> {
    parameters
        .iter()
        .flat_map(|name| cx.call.query.list(name))
        .collect()
}

/// All properties of the type. Protected values are silently left out, as older APIs do.
pub(super) fn all(data: &PortalData, kind: ObjectKind) -> Vec<String> {
    definitions::in_use(data, kind)
        .filter(|property| property.sensitivity == Sensitivity::Ordinary)
        .map(|property| property.name.clone())
        .collect()
}

/// The properties that have a value, nested.
pub(super) fn properties(
    data: &PortalData,
    kind: ObjectKind,
    record: &Record,
    names: &[String],
    depth: Depth,
) -> Value {
    let spec = kind.spec();
    let mut map = Map::new();
    for name in names {
        let shown = data
            .property(kind, name)
            .is_some_and(|property| property.sensitivity == Sensitivity::Ordinary);
        if !shown {
            continue;
        }
        let value = match name.as_str() {
            "hs_object_id" => Some(record.id.to_string()),
            other if other == spec.created => Some(record.created_ms.to_string()),
            other if other == spec.modified => Some(record.updated_ms.to_string()),
            other => record.value(other).map(str::to_owned),
        };
        if let Some(value) = value {
            map.insert(name.clone(), nested(record, name, value, depth));
        }
    }
    Value::Object(map)
}

fn nested(record: &Record, name: &str, value: String, depth: Depth) -> Value {
    if depth == Depth::Value {
        return json!({ "value": value });
    }
    let versions: Vec<Value> = record
        .versions(name)
        .into_iter()
        .map(|version| {
            json!({
                "name": name,
                "value": version.value,
                "timestamp": version.at_ms,
                "source": version.source,
                "source-type": version.source,
                "source-id": null,
                "sourceVid": [],
            })
        })
        .collect();
    json!({
        "value": value,
        "timestamp": record.updated_ms,
        "source": "API",
        "sourceId": null,
        "versions": versions,
    })
}
