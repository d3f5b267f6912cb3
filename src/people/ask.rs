//! One round of questions about the people of one account, as far as HubSpot answers.
//!
//! A round stops asking when HubSpot wants to be left alone or can't be reached: everything not asked
//! is unknown then, with that reason. A source that fails is not asked again in that round, the others
//! are; the security log comes last, since nothing waits for it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::access::installer::Presence;
use crate::hubspot::control::ControlAnswer;
use crate::hubspot::people::{
    self, Activity, ArchivedOwner, Cursor, Happened, Page, PeopleQuestion, PeopleSource, Unreadable, UserSeen,
};
use crate::people::verdict::{Logged, Rights, Sighting, Told};
use crate::tokens::{ConnectionState, Live, OwnQuestionError};

/// Most pages of one list: 5,000 rows. A list that goes on is not known whole.
const PAGES_MOST: usize = 50;

/// How far back the security log is read: it corroborates what is true now.
const LOG_BACK: Duration = Duration::from_secs(30 * 86_400);

/// What a round brought.
pub(super) struct Round {
    /// Each person asked about, and the address if it was told.
    pub(super) people: Vec<(u64, Sighting, Option<String>)>,
    /// Active super admins' addresses, and how many other active users there are; `None`: not told.
    pub(super) able: Option<(Vec<String>, u64)>,
    /// The first thing that went wrong.
    pub(super) trouble: Option<String>,
    /// HubSpot wants to be left alone, at least for so long.
    pub(super) rest: Option<Duration>,
    /// Questions asked.
    pub(super) asked: u32,
}

struct Interview<'a> {
    live: &'a Live,
    watcher: &'a Arc<ConnectionState>,
    asked: u32,
    trouble: Option<String>,
    rest: Option<(Duration, Unreadable)>,
    /// Sources that failed in this round.
    failed: Vec<(PeopleSource, Unreadable)>,
}

/// Asks about `people`, with the watcher's token.
pub(super) async fn round(
    live: &Live,
    watcher: &Arc<ConnectionState>,
    people: &[u64],
    now: Timestamp,
) -> Round {
    let mut interview = Interview {
        live,
        watcher,
        asked: 0,
        trouble: None,
        rest: None,
        failed: Vec::new(),
    };
    let users = interview.users().await;
    let archived = interview
        .all(PeopleQuestion::ArchivedOwners, people::read_archived)
        .await;
    let mut looked_up = Vec::with_capacity(people.len());
    for id in people {
        let user = interview.user(*id, &users).await;
        let active_owner = match interview.ask(&PeopleQuestion::Owner(*id)).await {
            Ok(answer) => interview.noted(people::read_owner(&answer, *id)),
            Err(why) => Told::Unknown(why.0),
        };
        looked_up.push((*id, user, active_owner));
    }
    let since_ms = now.as_millisecond() - i64::try_from(LOG_BACK.as_millis()).unwrap_or(i64::MAX);
    let log = |after| PeopleQuestion::SecurityActivity { since_ms, after };
    let log = interview.all(log, people::read_activity).await;
    let mut seen = Vec::with_capacity(people.len());
    for (id, user, active_owner) in looked_up {
        let (user, email) = match user {
            Told::Known(Some(user)) => (Told::Known(Some(rights(&user))), user.email),
            Told::Known(None) => (Told::Known(None), None),
            Told::Unknown(why) => (Told::Unknown(why), None),
        };
        let sighting = Sighting {
            user,
            active_owner,
            archived_owner: archived_owner(id, email.as_deref(), &archived),
            log: logged(id, &log),
        };
        seen.push((id, sighting, email));
    }
    Round {
        people: seen,
        able: able(&users, &archived),
        rest: interview.backs_off(),
        trouble: interview.trouble,
        asked: interview.asked,
    }
}

