//! The page, whole.

use super::*;
use crate::access::connection::Standing;
use crate::cli::Exit;
use crate::cli::admin::testing::{NOWHERE, admin};
use crate::store::testing::by_test;

#[test]
fn the_page_of_a_stopped_gate_names_each_trouble_with_its_remedy_and_no_secret() {
    let (dir, admin) = admin(NOWHERE);
    admin.vault().unwrap();
    std::fs::write(
        dir.path().join("policies/reader.yaml"),
        "integration: reader\nallow: [",
    )
    .unwrap();
    let late =
        "integration: late\nowner: a@example.com\nconnections: [acme]\nexpires: 2026-12-05\nallow: []\n";
    std::fs::write(dir.path().join("policies/late.yaml"), late).unwrap();
    let connection = crate::store::testing::connection(1, "acme", 1);
    admin.store.add_connection(&connection, &by_test()).unwrap();
    let row = admin.store.connections().unwrap().remove(0);
    admin
        .store
        .change_standing(
            &row.id,
            &[Standing::Ok],
            Standing::Suspended,
            Some("unpaid"),
            "connection suspend",
            &by_test(),
        )
        .unwrap();
    let now: Timestamp = "2026-11-26T12:00:00Z".parse().unwrap();
    let mut sheet = Sheet::default();
    contents::policies(&mut sheet, &admin.config, now);
    contents::store(&mut sheet, &admin.store);
    contents::master_key(&mut sheet, &admin.store, &admin.config);
    contents::all(&mut sheet, &admin.store, &admin.config, now);
    gate::running(&mut sheet, &admin.config);
    gate::upstream(&mut sheet, &admin.config);
    let text = sheet
        .text("test", now)
        .replace(dir.path().to_str().unwrap(), "HOME");
    insta::assert_snapshot!(without_moments(&text));
    assert_eq!(sheet.exit(), Exit::Findings);
    for line in sheet.json().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["remedy"].is_string() || line["grade"] == "fine", "{line}");
    }
}

#[test]
fn an_old_copy_is_seen_before_a_gate_refuses_it() {
    use crate::store::AnchorFile;
    let (_dir, admin) = admin(NOWHERE);
    let said = || {
        let mut sheet = Sheet::default();
        contents::anchor(&mut sheet, &admin.store, &admin.config);
        sheet.json()
    };
    admin.vault().unwrap();
    assert!(said().contains("can't be told"), "none yet: {}", said());
    std::fs::create_dir_all(&admin.config.audit.dir).unwrap();
    let file = AnchorFile::of(&admin.store, &admin.config.audit.dir);
    let (rows, version) = (admin.store.row_key().unwrap(), admin.store.version().unwrap());
    file.write(rows, version, Timestamp::now()).unwrap();
    assert!(said().contains("fine"), "{}", said());
    file.write(rows, version + 1, Timestamp::now()).unwrap();
    assert!(
        said().contains("broken") && said().contains("accept-rollback"),
        "{}",
        said()
    );
}

/// When the test ran does not matter: the moment goes out of `since 2026-11-26 12:40Z`.
fn without_moments(text: &str) -> String {
    let mut parts = text.split("since ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("since MOMENT");
        out.push_str(part.get("2026-11-26 12:40Z".len()..).unwrap_or_default());
    }
    out
}
