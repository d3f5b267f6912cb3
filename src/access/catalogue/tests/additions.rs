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
