//! A policy as used: what one integration may do, every name resolved, compiled for the decision.

pub mod ceiling;
pub mod compare;
pub mod lint;
pub mod named;
pub mod opens;
pub mod resolve;
pub mod rule;
pub mod tables;

use std::sync::Arc;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};

use self::ceiling::Ceiling;
use self::resolve::Resolver;
use self::rule::{AllowRule, DenyRule, Effects, Opens};
use self::tables::{ConnectionRef, Sizes, Tables};
use super::catalogue::Catalogue;
use super::facts::{Risks, ScopeIndex};
use super::fields::Properties;
use super::installer::InstallerRules;
use super::limits::Limits;
use super::policy_text::mistake::{Mistake, code, in_order};
use super::policy_text::properties::WrittenProperties;
use super::policy_text::read::{self, Reading};
use super::policy_text::written::{At, Selector, WrittenObserve, WrittenPolicy};

/// Longest that a policy may observe, in days.
pub const OBSERVE_DAYS_MAX: i32 = 60;

/// What one integration may do.
#[derive(Debug)]
pub struct Policy {
    /// Name of the integration.
    pub integration: Arc<str>,
    /// What it is for.
    pub description: Option<String>,
    /// Who answers for it.
    pub owner: String,
    /// Day of the next review.
    pub review_by: Option<Date>,
    /// Last day it holds.
    pub expires: Option<Date>,
    /// Where it may act.
    pub connections: Vec<Selector>,
    /// What it may do.
    pub allow: Vec<AllowRule>,
    /// What it may not do.
    pub deny: Vec<DenyRule>,
    /// What passes although nothing allows it.
    pub observe: Option<Observe>,
    /// What may be read and written of records; `None` = everything.
    pub properties: Option<Arc<Properties>>,
    /// What it may still do when the person behind the credential leaves or loses rights.
    pub installer: InstallerRules,
    /// How much in one request, and in any span of time.
    pub limits: Limits,
    /// The rules, compiled.
    pub(super) tables: Tables,
    /// Path of its file.
    pub file: Arc<str>,
    /// Its text: the identity of this version.
    pub text: Arc<str>,
    expires_at: Option<Timestamp>,
}

/// Calls that nothing allows pass for a while and are recorded.
#[derive(Clone, Debug)]
pub struct Observe {
    /// Last day.
    pub until: Date,
    /// Effects that pass.
    pub effects: Effects,
    /// Risks that pass.
    pub risks: Risks,
    /// `contact-report#observe`.
    pub id: Arc<str>,
    ends_at: Timestamp,
}

