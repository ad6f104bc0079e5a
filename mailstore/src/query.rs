//! Search: what a store can decide of itself, and what it leaves to who reads the messages.

use std::{
    borrow::Borrow,
    ops::{Range, RangeInclusive},
};

use crate::{Message, SystemFlag};

/// A condition on messages (RFC 3501 §6.4.4), in terms that a store may know something about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// All messages.
    All,
    /// Those of these UIDs.
    Uids(Vec<RangeInclusive<u32>>),
    /// Those with a system flag.
    Flag(SystemFlag),
    /// Those with a keyword.
    Keyword(String),
    /// Those with more octets than this.
    Larger(u64),
    /// Those with fewer octets than this.
    Smaller(u64),
    /// Those that arrived within these seconds since 1970.
    Arrived(Range<i64>),
    /// Those whose MODSEQ is this or greater (RFC 7162 §3.1.5).
    ModSeq(u64),
    /// Those whose header of this name contains this text; an empty text asks only whether there is one.
    Header {
        /// The field's name.
        name: String,
        /// What it contains.
        text: String,
    },
    /// Those whose body contains this text.
    Body(String),
    /// Those whose header or body contains this text.
    Text(String),
    /// Those whose Date header lies within these seconds since 1970.
    Sent(Range<i64>),
    /// A condition that only the caller understands: no message is sure to meet it, none is sure not to.
    Other,
    /// Those that do not meet the condition.
    Not(Box<Self>),
    /// Those that meet all of the conditions.
    And(Vec<Self>),
    /// Those that meet at least one of the conditions.
    Or(Vec<Self>),
}

/// What a search came to. UIDs in neither list do not match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// UIDs of the messages that match, ascending.
    pub sure: Vec<u32>,
    /// UIDs of those of which the store cannot tell, ascending: read them.
    pub maybe: Vec<u32>,
}

/// Whether a message meets a condition, as far as known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    No,
    Maybe,
    Yes,
}

impl From<bool> for Verdict {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

impl Query {
    /// Decides by what a [`Message`] says: flags, dates, sizes, UIDs. What needs the content stays open. A store that
    /// knows no better answers a search with this.
    pub fn narrow(&self, messages: &[Message]) -> Found {
        self.narrow_each(messages.iter())
    }

    pub(crate) fn narrow_each<M: Borrow<Message>>(&self, messages: impl Iterator<Item = M>) -> Found {
        let mut found = Found::default();
        for message in messages {
            let message = message.borrow();
            match self.verdict(message) {
                Verdict::Yes => found.sure.push(message.uid),
                Verdict::Maybe => found.maybe.push(message.uid),
                Verdict::No => {}
            }
        }
        found
    }

    /// Kleene's three-valued logic: with No < Maybe < Yes, "and" is the least and "or" the greatest.
    fn verdict(&self, message: &Message) -> Verdict {
        match self {
            Self::All => Verdict::Yes,
            Self::Uids(ranges) => contains(ranges, message.uid).into(),
            Self::Flag(flag) => message.flags.has(*flag).into(),
            Self::Keyword(keyword) => message.flags.has_keyword(keyword).into(),
            Self::Larger(octets) => (message.size > *octets).into(),
            Self::Smaller(octets) => (message.size < *octets).into(),
            Self::Arrived(seconds) => seconds.contains(&message.internal_date).into(),
            Self::ModSeq(modseq) => (message.modseq >= *modseq).into(),
            Self::Header { .. } | Self::Body(_) | Self::Text(_) | Self::Sent(_) | Self::Other => Verdict::Maybe,
            Self::Not(inner) => match inner.verdict(message) {
                Verdict::No => Verdict::Yes,
                Verdict::Maybe => Verdict::Maybe,
                Verdict::Yes => Verdict::No,
            },
            Self::And(all) => all.iter().map(|query| query.verdict(message)).min().unwrap_or(Verdict::Yes),
            Self::Or(any) => any.iter().map(|query| query.verdict(message)).max().unwrap_or(Verdict::No),
        }
    }
}

/// Whether a UID lies in one of the ranges.
pub(crate) fn contains(ranges: &[RangeInclusive<u32>], uid: u32) -> bool {
    ranges.iter().any(|range| range.contains(&uid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Flags;

    fn message(uid: u32, size: u64, flags: Flags) -> Message {
        Message { uid, flags, size, internal_date: 1000, modseq: 7, guid: "g".into(), inherited_uidl: None }
    }

    #[test]
    fn what_the_store_knows_is_sure_and_the_rest_maybe() {
        let all = [message(1, 10, Flags::NONE), message(2, 20, SystemFlag::Seen.into()), message(9, 30, Flags::NONE)];
        let found = |query: Query| {
            let found = query.narrow(&all);
            (found.sure, found.maybe)
        };
        let seen = || Query::Flag(SystemFlag::Seen);
        let text = || Query::Text("x".into());
        assert_eq!(found(Query::All), (vec![1, 2, 9], vec![]));
        assert_eq!(found(Query::Not(seen().into())), (vec![1, 9], vec![]));
        assert_eq!(found(Query::And(vec![seen(), text()])), (vec![], vec![2]));
        assert_eq!(found(Query::Or(vec![seen(), text()])), (vec![2], vec![1, 9]));
        assert_eq!(found(Query::Not(text().into())), (vec![], vec![1, 2, 9]));
        assert_eq!(found(Query::And(vec![])), (vec![1, 2, 9], vec![]));
        assert_eq!(found(Query::Or(vec![])), (vec![], vec![]));
        assert_eq!(found(Query::Uids(vec![2..=3, 9..=u32::MAX])), (vec![2, 9], vec![]));
        assert_eq!(found(Query::And(vec![Query::Larger(10), Query::Smaller(30)])), (vec![2], vec![]));
        assert_eq!(found(Query::Arrived(0..1000)), (vec![], vec![]));
        assert_eq!(found(Query::Arrived(1000..1001)), (vec![1, 2, 9], vec![]));
        assert_eq!(found(Query::ModSeq(8)), (vec![], vec![]));
    }
}
