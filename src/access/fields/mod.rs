//! Property rules: which properties of a record an integration may read, filter by and write
//! (contracts.md §2, item 7).
//!
//! They bound every rule, whatever opened the call, and open nothing. A request is judged and
//! narrowed on its way up ([`judge()`]), so that hidden values never even arrive where HubSpot lets
//! us say so, and its answer is filtered on the way down by a tokenizer that knows the answer's
//! [`Shape`]. Without a `properties:` block in policy and ceiling nothing here runs.

pub mod filter;
pub mod grant;
pub mod judge;
#[doc(hidden)]
pub mod model;
pub mod names;
pub mod plan;
pub mod shape;
pub mod shapes;

pub use filter::{Filter, SCRATCH_BYTES, Violation};
pub use grant::{Bounds, Direction, Entry, OnExtra, Properties, View};
pub use judge::{Request, judge};
pub use names::{Beyond, Names, Pattern};
pub use plan::{AnswerRule, Plan, PropertyDenial};
pub use shape::{Members, Of, Shape, Unknown, Views};
