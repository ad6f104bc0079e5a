//! Where one mailbox lies, and what its directories hold.

use std::{
    collections::HashMap,
    ffi::OsString,
    io,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    basename::{self, Base, Info},
    fault::Fault,
    files::{Directory, File, Files, Kind, Meta, Stamp},
    whole,
};
use crate::error::Trouble;

/// The subdirectory a message file lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dir {
    /// Delivered and not looked at.
    New,
    Cur,
}

impl Dir {
    pub(crate) const BOTH: [Self; 2] = [Self::New, Self::Cur];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Cur => "cur",
        }
    }
}

/// What listing both directories showed.
pub(crate) type Sight = HashMap<Base, (Dir, Info)>;

/// The file that keeps a base name, and another that had it too and has a new one.
type Kept = ((Dir, Info), Option<(Base, (Dir, Info))>);

/// When the directories were modified last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamps {
    pub(crate) new: Stamp,
    pub(crate) cur: Stamp,
}

/// Where one mailbox lies.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) files: Arc<dyn Files>,
    /// The account's directory; INBOX is the same.
    pub(crate) account: PathBuf,
    pub(crate) dir: PathBuf,
    /// This host's name, as it may stand in a file's name.
    pub(crate) host: Arc<str>,
}

impl Site {
    /// A control file.
    pub(crate) fn control(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(crate) fn sub(&self, dir: Dir) -> PathBuf {
        self.dir.join(dir.name())
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.dir.join("tmp")
    }

    /// A message's file.
    pub(crate) fn message(&self, dir: Dir, base: &[u8], info: &Info) -> PathBuf {
        self.sub(dir).join(file_name(base, info))
    }

    /// The files of many messages.
    pub(crate) fn messages(&self) -> Messages<'_> {
        Messages { site: self, new: None, cur: None }
    }

    /// The unique part of a new base name, and the moment in it. A delivery id stands in it too, so that a message
    /// whose delivery was cut short is known again.
    pub(crate) fn unique(&self, delivery_id: Option<&str>) -> String {
        static DELIVERIES: AtomicU64 = AtomicU64::new(0);
        let Stamp { seconds, nanos } = self.files.now();
        let number = DELIVERIES.fetch_add(1, Ordering::Relaxed);
        let unique = format!("{seconds}.M{}P{}Q{number}.{}", nanos / 1000, process::id(), self.host);
        match delivery_id {
            None => unique,
            Some(id) => format!("{unique},D={id}"),
        }
    }

    /// When the directories were modified last; a mailbox without directories is gone.
    pub(crate) fn stamps(&self) -> Result<Stamps, Fault> {
        let stamp = |dir| self.files.stat(&self.sub(dir)).map(|meta| meta.modified);
        let stamps = || Ok(Stamps { new: stamp(Dir::New)?, cur: stamp(Dir::Cur)? });
        stamps().map_err(missing_is_gone("look at the mailbox's directories"))
    }

    /// Looks at both directories. A message that moves meanwhile may be seen twice or not at all: who misses one looks
    /// again.
    pub(crate) fn look(&self) -> io::Result<Sight> {
        let mut sight = Sight::new();
        for dir in Dir::BOTH {
            for name in self.files.list(&self.sub(dir))? {
                let name = name.as_bytes();
                if name.first() == Some(&b'.') {
                    continue;
                }
                let (base, info) = basename::parse(name);
                match sight.get(base) {
                    None => {
                        sight.insert(base.into(), (dir, info));
                    }
                    Some((other_dir, other)) => {
                        let (seen, found) = ((*other_dir, other.clone()), (dir, info));
                        let (kept, anew) = self.keep_one(base, seen, found)?;
                        sight.insert(base.into(), kept);
                        sight.extend(anew);
                    }
                }
            }
        }
        Ok(sight)
    }

    /// Looks at both directories and changes nothing; a message may be there twice, or be missing.
    pub(crate) fn look_only(&self) -> io::Result<Vec<(Dir, Base, Info)>> {
        let mut all = Vec::new();
        for dir in Dir::BOTH {
            for name in self.files.list(&self.sub(dir))? {
                let (base, info) = basename::parse(name.as_bytes());
                all.push((dir, base.into(), info));
            }
        }
        Ok(all)
    }

