//! An operator's own operations and versions.

use super::requirements::requirement;
use super::*;

#[test]
fn more_versions_make_known_operations_known_under_them() {
    let catalogue = Catalogue::with(None, &["2031-01".to_owned()]).unwrap();
    assert_eq!(
        look(&catalogue, "GET /crm/objects/2031-01/contacts"),
        "crm.objects.list contacts"
    );
    assert_eq!(look(&catalogue, "GET /crm/2031-01/owners"), "crm.owners.list");
    assert_eq!(look(&catalogue, "GET /crm/2031-02/owners"), "unknown_version");
    assert_ne!(catalogue.digest(), shipped().digest());
    assert!(Catalogue::with(None, &["latest".to_owned()]).is_err());
}

fn extra(lines: &str) -> Result<Catalogue, String> {
    let text = format!("# ours\nmethod\tpath\tid\teffect\tresolve\tleast\n{lines}");
    Catalogue::with(Some(&text), &[]).map_err(|error| error.to_string())
}

#[test]
fn extra_operations_become_known() {
    let catalogue =
        extra("GET\t/crm/v3/brand-new/{id}\tcrm.brand-new.get\tread\tfixed\tcrm.objects.owners.read\n")
            .unwrap();
    assert_eq!(look(&catalogue, "GET /crm/v3/brand-new/7"), "crm.brand-new.get");
    assert_eq!(look(&catalogue, "GET /crm/brand-new/v3/7"), "crm.brand-new.get");
    assert_ne!(catalogue.digest(), shipped().digest());
    let opened = requirement(&catalogue, "crm.brand-new.get", None);
    assert_eq!(opened, ["crm.objects.owners.read"]);
}

#[test]
fn extra_may_raise_a_known_operation_and_never_lower_it() {
    let raised =
        extra("GET\t/crm/v3/owners\tcrm.owners.list\twrite\tfixed\tcrm.objects.owners.read+crm.lists.read\n")
            .unwrap();
    let owners = raised
        .operation(raised.operation_by_id("crm.owners.list").unwrap())
        .unwrap();
    assert_eq!(owners.effect, Effect::Write);

    for (lines, why) in [
        (
            "POST\t/crm/v3/objects/{objectType}/merge\tcrm.objects.merge\tread\ttype:{objectType}\t-\n",
            "lowered",
        ),
        (
            "GET\t/crm/v3/owners\tcrm.owners.list\tread\tfixed\toauth\n",
            "asks for less",
        ),
        (
            "GET\t/crm/v3/owners\tcrm.other.list\tread\tfixed\tcrm.objects.owners.read\n",
            "its operation is",
        ),
        (
            "POST\t/crm/objects/v3/contacts/merge\tcrm.x.get\tread\tfixed\t-\n",
            "its operation is",
        ),
        (
            "DELETE\t/crm/v3/objects/contacts/secret\tcrm.x.get\tread\tfixed\t-\n",
            "its paths are read as",
        ),
        (
            "DELETE\t/crm/v3/objects/contacts/secret\tcrm.x.get\tdelete\tfixed\toauth\n",
            "its paths are read as",
        ),
        (
            "POST\t/collector/graphql\tcollector.graphql.query\tread\tfixed\t-\n",
            "body",
        ),
        (
            "GET\t/crm/v77/owners\tcrm.fresh.list\tread\tfixed\t-\n",
            "are the operation `crm.owners.list`",
        ),
        (
            "GET\t/crm/v3/new\tcrm.new.list\tread\tfixed\tno.such.scope\n",
            "unknown scope",
        ),
        (
            "GET\t/crm/v3/new\tcrm.objects.get\tread\tfixed\t-\n",
            "different surface",
        ),
        ("HEAD\t/crm/v3/new\tcrm.new.get\tread\tfixed\t-\n", "`method`"),
        (
            "GET\t/crm/v3/{x}/new\tcrm.new.get\tread\ttype:{y}\t-\n",
            "no parameter",
        ),
        ("GET\tcrm\tcrm.new.get\tread\tfixed\t-\n", "begins with /"),
        ("GET\t/crm/v3/new\tcrm.new.get\tread\n", "cells"),
    ] {
        let error = extra(lines).unwrap_err();
        assert!(error.contains(why), "{lines}: {error}");
        assert!(
            error.starts_with("catalogue.extra:3:") || error.starts_with("operations:"),
            "{error}"
        );
    }
}

