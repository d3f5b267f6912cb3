//! The one place that changes what requests decide on: it follows the store, the policy folder and
//! the other watched files, builds the next snapshot and swaps it.
//!
//! A thread of its own: it reads files and the store, and neither may hold up a runtime. Nobody
//! else writes the snapshot.

mod commands;
mod kills;
mod reading;
mod rotation;
mod shown;

pub use kills::KillFollower;
use reading::FilesRead;
pub use rotation::RotationWatch;
pub use shown::{log_damaged_keys, log_mistakes};

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::Timestamp;

use crate::access::integration::KeyIndex;
use crate::access::policy_set::CeilingState;
use crate::access::policy_text::mistake::Mistake;
use crate::audit::{self, GateEvent, GateRecord, Record, Recording};
use crate::clock::{self, Jumps};
use crate::config::Config;
use crate::events::{ClockJumped, Reloaded, StoreFailed};
use crate::hubspot::connect::{Current, Upstream, upstream_tls};
use crate::metrics::StoreOp;
use crate::monitor::{Condition, Readiness};
use crate::proxy::gate::Gate;
use crate::proxy::tls;
use crate::snapshot::Snapshot;
use crate::store::{AnchorKeeper, ChangeKind, Store, StoreError};
use crate::watch::Watch;

/// How often the store is asked for changes: a revocation is in force within twice this.
const POLL: Duration = Duration::from_millis(200);

/// A reload begins this long after the last change: editors and deployments touch a file several times.
const SETTLE: Duration = Duration::from_millis(200);

/// And no later than this after the first one: a folder that never rests must not delay a tightening.
const SETTLE_MOST: Duration = Duration::from_secs(2);

/// How often the store is looked at while files are read.
const READING_LOOK: Duration = Duration::from_millis(50);

/// How often it is looked whether commands have been recorded.
const RECORDING_LOOK: Duration = Duration::from_millis(10);

/// What others tell the publisher.
pub enum Message {
    /// A watched file changed.
    FilesChanged,
    /// SIGHUP: read everything anew, now.
    Reload,
    /// The gate goes down.
    Stop,
}

/// Follows the world and publishes it.
pub struct Publisher {
    /// Settings.
    pub config: Config,
    /// What is published to.
    pub gate: Arc<Gate>,
    /// Keys, connections, changes.
    pub store: Arc<Store>,
    /// Where reloads and commands are recorded.
    pub audit: audit::Handle,
    /// Where trouble is shown.
    pub readiness: Arc<Readiness>,
    /// The last change that is in the snapshot.
    pub applied: u64,
    /// The same, as it was last written back for commands that wait.
    pub written_back: Option<u64>,
    /// The last command that is in the audit log.
    pub audited: i64,
    /// The same, as the store has it.
    pub ticked_off: i64,
    /// Commands behind it that are on their way there, and the last of them.
    pub recording: Option<(Recording, i64)>,
    /// A random id of this run of the process.
    pub boot: uuid::Uuid,
    /// What tells of changed files.
    pub watch: Option<Watch>,
    /// Where durable records are waited for.
    pub runtime: tokio::runtime::Handle,
    /// The mistakes that were said last: said again only when they change.
    pub said: Vec<String>,
    /// What `/readyz?verbose` lists on the publisher's word.
    pub warned: BTreeSet<String>,
    /// What was said about credentials due for rotation.
    pub rotation: RotationWatch,
    /// TLS of the admin listener, if it has any.
    pub admin_tls: Option<Arc<ArcSwap<rustls::ServerConfig>>>,
    /// Tells an old copy of the store from the store.
    pub anchor: AnchorKeeper,
    /// Notices that the wall clock was set.
    pub jumps: Jumps,
}

/// The upstream, with the trust it is verified by.
pub fn read_upstream(config: &Config) -> Result<Upstream, String> {
    let settings = &config.upstream;
    let pem = match &settings.ca {
        None => None,
        Some(path) => Some(
            std::fs::read(path).map_err(|error| format!("`upstream.ca` `{}`: {error}", path.display()))?,
        ),
    };
    let tls =
        upstream_tls(&settings.url, pem.as_deref()).map_err(|error| format!("`upstream.ca`: {error}"))?;
    Upstream::new(&settings.url, tls, settings.allow_private)
        .map(|upstream| upstream.verified_by(pem))
        .map_err(|error| error.to_string())
}

