//! What is known of HubSpot's own properties: which a request means without naming them, and which
//! are computed from others.
//!
//! The tables are a few dozen lines each and are scanned where they stand: nothing to load, nothing
//! to allocate. A test holds them to their form.

const PROPERTIES: &str = include_str!("../../../../catalogue/properties.tsv");
const DERIVED: &str = include_str!("../../../../catalogue/derived_properties.tsv");

/// The cells of a table's lines, without comments and header.
fn lines(table: &'static str) -> impl Iterator<Item = std::str::Split<'static, char>> {
    table
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .skip(1)
        .map(|line| line.split('\t'))
}

fn listed(object: &str, kind: &str) -> Option<std::str::Split<'static, char>> {
    let mut found = lines(PROPERTIES).filter_map(|mut cells| {
        let wanted = cells.next() == Some(object) && cells.next() == Some(kind);
        wanted.then(|| cells.next()).flatten()
    });
    found.next().map(|names| names.split(','))
}

/// What HubSpot answers of a type (by its name in the catalogue) where a read names no properties;
/// `None` if that is not known.
pub(super) fn defaults(object: &str) -> Option<impl Iterator<Item = &'static str>> {
    listed(object, "default")
}

/// What free text looks at; `None` if that is not known.
pub(super) fn searchable(object: &str) -> Option<impl Iterator<Item = &'static str>> {
    listed(object, "searchable")
}

/// Known derived properties (lower case, sorted) of which a source is hidden. One that ends in `*` is
/// all that begin so.
pub fn derived_from(hidden: &dyn Fn(&str) -> bool) -> Box<[Box<str>]> {
    let mut derived: Vec<Box<str>> = lines(DERIVED)
        .filter_map(|mut cells| {
            let (name, sources) = (cells.next()?, cells.next()?);
            sources.split(',').any(hidden).then(|| name.into())
        })
        .collect();
    derived.sort_unstable();
    derived.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::catalogue::Catalogue;
    use crate::access::fields::Names;

    fn is_name(name: &str) -> bool {
        !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    }

    #[test]
    fn the_tables_have_the_form_that_is_scanned() {
        let catalogue = Catalogue::embedded().unwrap();
        let mut seen = Vec::new();
        for cells in lines(PROPERTIES) {
            let cells: Vec<_> = cells.collect();
            let &[object, kind, names, source] = cells.as_slice() else {
                panic!("{cells:?}");
            };
            let known = catalogue.object_type(object).unwrap();
            assert_eq!(catalogue.object_name(&known), object);
            assert!(["default", "searchable"].contains(&kind) && !source.is_empty());
            assert!(names.split(',').all(is_name), "{names}");
            assert!(!seen.contains(&(object, kind)), "{object} {kind}");
            seen.push((object, kind));
        }
        assert!(seen.len() > 15);
        let mut names = Vec::new();
        for cells in lines(DERIVED) {
            let cells: Vec<_> = cells.collect();
            let &[name, sources, source] = cells.as_slice() else {
                panic!("{cells:?}");
            };
            assert!(
                is_name(name.trim_end_matches('*')) && sources.split(',').all(is_name) && !source.is_empty()
            );
            assert!(!sources.split(',').any(|one| one == name), "{name} of itself");
            names.push(name);
        }
        assert!(names.is_sorted() && names.len() > 40);
        names.dedup();
        assert_eq!(names.len(), lines(DERIVED).count());
    }

    /// Otherwise a copy of a copy would stay readable.
    #[test]
    fn sources_are_complete() {
        let of = |name: &str| -> Vec<&'static str> {
            lines(DERIVED)
                .filter_map(|mut cells| (cells.next() == Some(name)).then(|| cells.next()).flatten())
                .flat_map(|sources| sources.split(','))
                .collect()
        };
        for mut cells in lines(DERIVED) {
            let name = cells.next().unwrap();
            let own = of(name);
            for source in &own {
                for further in of(source) {
                    assert!(
                        further == name || own.contains(&further),
                        "{name} {source} {further}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_derived_property_is_hidden_with_its_source_unless_it_is_granted_by_name() {
        for (pattern, derived) in [
            ("email", "hs_email_domain"),
            ("email", "hs_additional_emails"),
            ("lastname", "hs_full_name_or_email"),
            ("phone", "hs_searchable_calculated_phone_number"),
            ("*phone", "hs_searchable_calculated_mobile_number"),
            ("amount", "amount_in_home_currency"),
            ("hs_email_html", "hs_email_text"),
        ] {
            assert!(!Names::except([pattern]).hold(derived), "{pattern} {derived}");
        }
        assert!(Names::except(["salary"]).hold("hs_email_domain"));
        assert!(Names::listed(["hs_email_domain"]).hold("hs_email_domain"));
        assert!(!Names::listed(["email"]).hold("hs_email_domain"));
    }
}
