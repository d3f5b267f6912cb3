//! Any text as a GraphQL query, any JSON behind its first NUL as the variables: it is refused, or it asks, all of it as
//! reads, for exactly the types and links that a second reading by hand finds (`src/asked.rs`), whatever comments,
//! strings, aliases, directives and fragments stand between them; and no property that is found there is left out.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use scopegate_fuzz::access::effect::Effect;
use scopegate_fuzz::access::graphql;
use scopegate_fuzz::access::json::JudgedBody;
use scopegate_fuzz::access::object_type::ObjectType;
use scopegate_fuzz::access::target::Target;
use scopegate_fuzz::asked::asked;
use scopegate_fuzz::{catalogue, facts};

fuzz_target!(|text: &str| {
    let (query, variables) = text.split_once('\0').unwrap_or((text, "null"));
    let Ok(variables) = serde_json::from_str::<serde_json::Value>(variables) else {
        return;
    };
    let target = Target::parse("POST", "/collector/graphql").expect("a plain path");
    let recognised = catalogue().recognise(&target).expect("it is in the catalogue");
    let body = serde_json::json!({ "query": query, "variables": variables }).to_string();
    let Ok(body) = JudgedBody::parse(body.as_bytes()) else {
        return;
    };
    let Some(found) = facts(&target, &recognised, Some(&body)) else {
        return;
    };
    let asked = asked(query, &variables).unwrap_or_else(|why| panic!("it passes, and {why}"));

    let (mut types, mut links) = (BTreeSet::new(), BTreeSet::new());
    for need in &found.needs {
        assert_eq!(need.effect, Effect::Read);
        let touched = need.touches.iter().map(|touch| touch.object.clone());
        let touched: Option<Vec<ObjectType>> = touched.collect();
        match (need.operation == recognised.operation, touched.as_deref()) {
            (true, Some([object])) => assert!(types.insert(object.clone()), "a type twice"),
            (false, Some([from, to])) => assert!(links.insert((from.clone(), to.clone())), "a link twice"),
            _ => panic!("neither a type nor a link: {need:?}"),
        }
    }
    assert_eq!(types, asked.types.keys().cloned().collect());
    assert_eq!(links, asked.links);

    let resolved = graphql::resolve(catalogue(), body.value()).expect("it passed");
    for (object, names) in &asked.types {
        let of_type = resolved.types.iter().find(|known| known.object == *object);
        let of_type = of_type.expect("a need is of a type that was resolved");
        assert!(
            names.selected.is_subset(&of_type.selected),
            "a value is shown unseen"
        );
        assert!(
            names.filtered.is_subset(&of_type.filtered),
            "a filter looks unseen"
        );
    }
});
