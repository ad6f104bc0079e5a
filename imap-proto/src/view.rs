//! A session's view of its mailbox: what the client believes, and what it must still be told (RFC 3501 §5.2, §7.4.1).

use bytes::BytesMut;

use crate::write::text;
use crate::{Access, Flags, SequenceSet, UidSet, Violation};

/// A mailbox as it is when it is selected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// The messages in it.
    pub uids: UidSet,
    /// Those that no session was told of before, so that this one shows them as `\Recent`.
    pub recent: UidSet,
    /// The first that is not `\Seen`.
    pub first_unseen: Option<u32>,
    /// Never zero, and larger when the mailbox's UIDs were given anew.
    pub uidvalidity: u32,
    /// Larger than every UID that was ever given.
    pub uidnext: u32,
    /// The flags that are used in it.
    pub flags: Flags,
    /// The flags that the client can change for good.
    pub permanent_flags: Flags,
    /// Whether a client may make up keywords.
    pub keywords: Keywords,
    /// Whether it can be changed. `ReadOnly` goes for EXAMINE too.
    pub access: Access,
}

/// Whether a client may make up keywords.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keywords {
    /// It may: `\*` is among the permanent flags.
    #[default]
    Open,
    /// It may not.
    Fixed,
}

/// What happened to a mailbox since the session was last told, in sets; the engine finds out when to say what.
///
/// A set may be reported in parts or twice. Build it with `..Changes::default()`: extensions add fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// New messages.
    pub exists: UidSet,
    /// Those of them that no session was told of before.
    pub recent: UidSet,
    /// Messages that are gone for good.
    pub gone: UidSet,
    /// Messages whose flags are not what they were.
    pub touched: UidSet,
    /// The flags that are used in the mailbox, if keywords came up.
    pub flags: Option<Flags>,
}

/// Whether messages may be told to be gone. RFC 3501 §7.4.1: numbers must not move under a FETCH, STORE or SEARCH that
/// names or gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expunges {
    Told,
    Held,
}

/// What the client believes, and what it has not heard.
#[derive(Debug)]
pub(crate) struct View {
    /// The messages that have a number, in its order. Those that are gone stay until that was told.
    uids: UidSet,
    /// Not told: UIDs beyond the last of `uids`.
    arrived: UidSet,
    /// Not told: some of `uids`.
    gone: UidSet,
    /// Not told: some of `uids` without `gone`.
    touched: UidSet,
    recent: UidSet,
    told_recent: u32,
    flags: Option<Flags>,
    access: Access,
}

impl View {
    pub(crate) fn new(selected: Selected) -> Self {
        let Selected { uids, recent, access, .. } = selected;
        let told_recent = recent.len();
        let none = UidSet::new();
        Self {
            uids,
            arrived: none.clone(),
            gone: none.clone(),
            touched: none,
            recent,
            told_recent,
            flags: None,
            access,
        }
    }

    pub(crate) const fn access(&self) -> Access {
        self.access
    }

    pub(crate) const fn recent(&self) -> &UidSet {
        &self.recent
    }

    /// Takes a report. UIDs ascend (RFC 3501 §2.3.1.1): a new one below the last would move the numbers of others, so it
    /// is not shown before the mailbox is selected again.
    pub(crate) fn change(&mut self, changes: &Changes) {
        let last = self.uids.last().max(self.arrived.last()).unwrap_or(0);
        self.arrived.add(&changes.exists.within(last..=u32::MAX).filter(|uid| *uid > last).collect());
        self.arrived.subtract(&changes.gone);

        let mut gone = changes.gone.clone();
        gone.intersect(&self.uids);
        self.gone.add(&gone);

        let mut touched = changes.touched.clone();
        touched.intersect(&self.uids);
        self.touched.add(&touched);
        self.touched.subtract(&self.gone);

        let mut recent = changes.recent.clone();
        let mut known = self.uids.clone();
        known.add(&self.arrived);
        recent.intersect(&known);
        self.recent.add(&recent);
        self.recent.subtract(&changes.gone);

        if changes.flags.is_some() {
            self.flags.clone_from(&changes.flags);
        }
    }