#[test]
fn a_row_that_says_body_alone_is_closed_and_one_that_names_a_reader_is_read() {
    let (method, target) = ("POST", "/crm/v5/imports");
    let row = |catalogue: &Catalogue| {
        let found = catalogue
            .recognise(&Target::parse(method, target).unwrap())
            .unwrap();
        let row = catalogue.row(found.row).unwrap();
        (row.is_unjudged(), row.reader(), found.body_need())
    };
    let import = |resolve: &str| {
        extra(&format!(
            "POST\t/crm/v5/imports\tcrm.imports.create\twrite\t{resolve}\t-\n"
        ))
    };
    assert_eq!(row(&import("body").unwrap()), (true, None, BodyNeed::None));
    let read = (false, Some(Reader::Import), BodyNeed::Import);
    assert_eq!(row(&import("body:import").unwrap()), read);
    for (resolve, why) in [
        ("body:export", "found in another way"),
        ("body:anything", "unknown reader"),
        ("fixed", "`body`"),
        ("type:{objectType}", "no parameter"),
    ] {
        let error = import(resolve).unwrap_err();
        assert!(error.contains(why), "{resolve}: {error}");
    }
    // Closing a shipped operation is no lowering; opening one that nothing reads is.
    let closed = extra("POST\t/crm/v3/imports\tcrm.imports.create\twrite\tbody\t-\n").unwrap();
    assert!(row_of(&closed, "/crm/v3/imports").is_unjudged());
    let opened = "POST\t/crm/task-series/2026-09-beta\tcrm.task-series.create\twrite\tbody:import\t-\n";
    assert!(extra(opened).unwrap_err().contains("say `body`"));
}

fn row_of<'c>(catalogue: &'c Catalogue, path: &str) -> &'c Row {
    let found = catalogue
        .recognise(&Target::parse("POST", path).unwrap())
        .unwrap();
    catalogue.row(found.row).unwrap()
}

fn extra_with_notes(lines: &str) -> Result<Catalogue, String> {
    let text = format!("method\tpath\tid\teffect\tresolve\tleast\tnotes\n{lines}");
    Catalogue::with(Some(&text), &[]).map_err(|error| error.to_string())
}

#[test]
fn a_new_version_of_a_known_operation_asks_for_no_less() {
    for (line, why) in [
        (
            "POST\t/crm/v5/objects/contacts\tcrm.objects.create\twrite\tliteral:contacts\tcrm.objects.contacts.read",
            "asks for less",
        ),
        (
            "POST\t/crm/objects/v5/contacts\tcrm.objects.create\twrite\tliteral:contacts\tcrm.objects.contacts.read",
            "asks for less",
        ),
        (
            "POST\t/crm/v5/objects/0-1\tcrm.objects.create\twrite\tliteral:companies\tcrm.objects.companies.write",
            "found in another way",
        ),
        (
            "POST\t/crm/v5/objects/contacts\tcrm.own.create\twrite\tfixed\toauth",
            "operation",
        ),
        (
            "POST\t/crm/objects/contacts\tcrm.objects.create\twrite\tliteral:contacts\tcrm.objects.contacts.read",
            "asks for less",
        ),
        (
            "DELETE\t/crm/v5/lists/{listId}\tcrm.lists.archive\tdelete\tfixed\tcrm.lists.read",
            "asks for less",
        ),
        (
            "DELETE\t/crm/lists/v5/{anything}\tcrm.lists.archive\tdelete\tfixed\tcrm.lists.write",
            "asks for less",
        ),
        (
            "POST\t/crm/v5/imports\tcrm.imports.create\twrite\tfixed\tcrm.import",
            "`body`",
        ),
        (
            "POST\t/crm/v5/objects/{objectType}/{action}\tcrm.actions.do\tread\tfixed\toauth",
            "its paths are read as",
        ),
        (
            "POST\t/crm/{version}/objects/contacts\tcrm.own.create\twrite\tfixed\toauth",
            "its paths are read as",
        ),
        (
            "DELETE\t/crm/v5/lists/seven\tcrm.lists.seven\tdelete\tfixed\toauth",
            "its paths are read as",
        ),
    ] {
        let error = extra(&format!("{line}\n")).expect_err(line);
        assert!(error.contains(why), "{line}: {error}");
    }
    let whole = "DELETE\t/crm/v5/lists/{listId}\tcrm.lists.archive\tdelete\tfixed\t-\tmulti-segment-param\n";
    assert!(extra_with_notes(whole).unwrap_err().contains("ends here"));
}

