//! Changes to messages that are there: flags, expunges, copies and moves.

use std::{io, ops::RangeInclusive, path::PathBuf, sync::Arc};

use super::{
    basename::{Base, Info},
    dotlock::Dotlock,
    facts::{self, Fact},
    fault::Fault,
    mirror::{Learnt, Mirror, Place, fact},
    scan::Measures,
    site::{Dir, Doing, Site, text, trouble},
    uidlist::Line,
    whole,
};
use crate::{
    Copied, Expunge, FlagChange, Flags, Message, Stored,
    error::{CopyError, FlagsError, Trouble},
    ledger::Entry,
};

/// A mailbox that is held open for changes.
pub(crate) struct Open<'a> {
    pub(crate) site: &'a Site,
    pub(crate) lock: &'a mut Dotlock,
    pub(crate) mirror: &'a mut Mirror,
}

/// Whether messages are copied or moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transfer {
    Copy,
    Move,
}

/// One message on its way to another mailbox.
struct Leg {
    old: u32,
    measures: Measures,
    from: PathBuf,
    place: Place,
}

impl Open<'_> {
    /// Where a message's file is.
    fn path(&self, place: &Place) -> PathBuf {
        self.site.message(place.dir, &place.base, &place.info)
    }

    pub(crate) fn store_flags(
        &mut self,
        uids: &[RangeInclusive<u32>],
        change: &FlagChange,
    ) -> Result<Stored, FlagsError> {
        if self.mirror.learn(self.site, &change.flags).map_err(Fault::from)? == Learnt::TooMany {
            return Err(FlagsError::TooManyKeywords);
        }
        let mut stored = Stored::default();
        let mut wanted = Vec::new();
        for Entry { message, .. } in self.mirror.ledger.among(uids) {
            if change.unchanged_since.is_some_and(|modseq| message.modseq > modseq) {
                stored.modified.push(message.uid);
            } else if change.applied_to(&message.flags) != message.flags {
                wanted.push(message.uid);
            }
        }
        if wanted.is_empty() {
            return Ok(stored);
        }
        let modseq = self.mirror.issue_modseq(self.site).map_err(Fault::from)?;
        self.mirror.in_doubt = true;
        let mut done: Vec<(u32, Place)> = Vec::with_capacity(wanted.len());
        let mut news = Vec::with_capacity(wanted.len());
        for uid in wanted {
            match self.apply(uid, change) {
                Ok(None) => {}
                Ok(Some((flags, before))) => {
                    self.mirror.ledger.touch(uid, flags, modseq);
                    news.extend(self.mirror.ledger.entry(uid).map(fact));
                    stored.changed.extend(self.mirror.ledger.entry(uid).map(Entry::touched));
                    done.push((uid, before));
                }
                Err(fault) => {
                    // All or nothing: what was changed is changed back, as far as the disk lets us.
                    for (uid, before) in done {
                        let Some(entry) = self.mirror.ledger.entry(uid) else { continue };
                        let _ = self.site.files.rename(&self.path(&entry.place), &self.path(&before));
                    }
                    return Err(fault.into());
                }
            }
        }
        // Synced: should the power go and the new names be lost, the facts will tell that the flags are not those that
        // were told, and they get a new MODSEQ.
        self.mirror.book.record(self.site, &news).map_err(Fault::from)?;
        self.mirror.book.sync(self.site).map_err(Fault::from)?;
        self.mirror.in_doubt = false;
        Ok(stored)
    }

    /// Changes one message's flags. Says the new ones and where it was before, or nothing if it is gone or has them by
    /// now.
    fn apply(&mut self, uid: u32, change: &FlagChange) -> Result<Option<(Flags, Place)>, Fault> {
        for attempt in [Attempt::First, Attempt::Second] {
            let Some(Entry { message, place }) = self.mirror.ledger.entry(uid) else { return Ok(None) };
            let flags = change.applied_to(&message.flags);
            if flags == message.flags {
                return Ok(None);
            }
            let marks = self.mirror.marks(&flags, &place.info);
            let info = place.info.replaced(marks.letters);
            let after = Place { dir: Dir::Cur, info, numbers: marks.numbers.into(), ..place.clone() };
            let before = place.clone();
            match self.rename(&before, &after) {
                Ok(()) => {
                    if let Some(entry) = self.mirror.ledger.entry_mut(uid) {
                        entry.place = after;
                    }
                    return Ok(Some((flags, before)));
                }
                Err(error) if whole::is_missing(&error) && attempt == Attempt::First => self.look_again()?,
                Err(error) if whole::is_missing(&error) => return Ok(None),
                Err(error) => return Err(trouble("rename a message", error).into()),
            }
        }
        Ok(None)
    }

    fn rename(&self, before: &Place, after: &Place) -> io::Result<()> {
        let (from, to) = (self.path(before), self.path(after));
        if from == to {
            return Ok(());
        }
        self.site.files.rename(&from, &to)
    }

    /// A file is not where it was: another program has moved it.
    fn look_again(&mut self) -> Result<(), Fault> {
        self.mirror.dirs = None;
        let looked = self.mirror.look(self.site, self.lock);
        // It was called in the middle of something.
        self.mirror.in_doubt = true;
        looked
    }

    /// Moves messages that have been looked at out of `new`. It is no harm if it fails.
    pub(crate) fn settle_new(&mut self) {
        let fresh = |entry: &&Entry<Place>| entry.place.dir == Dir::New;
        let uids: Vec<_> = self.mirror.ledger.entries().filter(fresh).map(|entry| entry.message.uid).collect();
        for uid in uids {
            let Some(entry) = self.mirror.ledger.entry(uid) else { continue };
            let info = match &entry.place.info {
                Info::None => Info::with_letters(Vec::new()),
                other @ (Info::Flags { .. } | Info::Foreign(_)) => other.clone(),
            };
            let after = Place { dir: Dir::Cur, info, ..entry.place.clone() };
            if self.rename(&entry.place, &after).is_ok()
                && let Some(entry) = self.mirror.ledger.entry_mut(uid)
            {
                entry.place = after;
            }
        }
    }

    pub(crate) fn expunge(&mut self, which: Expunge<'_>) -> Result<Vec<u32>, Fault> {
        // By the flags that messages have now: somebody may have taken \Deleted back.
        self.mirror.look(self.site, self.lock)?;
        let doomed = self.mirror.ledger.doomed(which);
        if doomed.is_empty() {
            return Ok(doomed);
        }
        // Their delivery ids must outlive them.
        self.mirror.book.sync(self.site)?;
        let modseq = self.mirror.issue_modseq(self.site)?;
        let dirs = self.dirs(&doomed);
        self.mirror.in_doubt = true;
        for uid in &doomed {
            self.remove_file(*uid)?;
        }
        self.forget(&doomed, &dirs, modseq)?;
        self.tidy();
        Ok(doomed)
    }

    fn remove_file(&mut self, uid: u32) -> Result<(), Fault> {
        for attempt in [Attempt::First, Attempt::Second] {
            let Some(entry) = self.mirror.ledger.entry(uid) else { return Ok(()) };
            match self.site.files.remove(&self.path(&entry.place)) {
                Ok(()) => return Ok(()),
                Err(error) if whole::is_missing(&error) && attempt == Attempt::First => self.look_again()?,
                Err(error) if whole::is_missing(&error) => return Ok(()),
                Err(error) => return Err(trouble("remove a message", error).into()),
            }
        }
        Ok(())
    }

    /// The directories that messages lie in.
    fn dirs(&self, uids: &[u32]) -> Vec<Dir> {
        let lies_in = |uid: &u32, dir| self.mirror.ledger.entry(*uid).is_some_and(|entry| entry.place.dir == dir);
        Dir::BOTH.into_iter().filter(|dir| uids.iter().any(|uid| lies_in(uid, *dir))).collect()
    }

    /// Takes messages out whose files have left these directories, after making sure that they will not come back.
    fn forget(&mut self, uids: &[u32], dirs: &[Dir], modseq: u64) -> Result<(), Fault> {
        for dir in dirs {
            self.site.files.sync_dir(&self.site.sub(*dir)).doing("sync a directory of messages")?;
        }
        for uid in uids {
            self.mirror.remove(*uid, modseq);
        }
        let gone: Vec<_> =
            facts::ranges(uids.iter().copied()).into_iter().map(|uids| Fact::Gone(modseq, uids)).collect();
        self.mirror.in_doubt = false;
        self.mirror.note(self.site, &gone);
        Ok(())
    }

    /// Writes control files anew if that is worth it. It is no harm if it fails.
    fn tidy(&mut self) {
        if self.mirror.tidy(self.site, self.lock).is_err() {
            self.mirror.in_doubt = true;
        }
    }

    /// Copies or moves messages into another mailbox.
    pub(crate) fn transfer(
        &mut self,
        uids: &[RangeInclusive<u32>],
        target: &mut Open<'_>,
        how: Transfer,
    ) -> Result<Copied, CopyError> {
        let mut legs = Vec::new();
        let sources: Vec<_> = self.mirror.ledger.among(uids).map(|entry| entry.message.uid).collect();
        for uid in sources {
            legs.extend(self.leg(uid, target)?);
        }
        let uidvalidity = target.mirror.ledger.uidvalidity();
        if legs.is_empty() {
            return Ok(Copied { uidvalidity, uids: Vec::new() });
        }
        if how == Transfer::Move {
            self.mirror.book.sync(self.site).map_err(Fault::from)?;
        }
        self.mirror.in_doubt = how == Transfer::Move;
        target.mirror.in_doubt = true;
        self.carry(&legs, target, how).map_err(Fault::from)?;
        let copied = target.take_in_legs(&legs);
        let copied = match copied {
            Ok(copied) => copied,
            Err(trouble) => {
                self.carry_back(&legs, target, how);
                return Err(trouble.into());
            }
        };
        if how == Transfer::Move {
            let modseq = self.mirror.issue_modseq(self.site).map_err(Fault::from)?;
            let gone: Vec<_> = legs.iter().map(|leg| leg.old).collect();
            let dirs = self.dirs(&gone);
            self.forget(&gone, &dirs, modseq)?;
            self.tidy();
        }
        Ok(Copied { uidvalidity, uids: copied })
    }

    /// A copy within one mailbox.
    pub(crate) fn transfer_within(&mut self, uids: &[RangeInclusive<u32>]) -> Result<Copied, CopyError> {
        let mut legs = Vec::new();
        let sources: Vec<_> = self.mirror.ledger.among(uids).map(|entry| entry.message.uid).collect();
        for uid in sources {
            let Some(entry) = self.mirror.ledger.entry(uid) else { continue };
            let Place { info, numbers, .. } = entry.place.clone();
            legs.push(plan(self.site, entry, self.site, info, numbers));
        }
        let uidvalidity = self.mirror.ledger.uidvalidity();
        if legs.is_empty() {
            return Ok(Copied { uidvalidity, uids: Vec::new() });
        }
        self.mirror.in_doubt = true;
        self.carry(&legs, self, Transfer::Copy).map_err(Fault::from)?;
        let copied = self.take_in_legs(&legs);
        match copied {
            Ok(uids) => Ok(Copied { uidvalidity, uids }),
            Err(trouble) => {
                self.carry_back(&legs, self, Transfer::Copy);
                Err(trouble.into())
            }
        }
    }

    /// What one message will be in the target; nothing if it is gone.
    fn leg(&self, uid: u32, target: &mut Open<'_>) -> Result<Option<Leg>, CopyError> {
        let Some(entry) = self.mirror.ledger.entry(uid) else { return Ok(None) };
        if target.mirror.learn(target.site, &entry.message.flags).map_err(Fault::from)? == Learnt::TooMany {
            return Err(CopyError::TooManyKeywords);
        }
        // Letters that this mailbox cannot read may mean something else there.
        let marks = target.mirror.marks(&entry.message.flags, &Info::None);
        let info = Info::with_letters(marks.letters);
        Ok(Some(plan(self.site, entry, target.site, info, marks.numbers.into())))
    }

    /// Brings the files over; if one cannot be, those that were are brought back.
    fn carry(&self, legs: &[Leg], target: &Open<'_>, how: Transfer) -> Result<(), Trouble> {
        for (carried, leg) in legs.iter().enumerate() {
            let to = target.path(&leg.place);
            let moved = match how {
                Transfer::Copy => self.site.files.link(&leg.from, &to),
                Transfer::Move => self.site.files.rename(&leg.from, &to),
            };
            if let Err(error) = moved {
                self.carry_back(legs.get(..carried).unwrap_or_default(), target, how);
                return Err(trouble("bring a message into another mailbox", error));
            }
        }
        let synced = target.site.files.sync_dir(&target.site.sub(Dir::Cur)).doing("sync a directory of messages");
        if synced.is_err() {
            self.carry_back(legs, target, how);
        }
        synced
    }

    fn carry_back(&self, legs: &[Leg], target: &Open<'_>, how: Transfer) {
        for leg in legs {
            let to = target.path(&leg.place);
            // What remains, because this fails too, is a copy too many and never one too few.
            let _ = match how {
                Transfer::Copy => self.site.files.remove(&to),
                Transfer::Move => self.site.files.rename(&to, &leg.from),
            };
        }
    }

    /// Gives UIDs to messages whose files are here.
    fn take_in_legs(&mut self, legs: &[Leg]) -> Result<Vec<(u32, u32)>, Trouble> {
        let first = self.mirror.list.next.max(self.mirror.ledger.next_uid()?);
        let count = u32::try_from(legs.len()).unwrap_or(u32::MAX);
        if first.checked_add(count).is_none_or(|next| next > crate::ledger::UID_MAX) {
            return Err(Trouble::Corrupt { what: "a mailbox has used up its UIDs" });
        }
        let modseq = self.mirror.issue_modseq(self.site)?;
        let lines = (first..).zip(legs).map(|(uid, leg)| (uid, Line::new(Arc::clone(&leg.place.base)))).collect();
        self.mirror.append_lines(self.site, self.lock, lines)?;
        // They are here, whatever comes now.
        self.mirror.in_doubt = false;
        let (mut copied, mut news) = (Vec::with_capacity(legs.len()), Vec::with_capacity(legs.len()));
        for (uid, leg) in (first..).zip(legs) {
            let message = Message {
                uid,
                flags: self.mirror.flags_of(&leg.place.info, &leg.place.numbers),
                size: leg.measures.size,
                internal_date: leg.measures.internal_date,
                modseq,
                guid: text(&leg.place.base),
                inherited_uidl: None,
            };
            self.mirror.insert(message, leg.place.clone());
            news.extend(self.mirror.ledger.entry(uid).map(fact));
            copied.push((leg.old, uid));
        }
        self.mirror.note(self.site, &news);
        Ok(copied)
    }
}

fn plan(source: &Site, entry: &Entry<Place>, target: &Site, info: Info, numbers: Box<[u32]>) -> Leg {
    let Entry { message, place } = entry;
    let (physical, size, ending) = (place.physical, message.size, place.ending);
    let base = Base::from(format!("{},S={physical},W={size}", target.unique(None)).into_bytes());
    Leg {
        old: message.uid,
        measures: Measures { internal_date: message.internal_date, physical, size, ending },
        from: source.message(place.dir, &place.base, &place.info),
        place: Place { base, dir: Dir::Cur, info, numbers, physical, ending },
    }
}

/// Whether it is worth looking again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    First,
    Second,
}
