//! The properties that a call names, in whatever carrier: what a draft lists. What the live path then
//! says of the call under the draft decides; this is only where the draft begins.

use std::collections::BTreeSet;

use crate::access::fields::grant::ALWAYS_READABLE;
use crate::access::fields::plan::plain_name;
use crate::access::json::Json;
use crate::access::query::Query;

/// Properties by what a call does with them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Asked for, filtered or sorted by.
    pub read: BTreeSet<String>,
    /// Set.
    pub write: BTreeSet<String>,
}

impl Named {
    /// Those of a call.
    pub fn by(query: &Query, body: Option<&Json>) -> Self {
        let mut named = Self::default();
        for parameter in ["properties", "property", "propertiesWithHistory"] {
            let values = query.all(parameter).flat_map(|value| value.split(','));
            values.for_each(|name| named.reads(name));
        }
        query.all("idProperty").for_each(|name| named.reads(name));
        if let Some(body) = body {
            named.body(body);
            for item in items(body, "inputs") {
                named.body(item);
            }
        }
        named
    }

    /// Adds a property that is read; the ones that always may be need no naming.
    pub fn reads(&mut self, name: &str) {
        let name = plain_name(name.trim());
        if name != "?" && !ALWAYS_READABLE.contains(&&*name) {
            self.read.insert(name);
        }
    }

    /// Adds a property that is set.
    pub fn writes(&mut self, name: &str) {
        let name = plain_name(name.trim());
        if name != "?" {
            self.write.insert(name);
        }
    }

    fn body(&mut self, body: &Json) {
        match body.get("properties") {
            Some(Json::Object(members)) => members.iter().for_each(|(name, _)| self.writes(name)),
            Some(Json::Array(listed)) => listed.iter().for_each(|item| self.listed(item)),
            _ => {}
        }
        for item in items(body, "propertiesWithHistory") {
            self.listed(item);
        }
        let groups = items(body, "filterGroups").flat_map(|group| items(group, "filters"));
        for filter in groups.chain(items(body, "filters")).chain(items(body, "sorts")) {
            match filter {
                Json::String(name) => self.reads(name.trim_start_matches('-')),
                filter => text(filter, "propertyName")
                    .into_iter()
                    .for_each(|name| self.reads(name)),
            }
        }
        text(body, "idProperty")
            .into_iter()
            .for_each(|name| self.reads(name));
        let pages = items(body, "files").filter_map(|file| file.get("fileImportPage"));
        pages
            .flat_map(|page| items(page, "columnMappings"))
            .filter_map(|mapping| text(mapping, "propertyName"))
            .for_each(|name| self.writes(name));
    }

    /// A name that is asked for, or `{property: …, value: …}` as the oldest versions set it.
    fn listed(&mut self, item: &Json) {
        match item {
            Json::String(name) => self.reads(name),
            item => text(item, "property")
                .or(text(item, "name"))
                .into_iter()
                .for_each(|name| self.writes(name)),
        }
    }
}

fn items<'j>(value: &'j Json, key: &str) -> impl Iterator<Item = &'j Json> {
    let list = match value.get(key) {
        Some(Json::Array(items)) => items.as_slice(),
        _ => &[],
    };
    list.iter()
}

fn text<'j>(value: &'j Json, key: &str) -> Option<&'j str> {
    match value.get(key) {
        Some(Json::String(text)) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::json::JudgedBody;

    #[test]
    fn names_are_found_in_every_carrier_and_values_never() {
        for (query, body, read, write) in [
            (
                "properties=email,createdate&properties=Phone&idProperty=ext",
                "",
                vec!["email", "ext", "phone"],
                vec![],
            ),
            (
                "",
                r#"{"properties": {"email": "secret"}}"#,
                vec![],
                vec!["email"],
            ),
            (
                "",
                r#"{"properties": [{"property": "email", "value": "secret"}, {"name": "b", "value": 1}]}"#,
                vec![],
                vec!["b", "email"],
            ),
            (
                "",
                r#"{"filterGroups": [{"filters": [{"propertyName": "email", "value": "secret"}]}], "sorts": ["-phone", {"propertyName": "city"}], "properties": ["name"]}"#,
                vec!["city", "email", "name", "phone"],
                vec![],
            ),
            (
                "",
                r#"{"inputs": [{"idProperty": "email", "id": "secret", "properties": {"a": 1}}]}"#,
                vec!["email"],
                vec!["a"],
            ),
            (
                "",
                r#"{"files": [{"fileImportPage": {"columnMappings": [{"propertyName": "email"}, {"columnName": "secret"}]}}]}"#,
                vec![],
                vec!["email"],
            ),
            ("", r#"{"properties": {"not a name": 1}}"#, vec![], vec![]),
        ] {
            let query = Query::parse(query).unwrap();
            let body = (!body.is_empty()).then(|| JudgedBody::parse(body.as_bytes()).unwrap());
            let named = Named::by(&query, body.as_ref().map(JudgedBody::value));
            assert_eq!(named.read.iter().collect::<Vec<_>>(), read);
            assert_eq!(named.write.iter().collect::<Vec<_>>(), write);
        }
    }
}
