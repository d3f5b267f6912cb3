//! Looking after findings: begun once, ended once, told within a bound, whatever the number of connections.

use super::*;
use crate::access::catalogue::Catalogue;
use crate::store::testing::{by_test, connections, store};

fn no_policies() -> PolicySet {
    let catalogue = Catalogue::embedded().unwrap();
    PolicySet::build(&[], &catalogue, None, clock::now(), Duration::ZERO).0
}

fn look(store: &Store, settings: &PeopleSettings) -> News {
    look_after(store, &no_policies(), settings).unwrap()
}

/// How many began and ended, and how many of them are told.
fn counts(news: &News) -> [usize; 4] {
    [
        news.began_in_all,
        news.began.len(),
        news.ended_in_all,
        news.ended.len(),
    ]
}

#[test]
fn findings_about_more_connections_than_a_page_begin_once_and_end_once_and_not_all_are_told_singly() {
    let (_dir, store) = store();
    let ids = connections(&store, 1_203);
    let settings = PeopleSettings::default();
    let first = look(&store, &settings);
    assert_eq!(counts(&first), [1_203, TOLD_MOST, 0, 0]);
    assert_eq!(first.open, [("installer_is_no_service_user".to_owned(), 1_203)]);
    assert_eq!(counts(&look(&store, &settings)), [0, 0, 0, 0]);

    // What an operator accepts is open no more, and no news.
    let finding = store.open_findings().unwrap()[700].id;
    store.acknowledge_finding(finding, &by_test()).unwrap();
    let accepted = look(&store, &settings);
    assert_eq!((counts(&accepted), accepted.open[0].1), ([0, 0, 0, 0], 1_202));

    // About a connection that is gone there is nothing to be told.
    store.remove_connection(&ids[600], &by_test()).unwrap();
    assert_eq!(counts(&look(&store, &settings)), [0, 0, 1, 1]);
    let technical = PeopleSettings {
        technical_users: vec!["*".to_owned()],
        ..settings
    };
    let over = look(&store, &technical);
    assert_eq!(counts(&over), [0, 0, 1_202, TOLD_MOST]);
    assert!(over.open.is_empty());
}
