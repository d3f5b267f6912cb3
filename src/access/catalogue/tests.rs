//! What the shipped tables promise.

use super::*;

#[test]
fn the_embedded_tables_load() {
    let catalogue = Catalogue::embedded().unwrap();
    assert_eq!(catalogue.rows.len(), 3787 + 370);
}
