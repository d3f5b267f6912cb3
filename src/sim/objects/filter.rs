//! Search filters: which records a search means.

use std::cmp::Ordering;
use std::collections::HashSet;

use serde::Deserialize;

use super::render::value;
use crate::sim::access::{self, Access};
use crate::sim::associations::store::End;
use crate::sim::call::Cx;
use crate::sim::clock::parse_time_ms;
use crate::sim::object_types::ObjectKind;
use crate::sim::portal::PortalData;
use crate::sim::problem::{Context, Detail, Handled, Problem};
use crate::sim::records::Record;

/// Values in one `IN`.
const VALUES: usize = 100;

#[derive(Debug, Deserialize)]
pub(super) struct FilterGroup {
    #[serde(default)]
    pub(super) filters: Vec<Filter>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Filter {
    pub(super) property_name: String,
    operator: Operator,
    #[serde(default)]
    value: Option<serde_json::Value>,
    #[serde(default)]
    high_value: Option<serde_json::Value>,
    #[serde(default)]
    values: Vec<serde_json::Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Operator {
    Eq,
    Neq,
    Lt,
    Lte,
    Gt,
    Gte,
    Between,
    In,
    NotIn,
    HasProperty,
    NotHasProperty,
    ContainsToken,
    NotContainsToken,
}

/// A filter that is known to make sense.
#[derive(Debug)]
pub(super) struct Test {
    subject: Subject,
    operator: Operator,
    /// The value, the upper bound, the list: in lower case.
    low: String,
    high: String,
    list: HashSet<String>,
}

#[derive(Debug)]
enum Subject {
    /// A property and its type.
    Property { name: String, value_type: String },
    /// `associations.{type}`: the ids of associated records.
    Associated(ObjectKind),
}

/// Checks filters against the definitions, then makes them ready to run.
pub(super) fn prepare(cx: Cx<'_>, kind: ObjectKind, groups: Vec<FilterGroup>) -> Handled<Vec<Vec<Test>>> {
    groups
        .into_iter()
        .map(|group| {
            group
                .filters
                .into_iter()
                .map(|filter| prepare_one(cx, kind, filter))
                .collect()
        })
        .collect()
}

fn prepare_one(cx: Cx<'_>, kind: ObjectKind, filter: Filter) -> Handled<Test> {
    let subject = match filter.property_name.strip_prefix("associations.") {
        Some(word) => {
            let other = access::kind(cx, word)?;
            access::allow_both(cx, kind, other, Access::Read)?;
            Subject::Associated(other)
        }
        None => {
            let data = cx.who.portal.read();
            let property = data
                .property(kind, &filter.property_name)
                .ok_or_else(|| unknown_property(&filter.property_name))?;
            let (value_type, sensitivity) = (property.value_type.clone(), property.sensitivity);
            drop(data);
            access::allow_sensitive(cx, kind, sensitivity, Access::Read)?;
            Subject::Property {
                name: filter.property_name,
                value_type,
            }
        }
    };
    let needs_value = !matches!(
        filter.operator,
        Operator::In | Operator::NotIn | Operator::HasProperty | Operator::NotHasProperty
    );
    let needs_list = matches!(filter.operator, Operator::In | Operator::NotIn);
    if (needs_value && filter.value.is_none())
        || (filter.operator == Operator::Between && filter.high_value.is_none())
        || (needs_list && filter.values.is_empty())
        || filter.values.len() > VALUES
    {
        return Err(
            Problem::validation("There was a problem with the request.").detail(Detail {
                message: "operator and values do not fit together".to_owned(),
                code: Some("INVALID_FILTER"),
                place: None,
                context: None,
            }),
        );
    }
    Ok(Test {
        subject,
        operator: filter.operator,
        low: filter.value.map(plain).unwrap_or_default(),
        high: filter.high_value.map(plain).unwrap_or_default(),
        list: filter.values.into_iter().map(plain).collect(),
    })
}

/// The 400 for a property that is not defined.
pub(super) fn unknown_property(name: &str) -> Box<Problem> {
    Problem::validation("There was a problem with the request.").detail(Detail {
        message: format!("Property \"{name}\" does not exist"),
        code: Some("PROPERTY_DOESNT_EXIST"),
        place: None,
        context: Some(Context(vec![("propertyName".to_owned(), vec![name.to_owned()])])),
    })
}

/// Whether any group holds as a whole; no group = every record.
pub(super) fn passes(groups: &[Vec<Test>], kind: ObjectKind, data: &PortalData, record: &Record) -> bool {
    groups.is_empty()
        || groups
            .iter()
            .any(|tests| tests.iter().all(|test| test.holds(kind, data, record)))
}

impl Test {
    fn holds(&self, kind: ObjectKind, data: &PortalData, record: &Record) -> bool {
        match &self.subject {
            Subject::Associated(other) => self.holds_associated(kind, *other, data, record),
            Subject::Property { name, value_type } => {
                let value = value(kind, record, name).map(|value| value.to_lowercase());
                self.holds_value(value.as_deref(), value_type)
            }
        }
    }

    fn holds_associated(
        &self,
        kind: ObjectKind,
        other: ObjectKind,
        data: &PortalData,
        record: &Record,
    ) -> bool {
        let mut ids = data
            .associations
            .of(End { kind, id: record.id }, other)
            .map(|(id, _)| id.to_string());
        match self.operator {
            Operator::Eq => ids.any(|id| id == self.low),
            Operator::Neq => !ids.any(|id| id == self.low),
            Operator::In => ids.any(|id| self.list.contains(&id)),
            Operator::NotIn => !ids.any(|id| self.list.contains(&id)),
            Operator::HasProperty => ids.next().is_some(),
            Operator::NotHasProperty => ids.next().is_none(),
            _ => false,
        }
    }

    fn holds_value(&self, value: Option<&str>, value_type: &str) -> bool {
        let order = |bound: &str| value.and_then(|value| compare(value, bound, value_type));
        match self.operator {
            Operator::HasProperty => value.is_some(),
            Operator::NotHasProperty => value.is_none(),
            Operator::Eq => order(&self.low) == Some(Ordering::Equal),
            Operator::Neq => value.is_some() && order(&self.low) != Some(Ordering::Equal),
            Operator::Lt => order(&self.low) == Some(Ordering::Less),
            Operator::Lte => matches!(order(&self.low), Some(Ordering::Less | Ordering::Equal)),
            Operator::Gt => order(&self.low) == Some(Ordering::Greater),
            Operator::Gte => matches!(order(&self.low), Some(Ordering::Greater | Ordering::Equal)),
            Operator::Between => {
                matches!(order(&self.low), Some(Ordering::Greater | Ordering::Equal))
                    && matches!(order(&self.high), Some(Ordering::Less | Ordering::Equal))
            }
            Operator::In => value.is_some_and(|value| self.list.contains(value)),
            Operator::NotIn => value.is_some_and(|value| !self.list.contains(value)),
            Operator::ContainsToken => value.is_some_and(|value| has_token(value, &self.low)),
            Operator::NotContainsToken => value.is_some_and(|value| !has_token(value, &self.low)),
        }
    }
}

/// Orders two values as their type does.
pub(super) fn compare(left: &str, right: &str, value_type: &str) -> Option<Ordering> {
    match value_type {
        "number" => left.parse::<f64>().ok()?.partial_cmp(&right.parse::<f64>().ok()?),
        "date" | "datetime" => {
            let upper = |text: &str| parse_time_ms(&text.to_ascii_uppercase());
            Some(upper(left)?.cmp(&upper(right)?))
        }
        _ => Some(left.cmp(right)),
    }
}

/// Whether a word of `value` is `token`; `*` at either end stands for anything.
fn has_token(value: &str, token: &str) -> bool {
    let bare = token.trim_matches('*');
    let (open_start, open_end) = (token.starts_with('*'), token.ends_with('*') && token.len() > 1);
    let fits = |word: &str| match (open_start, open_end) {
        (true, true) => word.contains(bare),
        (true, false) => word.ends_with(bare),
        (false, true) => word.starts_with(bare),
        (false, false) => word == bare,
    };
    fits(value)
        || value
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .any(fits)
}

fn plain(value: serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.to_lowercase(),
        other => other.to_string().to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_ordered_as_their_type_is() {
        for (left, right, value_type, order) in [
            ("9", "10", "number", Some(Ordering::Less)),
            ("9", "10", "string", Some(Ordering::Greater)),
            (
                "2026-01-01",
                "2026-01-01t00:00:00.000z",
                "datetime",
                Some(Ordering::Equal),
            ),
            ("x", "1", "number", None),
        ] {
            assert_eq!(
                compare(left, right, value_type),
                order,
                "{left} {right} {value_type}"
            );
        }
    }

    #[test]
    fn tokens_match_words_with_a_wildcard_at_either_end() {
        for (token, holds) in [
            ("ada", true),
            ("ad", false),
            ("ad*", true),
            ("*com", true),
            ("*xampl*", true),
            ("ada.l@example.com", true),
            ("bob", false),
        ] {
            assert_eq!(has_token("ada.l@example.com", token), holds, "{token}");
        }
    }
}
