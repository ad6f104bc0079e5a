//! New messages: from `tmp` into the mailbox, once.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    alter::Open,
    basename::{self, Base, Info},
    ending::Ending,
    facts::{self, Delivery, Fact, Facts},
    fault::Fault,
    mirror::{Learnt, Mirror, Place, fact},
    site::{Dir, Doing, Site, missing_is_gone, text},
    uidlist::Line,
    whole,
};
use crate::{
    Appended, Custody, Flags, Message,
    error::{AppendError, Trouble},
};

/// A message that is whole and synced in `tmp`, and waits to be taken in.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) tmp: PathBuf,
    pub(crate) base: Base,
    pub(crate) physical: u64,
    pub(crate) size: u64,
    pub(crate) ending: Ending,
    pub(crate) flags: Flags,
    pub(crate) internal_date: i64,
    pub(crate) delivery_id: Option<String>,
}

/// What became of a draft.
enum Admitted {
    New(Appended),
    /// An earlier attempt had brought the message in.
    Before(Appended),
}

impl Open<'_> {
    /// Takes a message in, gives it a UID and makes both durable. Whatever comes of it, nothing is left in `tmp`.
    pub(crate) fn admit(&mut self, draft: &Draft) -> Result<Appended, AppendError> {
        let admitted = self.try_admit(draft);
        if !matches!(admitted, Ok(Admitted::New(_))) {
            let _ = self.site.files.remove(&draft.tmp);
        }
        match admitted? {
            Admitted::New(appended) | Admitted::Before(appended) => Ok(appended),
        }
    }

    fn try_admit(&mut self, draft: &Draft) -> Result<Admitted, AppendError> {
        let known = draft.delivery_id.as_deref().and_then(|id| self.mirror.book.facts.deliveries.get(id));
        if let Some(delivery) = known.cloned() {
            return Ok(Admitted::Before(self.assure(&delivery)?));
        }
        if self.mirror.learn(self.site, &draft.flags).map_err(Fault::from)? == Learnt::TooMany {
            return Err(AppendError::TooManyKeywords);
        }
        let uid = self.mirror.list.next.max(self.mirror.ledger.next_uid()?);
        if uid > crate::ledger::UID_MAX {
            return Err(Trouble::Corrupt { what: "a mailbox has used up its UIDs" }.into());
        }
        let place = self.place(draft);
        let path = self.site.message(place.dir, &place.base, &place.info);
        self.mirror.in_doubt = true;
        match self.admit_as(uid, draft, &path, place) {
            Ok(appended) => Ok(Admitted::New(appended)),
            Err(fault) => {
                // Nothing of it is to remain. Should this fail too, the delivery id in its name tells the next attempt.
                let _ = self.site.files.remove(&path);
                Err(fault.into())
            }
        }
    }

    /// Where a new message will lie: one with flags has been looked at.
    fn place(&self, draft: &Draft) -> Place {
        let marks = self.mirror.marks(&draft.flags, &Info::None);
        let (dir, info) = match draft.flags.is_empty() {
            true => (Dir::New, Info::None),
            false => (Dir::Cur, Info::with_letters(marks.letters)),
        };
        Place {
            base: Arc::clone(&draft.base),
            dir,
            info,
            numbers: marks.numbers.into(),
            physical: draft.physical,
            ending: Some(draft.ending),
        }
    }

    fn admit_as(&mut self, uid: u32, draft: &Draft, path: &Path, place: Place) -> Result<Appended, Fault> {
        let modseq = self.mirror.issue_modseq(self.site)?;
        bring_in(self.site, draft, path, place.dir)?;
        self.mirror.append_lines(self.site, self.lock, vec![(uid, Line::new(Arc::clone(&place.base)))])?;
        // It is in, whatever comes now.
        self.mirror.in_doubt = false;
        let guid = text(&place.base);
        let flags = self.mirror.flags_of(&place.info, &place.numbers);
        let message = Message {
            uid,
            flags,
            size: draft.size,
            internal_date: draft.internal_date,
            modseq,
            guid: Arc::clone(&guid),
            inherited_uidl: None,
        };
        self.mirror.insert(message, place);
        let mut news: Vec<_> = self.mirror.ledger.entry(uid).map(fact).into_iter().collect();
        if let Some(id) = &draft.delivery_id {
            let delivery = Delivery { at: self.site.files.now().seconds, uid, guid: Arc::clone(&guid) };
            self.mirror.book.facts.deliveries.insert(id.as_str().into(), delivery.clone());
            news.push(Fact::Delivered(id.as_str().into(), delivery));
        }
        self.mirror.note(self.site, &news);
        let uidvalidity = self.mirror.ledger.uidvalidity();
        Ok(Appended { uidvalidity, uid, custody: Custody::attest_durable(guid) })
    }

    /// Answers for an earlier delivery. Whoever made it may have been killed before it synced: what is claimed to be
    /// durable now must be so.
    fn assure(&mut self, delivery: &Delivery) -> Result<Appended, Fault> {
        match self.mirror.ledger.entry(delivery.uid) {
            Some(entry) if entry.message.guid == delivery.guid => {
                let place = &entry.place;
                sync_message(self.site, place.dir, &place.base, &place.info)?;
            }
            // It is expunged: there is only the memory of it.
            Some(_) | None => self.mirror.book.sync(self.site)?,
        }
        Ok(Appended {
            uidvalidity: self.mirror.ledger.uidvalidity(),
            uid: delivery.uid,
            custody: Custody::attest_durable(Arc::clone(&delivery.guid)),
        })
    }
}

