//! What is known of HubSpot's own properties: which are derived from others.

/// Known derived properties (lower case, sorted) of which a source is hidden.
pub fn derived_from(_hidden: &dyn Fn(&str) -> bool) -> Box<[Box<str>]> {
    Box::default()
}
