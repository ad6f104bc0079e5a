//! The one thread that writes: it gathers what many callers want durable, and syncs once for all of them.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use crate::files::{File, Files};
use crate::{CommitError, Custody, MessageId, RecordError, Stored};

use super::codec::{Location, message_head};
use super::format::{Kind, MINOR, SEGMENT_HEADER, SegmentHeader, Stamp, append_record, record_size};
use super::index::{ChunkPin, SegmentFile, Shared};
use super::yard::{Fault, Purpose, Spare, Yard, wipe};

/// What callers ask of the committer.
pub(super) enum Request<F: Files> {
    /// Append octets of a message. They are durable only with its commit.
    Chunk { octets: Vec<u8>, reply: oneshot::Sender<Result<Written<F>, CommitError>> },
    /// Append the rest of a message and its commit.
    Commit(Box<Commit<F>>),
    /// Append facts.
    Notes { id: MessageId, records: Vec<(Kind, Vec<u8>)>, reply: oneshot::Sender<Result<(), RecordError>> },
    /// Finish what came before and stop.
    Close { reply: oneshot::Sender<()> },
}

/// A chunk in the log, and the buffer it came in, to be filled again.
pub(super) struct Written<F: Files> {
    pub(super) pin: ChunkPin<F>,
    pub(super) buffer: Vec<u8>,
}

pub(super) struct Commit<F: Files> {
    pub(super) stored: Stored,
    /// The chunks that are in the log already.
    pub(super) chunks: Vec<ChunkPin<F>>,
    /// The last octets, perhaps none.
    pub(super) last: Vec<u8>,
    /// The message record behind its list of chunks.
    pub(super) rest: Vec<u8>,
    pub(super) reply: oneshot::Sender<Result<Custody, CommitError>>,
}

impl<F: Files> Request<F> {
    fn size(&self) -> usize {
        match self {
            Self::Chunk { octets, .. } => octets.len(),
            Self::Commit(commit) => commit.last.len() + commit.rest.len(),
            Self::Notes { records, .. } => records.iter().map(|(_, payload)| payload.len()).sum(),
            Self::Close { .. } => 0,
        }
    }
}

/// Who waits for the records in the buffer.
enum Waiter<F: Files> {
    Chunk { location: Location, buffer: Vec<u8>, reply: oneshot::Sender<Result<Written<F>, CommitError>> },
    Commit { commit: Box<Commit<F>>, record: Location, chunks: Vec<Location> },
    Notes { id: MessageId, records: Vec<(Kind, u64)>, reply: oneshot::Sender<Result<(), RecordError>> },
}

/// The segment that is written.
pub(super) struct Active<T> {
    pub(super) segment: Arc<SegmentFile<T>>,
    /// Where the next record goes.
    pub(super) end: u32,
    pub(super) sequence: u32,
    /// Up to where it is known to be synced; 0 before its first sync.
    pub(super) durable: u32,
    /// What its header says of an earlier segment.
    pub(super) poison: Option<Poison>,
}

/// A segment whose sync failed. What stands behind `trusted` may be in memory alone although later syncs succeed, so it
/// counts as not written, and the segment is not written again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Poison {
    number: u64,
    trusted: u32,
}

