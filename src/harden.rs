//! What the process gives up at its start, so that its memory does not end up in a file.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// No core file, and no reading of the process by others of the same user. A system that refuses is
/// said so: the gate runs all the same.
pub fn no_core_dumps() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let limited = setrlimit(Resource::Core, none);
    let closed = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    for error in [limited, closed].into_iter().filter_map(Result::err) {
        tracing::warn!(error = %error, "core dumps could not be switched off");
    }
}
