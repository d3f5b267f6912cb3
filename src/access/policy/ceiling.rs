//! The ceiling: a policy that no integration's policy can exceed. It grants nothing.

use std::sync::Arc;

use super::resolve::Resolver;
use super::rule::{AllowRule, DenyRule};
use super::tables::{Sizes, Tables};
use crate::access::catalogue::Catalogue;
use crate::access::fields::{OnExtra, Properties};
use crate::access::policy_text::mistake::{Mistake, in_order};
use crate::access::policy_text::read::{self, Reading};
use crate::access::policy_text::written::Required;

/// Name of the ceiling's file.
pub const FILE_NAME: &str = "_ceiling.yaml";

/// Name in front of `#` in the ids of its rules.
const NAME: &str = "_ceiling";

/// The most that policies may do.
#[derive(Debug)]
pub struct Ceiling {
    /// What policies may allow; `None` = whatever `deny` leaves.
    pub allow: Option<Vec<AllowRule>>,
    /// What no policy may do.
    pub deny: Vec<DenyRule>,
    /// Whether policies may not observe.
    pub observe_never: bool,
    /// Policies must expire within this many days.
    pub expires_within_days: Option<u32>,
    /// What each policy must say.
    pub require: Vec<Required>,
    /// The most that may be read and written of records; `None` = everything.
    pub properties: Option<Arc<Properties>>,
    /// The rules, compiled.
    pub(in crate::access) tables: Tables,
    /// Path of its file.
    pub file: Arc<str>,
    /// Its text: the identity of this version.
    pub text: Arc<str>,
}

impl Ceiling {
    /// Reads, resolves and compiles a ceiling file.
    ///
    /// # Errors
    /// Every mistake of the text and of the names in it, in the order of the file.
    pub fn load(
        file: &Arc<str>,
        text: &Arc<str>,
        catalogue: &Catalogue,
    ) -> Result<(Self, Vec<Mistake>), Vec<Mistake>> {
        let named = |mistakes| in_order(mistakes, file);
        let Reading {
            written,
            mut mistakes,
        } = read::ceiling(text);
        let Some(written) = written else {
            return Err(named(mistakes));
        };
        let mut resolver = Resolver::new(catalogue, NAME);
        resolver.unique_ids(written.allow.as_deref().unwrap_or_default(), &written.deny);
        let allow = written.allow.as_ref().map(|rules| resolver.allow(rules));
        let deny = resolver.deny(&written.deny);
        let properties = written
            .properties
            .as_ref()
            .map(|block| resolver.properties(&block.value, OnExtra::Strip));
        mistakes.extend(resolver.mistakes);
        mistakes.extend(resolver.warnings);
        if mistakes.iter().any(Mistake::is_error) {
            return Err(named(mistakes));
        }
        let tables = Tables::compile(&Sizes::of(catalogue), allow.as_deref().unwrap_or_default(), &deny);
        let ceiling = Self {
            allow,
            deny,
            observe_never: written.observe.is_some(),
            expires_within_days: written.expires_within.map(|d| d.value),
            require: written.require.into_iter().map(|r| r.value).collect(),
            properties: properties.map(Arc::new),
            tables,
            file: Arc::clone(file),
            text: Arc::clone(text),
        };
        Ok((ceiling, named(mistakes)))
    }
}
