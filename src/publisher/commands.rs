//! Commands on their way from the store into the audit log.

use super::Publisher;
use crate::audit::{AdminRecord, AuditRefused, Record, Recording};
use crate::store::StoreError;

impl Publisher {
    /// Puts commands behind the changes into the audit log, and ticks them off once they are on the disk: what
    /// does not get there is tried again, and at the next start. A batch in one look: the next change must not
    /// wait for the records of a hundred thousand earlier ones.
    pub(super) fn audit_commands(&mut self) -> Result<(), StoreError> {
        if self.recording.is_none() {
            self.recording = self.hand_commands_over()?;
        }
        let Some((recording, last)) = &mut self.recording else {
            return Ok(());
        };
        let (recorded, last) = (self.runtime.block_on(recording.wait()), *last);
        match recorded {
            Ok(()) => {
                self.recording = None;
                self.audited = last;
                self.store.note_audited(&self.config.instance, last)?;
            }
            // They are on their way: handed over again, each would stand there twice.
            Err(AuditRefused::Slow) => {}
            Err(_) => self.recording = None,
        }
        Ok(())
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