#[test]
fn a_new_version_keeps_the_marks_and_risks_of_the_known_ones() {
    let body = |catalogue: &Catalogue, request: &str| {
        let (method, target) = request.split_once(' ').unwrap();
        let target = Target::parse(method, target).unwrap();
        catalogue.recognise(&target).unwrap().body_need()
    };
    for line in [
        "POST\t/crm/v5/objects/{objectType}\tcrm.objects.create\twrite\ttype:{objectType}\t-\n",
        "POST\t/crm/v5/objects/contacts\tcrm.objects.create\twrite\tliteral:contacts\tcrm.objects.contacts.write\n",
    ] {
        let catalogue = extra(line).unwrap();
        for request in ["POST /crm/v5/objects/contacts", "POST /crm/objects/v5/contact"] {
            assert_eq!(look(&catalogue, request), "crm.objects.create contacts", "{line}");
            assert_eq!(body(&catalogue, request), BodyNeed::Judge, "{line} {request}");
        }
    }
    let schema = "DELETE\t/crm-object-schemas/v7/schemas/{objectType}\tcrm.schemas.archive\tdelete\tschema:{objectType}\t-\n";
    let single = "POST\t/marketing/v9/transactional/single-email/send\tmarketing.transactional.single-email.send\twrite\tfixed\ttransactional-email\n";
    let catalogue = extra(&format!("{schema}{single}")).unwrap();
    let row = |request: &str| {
        let (method, target) = request.split_once(' ').unwrap();
        let recognised = catalogue
            .recognise(&Target::parse(method, target).unwrap())
            .unwrap();
        catalogue.row(recognised.row).unwrap()
    };
    assert!(row("DELETE /crm-object-schemas/v7/schemas/p_car").is_irreversible_if_archived());
    let risks = row("POST /marketing/v9/transactional/single-email/send").risks;
    assert!(risks.intersects(Risks::parse("sends-message").unwrap()));
}

#[test]
fn a_new_version_that_says_what_all_known_ones_say_is_no_lowering() {
    let lines = || OPERATIONS.lines().chain(LEGACY_OPERATIONS.lines());
    let cells = |line: &'static str| -> Vec<&str> { line.split('\t').take(8).collect() };
    let mut asked: std::collections::HashMap<(&str, &str), std::collections::BTreeSet<&str>> =
        Default::default();
    for line in lines().map(cells).filter(|cells| cells.len() == 8) {
        asked.entry((line[0], line[2])).or_default().insert(line[6]);
    }
    let mut text = "method\tpath\tid\teffect\tresolve\tleast\tnotes\n".to_owned();
    let mut added = 0;
    for line in OPERATIONS
        .lines()
        .filter(|line| line.contains("/2026-03/"))
        .step_by(7)
    {
        let cells = cells(line);
        let [method, path, id, _, effect, resolve, least, notes] = cells.as_slice() else {
            panic!("{line}");
        };
        // Where the versions ask for different scopes, a new one has to ask for all of them.
        if asked[&(*method, *id)].len() > 1 && *resolve == "fixed" {
            continue;
        }
        let path = path.replace("2026-03", "2031-03");
        text.push_str(&format!(
            "{method}\t{path}\t{id}\t{effect}\t{resolve}\t{least}\t{notes}\n"
        ));
        added += 1;
    }
    assert!(added > 100, "{added}");
    assert_eq!(Catalogue::with(Some(&text), &[]).map(|_| ()), Ok(()));
}
