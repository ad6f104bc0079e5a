//! Messages that lie in the spool because their site cannot take them now: names alone, the oldest first.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::MessageId;

use super::rope::Rope;

/// Names, apart by source, so that one source's many do not stand before another's few.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// By a number made of the source: more would cost memory for each.
    shares: BTreeMap<u8, Rope<MessageId>>,
    /// The share that was drawn from last.
    last: u8,
    len: usize,
}

/// How many shares there are. Two sources have the same one now and then, and take no turns then.
const SHARES: u64 = 64;

impl Backlog {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn insert(&mut self, source: &str, id: MessageId) {
        let share = self.shares.entry(share(source)).or_default();
        let before = share.len();
        share.insert(id);
        self.len += share.len() - before;
    }

    pub(super) fn remove(&mut self, source: &str, id: MessageId) {
        let number = share(source);
        let Some(share) = self.shares.get_mut(&number) else { return };
        if share.remove(id).is_some() {
            self.len -= 1;
        }
        if share.is_empty() {
            self.shares.remove(&number);
        }
    }

    /// Takes out the oldest of the source whose turn it is.
    pub(super) fn draw(&mut self) -> Option<MessageId> {
        let next = self.shares.range(self.last.saturating_add(1)..).next().or_else(|| self.shares.iter().next());
        let number = *next?.0;
        self.last = number;
        let share = self.shares.get_mut(&number)?;
        let id = share.first()?;
        share.remove(id);
        self.len -= 1;
        if share.is_empty() {
            self.shares.remove(&number);
        }
        Some(id)
    }

    /// Takes out the oldest of all: to look with for a site that is gone.
    pub(super) fn draw_oldest(&mut self) -> Option<MessageId> {
        let (number, id) = self
            .shares
            .iter()
            .filter_map(|(number, share)| Some((*number, share.first()?)))
            .min_by_key(|(_, id)| *id)?;
        let share = self.shares.get_mut(&number)?;
        share.remove(id);
        self.len -= 1;
        if share.is_empty() {
            self.shares.remove(&number);
        }
        Some(id)
    }
}

fn share(source: &str) -> u8 {
    let mut hasher = DefaultHasher::new();
    source.hash(&mut hasher);
    u8::try_from(hasher.finish() % SHARES).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::UnixMicros;

    use super::*;

    fn id(number: u64) -> MessageId {
        MessageId::new(UnixMicros(number), 0)
    }

    #[test]
    fn sources_take_turns_and_each_goes_by_age() {
        let mut backlog = Backlog::default();
        (0..1000).rev().for_each(|number| backlog.insert("flood", id(number)));
        backlog.insert("alice", id(5000));
        backlog.insert("alice", id(5000));
        assert_eq!(backlog.len(), 1001);
        let first: Vec<_> = (0..3).filter_map(|_| backlog.draw()).map(|id| id.time().0).collect();
        assert!(first.contains(&5000) && first.contains(&0) && first.contains(&1), "{first:?}");
        backlog.remove("flood", id(2));
        assert_eq!((backlog.draw(), backlog.len()), (Some(id(3)), 996));
        backlog.insert("alice", id(1));
        assert_eq!(backlog.draw_oldest(), Some(id(1)));
        while backlog.draw().is_some() {}
        assert!(backlog.is_empty() && backlog.shares.is_empty());
    }
}
