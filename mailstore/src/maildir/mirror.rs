//! One mailbox as it is on disk, in memory. It is read once, and brought up to date when the files have changed.
//! Everything here happens under the mailbox's lock.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    sync::Arc,
};

use super::{
    basename::{Base, Info},
    book::{Book, stat},
    courier,
    dotlock::Dotlock,
    ending::Ending,
    facts::{self, Fact, Known},
    fault::Fault,
    files::{Files, Meta},
    keywords::{self, Keywords, Marks},
    site::{Dir, Doing, Site, Stamps, missing_is_gone},
    uidlist::{self, Appendable, Damage, Line, UidList},
    uidvalidity, whole,
};
use crate::{Flags, Message, error::Trouble, ledger::Ledger};

/// MODSEQ begins at the time in seconds times this, and microseconds: above whatever Dovecot may have given, and, should our own record be
/// lost, above whatever we have.
const MODSEQ_PER_SECOND: u64 = 1 << 20;

/// How long our own change to a directory is taken for the only one, in milliseconds.
const OURS: i64 = 1000;

/// How many lines of messages that are gone are put up with before the list is written anew, beside a third of those
/// that are not.
const OUTDATED_MAX: usize = 32;

/// Where a message lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) base: Base,
    pub(crate) dir: Dir,
    pub(crate) info: Info,
    /// Numbers of its keywords that have no letter.
    pub(crate) numbers: Box<[u32]>,
    /// The length of its file. It is shorter than the message by one octet for each line that is stored with LF.
    pub(crate) physical: u64,
    /// How the message ends, as far as somebody had to know.
    pub(crate) ending: Option<Ending>,
}

#[derive(Debug)]
pub(crate) struct Mirror {
    pub(crate) ledger: Ledger<Place>,
    pub(super) by_base: HashMap<Base, u32>,
    pub(super) list: UidList,
    list_seen: Option<Meta>,
    pub(super) keywords: Keywords,
    keywords_seen: Option<Meta>,
    pub(super) book: Book,
    /// Expunged UIDs that still have a line in the list.
    pub(super) gone: BTreeSet<u32>,
    pub(super) dirs: Option<Looked>,
    /// The watermark of \Recent that the facts file has.
    claimed: u32,
    /// Something was begun and not ended: nothing here may be trusted.
    pub(super) in_doubt: bool,
}

/// When the directories were listed last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looked {
    pub(super) stamps: Stamps,
    pub(super) trust: Trust,
}

/// Whether directories with the same stamps must hold the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    Settled,
    /// They were modified so shortly before that something may have happened within the same tick of the clock.
    TooFresh,
    /// It was we who modified them. Somebody who does not know the lock may have done so at the same moment: for a
    /// little while that is not looked for, or each of our own changes would cost us a look.
    Ours,
}

/// Whether what control files say can be made durable by syncing them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ControlFiles {
    Trusted,
    /// A sync has failed, and no later one makes good what that did not: they must be written anew.
    Doubted,
}

/// Whether the mailbox is the one that it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Refreshed {
    Same,
    /// Its list was replaced in a way that cannot be followed: read it again from the beginning.
    Other,
}

