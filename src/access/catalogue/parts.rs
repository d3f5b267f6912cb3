//! Operations that stand for parts of requests: links, lists and ties that something else carries.

use super::operation::Operations;
use crate::access::facts::OperationIndex;

/// Operations that parts of a request are judged as, whatever carries them.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// `associations=` on a read, a filter by associations.
    pub(crate) associations_list: Option<OperationIndex>,
    /// A link made along with a record.
    pub(crate) associations_create: Option<OperationIndex>,
    /// A list made along with an import.
    pub(crate) lists_create: Option<OperationIndex>,
    /// A new type tied to another.
    pub(crate) schema_association: Option<OperationIndex>,
}

impl Parts {
    /// Finds them by their ids, which a test holds to exist.
    pub(super) fn find(operations: &Operations) -> Self {
        Self {
            associations_list: operations.find("crm.associations.list"),
            associations_create: operations.find("crm.associations.create"),
            lists_create: operations.find("crm.lists.create"),
            schema_association: operations.find("crm.schemas.associations.create"),
        }
    }
}
