//! Looking at a mailbox's directories: what is there, what has changed, and a UID for what is new.

use std::{collections::HashMap, io, sync::Arc};

use super::{
    basename::{self, Base, Info},
    dotlock::Dotlock,
    ending::Ending,
    facts::{self, Delivery, Fact, Known},
    fault::Fault,
    files::{File, Kind, Meta, Stamp},
    lines::Widen,
    mirror::{KnownMessages, Looked, Mirror, Place, Trust, fact, letters},
    reader::Form,
    site::{Dir, Doing, Messages, Sight, Site, missing_is_gone, text},
    uidlist::Line,
    whole,
};
use crate::{
    Message,
    error::Trouble,
    ledger::{Entry, UID_MAX},
};

/// How long after a directory's stamp another change may still get the same stamp, in milliseconds: clocks of file
/// systems tick every 1 to 10.
const TICK: i64 = 50;

/// How many octets are read at once to measure a message.
const CHUNK: usize = 128 * 1024;

/// A message file that has no entry yet.
struct Found {
    base: Base,
    dir: Dir,
    info: Info,
    /// The UID that the list has for it.
    listed: Option<u32>,
}

/// A message's date and sizes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measures {
    pub(super) internal_date: i64,
    pub(super) physical: u64,
    pub(super) size: u64,
    pub(super) ending: Option<Ending>,
}

impl Mirror {
    /// Looks at the directories, unless nothing can have changed there since the last time.
    pub(crate) fn look(&mut self, site: &Site, lock: &mut Dotlock) -> Result<(), Fault> {
        if self.is_trusted(site)? {
            return Ok(());
        }
        self.scan(site, lock, KnownMessages::new())?;
        self.tidy(site, lock)?;
        Ok(())
    }

    /// Looks at the directories and takes in what they show. What is known of messages from before spares looking at
    /// each of them.
    pub(super) fn scan(&mut self, site: &Site, lock: &mut Dotlock, known: KnownMessages) -> Result<(), Fault> {
        self.in_doubt = true;
        let stamps = site.stamps()?;
        let started = site.files.now();
        let (mut sight, missing) = self.sight(site, &known)?;
        let mut news = Vec::new();
        let touched = self.take_changes(&mut sight);
        let found = self.unknown(site, sight)?;
        let changed = !missing.is_empty() || !touched.is_empty();
        let mut modseq = if changed { Some(self.issue_modseq(site)?) } else { None };
        for (uid, flags) in touched {
            let modseq = modseq.unwrap_or_default();
            self.ledger.touch(uid, flags, modseq);
            news.extend(self.ledger.entry(uid).map(fact));
        }
        for uid in &missing {
            self.remove(*uid, modseq.unwrap_or_default());
        }
        news.extend(facts::ranges(missing).into_iter().map(|uids| Fact::Gone(modseq.unwrap_or_default(), uids)));
        self.take_in(site, lock, found, known, &mut modseq, &mut news)?;
        self.book.record(site, &news)?;
        if changed {
            // What others have done may be undone when the power goes; then it is another change.
            self.book.sync(site)?;
        }
        self.dirs = Some(Looked { stamps, trust: trust(stamps.new.max(stamps.cur), started) });
        self.in_doubt = false;
        Ok(())
    }

    /// What the directories show, and which messages they do not: looked at twice, since listing a directory while
    /// somebody renames a file in it may pass the file over.
    fn sight(&self, site: &Site, known: &KnownMessages) -> Result<(Sight, Vec<u32>), Fault> {
        let look = || site.look().map_err(missing_is_gone("list the mailbox's directories"));
        let mut sight = look()?;
        let missing = |sight: &Sight| {
            let entries = self.ledger.entries().filter(|entry| !sight.contains_key(&entry.place.base));
            entries.map(|entry| entry.message.uid).collect::<Vec<_>>()
        };
        let mut missed = missing(&sight);
        let lines = known.keys().filter_map(|uid| self.list.lines.get(uid));
        if !missed.is_empty() || lines.into_iter().any(|line| !sight.contains_key(&line.base)) {
            sight.extend(look()?);
            missed = missing(&sight);
        }
        Ok((sight, missed))
    }

    /// Brings the places of known messages up to date and says whose flags are different now. What is left in sight is
    /// not known.
    fn take_changes(&mut self, sight: &mut Sight) -> Vec<(u32, crate::Flags)> {
        let mut touched = Vec::new();
        for (base, uid) in &self.by_base {
            let Some((dir, info)) = sight.remove(base) else { continue };
            let Some(entry) = self.ledger.entry_mut(*uid) else { continue };
            entry.place.dir = dir;
            entry.place.info = info;
            let flags = self.keywords.flags(entry.place.info.letters(), &entry.place.numbers);
            if flags != entry.message.flags {
                touched.push((*uid, flags));
            }
        }
        touched.sort_unstable_by_key(|(uid, _)| *uid);
        touched
    }

