//! CRM object types: one canonical value for every spelling.

use std::sync::Arc;

/// A CRM object type, whatever the spelling it came in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectType {
    /// A row of `catalogue/object_types.tsv`, by its position there.
    Known(u8),
    /// A custom object, by the lower-case spelling it was addressed with (`2-123`, `p_car`,
    /// `p456_car`). HubSpot alone knows which of these mean the same object: rules must name
    /// each spelling they mean.
    Custom(Arc<str>),
}