/// Takes a message in while somebody else holds the mailbox's lock: it is durable, and gets its UID when somebody looks
/// next. The mirror may be of any age. Nothing is left in `tmp`.
pub(crate) fn slip_in(site: &Site, mirror: Option<&Mirror>, draft: &Draft) -> Result<Custody, AppendError> {
    let earlier = match &draft.delivery_id {
        Some(id) => earlier(site, mirror, id),
        None => Ok(None),
    };
    if !matches!(earlier, Ok(None)) {
        let _ = site.files.remove(&draft.tmp);
    }
    if let Some(custody) = earlier? {
        return Ok(custody);
    }
    let path = site.message(Dir::New, &draft.base, &Info::None);
    if let Err(fault) = bring_in(site, draft, &path, Dir::New) {
        let _ = site.files.remove(&path);
        let _ = site.files.remove(&draft.tmp);
        return Err(fault.into());
    }
    Ok(Custody::attest_durable(text(&draft.base)))
}

/// Looks for an earlier delivery without the lock: in what is remembered, and in the names of what is there.
fn earlier(site: &Site, mirror: Option<&Mirror>, id: &str) -> Result<Option<Custody>, Fault> {
    let sight = site.look_only().map_err(missing_is_gone("list the mailbox's directories"))?;
    let named = sight.iter().find(|(_, base, _)| basename::field(base, b'D') == Some(id.as_bytes()));
    if let Some((dir, base, info)) = named {
        sync_message(site, *dir, base, info)?;
        return Ok(Some(Custody::attest_durable(text(base))));
    }
    let remembered = match mirror {
        Some(mirror) => mirror.book.facts.deliveries.get(id).cloned(),
        None => {
            let content = whole::read(&*site.files, &site.control(facts::NAME)).doing("read the facts file")?;
            let facts = content.and_then(|(content, _)| Facts::parse(&content));
            facts.and_then(|(mut facts, _)| facts.deliveries.remove(id))
        }
    };
    let Some(delivery) = remembered else { return Ok(None) };
    let synced = site.files.append(&site.control(facts::NAME)).and_then(|file| file.sync());
    synced.doing("sync the facts file")?;
    Ok(Some(Custody::attest_durable(delivery.guid)))
}

/// Moves a message from `tmp` into its place, durably.
fn bring_in(site: &Site, draft: &Draft, path: &Path, dir: Dir) -> Result<(), Fault> {
    site.files.rename(&draft.tmp, path).map_err(missing_is_gone("move a message out of tmp"))?;
    site.files.sync_dir(&site.sub(dir)).doing("sync a directory of messages")?;
    Ok(())
}

fn sync_message(site: &Site, dir: Dir, base: &[u8], info: &Info) -> Result<(), Trouble> {
    const DOING: &str = "sync a message";
    match site.files.open(&site.message(dir, base, info)).and_then(|file| file.sync()) {
        // Renamed or expunged meanwhile: it is the directories that say so.
        Err(error) if whole::is_missing(&error) => {}
        synced => synced.doing(DOING)?,
    }
    for dir in Dir::BOTH {
        site.files.sync_dir(&site.sub(dir)).doing(DOING)?;
    }
    Ok(())
}