impl Publisher {
    /// Follows until told to stop, or until nobody can tell any more.
    pub fn run(mut self, messages: &Receiver<Message>) {
        let mut due: Option<Due> = None;
        self.begin();
        loop {
            let look = match self.recording {
                None => POLL,
                Some(_) => RECORDING_LOOK,
            };
            let wait = due.map_or(look, |due| {
                due.at().saturating_duration_since(Instant::now()).min(look)
            });
            match messages.recv_timeout(wait) {
                Ok(Message::FilesChanged) => due = Some(Due::again(due)),
                Ok(Message::Reload) => {
                    // Whoever asks more often than files can be read is answered by one reading.
                    if messages
                        .try_iter()
                        .any(|message| matches!(message, Message::Stop))
                    {
                        break;
                    }
                    due = None;
                    self.reload();
                }
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.watch.as_mut().is_some_and(Watch::swapped) {
                due = Some(Due::again(due));
            }
            let is_due = due.is_some_and(|due| due.at() <= Instant::now());
            if is_due || self.stand_ins_are_over() {
                due = None;
                self.reload();
            }
            self.follow_store();
            self.look_at_the_clock();
            self.look_after_rotation();
        }
        self.finish_recording();
        if let Err(error) = self.anchor.write(&self.store, clock::wall()) {
            tracing::warn!(error = %error, "the store's anchor stays behind");
        }
        // The line is only for commands that wait: a failure leaves them waiting, no more.
        let _ = self.store.forget_instance(&self.config.instance);
    }

    /// Says that this gate follows: from here on commands wait for it. Before it accepts anything, so
    /// that whoever saw it ready is answered about this gate.
    pub fn announce(&mut self) -> Result<(), StoreError> {
        self.store.begin_following(&self.config.instance, self.applied)?;
        self.written_back = Some(self.applied);
        Ok(())
    }

    /// Files are read once more: what changed between the first reading and the first watching told
    /// nobody. What was commanded while no gate ran is recorded.
    fn begin(&mut self) {
        self.reload();
        self.audit_commands(true);
    }

    /// Whether a policy's previous version has stood in for it for as long as it may.
    fn stand_ins_are_over(&self) -> bool {
        let next = self.gate.snapshot.load().policies.next_change();
        next.is_some_and(|at| at <= clock::now())
    }

    /// Reads all watched files. What can't be read leaves what is in force, and says so.
    fn reload(&mut self) {
        fail::fail_point!("publisher-reload");
        self.watch_anew();
        let before = self.gate.snapshot.load_full();
        let mut sound = self.reload_trust();
        let now = clock::now();
        let Some(read) = self.read_meanwhile(&before, now) else {
            self.complain("policies", "reading them ended in a defect of scopegate's");
            return;
        };
        for (what, error) in &read.failed {
            sound = false;
            self.complain(what, error);
        }
        let FilesRead {
            catalogue,
            policies,
            mistakes,
            ..
        } = read;
        sound &= !mistakes.iter().any(Mistake::is_error)
            && matches!(
                policies.ceiling_state(),
                CeilingState::Absent | CeilingState::InForce
            );
        self.say_mistakes(&mistakes);
        let changed =
            policies.digest() != before.policies.digest() || catalogue.digest() != before.catalogue.digest();
        // Keys may have changed while files were read; policies are changed here alone.
        let now_in_force = self.gate.snapshot.load();
        let Some(next) = now_in_force.with_policies(catalogue, Arc::new(policies)) else {
            self.complain(
                "policies",
                "they were resolved against another catalogue: a defect of scopegate's",
            );
            return;
        };
        drop(now_in_force);
        self.show_policies(&next);
        let policies = next.policies.integrations().count();
        let errors = mistakes.iter().filter(|mistake| mistake.is_error()).count();
        let (digest, snapshot) = (Arc::clone(&next.policy_digest), next.version);
        self.gate.snapshot.store(Arc::new(next));
        Reloaded {
            time: now,
            digest: &digest,
            snapshot,
            policies,
            mistakes: errors,
        }
        .emit(&self.gate.metrics);
        if changed {
            self.note_reload(&digest);
            self.show_clipped();
        }
        if sound {
            self.readiness.clear_warning("reload");
        } else {
            self.readiness.warn(
                "reload",
                "the last reload found mistakes; see the log, or run `scopegate policy check`",
            );
        }
    }

    /// Reads catalogue and policies in a thread of its own, and follows the store meanwhile: many policies
    /// on a slow disk take longer than what is known of the store stays fresh.
    fn read_meanwhile(&mut self, before: &Arc<Snapshot>, now: Timestamp) -> Option<FilesRead> {
        let (config, before) = (self.config.clone(), Arc::clone(before));
        let (hand, read) = sync_channel(1);
        std::thread::Builder::new()
            .name("reload".to_owned())
            .spawn(move || {
                // Who ends meanwhile wants none.
                let _ = hand.send(FilesRead::of(&config, &before, now));
            })
            .ok()?;
        loop {
            match read.recv_timeout(READING_LOOK) {
                Ok(read) => return Some(read),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => self.follow_store(),
            }
        }
    }

    fn watch_anew(&mut self) {
        let Some(watch) = &mut self.watch else { return };
        match watch.renew() {
            Ok(()) => self.readiness.clear_warning("watch"),
            Err(error) => {
                self.readiness.warn(
                    "watch",
                    "changed files are not noticed by themselves: send SIGHUP after a change",
                );
                self.complain("watch", &error.to_string());
            }
        }
    }

    /// Certificates, key, client CA and upstream CA.
    fn reload_trust(&self) -> bool {
        let mut sound = true;
        if let Some(files) = &self.config.tls {
            match tls::server_config(files) {
                Ok(config) => self.gate.tls.store(Some(config)),
                Err(error) => {
                    sound = false;
                    self.complain("tls", &error.to_string());
                }
            }
        }
        if let (Some(files), Some(current)) = (&self.config.admin.tls, &self.admin_tls) {
            match tls::http1_config(files) {
                Ok(config) => current.store(config),
                Err(error) => {
                    sound = false;
                    self.complain("admin.tls", &error.to_string());
                }
            }
        }
        if self.config.upstream.ca.is_some() {
            match read_upstream(&self.config) {
                Ok(upstream) => {
                    let (current, version) = self.gate.upstream();
                    // A reload of policies must not cost every connection its handshake.
                    if !upstream.is_verified_as(&current) {
                        let version = version + 1;
                        self.gate.upstream.store(Arc::new(Current { upstream, version }));
                    }
                }
                Err(error) => {
                    sound = false;
                    self.complain("upstream", &error);
                }
            }
        }
        sound
    }

    fn complain(&self, what: &str, error: &str) {
        tracing::error!(
            event = "reload.failed",
            what,
            error,
            "what is in force stays in force"
        );
    }

    fn note_reload(&self, digest: &str) {
        let record = GateRecord {
            time: clock::wall(),
            event: GateEvent::Reload,
            boot: self.boot,
            detail: digest.to_owned(),
        };
        // Counted by the log itself when it finds no room.
        let _ = self.audit.push(Record::Gate(Box::new(record)));
    }

    /// Applies what commands changed in the store.
    fn follow_store(&mut self) {
        match self.apply_changes() {
            Ok(()) => {
                self.gate.freshness.renew(self.config.limits.store_max_staleness);
                // Whether emergency stops can be followed is another thread's business.
                let may_decide = self.gate.may_decide(Instant::now());
                self.readiness.set(Condition::Store, may_decide);
                self.write_behind();
            }
            Err(error) => {
                StoreFailed {
                    op: StoreOp::Poll,
                    detail: &error,
                }
                .emit(&self.gate.metrics);
                // A revocation may be waiting there: when freshness runs out, better no answer than
                // a wrong one.
                if !self.gate.freshness.holds(Instant::now()) {
                    self.readiness.set(Condition::Store, false);
                }
            }
        }
    }

    /// Says so when the wall clock was set, and records it: dates of records before and after it can't be
    /// compared.
    fn look_at_the_clock(&mut self) {
        let Some(by) = self.jumps.look() else { return };
        ClockJumped { by }.emit(&self.gate.metrics);
        let record = GateRecord {
            time: clock::wall(),
            event: GateEvent::Clock,
            boot: self.boot,
            detail: format!("the wall clock was set by {} s", by.as_secs()),
        };
        // Counted by the log itself when it finds no room.
        let _ = self.audit.push(Record::Gate(Box::new(record)));
    }

    /// The store's anchor follows; a warning while it can't.
    fn follow_with_the_anchor(&mut self) {
        match self.anchor.follow(&self.store, clock::wall()) {
            Ok(true) => self.readiness.clear_warning("anchor"),
            Ok(false) => {}
            Err(error) => {
                self.readiness.warn(
                    "anchor",
                    "the store's anchor does not follow: an old copy of the store may not be told from it",
                );
                StoreFailed {
                    op: StoreOp::Anchor,
                    detail: &error,
                }
                .emit(&self.gate.metrics);
            }
        }
    }

    fn apply_changes(&mut self) -> Result<(), StoreError> {
        self.look_at_the_files()?;
        loop {
            let changes = self.store.changes_after(self.applied)?;
            if changes.missed {
                self.load_all()?;
                continue;
            }
            let Some(last) = changes.rows.last().map(|row| row.seq) else {
                break;
            };
            let mut keys = None;
            for change in &changes.rows {
                match change.kind {
                    ChangeKind::Key => self.apply_key(&change.id, &mut keys)?,
                    ChangeKind::Connection | ChangeKind::App | ChangeKind::MasterKey => {
                        self.gate.live.apply_change(change)?
                    }
                    // In force by now, or here: what is shown below must be what is in force.
                    ChangeKind::Kill => {
                        let kills = self.store.kill_state()?;
                        self.show_kills(&kills);
                        self.gate.apply_kills(kills);
                    }
                }
            }
            if let Some(keys) = keys {
                let next = self.gate.snapshot.load().with_keys(keys);
                self.gate.snapshot.store(Arc::new(next));
            }
            self.gate.stir();
            self.applied = last;
            self.show_keys_and_connections();
        }
        Ok(())
    }

    /// What is written once the changes are in force, and says nothing about them. A store that is locked has each
    /// write wait for seconds: after one that failed no other is tried. What goes elsewhere needs none of them.
    fn write_behind(&mut self) {
        let is_written = self.write_back();
        if self.audit_commands(is_written) && is_written {
            self.gate.live.note_again();
        }
        self.follow_with_the_anchor();
    }

    /// Writes back what is in force, for commands that wait for it: what was applied now, could not be written before,
    /// or was loaded with all else. Whether that is done.
    fn write_back(&mut self) -> bool {
        if self.written_back == Some(self.applied) {
            return true;
        }
        match self.store.note_applied(&self.config.instance, self.applied) {
            Ok(()) => self.written_back = Some(self.applied),
            Err(error) => {
                StoreFailed {
                    op: StoreOp::Write,
                    detail: &error,
                }
                .emit(&self.gate.metrics);
                return false;
            }
        }
        true
    }

    /// A store that was removed or replaced beneath is not followed any more. Grants that stand only in a
    /// removed log are moved into the file while that can be done.
    fn look_at_the_files(&self) -> Result<(), StoreError> {
        let outcome = self.store.in_place();
        if matches!(outcome, Err(StoreError::Displaced(_))) && self.store.rescue_log() {
            tracing::debug!("what the removed log held is in the store");
        }
        outcome
    }

    fn apply_key(&self, id: &str, keys: &mut Option<KeyIndex>) -> Result<(), StoreError> {
        let Some(id) = crate::access::key::KeyId::parse(id) else {
            return Ok(());
        };
        let keys = keys.get_or_insert_with(|| KeyIndex::clone(&self.gate.snapshot.load().keys));
        match self.store.key(&id) {
            Ok(Some(row)) => keys.put(row.to_entry()),
            Ok(None) => keys.remove(&id),
            // It may have been revoked; the changes behind it are for others.
            Err(StoreError::Damaged(_)) => {
                log_damaged_keys(&[Some(id)]);
                keys.remove(&id);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Rows in between are gone: everything is read anew.
    fn load_all(&mut self) -> Result<(), StoreError> {
        let last = self.store.last_change()?;
        let before = self.gate.snapshot.load_full();
        // Entry by entry, so that calls under way see what was revoked.
        let mut keys = KeyIndex::clone(&before.keys);
        let damaged = self.store.visit_keys(|row| keys.put(row.to_entry()))?;
        log_damaged_keys(&damaged);
        for id in damaged.iter().flatten() {
            keys.remove(id);
        }
        self.gate.snapshot.store(Arc::new(before.with_keys(keys)));
        self.gate.live.reload()?;
        let kills = self.store.kill_state()?;
        self.show_kills(&kills);
        self.gate.apply_kills(kills);
        self.gate.stir();
        self.applied = last;
        self.show_keys_and_connections();
        Ok(())
    }
}

/// When a reload is due: a while after the last change, not too long after the first.
#[derive(Clone, Copy)]
struct Due {
    first: Instant,
    last: Instant,
}

impl Due {
    fn again(before: Option<Self>) -> Self {
        let now = Instant::now();
        Self {
            first: before.map_or(now, |due| due.first),
            last: now,
        }
    }

    fn at(self) -> Instant {
        (self.last + SETTLE).min(self.first + SETTLE_MOST)
    }
}
