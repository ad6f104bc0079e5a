//! Messages on their way out: from the file, with CRLF at the end of every line.

use std::{fmt, ops::Range, sync::Arc};

use bytes::Bytes;

use super::{
    alter::Open,
    fault::Fault,
    files::File,
    folder::Folder,
    lines::Widen,
    mirror::Mirror,
    site::{Doing, Site},
    whole,
};
use crate::{
    Reader,
    error::{ReadError, Trouble},
    ledger::Entry,
};

/// How many octets of the file are read at once.
const CHUNK: usize = 64 * 1024;

/// A place in a message: octets as they are read, octets of its file, and what came before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) octet: u64,
    physical: u64,
    widen: Widen,
}

/// A message of a Maildir on its way out.
pub struct MaildirReader {
    folder: Arc<Folder>,
    /// Lent to the pool while it reads.
    source: Option<Source>,
}

struct Source {
    uid: u32,
    file: Box<dyn File>,
    form: Form,
    range: Range<u64>,
    at: Mark,
    /// Where the octets begin that were read last.
    before: Mark,
}

/// How a message is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it is.
    Raw,
    /// With LF for CRLF.
    Lf,
}

impl Form {
    /// That of a file so long whose message is so long.
    pub(crate) fn of(physical: u64, size: u64) -> Self {
        if physical == size { Self::Raw } else { Self::Lf }
    }
}

/// Opens a message's file.
pub(crate) async fn open(folder: &Arc<Folder>, uid: u32, range: Range<u64>) -> Result<MaildirReader, ReadError> {
    let trust = folder.trust(uid);
    let quickly = match trust {
        Trust::Believed => quickly(folder, uid, range.clone()).await?,
        Trust::Suspect => None,
    };
    let mut source = match quickly {
        Some(source) => source,
        None => folder.alter(move |mailbox| thoroughly(mailbox, uid, range, trust)).await?,
    };
    if source.form == Form::Lf {
        source.at = folder.mark(uid, source.range.start);
        source.before = source.at;
    }
    Ok(MaildirReader { folder: Arc::clone(folder), source: Some(source) })
}

/// Whether a message's size is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    Believed,
    /// It was shorter than that when somebody read it.
    Suspect,
}

/// Opens the file where it was last. `None` if it takes more than that.
async fn quickly(folder: &Arc<Folder>, uid: u32, range: Range<u64>) -> Result<Option<Source>, ReadError> {
    let turn = folder.turns.take().await;
    let asked = Arc::clone(folder);
    let opened = folder.shelf.pool.run(move || {
        let opened = asked.remember(|mirror| try_open(&asked.site, mirror, uid, range));
        drop(turn);
        opened
    });
    match opened.await?? {
        None => Ok(None),
        Some(Ok(source)) => Ok(source),
        Some(Err(fault)) => Err(fault.into()),
    }
}

fn try_open(site: &Site, mirror: &Mirror, uid: u32, range: Range<u64>) -> Result<Option<Source>, Fault> {
    let Some(Entry { message, place }) = mirror.ledger.entry(uid) else { return Ok(None) };
    let file = match site.files.open(&site.message(place.dir, &place.base, &place.info)) {
        Ok(file) => file,
        Err(error) if whole::is_missing(&error) => return Ok(None),
        Err(error) => return Err(error).doing("open a message").map_err(Fault::from),
    };
    if file.stat().doing("look at a message")?.len != place.physical {
        return Ok(None);
    }
    Ok(Some(Source::new(uid, file, place.physical, message.size, range)))
}

/// Looks for the message again, and measures it again if its file is not as long as it was.
fn thoroughly(mailbox: &mut Open<'_>, uid: u32, range: Range<u64>, trust: Trust) -> Result<Source, ReadError> {
    let Open { site, lock, mirror } = mailbox;
    mirror.dirs = None;
    mirror.look(site, lock)?;
    if trust == Trust::Believed
        && let Some(source) = try_open(site, mirror, uid, range.clone())?
    {
        return Ok(source);
    }
    mirror.measure_again(site, lock, uid)?;
    try_open(site, mirror, uid, range)?.ok_or(ReadError::Gone)
}

impl Source {
    fn new(uid: u32, file: Box<dyn File>, physical: u64, size: u64, range: Range<u64>) -> Self {
        let end = range.end.min(size);
        let range = range.start.min(end)..end;
        let form = Form::of(physical, size);
        let at = match form {
            Form::Raw => Mark { octet: range.start, physical: range.start, widen: Widen::default() },
            Form::Lf => Mark::default(),
        };
        Self { uid, file, form, range, at, before: at }
    }

    /// Reads the next octets of the range; none at its end.
    fn read(&mut self) -> Result<Bytes, Trouble> {
        while self.at.octet < self.range.end {
            let octets = self.read_on()?;
            let (first, last) = (self.before.octet, self.at.octet);
            let from = self.range.start.max(first) - first;
            let to = self.range.end.min(last).saturating_sub(first);
            if from < to {
                let part = |octet| usize::try_from(octet).unwrap_or(usize::MAX);
                return Ok(octets.slice(part(from)..part(to)));
            }
        }
        Ok(Bytes::new())
    }

    /// Reads the next octets of the file, wherever they are in the message.
    fn read_on(&mut self) -> Result<Bytes, Trouble> {
        let wanted = match self.form {
            Form::Raw => usize::try_from(self.range.end - self.at.octet).unwrap_or(CHUNK).min(CHUNK),
            Form::Lf => CHUNK,
        };
        let mut octets = vec![0; wanted];
        let read = self.file.read_at(&mut octets, self.at.physical).doing("read a message")?;
        if read == 0 {
            return Err(Trouble::Corrupt { what: "a message is shorter than its name says" });
        }
        octets.truncate(read);
        self.before = self.at;
        self.at.physical += read as u64;
        if self.form == Form::Lf {
            let mut wide = Vec::with_capacity(octets.len() + octets.len() / 16);
            self.at.widen.push(&octets, &mut wide);
            octets = wide;
        }
        self.at.octet += octets.len() as u64;
        Ok(octets.into())
    }
}

impl Reader for MaildirReader {
    async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        let Some(mut source) = self.source.take() else { return Err(Trouble::Unavailable.into()) };
        if source.at.octet >= source.range.end {
            self.source = Some(source);
            return Ok(None);
        }
        let folder = Arc::clone(&self.folder);
        let job = move || {
            let octets = source.read();
            match &octets {
                Ok(_) if source.form == Form::Lf => folder.remember_mark(source.uid, source.before),
                Err(Trouble::Corrupt { .. }) => folder.suspect(source.uid),
                Ok(_) | Err(Trouble::Busy { .. } | Trouble::Full | Trouble::Unavailable | Trouble::Io { .. }) => {}
            }
            (source, octets)
        };
        let (source, octets) = self.folder.shelf.pool.run(job).await?;
        self.source = Some(source);
        Ok(Some(octets?).filter(|octets| !octets.is_empty()))
    }
}

impl fmt::Debug for MaildirReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaildirReader").field("folder", &self.folder.number).finish_non_exhaustive()
    }
}
