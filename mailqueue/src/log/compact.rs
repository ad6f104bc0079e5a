//! Compaction: what is alive in the emptiest segment is appended to the log again, and the segment goes.
//!
//! Emptying a segment of which the share u is alive copies u to win 1 - u. Half of the disk may be dead: then the emptiest
//! segment is at most half alive, and an octet that is won costs at most one that is copied. Where the disk is short,
//! three are paid for one. Nothing is done otherwise, so that a queue whose mail leaves in the order it came never copies.
//!
//! It runs on the committer's thread, between batches, a few octets for each that came or went; what it appends is written
//! and synced with the next batch. Until then the old records count, and after a crash either may: they say the same.

use std::sync::Arc;
use std::vec::IntoIter;

use crate::files::Files;
use crate::{MessageId, Wake};

use super::codec::{Course, Fate, Head, Link, Location, Place, message_rest};
use super::committer::{Committer, Waiter};
use super::format::{Found, read_listing, scan};
use super::index::{Role, Stand};
use super::listing::{Entry, Letter, Linked};
use super::read::{SegmentFiles, Whole, read_chunk, read_messages, read_segment};
use super::window::Window;
use super::yard::{Fault, Purpose};

/// How many segments more than twice what is alive a log may have before any are emptied.
const SLACK: u64 = 2;

/// What compaction is at.
pub(super) enum Work<F: Files> {
    Rest,
    /// What was moved is written with the next batch; only then is known what is left to do.
    Landing,
    /// A segment is being emptied.
    Emptying {
        segment: u64,
        entries: IntoIter<Entry>,
        carry: Option<Carry<F>>,
        skipped: Skipped,
    },
    /// A message with many facts is written anew.
    Joining(Carry<F>),
}

/// Whether something stays in the segment for now.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Skipped {
    Nothing,
    Something,
}

/// A message that is being moved.
pub(super) struct Carry<F: Files> {
    whole: Whole,
    files: SegmentFiles<F::File>,
    stand: Stand,
    /// The segment that its chunks leave, if any.
    from: Option<u64>,
    /// How many of its chunks are at their new place.
    done: usize,
}

/// What a step came to.
enum Step {
    /// So many octets were read or appended.
    Did(usize),
    Rest,
}

/// Why something was not moved.
enum Obstacle {
    /// It is being changed at this moment.
    Busy,
    /// It cannot be read, or not be written as one record.
    Stays,
    Fault(Fault),
}

impl From<Fault> for Obstacle {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::TooLarge => Self::Stays,
            Fault::Full | Fault::Io(_) => Self::Fault(fault),
        }
    }
}

impl<F: Files> Committer<F> {
    /// Goes on with compaction for about as many octets.
    pub(super) fn compact(&mut self, budget: usize) {
        if matches!(self.work, Work::Landing) && self.is_clear() {
            self.work = Work::Rest;
        }
        let mut left = budget;
        while left > 0 {
            match self.step() {
                Ok(Step::Did(octets)) => left = left.saturating_sub(octets.max(1)),
                Ok(Step::Rest) => return,
                // Whoever writes next hears of it too.
                Err(_) => {
                    self.abandon_work();
                    return;
                }
            }
        }
    }

    /// Forgets what is half done. Nothing that counts has changed.
    pub(super) fn abandon_work(&mut self) {
        self.work = Work::Rest;
        self.copies.clear();
    }

    /// Lets go of chunks of a message that has its own hold on them now, or does not need them.
    pub(super) fn drop_copies(&mut self, id: MessageId) {
        self.copies.retain(|(whose, _)| *whose != id);
    }

    fn step(&mut self) -> Result<Step, Fault> {
        match std::mem::replace(&mut self.work, Work::Rest) {
            Work::Rest => self.begin_work(),
            Work::Landing => {
                self.work = Work::Landing;
                Ok(Step::Rest)
            }
            Work::Joining(carry) => match self.carry_on(carry) {
                Ok((octets, carry)) => {
                    self.work = carry.map_or(Work::Rest, Work::Joining);
                    Ok(Step::Did(octets))
                }
                Err(Obstacle::Fault(fault)) => Err(fault),
                // It stays long, and is tried again when it is longer.
                Err(Obstacle::Busy | Obstacle::Stays) => Ok(Step::Did(1)),
            },
            Work::Emptying { segment, mut entries, carry, mut skipped } => {
                let moved = match (carry, entries.as_slice()) {
                    (Some(carry), _) => self.carry_on(carry),
                    (None, [entry, ..]) => {
                        let moved = self.move_entry(segment, entry);
                        // What stands beside a message goes before it: the message has its turn in another round.
                        if matches!((entry, &moved), (Entry::Message(Letter { beside: Some(_), .. }), Ok((_, Some(_)))))
                        {
                            skipped = Skipped::Something;
                        }
                        entries.next();
                        moved
                    }
                    (None, []) => return Ok(self.end_emptying(segment, skipped)),
                };
                let (octets, carry) = match moved {
                    Ok(moved) => moved,
                    Err(Obstacle::Fault(fault)) => return Err(fault),
                    Err(Obstacle::Busy) => {
                        skipped = Skipped::Something;
                        (1, None)
                    }
                    Err(Obstacle::Stays) => {
                        self.shared.index().fix(segment);
                        return Ok(Step::Did(1));
                    }
                };
                self.work = Work::Emptying { segment, entries, carry, skipped };
                Ok(Step::Did(octets))
            }
        }
    }

