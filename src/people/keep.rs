//! Keeps findings up to date: after every poll, and every few seconds, since policies, connections and
//! operators change things, too. Each is told once when it begins and once when it is over.
//!
//! Connections are gone through page by page, and what is kept is asked for by connection: a hundred
//! thousand accounts take as little memory as one page, and no reader is held up by them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::People;
use super::findings::{Found, World};
use crate::access::connection::{ConnectionId, ConnectionName, PortalId};
use crate::access::policy_set::PolicySet;
use crate::clock;
use crate::config::PeopleSettings;
use crate::events::{FindingBegan, FindingEnded, FindingsWithheld};
use crate::metrics::FindingKind;
use crate::store::{
    ConnectionRows, FindingRow, LastUse, NewFinding, OpenFinding, PageMark, PersonRow, Store, StoreError,
};

/// How often everything is looked at though nothing was seen.
const EVERY: Duration = Duration::from_secs(10);

/// A look that takes long is repeated the later: at most a twentieth of a core goes into looking.
const REST: u32 = 19;

/// Findings told one by one in one look, of those that began and of those that ended: the first look at many
/// accounts finds something about most of them.
const TOLD_MOST: usize = 100;

/// Looks until `stop`.
pub(super) async fn run(people: Arc<People>, stop: CancellationToken) {
    let every = EVERY.min(people.settings.every);
    loop {
        let begun = Instant::now();
        match people.look_after().await {
            Ok(news) => people.tell(&news),
            Err(error) => people.store_failed(&error),
        }
        let rest = begun.elapsed() * REST;
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(rest) => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = people.look.notified() => {}
            () = tokio::time::sleep(every.saturating_sub(rest)) => {}
        }
    }
}

/// What one look changed.
#[derive(Default)]
struct News {
    /// The first of those that began, and how many there were.
    began: Vec<FindingRow>,
    began_in_all: usize,
    /// The same of those that are over.
    ended: Vec<FindingRow>,
    ended_in_all: usize,
    /// How many of each kind are open and not acknowledged.
    open: Vec<(String, usize)>,
}

impl News {
    fn change(
        &mut self,
        store: &Store,
        now: jiff::Timestamp,
        ended: &[i64],
        begun: &[NewFinding],
    ) -> Result<(), StoreError> {
        let changed = store.change_findings(now, ended, begun)?;
        self.began_in_all += changed.began.len();
        self.ended_in_all += changed.ended.len();
        let room = |told: &Vec<FindingRow>| TOLD_MOST.saturating_sub(told.len());
        let (begins, ends) = (room(&self.began), room(&self.ended));
        self.began.extend(changed.began.into_iter().take(begins));
        self.ended.extend(changed.ended.into_iter().take(ends));
        Ok(())
    }
}

/// What a look goes by, the same for every page.
struct Look<'a> {
    store: &'a Store,
    policies: &'a PolicySet,
    settings: &'a PeopleSettings,
    people: Vec<PersonRow>,
    /// Read once something is to be told.
    uses: Option<Vec<LastUse>>,
    news: News,
}

impl Look<'_> {
    fn page(&mut self, rows: &ConnectionRows) -> Result<(), StoreError> {
        let now = clock::now();
        let sound = rows.sound.iter().map(|row| row.id);
        let about: Vec<ConnectionId> = sound
            .chain(rows.damaged.iter().filter_map(|row| row.id))
            .collect();
        let open = self.store.open_findings_about(&about)?;
        let world = |uses| World {
            connections: &rows.sound,
            people: &self.people,
            policies: self.policies,
            settings: self.settings,
            uses,
        };
        let found = world(&[]).findings(now);
        let (ended, begun) = changes(&open, &found);
        if self.uses.is_none() && !begun.is_empty() {
            self.uses = Some(self.store.last_use(None)?);
        }
        let world = world(self.uses.as_deref().unwrap_or_default());
        let begun: Vec<NewFinding> = begun.into_iter().map(|found| world.told(found)).collect();
        self.news.change(self.store, now, &ended, &begun)
    }
}

/// Which of the open findings are over, and what was found that is not among them.
fn changes<'a, 'b>(open: &[OpenFinding], found: &'b [Found<'a>]) -> (Vec<i64>, Vec<&'b Found<'a>>) {
    let of_open = |row: &'_ OpenFinding| (row.connection, row.since);
    let known: HashSet<_> = open.iter().map(|row| (&*row.kind, of_open(row))).collect();
    let is_so: HashSet<_> = found
        .iter()
        .map(|found| (found.kind.as_str(), (found.row.id, found.since)))
        .collect();
    let ended = open
        .iter()
        .filter(|row| !is_so.contains(&(&*row.kind, of_open(row))))
        .map(|row| row.id);
    let begun = found
        .iter()
        .filter(|found| !known.contains(&(found.kind.as_str(), (found.row.id, found.since))));
    (ended.collect(), begun.collect())
}

/// The portals of the watchers there are.
fn watched(store: &Store, settings: &PeopleSettings) -> Result<Vec<PortalId>, StoreError> {
    let mut portals = Vec::new();
    for name in settings
        .watchers
        .iter()
        .filter_map(|name| ConnectionName::parse(name))
    {
        match store.connection_by_name(&name) {
            Ok(row) => portals.extend(row.map(|row| row.portal)),
            // It watches nobody, as if it were gone.
            Err(StoreError::DamagedConnection(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(portals)
}

fn look_after(store: &Store, policies: &PolicySet, settings: &PeopleSettings) -> Result<News, StoreError> {
    store.forget_people(&watched(store, settings)?)?;
    let mut look = Look {
        store,
        policies,
        settings,
        people: store.people()?,
        uses: None,
        news: News::default(),
    };
    let mut mark = Some(PageMark::START);
    while let Some(at) = mark {
        let (rows, next) = store.connection_page(at)?;
        look.page(&rows)?;
        mark = next;
    }
    let orphaned = store.orphaned_findings()?;
    look.news.change(store, clock::now(), &orphaned, &[])?;
    look.news.open = store.finding_counts()?;
    Ok(look.news)
}

impl People {
    async fn look_after(&self) -> Result<News, StoreError> {
        let (policies, settings) = (Arc::clone(&self.snapshot.load().policies), self.settings.clone());
        self.on_disk(move |store| look_after(store, &policies, &settings))
            .await
    }

    /// Log and metrics. That somebody went or came back stands in the audit log already.
    fn tell(&self, news: &News) {
        for row in &news.began {
            FindingBegan {
                id: row.id,
                kind: &row.kind,
                detail: &row.detail,
            }
            .emit();
        }
        for row in &news.ended {
            FindingEnded {
                id: row.id,
                kind: &row.kind,
                detail: &row.detail,
            }
            .emit();
        }
        FindingsWithheld {
            began: news.began_in_all.saturating_sub(news.began.len()),
            ended: news.ended_in_all.saturating_sub(news.ended.len()),
        }
        .emit();
        let open = |kind: &FindingKind| {
            let mut counts = news.open.iter();
            counts
                .find(|(word, _)| word == kind.as_str())
                .map_or(0, |(_, count)| *count)
        };
        let counts: Vec<_> = FindingKind::ALL.iter().map(|kind| (*kind, open(kind))).collect();
        self.metrics.set_findings(&counts);
    }
}

#[cfg(test)]
#[path = "keep_tests.rs"]
mod tests;
