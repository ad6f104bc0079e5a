//! The committer's hands: laying out records, sealing segments, writing, syncing, and telling who waits.

use std::io;
use std::sync::Arc;

use crate::files::{File, Files};
use crate::{CommitError, Custody, MessageId, RecordError, Synced};

use super::codec::{CHUNK_HEAD, Location, Place};
use super::committer::{Active, Commit, Committer, Waiter, fresh_epoch};
use super::format::{
    Kind, MINOR, Poison, RECORD_HEADER, SEGMENT_HEADER, SegmentHeader, Stamp, append_record, footer, footer_size,
    record_header, record_size,
};
use super::index::ChunkPin;
use super::listing::Entry;
use super::wire::Input;
use super::yard::{Fault, Purpose, Spare, wipe};

impl<F: Files> Committer<F> {
    /// Lays out a chunk, with an entry of its own.
    pub(super) fn put_chunk(&mut self, payload: &[u8], purpose: Purpose) -> Result<Location, Fault> {
        self.make_room(payload.len(), Entry::AVERAGE, purpose)?;
        let location = self.append_chunk(payload)?;
        if let Some(id) = Input(payload).id() {
            self.list(&Entry::Chunk { id, octets: record_size(payload.len()) as u32 });
        }
        Ok(location)
    }

    /// Lays out a chunk where there is room for it.
    pub(super) fn append_chunk(&mut self, payload: &[u8]) -> Result<Location, Fault> {
        let place = self.append(Kind::Chunk, &[payload])?;
        Ok(Location { place, length: payload.len().saturating_sub(CHUNK_HEAD) as u32 })
    }

    /// Lays out a record where there is room for it. A large one is written at once from where it is.
    pub(super) fn append(&mut self, kind: Kind, parts: &[&[u8]]) -> Result<Place, Fault> {
        let active = self.active.as_mut().ok_or(Fault::Io(io::ErrorKind::Other))?;
        let place = Place { segment: active.segment.number, offset: active.end + self.buffer.len() as u32 };
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if length < DIRECT.min(self.shared.config.segment_size as usize / 8) {
            append_record(&mut self.buffer, kind, active.stamp(), parts);
            return Ok(place);
        }
        self.buffer.extend_from_slice(&record_header(kind, active.stamp(), parts));
        self.write()?;
        for part in parts {
            self.write_octets(part)?;
        }
        self.buffer.resize(record_size(length) - RECORD_HEADER - length, 0);
        Ok(place)
    }

    /// Adds an entry to what the segment's footer will say.
    pub(super) fn list(&mut self, entry: &Entry) {
        if let Some(active) = &mut self.active {
            entry.put(&mut active.listing);
        }
    }

    /// Whether a payload of this length, and as much in the footer, fits the active segment.
    pub(super) fn has_room(&self, payload: usize, entry: usize) -> bool {
        let Some(active) = &self.active else { return false };
        let end = active.end as usize + self.buffer.len();
        end + record_size(payload) + footer_size(active.listing.len() + entry) <= active.segment.size as usize
    }

    /// Makes sure that a payload of this length, and as much in the footer, fits the active segment; goes on to the next
    /// one if it does not.
    pub(super) fn make_room(&mut self, payload: usize, entry: usize, purpose: Purpose) -> Result<(), Fault> {
        let size = self.shared.config.segment_size as usize;
        if SEGMENT_HEADER + record_size(payload) + footer_size(entry) > size {
            return Err(Fault::TooLarge);
        }
        if self.has_room(payload, entry) {
            return Ok(());
        }
        self.wipe_unsaid()?;
        // The next file first: where there is none, the room that is left serves smaller records.
        let spare = self.yard.take(purpose)?;
        if let Err(fault) = self.seal() {
            self.yard.add(spare);
            return Err(fault);
        }
        self.begin_segment(spare)
    }

    /// Ends the active segment. The next segment on disk is the proof that this one was synced.
    fn seal(&mut self) -> Result<(), Fault> {
        let Some(active) = &mut self.active else { return Ok(()) };
        let offset = active.end as usize + self.buffer.len();
        let payload = footer(&active.listing, offset, active.segment.size as usize);
        append_record(&mut self.buffer, Kind::Footer, active.stamp(), &[&payload]);
        self.write_out(Synced::Now)?;
        if let Some(sealed) = self.active.take() {
            self.shared.index().seal(sealed.segment.number);
            self.yard.expect(sealed.end / sealed.syncs.max(1));
        }
        Ok(())
    }

    /// Takes their words from segments whose first sync failed: no header could say which of these count, and behind a
    /// segment that goes on they would.
    fn wipe_unsaid(&mut self) -> Result<(), Fault> {
        while let Some(segment) = self.unsaid.last() {
            wipe(segment)?;
            self.unsaid.pop();
        }
        Ok(())
    }