impl Mirror {
    /// Reads a mailbox.
    pub(crate) fn load(site: &Site, lock: &mut Dotlock, files: ControlFiles) -> Result<Self, Fault> {
        // What lies in tmp is nobody's mail; that it cannot be swept is no reason to hold mail back.
        let _ = site.sweep_tmp();
        let (mut list, list_seen) = load_list(site)?;
        match files {
            ControlFiles::Doubted => list.appendable = Appendable::No,
            // Who wrote it last may have been killed before it synced, and its UIDs will be told.
            ControlFiles::Trusted if list_seen.is_some() => {
                let synced = site.files.append(&site.control(uidlist::NAME)).and_then(|file| file.sync());
                synced.doing("sync the uidlist")?;
            }
            ControlFiles::Trusted => {}
        }
        let mut book = Book::open(site)?;
        let mut stale = files == ControlFiles::Doubted || book.facts.uidvalidity != list.uidvalidity;
        book.facts.apply(Fact::UidValidity(list.uidvalidity));
        if book.facts.ceiling == 0 {
            let now = site.files.now();
            let seconds = u64::try_from(now.seconds).unwrap_or(0);
            book.facts.ceiling =
                seconds.saturating_mul(MODSEQ_PER_SECOND).saturating_add(u64::from(now.nanos / 1000)).max(1);
            stale = true;
        }
        let (letters, keywords_seen) = load_keywords(site)?;
        let mut keywords = letters;
        for (number, name) in &book.facts.keywords {
            keywords.set(*number, name);
        }
        let known = std::mem::take(&mut book.facts.messages);
        let gone = std::mem::take(&mut book.facts.gone);
        let last_known = known.last_key_value().map(|(uid, _)| *uid).max(gone.last().copied()).unwrap_or(0);
        let claimed = book.facts.claimed;
        let mut mirror = Self {
            ledger: Ledger::new(list.uidvalidity, 1, claimed, book.facts.ceiling),
            by_base: HashMap::with_capacity(list.lines.len()),
            gone: gone.into_iter().filter(|uid| list.lines.contains_key(uid)).collect(),
            list,
            list_seen,
            keywords,
            keywords_seen,
            book,
            dirs: None,
            claimed,
            in_doubt: false,
        };
        mirror.ledger.keywords = mirror.keywords.names();
        mirror.list.next = mirror.list.next.max(last_known.saturating_add(1));
        if stale || mirror.book.is_stale(mirror.list.lines.len()) {
            // Now, so that the scan can append to it; what it knows of messages must not be lost on the way.
            let facts = known.iter().map(|(uid, known)| Fact::Message(*uid, known.clone())).collect();
            mirror.rewrite_book(site, facts)?;
        }
        // Should another process serve the mailbox too, it must not tell less than this one.
        mirror.book.record(site, &[Fact::Highest(mirror.ledger.highestmodseq())])?;
        mirror.scan(site, lock, known)?;
        let next = mirror.list.next;
        mirror.ledger.raise_uidnext(next);
        mirror.tidy(site, lock)?;
        Ok(mirror)
    }

    /// Brings the control files' part up to date. The directories are another matter.
    pub(crate) fn refresh(&mut self, site: &Site) -> Result<Refreshed, Fault> {
        if self.in_doubt {
            return Ok(Refreshed::Other);
        }
        if self.refresh_list(site)? == Refreshed::Other || self.refresh_book(site)? == Refreshed::Other {
            return Ok(Refreshed::Other);
        }
        if stat(site, keywords::NAME)? != self.keywords_seen {
            let (letters, seen) = load_keywords(site)?;
            self.keywords.take_letters_of(&letters);
            self.keywords_seen = seen;
            self.ledger.keywords = self.keywords.names();
            // Letters may mean other keywords now: look at all names again.
            self.dirs = None;
        }
        Ok(Refreshed::Same)
    }

    fn refresh_list(&mut self, site: &Site) -> Result<Refreshed, Fault> {
        let now = stat(site, uidlist::NAME)?;
        if now == self.list_seen {
            return Ok(Refreshed::Same);
        }
        let (Some(now), Some(seen)) = (now, self.list_seen) else { return Ok(Refreshed::Other) };
        if now.id == seen.id && now.len > seen.len {
            const DOING: &str = "read the uidlist";
            let file = site.files.open(&site.control(uidlist::NAME)).doing(DOING)?;
            let new = whole::read_from(&*file, seen.len).doing(DOING)?;
            self.list_seen = Some(file.stat().doing(DOING)?);
            return Ok(match self.list.parse_lines(&new) {
                Damage::None => Refreshed::Same,
                Damage::Some => Refreshed::Other,
            });
        }
        let Some((content, meta)) =
            whole::read(&*site.files, &site.control(uidlist::NAME)).doing("read the uidlist")?
        else {
            return Ok(Refreshed::Other);
        };
        let Some(list) = UidList::parse(&content) else { return Ok(Refreshed::Other) };
        let same_message = |uid: u32, base: &Base| list.lines.get(&uid).is_some_and(|line| line.base == *base);
        let agrees = list.uidvalidity == self.list.uidvalidity
            && list.appendable == Appendable::Yes
            && self.ledger.entries().all(|entry| same_message(entry.message.uid, &entry.place.base));
        if !agrees {
            return Ok(Refreshed::Other);
        }
        let next = list.next.max(self.list.next);
        self.gone.retain(|uid| list.lines.contains_key(uid));
        self.list = UidList { next, ..list };
        self.list_seen = Some(meta);
        Ok(Refreshed::Same)
    }

