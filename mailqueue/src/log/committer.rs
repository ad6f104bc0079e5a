//! The one thread that writes: it gathers what many callers want durable, and syncs once for all of them.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use futures_util::FutureExt;
use oneshot::AsyncReceiver;

use crate::files::Files;
use crate::{CommitError, Custody, Facts, MessageId, Note, RecordError, Synced, Wake};

use super::codec::{CHUNK_HEAD, Fate, Head, Link, Location, Place, facts, message_head, notes_octets};
use super::compact::Work;
use super::format::{Kind, Poison, record_size};
use super::index::{ChunkPin, SegmentFile, Shared, Stand};
use super::listing::{Entry, Letter, Linked};
use super::yard::{Fault, Purpose, Yard, wipe};

/// What callers ask of the committer.
pub(super) enum Request<F: Files> {
    /// Write octets of a message, behind a [`CHUNK_HEAD`]. They are durable only with its commit.
    Chunk { payload: Vec<u8>, reply: oneshot::Sender<Result<Written<F>, CommitError>> },
    /// Append the rest of a message and its commit.
    Commit(Box<Commit<F>>),
    /// Append facts.
    Facts { tidings: Tidings, reply: oneshot::Sender<Result<(), RecordError>> },
    /// Append the queue's rules.
    Rules { rules: Vec<u8>, reply: oneshot::Sender<Result<(), RecordError>> },
    /// Finish what came before and stop.
    Close { reply: oneshot::Sender<()> },
}

/// A chunk in the log, and the buffer it came in, to be filled again.
pub(super) struct Written<F: Files> {
    pub(super) pin: ChunkPin<F>,
    pub(super) buffer: Vec<u8>,
}

pub(super) struct Commit<F: Files> {
    pub(super) id: MessageId,
    pub(super) wake: Wake,
    /// The chunks that are in the log already.
    pub(super) chunks: Vec<ChunkPin<F>>,
    /// A chunk after them, which was asked for before this and so is answered.
    pub(super) sent: Option<AsyncReceiver<Result<Written<F>, CommitError>>>,
    /// The payload of the last chunk: no octets behind its head where there is none.
    pub(super) last: Vec<u8>,
    /// The message record behind its head.
    pub(super) rest: Vec<u8>,
    pub(super) beside: Option<Tidings>,
    pub(super) reply: oneshot::Sender<Result<Custody, CommitError>>,
}

/// Facts that are not laid out yet.
pub(super) struct Tidings {
    pub(super) id: MessageId,
    pub(super) wake: Wake,
    /// The notes as they are stored; `None` says that the message is done.
    pub(super) notes: Option<Vec<u8>>,
    pub(super) synced: Synced,
}

impl From<Facts> for Tidings {
    fn from(Facts { id, notes, wake, synced }: Facts) -> Self {
        if notes.contains(&Note::Done) {
            // The message's segments may be wiped at once: an end that is lost then would leave half of it.
            return Self { id, wake, notes: None, synced: Synced::Now };
        }
        Self { id, wake, notes: Some(notes_octets(&notes)), synced }
    }
}

impl Tidings {
    fn size(&self) -> usize {
        record_size(self.notes.as_ref().map_or(0, Vec::len))
    }
}

impl<F: Files> Request<F> {
    fn size(&self) -> usize {
        match self {
            Self::Chunk { payload, .. } => payload.len(),
            Self::Commit(commit) => {
                commit.last.len() + commit.rest.len() + commit.beside.as_ref().map_or(0, Tidings::size)
            }
            Self::Facts { tidings, .. } => tidings.size(),
            Self::Rules { rules, .. } => rules.len(),
            Self::Close { .. } => 0,
        }
    }
}

/// Who waits for the records in the buffer.
pub(super) enum Waiter<F: Files> {
    Commit {
        commit: Box<Commit<F>>,
        segment: u64,
        letter: Letter,
    },
    Facts {
        segment: u64,
        linked: Linked,
        synced: Synced,
        reply: oneshot::Sender<Result<(), RecordError>>,
    },
    /// The message is done if a record before this one becomes durable.
    Unknown {
        reply: oneshot::Sender<Result<(), RecordError>>,
    },
    /// The same for facts beside a message.
    Overtaken {
        reply: oneshot::Sender<Result<Custody, CommitError>>,
    },
    Rules {
        place: Place,
        octets: u32,
        reply: Option<oneshot::Sender<Result<(), RecordError>>>,
    },
    /// Compaction copied a chunk.
    Copied {
        id: MessageId,
        location: Location,
    },
    /// Compaction wrote a message again.
    Moved {
        segment: u64,
        letter: Letter,
    },
    /// Compaction wrote again that a message is done.
    Repeated {
        segment: u64,
        linked: Linked,
    },
    /// Compaction is through with a segment.
    Cleared {
        segment: u64,
    },
}

