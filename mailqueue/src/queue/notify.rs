//! Errands: what is recorded about a message as a whole. The largest of them writes to its sender.

use std::borrow::Cow;

use crate::report::{Action, Original, Report, Ret, Survey, Told, Unreportable};
use crate::{
    Body, CommitError, Detail, Envelope, Facts, Failure, Handed, MessageId, Note, ReadError, Recipient, Spool, Synced,
    Transport, UnixMicros, Wake, report,
};

use super::Queue;
use super::dispatch::Recorded;
use super::events::{Event, News};
use super::plan::Errand;

/// What a sender is to be told, and what is recorded when it is.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) envelope: std::sync::Arc<Envelope>,
    pub(super) size: u64,
    /// Each recipient that it tells of, by index.
    pub(super) told: Vec<(u32, Tale)>,
    pub(super) notes: Vec<Note>,
    pub(super) wake: Wake,
}

/// What it tells of one.
#[derive(Clone, Debug)]
pub(super) struct Tale {
    pub(super) action: Action,
    pub(super) detail: Detail,
    pub(super) last_attempt: Option<UnixMicros>,
}

/// Why a letter was not sent.
enum Unsent {
    /// For now.
    Later,
    /// The message is gone.
    Overtaken,
    /// It will never be.
    Never,
}

impl<S: Spool> Queue<S> {
    pub(super) async fn errand<T: Transport>(&self, transport: &T, errand: Errand) {
        let mut chore = Chore { queue: self, errand, end: End::Open };
        match errand {
            Errand::Finish(id) => {
                let facts = Facts { id, notes: vec![Note::Done], wake: Wake::Now, synced: Synced::Now };
                if self.record_surely(&facts).await == Recorded::Yes {
                    chore.end = End::Done(facts.notes);
                }
            }
            Errand::Hold(id, why) => {
                let facts = Facts { id, notes: vec![Note::Hold(why)], wake: Wake::Asked, synced: Synced::Now };
                if self.record_surely(&facts).await == Recorded::Yes {
                    chore.end = End::Done(facts.notes);
                }
            }
            Errand::Tell(id, news) => chore.end = self.tell(transport, id, news).await,
        }
    }

    /// Writes to the sender, and records that with the same stroke.
    async fn tell<T: Transport>(&self, transport: &T, id: MessageId, news: News) -> End {
        let Some(letter) = self.shared.with(|plan, at| plan.letter(id, news, at)) else { return End::Open };
        let way = match letter.told.is_empty() {
            true => None,
            false => match self.patiently(transport.way_back(&letter.envelope.sender)).await {
                Some(way) => way,
                None => return End::Later,
            },
        };
        let sent = match way {
            Some(recipient) => self.write_back(id, &letter, recipient).await,
            None => Err(Unsent::Never),
        };
        match sent {
            Ok(notification) => {
                self.shared.with(|plan, _| match news {
                    News::Ends => plan.counters().notified += 1,
                    News::Delay => plan.counters().warned += 1,
                });
                self.shared.event(&Event::Notified { id, notification, news });
                End::Done(letter.notes)
            }
            Err(Unsent::Later) => {
                self.shared.with(|plan, _| plan.counters().spool_errors += 1);
                End::Later
            }
            Err(Unsent::Overtaken) => End::Done(vec![Note::Done]),
            Err(Unsent::Never) => {
                let facts = Facts { id, notes: letter.notes, wake: letter.wake, synced: Synced::Now };
                if self.record_surely(&facts).await == Recorded::No {
                    return End::Open;
                }
                if !letter.told.is_empty() {
                    self.untold(id, news);
                }
                End::Done(facts.notes)
            }
        }
    }