    fn refresh_book(&mut self, site: &Site) -> Result<Refreshed, Fault> {
        if self.book.is_current(site)? {
            return Ok(Refreshed::Same);
        }
        // Another of our processes serves the mailbox too.
        let Some(new) = self.book.appended(site)? else { return Ok(Refreshed::Other) };
        if new.uidvalidity != self.list.uidvalidity {
            return Ok(Refreshed::Other);
        }
        self.ledger.raise_modseq(new.highest);
        self.book.facts.ceiling = self.book.facts.ceiling.max(new.ceiling);
        self.ledger.raise_claimed(new.claimed);
        self.claimed = self.claimed.max(new.claimed);
        self.book.facts.deliveries.extend(new.deliveries);
        for (number, name) in new.keywords {
            self.keywords.set(number, &name);
            self.book.facts.keywords.insert(number, name);
        }
        self.ledger.keywords = self.keywords.names();
        self.gone.extend(new.gone.into_iter().filter(|uid| self.list.lines.contains_key(uid)));
        for (uid, known) in new.messages {
            if let Some(entry) = self.ledger.entry_mut(uid)
                && entry.place.numbers != known.numbers
            {
                entry.place.numbers = known.numbers;
                // Its flags are put together again when the directories are looked at.
                self.dirs = None;
            }
        }
        Ok(Refreshed::Same)
    }

    /// Whether what is known is what is on disk; if so, there is no need for the lock.
    pub(crate) fn is_current(&self, site: &Site) -> Result<bool, Fault> {
        Ok(!self.in_doubt
            && self.is_trusted(site)?
            && stat(site, uidlist::NAME)? == self.list_seen
            && stat(site, keywords::NAME)? == self.keywords_seen
            && self.book.is_current(site)?)
    }

    /// Whether the directories hold what they held when we last looked.
    pub(crate) fn is_trusted(&self, site: &Site) -> Result<bool, Fault> {
        let Some(Looked { stamps, trust }) = self.dirs else { return Ok(false) };
        let trusted = match trust {
            Trust::Settled => true,
            Trust::TooFresh => false,
            Trust::Ours => site.files.now().millis_after(stamps.new.max(stamps.cur)) < OURS,
        };
        Ok(trusted && site.stamps()? == stamps)
    }

    /// Whether the directories are trusted only for a little while.
    pub(crate) fn owes_a_look(&self) -> bool {
        self.dirs.is_some_and(|looked| looked.trust == Trust::Ours)
    }

    /// To be called after a change of ours to directories that were trusted before it.
    pub(crate) fn trust_ours(&mut self, site: &Site) {
        self.dirs = match (self.dirs, site.stamps()) {
            (Some(looked), Ok(stamps)) if looked.stamps == stamps => Some(looked),
            (_, Ok(stamps)) => Some(Looked { stamps, trust: Trust::Ours }),
            (_, Err(_)) => None,
        };
    }

    /// The next MODSEQ, persisted so far that it will never be given again.
    pub(super) fn issue_modseq(&mut self, site: &Site) -> Result<u64, Trouble> {
        self.book.reserve(site, self.ledger.highestmodseq().saturating_add(1))?;
        Ok(self.ledger.next_modseq())
    }

    /// Persists UIDs. The lines' UIDs ascend and follow all that are there.
    pub(super) fn append_lines(&mut self, site: &Site, lock: &Dotlock, lines: Vec<(u32, Line)>) -> Result<(), Trouble> {
        const DOING: &str = "append to the uidlist";
        let Some((last, _)) = lines.last() else { return Ok(()) };
        self.list.next = self.list.next.max(last + 1);
        if self.list.appendable == Appendable::No {
            self.list.lines.extend(lines);
            return self.rewrite_list(site, lock);
        }
        let mut written = Vec::new();
        lines.iter().for_each(|(uid, line)| line.write(*uid, &mut written));
        self.list.lines.extend(lines);
        still_ours(lock)?;
        let mut file = site.files.append(&site.control(uidlist::NAME)).doing(DOING)?;
        file.write(&written).and_then(|()| file.sync()).doing(DOING)?;
        let meta = file.stat().doing(DOING)?;
        // A line that another wrote meanwhile would show here: the lock was not respected.
        if self.list_seen.is_some_and(|seen| seen.len + written.len() as u64 != meta.len) {
            return Err(Trouble::Corrupt { what: "the uidlist was changed without its lock" });
        }
        self.list_seen = Some(meta);
        Ok(())
    }

    /// Writes the list anew, without lines of messages that are gone.
    pub(super) fn rewrite_list(&mut self, site: &Site, lock: &Dotlock) -> Result<(), Trouble> {
        const DOING: &str = "write the uidlist";
        still_ours(lock)?;
        if self.list.guid.is_empty() {
            self.list.guid = random_guid()?;
        }
        let (path, beside) = (site.control(uidlist::NAME), site.control(uidlist::BESIDE));
        whole::replace(&*site.files, &path, &beside, &self.list.write()).doing(DOING)?;
        // The name too: UIDs are told that only this file knows.
        site.files.sync_dir(&site.dir).doing(DOING)?;
        self.list_seen = stat(site, uidlist::NAME)?;
        self.list.appendable = Appendable::Yes;
        Ok(())
    }

