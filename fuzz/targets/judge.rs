//! Any query and body of any operation under property rules: what goes up names no hidden property of a contact
//! where HubSpot looks for one.
//!
//! The first two bytes choose the operation, the first line is the query, the rest the body.
#![no_main]

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use libfuzzer_sys::fuzz_target;
use scopegate_fuzz::access::catalogue::{BodyNeed, Recognised};
use scopegate_fuzz::access::effect::Effect;
use scopegate_fuzz::access::fields::grant::{ALWAYS_READABLE, Bounds, Entry, Names, OnExtra, Properties};
use scopegate_fuzz::access::fields::judge::{self, Request};
use scopegate_fuzz::access::gather::gather;
use scopegate_fuzz::access::json::{Json, JudgedBody};
use scopegate_fuzz::access::query::Query;
use scopegate_fuzz::access::target::Target;
use scopegate_fuzz::{catalogue, rows};

const READ: [&str; 2] = ["email", "firstname"];
const WRITTEN: [&str; 2] = ["firstname", "phone"];

/// Where requests name properties that they read, whatever the case and the signs.
const CARRIERS: [&str; 8] = [
    "properties",
    "propertieswithhistory",
    "property",
    "propertyname",
    "idproperty",
    "sort",
    "sorts",
    "q",
];

/// Of contacts two properties may be read and two written, of companies all but some, of others nothing.
fn bounds() -> &'static Bounds {
    static BOUNDS: OnceLock<Bounds> = OnceLock::new();
    BOUNDS.get_or_init(|| {
        let entry = |read, write| Entry {
            read,
            write,
            values: BTreeMap::new(),
        };
        let named = |name: &str, entry| {
            let object = catalogue().object_type(name).expect("a known type");
            let spellings = catalogue().object_spellings(&object);
            (object, spellings, entry)
        };
        let types = vec![
            named("contacts", entry(Names::listed(READ), Names::listed(WRITTEN))),
            named(
                "companies",
                entry(Names::except(["*secret*"]), Names::except(["domain"])),
            ),
        ];
        Bounds {
            policy: Some(Arc::new(Properties::new(types, None, OnExtra::Strip))),
            ceiling: None,
        }
    })
}

/// Operations on records of contacts, and all there are.
fn chosen(choice: u16) -> (&'static Target, &'static Recognised) {
    static CONTACTS: OnceLock<Vec<usize>> = OnceLock::new();
    let contacts = CONTACTS.get_or_init(|| {
        let contacts = catalogue().object_type("contacts");
        let is_of_contacts = |found: &Recognised| {
            let operation = catalogue().operation(found.operation).expect("an operation");
            found.types.first() == contacts.as_ref() && operation.id.starts_with("crm.objects.")
        };
        let all = rows().iter().enumerate();
        all.filter(|(_, (_, found))| is_of_contacts(found))
            .map(|(index, _)| index)
            .collect()
    });
    let choice_of = usize::from(choice >> 1);
    let index = match choice & 1 {
        0 => contacts[choice_of % contacts.len()],
        _ => choice_of % rows().len(),
    };
    let (target, recognised) = &rows()[index];
    (target, recognised)
}

fn may_be_read(name: &str) -> bool {
    let name = name.trim().to_lowercase();
    let bare = name.trim_start_matches('-').trim();
    bare.is_empty()
        || READ.contains(&bare)
        || ALWAYS_READABLE.contains(&bare)
        || bare == "id"
        || bare.starts_with("associations.")
}

fn folded(key: &str) -> String {
    let plain = key.chars().filter(|c| c.is_alphanumeric());
    plain.flat_map(char::to_lowercase).collect()
}

/// Every string in what is said of properties must be a name that may be read.
fn check_names(value: &Json) {
    match value {
        Json::String(name) => assert!(may_be_read(name), "{name:?} goes up"),
        Json::Array(items) => items.iter().for_each(check_names),
        _ => check_read(value),
    }
}

fn check_read(value: &Json) {
    match value {
        Json::Array(items) => items.iter().for_each(check_read),
        Json::Object(members) => {
            for (key, value) in members {
                match CARRIERS.contains(&folded(key).as_str()) {
                    true => check_names(value),
                    false => check_read(value),
                }
            }
        }
        _ => {}
    }
}

/// `{"name": value}`, or `[{"name" or "property", "value"}]`, at any depth.
fn check_written(value: &Json) {
    let written = |name: &str| {
        let name = name.trim().to_lowercase();
        assert!(WRITTEN.contains(&name.as_str()), "{name:?} is set");
    };
    match value {
        Json::Array(items) => items.iter().for_each(check_written),
        Json::Object(members) => {
            for (key, value) in members {
                match (folded(key).as_str(), value) {
                    ("properties", Json::Object(set)) => set.iter().for_each(|(name, _)| written(name)),
                    ("name" | "property", Json::String(name)) => written(name),
                    ("idproperty", name) => check_names(name),
                    ("value", _) => {}
                    (_, value) => check_written(value),
                }
            }
        }
        _ => {}
    }
}

fn check_query(query: &Query) {
    for (name, value) in query.iter() {
        if CARRIERS.contains(&folded(name).as_str()) {
            for name in value.split(',') {
                assert!(may_be_read(name), "{name:?} goes up in the query");
            }
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, text)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let (query, body) = text.split_once('\n').unwrap_or((text, ""));
    let (target, recognised) = chosen(u16::from_le_bytes(choice));
    let full = format!("{}?{query}", target.path_and_query());
    let Ok(target) = Target::parse(target.method().as_str(), &full) else {
        return;
    };
    let Ok(again) = catalogue().recognise(&target) else {
        return;
    };
    assert_eq!(&again, recognised, "a query changes the operation");
    let reads_body = recognised.body_need() != BodyNeed::None
        || judge::body_need(catalogue(), recognised, bounds()) != BodyNeed::None;
    let body = match reads_body {
        false => None,
        true => match JudgedBody::parse(body.as_bytes()) {
            Ok(body) => Some(body),
            Err(_) => return,
        },
    };
    let Ok(facts) = gather(catalogue(), recognised, &target, body.as_ref()) else {
        return;
    };
    let body = body.as_ref().map(JudgedBody::value);
    let request = Request {
        recognised,
        target: &target,
        body,
    };
    let Ok(plan) = judge::judge(catalogue(), &facts, request, bounds()) else {
        return;
    };
    assert!(plan.body.is_none() || body.is_some(), "a body that nobody sent");
    let operation = catalogue().operation(recognised.operation).expect("an operation");
    let is_of_contacts = recognised.types.first() == catalogue().object_type("contacts").as_ref();
    if !operation.id.starts_with("crm.objects.") || !is_of_contacts {
        return;
    }
    check_query(plan.query.as_ref().unwrap_or(target.query()));
    let Some(up) = plan.body.as_ref().or(body) else {
        return;
    };
    let effect = catalogue().row(recognised.row).expect("a row").effect;
    match effect {
        Effect::Write => check_written(up),
        _ => check_read(up),
    }
});
