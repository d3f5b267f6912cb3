//! Commands on their way from the store into the audit log.

use super::Publisher;
use crate::audit::{AdminRecord, Record, Recording};
use crate::events::StoreFailed;
use crate::metrics::StoreOp;
use crate::store::StoreError;

impl Publisher {
    /// Puts commands behind the changes into the audit log, and ticks them off once they are on the disk: what
    /// does not get there is tried again, and at the next start. A batch in one look, and nothing is waited for:
    /// the next change must not wait for a slow disk, nor for the records of a hundred thousand earlier ones.
    /// What fails here says nothing about what is in force. Whether nothing failed. `may_write`: whether
    /// the store may be told now.
    pub(super) fn audit_commands(&mut self, may_write: bool) -> bool {
        let recorded = self.record_commands(may_write);
        if let Err(error) = &recorded {
            StoreFailed {
                op: StoreOp::Write,
                detail: error,
            }
            .emit(&self.gate.metrics);
        }
        recorded.is_ok()
    }

    fn record_commands(&mut self, may_write: bool) -> Result<(), StoreError> {
        if let Some((recording, last)) = &mut self.recording {
            match recording.look() {
                // They are on their way: handed over again, each would stand there twice.
                None => return Ok(()),
                Some(Ok(())) => self.audited = *last,
                Some(Err(_)) => {}
            }
            self.recording = None;
        }
        // First: a row that can't be read must not have all before it recorded again at the next start.
        let ticked_off = match may_write {
            true => self.tick_off(),
            false => Ok(()),
        };
        self.recording = self.hand_commands_over()?;
        ticked_off
    }

    /// Writes down which commands are on the disk.
    fn tick_off(&mut self) -> Result<(), StoreError> {
        if self.ticked_off != self.audited {
            self.store.note_audited(&self.config.instance, self.audited)?;
            self.ticked_off = self.audited;
        }
        Ok(())
    }

    /// Waits for what is on its way, once no change has to be followed any more: else the next start would
    /// record it again.
    pub(super) fn finish_recording(&mut self) {
        if let Some((mut recording, last)) = self.recording.take()
            && self.runtime.block_on(recording.wait()).is_ok()
        {
            self.audited = last;
        }
        if let Err(error) = self.tick_off() {
            tracing::warn!(error = %error, "commands that were recorded will be recorded again at the next start");
        }
    }

    /// The next commands, on their way to the disk: the last one's place there is that of all before it, since
    /// the queue keeps their order.
    fn hand_commands_over(&self) -> Result<Option<(Recording, i64)>, StoreError> {
        let mut last = None;
        for event in self.store.admin_events_after(self.audited)? {
            let id = event.id;
            let record = AdminRecord {
                time: event.at,
                event: id,
                actor: event.actor,
                action: event.action,
                subject: event.subject,
                reason: event.reason,
            };
            match self.audit.begin_durable(Record::Admin(Box::new(record))) {
                Ok(recording) => last = Some((recording, id)),
                Err(_) => break,
            }
        }
        Ok(last)
    }
}
