//! What two sets of property rules grant differently for one type: each name that is written
//! anywhere, each kind of name that is not, each value.

use std::collections::BTreeSet;

use super::names::{TooManyKinds, Words};
use crate::access::fields::grant::ALWAYS_READABLE;
use crate::access::fields::{Bounds, Entry, Names, OnExtra, Pattern, View};

/// A value that no rule names.
const OTHER_VALUE: &str = "\u{1}";

/// What a difference is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aspect {
    /// Properties that may be read, filtered and sorted by.
    Read,
    /// Properties whose history may be read although the property always may.
    History,
    /// What says more than properties do: exports, URLs, identity profiles.
    Whole,
    /// Whether a read that names a hidden property passes without it.
    Hidden,
    /// Properties that may be written, and values they may be set to.
    Write,
    /// There are too many kinds of names to compare.
    Unclear,
}

/// One difference: what one side grants and the other does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Whether the new side grants it.
    pub gained: bool,
    /// What it is about.
    pub aspect: Aspect,
    /// Names for people, written ones first.
    pub names: Vec<String>,
}

/// What holds for a type on one side.
#[derive(Clone, Debug)]
pub struct Held {
    view: View,
    on_extra: OnExtra,
}

impl Held {
    /// What `bounds` hold for it.
    pub fn new(bounds: &Bounds, view: View) -> Self {
        Self {
            view,
            on_extra: bounds.on_extra(),
        }
    }

    /// Whether a read that names a hidden property is denied for it.
    fn denies_extra(&self) -> bool {
        self.on_extra == OnExtra::Deny
    }
}

/// Every difference between two sides for one type.
pub fn differences(old: &Held, new: &Held) -> Vec<Difference> {
    if old.view == new.view && old.on_extra == new.on_extra {
        return Vec::new();
    }
    let words = words(&[&old.view, &new.view]);
    let kinds = match words.kinds() {
        Ok(kinds) => kinds,
        Err(TooManyKinds) => return unclear(),
    };
    let mut found = Vec::new();
    let names = Written { words: &words };
    let mut look = |aspect, of_old: &dyn Fn(&str) -> bool, of_new: &dyn Fn(&str) -> bool| {
        for gained in [true, false] {
            let differs = |kind: &&String| match gained {
                true => of_new(kind) && !of_old(kind),
                false => of_old(kind) && !of_new(kind),
            };
            let names = names.of(kinds.iter().filter(differs));
            if !names.is_empty() {
                found.push(Difference {
                    gained,
                    aspect,
                    names,
                });
            }
        }
    };
    look(Aspect::Read, &|name| old.view.reads(name), &|name| {
        new.view.reads(name)
    });
    let history = |held: &Held, name: &str| ALWAYS_READABLE.contains(&name) && held.view.reads_history(name);
    look(Aspect::History, &|name| history(old, name), &|name| {
        history(new, name)
    });
    let passes = |held: &Held, name: &str| held.view.reads(name) || !held.denies_extra();
    // What is hidden on both sides, and passes unseen on one.
    let hidden = |name: &str| !old.view.reads(name) && !new.view.reads(name);
    look(
        Aspect::Hidden,
        &|name| hidden(name) && passes(old, name),
        &|name| hidden(name) && passes(new, name),
    );
    look(Aspect::Write, &|name| old.view.writes(name), &|name| {
        new.view.writes(name)
    });
    found.extend(values(&old.view, &new.view, &kinds));
    for gained in [true, false] {
        if new.view.reads_all() != old.view.reads_all() && new.view.reads_all() == gained {
            found.push(Difference {
                gained,
                aspect: Aspect::Whole,
                names: Vec::new(),
            });
        }
    }
    found
}

/// Nothing is known, so anything may be gained.
fn unclear() -> Vec<Difference> {
    vec![Difference {
        gained: true,
        aspect: Aspect::Unclear,
        names: Vec::new(),
    }]
}

/// Values that a property may be set to on one side only, where both may write it.
fn values(old: &View, new: &View, kinds: &[String]) -> Vec<Difference> {
    let mut found = Vec::new();
    for gained in [true, false] {
        let (with, without) = match gained {
            true => (new, old),
            false => (old, new),
        };
        let mut names = Vec::new();
        for name in kinds
            .iter()
            .filter(|name| with.writes(name) && without.writes(name))
        {
            let named = with.entries().chain(without.entries());
            let lists = named.filter_map(|entry| entry.values.get(&**name));
            let mut values: BTreeSet<&str> = lists.flat_map(|list| list.iter().map(|v| &**v)).collect();
            values.insert(OTHER_VALUE);
            let mut more = values.into_iter().rev();
            let may = |value: &&str| with.may_be(name, value) && !without.may_be(name, value);
            names.extend(more.by_ref().filter(may).map(|value| match value {
                OTHER_VALUE => format!("{name} = any other value"),
                value => format!("{name} = {value}"),
            }));
        }
        names.sort();
        if !names.is_empty() {
            found.push(Difference {
                gained,
                aspect: Aspect::Write,
                names,
            });
        }
    }
    found
}

fn words(views: &[&View]) -> Words {
    let mut words = Words::new();
    for entry in views.iter().flat_map(|view| view.entries()) {
        words.add(&entry.read);
        words.add(&entry.write);
        entry.values.keys().for_each(|name| words.add_name(name));
    }
    words
}

/// How names are shown: those that somebody wrote by themselves, all others by the patterns they
/// match.
struct Written<'w> {
    words: &'w Words,
}

