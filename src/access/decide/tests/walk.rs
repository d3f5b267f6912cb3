//! Walks over the whole catalogue: what must hold for every operation.

use super::*;
use crate::access::catalogue::Direction;
use crate::access::object_type::ObjectType;
use crate::access::policy::opens::opened_by;

/// One rule for each scope of a direction, with all types it serves.
fn all_scopes(direction: Direction) -> String {
    let mut text = String::from("allow:\n");
    for (_, scope) in catalogue().scopes().filter(|(_, s)| s.direction == direction) {
        let mut objects: Vec<&str> = scope.serves.iter().map(|o| catalogue().object_name(o)).collect();
        if scope.serves_custom {
            objects.push("custom");
        }
        text.push_str(&format!("  - scope: {}\n", scope.name));
        if scope.named_after.is_some() || objects.is_empty() {
            text.push_str(&format!("  - scope: {}\n", scope.name));
        }
        if !objects.is_empty() {
            let last = text.rfind("  - scope").unwrap();
            text.truncate(last);
            text.push_str(&format!(
                "  - scope: {}\n    objects: [{}]\n",
                scope.name,
                objects.join(", ")
            ));
        }
    }
    text
}

#[test]
fn nothing_of_effect_write_or_stronger_is_opened_by_read_named_scopes_alone() {
    let policy = policy(&all_scopes(Direction::Read));
    let opened = opened_by(&policy.allow, &[], catalogue());
    assert!(opened.len() > 500, "{}", opened.len());
    for found in opened {
        assert_eq!(found.opening.effect, Effect::Read, "{}", found.label(catalogue()));
    }
}

#[test]
fn write_named_scopes_alone_open_writes_and_nothing_else() {
    let policy = policy(&all_scopes(Direction::Write));
    let opened = opened_by(&policy.allow, &[], catalogue());
    assert!(opened.len() > 300, "{}", opened.len());
    for found in opened {
        assert_eq!(
            found.opening.effect,
            Effect::Write,
            "{}",
            found.label(catalogue())
        );
        assert!(found.opening.risks.is_empty(), "{}", found.label(catalogue()));
    }
}

#[test]
fn without_risks_named_no_scope_opens_a_row_with_a_risk() {
    for direction in [Direction::Read, Direction::Write] {
        let policy = policy(&all_scopes(direction));
        for found in opened_by(&policy.allow, &[], catalogue()) {
            assert!(found.opening.risks.is_empty(), "{}", found.label(catalogue()));
        }
    }
}

#[test]
fn an_operation_without_a_scope_is_opened_by_none() {
    let mut text = all_scopes(Direction::Read);
    text.push_str(all_scopes(Direction::Write).trim_start_matches("allow:\n"));
    let policy = policy(&text);
    for found in opened_by(&policy.allow, &[], catalogue()) {
        assert!(
            !found.opening.touch.requirement.is_empty(),
            "{}",
            found.label(catalogue())
        );
    }
}

#[test]
fn every_operation_can_be_named_and_opens_itself_alone() {
    let any = ObjectType::Custom(Arc::from("2-1"));
    let mut named = 0;
    for opening in catalogue().openings(&any).step_by(37) {
        let operation = catalogue().operation(opening.operation).unwrap();
        let objects = match &opening.touch.object {
            None => String::new(),
            Some(object) => format!("    objects: [{}]\n", catalogue().object_name(object)),
        };
        // What its requests can be raised to is named beside it.
        let effects = match opening.effect == operation.effect {
            true => String::new(),
            false => format!("    effects: [{}]\n", opening.effect.as_str()),
        };
        let policy = policy(&format!(
            "allow:\n  - operation: {}\n{objects}{effects}",
            operation.id
        ));
        let opened = opened_by(&policy.allow, &[], catalogue());
        assert!(
            opened.iter().all(|o| o.opening.operation == opening.operation),
            "{}",
            operation.id
        );
        assert!(opened.iter().any(|o| o.opening == opening), "{}", operation.id);
        named += 1;
    }
    assert!(named > 50);
}

#[test]
fn a_denied_operation_is_closed_whatever_opens_it() {
    let read = all_scopes(Direction::Read);
    let policy = policy(&format!("{read}deny:\n  - operation: \"*\"\n"));
    assert!(opened_by(&policy.allow, &policy.deny, catalogue()).is_empty());
}

#[test]
fn the_compiled_denials_and_the_written_ones_agree_everywhere() {
    let text = "allow:\n  - operation: crm.objects.get\n    objects: [p_car]\ndeny:\n  - effects: [delete]\n    objects: [companies, p_car]\n  - operation: [\"crm.properties.*\", crm.owners.list]\n  - scope: [tickets, crm.objects.deals.read]\n    effects: [read]\n  - risks: [bulk-export]\n  - operation: \"crm.objects.*\"\n    objects: [custom]\n    effects: [irreversible]\n";
    let policy = policy(text);
    let any = ObjectType::Custom(Arc::from("p_car"));
    let mut caught = 0;
    for opening in catalogue().openings(&any) {
        let need = Need {
            operation: opening.operation,
            effect: opening.effect,
            risks: opening.risks,
            touches: [opening.touch.clone()].into_iter().collect(),
        };
        let written = policy.deny.iter().position(|rule| rule.catches(&need));
        let compiled = policy
            .tables
            .denied(&policy.tables.layers(ACME), &need)
            .map(usize::from);
        assert_eq!(written, compiled, "{opening:?}");
        caught += usize::from(written.is_some());
    }
    assert!(caught > 100);
}