impl Policy {
    /// Reads, resolves and compiles a policy file.
    ///
    /// `stem` is the file's name without `.yaml`, `now` judges `observe.until` alone.
    ///
    /// # Errors
    /// Every mistake of the text and of the names in it, in the order of the file. Warnings come
    /// beside a policy that loads.
    pub fn load(
        file: &Arc<str>,
        stem: &str,
        text: &Arc<str>,
        catalogue: &Catalogue,
        now: Timestamp,
    ) -> Result<(Self, Vec<Mistake>), Vec<Mistake>> {
        let named = |mistakes| in_order(mistakes, file);
        let Reading {
            written,
            mut mistakes,
        } = read::policy(stem, text);
        let Some(written) = written else {
            return Err(named(mistakes));
        };
        let mut resolver = Resolver::new(catalogue, stem);
        resolver.unique_ids(&written.allow, &written.deny);
        let allow = resolver.allow(&written.allow);
        let deny = resolver.deny(&written.deny);
        let on_extra = written.on_extra_property.as_ref().map(|word| word.value);
        let properties = written
            .properties
            .as_ref()
            .map(|block| resolver.properties(&block.value, on_extra.unwrap_or_default()));
        mistakes.extend(resolver.mistakes);
        mistakes.extend(resolver.warnings);
        covered_connections(&written, &mut mistakes);
        if let Some(observe) = &written.observe {
            observe_in_bounds(observe, now, &mut mistakes);
        }
        let (Some(owner), Some(connections)) = (written.owner, written.connections) else {
            return Err(named(mistakes));
        };
        if mistakes.iter().any(Mistake::is_error) {
            return Err(named(mistakes));
        }
        let defaults = InstallerRules::default();
        let tables = Tables::compile(&Sizes::of(catalogue), &allow, &deny);
        let policy = Self {
            integration: stem.into(),
            description: written.description.map(|d| d.value),
            owner: owner.value,
            review_by: written.review_by.map(|d| d.value),
            expires: written.expires.as_ref().map(|d| d.value),
            connections: connections.value.into_iter().map(|c| c.value).collect(),
            allow,
            deny,
            observe: written.observe.map(|o| Observe::new(stem, &o.value)),
            properties: properties.map(Arc::new),
            installer: InstallerRules {
                removed: written
                    .installer_removed
                    .map_or(defaults.removed, |word| word.value),
                lost_rights: written
                    .installer_lost_rights
                    .map_or(defaults.lost_rights, |word| word.value),
            },
            limits: written.limits.map_or_else(Limits::default, |limits| {
                let caps = limits.caps.iter().map(|(counted, cap)| (*counted, cap.value));
                Limits::new(limits.batch.map(|most| most.value), caps)
            }),
            tables,
            file: Arc::clone(file),
            text: Arc::clone(text),
            expires_at: written.expires.and_then(|d| end_of_day(d.value)),
        };
        Ok((policy, named(mistakes)))
    }

    /// Its `properties` as written, with the places: for findings, not for the request path.
    fn written_properties(&self) -> Option<WrittenProperties> {
        let written = read::policy(&self.integration, &self.text).written;
        Some(written?.properties?.value)
    }

    /// Whether its last day is over.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }

    /// Whether anything of it ends: then a decision by it depends on the time.
    pub fn depends_on_time(&self) -> bool {
        self.expires_at.is_some() || self.observe.is_some()
    }

    /// The moment from which on it denies everything, for metrics.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// Whether its day of review is over: a finding, never a refusal.
    pub fn is_review_overdue(&self, now: Timestamp) -> bool {
        self.review_by.and_then(end_of_day).is_some_and(|end| now >= end)
    }

    /// Whether the integration may act in a connection at all.
    pub fn covers(&self, connection: ConnectionRef<'_>) -> bool {
        self.connections.iter().any(|s| connection.is_selected_by(s))
    }

    /// The one connection the policy names, if it names exactly one and nothing else.
    pub fn only_connection(&self) -> Option<&str> {
        match self.connections.as_slice() {
            [Selector::Name(name)] => Some(name),
            _ => None,
        }
    }

    /// The scopes its rules grant in a connection, each once, as far as the ceiling goes and without
    /// those that a rule denies outright: what the gate's introspection says the integration holds.
    /// Rules by operation grant no scope.
    pub fn granted_scopes(
        &self,
        connection: ConnectionRef<'_>,
        ceiling: Option<&Ceiling>,
    ) -> Vec<ScopeIndex> {
        let within = ceiling
            .and_then(|ceiling| ceiling.allow.as_deref())
            .map(|rules| granted(rules, connection));
        let deny = self
            .deny
            .iter()
            .chain(ceiling.iter().flat_map(|ceiling| &ceiling.deny));
        let denied: Vec<ScopeIndex> = deny
            .filter(|rule| rule.is_by_scope_alone())
            .filter_map(|rule| rule.scopes.as_ref())
            .flatten()
            .copied()
            .collect();
        let mut granted = granted(&self.allow, connection);
        granted.retain(|scope| {
            !denied.contains(scope) && within.as_ref().is_none_or(|within| within.contains(scope))
        });
        granted
    }
}