/// How a message stands once the buffer is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pending {
    Open(Stand),
    Done,
}

/// The segment that is written.
pub(super) struct Active<T> {
    pub(super) segment: Arc<SegmentFile<T>>,
    /// Where the next record goes.
    pub(super) end: u32,
    pub(super) sequence: u32,
    /// Up to where it is known to be synced; 0 before its first sync.
    pub(super) durable: u32,
    /// How often it was synced.
    pub(super) syncs: u32,
    /// What its header says of an earlier segment.
    pub(super) poison: Option<Poison>,
    /// What its footer will say.
    pub(super) listing: Vec<u8>,
    /// How messages stood before facts that were answered and are not synced yet, oldest first.
    pub(super) unsynced: Vec<(MessageId, Stand)>,
}

pub(super) struct Committer<F: Files> {
    pub(super) shared: Arc<Shared<F>>,
    pub(super) requests: Receiver<Request<F>>,
    pub(super) yard: Yard<F>,
    /// `None` after a failure, until a fresh segment could be opened.
    pub(super) active: Option<Active<F::File>>,
    pub(super) next_number: u64,
    /// Records that are laid out and not written yet, who waits for them, and how messages stand with them.
    pub(super) buffer: Vec<u8>,
    pub(super) waiters: Vec<Waiter<F>>,
    pub(super) pending: HashMap<MessageId, Pending>,
    /// What the next segment's header has to say.
    pub(super) poison: Option<Poison>,
    /// Segments whose first sync failed, and which still say something.
    pub(super) unsaid: Vec<Arc<SegmentFile<F::File>>>,
    /// All failed segments that are still on disk, by number.
    pub(super) poisoned: HashMap<u64, u32>,
    /// Empty segments that could not be retired.
    stuck: Vec<u64>,
    /// What compaction is at.
    pub(super) work: Work<F>,
    /// Chunks that compaction copied, of messages that are not written again yet.
    pub(super) copies: Vec<(MessageId, ChunkPin<F>)>,
    /// Messages with many facts, to be written anew as one record each.
    pub(super) long: Vec<MessageId>,
    /// Keeps other processes out.
    _lock: F::Lock,
}

/// A message with this many facts is written anew, so that finding them all takes few reads.
pub(super) const LONG: u32 = 16;
/// The most octets of a message record's head without its lists.
const HEAD: usize = 80;
/// The least octets that compaction copies after a batch.
const STEP: usize = 64 << 10;

impl<F: Files> Committer<F> {
    pub(super) fn new(
        shared: Arc<Shared<F>>,
        requests: Receiver<Request<F>>,
        yard: Yard<F>,
        active: Option<Active<F::File>>,
        next_number: u64,
        lock: F::Lock,
    ) -> Self {
        Self {
            shared,
            requests,
            yard,
            active,
            next_number,
            buffer: Vec::new(),
            waiters: Vec::new(),
            pending: HashMap::new(),
            poison: None,
            unsaid: Vec::new(),
            poisoned: HashMap::new(),
            stuck: Vec::new(),
            work: Work::Rest,
            copies: Vec::new(),
            long: Vec::new(),
            _lock: lock,
        }
    }

    /// Works until it is told to stop or nobody is left who could ask for anything.
    pub(super) fn run(mut self) {
        self.tidy(0);
        while let Ok(first) = self.requests.recv() {
            let alive = self.shared.index().alive;
            let mut next = Some(first);
            let mut gathered = 0;
            let mut closing = None;
            while let Some(request) = next {
                gathered += request.size();
                match request {
                    Request::Chunk { payload, reply } => self.chunk(payload, reply),
                    Request::Commit(commit) => self.commit(commit),
                    Request::Facts { tidings, reply } => self.facts(&tidings, reply),
                    Request::Rules { rules, reply } => self.rules(&rules, reply),
                    Request::Close { reply } => closing = Some(reply),
                }
                let more = closing.is_none() && gathered < self.shared.config.batch_limit;
                next = if more { self.requests.try_recv().ok() } else { None };
            }
            // Whoever waits has been told of a failure.
            let _ = self.flush();
            if let Some(reply) = closing {
                drop(self);
                let _ = reply.send(());
                return;
            }
            let freed = alive.saturating_sub(self.shared.index().alive) as usize;
            self.tidy(gathered);
            // Twice what came and went, so that compaction keeps up; its records are written and synced with the next
            // batch, which need not wait for more than that.
            let budget = gathered.saturating_add(freed).saturating_mul(2).max(STEP);
            self.compact(budget.min(self.shared.config.batch_limit));
        }
    }

