//! Which scopes are missing: what the catalogue says the call needs and the credential was not
//! granted. HubSpot's own list decides only where the catalogue has nothing to say: it has named
//! `contacts` where `crm.objects.owners.read` was missing (hubspot-api-nodejs issue 268).

use std::fmt;

use super::{Forbidden, ForbiddenCause, ForbiddenDetail, Question};

/// Most scopes that are named.
const NAMED_MOST: usize = 8;

/// Scopes that are missing, in a form that can stand in a header: names the catalogue knows, no
/// more than eight.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lacks {
    scopes: Vec<String>,
    any: bool,
}

impl Lacks {
    fn new<'a>(scopes: impl IntoIterator<Item = &'a str>, any: bool) -> Self {
        let mut lacks = Self::default();
        for scope in scopes {
            if lacks.scopes.len() < NAMED_MOST && !lacks.scopes.iter().any(|known| known == scope) {
                lacks.scopes.push(scope.to_owned());
            }
        }
        lacks.any = any && lacks.scopes.len() > 1;
        lacks
    }

    /// Whether none can be named.
    pub fn is_empty(&self) -> bool {
        self.scopes.is_empty()
    }

    /// The names.
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// Whether one of them is enough.
    pub fn is_any(&self) -> bool {
        self.any
    }
}

impl fmt::Display for Lacks {
    /// A blank between scopes that are all missing, `|` between those of which one is enough.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scopes.join(if self.any { "|" } else { " " }))
    }
}

/// How many of the scopes a body names are needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Quantity {
    #[default]
    Any,
    All,
}

/// The scopes a body names.
#[derive(Clone, Debug, Default)]
pub(super) struct Named {
    pub(super) scopes: Vec<String>,
    pub(super) quantity: Quantity,
}

impl Named {
    pub(super) fn is_empty(&self) -> bool {
        self.scopes.is_empty()
    }
}

/// Whether it is known that the credential lacks a scope the call needs.
pub(super) fn is_lacking(question: &Question<'_>) -> bool {
    question.granted.is_some() && !unmet(question, &[]).is_empty()
}

/// A scope is missing: which?
pub(super) fn missing(question: &Question<'_>, named: &Named) -> Forbidden {
    let (lacks, detail) = lacking(question, named);
    Forbidden {
        cause: ForbiddenCause::MissingScope,
        lacks,
        detail,
    }
}

/// A protected property was asked for without its scope. HubSpot's names say which, if any; a
/// credential that has such scopes may have been refused for another reason.
pub(super) fn sensitive(question: &Question<'_>, named: &Named) -> Forbidden {
    let protects = |scope: &String| scope.contains("sensitive");
    let granted = question.granted.unwrap_or_default();
    if named.is_empty() && granted.iter().any(protects) {
        return Forbidden::unknown(ForbiddenDetail::SensitiveData);
    }
    let names = public(question, named);
    let names = names.into_iter().filter(|scope| !is_granted(question, scope));
    Forbidden {
        cause: ForbiddenCause::MissingScope,
        lacks: Lacks::new(names, named.quantity == Quantity::Any),
        detail: Some(ForbiddenDetail::SensitiveData),
    }
}

fn lacking(question: &Question<'_>, named: &Named) -> (Lacks, Option<ForbiddenDetail>) {
    let names = public(question, named);
    let is_any = named.quantity == Quantity::Any;
    let unmet = unmet(question, &names);
    let agrees = names.is_empty() || unmet.iter().any(|scope| names.contains(scope));
    let corrected = (!agrees).then_some(ForbiddenDetail::Corrected);
    if question.granted.is_none() {
        let unknown = Some(ForbiddenDetail::GrantedUnknown);
        return match unmet.is_empty() {
            true => (Lacks::new(names, is_any), unknown),
            false => (Lacks::new(unmet, false), corrected.or(unknown)),
        };
    }
    let rest = names.iter().copied().filter(|scope| !is_granted(question, scope));
    let rest: Vec<&str> = rest.collect();
    if !unmet.is_empty() {
        // HubSpot wants all it names, and what the catalogue knows of is among that.
        let more = (!is_any && unmet.iter().all(|scope| names.contains(scope))).then_some(rest);
        let all = unmet.into_iter().chain(more.into_iter().flatten());
        return (Lacks::new(all, false), corrected);
    }
    let contradicts = is_any && rest.len() < names.len();
    match rest.is_empty() || contradicts {
        true if named.is_empty() && question.needs.iter().all(Vec::is_empty) => (Lacks::default(), None),
        true => (Lacks::default(), Some(ForbiddenDetail::Granted)),
        false => (Lacks::new(rest, is_any), Some(ForbiddenDetail::NamedByHubspot)),
    }
}

/// What of the catalogue's needs is not granted; all of them while nobody knows what is. Where there
/// is a choice, what HubSpot names, too, else what comes first.
fn unmet<'a>(question: &Question<'a>, names: &[&str]) -> Vec<&'a str> {
    let missing_of = |term: &Vec<&'a str>| -> Vec<&'a str> {
        let missing = term.iter().copied().filter(|scope| !is_granted(question, scope));
        missing.collect()
    };
    let mut unmet = Vec::new();
    for need in question.needs {
        let terms: Vec<Vec<&str>> = need.iter().map(missing_of).collect();
        if terms.iter().any(Vec::is_empty) {
            continue;
        }
        let named = terms
            .iter()
            .find(|term| term.iter().all(|scope| names.contains(scope)));
        unmet.extend(named.or(terms.first()).into_iter().flatten());
    }
    unmet
}

/// The names that the catalogue knows: HubSpot's own, as `contacts-access`, can't be granted.
fn public<'n>(question: &Question<'_>, named: &'n Named) -> Vec<&'n str> {
    let known = named.scopes.iter().map(String::as_str);
    known.filter(|scope| (question.is_scope)(scope)).collect()
}

fn is_granted(question: &Question<'_>, scope: &str) -> bool {
    let granted = question.granted.unwrap_or_default();
    granted.iter().any(|known| known == scope)
}