/// The scopes that rules open in a connection, in order, each once.
fn granted(rules: &[AllowRule], connection: ConnectionRef<'_>) -> Vec<ScopeIndex> {
    let mut scopes: Vec<ScopeIndex> = rules
        .iter()
        .filter(|rule| connection.is_selected_by_any(rule.connections.as_deref()))
        .filter_map(|rule| match &rule.opens {
            Opens::Scopes { grants, .. } => Some(grants.iter().map(|grant| grant.scope)),
            Opens::Operations { .. } => None,
        })
        .flatten()
        .collect();
    scopes.sort_unstable();
    scopes.dedup();
    scopes
}

impl Observe {
    fn new(integration: &str, written: &WrittenObserve) -> Self {
        let until = written.until.value;
        Self {
            until,
            effects: written.effects.iter().map(|e| e.value).collect(),
            risks: written
                .risks
                .iter()
                .fold(Risks::default(), |all, risk| all.union(risk.value)),
            id: format!("{integration}#observe").into(),
            ends_at: end_of_day(until).unwrap_or(Timestamp::MIN),
        }
    }

    /// The moment from which on nothing passes by it.
    pub fn ends_at(&self) -> Timestamp {
        self.ends_at
    }

    /// Whether observing goes on.
    pub fn is_on(&self, now: Timestamp) -> bool {
        now < self.ends_at
    }
}

impl Sizes {
    /// As many as the catalogue has.
    pub fn of(catalogue: &Catalogue) -> Self {
        let types = catalogue
            .object_types()
            .filter_map(|(object, _)| match object {
                crate::access::object_type::ObjectType::Known(row) => Some(usize::from(row) + 1),
                crate::access::object_type::ObjectType::Custom(_) => None,
            })
            .max();
        Self {
            operations: catalogue.operations().count(),
            scopes: catalogue.scopes().count(),
            object_types: types.unwrap_or(0),
            named_only: named::beside_their_scopes(catalogue),
        }
    }
}

/// The first moment after a day, UTC.
fn end_of_day(day: Date) -> Option<Timestamp> {
    let next = day.checked_add(1.day()).ok()?;
    let midnight = next.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(midnight.timestamp())
}

/// A rule's connections must be some of the policy's: a name elsewhere is a slip of the pen. What
/// a policy with `{app: …}` or `"*"` takes in, only the store knows.
fn covered_connections(written: &WrittenPolicy, mistakes: &mut Vec<Mistake>) {
    let Some(At { value: policy, .. }) = &written.connections else {
        return;
    };
    if !policy.iter().all(|s| matches!(s.value, Selector::Name(_))) {
        return;
    }
    let rules = written.allow.iter().chain(&written.deny);
    for At { value, span } in rules
        .filter_map(|r| r.connections.as_ref())
        .flat_map(|c| &c.value)
    {
        if policy.iter().any(|s| s.value == *value) {
            continue;
        }
        let name = match value {
            Selector::Name(name) => name.clone(),
            Selector::App(app) => format!("{{app: {app}}}"),
            Selector::All => "*".to_owned(),
        };
        mistakes.push(
            Mistake::error(
                code::BAD_CONNECTION,
                span.clone(),
                format!("`{name}` is none of the policy's connections"),
            )
            .help("add it to the policy's `connections`, or correct the name"),
        );
    }
}

fn observe_in_bounds(observe: &At<WrittenObserve>, now: Timestamp, mistakes: &mut Vec<Mistake>) {
    let until = &observe.value.until;
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let latest = today.checked_add(OBSERVE_DAYS_MAX.days()).unwrap_or(today);
    if until.value > latest {
        mistakes.push(
            Mistake::error(
                code::BAD_OBSERVE,
                until.span.clone(),
                format!(
                    "observing until {} is longer than {OBSERVE_DAYS_MAX} days",
                    until.value
                ),
            )
            .help(format!("write {latest} or an earlier day")),
        );
    }
}
