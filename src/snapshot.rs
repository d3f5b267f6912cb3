//! What a request decides on: catalogue, policies and keys of one moment, swapped as one.
//!
//! Kills, suspensions and revocations are not part of it: those are live flags on connections and
//! keys, seen by requests that hold an older snapshot, too.

use std::sync::Arc;

use crate::access::catalogue::Catalogue;
use crate::access::integration::KeyIndex;
use crate::access::policy_set::PolicySet;

/// One moment's view. The publisher makes a new one for each change; what did not change is shared.
pub struct Snapshot {
    /// Grows with every swap; stands in every record.
    pub version: u64,
    /// HubSpot's operations.
    pub catalogue: Arc<Catalogue>,
    /// Policies and ceiling.
    pub policies: Arc<PolicySet>,
    /// Keys.
    pub keys: Arc<KeyIndex>,
    /// Digest of the policies, for records.
    pub policy_digest: Arc<str>,
    /// Digest of the catalogue, for records.
    pub catalogue_digest: Arc<str>,
}

impl Snapshot {
    /// The first snapshot.
    pub fn first(catalogue: Arc<Catalogue>, policies: Arc<PolicySet>, keys: KeyIndex) -> Self {
        Self {
            version: 1,
            policy_digest: policies.digest().into(),
            catalogue_digest: catalogue.digest().into(),
            catalogue,
            policies,
            keys: Arc::new(keys),
        }
    }

    /// The next one, with other policies, and the catalogue they were resolved against; none with any other catalogue.
    pub fn with_policies(&self, catalogue: Arc<Catalogue>, policies: Arc<PolicySet>) -> Option<Self> {
        policies.is_of(&catalogue).then(|| Self {
            version: self.version + 1,
            policy_digest: policies.digest().into(),
            catalogue_digest: catalogue.digest().into(),
            catalogue,
            policies,
            keys: Arc::clone(&self.keys),
        })
    }

    /// The next one, with other keys.
    pub fn with_keys(&self, keys: KeyIndex) -> Self {
        Self {
            version: self.version + 1,
            catalogue: Arc::clone(&self.catalogue),
            policies: Arc::clone(&self.policies),
            keys: Arc::new(keys),
            policy_digest: Arc::clone(&self.policy_digest),
            catalogue_digest: Arc::clone(&self.catalogue_digest),
        }
    }
}