    /// Writes a chunk at once, so that its message need not wait for the others' sync.
    fn chunk(&mut self, mut payload: Vec<u8>, reply: oneshot::Sender<Result<Written<F>, CommitError>>) {
        let written = self.put_chunk(&payload, Purpose::Mail).and_then(|location| {
            self.write()?;
            Ok(self.pin(location))
        });
        payload.truncate(CHUNK_HEAD);
        let written = written.map(|pin| Written { pin, buffer: payload });
        // Where nobody waits, the pin is dropped with the answer.
        drop(reply.send(written.map_err(CommitError::from)));
    }

    fn commit(&mut self, mut commit: Box<Commit<F>>) {
        match commit.sent.take().map(FutureExt::now_or_never) {
            None => {}
            Some(Some(Ok(Ok(Written { pin, .. })))) => commit.chunks.push(pin),
            Some(Some(Ok(Err(error)))) => return drop(commit.reply.send(Err(error))),
            // Without it the message would lack octets.
            Some(Some(Err(_)) | None) => return drop(commit.reply.send(Err(CommitError::Unavailable))),
        }
        let beside = match &commit.beside {
            None => Ok(None),
            Some(tidings) => self.link(tidings).map(Some),
        };
        let link = match beside {
            Ok(link) => link,
            Err(Gone::Surely) => return drop(commit.reply.send(Err(CommitError::Overtaken))),
            Err(Gone::Perhaps) => return self.waiters.push(Waiter::Overtaken { reply: commit.reply }),
        };
        match self.put_message(&commit, link) {
            Ok((segment, letter)) => self.waiters.push(Waiter::Commit { commit, segment, letter }),
            Err(fault) => drop(commit.reply.send(Err(fault.into()))),
        }
    }

    fn put_message(&mut self, commit: &Commit<F>, link: Option<Link>) -> Result<(u64, Letter), Fault> {
        // What is known of the earlier one must not be mixed up with this.
        if self.stand(commit.id).is_some() {
            return Err(Fault::Io(io::ErrorKind::AlreadyExists));
        }
        let mut chunks: Vec<Location> = commit.chunks.iter().map(|pin| pin.location).collect();
        let notes = commit.beside.as_ref().and_then(|tidings| tidings.notes.as_deref()).unwrap_or_default();
        let beside = link.as_ref().map(|link| facts(link, notes)).unwrap_or_default();
        if commit.last.len() > CHUNK_HEAD {
            // Together in one segment, where that is possible: then one entry in its list does for both.
            let more = record_size(commit.last.len()) + HEAD + chunks.len() * 16 + beside.len() + commit.rest.len();
            let entries = 2 * Entry::AVERAGE + chunks.len() * 12;
            if !self.has_room(more, entries) {
                self.make_room(commit.last.len(), Entry::AVERAGE, Purpose::Mail)?;
            }
            chunks.push(if self.has_room(more, entries) {
                self.append_chunk(&commit.last)?
            } else {
                self.put_chunk(&commit.last, Purpose::Mail)?
            });
        }
        let head = Head { id: commit.id, wake: commit.wake, over: Vec::new(), chunks, beside: link };
        self.put_letter(head, &beside, &commit.rest, Purpose::Mail)
    }

    /// Lays out a message record.
    pub(super) fn put_letter(
        &mut self,
        head: Head,
        beside: &[u8],
        rest: &[u8],
        purpose: Purpose,
    ) -> Result<(u64, Letter), Fault> {
        let front = message_head(head.id, head.wake, &head.over, &head.chunks, beside);
        let length = front.len() + rest.len();
        let bound = Entry::Message(Letter::new(head.clone(), Place { segment: 0, offset: 0 }, length)).bound();
        self.make_room(length, bound, purpose)?;
        // Looked at last, since making room may have found out that an earlier segment cannot be trusted.
        let lost = |chunk: &Location| {
            self.poisoned.get(&chunk.place.segment).is_some_and(|trusted| chunk.place.offset >= *trusted)
        };
        if head.chunks.iter().any(lost) {
            return Err(Fault::Io(io::ErrorKind::Other));
        }
        let place = self.append(Kind::Message, &[&front, rest])?;
        let letter = Letter::new(head, place, length);
        self.list(&Entry::Message(letter.clone()));
        let stand = Stand { message: place, last: place, depth: 0 };
        self.pending.insert(letter.id, Pending::Open(stand));
        if let Some(linked) = &letter.beside {
            self.pend(linked, place);
        }
        Ok((place.segment, letter))
    }

