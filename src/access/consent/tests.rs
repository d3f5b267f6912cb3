//! Policies and ceilings in, scopes out.

use super::*;

struct World {
    catalogue: Catalogue,
    policies: Vec<Policy>,
    ceiling: Option<Ceiling>,
}

const NOW: &str = "2026-11-26T12:00:00Z";

fn world(policies: &[(&str, &str, &str)], ceiling: Option<&str>) -> World {
    let catalogue = Catalogue::embedded().unwrap();
    let policies = policies.iter().map(|(name, connections, rules)| {
        let text = format!("integration: {name}\nowner: a@example.com\nconnections: {connections}\n{rules}");
        let file = format!("policies/{name}.yaml").into();
        let loaded = Policy::load(&file, name, &text.into(), &catalogue, NOW.parse().unwrap());
        loaded.unwrap_or_else(|mistakes| panic!("{mistakes:?}")).0
    });
    let policies = policies.collect();
    let ceiling = ceiling.map(|text| {
        Ceiling::load(&"_ceiling.yaml".into(), &text.into(), &catalogue)
            .unwrap_or_else(|mistakes| panic!("{mistakes:?}"))
            .0
    });
    World {
        catalogue,
        policies,
        ceiling,
    }
}

impl World {
    fn asked(&self, name: &str, app: &str) -> Consent {
        let connection = ConnectionRef { name, app: Some(app) };
        asked(
            &self.policies,
            self.ceiling.as_ref(),
            connection,
            &self.catalogue,
            NOW.parse().unwrap(),
        )
    }
}

fn of_one(rules: &str) -> (Vec<String>, Vec<String>) {
    let consent = world(&[("one", "[acme]", rules)], None).asked("acme", "agency");
    (consent.required(), consent.optional())
}