    /// Queues a notification. With it goes, atomically, that the sender was told.
    async fn write_back(&self, id: MessageId, letter: &Letter, to: Recipient) -> Result<MessageId, Unsent> {
        let original = &letter.envelope;
        let wall = self.shared.moment().wall;
        let name = self.shared.name();
        let told: Vec<Told<'_>> = letter
            .told
            .iter()
            .filter_map(|(index, tale)| {
                let recipient = original.recipients.get(*index as usize)?;
                let Tale { action, detail, last_attempt } = tale;
                Some(Told { recipient, action: *action, detail, last_attempt: *last_attempt })
            })
            .collect();
        let reporting = &self.shared.config.reporting;
        let ret = match Ret::due(original, &told) {
            Ret::Full if letter.size > reporting.full_limit => Ret::Headers,
            ret @ (Ret::Full | Ret::Headers) => ret,
        };
        // A message that cannot be read any more is told of without it.
        let body = self.shared.spool.body(id).await.ok();
        let survey = match &body {
            Some(body) => survey(body, name, ret).await.unwrap_or(Original::Nothing),
            None => Original::Nothing,
        };
        let report = Report::new(report::Facts {
            id: name,
            host: &reporting.host,
            from: &reporting.from,
            date: wall,
            queue_id: id,
            envelope: original,
            recipients: &told,
            original: survey,
        })
        .map_err(|why| match why {
            Unreportable::NullSender | Unreportable::NoRecipient => Unsent::Never,
        })?;
        let envelope = Envelope {
            recipients: vec![to],
            parameters: report.parameters(),
            arrived: wall,
            priority: original.priority,
            ..Envelope::default()
        };
        let mut incoming = self.begin_as(name, envelope, 0).await.map_err(|error| unsent(&error))?;
        incoming.write(report.head().as_bytes()).await.map_err(|error| unsent(&error))?;
        if let (Some(body), Original::Header(_) | Original::Whole { .. }) = (&body, survey) {
            let mut returned = report.returned();
            let mut reader = body.reader();
            while !returned.is_complete()
                && let Some(piece) = reader.next().await.map_err(|_| Unsent::Later)?
            {
                let passed: Cow<'_, [u8]> = returned.pass(&piece);
                incoming.write(&passed).await.map_err(|error| unsent(&error))?;
            }
        }
        incoming.write(report.tail().as_bytes()).await.map_err(|error| unsent(&error))?;
        let also = Facts { id, notes: letter.notes.clone(), wake: letter.wake, synced: Synced::Now };
        let custody = incoming.commit_with(Some(also)).await.map_err(|error| unsent(&error))?;
        Ok(custody.id())
    }
}

/// Looks through the original; `None` where it cannot be read.
async fn survey(body: &Body, name: MessageId, ret: Ret) -> Option<Original> {
    let mut survey = Survey::new(name, ret);
    let mut reader = body.reader();
    while !survey.is_complete() {
        match reader.next().await {
            Ok(Some(piece)) => survey.look(&piece),
            Ok(None) => break,
            Err(ReadError::Unknown | ReadError::Damaged | ReadError::Failed(_) | ReadError::Closed) => return None,
        }
    }
    Some(survey.finish())
}

fn unsent(error: &CommitError) -> Unsent {
    match error {
        CommitError::Full | CommitError::Failed(_) | CommitError::Unavailable => Unsent::Later,
        CommitError::Overtaken => Unsent::Overtaken,
        CommitError::TooLarge => Unsent::Never,
    }
}

/// What the sender is told of a recipient that ended.
pub(super) fn action_of_failure(why: Failure) -> Action {
    match why {
        Failure::Expired => Action::Expired,
        Failure::Refused | Failure::Late | Failure::Bounced => Action::Failed,
    }
}

/// What the sender is told of a delivery; `None` where the next server tells.
pub(super) fn action_of_delivery(handed: Handed) -> Option<Action> {
    match handed {
        Handed::Mailbox => Some(Action::Delivered),
        Handed::Relayed => Some(Action::Relayed),
        Handed::WithDuty => None,
    }
}

/// An errand under way. The plan hears of its end whatever happens to the future.
struct Chore<'a, S: Spool> {
    queue: &'a Queue<S>,
    errand: Errand,
    end: End,
}

enum End {
    /// Nobody knows.
    Open,
    /// Nothing was recorded, for certain.
    Later,
    /// This is recorded.
    Done(Vec<Note>),
}

impl<S: Spool> Drop for Chore<'_, S> {
    fn drop(&mut self) {
        let shared = &self.queue.shared;
        let errand = self.errand;
        match std::mem::replace(&mut self.end, End::Open) {
            End::Open => shared.with(|plan, at| plan.errand_dropped(errand, at)),
            End::Later => shared.with(|plan, at| plan.errand_later(errand, at)),
            End::Done(notes) => shared.with(|plan, at| plan.errand_done(errand, &notes, at)),
        }
        shared.hands_free();
    }
}