    fn begin_work(&mut self) -> Result<Step, Fault> {
        while let Some(id) = self.long.pop() {
            if let Ok(carry) = self.lift(id, None) {
                self.work = Work::Joining(carry);
                return Ok(Step::Did(1));
            }
        }
        let Some(segment) = self.choose() else { return Ok(Step::Rest) };
        let Some((entries, octets)) = self.entries(segment) else {
            self.shared.index().fix(segment);
            return Ok(Step::Did(1));
        };
        self.work = Work::Emptying { segment, entries: entries.into_iter(), carry: None, skipped: Skipped::Nothing };
        Ok(Step::Did(octets))
    }

    /// The segment that is to be emptied, if any is.
    fn choose(&self) -> Option<u64> {
        let size = u64::from(self.shared.config.segment_size);
        let index = self.shared.index();
        let enough = index.held <= index.alive.saturating_mul(2).saturating_add(SLACK * size);
        if enough && self.yard.is_full() {
            return None;
        }
        let (segment, alive) = index.emptiest()?;
        let room = index.room.saturating_add((index.spares as u64).saturating_sub(2).saturating_mul(size));
        drop(index);
        if enough && !self.yard.disk_is_short() {
            return None;
        }
        // A little more, since a message with its facts may grow on its way.
        (alive.saturating_add(alive / 8) <= room).then_some(segment)
    }

    /// What is in a segment, and how many octets were read to know it. `None` where that is not known of all of it: what
    /// cannot be read now may be all that keeps a message from coming back.
    fn entries(&self, number: u64) -> Option<(Vec<Entry>, usize)> {
        let file = {
            let index = self.shared.index();
            let segment = index.segments.get(&number).filter(|segment| segment.role == Role::Sealed)?;
            Arc::clone(&segment.file)
        };
        if let Some(listing) = read_listing(&file.file, file.size, file.epoch)
            && let Some(entries) = Entry::read_all(&listing)
        {
            return Some((entries, listing.len()));
        }
        let (mut octets, unreadable) = read_segment(&file.file, file.size).ok()?;
        if let Some(trusted) = self.poisoned.get(&number) {
            octets.truncate(*trusted as usize);
        }
        let entry = |record: Found| {
            let payload = octets.get(record.payload.clone()).unwrap_or_default();
            Entry::of_record(record.kind, payload, Place { segment: number, offset: record.offset as u32 })
        };
        let found = scan(&octets, file.epoch);
        if !unreadable.is_empty() || !found.holes.is_empty() {
            return None;
        }
        let entries = found.records.into_iter().filter_map(entry).collect();
        Some((entries, octets.len()))
    }

    /// Appends again what one record of the segment says, where that is still needed.
    fn move_entry(&mut self, segment: u64, entry: &Entry) -> Result<(usize, Option<Carry<F>>), Obstacle> {
        match entry {
            Entry::Message(letter) => {
                let mut octets = self.repeat_if_done(segment, letter.id, &letter.over)?;
                if let Some(beside) = &letter.beside {
                    octets += self.repeat_end(segment, beside)?;
                    if self.needs(beside.link.id, segment) {
                        return Ok((octets, Some(self.lift(beside.link.id, Some(segment))?)));
                    }
                }
                self.lift_if_needed(letter.id, segment, octets)
            }
            Entry::Facts(linked) => {
                let octets = self.repeat_end(segment, linked)?;
                self.lift_if_needed(linked.link.id, segment, octets)
            }
            Entry::Chunk { id, .. } => self.lift_if_needed(*id, segment, 1),
            Entry::Rules { offset, .. } => self.move_rules(Place { segment, offset: *offset }),
            Entry::Unknown { .. } => Err(Obstacle::Stays),
        }
    }

    fn needs(&self, id: MessageId, segment: u64) -> bool {
        self.shared.index().needs(id, segment)
    }

    fn lift_if_needed(
        &self,
        id: MessageId,
        segment: u64,
        octets: usize,
    ) -> Result<(usize, Option<Carry<F>>), Obstacle> {
        let carry = if self.needs(id, segment) { Some(self.lift(id, Some(segment))?) } else { None };
        Ok((octets, carry))
    }

    /// Reads a message that is to be moved.
    fn lift(&self, id: MessageId, from: Option<u64>) -> Result<Carry<F>, Obstacle> {
        if self.pending.contains_key(&id) {
            return Err(Obstacle::Busy);
        }
        let stand = self.shared.index().stand(id).ok_or(Obstacle::Busy)?;
        let (files, mut found) = read_messages(&self.shared, &[id]);
        let whole = found.pop().and_then(Result::ok).ok_or(Obstacle::Stays)?;
        Ok(Carry { whole, files, stand, from, done: 0 })
    }