    /// Decides between two files of one base name. Mostly one of them is only the other before it was renamed. Where
    /// both are there, and are one file, one name is enough; a second file (somebody restored a backup) gets another
    /// base name and will be seen as a new message.
    fn keep_one(&self, base: &[u8], a: (Dir, Info), b: (Dir, Info)) -> io::Result<Kept> {
        let path = |(dir, info): &(Dir, Info)| self.message(*dir, base, info);
        let stat = |path: &Path| match self.files.stat(path) {
            Ok(meta) => Ok(Some(meta)),
            Err(error) if whole::is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        };
        let (path_a, path_b) = (path(&a), path(&b));
        match (stat(&path_a)?, stat(&path_b)?) {
            (_, None) => Ok((a, None)),
            (None, Some(_)) => Ok((b, None)),
            (Some(of_a), Some(of_b)) if of_a.id == of_b.id => {
                self.files.remove(&path_a)?;
                Ok((b, None))
            }
            (Some(_), Some(_)) => {
                let anew = self.rename_anew(b.0, base, &b.1)?;
                Ok((a, Some((anew, b))))
            }
        }
    }

    /// Gives a message file a base name of its own.
    pub(crate) fn rename_anew(&self, dir: Dir, base: &[u8], info: &Info) -> io::Result<Base> {
        let fresh = self.fresh_base(base);
        self.files.rename(&self.message(dir, base, info), &self.message(dir, &fresh, info))?;
        Ok(fresh)
    }

    /// A new base name for a file with the content of another: it keeps the sizes and forgets the delivery id.
    pub(crate) fn fresh_base(&self, base: &[u8]) -> Base {
        let sizes = [b'S', b'W'].map(|key| basename::number(base, key).map(|n| format!(",{}={n}", char::from(key))));
        let sizes = sizes.into_iter().flatten().collect::<String>();
        Base::from(format!("{}{sizes}", self.unique(None)).into_bytes())
    }

    /// Removes what was left in `tmp` by deliveries that never ended. The age is the Maildir specification's, and counts
    /// from the last change: a message that is being copied has the date of the old one.
    pub(crate) fn sweep_tmp(&self) -> io::Result<()> {
        const OLD: i64 = 36 * 3600 * 1000;
        let (tmp, now) = (self.tmp(), self.files.now());
        for name in self.files.list(&tmp)? {
            let path = tmp.join(name);
            let old = self.files.stat(&path).is_ok_and(|m| m.kind == Kind::File && now.millis_after(m.changed) > OLD);
            if old {
                // Somebody else may have been faster.
                let _ = self.files.remove(&path);
            }
        }
        Ok(())
    }
}

/// The files of many messages, in directories that are opened once, when they are needed first.
pub(crate) struct Messages<'s> {
    site: &'s Site,
    new: Option<Box<dyn Directory>>,
    cur: Option<Box<dyn Directory>>,
}

impl Messages<'_> {
    /// What is known about a message's file.
    pub(crate) fn stat(&mut self, dir: Dir, base: &[u8], info: &Info) -> io::Result<Meta> {
        self.dir(dir)?.stat(&file_name(base, info))
    }

    /// Opens a message's file for reading.
    pub(crate) fn open(&mut self, dir: Dir, base: &[u8], info: &Info) -> io::Result<Box<dyn File>> {
        self.dir(dir)?.open(&file_name(base, info))
    }

    fn dir(&mut self, dir: Dir) -> io::Result<&dyn Directory> {
        let directory = match dir {
            Dir::New => &mut self.new,
            Dir::Cur => &mut self.cur,
        };
        Ok(&**match directory {
            Some(open) => open,
            None => directory.insert(self.site.files.open_dir(&self.site.sub(dir))?),
        })
    }
}

fn file_name(base: &[u8], info: &Info) -> OsString {
    OsString::from_vec(basename::file_name(base, info))
}

/// A base name as a text.
pub(crate) fn text(base: &[u8]) -> Arc<str> {
    String::from_utf8_lossy(base).into()
}

/// Says what was being done when the system refused.
pub(crate) trait Doing<T> {
    fn doing(self, doing: &'static str) -> Result<T, Trouble>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, doing: &'static str) -> Result<T, Trouble> {
        self.map_err(|source| trouble(doing, source))
    }
}

pub(crate) fn trouble(doing: &'static str, source: io::Error) -> Trouble {
    if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        return Trouble::Full;
    }
    Trouble::Io { doing, source }
}

/// Where a missing name means that the mailbox is gone.
pub(crate) fn missing_is_gone(doing: &'static str) -> impl Fn(io::Error) -> Fault {
    move |source| match whole::is_missing(&source) {
        true => Fault::Gone,
        false => Fault::Trouble(trouble(doing, source)),
    }
}
