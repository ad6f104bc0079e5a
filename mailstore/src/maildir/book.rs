//! The facts file of one mailbox, open for writing.

use std::mem;

use super::{
    facts::{self, Fact, Facts},
    files::Meta,
    site::{Doing, Site},
    uidlist::Damage,
    whole,
};
use crate::error::Trouble;

/// By how much the ceiling of MODSEQ is raised at once: one sync for so many changes.
const CEILING_STEP: u64 = 1 << 16;

/// How many outdated lines are put up with before the file is written anew, beside as many as are not.
const OUTDATED_MAX: usize = 1000;

/// A facts file and what it says beside what is in the ledger.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) facts: Facts,
    /// What the file was when it was last read or written.
    seen: Option<Meta>,
    /// Whether lines may be appended.
    damage: Damage,
    unsynced: bool,
}

impl Book {
    /// Reads the file. One that is missing, or of a version that is not ours, counts as empty.
    pub(crate) fn open(site: &Site) -> Result<Self, Trouble> {
        let content = whole::read(&*site.files, &site.control(facts::NAME)).doing("read the facts file")?;
        let parsed = content.and_then(|(content, meta)| Some((Facts::parse(&content)?, meta)));
        Ok(match parsed {
            // What was read may never have been synced: who builds on it syncs it first.
            Some(((facts, damage), meta)) => Self { facts, seen: Some(meta), damage, unsynced: true },
            None => Self { facts: Facts::default(), seen: None, damage: Damage::Some, unsynced: false },
        })
    }

    /// Whether the file is as it was when we last had to do with it.
    pub(crate) fn is_current(&self, site: &Site) -> Result<bool, Trouble> {
        let now = stat(site, facts::NAME)?;
        Ok(now.map(|meta| (meta.id, meta.len)) == self.seen.map(|meta| (meta.id, meta.len)))
    }

    /// Reads what another process has appended. `None` if the file is not the one it was.
    pub(crate) fn appended(&mut self, site: &Site) -> Result<Option<Facts>, Trouble> {
        let file = match site.files.open(&site.control(facts::NAME)) {
            Ok(file) => file,
            Err(error) if whole::is_missing(&error) => return Ok(None),
            Err(error) => return Err(error).doing("open the facts file"),
        };
        let (Some(seen), meta) = (self.seen, file.stat().doing("look at the facts file")?) else { return Ok(None) };
        if meta.id != seen.id || meta.len < seen.len {
            return Ok(None);
        }
        let content = whole::read_from(&*file, seen.len).doing("read the facts file")?;
        let mut new = Facts { uidvalidity: self.facts.uidvalidity, ..Facts::default() };
        if new.parse_lines(&content) == Damage::Some {
            return Ok(None);
        }
        self.facts.lines += new.lines;
        self.seen = Some(meta);
        self.unsynced = true;
        Ok(Some(new))
    }

    /// Appends facts. They are durable after the next [`Book::sync`].
    pub(crate) fn record(&mut self, site: &Site, facts: &[Fact]) -> Result<(), Trouble> {
        if facts.is_empty() {
            return Ok(());
        }
        const DOING: &str = "append to the facts file";
        let mut file = site.files.append(&site.control(facts::NAME)).doing(DOING)?;
        self.unsynced = true;
        file.write(Fact::lines(facts).as_bytes()).doing(DOING)?;
        self.seen = Some(file.stat().doing(DOING)?);
        self.facts.lines += facts.len();
        Ok(())
    }

    /// Makes durable what was recorded.
    pub(crate) fn sync(&mut self, site: &Site) -> Result<(), Trouble> {
        const DOING: &str = "sync the facts file";
        if mem::take(&mut self.unsynced) {
            site.files.append(&site.control(facts::NAME)).and_then(|file| file.sync()).doing(DOING)?;
        }
        Ok(())
    }

    /// Makes sure that a MODSEQ may be told: that after a crash it will not be given again.
    pub(crate) fn reserve(&mut self, site: &Site, modseq: u64) -> Result<(), Trouble> {
        if modseq <= self.facts.ceiling {
            return Ok(());
        }
        let ceiling = modseq.saturating_add(CEILING_STEP);
        self.record(site, &[Fact::Ceiling(ceiling)])?;
        self.sync(site)?;
        self.facts.ceiling = ceiling;
        Ok(())
    }

    /// Whether the file should be written anew: it cannot be appended to, or most of it is outdated.
    pub(crate) fn is_stale(&self, messages: usize) -> bool {
        let live = messages + self.facts.deliveries.len() + self.facts.unknown.len();
        self.damage == Damage::Some || self.facts.lines > 2 * live + OUTDATED_MAX
    }

    /// Writes the file anew, with these facts about messages. Delivery ids that nobody can come back with are dropped.
    pub(crate) fn rewrite(&mut self, site: &Site, messages: Vec<Fact>, claimed: u32) -> Result<(), Trouble> {
        let oldest = site.files.now().seconds - facts::DELIVERY_KEPT;
        self.facts.deliveries.retain(|_, delivery| delivery.at >= oldest);
        let mut all =
            vec![Fact::UidValidity(self.facts.uidvalidity), Fact::Ceiling(self.facts.ceiling), Fact::Claimed(claimed)];
        all.extend(self.facts.keywords.iter().map(|(number, name)| Fact::Keyword(*number, name.clone())));
        all.extend(messages);
        all.extend(self.facts.deliveries.iter().map(|(id, delivery)| Fact::Delivered(id.clone(), delivery.clone())));
        all.extend(self.facts.unknown.iter().cloned().map(Fact::Unknown));
        let content = format!("{}{}", facts::HEADER, Fact::lines(&all));
        let (path, beside) = (site.control(facts::NAME), site.control(facts::BESIDE));
        whole::replace(&*site.files, &path, &beside, content.as_bytes()).doing("write the facts file")?;
        // The name too: what is appended from now on must not vanish with it.
        site.files.sync_dir(&site.dir).doing("sync the mailbox's directory")?;
        self.facts.lines = all.len();
        self.seen = stat(site, facts::NAME)?;
        self.damage = Damage::None;
        self.unsynced = false;
        Ok(())
    }
}

/// What a control file is at this moment; `None` if it is not there.
pub(crate) fn stat(site: &Site, name: &str) -> Result<Option<Meta>, Trouble> {
    match site.files.stat(&site.control(name)) {
        Ok(meta) => Ok(Some(meta)),
        Err(error) if whole::is_missing(&error) => Ok(None),
        Err(error) => Err(error).doing("look at a control file"),
    }
}
