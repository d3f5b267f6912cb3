//! Connections that rules tell apart: each that is named, those of each app that is named, and one
//! that stands for all others.

use crate::access::policy::tables::ConnectionRef;
use crate::access::policy_text::written::Selector;

/// Connections that no rule tells apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    name: String,
    app: Option<String>,
    /// What people call them.
    pub labels: Vec<String>,
}

/// A connection that no policy can name.
const OTHER: &str = "";

impl Place {
    /// One of them, to ask about.
    pub fn connection(&self) -> ConnectionRef<'_> {
        ConnectionRef {
            name: &self.name,
            app: self.app.as_deref(),
        }
    }

    /// What people call it.
    fn label(&self) -> String {
        match (&*self.name, self.app.as_deref()) {
            (OTHER, None) => "any other connection".to_owned(),
            (OTHER, Some(app)) => format!("any other connection of app {app}"),
            (name, None) => name.to_owned(),
            (name, Some(app)) => format!("{name} of app {app}"),
        }
    }
}

/// The places that lists of selectors tell apart.
///
/// Which app a connection belongs to, only the store knows: a name is asked about without an app and
/// with each that is named.
pub fn places(lists: &[&[Selector]]) -> Vec<Place> {
    let (mut names, mut apps) = (vec![OTHER.to_owned()], vec![None]);
    for selector in lists.iter().flat_map(|list| list.iter()) {
        match selector {
            Selector::Name(name) if !names.contains(name) => names.push(name.clone()),
            Selector::App(app) if !apps.contains(&Some(app.clone())) => apps.push(Some(app.clone())),
            Selector::Name(_) | Selector::App(_) | Selector::All => {}
        }
    }
    // Those that are named come first: they are what a line should speak of.
    names.rotate_left(1);
    let mut found: Vec<(Vec<bool>, Place)> = Vec::new();
    for name in &names {
        for app in &apps {
            let mut place = Place {
                name: name.clone(),
                app: app.clone(),
                labels: Vec::new(),
            };
            place.labels.push(place.label());
            let connection = place.connection();
            let selected: Vec<bool> = lists
                .iter()
                .map(|list| connection.is_selected_by_any(Some(list)))
                .collect();
            match found.iter_mut().find(|(other, _)| *other == selected) {
                // A name says it all if its app makes no difference.
                Some((_, known)) if app.is_some() && known.name == *name => {}
                Some((_, known)) => known.labels.append(&mut place.labels),
                None => found.push((selected, place)),
            }
        }
    }
    found.into_iter().map(|(_, place)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> Selector {
        Selector::Name(name.to_owned())
    }

    #[test]
    fn connections_that_no_list_tells_apart_are_one_place() {
        let app = Selector::App("crm".to_owned());
        for (lists, expected) in [
            (vec![vec![Selector::All]], vec![vec!["any other connection"]]),
            (
                vec![vec![name("a"), name("b")]],
                vec![vec!["a", "b"], vec!["any other connection"]],
            ),
            (
                vec![vec![name("a"), name("b")], vec![name("b")]],
                vec![vec!["a"], vec!["b"], vec!["any other connection"]],
            ),
            (
                vec![vec![app.clone()]],
                vec![
                    vec!["any other connection"],
                    vec!["any other connection of app crm"],
                ],
            ),
            (
                vec![vec![name("a"), app.clone()], vec![app]],
                vec![
                    vec!["a"],
                    vec!["a of app crm", "any other connection of app crm"],
                    vec!["any other connection"],
                ],
            ),
        ] {
            let lists: Vec<&[Selector]> = lists.iter().map(Vec::as_slice).collect();
            let found: Vec<Vec<String>> = places(&lists).into_iter().map(|place| place.labels).collect();
            assert_eq!(found, expected);
        }
    }
}