#[test]
fn scopes_are_those_of_the_rules_and_the_least_of_the_operations_for_the_named_types() {
    for (rules, required, optional) in [
        ("allow: []\n", vec!["oauth"], vec![]),
        (
            "allow:\n  - scope: crm.objects.contacts.read\n",
            vec!["oauth", "crm.objects.contacts.read"],
            vec![],
        ),
        (
            "allow:\n  - operation: crm.objects.archive\n    objects: [companies, deals]\n",
            vec!["oauth", "crm.objects.companies.write", "crm.objects.deals.write"],
            vec![],
        ),
        (
            "allow:\n  - operation: crm.associations.create\n    objects: [contacts, p_car]\n",
            vec!["oauth", "crm.objects.contacts.write", "crm.objects.custom.write"],
            vec![],
        ),
        (
            "allow:\n  - scope: crm.objects.contacts.read\n  - scope: crm.lists.read\n    optional: true\n",
            vec!["oauth", "crm.objects.contacts.read"],
            vec!["crm.lists.read"],
        ),
    ] {
        assert_eq!(of_one(rules), (strings(&required), strings(&optional)), "{rules}");
    }
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn what_one_policy_requires_and_another_leaves_open_is_required() {
    let world = world(
        &[
            (
                "a",
                "[acme]",
                "allow:\n  - scope: crm.lists.read\n    optional: true\n",
            ),
            ("b", "[{app: agency}]", "allow:\n  - scope: crm.lists.read\n"),
            (
                "c",
                "[other]",
                "allow:\n  - scope: tickets\n    effects: [read]\n",
            ),
            (
                "d",
                "\"*\"",
                "expires: 2026-11-01\nallow:\n  - scope: crm.objects.deals.read\n",
            ),
        ],
        None,
    );
    let consent = world.asked("acme", "agency");
    assert_eq!(consent.required(), ["oauth", "crm.lists.read"]);
    assert!(consent.optional().is_empty());
    let names: Vec<&str> = consent.integrations.iter().map(|name| &**name).collect();
    assert_eq!(
        names,
        ["a", "b"],
        "not the ones of other connections, nor the expired one"
    );
    let by: Vec<String> = consent.scopes[1]
        .by
        .iter()
        .map(|by| format!("{}:{} {}", by.file, by.line, by.rule))
        .collect();
    assert_eq!(
        by,
        ["policies/a.yaml:5 a#allow[0]", "policies/b.yaml:5 b#allow[0]"]
    );
    assert_eq!(world.asked("acme", "elsewhere").optional(), ["crm.lists.read"]);
}

#[test]
fn the_ceiling_and_denials_clip_what_is_asked_for() {
    let rules = "allow:\n  - scope: [crm.objects.contacts.read, crm.objects.contacts.write, crm.objects.deals.read]\n";
    for (deny, ceiling, required) in [
        (
            "",
            Some("allow:\n  - scope: crm.objects.contacts.read\n"),
            vec!["oauth", "crm.objects.contacts.read"],
        ),
        (
            "",
            Some("deny:\n  - effects: [write]\n"),
            vec!["oauth", "crm.objects.contacts.read", "crm.objects.deals.read"],
        ),
        (
            "deny:\n  - objects: [contacts]\n",
            None,
            vec!["oauth", "crm.objects.deals.read"],
        ),
    ] {
        let world = world(&[("one", "[acme]", &format!("{rules}{deny}"))], ceiling);
        assert_eq!(
            world.asked("acme", "agency").required(),
            strings(&required),
            "{deny} {ceiling:?}"
        );
    }
}

#[test]
fn a_rule_for_some_connections_asks_in_those_alone() {
    let rules =
        "allow:\n  - scope: crm.lists.read\n  - scope: crm.objects.deals.read\n    connections: [beta]\n";
    let world = world(&[("one", "[acme, beta]", rules)], None);
    assert_eq!(world.asked("acme", "x").required(), ["oauth", "crm.lists.read"]);
    assert_eq!(
        world.asked("beta", "x").required(),
        ["oauth", "crm.lists.read", "crm.objects.deals.read"]
    );
}

#[test]
fn a_rule_for_all_types_asks_for_none_and_is_pointed_out() {
    let rules = "allow:\n  - operation: crm.objects.list\n    objects: [\"*\"]\n";
    let consent = world(&[("one", "[acme]", rules)], None).asked("acme", "agency");
    assert_eq!(consent.required(), ["oauth"]);
    assert_eq!(consent.unnamed.len(), 1);
}

#[test]
fn definitions_are_asked_for_only_where_a_rule_needs_them_and_scopes_of_data_as_they_stand() {
    let (required, _) = of_one("allow:\n  - scope: crm.objects.contacts.read\n");
    assert!(
        !required.iter().any(|scope| scope.starts_with("crm.schemas.")),
        "{required:?}"
    );
    let (required, _) = of_one("allow:\n  - scope: crm.schemas.contacts.write\n");
    assert_eq!(required, ["oauth", "crm.schemas.contacts.write"]);
    let (required, _) = of_one("allow:\n  - scope: crm.objects.contacts.sensitive.read.v2\n");
    assert!(
        required.contains(&"crm.objects.contacts.sensitive.read.v2".to_owned()),
        "{required:?}"
    );
}

/// With what is asked for granted, HubSpot lets through whatever the policy does.
#[test]
fn what_the_example_policies_open_needs_no_scope_beyond_those_asked_for() {
    let catalogue = Catalogue::embedded().unwrap();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    let mut looked_at = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let Some(stem) = name
            .strip_suffix(".yaml")
            .filter(|stem| !stem.contains(['_', '.']))
        else {
            continue;
        };
        let text = std::fs::read_to_string(&path).unwrap();
        let loaded = Policy::load(&name.into(), stem, &text.into(), &catalogue, NOW.parse().unwrap());
        let policy = loaded.unwrap_or_else(|mistakes| panic!("{mistakes:?}")).0;
        let connection = ConnectionRef {
            name: "acme",
            app: None,
        };
        let consent = asked([&policy], None, connection, &catalogue, NOW.parse().unwrap());
        assert!(consent.unnamed.is_empty(), "{stem}");
        let held = |scope: &ScopeIndex| {
            let name = &catalogue.scope(*scope).unwrap().name;
            consent.scopes.iter().any(|asked| *asked.name == **name)
        };
        let layers = policy.tables.layers(connection);
        for opening in catalogue.openings(&ObjectType::Custom("no such custom object".into())) {
            let need = Need {
                operation: opening.operation,
                effect: opening.effect,
                risks: opening.risks,
                touches: smallvec![opening.touch.clone()],
            };
            let opens = policy.tables.opened(&layers, &need).is_some();
            if !opens
                || policy.tables.denied(&layers, &need).is_some()
                || opening.touch.requirement.is_empty()
            {
                continue;
            }
            looked_at += 1;
            assert!(
                opening.touch.requirement.iter().any(|term| term.iter().all(held)),
                "{stem}: {:?} {:?}, asked {:?}",
                catalogue.operation(opening.operation).unwrap().id,
                opening.touch,
                consent.required()
            );
        }
    }
    assert!(looked_at > 100, "{looked_at}");
}

#[test]
fn offline_is_left_out_with_a_warning_and_oauth_stays() {
    let catalogue = Catalogue::embedded().unwrap();
    let text = "integration: one\nowner: a@example.com\nconnections: [acme]\nallow:\n  \
                - scope: [oauth, offline, crm.lists.read]\n    effects: [read]\n";
    let loaded = Policy::load(
        &"one.yaml".into(),
        "one",
        &text.into(),
        &catalogue,
        NOW.parse().unwrap(),
    );
    let (policy, warnings) = loaded.unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    let lines: Vec<String> = warnings.iter().map(|warning| warning.one_line()).collect();
    assert!(
        lines
            .iter()
            .any(|line| line.contains("SG132") && line.contains("`offline`")),
        "{lines:?}"
    );
    let connection = ConnectionRef {
        name: "acme",
        app: None,
    };
    let consent = asked([&policy], None, connection, &catalogue, NOW.parse().unwrap());
    assert_eq!(consent.required(), ["oauth", "crm.lists.read"]);
}