    /// Message files without entries, in the order in which they are to get UIDs. A file that has a UID in the list
    /// keeps it, unless a greater one may have been told already, or it is known to be expunged: a UID never comes back,
    /// so such a file becomes another message.
    fn unknown(&mut self, site: &Site, sight: Sight) -> Result<Vec<Found>, Fault> {
        if sight.is_empty() {
            return Ok(Vec::new());
        }
        let unused = self.list.lines.iter().filter(|(uid, _)| self.ledger.entry(**uid).is_none());
        let listed: HashMap<Base, u32> = unused.map(|(uid, line)| (Arc::clone(&line.base), *uid)).collect();
        let mut found = Vec::with_capacity(sight.len());
        for (base, (dir, info)) in sight {
            let uid = listed.get(&base).copied();
            let comes_back = uid.is_some_and(|uid| uid < self.ledger.uidnext() || self.gone.contains(&uid));
            if !comes_back {
                found.push(Found { base, dir, info, listed: uid });
                continue;
            }
            match site.rename_anew(dir, &base, &info) {
                Ok(base) => found.push(Found { base, dir, info, listed: None }),
                Err(error) if whole::is_missing(&error) => {}
                Err(error) => return Err(error).doing("rename a message").map_err(Fault::from),
            }
        }
        found.sort_by_cached_key(|found| {
            (found.listed.unwrap_or(u32::MAX), basename::age(&found.base), Arc::clone(&found.base))
        });
        Ok(found)
    }

    fn take_in(
        &mut self,
        site: &Site,
        lock: &mut Dotlock,
        found: Vec<Found>,
        mut known: KnownMessages,
        modseq: &mut Option<u64>,
        news: &mut Vec<Fact>,
    ) -> Result<(), Fault> {
        let mut next = self.list.next;
        let (mut lines, mut entries) = (Vec::new(), Vec::with_capacity(found.len()));
        let mut messages = site.messages();
        for Found { base, dir, info, listed } in found {
            let known = listed.and_then(|uid| known.remove(&uid));
            let measures = match &known {
                Some(known) => known.measures(),
                None => {
                    let line = listed.and_then(|uid| self.list.lines.get(&uid));
                    match measure(&mut messages, lock, dir, &base, &info, line)? {
                        Some(measures) => measures,
                        None => continue,
                    }
                }
            };
            let uid = listed.unwrap_or(next);
            if listed.is_none() {
                if uid > UID_MAX {
                    return Err(Trouble::Corrupt { what: "a mailbox has used up its UIDs" }.into());
                }
                next = uid + 1;
                lines.push((uid, Line::new(Arc::clone(&base))));
            }
            let Measures { physical, ending, .. } = measures;
            let place = Place { base, dir, info, numbers: Box::default(), physical, ending };
            entries.push((uid, place, measures, known));
        }
        self.append_lines(site, lock, lines)?;
        for (uid, mut place, measures, known) in entries {
            let unchanged = known.as_ref().is_some_and(|known| known.letters == letters(&place.info));
            place.numbers = known.as_ref().map(|known| known.numbers.clone()).unwrap_or_default();
            let modseq = match known {
                Some(known) if unchanged => known.modseq,
                Some(_) | None => match *modseq {
                    Some(modseq) => modseq,
                    None => *modseq.insert(self.issue_modseq(site)?),
                },
            };
            self.take_in_one(uid, place, measures, modseq);
            let entry = self.ledger.entry(uid);
            if !unchanged {
                news.extend(entry.map(fact));
            }
            let known = |id: &Arc<str>| self.book.facts.deliveries.contains_key(id);
            let delivery = entry.and_then(|entry| delivered(site, entry)).filter(|(id, _)| !known(id));
            if let Some((id, delivery)) = delivery {
                news.push(Fact::Delivered(Arc::clone(&id), delivery.clone()));
                self.book.facts.deliveries.insert(id, delivery);
            }
        }
        // What was known and is not there any more was expunged by somebody else.
        let lost: Vec<_> = known.into_keys().filter(|uid| self.ledger.entry(*uid).is_none()).collect();
        self.gone.extend(lost.iter().copied().filter(|uid| self.list.lines.contains_key(uid)));
        news.extend(facts::ranges(lost).into_iter().map(|uids| Fact::Gone(modseq.unwrap_or_default(), uids)));
        Ok(())
    }

