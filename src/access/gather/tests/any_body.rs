//! Whatever a body says: no type that it names is missed, and nothing panics.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Requests whose bodies name types by members that say so.
const REQUESTS: [&str; 6] = [
    "POST /crm/v3/imports",
    "POST /crm/v3/exports/export/async",
    "POST /crm/v3/lists",
    "POST /crm/v3/lists/records/memberships/batch/read",
    "POST /crm/v3/schemas/0-1/associations",
    "PUT /crm/v3/lists/5/update-list-filters",
];

const KEYS: [&str; 22] = [
    "objectTypeId",
    "ObjectTypeId",
    "objectType",
    "object_type",
    "associatedObjectType",
    "importOperations",
    "files",
    "fileImportPage",
    "columnMappings",
    "columnObjectTypeId",
    "toColumnObjectTypeId",
    "columnObjectTypeId ",
    "fromObjectTypeId",
    "toObjectTypeId",
    "filterBranch",
    "filterBranches",
    "filters",
    "inputs",
    "Inputs",
    "publicCrmSearchRequest",
    "name",
    "0-5",
];

fn values() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        4 => prop::sample::select(vec!["0-1", "0-2", "0-3", "contact", "p_car", "cars", "CREATE"])
            .prop_map(|text| Json::String(text.into())),
        1 => Just(Json::Null),
        1 => Just(Json::Number("1".into())),
    ];
    leaf.prop_recursive(6, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Json::Array),
            prop::collection::btree_map(prop::sample::select(KEYS.to_vec()), inner, 0..5).prop_map(
                |members| {
                    Json::Object(
                        members
                            .into_iter()
                            .map(|(key, value)| (key.into(), value))
                            .collect(),
                    )
                }
            ),
        ]
    })
}

/// The types under members whose names speak of types, where the request's own shape has them: at the
/// top, in a column, in a filter, in an input.
fn named(value: &Json, found: &mut BTreeSet<String>) {
    match value {
        Json::Array(items) => items.iter().for_each(|item| named(item, found)),
        Json::Object(members) => {
            for (key, value) in members {
                if let Json::String(name) = value
                    && shape::fold(key).collect::<String>().contains("objecttype")
                    && let Some(object) = catalogue().object_type(name)
                {
                    found.insert(catalogue().object_name(&object).to_owned());
                }
                named(value, found);
            }
        }
        _ => {}
    }
}

/// The types of an import: the names of `importOperations`, and what columns say.
fn import(value: &Json, found: &mut BTreeSet<String>) {
    if let Some(Json::Object(operations)) = value.get("importOperations") {
        let objects = operations
            .iter()
            .filter_map(|(name, _)| catalogue().object_type(name));
        found.extend(objects.map(|object| catalogue().object_name(&object).to_owned()));
    }
    let Some(Json::Array(files)) = value.get("files") else {
        return;
    };
    for file in files {
        let columns = file
            .get("fileImportPage")
            .and_then(|page| page.get("columnMappings"));
        let Some(Json::Array(columns)) = columns else {
            continue;
        };
        for column in columns {
            let Json::Object(members) = column else { continue };
            let plain = members
                .iter()
                .filter(|(_, value)| matches!(value, Json::String(_)));
            named(&Json::Object(plain.cloned().collect()), found);
        }
    }
}

/// `value` without what a request of this kind has no place for.
fn places(request: &str, value: &Json) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let top = |names: &[&str], found: &mut BTreeSet<String>| {
        if let Json::Object(members) = value {
            let kept = members.iter().filter(|(key, _)| names.contains(&key.as_str()));
            named(&Json::Object(kept.cloned().collect()), found);
        }
    };
    match request {
        "POST /crm/v3/imports" => import(value, &mut found),
        "POST /crm/v3/exports/export/async" => top(&["objectType", "associatedObjectType"], &mut found),
        "POST /crm/v3/schemas/0-1/associations" => top(&["fromObjectTypeId", "toObjectTypeId"], &mut found),
        _ => named(value, &mut found),
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_type_that_a_body_names_is_asked_for_or_the_request_is_refused(
        request in prop::sample::select(REQUESTS.to_vec()),
        body in values(),
    ) {
        let (method, target) = request.split_once(' ').unwrap();
        let target = Target::parse(method, target).unwrap();
        let recognised = catalogue().recognise(&target).unwrap();
        let judged = JudgedBody::from(body.clone());
        let Ok(facts) = gather(catalogue(), &recognised, &target, Some(&judged)) else {
            return Ok(());
        };
        let touched = facts.needs.iter().flat_map(|need| &need.touches).filter_map(|touch| touch.object.as_ref());
        let seen: BTreeSet<String> = touched
            .chain(&facts.concerns)
            .map(|object| catalogue().object_name(object).to_owned())
            .collect();
        let missed: Vec<String> = places(request, &body).difference(&seen).cloned().collect();
        prop_assert!(missed.is_empty(), "{} {:?} {:?}", request, missed, body);
    }

    #[test]
    fn no_body_makes_a_reader_panic(
        row in 0..catalogue().operations().count(),
        body in values(),
    ) {
        let (_, operation) = catalogue().operations().nth(row).unwrap();
        for index in &operation.rows {
            let row = catalogue().row(*index).unwrap();
            let path: Vec<&str> = row
                .template
                .split('/')
                .map(|segment| if segment.starts_with('{') { "2-7" } else { segment })
                .collect();
            let target = Target::parse(row.method.as_str(), &path.join("/")).unwrap();
            let Ok(recognised) = catalogue().recognise(&target) else { continue };
            let judged = JudgedBody::from(body.clone());
            let _ = gather(catalogue(), &recognised, &target, Some(&judged));
        }
    }
}
