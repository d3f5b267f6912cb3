//! The world outside one gate's process, as a simulation makes it up: network, disk, and the process's own end. In
//! tests only.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::hubspot::control::{ControlAnswer, ControlError};

/// Everything an attempt waits for.
pub(crate) trait Outside: Send + Sync {
    /// One question and its answer, within `longest`.
    fn ask(
        &self,
        path: String,
        form: Bytes,
        longest: Duration,
    ) -> BoxFuture<'static, Result<ControlAnswer, ControlError>>;

    /// Before work on the store: false when the disk refuses it. Never ends for a process that is dead.
    fn disk_begins(&self) -> BoxFuture<'static, bool>;

    /// After the work was committed: false when the disk says it failed all the same.
    fn disk_ends(&self) -> BoxFuture<'static, bool>;
}
