//! One policy under one ceiling, asked about many requests.

use jiff::Timestamp;

use crate::access::catalogue::Catalogue;
use crate::access::decide::{Closed, Question, Ruled, bounds, ruled};
use crate::access::facts::Facts;
use crate::access::fields::Bounds;
use crate::access::object_type::ObjectType;
use crate::access::policy::Policy;
use crate::access::policy::ceiling::Ceiling;
use crate::access::policy::rule::{AllowRule, DenyRule};
use crate::access::policy::tables::ConnectionRef;
use crate::access::policy_text::written::Selector;

use super::space::Relevance;

/// A policy, or none, under a ceiling, or none.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// Without one nothing is allowed.
    pub policy: Option<&'a Policy>,
    /// The ceiling in force.
    pub ceiling: Option<&'a Ceiling>,
}

impl<'a> Side<'a> {
    /// What the rules say to facts, on a connection, at a moment. `None`: there is no policy, or it
    /// does not cover the connection.
    pub fn ruled<'q>(
        &self,
        catalogue: &'q Catalogue,
        facts: &'q Facts,
        connection: ConnectionRef<'q>,
        now: Timestamp,
    ) -> Option<Result<Ruled<'q>, Closed>>
    where
        'a: 'q,
    {
        let policy = self.policy.filter(|policy| policy.covers(connection))?;
        Some(ruled(&Question {
            policy,
            ceiling: self.ceiling,
            catalogue,
            facts,
            request: None,
            connection,
            now,
        }))
    }

    /// Whether the policy holds for a connection.
    pub fn covers(&self, connection: ConnectionRef<'_>) -> bool {
        self.policy.is_some_and(|policy| policy.covers(connection))
    }

    /// The property rules that hold.
    pub fn bounds(&self) -> Bounds {
        self.policy
            .map_or_else(Bounds::default, |policy| bounds(policy, self.ceiling))
    }

    /// Every list of connections that is written: the policy's own first, then those of rules.
    pub fn selectors(&self) -> Vec<&'a [Selector]> {
        let mut lists: Vec<&[Selector]> = Vec::new();
        lists.extend(self.policy.map(|policy| policy.connections.as_slice()));
        for (allow, deny) in self.rules() {
            lists.extend(allow.iter().filter_map(|rule| rule.connections.as_deref()));
            lists.extend(deny.iter().filter_map(|rule| rule.connections.as_deref()));
        }
        lists
    }

    /// Every object type that a rule or a property rule names.
    pub fn named_objects(&self) -> Vec<&'a ObjectType> {
        let mut named = Vec::new();
        for (allow, deny) in self.rules() {
            let sets = allow.iter().flat_map(AllowRule::objects);
            let sets = sets.chain(deny.iter().filter_map(|rule| rule.objects.as_ref()));
            named.extend(sets.flat_map(|set| &set.named));
        }
        let blocks = [
            self.policy.and_then(|policy| policy.properties.as_deref()),
            self.ceiling.and_then(|ceiling| ceiling.properties.as_deref()),
        ];
        let types = blocks.into_iter().flatten().flat_map(|block| block.types());
        named.extend(types.map(|(object, _)| object));
        named
    }

    /// Adds what the rules look at.
    pub fn add_to(&self, relevance: &mut Relevance<'a>) {
        for (allow, deny) in self.rules() {
            relevance.add(allow, deny);
        }
        if self.policy.is_some_and(|policy| policy.observe.is_some()) {
            relevance.observes();
        }
    }

    fn rules(&self) -> Vec<(&'a [AllowRule], &'a [DenyRule])> {
        let mut rules: Vec<(&[AllowRule], &[DenyRule])> = Vec::new();
        rules.extend(self.policy.map(|policy| (&*policy.allow, &*policy.deny)));
        rules.extend(
            self.ceiling
                .map(|ceiling| (ceiling.allow.as_deref().unwrap_or_default(), &*ceiling.deny)),
        );
        rules
    }
}