    /// Tells all that is told without asking: flags in use, EXPUNGEs where they are allowed, then EXISTS and RECENT.
    /// EXPUNGE comes first, so that EXISTS never goes down.
    pub(crate) fn tell(&mut self, expunges: Expunges, out: &mut BytesMut) {
        self.tell_flags(out);
        if expunges == Expunges::Told && !self.gone.is_empty() {
            // Each EXPUNGE moves those behind it up by one.
            for (before, uid) in (0..).zip(self.gone.iter()) {
                text(out, format_args!("* {} EXPUNGE\r\n", self.uids.rank(uid).saturating_sub(before)));
            }
            self.uids.subtract(&core::mem::take(&mut self.gone));
        }
        let arrived = core::mem::take(&mut self.arrived);
        if !arrived.is_empty() {
            self.uids.add(&arrived);
            text(out, format_args!("* {} EXISTS\r\n", self.uids.len()));
        }
        if !arrived.is_empty() || self.recent.len() != self.told_recent {
            self.told_recent = self.recent.len();
            text(out, format_args!("* {} RECENT\r\n", self.told_recent));
        }
    }

    /// Tells the flags in use, if keywords came up. Due before a message is shown with them.
    pub(crate) fn tell_flags(&mut self, out: &mut BytesMut) {
        if let Some(flags) = self.flags.take() {
            text(out, format_args!("* FLAGS ({flags})\r\n"));
        }
    }

    /// The messages whose flags are to be told now.
    pub(crate) fn take_touched(&mut self) -> UidSet {
        core::mem::take(&mut self.touched)
    }

    pub(crate) fn has_touched(&self) -> bool {
        !self.touched.is_empty()
    }

    /// Flags of `uid` are being told as they are.
    pub(crate) fn told_flags_of(&mut self, uid: u32) {
        self.touched.remove(uid);
    }

    /// The number of a message, if the client knows of it.
    pub(crate) fn number_of(&self, uid: u32) -> Option<u32> {
        self.uids.contains(uid).then(|| self.uids.rank(uid))
    }

    /// The numbers of all of `uids` that the client knows of, ascending.
    pub(crate) fn numbers_of<'v>(&'v self, uids: &'v UidSet) -> impl Iterator<Item = u32> + 'v {
        let mut wanted = uids.iter().peekable();
        (1..).zip(self.uids.iter()).filter_map(move |(number, uid)| {
            while wanted.next_if(|wanted| *wanted < uid).is_some() {}
            wanted.next_if_eq(&uid).map(|_| number)
        })
    }

    /// The messages with these numbers.
    ///
    /// # Errors
    /// If there is no message with one of them.
    pub(crate) fn by_number(&self, set: &SequenceSet) -> Result<UidSet, Violation> {
        let exists = self.uids.len();
        if exists == 0 || set.largest_number() > exists {
            return Err(Violation::SequenceNumber);
        }
        let uid = |number: u32| self.uids.nth(number.saturating_sub(1)).unwrap_or(u32::MAX);
        Ok(self.of_ranges(set.resolve(exists).into_iter().map(|range| uid(*range.start())..=uid(*range.end()))))
    }

    /// The messages with these UIDs. There may be none; that is no error (RFC 3501 §6.4.8).
    pub(crate) fn by_uid(&self, set: &SequenceSet) -> UidSet {
        let Some(last) = self.uids.last() else { return UidSet::new() };
        self.of_ranges(set.resolve(last).into_iter())
    }

    fn of_ranges(&self, ranges: impl ExactSizeIterator<Item = core::ops::RangeInclusive<u32>>) -> UidSet {
        let (first, last) = (self.uids.first().unwrap_or(0), self.uids.last().unwrap_or(0));
        let mut ranges = ranges.peekable();
        if ranges.peek().is_some_and(|range| range.contains(&first) && range.contains(&last)) {
            return self.uids.clone();
        }
        ranges.flat_map(|range| self.uids.within(range)).collect()
    }

