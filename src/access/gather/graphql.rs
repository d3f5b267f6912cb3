//! A GraphQL query: the operation itself for each type it asks for, and `crm.associations.list` for each
//! link it follows.

use super::{Gathering, shape};
use crate::access::effect::Effect;
use crate::access::graphql;
use crate::access::json::Json;
use crate::access::refusal::{Place, Reason, Refusal};

pub(super) fn read(gathering: &mut Gathering<'_>, body: &Json) -> Result<(), Refusal> {
    // A server may take the document from the query, too.
    if !gathering.target.query().is_empty() {
        return Err(IN_QUERY);
    }
    shape::object(body, &crate::access::pointer::At::BODY)?;
    let resolved = graphql::resolve(gathering.catalogue, body)?;
    for asked in &resolved.types {
        gathering.need_main(std::slice::from_ref(&asked.object))?;
    }
    for (from, to) in &resolved.associations {
        gathering.need_link(from, to, Effect::Read)?;
    }
    Ok(())
}

const IN_QUERY: Refusal = Refusal {
    reason: Reason::RefusedQuery,
    cause: "a GraphQL request has parameters in its query",
    remedy: "send `query`, `operationName` and `variables` in the body",
    place: Some(Place::parameter("query")),
};
