//! Messages on their way in: to a file in `tmp`, with LF for CRLF as long as every line ends with that.

use std::{fmt, mem, path::PathBuf, sync::Arc};

use bytes::Bytes;

use super::{
    admit::{Draft, slip_in},
    alter::Open,
    basename::Base,
    ending::Tail,
    fault::Fault,
    files::{File, Stamp},
    folder::Folder,
    lines::{Narrow, Widen},
    shelf::{Attempt, Shelf},
    site::{Doing, missing_is_gone},
};
use crate::{
    Appended, Custody, NewMessage, Writer,
    error::{AppendError, Trouble},
};

/// How many octets are gathered before they are written.
const CHUNK: usize = 64 * 1024;

/// A message on its way into a Maildir.
pub struct MaildirWriter {
    folder: Arc<Folder>,
    new: NewMessage,
    /// Lent to the pool while it writes; gone after an error.
    stage: Option<Stage>,
}

struct Stage {
    file: Box<dyn File>,
    tmp: Tmp,
    unique: String,
    form: Form,
    /// Octets in the form of the file, not written yet.
    gathered: Vec<u8>,
    physical: u64,
    size: u64,
    tail: Tail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// With LF for CRLF, as far as the message has come.
    Lf(Narrow),
    Raw,
}

/// A file in `tmp` that is removed with this, unless it was handed over.
#[derive(Debug)]
struct Tmp {
    shelf: Arc<Shelf>,
    path: PathBuf,
}

/// Begins a message.
pub(crate) async fn begin(folder: &Arc<Folder>, new: NewMessage) -> Result<MaildirWriter, AppendError> {
    let created = Arc::clone(folder);
    let id = new.delivery_id.clone();
    let stage = folder.shelf.pool.run(move || Stage::create(&created, id.as_deref())).await??;
    Ok(MaildirWriter { folder: Arc::clone(folder), new, stage: Some(stage) })
}

impl Stage {
    fn create(folder: &Folder, delivery_id: Option<&str>) -> Result<Self, Fault> {
        if folder.is_gone() {
            return Err(Fault::Gone);
        }
        let unique = folder.site.unique(delivery_id);
        let path = folder.site.tmp().join(&unique);
        let file = folder.site.files.create(&path).map_err(missing_is_gone("create a message"))?;
        Ok(Self {
            file,
            tmp: Tmp { shelf: Arc::clone(&folder.shelf), path },
            unique,
            form: Form::Lf(Narrow::default()),
            gathered: Vec::new(),
            physical: 0,
            size: 0,
            tail: Tail::default(),
        })
    }

    /// Takes octets as far as memory suffices, and says whether the disk is needed now.
    fn gather(&mut self, chunk: &[u8]) -> Needs {
        match &mut self.form {
            Form::Lf(narrow) => {
                if narrow.push(chunk, &mut self.gathered).is_err() {
                    return Needs::Restoring;
                }
            }
            Form::Raw => self.gathered.extend_from_slice(chunk),
        }
        self.size += chunk.len() as u64;
        self.tail.push(chunk);
        if self.gathered.len() >= CHUNK { Needs::Writing } else { Needs::Nothing }
    }

    fn write(&mut self) -> Result<(), Trouble> {
        let octets = mem::take(&mut self.gathered);
        self.file.write(&octets).doing("write a message")?;
        self.physical += octets.len() as u64;
        Ok(())
    }

    /// Gives every line its CRLF back: the message has turned out to have other line ends too.
    fn restore(&mut self) -> Result<(), Trouble> {
        const DOING: &str = "write a message";
        let Form::Lf(narrow) = mem::replace(&mut self.form, Form::Raw) else { return Ok(()) };
        self.write()?;
        let files = Arc::clone(&self.tmp.shelf.files);
        let path = self.tmp.path.with_file_name(format!("{}R", self.unique));
        let mut raw = files.create(&path).doing(DOING)?;
        let tmp = Tmp { shelf: Arc::clone(&self.tmp.shelf), path };
        let narrowed = mem::replace(&mut self.tmp, tmp);
        let (old, mut widen, mut at) = (files.open(&narrowed.path).doing(DOING)?, Widen::default(), 0);
        let (mut buffer, mut wide) = (vec![0; CHUNK], Vec::new());
        loop {
            let read = old.read_at(&mut buffer, at).doing(DOING)?;
            if read == 0 {
                break;
            }
            wide.clear();
            widen.push(buffer.get(..read).unwrap_or_default(), &mut wide);
            raw.write(&wide).doing(DOING)?;
            at += read as u64;
        }
        if narrow == Narrow::AfterCr {
            raw.write(b"\r").doing(DOING)?;
        }
        self.physical = self.size;
        self.file = raw;
        Ok(())
    }

