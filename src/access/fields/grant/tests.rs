//! What a block grants to which type.

use super::*;

fn bounds(types: Vec<(u8, Entry)>, star: Option<Entry>) -> Bounds {
    let types = types
        .into_iter()
        .map(|(row, entry)| (ObjectType::Known(row), vec![format!("0-{row}")], entry))
        .collect();
    Bounds {
        policy: Some(Arc::new(Properties::new(types, star, OnExtra::Strip))),
        ceiling: None,
    }
}

fn reading(read: Names) -> Entry {
    Entry {
        read,
        write: Names::none(),
        values: BTreeMap::new(),
    }
}

#[test]
fn a_type_without_an_entry_has_no_values_unless_a_star_says_so() {
    let listed = || reading(Names::listed(["email"]));
    let closed = bounds(vec![(1, listed())], None);
    assert!(!closed.view(&ObjectType::Known(2)).reads("name"));
    assert!(closed.view(&ObjectType::Known(2)).reads("hs_object_id"));
    assert!(!closed.view(&ObjectType::Known(2)).reads_history("createdate"));
    let open = bounds(vec![(1, listed())], Some(Entry::all()));
    assert!(open.view(&ObjectType::Known(2)).reads_all());
    assert!(open.view(&ObjectType::Known(1)).reads("Email"));
    assert!(!open.view(&ObjectType::Known(1)).reads("phone"));
    assert!(!open.view_of_any().reads("phone") && open.view_of_any().reads("email"));
    assert!(!closed.view_of_any().reads("email"));
    assert!(!closed.view_of_spellings([]).reads("email"));
    assert!(closed.view_of_spellings(["0-1"]).reads("email"));
    assert!(!closed.view_of_spellings(["0-1", "0-2"]).reads("email"));
    assert!(Bounds::default().view(&ObjectType::Known(1)).reads_all());
}

#[test]
fn an_own_entry_and_the_star_must_both_grant() {
    let both = bounds(
        vec![(1, reading(Names::listed(["email", "ssn"])))],
        Some(reading(Names::except(["*ssn*"]))),
    );
    let view = both.view(&ObjectType::Known(1));
    assert!(view.reads("email") && !view.reads("ssn") && !view.reads("phone"));
    assert!(!view.writes("email"));
    assert_eq!(view.readable_names().unwrap(), ["email".into()]);
}

fn custom(name: &str) -> ObjectType {
    ObjectType::Custom(name.into())
}

#[test]
fn a_custom_object_by_a_spelling_that_is_not_named_is_granted_no_more_than_each_it_may_be() {
    let block = |types: &[(&str, Entry)], of_custom: Option<Entry>, star: Option<Entry>| {
        let types = types
            .iter()
            .map(|(name, entry)| (custom(name), vec![(*name).to_owned()], entry.clone()))
            .collect();
        Bounds {
            policy: Some(Arc::new(
                Properties::new(types, star, OnExtra::Strip).with_custom(of_custom),
            )),
            ceiling: None,
        }
    };
    let car = || ("p_car", reading(Names::listed(["name"])));
    let house = || ("2-7", reading(Names::listed(["name", "rooms"])));
    let star = || Some(Entry::all());
    for (bounds, spelling, reads_name, reads_rooms) in [
        (block(&[car(), house()], None, star()), "2-7", true, true),
        (block(&[car(), house()], None, star()), "p_car", true, false),
        (block(&[car(), house()], None, star()), "p45_car", true, false),
        (block(&[car(), house()], star(), None), "p45_car", true, false),
        (
            block(&[("p9_car", Entry::all()), car()], None, star()),
            "p45_car",
            true,
            false,
        ),
        (block(&[car(), house()], None, star()), "p_boat", true, true),
        (block(&[car(), house()], None, star()), "2-8", true, false),
        (block(&[house()], None, star()), "2-8", true, true),
        (
            block(&[house()], Some(reading(Names::none())), star()),
            "p_house",
            false,
            false,
        ),
        (block(&[car()], None, None), "p45_car", false, false),
        (block(&[], star(), None), "2-1", true, true),
        (block(&[], star(), star()), "2-1", true, true),
        (
            block(&[], Some(reading(Names::none())), star()),
            "2-1",
            false,
            false,
        ),
        (
            block(&[house()], Some(reading(Names::none())), None),
            "2-7",
            true,
            true,
        ),
    ] {
        let views = [
            bounds.view(&custom(spelling)),
            bounds.view_of_spellings([spelling]),
            bounds.view_of_spellings([spelling.to_uppercase().as_str()]),
        ];
        for view in views {
            assert_eq!(
                (view.reads("name"), view.reads("rooms")),
                (reads_name, reads_rooms),
                "{spelling} {bounds:?}"
            );
        }
    }
}

#[test]
fn a_word_that_may_be_a_custom_objects_name_gets_the_least_of_both() {
    let block = |of_custom: Option<Entry>, star: Option<Entry>| Bounds {
        policy: Some(Arc::new(
            Properties::new(Vec::new(), star, OnExtra::Strip).with_custom(of_custom),
        )),
        ceiling: None,
    };
    let name = || Some(reading(Names::listed(["name"])));
    for (bounds, spelling, expected) in [
        (block(name(), Some(Entry::all())), "notes", (true, false)),
        (block(name(), Some(Entry::all())), "0-46", (true, true)),
        (block(Some(Entry::all()), None), "notes", (false, false)),
        (block(Some(Entry::all()), None), "0-46", (false, false)),
        (block(Some(Entry::all()), None), "2-46", (true, true)),
    ] {
        let view = bounds.view_of_spellings([spelling]);
        assert_eq!((view.reads("name"), view.reads("body")), expected, "{spelling}");
    }
    let known = block(Some(Entry::all()), None).view(&ObjectType::Known(3));
    assert!(!known.reads("name"));
}

#[test]
fn the_entries_of_a_type_are_one_set_of_names_and_one_list_of_values() {
    let entry = |write: Names, values: &[(&str, &[&str])]| Entry {
        read: Names::All,
        write,
        values: values
            .iter()
            .map(|(name, list)| ((*name).into(), list.iter().map(|v| (*v).into()).collect()))
            .collect(),
    };
    let both = bounds(
        vec![(
            1,
            entry(Names::listed(["stage", "amount"]), &[("stage", &["won", "lost"])]),
        )],
        Some(entry(Names::except(["amount"]), &[("stage", &["lost", "new"])])),
    );
    let view = both.view(&ObjectType::Known(1));
    assert_eq!(view.names(Direction::Write), Names::listed(["stage"]));
    assert_eq!(view.names(Direction::Read), Names::All);
    assert_eq!(
        view.values(),
        BTreeMap::from([("stage".into(), vec!["lost".into()])])
    );
    let closed = bounds(Vec::new(), None).view(&ObjectType::Known(1));
    assert_eq!(closed.names(Direction::Read), Names::none());
}
