//! Sizes and dates of a mailbox's messages: what never changes, and what the store tells only of all messages at once.

use mailstore::error::MailboxError;
use mailstore::{Mailbox, Message, Recent};

/// New messages of which an idle session keeps the facts: enough for the client that comes back to fetch them.
const NEW_MAX: usize = 64;

/// What never changes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fact {
    pub(super) uid: u32,
    pub(super) size: u64,
    pub(super) internal_date: i64,
}

impl From<&Message> for Fact {
    fn from(message: &Message) -> Self {
        Self { uid: message.uid, size: message.size, internal_date: message.internal_date }
    }
}

/// The facts that a session has at hand, by ascending UID. It holds all of them only while it works with them.
#[derive(Debug)]
pub(super) enum Facts {
    /// Those of all messages.
    All(Vec<Fact>),
    /// Those of some that came lately.
    Some(Vec<Fact>),
}

impl Facts {
    pub(super) fn of(messages: &[Message]) -> Self {
        Self::All(messages.iter().map(Fact::from).collect())
    }

    /// Takes in messages that are new. A snapshot may have had some of them before the session heard of them.
    pub(super) fn add(&mut self, messages: &[Message]) {
        let (Self::All(facts) | Self::Some(facts)) = self;
        let last = facts.last().map_or(0, |fact| fact.uid);
        facts.extend(messages.iter().map(Fact::from).filter(|fact| fact.uid > last));
        if let Self::Some(facts) = self {
            facts.drain(..facts.len().saturating_sub(NEW_MAX));
        }
    }

    /// Gives back what memory it can.
    pub(super) fn shrink(&mut self) {
        if let Self::All(_) = self {
            *self = Self::Some(Vec::new());
        }
    }

    pub(super) const fn is_large(&self) -> bool {
        matches!(self, Self::All(_))
    }

    /// Sees to it that the facts of these messages are at hand, if they exist.
    pub(super) async fn load<M: Mailbox>(&mut self, mailbox: &M, uids: &[u32]) -> Result<(), MailboxError> {
        let known = uids.iter().all(|uid| self.get(*uid).is_some());
        if !known && let Self::Some(_) = self {
            *self = Self::of(&mailbox.snapshot(Recent::Peek).await?.messages);
        }
        Ok(())
    }

    pub(super) fn get(&self, uid: u32) -> Option<Fact> {
        let (Self::All(facts) | Self::Some(facts)) = self;
        let at = facts.binary_search_by_key(&uid, |fact| fact.uid).ok()?;
        facts.get(at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(uids: std::ops::RangeInclusive<u32>) -> Vec<Message> {
        let message = |uid| Message {
            uid,
            flags: mailstore::Flags::NONE,
            size: u64::from(uid) * 10,
            internal_date: 0,
            modseq: 1,
            guid: "g".into(),
            inherited_uidl: None,
        };
        uids.map(message).collect()
    }

    #[test]
    fn what_a_snapshot_had_before_is_not_taken_in_twice() {
        let mut facts = Facts::of(&messages(1..=5));
        facts.add(&messages(4..=7));
        let Facts::All(held) = facts else { panic!("some of them") };
        assert_eq!(held.iter().map(|fact| fact.uid).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn an_idle_session_keeps_a_few_that_came_lately() {
        let mut facts = Facts::of(&messages(1..=1000));
        assert_eq!(facts.get(500).unwrap().size, 5000);
        facts.shrink();
        assert_eq!(facts.get(500), None);
        facts.add(&messages(1001..=1200));
        assert_eq!((facts.get(1100), facts.get(1200).map(|fact| fact.size)), (None, Some(12_000)));
        let Facts::Some(held) = facts else { panic!("all of them") };
        assert_eq!(held.len(), NEW_MAX);
    }
}