    /// Starts a segment in a spare file. The header is synced with the first records.
    fn begin_segment(&mut self, spare: Spare<F::File>) -> Result<(), Fault> {
        let number = self.next_number;
        if !self.shared.index().reaches(number) {
            self.yard.add(spare);
            return Err(Fault::Full);
        }
        let epoch = match fresh_epoch() {
            Ok(epoch) => epoch,
            Err(error) => {
                self.yard.add(spare);
                return Err(error.into());
            }
        };
        self.next_number += 1;
        let header =
            SegmentHeader { minor: MINOR, size: spare.size, number, generation: 0, epoch, poisoned: self.poison };
        let Spare { name, file, .. } = spare;
        let written = file.write_all_at(&header.encode(), 0);
        let segment = Arc::new(header.segment_file(name, file));
        let mut index = self.shared.index();
        index.add_segment(Arc::clone(&segment), self.poison.map(|poison| poison.number));
        if let Err(error) = written {
            index.seal(number);
            return Err(error.into());
        }
        if let Some(poison) = self.poison {
            index.shadow(poison.number, number, SEGMENT_HEADER as u64);
        }
        drop(index);
        let poison = self.poison.take();
        let (end, sequence, durable, syncs) = (SEGMENT_HEADER as u32, 0, 0, 0);
        let (listing, unsynced) = (Vec::new(), Vec::new());
        self.active = Some(Active { segment, end, sequence, durable, syncs, poison, listing, unsynced });
        Ok(())
    }

    /// Writes what was gathered, and syncs it unless nobody waits for that.
    pub(super) fn flush(&mut self) -> Result<(), Fault> {
        let is_awaited = self.waiters.iter().any(|waiter| waiter.awaits() == Synced::Now);
        self.write_out(if is_awaited { Synced::Now } else { Synced::Later })
    }

    /// Writes the buffer and tells everyone who waits for it; those who need no sync, before it.
    fn write_out(&mut self, synced: Synced) -> Result<(), Fault> {
        if self.is_clear() {
            return Ok(());
        }
        self.write()?;
        self.pending.clear();
        if self.waiters.iter().any(|waiter| waiter.awaits() == Synced::Later) {
            self.settle(Synced::Later);
        }
        match synced {
            Synced::Now => self.sync(),
            Synced::Later => Ok(()),
        }
    }

    /// Whether nothing is laid out and nobody waits for anything.
    pub(super) fn is_clear(&self) -> bool {
        self.buffer.is_empty() && self.waiters.is_empty()
    }