    fn take_in_one(&mut self, uid: u32, place: Place, measures: Measures, modseq: u64) {
        let line = self.list.lines.get(&uid);
        let guid = line.and_then(|line| line.text(b'G')).map_or_else(|| text(&place.base), Arc::from);
        let inherited_uidl = line.and_then(|line| line.text(b'P')).map(Arc::from);
        let flags = self.flags_of(&place.info, &place.numbers);
        let Measures { internal_date, size, .. } = measures;
        self.insert(Message { uid, flags, size, internal_date, modseq, guid, inherited_uidl }, place);
    }

    /// Looks at a message again whose size turned out to be wrong.
    pub(crate) fn measure_again(&mut self, site: &Site, lock: &mut Dotlock, uid: u32) -> Result<(), Fault> {
        let Some(Entry { place, .. }) = self.ledger.entry(uid) else { return Err(Fault::Gone) };
        let path = site.message(place.dir, &place.base, &place.info);
        let measured = site.files.open(&path).and_then(|file| {
            let meta = file.stat()?;
            let size = meta.len + growth(&*file, lock)?;
            Ok((meta.len, size, Ending::read(&*file, meta.len, Form::of(meta.len, size))?))
        });
        let (physical, size, ending) = measured.map_err(missing_is_gone("measure a message"))?;
        let modseq = self.issue_modseq(site)?;
        if let Some(entry) = self.ledger.entry_mut(uid) {
            entry.place.physical = physical;
            entry.place.ending = Some(ending);
            entry.message.size = size;
            let flags = entry.message.flags.clone();
            self.ledger.touch(uid, flags, modseq);
        }
        let fact = self.ledger.entry(uid).map(fact);
        self.book.record(site, fact.as_slice())?;
        Ok(())
    }
}

impl Known {
    fn measures(&self) -> Measures {
        let Self { internal_date, physical, size, ending, .. } = *self;
        Measures { internal_date, physical, size, ending }
    }
}

/// What a message's name says about its delivery.
fn delivered(site: &Site, Entry { message, place }: &Entry<Place>) -> Option<(Arc<str>, Delivery)> {
    let id = std::str::from_utf8(basename::field(&place.base, b'D')?).ok()?;
    if !crate::message::is_delivery_id(id) {
        return None;
    }
    let delivery = Delivery { at: site.files.now().seconds, uid: message.uid, guid: Arc::clone(&message.guid) };
    Some((id.into(), delivery))
}

fn trust(modified: Stamp, looked: Stamp) -> Trust {
    if looked.millis_after(modified) > TICK { Trust::Settled } else { Trust::TooFresh }
}

/// Finds out a message's date and sizes: from its name and its line where they say it, else by reading it. `None` if it
/// is no message file, or has just gone.
fn measure(
    messages: &mut Messages<'_>,
    lock: &mut Dotlock,
    dir: Dir,
    base: &[u8],
    info: &Info,
    line: Option<&Line>,
) -> Result<Option<Measures>, Fault> {
    const DOING: &str = "look at a message";
    lock.keep_fresh().doing("refresh the mailbox's lock")?;
    let meta = match messages.stat(dir, base, info) {
        Ok(meta @ Meta { kind: Kind::File, .. }) => meta,
        Ok(Meta { kind: Kind::Dir | Kind::Other, .. }) => return Ok(None),
        Err(error) if whole::is_missing(&error) => return Ok(None),
        Err(error) => return Err(error).doing(DOING).map_err(Fault::from),
    };
    let (internal_date, physical) = (meta.modified.seconds, meta.len);
    let same_file = basename::number(base, b'S').is_none_or(|named| named == physical);
    let said = basename::number(base, b'W').or_else(|| line?.text(b'W')?.parse().ok());
    // Every line end can add one octet, and none can take one.
    if let Some(size) = said.filter(|size| same_file && (physical..=physical.saturating_mul(2)).contains(size)) {
        return Ok(Some(Measures { internal_date, physical, size, ending: None }));
    }
    let measured = messages.open(dir, base, info).and_then(|file| {
        let size = physical + growth(&*file, lock)?;
        Ok((size, Ending::read(&*file, physical, Form::of(physical, size))?))
    });
    match measured {
        Ok((size, ending)) => Ok(Some(Measures { internal_date, physical, size, ending: Some(ending) })),
        Err(error) if whole::is_missing(&error) => Ok(None),
        Err(error) => Err(error).doing("measure a message").map_err(Fault::from),
    }
}

/// How much longer a message is than its file. Reading a whole mailbox may take long: the lock is kept fresh.
fn growth(file: &dyn File, lock: &mut Dotlock) -> io::Result<u64> {
    let (mut widen, mut growth, mut at) = (Widen::default(), 0, 0);
    let mut buffer = vec![0; CHUNK];
    loop {
        lock.keep_fresh()?;
        let read = file.read_at(&mut buffer, at)?;
        if read == 0 {
            return Ok(growth);
        }
        growth += widen.growth(buffer.get(..read).unwrap_or_default());
        at += read as u64;
    }
}
