//! Messages on their way out: from the file, with CRLF at the end of every line.
//!
//! What the system has in memory is read at once, on the caller's thread: to wake another for it costs more than the
//! reading. What has to come from a disk is read on the pool, which may wait.

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

/// The same where reading begins: most headers end there, and many readers want no more (TOP, RFC 1939 §7; FETCH of a
/// header).
const FIRST: usize = 4 * 1024;

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
    /// The length of the file.
    physical: u64,
    form: Form,
    range: Range<u64>,
    at: Mark,
    /// Where the octets begin that were read last.
    before: Mark,
}

/// Whether somebody may wait for a disk here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    None,
    Some,
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
    let at_once = folder.remember(|mirror| try_open(&folder.at_once, mirror, uid, range.clone()))?;
    if let Some(Ok(Some(source))) = at_once {
        return Ok(Some(source));
    }
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
        Self { uid, file, physical, form, range, at, before: at }
    }

    fn is_at_end(&self) -> bool {
        self.at.octet >= self.range.end
    }

    /// Reads the next octets of the range, none at its end. `None` if that takes more patience.
    fn read(&mut self, patience: Patience) -> Result<Option<Bytes>, Trouble> {
        while !self.is_at_end() {
            let Some(octets) = self.read_on(patience)? else { return Ok(None) };
            let (first, last) = (self.before.octet, self.at.octet);
            let from = self.range.start.max(first) - first;
            let to = self.range.end.min(last).saturating_sub(first);
            if from < to {
                let part = |octet| usize::try_from(octet).unwrap_or(usize::MAX);
                return Ok(Some(octets.slice(part(from)..part(to))));
            }
        }
        Ok(Some(Bytes::new()))
    }

    /// Reads the next octets of the file, wherever they are in the message.
    fn read_on(&mut self, patience: Patience) -> Result<Option<Bytes>, Trouble> {
        let left = match self.form {
            Form::Raw => self.range.end - self.at.octet,
            Form::Lf => self.physical.saturating_sub(self.at.physical),
        };
        let chunk = if self.at == self.before { FIRST } else { CHUNK };
        let mut octets = vec![0; usize::try_from(left).unwrap_or(chunk).min(chunk)];
        let read = match patience {
            Patience::None => self.file.read_at_once(&mut octets, self.at.physical),
            Patience::Some => Some(self.file.read_at(&mut octets, self.at.physical).doing("read a message")?),
        };
        let Some(read) = read else { return Ok(None) };
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
        Ok(Some(octets.into()))
    }

    /// The same, and remembers of the message what the next reader may want to know.
    fn read_for(&mut self, folder: &Folder, patience: Patience) -> Result<Option<Bytes>, Trouble> {
        let octets = self.read(patience);
        match &octets {
            // Everybody knows where a message begins.
            Ok(Some(_)) if self.form == Form::Lf && self.before.octet > 0 => {
                folder.remember_mark(self.uid, self.before);
            }
            Err(Trouble::Corrupt { .. }) => folder.suspect(self.uid),
            Ok(_) | Err(Trouble::Busy { .. } | Trouble::Full | Trouble::Unavailable | Trouble::Io { .. }) => {}
        }
        octets
    }
}

impl Reader for MaildirReader {
    async fn next(&mut self) -> Result<Option<Bytes>, ReadError> {
        let Some(mut source) = self.source.take() else { return Err(Trouble::Unavailable.into()) };
        let mut octets = source.read_for(&self.folder, Patience::None);
        if let Ok(None) = octets {
            let folder = Arc::clone(&self.folder);
            let job = move || {
                let octets = source.read_for(&folder, Patience::Some);
                (source, octets)
            };
            (source, octets) = self.folder.shelf.pool.run(job).await?;
        }
        self.source = Some(source);
        Ok(octets?.filter(|octets| !octets.is_empty()))
    }
}

impl fmt::Debug for MaildirReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaildirReader").field("folder", &self.folder.number).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use super::*;
    use crate::maildir::files::{Meta, Stamp};

    /// A file that is in memory now and then, one octet at a time.
    struct Patchy(&'static [u8], AtomicUsize);

    impl File for Patchy {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            let rest = self.0.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
            let read = rest.len().min(buffer.len()).min(2);
            buffer[..read].copy_from_slice(&rest[..read]);
            Ok(read)
        }

        fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> Option<usize> {
            let asked = self.1.fetch_add(1, Ordering::Relaxed);
            if asked.is_multiple_of(2) { None } else { self.read_at(&mut buffer[..1], offset).ok() }
        }

        fn write(&mut self, _: &[u8]) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn sync(&self) -> io::Result<()> {
            Ok(())
        }

        fn stat(&self) -> io::Result<Meta> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn set_modified(&self, _: Stamp) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    #[test]
    fn a_message_is_whole_whoever_reads_which_part_of_it() {
        const STORED: &[u8] = b"a: b\n\n.\nlast\n";
        const READ: &[u8] = b"a: b\r\n\r\n.\r\nlast\r\n";
        for from in 0..READ.len() {
            let file = Box::new(Patchy(STORED, AtomicUsize::new(0)));
            let (physical, size) = (STORED.len() as u64, READ.len() as u64);
            let mut source = Source::new(7, file, physical, size, from as u64..size);
            let (mut octets, mut waits) = (Vec::new(), 0);
            loop {
                let read = source.read(Patience::None).unwrap().or_else(|| {
                    waits += 1;
                    source.read(Patience::Some).unwrap()
                });
                match read.unwrap() {
                    end if end.is_empty() => break,
                    part => octets.extend_from_slice(&part),
                }
            }
            assert_eq!(octets, &READ[from..]);
            assert!(waits > 0);
        }
    }
}