pub(super) struct Committer<F: Files> {
    pub(super) shared: Arc<Shared<F>>,
    pub(super) requests: Receiver<Request<F>>,
    pub(super) yard: Yard<F>,
    /// `None` after a failure, until a fresh segment could be opened.
    pub(super) active: Option<Active<F::File>>,
    pub(super) next_number: u64,
    /// Records that are laid out and not written yet, and who waits for them.
    buffer: Vec<u8>,
    waiters: Vec<Waiter<F>>,
    /// What the next segment's header has to say.
    poison: Option<Poison>,
    /// All failed segments that are still on disk, by number.
    poisoned: HashMap<u64, u32>,
    /// Empty segments that could not be retired.
    stuck: Vec<u64>,
    /// Keeps other processes out.
    _lock: F::Lock,
}

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
            poison: None,
            poisoned: HashMap::new(),
            stuck: Vec::new(),
            _lock: lock,
        }
    }

    /// Works until it is told to stop or nobody is left who could ask for anything.
    pub(super) fn run(mut self) {
        self.tidy(0);
        while let Ok(first) = self.requests.recv() {
            let mut next = Some(first);
            let mut gathered = 0;
            let mut closing = None;
            while let Some(request) = next {
                gathered += request.size();
                match request {
                    Request::Chunk { octets, reply } => self.chunk(octets, reply),
                    Request::Commit(commit) => self.commit(commit),
                    Request::Notes { id, records, reply } => self.notes(id, records, reply),
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
            self.tidy(gathered);
        }
    }

    fn chunk(&mut self, mut octets: Vec<u8>, reply: oneshot::Sender<Result<Written<F>, CommitError>>) {
        match self.put(Kind::Chunk, &[&octets], Purpose::Mail) {
            Ok(location) => {
                octets.clear();
                self.waiters.push(Waiter::Chunk { location, buffer: octets, reply });
            }
            Err(fault) => {
                let _ = reply.send(Err(fault.into()));
            }
        }
    }

    fn commit(&mut self, commit: Box<Commit<F>>) {
        match self.put_message(&commit) {
            Ok((record, chunks)) => self.waiters.push(Waiter::Commit { commit, record, chunks }),
            Err(fault) => {
                let _ = commit.reply.send(Err(fault.into()));
            }
        }
    }

    fn put_message(&mut self, commit: &Commit<F>) -> Result<(Location, Vec<Location>), Fault> {
        let mut chunks: Vec<Location> = commit.chunks.iter().map(|pin| pin.location).collect();
        if !commit.last.is_empty() {
            chunks.push(self.put(Kind::Chunk, &[&commit.last], Purpose::Mail)?);
        }
        let head = message_head(commit.stored.id, &chunks);
        self.make_room(head.len() + commit.rest.len(), Purpose::Mail)?;
        // Looked at last, since making room may have found out that an earlier segment cannot be trusted.
        let lost = |chunk: &Location| self.poisoned.get(&chunk.segment).is_some_and(|trusted| chunk.offset >= *trusted);
        if chunks.iter().any(lost) {
            return Err(Fault::Io(io::ErrorKind::Other));
        }
        let record = self.put(Kind::Message, &[&head, &commit.rest], Purpose::Mail)?;
        Ok((record, chunks))
    }

    fn notes(&mut self, id: MessageId, notes: Vec<(Kind, Vec<u8>)>, reply: oneshot::Sender<Result<(), RecordError>>) {
        if !self.shared.index().messages.contains_key(&id) {
            let _ = reply.send(Err(RecordError::Unknown));
            return;
        }
        let mut records = Vec::with_capacity(notes.len());
        for (kind, payload) in notes {
            match self.put(kind, &[&payload], Purpose::Facts) {
                Ok(location) => records.push((kind, location.segment)),
                Err(fault) => {
                    let _ = reply.send(Err(fault.into()));
                    return;
                }
            }
        }
        self.waiters.push(Waiter::Notes { id, records, reply });
    }

    /// Lays out a record.
    fn put(&mut self, kind: Kind, parts: &[&[u8]], purpose: Purpose) -> Result<Location, Fault> {
        let length = parts.iter().map(|part| part.len()).sum();
        self.make_room(length, purpose)?;
        let active = self.active.as_mut().ok_or(Fault::Io(io::ErrorKind::Other))?;
        let offset = active.end + self.buffer.len() as u32;
        append_record(&mut self.buffer, kind, active.stamp(), parts);
        Ok(Location { segment: active.segment.number, offset, length: length as u32 })
    }

    /// Makes sure that a payload of this length fits the active segment; goes on to the next one if it does not.
    fn make_room(&mut self, payload: usize, purpose: Purpose) -> Result<(), Fault> {
        let size = self.shared.config.segment_size as usize;
        let footer = record_size(0);
        if SEGMENT_HEADER + record_size(payload) + footer > size {
            return Err(Fault::TooLarge);
        }
        if let Some(active) = &self.active {
            let end = active.end as usize + self.buffer.len();
            if end + record_size(payload) + footer <= active.segment.size as usize {
                return Ok(());
            }
        }
        // The next file first: where there is none, the room that is left serves smaller records.
        let spare = self.yard.take(purpose)?;
        if let Some(active) = &mut self.active {
            append_record(&mut self.buffer, Kind::Footer, active.stamp(), &[]);
            // The next segment on disk is the proof that this one was synced.
            if let Err(fault) = self.flush_synced() {
                self.yard.add(spare);
                return Err(fault);
            }
            if let Some(sealed) = self.active.take() {
                self.shared.index().unpin(sealed.segment.number, 1);
            }
        }
        self.begin_segment(spare)
    }

    /// Starts a segment in a spare file. The header is synced with the first records.
    fn begin_segment(&mut self, spare: Spare<F::File>) -> Result<(), Fault> {
        let epoch = fresh_epoch()?;
        let number = self.next_number;
        self.next_number += 1;
        let header = SegmentHeader {
            minor: MINOR,
            size: spare.size,
            number,
            generation: 0,
            epoch,
            poisoned: self.poison.map_or(0, |poison| poison.number),
            trusted: self.poison.map_or(0, |poison| poison.trusted),
        };
        let Spare { name, file, size } = spare;
        let written = file.write_all_at(&header.encode(), 0);
        let segment = Arc::new(SegmentFile { number, epoch, size, name, file });
        let mut index = self.shared.index();
        index.add_segment(Arc::clone(&segment));
        if let Err(error) = written {
            index.unpin(number, 1);
            return Err(error.into());
        }
        if let Some(poison) = self.poison {
            index.shadow(poison.number, number);
        }
        drop(index);
        let poison = self.poison.take();
        self.active = Some(Active { segment, end: SEGMENT_HEADER as u32, sequence: 0, durable: 0, poison });
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Fault> {
        let only_chunks = self.waiters.iter().all(|waiter| match waiter {
            Waiter::Chunk { .. } => true,
            Waiter::Commit { .. } | Waiter::Notes { .. } => false,
        });
        self.write_out(if only_chunks { Sync::Later } else { Sync::Now })
    }

    fn flush_synced(&mut self) -> Result<(), Fault> {
        self.write_out(Sync::Now)
    }

    /// Writes the buffer and tells everyone who waits for it.
    fn write_out(&mut self, sync: Sync) -> Result<(), Fault> {
        let Some(active) = self.active.as_mut() else { return Ok(()) };
        if self.buffer.is_empty() {
            return Ok(());
        }
        let file = &active.segment.file;
        let written = file.write_all_at(&self.buffer, u64::from(active.end)).and_then(|()| match sync {
            Sync::Now => file.sync_data(),
            Sync::Later => Ok(()),
        });
        let length = self.buffer.len() as u32;
        self.buffer.clear();
        // One message with a very long list of chunks must not keep its memory for ever.
        self.buffer.shrink_to(self.shared.config.batch_limit);
        match written {
            Ok(()) => {
                active.end += length;
                if let Sync::Now = sync {
                    active.durable = active.end;
                }
                let room = u64::from(active.segment.size - active.end);
                self.settle(room);
                Ok(())
            }
            Err(error) => {
                let fault = Fault::from(error);
                self.give_up_segment();
                for waiter in self.waiters.drain(..) {
                    waiter.fail(fault);
                }
                Err(fault)
            }
        }
    }

    /// Takes what was written into the index, then answers. In this order: who is told may ask for it at once.
    fn settle(&mut self, room: u64) {
        let mut index = self.shared.index();
        index.room = room;
        let mut arrivals = Arrivals::None;
        let mut answers = Vec::with_capacity(self.waiters.len());
        for waiter in self.waiters.drain(..) {
            answers.push(match waiter {
                Waiter::Chunk { location, buffer, reply } => {
                    index.pin(location.segment);
                    let pin = ChunkPin::adopt(Arc::clone(&self.shared), location);
                    Answer::Chunk(reply, Written { pin, buffer })
                }
                Waiter::Commit { commit, record, chunks } => {
                    let Commit { stored, chunks: pins, reply, .. } = *commit;
                    let id = stored.id;
                    index.add_message(id, record, &chunks);
                    index.untaken.push_back(stored);
                    arrivals = Arrivals::Some;
                    Answer::Commit(reply, Custody::attest_durable(id), pins)
                }
                Waiter::Notes { id, records, reply } => {
                    let mut known = Ok(());
                    for (kind, segment) in records {
                        let found = if kind == Kind::Done {
                            index.remove_message(id, segment)
                        } else {
                            index.add_note(id, segment)
                        };
                        if !found {
                            known = Err(RecordError::Unknown);
                        }
                    }
                    Answer::Notes(reply, known)
                }
            });
        }
        drop(index);
        if let Arrivals::Some = arrivals {
            self.shared.bell.ring();
        }
        // An answer that nobody waits for is dropped, and with it the pins it carries.
        for answer in answers {
            match answer {
                Answer::Chunk(reply, written) => drop(reply.send(Ok(written))),
                Answer::Commit(reply, custody, pins) => {
                    drop(reply.send(Ok(custody)));
                    drop(pins);
                }
                Answer::Notes(reply, known) => drop(reply.send(known)),
            }
        }
    }

    /// Leaves the active segment as it is, for ever: a failed sync may not be repeated into a success.
    fn give_up_segment(&mut self) {
        let Some(failed) = self.active.take() else { return };
        let number = failed.segment.number;
        let trusted = failed.durable.max(SEGMENT_HEADER as u32);
        self.poisoned.insert(number, trusted);
        // A segment that was never synced says nothing, and what it should have said is still to be said.
        self.poison = if failed.durable == 0 { failed.poison } else { Some(Poison { number, trusted }) };
        let mut index = self.shared.index();
        index.room = 0;
        index.unpin(number, 1);
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

impl<T> Active<T> {
    fn stamp(&mut self) -> Stamp {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        Stamp { epoch: self.segment.epoch, sequence, durable: self.durable }
    }
}

#[derive(Clone, Copy)]
enum Sync {
    Now,
    Later,
}

enum Arrivals {
    None,
    Some,
}

enum Answer<F: Files> {
    Chunk(oneshot::Sender<Result<Written<F>, CommitError>>, Written<F>),
    Commit(oneshot::Sender<Result<Custody, CommitError>>, Custody, Vec<ChunkPin<F>>),
    Notes(oneshot::Sender<Result<(), RecordError>>, Result<(), RecordError>),
}

impl<F: Files> Waiter<F> {
    fn fail(self, fault: Fault) {
        match self {
            Self::Chunk { reply, .. } => drop(reply.send(Err(fault.into()))),
            Self::Commit { commit, .. } => drop(commit.reply.send(Err(fault.into()))),
            Self::Notes { reply, .. } => drop(reply.send(Err(fault.into()))),
        }
    }
}

impl From<Fault> for CommitError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Full => Self::Full,
            Fault::TooLarge => Self::TooLarge,
            Fault::Io(kind) => Self::Failed(kind),
        }
    }
}

impl From<Fault> for RecordError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Full => Self::Full,
            Fault::TooLarge => Self::Failed(io::ErrorKind::FileTooLarge),
            Fault::Io(kind) => Self::Failed(kind),
        }
    }
}

/// A number that no earlier life of any segment had.
pub(super) fn fresh_epoch() -> io::Result<u64> {
    getrandom::u64().map_err(io::Error::other)
}