    /// Writes anew what has become mostly outdated.
    pub(super) fn tidy(&mut self, site: &Site, lock: &Dotlock) -> Result<(), Trouble> {
        let outdated = self.list.lines.len().saturating_sub(self.ledger.len());
        if self.list.appendable == Appendable::No || outdated > OUTDATED_MAX + self.ledger.len() / 3 {
            let ledger = &self.ledger;
            self.list.lines.retain(|uid, _| ledger.entry(*uid).is_some());
            self.gone.clear();
            self.rewrite_list(site, lock)?;
        }
        if self.book.is_stale(self.ledger.len()) {
            self.rewrite_book(site, self.ledger.entries().map(fact).collect())?;
        }
        Ok(())
    }

    fn rewrite_book(&mut self, site: &Site, mut messages: Vec<Fact>) -> Result<(), Trouble> {
        for uids in facts::ranges(self.gone.iter().copied()) {
            // A UID can only be gone if it was there: see `Facts::apply`.
            let was = |uid| Fact::Message(uid, Known::gone());
            messages.extend(uids.clone().map(was));
            messages.push(Fact::Gone(1, uids));
        }
        self.claimed = self.ledger.claimed();
        self.book.rewrite(site, messages, self.claimed)
    }

    /// Records facts that are no more than a memory: what they say has happened, and shows in the files. Should it fail,
    /// the mailbox is read again.
    pub(super) fn note(&mut self, site: &Site, facts: &[Fact]) {
        if self.book.record(site, facts).is_err() {
            self.in_doubt = true;
        }
    }

    /// Persists the watermark of \Recent. It need not be synced: what is told twice after a crash is only told twice.
    pub(crate) fn save_claim(&mut self, site: &Site) -> Result<(), Trouble> {
        if self.ledger.claimed() > self.claimed {
            self.book.record(site, &[Fact::Claimed(self.ledger.claimed())])?;
            self.claimed = self.ledger.claimed();
        }
        Ok(())
    }

    /// Makes the mailbox know the keywords of a set of flags, and persists their letters and numbers before any file
    /// has them.
    pub(super) fn learn(&mut self, site: &Site, flags: &Flags) -> Result<Learnt, Trouble> {
        let Some(learnt) = self.keywords.with(flags) else { return Ok(Learnt::TooMany) };
        if learnt == self.keywords {
            return Ok(Learnt::Yes);
        }
        let content = learnt.write();
        if content != self.keywords.write() {
            const DOING: &str = "write the keywords";
            let (path, beside) = (site.control(keywords::NAME), site.control(keywords::BESIDE));
            whole::replace(&*site.files, &path, &beside, &content).doing(DOING)?;
            site.files.sync_dir(&site.dir).doing(DOING)?;
            self.keywords_seen = stat(site, keywords::NAME)?;
        }
        let known = &self.book.facts.keywords;
        let new: Vec<_> = learnt
            .beyond_letters()
            .filter(|(number, _)| !known.contains_key(number))
            .map(|(number, name)| Fact::Keyword(number, name.to_string()))
            .collect();
        self.book.record(site, &new)?;
        for fact in new {
            self.book.facts.apply(fact);
        }
        self.keywords = learnt;
        self.ledger.keywords = self.keywords.names();
        Ok(Learnt::Yes)
    }

    /// The flags that a place's letters and numbers stand for.
    pub(super) fn flags_of(&self, info: &Info, numbers: &[u32]) -> Flags {
        self.keywords.flags(info.letters(), numbers)
    }

    pub(super) fn marks(&self, flags: &Flags, before: &Info) -> Marks {
        self.keywords.marks(flags, before.letters())
    }

    /// Adds a message whose UID is persisted.
    pub(super) fn insert(&mut self, message: Message, place: Place) {
        self.by_base.insert(Arc::clone(&place.base), message.uid);
        self.ledger.insert(message, place);
    }

    /// Takes a message out whose file is gone.
    pub(super) fn remove(&mut self, uid: u32, modseq: u64) {
        if let Some(entry) = self.ledger.remove(uid, modseq) {
            self.by_base.remove(&entry.place.base);
            if self.list.lines.contains_key(&uid) {
                self.gone.insert(uid);
            }
        }
    }
}

/// Whether a mailbox has taken new keywords in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Learnt {
    Yes,
    TooMany,
}