    fn facts(&mut self, tidings: &Tidings, reply: oneshot::Sender<Result<(), RecordError>>) {
        let link = match self.link(tidings) {
            Ok(link) => link,
            Err(Gone::Surely) => return drop(reply.send(Err(RecordError::Unknown))),
            Err(Gone::Perhaps) => return self.waiters.push(Waiter::Unknown { reply }),
        };
        // Behind what waits for the sync itself, nothing is answered before it.
        let synced = if self.pending.contains_key(&tidings.id) { Synced::Now } else { tidings.synced };
        match self.put_facts(link, tidings.notes.as_deref().unwrap_or_default(), Purpose::Facts) {
            Ok((segment, linked)) => {
                let depth = linked.link.depth;
                if depth >= LONG && depth.is_multiple_of(LONG) {
                    self.long.push(linked.link.id);
                }
                self.waiters.push(Waiter::Facts { segment, linked, synced, reply });
            }
            Err(fault) => drop(reply.send(Err(fault.into()))),
        }
    }

    /// Lays out facts.
    pub(super) fn put_facts(&mut self, link: Link, notes: &[u8], purpose: Purpose) -> Result<(u64, Linked), Fault> {
        let payload = facts(&link, notes);
        let mut linked = Linked { link, offset: 0, octets: record_size(payload.len()) as u32 };
        self.make_room(payload.len(), Entry::Facts(linked.clone()).bound(), purpose)?;
        let place = self.append(Kind::Facts, &[&payload])?;
        linked.offset = place.offset;
        self.list(&Entry::Facts(linked.clone()));
        self.pend(&linked, place);
        Ok((place.segment, linked))
    }

    /// Says where facts belong.
    fn link(&self, tidings: &Tidings) -> Result<Link, Gone> {
        let stand = match self.pending.get(&tidings.id) {
            Some(Pending::Open(stand)) => *stand,
            Some(Pending::Done) => return Err(Gone::Perhaps),
            None => self.shared.index().stand(tidings.id).ok_or(Gone::Surely)?,
        };
        let fate = match tidings.notes {
            Some(_) => Fate::Open,
            None => Fate::Done { over: vec![stand.message.segment] },
        };
        Ok(Link { id: tidings.id, previous: stand.last, depth: stand.depth, wake: tidings.wake, fate })
    }

    /// How a message stands once the buffer is written, if it is there then.
    pub(super) fn stand(&self, id: MessageId) -> Option<Stand> {
        match self.pending.get(&id) {
            Some(Pending::Open(stand)) => Some(*stand),
            Some(Pending::Done) => None,
            None => self.shared.index().stand(id),
        }
    }

    fn pend(&mut self, linked: &Linked, last: Place) {
        let Link { id, depth, fate, .. } = &linked.link;
        let pending = match (fate, self.stand(*id)) {
            (Fate::Open, Some(stand)) => Pending::Open(Stand { message: stand.message, last, depth: depth + 1 }),
            (Fate::Open, None) => return,
            (Fate::Done { .. }, _) => Pending::Done,
        };
        self.pending.insert(*id, pending);
    }

    fn rules(&mut self, rules: &[u8], reply: oneshot::Sender<Result<(), RecordError>>) {
        match self.put_rules(rules, Purpose::Facts) {
            Ok((place, octets)) => self.waiters.push(Waiter::Rules { place, octets, reply: Some(reply) }),
            Err(fault) => drop(reply.send(Err(fault.into()))),
        }
    }

    /// Lays out the queue's rules.
    pub(super) fn put_rules(&mut self, rules: &[u8], purpose: Purpose) -> Result<(Place, u32), Fault> {
        self.make_room(rules.len(), Entry::AVERAGE, purpose)?;
        let place = self.append(Kind::Rules, &[rules])?;
        let octets = record_size(rules.len()) as u32;
        self.list(&Entry::Rules { offset: place.offset, octets });
        Ok((place, octets))
    }

    /// Takes empty segments away and prepares the next.
    fn tidy(&mut self, pace: usize) {
        {
            let mut index = self.shared.index();
            let stuck = std::mem::take(&mut self.stuck);
            index.emptied.extend(stuck);
        }
        let mut stuck = Vec::new();
        loop {
            let empty = self.shared.index().next_empty();
            let Some(segment) = empty else { break };
            let number = segment.number;
            if wipe(&segment).is_err() {
                stuck.push(number);
                continue;
            }
            self.shared.index().remove_segment(number);
            self.poisoned.remove(&number);
            self.yard.reuse(segment);
        }
        self.stuck = stuck;
        self.yard.step(pace);
    }
}

/// Why facts about a message have no place.
enum Gone {
    Surely,
    /// If what is in the buffer becomes durable.
    Perhaps,
}

/// A number that no earlier life of any segment had.
pub(super) fn fresh_epoch() -> io::Result<u64> {
    getrandom::u64().map_err(io::Error::other)
}