impl Written<'_> {
    fn of<'k>(&self, kinds: impl Iterator<Item = &'k String>) -> Vec<String> {
        let (mut written, mut others) = (Vec::new(), Vec::new());
        for kind in kinds {
            if self.words.literals.contains(kind) {
                written.push(kind.clone());
                continue;
            }
            let matched: Vec<String> = self
                .words
                .patterns
                .iter()
                .filter(|pattern| Pattern::new(pattern).matches(kind))
                .map(|pattern| format!("what matches `{pattern}`"))
                .collect();
            let other = match matched.is_empty() {
                true => "every other".to_owned(),
                false => matched.join(" and "),
            };
            if !others.contains(&other) {
                others.push(other);
            }
        }
        written.sort();
        written.extend(others);
        written
    }
}

/// What a view lets be read, in words: `email, phone`, `all`, `all but *ssn*`.
pub fn readable(view: &View) -> String {
    in_words(view, |entry| &entry.read)
}

/// What a view lets be written, likewise.
pub fn writable(view: &View) -> String {
    let mut text = in_words(view, |entry| &entry.write);
    let valued = view.entries().flat_map(|entry| entry.values.keys());
    let valued: BTreeSet<&str> = valued
        .map(|name| &**name)
        .filter(|name| view.writes(name))
        .collect();
    if !valued.is_empty() {
        let valued: Vec<&str> = valued.into_iter().collect();
        text = format!("{text}; {} to some values alone", valued.join(", "));
    }
    text
}

fn in_words(view: &View, names: fn(&Entry) -> &Names) -> String {
    if view.is_closed() {
        return "none".to_owned();
    }
    let parts: Vec<String> = view
        .entries()
        .map(names)
        .filter(|names| !names.is_all())
        .map(|names| match names {
            Names::All => String::new(),
            Names::Listed(names) if names.is_empty() => "none".to_owned(),
            Names::Listed(names) => names.join(", "),
            Names::Except { patterns, .. } => {
                let patterns: Vec<&str> = patterns.iter().map(Pattern::as_str).collect();
                format!("all but {}", patterns.join(", "))
            }
        })
        .collect();
    match parts.is_empty() {
        true => "all".to_owned(),
        false => parts.join("; of these "),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::access::fields::Properties;
    use crate::access::object_type::ObjectType;

    fn held(read: Names, write: Names, values: &[(&str, &[&str])], on_extra: OnExtra) -> Held {
        let values: BTreeMap<Box<str>, Box<[Box<str>]>> = values
            .iter()
            .map(|(name, values)| ((*name).into(), values.iter().map(|v| (*v).into()).collect()))
            .collect();
        let entry = Entry { read, write, values };
        let bounds = Bounds {
            policy: Some(Arc::new(Properties::new(Vec::new(), Some(entry), on_extra))),
            ceiling: None,
        };
        let view = bounds.view(&ObjectType::Known(0));
        Held::new(&bounds, view)
    }

    fn shown(old: &Held, new: &Held) -> Vec<String> {
        differences(old, new)
            .into_iter()
            .map(|d| {
                let sign = if d.gained { '+' } else { '-' };
                format!("{sign}{:?} {}", d.aspect, d.names.join(", "))
            })
            .collect()
    }

    #[test]
    fn each_name_each_kind_of_name_and_each_value_is_compared() {
        let strip = OnExtra::Strip;
        let reads = |names: &[&str]| held(Names::listed(names.iter().copied()), Names::none(), &[], strip);
        let but = |names: &[&str]| held(Names::except(names.iter().copied()), Names::none(), &[], strip);
        let writes =
            |values: &[(&str, &[&str])]| held(Names::none(), Names::listed(["stage"]), values, strip);
        let all = held(Names::All, Names::none(), &[], strip);
        for (old, new, expected) in [
            (reads(&["email"]), reads(&["email", "phone"]), vec!["+Read phone"]),
            (
                reads(&["email"]),
                reads(&["phone"]),
                vec!["+Read phone", "-Read email"],
            ),
            (but(&["*ssn*"]), but(&["*ssn*", "salary"]), vec!["-Read salary"]),
            (
                but(&["*ssn*"]),
                but(&["*ssn"]),
                vec!["+Read what matches `*ssn*`"],
            ),
            (but(&["*ssn*"]), but(&["*ssn*", "*ssn"]), vec![]),
            (
                but(&["*ssn*"]),
                but(&["*s*s*n*"]),
                vec!["-Read what matches `*s*s*n*`"],
            ),
            (
                reads(&["email", "ssn"]),
                but(&["*ssn*"]),
                vec![
                    "+Read every other",
                    "-Read ssn",
                    "+History createdate, hs_createdate, hs_lastmodifieddate, hs_object_id, lastmodifieddate",
                ],
            ),
            (
                but(&[]),
                held(Names::All, Names::none(), &[], strip),
                vec!["+Whole "],
            ),
            (all.clone(), but(&["salary"]), vec!["-Read salary", "-Whole "]),
            (
                writes(&[("stage", &["won"])]),
                writes(&[("stage", &["won", "lost"])]),
                vec!["+Write stage = lost"],
            ),
            (
                writes(&[("stage", &["won"])]),
                writes(&[]),
                vec!["+Write stage = any other value"],
            ),
            (
                held(Names::listed(["email"]), Names::none(), &[], OnExtra::Deny),
                reads(&["email"]),
                vec!["+Hidden every other"],
            ),
        ] {
            assert_eq!(shown(&old, &new), expected);
        }
    }

    #[test]
    fn what_is_granted_is_said_in_few_words() {
        let strip = OnExtra::Strip;
        let view = held(
            Names::except(["*ssn*"]),
            Names::listed(["stage", "name"]),
            &[("stage", &["won"])],
            strip,
        )
        .view;
        assert_eq!(readable(&view), "all but *ssn*");
        assert_eq!(writable(&view), "name, stage; stage to some values alone");
        assert_eq!(readable(&Bounds::default().view(&ObjectType::Known(0))), "all");
    }
}