/// What the facts file says about a message.
pub(super) fn fact(entry: &crate::ledger::Entry<Place>) -> Fact {
    let crate::ledger::Entry { message, place } = entry;
    let known = Known {
        modseq: message.modseq,
        letters: letters(&place.info),
        numbers: place.numbers.clone(),
        internal_date: message.internal_date,
        size: message.size,
        physical: place.physical,
        ending: place.ending,
    };
    Fact::Message(message.uid, known)
}

/// Letters as the facts file keeps them. Of strange ones it is enough to know that they are strange.
pub(super) fn letters(info: &Info) -> Box<str> {
    let letters = info.letters();
    match std::str::from_utf8(letters) {
        Ok(letters) if letters.bytes().all(|letter| letter.is_ascii_alphanumeric()) => letters.into(),
        Ok(_) | Err(_) => "?".into(),
    }
}

impl Known {
    fn gone() -> Self {
        Self { modseq: 1, letters: "".into(), numbers: [].into(), internal_date: 0, size: 0, physical: 0, ending: None }
    }
}

/// Writes the list of a mailbox that is being made.
pub(crate) fn write_new_list(files: &dyn Files, dir: &Path, uidvalidity: u32) -> Result<(), Trouble> {
    let list = UidList::new(uidvalidity, random_guid()?);
    let (path, beside) = (dir.join(uidlist::NAME), dir.join(uidlist::BESIDE));
    whole::replace(files, &path, &beside, &list.write()).doing("write the uidlist")
}

/// Gives a mailbox that nobody here has open another UIDVALIDITY. Its UIDs stay.
pub(crate) fn renew_uidvalidity(files: &dyn Files, account: &Path, dir: &Path) -> Result<(), Trouble> {
    let (path, beside) = (dir.join(uidlist::NAME), dir.join(uidlist::BESIDE));
    let Some((content, _)) = whole::read(files, &path).doing("read the uidlist")? else { return Ok(()) };
    let Some(list) = UidList::parse(&content) else { return Ok(()) };
    let uidvalidity = uidvalidity::next(files, account).doing("take a UIDVALIDITY")?;
    let list = UidList { uidvalidity, ..list };
    whole::replace(files, &path, &beside, &list.write()).doing("write the uidlist")?;
    files.sync_dir(dir).doing("sync the mailbox's directory")
}

fn still_ours(lock: &Dotlock) -> Result<(), Trouble> {
    if lock.is_ours().doing("look at the mailbox's lock")? {
        return Ok(());
    }
    Err(Trouble::Corrupt { what: "the mailbox's lock was taken away" })
}

fn load_list(site: &Site) -> Result<(UidList, Option<Meta>), Fault> {
    const DOING: &str = "read the uidlist";
    let own = whole::read(&*site.files, &site.control(uidlist::NAME)).doing(DOING)?;
    let seen = own.as_ref().map(|(_, meta)| *meta);
    let (content, uidls) = match own {
        None => {
            let content = whole::read(&*site.files, &site.control(uidlist::COURIER)).doing(DOING)?;
            let uidls = whole::read(&*site.files, &site.control(courier::NAME)).doing("read Courier's unique-ids")?;
            (content, uidls.map(|(content, _)| courier::uidls(&content)).unwrap_or_default())
        }
        own => (own, Vec::new()),
    };
    let (mut list, seen) = match content.and_then(|(content, _)| UidList::parse(&content)) {
        Some(list) => (list, seen),
        // There is none, or it cannot be read: the messages get new UIDs, and the mailbox a new UIDVALIDITY.
        None => {
            let next = uidvalidity::next(&*site.files, &site.account);
            let uidvalidity = next.map_err(missing_is_gone("take a UIDVALIDITY"))?;
            (UidList::new(uidvalidity, random_guid()?), None)
        }
    };
    list.inherit(uidls);
    Ok((list, seen))
}

fn load_keywords(site: &Site) -> Result<(Keywords, Option<Meta>), Fault> {
    let content = whole::read(&*site.files, &site.control(keywords::NAME)).doing("read the keywords")?;
    Ok(match content {
        Some((content, meta)) => (Keywords::parse(&content), Some(meta)),
        None => (Keywords::default(), None),
    })
}

/// A name for a mailbox, as Dovecot gives them: 32 hexadecimal digits.
pub(crate) fn random_guid() -> Result<String, Trouble> {
    let mut octets = [0; 16];
    getrandom::fill(&mut octets).map_err(|_| Trouble::Unavailable)?;
    Ok(octets.iter().map(|octet| format!("{octet:02x}")).collect())
}

/// Facts about messages that are known from before.
pub(super) type KnownMessages = BTreeMap<u32, Known>;
