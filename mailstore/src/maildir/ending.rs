//! Whether a message's last line ends.
//!
//! POP3 sends a CRLF more where it does not, and must count it beforehand. No name and no list of Dovecot's says it. What
//! we write ourselves we see the end of, and a foreign file whose size nobody knows is read whole anyway; of all others
//! the last octets are looked at when somebody asks first, so that who never asks never pays. The answer is kept in the
//! facts file: a message does not change, and so each is looked at once in its life.

use std::{io, ops::RangeInclusive};

use super::{
    alter::Open,
    fault::Fault,
    files::File,
    mirror::{Mirror, Place, fact},
    reader::Form,
    site::Doing,
    whole,
};
use crate::ledger::Entry;

/// How a message ends, as it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With CRLF, or it has no line at all.
    Crlf,
    /// Within a line.
    Open,
}

impl Ending {
    /// Finds out from the end of a message's file.
    pub(crate) fn read(file: &dyn File, physical: u64, form: Form) -> io::Result<Self> {
        let (mut last, mut filled) = ([0; 2], 0);
        let from = physical.saturating_sub(last.len() as u64);
        while let Some(rest) = last.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let read = file.read_at(rest, from + filled as u64)?;
            if read == 0 {
                break;
            }
            filled += read;
        }
        Ok(match (last.get(..filled).unwrap_or_default(), form) {
            ([] | [b'\r', b'\n'], _) | ([.., b'\n'], Form::Lf) => Self::Crlf,
            _ => Self::Open,
        })
    }
}

/// The end of a message that comes in pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Behind CRLF, or at the beginning.
    #[default]
    Line,
    Cr,
    Text,
}

impl Tail {
    pub(crate) fn push(&mut self, piece: &[u8]) {
        *self = match (piece, *self) {
            ([], before) => before,
            ([.., b'\r', b'\n'], _) | ([b'\n'], Self::Cr) => Self::Line,
            ([.., b'\r'], _) => Self::Cr,
            _ => Self::Text,
        };
    }

    pub(crate) fn ending(self) -> Ending {
        match self {
            Self::Line => Ending::Crlf,
            Self::Cr | Self::Text => Ending::Open,
        }
    }
}

impl Mirror {
    /// Which of these messages do not end with CRLF; `None` if that is not known of one of them.
    pub(crate) fn open_ended(&self, uids: &[RangeInclusive<u32>]) -> Option<Vec<u32>> {
        let ends = self.ledger.among(uids).map(|Entry { message, place }| match place.ending? {
            Ending::Crlf => Some(None),
            Ending::Open => Some(Some(message.uid)),
        });
        Some(ends.collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
    }
}

impl Open<'_> {
    /// Which of these messages do not end with CRLF, looked at where it is not known.
    pub(crate) fn learn_open_ended(&mut self, uids: &[RangeInclusive<u32>]) -> Result<Vec<u32>, Fault> {
        self.mirror.look(self.site, self.lock)?;
        if self.learn_endings(uids)? == Learnt::AllButMissing {
            // Another program has renamed files meanwhile. What is still not there then is gone.
            self.mirror.dirs = None;
            self.mirror.look(self.site, self.lock)?;
            self.learn_endings(uids)?;
        }
        let open = |entry: &&Entry<Place>| entry.place.ending == Some(Ending::Open);
        Ok(self.mirror.ledger.among(uids).filter(open).map(|entry| entry.message.uid).collect())
    }

    fn learn_endings(&mut self, uids: &[RangeInclusive<u32>]) -> Result<Learnt, Fault> {
        let mut learnt = Learnt::All;
        let mut endings = Vec::new();
        let mut messages = self.site.messages();
        for Entry { message, place } in self.mirror.ledger.among(uids).filter(|entry| entry.place.ending.is_none()) {
            self.lock.keep_fresh().doing("refresh the mailbox's lock")?;
            let form = Form::of(place.physical, message.size);
            let file = messages.open(place.dir, &place.base, &place.info);
            match file.and_then(|file| Ending::read(&*file, place.physical, form)) {
                Ok(ending) => endings.push((message.uid, ending)),
                Err(error) if whole::is_missing(&error) => learnt = Learnt::AllButMissing,
                Err(error) => return Err(error).doing("look at a message's end").map_err(Fault::from),
            }
        }
        let mut news = Vec::with_capacity(endings.len());
        for (uid, ending) in endings {
            if let Some(entry) = self.mirror.ledger.entry_mut(uid) {
                entry.place.ending = Some(ending);
                news.push(fact(entry));
            }
        }
        self.mirror.note(self.site, &news);
        Ok(learnt)
    }
}

/// What came of looking at messages' ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Learnt {
    All,
    AllButMissing,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_tail_of_pieces_is_that_of_the_whole(text in "[a\r\n]{0,8}", cut in 0..8usize) {
            let text = text.as_bytes();
            let cut = cut.min(text.len());
            let mut tail = Tail::default();
            tail.push(&text[..cut]);
            tail.push(&text[cut..]);
            let ended = text.is_empty() || text.ends_with(b"\r\n");
            prop_assert_eq!(tail.ending() == Ending::Crlf, ended);
        }
    }
}