    /// Writes what is left and makes the file durable.
    fn finish(mut self, new: &NewMessage) -> Result<(Draft, Tmp), Trouble> {
        const DOING: &str = "sync a message";
        if let Form::Lf(narrow) = self.form
            && narrow.finish().is_err()
        {
            self.restore()?;
        }
        self.write()?;
        if let Some(seconds) = new.internal_date {
            self.file.set_modified(Stamp { seconds, nanos: 0 }).doing(DOING)?;
        }
        self.file.sync().doing(DOING)?;
        let internal_date = match new.internal_date {
            Some(seconds) => seconds,
            None => self.file.stat().doing(DOING)?.modified.seconds,
        };
        let Self { physical, size, unique, tail, .. } = self;
        let draft = Draft {
            tmp: self.tmp.path.clone(),
            base: Base::from(format!("{unique},S={physical},W={size}").into_bytes()),
            physical,
            size,
            ending: tail.ending(),
            flags: new.flags.clone(),
            internal_date,
            delivery_id: new.delivery_id.clone(),
        };
        Ok((draft, self.tmp))
    }
}

/// What must happen before more can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needs {
    Nothing,
    Writing,
    /// The octets were not taken, and will be once this is done.
    Restoring,
}

impl MaildirWriter {
    async fn staged(
        &mut self,
        mut stage: Stage,
        job: impl FnOnce(&mut Stage) -> Result<(), Trouble> + Send + 'static,
    ) -> Result<(), AppendError> {
        let job = move || job(&mut stage).map(|()| stage);
        self.stage = Some(self.folder.shelf.pool.run(job).await??);
        Ok(())
    }

    async fn finish(&mut self) -> Result<(Draft, Tmp), AppendError> {
        let stage = self.stage.take().ok_or(Trouble::Unavailable)?;
        let new = self.new.clone();
        Ok(self.folder.shelf.pool.run(move || stage.finish(&new)).await??)
    }
}

impl Writer for MaildirWriter {
    async fn write(&mut self, chunk: Bytes) -> Result<(), AppendError> {
        let mut stage = self.stage.take().ok_or(Trouble::Unavailable)?;
        match stage.gather(&chunk) {
            Needs::Nothing => {
                self.stage = Some(stage);
                Ok(())
            }
            Needs::Writing => self.staged(stage, Stage::write).await,
            Needs::Restoring => {
                let restore = move |stage: &mut Stage| {
                    stage.restore()?;
                    match stage.gather(&chunk) {
                        Needs::Nothing => Ok(()),
                        Needs::Writing | Needs::Restoring => stage.write(),
                    }
                };
                self.staged(stage, restore).await
            }
        }
    }

    async fn commit(mut self) -> Result<Appended, AppendError> {
        let (draft, tmp) = self.finish().await?;
        self.folder.alter(move |mailbox| admit(mailbox, &draft, tmp)).await
    }

    async fn deliver(mut self) -> Result<Custody, AppendError> {
        if !self.new.flags.is_empty() {
            // Letters for keywords are only given under the lock.
            return Ok(self.commit().await?.custody);
        }
        let (draft, tmp) = self.finish().await?;
        let turn = self.folder.turns.take().await;
        let folder = Arc::clone(&self.folder);
        let job = move || {
            let draft = Arc::new(draft);
            let admitted = Arc::clone(&draft);
            let outcome = match folder.try_alter(move |mailbox| admit(mailbox, &admitted, tmp)) {
                Ok(Attempt::Done(appended)) => Ok(appended.custody),
                Ok(Attempt::Held(_)) => folder.slip_in(&draft),
                Err(error) => Err(error),
            };
            drop(turn);
            outcome
        };
        self.folder.shelf.pool.run(job).await?
    }
}

fn admit(mailbox: &mut Open<'_>, draft: &Draft, tmp: Tmp) -> Result<Appended, AppendError> {
    tmp.hand_over();
    mailbox.admit(draft)
}

impl Folder {
    /// See [`slip_in`]; in a turn, on the pool.
    fn slip_in(&self, draft: &Draft) -> Result<Custody, AppendError> {
        let with_mirror = self.remember(|mirror| slip_in(&self.site, Some(mirror), draft))?;
        let custody = match with_mirror {
            Some(custody) => custody?,
            None => slip_in(&self.site, None, draft)?,
        };
        self.note_slipped();
        Ok(custody)
    }
}

impl Tmp {
    /// Somebody else sees to the file from now on.
    fn hand_over(mut self) {
        self.path.clear();
    }
}

impl Drop for Tmp {
    fn drop(&mut self) {
        let (files, path) = (Arc::clone(&self.shelf.files), mem::take(&mut self.path));
        if !path.as_os_str().is_empty() {
            // What cannot be removed now is swept away when it is old.
            self.shelf.pool.start(move || drop(files.remove(&path)));
        }
    }
}

impl fmt::Debug for MaildirWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaildirWriter").field("folder", &self.folder.number).finish_non_exhaustive()
    }
}