    /// Writes what is laid out.
    pub(super) fn write(&mut self) -> Result<(), Fault> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let written = self.write_octets(&buffer);
        buffer.clear();
        // One message with a very long list of chunks must not keep its memory for ever.
        buffer.shrink_to(self.shared.config.batch_limit);
        self.buffer = buffer;
        written
    }

    fn write_octets(&mut self, octets: &[u8]) -> Result<(), Fault> {
        let Some(active) = self.active.as_mut() else { return Ok(()) };
        if octets.is_empty() {
            return Ok(());
        }
        if let Err(error) = active.segment.file.write_all_at(octets, u64::from(active.end)) {
            return Err(self.fail(error.into()));
        }
        active.end += octets.len() as u32;
        Ok(())
    }

    /// Syncs what was written and tells everyone who waits for that.
    fn sync(&mut self) -> Result<(), Fault> {
        let Some(active) = self.active.as_mut() else { return Ok(()) };
        if let Err(error) = active.segment.file.sync_data() {
            return Err(self.fail(error.into()));
        }
        active.durable = active.end;
        active.syncs += 1;
        active.unsynced.clear();
        self.settle(Synced::Now);
        Ok(())
    }

    /// Gives up the segment, and tells everyone who waits.
    fn fail(&mut self, fault: Fault) -> Fault {
        self.give_up_segment();
        self.abandon_work();
        self.buffer.clear();
        self.pending.clear();
        for waiter in self.waiters.drain(..) {
            waiter.fail(fault);
        }
        fault
    }

    /// Takes what was written into the index, then answers those who waited for no more than that, or for the sync too. In
    /// this order: who is told may ask for it at once.
    fn settle(&mut self, synced: Synced) {
        let Some(active) = &mut self.active else { return };
        let footer = footer_size(active.listing.len()) as u32;
        let room = u64::from(active.segment.size.saturating_sub(active.end).saturating_sub(footer));
        let shared = Arc::clone(&self.shared);
        let mut index = shared.index();
        index.room = room;
        let mut arrivals = Arrivals::None;
        let mut answers = Vec::with_capacity(self.waiters.len());
        let mut copied = Vec::new();
        let is_due = |waiter: &mut Waiter<F>| synced == Synced::Now || waiter.awaits() == Synced::Later;
        for waiter in self.waiters.extract_if(.., is_due) {
            match waiter {
                Waiter::Commit { commit, segment, letter } => {
                    let Commit { id, chunks, reply, .. } = *commit;
                    index.add_message(segment, &letter);
                    index.untaken.insert(id, letter.wake);
                    if let Some(beside) = &letter.beside {
                        index.add_facts(segment, beside);
                    }
                    arrivals = Arrivals::Some;
                    answers.push(Answer::Commit(reply, Custody::attest_durable(id), chunks));
                }
                Waiter::Facts { segment, linked, synced, reply } => {
                    if synced == Synced::Later {
                        active.unsynced.extend(index.stand(linked.link.id).map(|stand| (linked.link.id, stand)));
                    }
                    let known = index.add_facts(segment, &linked);
                    answers.push(Answer::Facts(reply, if known { Ok(()) } else { Err(RecordError::Unknown) }));
                }
                Waiter::Unknown { reply } => answers.push(Answer::Facts(reply, Err(RecordError::Unknown))),
                Waiter::Overtaken { reply } => answers.push(Answer::Overtaken(reply)),
                Waiter::Rules { place, octets, reply } => {
                    index.set_rules(place, octets);
                    answers.extend(reply.map(|reply| Answer::Facts(reply, Ok(()))));
                }
                Waiter::Copied { id, location } => {
                    let octets = chunk_octets(location);
                    index.hold_draft(location.place.segment, octets);
                    copied.push((id, ChunkPin::adopt(Arc::clone(&shared), location, octets)));
                }
                Waiter::Moved { segment, letter } => {
                    index.add_message(segment, &letter);
                    answers.push(Answer::Moved(letter.id));
                }
                Waiter::Repeated { segment, linked } => {
                    index.add_facts(segment, &linked);
                }
                Waiter::Cleared { segment } => index.lift_shadows(segment),
            }
        }
        drop(index);
        self.copies.append(&mut copied);
        if let Arrivals::Some = arrivals {
            self.shared.bell.ring();
        }
        // An answer that nobody waits for is dropped, and with it the pins it carries.
        for answer in answers {
            match answer {
                Answer::Commit(reply, custody, pins) => {
                    drop(reply.send(Ok(custody)));
                    drop(pins);
                }
                Answer::Facts(reply, known) => drop(reply.send(known)),
                Answer::Overtaken(reply) => drop(reply.send(Err(CommitError::Overtaken))),
                Answer::Moved(id) => self.drop_copies(id),
            }
        }
    }

    /// Keeps a chunk that was written where it is.
    pub(super) fn pin(&self, location: Location) -> ChunkPin<F> {
        let octets = chunk_octets(location);
        self.shared.index().hold_draft(location.place.segment, octets);
        ChunkPin::adopt(Arc::clone(&self.shared), location, octets)
    }

    /// Leaves the active segment as it is, for ever: a failed sync may not be repeated into a success.
    fn give_up_segment(&mut self) {
        let Some(failed) = self.active.take() else { return };
        let (number, generation) = (failed.segment.number, failed.segment.generation);
        let trusted = failed.durable.max(SEGMENT_HEADER as u32);
        self.poisoned.insert(number, trusted);
        // A segment that was never synced says nothing, and what it should have said is still to be said.
        if failed.durable == 0 {
            self.poison = failed.poison;
            self.unsaid.push(Arc::clone(&failed.segment));
        } else {
            self.poison = Some(Poison { number, generation, trusted });
        }
        let mut index = self.shared.index();
        // What was answered before its sync is gone: no record to come may lean on it.
        for (id, stand) in failed.unsynced.into_iter().rev() {
            index.retract_facts(id, number, stand);
        }
        index.room = 0;
        index.seal(number);
    }
}

/// From this many octets on, or an eighth of a segment, a record is not copied to be written with others: that costs more than
/// a write of its own.
const DIRECT: usize = 16 << 10;

/// What a chunk's record takes.
fn chunk_octets(location: Location) -> u64 {
    record_size(CHUNK_HEAD.saturating_add(location.length as usize)) as u64
}

impl<T> Active<T> {
    fn stamp(&mut self) -> Stamp {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        Stamp { epoch: self.segment.epoch, sequence, durable: self.durable }
    }
}

enum Arrivals {
    None,
    Some,
}

enum Answer<F: Files> {
    Commit(oneshot::Sender<Result<Custody, CommitError>>, Custody, Vec<ChunkPin<F>>),
    Facts(oneshot::Sender<Result<(), RecordError>>, Result<(), RecordError>),
    Overtaken(oneshot::Sender<Result<Custody, CommitError>>),
    Moved(MessageId),
}

impl<F: Files> Waiter<F> {
    /// What has to happen before this one is told.
    fn awaits(&self) -> Synced {
        match self {
            Self::Copied { .. } => Synced::Later,
            Self::Facts { synced, .. } => *synced,
            Self::Commit { .. }
            | Self::Unknown { .. }
            | Self::Overtaken { .. }
            | Self::Rules { .. }
            | Self::Moved { .. }
            | Self::Repeated { .. }
            | Self::Cleared { .. } => Synced::Now,
        }
    }

    fn fail(self, fault: Fault) {
        match self {
            Self::Commit { commit, .. } => drop(commit.reply.send(Err(fault.into()))),
            Self::Facts { reply, .. } | Self::Unknown { reply } | Self::Rules { reply: Some(reply), .. } => {
                drop(reply.send(Err(fault.into())));
            }
            Self::Overtaken { reply } => drop(reply.send(Err(fault.into()))),
            Self::Rules { reply: None, .. }
            | Self::Copied { .. }
            | Self::Moved { .. }
            | Self::Repeated { .. }
            | Self::Cleared { .. } => {}
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