    /// Splits off those of `uids` that are known to be gone. Says whether there were any.
    pub(crate) fn without_gone(&self, uids: &mut UidSet) -> bool {
        let before = uids.len();
        uids.subtract(&self.gone);
        uids.len() < before
    }

    /// Octets of heap.
    pub(crate) fn memory(&self) -> usize {
        let sets = [&self.uids, &self.arrived, &self.gone, &self.touched, &self.recent];
        sets.into_iter().map(UidSet::memory).sum::<usize>().saturating_add(size_of::<Self>())
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use super::*;
    use crate::grammar::{sequence_set, whole};

    fn uids(uids: &[u32]) -> UidSet {
        uids.iter().copied().collect()
    }

    fn view(messages: &[u32]) -> View {
        View::new(Selected { uids: uids(messages), ..Selected::default() })
    }

    fn set(text: &str) -> SequenceSet {
        whole(text.as_bytes(), sequence_set).unwrap()
    }

    fn told(view: &mut View, expunges: Expunges) -> String {
        let mut out = BytesMut::new();
        view.tell(expunges, &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn expunges_are_held_and_exists_does_not_go_down() {
        let mut view = view(&[1, 2, 3, 5]);
        view.change(&Changes { gone: uids(&[2, 5]), exists: uids(&[7]), recent: uids(&[7]), ..Changes::default() });
        assert_eq!(told(&mut view, Expunges::Held), "* 5 EXISTS\r\n* 1 RECENT\r\n");
        assert_eq!(view.number_of(5), Some(4));
        assert_eq!(told(&mut view, Expunges::Told), "* 2 EXPUNGE\r\n* 3 EXPUNGE\r\n");
        assert_eq!((view.number_of(5), view.number_of(7)), (None, Some(3)));
        assert_eq!(told(&mut view, Expunges::Told), "");
    }

    #[test]
    fn what_came_and_went_untold_is_not_told() {
        let mut view = view(&[1]);
        view.change(&Changes { exists: uids(&[2, 3]), recent: uids(&[2, 3]), ..Changes::default() });
        view.change(&Changes { gone: uids(&[2]), ..Changes::default() });
        assert_eq!(told(&mut view, Expunges::Told), "* 2 EXISTS\r\n* 1 RECENT\r\n");
    }

    #[test]
    fn a_late_uid_waits_for_the_next_select() {
        let mut view = view(&[1, 9]);
        view.change(&Changes {
            exists: uids(&[1, 4, 9]),
            touched: uids(&[4]),
            recent: uids(&[4]),
            ..Changes::default()
        });
        assert_eq!((told(&mut view, Expunges::Told).as_str(), view.has_touched()), ("", false));
    }

    #[test]
    fn numbers_and_uids_are_resolved() {
        let view = view(&[10, 20, 30, 40]);
        assert_eq!(view.by_number(&set("2:3,*")), Ok(uids(&[20, 30, 40])));
        assert_eq!(view.by_number(&set("4:1")), Ok(uids(&[10, 20, 30, 40])));
        assert_eq!(view.by_number(&set("5")), Err(Violation::SequenceNumber));
        assert_eq!(view.by_uid(&set("1:15,25:29,999:*")), uids(&[10, 40]));
        assert_eq!(view.by_uid(&set("1:4294967295")), uids(&[10, 20, 30, 40]));
        assert_eq!(view.by_uid(&set("41:50")), uids(&[]));
        assert_eq!(view.numbers_of(&uids(&[5, 20, 25, 40, 99])).collect::<alloc::vec::Vec<_>>(), [2, 4]);
        let empty = View::new(Selected::default());
        assert_eq!(empty.by_number(&set("1:*")), Err(Violation::SequenceNumber));
        assert_eq!(empty.by_uid(&set("1:*")), uids(&[]));
    }

    #[test]
    fn a_message_that_is_gone_is_not_touched() {
        let mut view = view(&[1, 2]);
        view.change(&Changes { touched: uids(&[1, 2]), ..Changes::default() });
        view.change(&Changes { gone: uids(&[1]), touched: uids(&[1]), ..Changes::default() });
        assert_eq!(view.take_touched(), uids(&[2]));
        assert!(!view.has_touched());
    }
}