impl Interview<'_> {
    async fn ask(&mut self, question: &PeopleQuestion) -> Result<ControlAnswer, Unreadable> {
        if let Some((_, why)) = &self.rest {
            return Err(why.clone());
        }
        let source = question.source();
        if let Some((_, why)) = self.failed.iter().find(|(failed, _)| *failed == source) {
            return Err(why.clone());
        }
        self.asked += 1;
        let failed = match self.live.ask(self.watcher, question).await {
            Ok(answer) if people::wants_rest(&answer) => {
                let why = format!("HubSpot answered {}", answer.status.as_u16());
                (answer.retry_after.unwrap_or_default(), why)
            }
            Ok(answer) if answer.status.is_server_error() => {
                let why = Unreadable(format!("HubSpot answered {}", answer.status.as_u16()));
                self.trouble.get_or_insert_with(|| why.0.clone());
                self.failed.push((source, why.clone()));
                return Err(why);
            }
            Ok(answer) => return Ok(answer),
            Err(
                error @ (OwnQuestionError::NotOurs
                | OwnQuestionError::Unverified
                | OwnQuestionError::NoToken(_)),
            ) => (Duration::ZERO, error.to_string()),
            // The system's words may name addresses: they are for the log.
            Err(OwnQuestionError::Control(error)) => {
                tracing::debug!(watcher = %self.watcher.name(), error = %error, "a question about people was not answered");
                (Duration::ZERO, "HubSpot could not be reached".to_owned())
            }
        };
        let why = Unreadable(failed.1);
        self.trouble.get_or_insert_with(|| why.0.clone());
        self.rest = Some((failed.0, why.clone()));
        Err(why)
    }

    /// How long to leave HubSpot alone at least, if it did not answer what counts.
    fn backs_off(&self) -> Option<Duration> {
        let counts = |source: &PeopleSource| *source != PeopleSource::SecurityLog;
        match &self.rest {
            Some((wait, _)) => Some(*wait),
            None => self
                .failed
                .iter()
                .any(|(source, _)| counts(source))
                .then_some(Duration::ZERO),
        }
    }

    fn noted<T>(&mut self, read: Result<T, Unreadable>) -> Told<T> {
        match read {
            Ok(value) => Told::Known(value),
            Err(Unreadable(why)) => {
                self.trouble.get_or_insert_with(|| why.clone());
                Told::Unknown(why)
            }
        }
    }

    /// Every page of a list.
    async fn all<T>(
        &mut self,
        question: impl Fn(Option<Cursor>) -> PeopleQuestion,
        read: impl Fn(&ControlAnswer) -> Result<Page<T>, Unreadable>,
    ) -> Told<Vec<T>> {
        let (mut rows, mut after) = (Vec::new(), None);
        for _ in 0..PAGES_MOST {
            let answer = match self.ask(&question(after.take())).await {
                Ok(answer) => answer,
                Err(Unreadable(why)) => return Told::Unknown(why),
            };
            match self.noted(read(&answer)) {
                Told::Known(page) => {
                    rows.extend(page.rows);
                    match page.next {
                        None => return Told::Known(rows),
                        next => after = next,
                    }
                }
                Told::Unknown(why) => return Told::Unknown(why),
            }
        }
        self.noted(Err(Unreadable(format!(
            "a list is longer than {PAGES_MOST} pages"
        ))))
    }

    /// Every user. Each account has some: a list without any comes of something else than people who left.
    async fn users(&mut self) -> Told<Vec<UserSeen>> {
        match self.all(PeopleQuestion::Users, people::read_users).await {
            Told::Known(users) if users.is_empty() => {
                self.noted(Err(Unreadable("users: the list is empty".to_owned())))
            }
            told => told,
        }
    }

    /// One user. That there is none counts only beside a list of users that is without that one, too: a
    /// path that is gone is a 404 for everybody.
    async fn user(&mut self, id: u64, users: &Told<Vec<UserSeen>>) -> Told<Option<UserSeen>> {
        let answer = match self.ask(&PeopleQuestion::User(id)).await {
            Ok(answer) => answer,
            Err(Unreadable(why)) => return Told::Unknown(why),
        };
        match (self.noted(people::read_user(&answer, id)), users) {
            (Told::Known(None), Told::Unknown(why)) => Told::Unknown(why.clone()),
            (Told::Known(None), Told::Known(users)) if users.iter().any(|user| user.id == id) => {
                self.noted(Err(Unreadable(
                    "users: the list and the look-up contradict each other".to_owned(),
                )))
            }
            (told, _) => told,
        }
    }
}

fn rights(user: &UserSeen) -> Rights {
    Rights {
        super_admin: user.super_admin,
        roles: user.roles.clone(),
    }
}

/// By number, or by address where no number is told.
fn archived_owner(id: u64, email: Option<&str>, archived: &Told<Vec<ArchivedOwner>>) -> Told<bool> {
    match archived {
        Told::Unknown(why) => Told::Unknown(why.clone()),
        Told::Known(rows) => Told::Known(rows.iter().any(|row| match (row.user_id, &row.email, email) {
            (Some(user), _, _) => user == id,
            (None, Some(row), Some(email)) => row.eq_ignore_ascii_case(email),
            _ => false,
        })),
    }
}

/// The last word of the log on whether the person is there, and on an admin's rights.
fn logged(id: u64, log: &Told<Vec<Activity>>) -> Told<Logged> {
    let rows = match log {
        Told::Unknown(why) => return Told::Unknown(why.clone()),
        Told::Known(rows) => rows,
    };
    let last = |wanted: &dyn Fn(Happened) -> bool| {
        rows.iter()
            .filter(|entry| entry.user_id == id && wanted(entry.what))
            .max_by_key(|entry| entry.at)
            .map(|entry| entry.what)
    };
    let is_rights = |what| matches!(what, Happened::AdminGiven | Happened::AdminTaken);
    let presence = last(&|what| !is_rights(what)).and_then(|what| match what {
        Happened::Removed => Some(Presence::Removed),
        Happened::Deactivated => Some(Presence::Deactivated),
        Happened::CameBack => Some(Presence::Here),
        Happened::AdminGiven | Happened::AdminTaken => None,
    });
    Told::Known(Logged {
        presence,
        rights_taken: last(&is_rights) == Some(Happened::AdminTaken),
    })
}

/// Who could authorise anew: users that are not deactivated. Without the list of deactivated owners
/// nobody is named.
fn able(users: &Told<Vec<UserSeen>>, archived: &Told<Vec<ArchivedOwner>>) -> Option<(Vec<String>, u64)> {
    let (Told::Known(users), Told::Known(archived)) = (users, archived) else {
        return None;
    };
    let active = |user: &&UserSeen| !archived.iter().any(|row| row.user_id == Some(user.id));
    let (mut admins, mut others) = (Vec::new(), 0);
    for user in users.iter().filter(active) {
        match &user.email {
            Some(email) if user.super_admin => admins.push(email.clone()),
            _ => others += 1,
        }
    }
    Some((admins, others))
}