    /// Copies the next chunk of a message, or its record when all chunks are copied.
    fn carry_on(&mut self, carry: Carry<F>) -> Result<(usize, Option<Carry<F>>), Obstacle> {
        let id = carry.whole.stored.id;
        let moved = self.carry_further(carry);
        if moved.is_err() {
            self.drop_copies(id);
        }
        moved
    }

    fn carry_further(&mut self, mut carry: Carry<F>) -> Result<(usize, Option<Carry<F>>), Obstacle> {
        let id = carry.whole.stored.id;
        let from = carry.from;
        let chunks = carry.whole.head.chunks.iter_mut().skip(carry.done);
        for (skipped, chunk) in chunks.enumerate() {
            if Some(chunk.place.segment) != from {
                continue;
            }
            let file = carry.files.get(&chunk.place.segment).ok_or(Obstacle::Stays)?;
            let payload = read_chunk(file, *chunk).map_err(|_| Obstacle::Stays)?;
            let location: Location = self.put_chunk(&payload, Purpose::Moves)?;
            self.waiters.push(Waiter::Copied { id, location });
            *chunk = location;
            carry.done += skipped + 1;
            return Ok((payload.len(), Some(carry)));
        }
        if self.pending.contains_key(&id) || self.shared.index().stand(id) != Some(carry.stand) {
            return Err(Obstacle::Busy);
        }
        let Carry { whole, stand, .. } = carry;
        let mut over = self.shared.index().still_there(&whole.head.over);
        if !over.contains(&stand.message.segment) {
            over.push(stand.message.segment);
        }
        let stored = whole.stored;
        let course = Course { standing: stored.standing, warned: stored.warned, progress: &stored.progress };
        let rest = message_rest(&stored.envelope, stored.size, course);
        let head = Head { id, wake: whole.wake, over, chunks: whole.head.chunks, beside: None };
        let (segment, letter): (u64, Letter) = self.put_letter(head, &[], &rest, Purpose::Moves)?;
        self.waiters.push(Waiter::Moved { segment, letter });
        Ok((rest.len(), None))
    }

    /// Says again that a message is done, if records of it are left elsewhere that would come back without.
    fn repeat_if_done(&mut self, segment: u64, id: MessageId, over: &[u64]) -> Result<usize, Obstacle> {
        let mut over = self.shared.index().still_there(over);
        over.retain(|number| *number != segment);
        // The record of a message that moved on says the same.
        if over.is_empty() || self.stand(id).is_some() {
            return Ok(1);
        }
        let (previous, depth, wake) = (Place { segment: 0, offset: 0 }, 0, Wake::Now);
        let link = Link { id, previous, depth, wake, fate: Fate::Done { over } };
        let (segment, linked): (u64, Linked) = self.put_facts(link, &[], Purpose::Moves)?;
        let octets = linked.octets as usize;
        self.waiters.push(Waiter::Repeated { segment, linked });
        Ok(octets)
    }

    fn repeat_end(&mut self, segment: u64, linked: &Linked) -> Result<usize, Obstacle> {
        let id = linked.link.id;
        // Someone used the name again: to say now that it is done would end the later message.
        if !linked.over().is_empty() && self.stand(id).is_some() {
            return Err(Obstacle::Stays);
        }
        self.repeat_if_done(segment, id, linked.over())
    }

    fn move_rules(&mut self, place: Place) -> Result<(usize, Option<Carry<F>>), Obstacle> {
        let index = self.shared.index();
        if index.rules.is_none_or(|(current, _)| current != place) {
            return Ok((1, None));
        }
        let file = index.segments.get(&place.segment).map(|segment| Arc::clone(&segment.file));
        drop(index);
        let busy = |waiter: &Waiter<F>| matches!(waiter, Waiter::Rules { .. });
        if self.waiters.iter().any(busy) {
            return Err(Obstacle::Busy);
        }
        let file = file.ok_or(Obstacle::Stays)?;
        let mut window = Window::default();
        let (_, rules) = window.record(&file, place.offset, 0).map_err(|_| Obstacle::Stays)?;
        let (place, octets) = self.put_rules(rules, Purpose::Moves)?;
        self.waiters.push(Waiter::Rules { place, octets, reply: None });
        Ok((octets as usize, None))
    }

    /// All of a segment is elsewhere, or will be when the buffer is written.
    fn end_emptying(&mut self, segment: u64, skipped: Skipped) -> Step {
        if skipped == Skipped::Nothing {
            if self.is_clear() {
                self.shared.index().lift_shadows(segment);
            } else {
                self.waiters.push(Waiter::Cleared { segment });
            }
        }
        self.work = Work::Landing;
        Step::Rest
    }
}
