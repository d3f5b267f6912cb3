//! What is granted of a type's properties, in a policy's own words.

use serde_json::{Value, json};

use crate::access::fields::{Direction, Names, Pattern, View};

/// Most names shown of a set; machines get all of them.
const NAMES_MAX: usize = 12;

/// `all`, `all but *ssn*`, or `read: email, firstname; write: -`.
pub fn words(view: &View) -> String {
    let [read, write] = Direction::BOTH.map(|direction| view.names(direction));
    let values = view.values();
    if values.is_empty() && read == write {
        return set(&read, &|name| name.to_owned());
    }
    let with_values = |name: &str| match values.get(name) {
        Some(list) => format!("{name} ({})", list.join("|")),
        None => name.to_owned(),
    };
    let mut words = format!(
        "read: {}; write: {}",
        set(&read, &|name| name.to_owned()),
        set(&write, &with_values)
    );
    if !matches!(write, Names::Listed(_)) && !values.is_empty() {
        let values: Vec<String> = values.keys().map(|name| with_values(name)).collect();
        words.push_str(&format!(", of these {}", values.join(", ")));
    }
    words
}

fn set(names: &Names, show: &dyn Fn(&str) -> String) -> String {
    match names {
        Names::All => "all".to_owned(),
        Names::Listed(names) if names.is_empty() => "-".to_owned(),
        Names::Listed(names) => some(names.iter().map(|name| show(name)).collect()),
        Names::Except { patterns, derived } => {
            let patterns = some(
                patterns
                    .iter()
                    .map(|pattern| pattern.as_str().to_owned())
                    .collect(),
            );
            match derived.len() {
                0 => format!("all but {patterns}"),
                more => format!("all but {patterns} (and {more} derived from them)"),
            }
        }
    }
}

fn some(mut names: Vec<String>) -> String {
    let more = names.len().saturating_sub(NAMES_MAX);
    names.truncate(NAMES_MAX);
    match more {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

/// `"all"`, or a mapping as in a policy. An empty list is none; `derived` is hidden beside what
/// matches, since it tells of it.
pub fn as_json(view: &View) -> Value {
    let [read, write] = Direction::BOTH.map(|direction| view.names(direction));
    let values = view.values();
    if read.is_all() && write.is_all() && values.is_empty() {
        return "all".into();
    }
    let set = |names: &Names| match names {
        Names::All => json!("all"),
        Names::Listed(names) => json!(names),
        Names::Except { patterns, derived } => {
            let patterns: Vec<&str> = patterns.iter().map(Pattern::as_str).collect();
            match derived.is_empty() {
                true => json!({ "except": patterns }),
                false => json!({ "except": patterns, "derived": derived }),
            }
        }
    };
    let mut granted = json!({ "read": set(&read), "write": set(&write) });
    if let Some(granted) = granted.as_object_mut().filter(|_| !values.is_empty()) {
        let lists = values
            .into_iter()
            .map(|(name, list)| (name.into_string(), json!(list)));
        granted.insert("values".to_owned(), Value::Object(lists.collect()));
    }
    granted
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::access::fields::{Bounds, Entry, OnExtra, Properties};
    use crate::access::object_type::ObjectType;

    #[test]
    fn a_view_is_said_in_the_words_of_a_policy() {
        let many: Vec<String> = (10..30).map(|number| format!("p{number}")).collect();
        let many = Names::listed(many.iter().map(String::as_str));
        let ssn = || Names::except(["*ssn*", "iban"]);
        let stage = ["stage"];
        for (read, write, valued, expected) in [
            (Names::All, Names::All, &[][..], "all"),
            (Names::none(), Names::none(), &[], "-"),
            (ssn(), ssn(), &[], "all but *ssn*, iban"),
            (ssn(), Names::none(), &[], "read: all but *ssn*, iban; write: -"),
            (
                Names::listed(["b", "a"]),
                Names::All,
                &[],
                "read: a, b; write: all",
            ),
            (
                Names::none(),
                Names::listed(["amount", "stage"]),
                &stage,
                "read: -; write: amount, stage (won|lost)",
            ),
            (
                Names::All,
                Names::All,
                &stage,
                "read: all; write: all, of these stage (won|lost)",
            ),
            (
                many.clone(),
                many,
                &[],
                "p10, p11, p12, p13, p14, p15, p16, p17, p18, p19, p20, p21 and 8 more",
            ),
        ] {
            let values: BTreeMap<Box<str>, Box<[Box<str>]>> = valued
                .iter()
                .map(|name| ((*name).into(), ["won".into(), "lost".into()].into()))
                .collect();
            let entry = Entry { read, write, values };
            let block = Properties::new(Vec::new(), Some(entry), OnExtra::Strip);
            let bounds = Bounds {
                policy: Some(Arc::new(block)),
                ceiling: None,
            };
            assert_eq!(words(&bounds.view(&ObjectType::Known(0))), expected);
        }
    }
}
