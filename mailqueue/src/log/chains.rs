//! Where a message has more than its own segment: facts about it and chunks, in as little memory as they need.

/// No link.
pub(super) const END: u32 = u32::MAX;

/// What a message has in one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// The segment, counted from the index's origin.
    pub(super) segment: u32,
    /// The last facts there; 0 where there are chunks alone.
    pub(super) offset: u32,
    pub(super) octets: u32,
    /// How many facts are before the last.
    pub(super) depth: u32,
    next: u32,
}

/// All links of all messages. Those of one message are a list, with its latest facts in front.
#[derive(Debug)]
pub(super) struct Chains {
    links: Vec<Link>,
    free: u32,
}

impl Default for Chains {
    fn default() -> Self {
        Self { links: Vec::new(), free: END }
    }
}

impl Chains {
    /// Puts a link before `first`. What it returns is the first one now.
    pub(super) fn push(&mut self, first: u32, segment: u32, offset: u32, octets: u32, depth: u32) -> u32 {
        let link = Link { segment, offset, octets, depth, next: first };
        if let Some(slot) = self.links.get_mut(self.free as usize) {
            let number = self.free;
            self.free = slot.next;
            *slot = link;
            return number;
        }
        let number = self.links.len() as u32;
        self.links.push(link);
        number
    }

    pub(super) fn first(&self, first: u32) -> Option<&Link> {
        self.links.get(first as usize)
    }

    pub(super) fn first_mut(&mut self, first: u32) -> Option<&mut Link> {
        self.links.get_mut(first as usize)
    }

    pub(super) fn all(&self, first: u32) -> impl Iterator<Item = &Link> {
        std::iter::successors(self.first(first), |link| self.first(link.next))
    }

    /// Takes the first link of a list away, and says what follows it.
    pub(super) fn pop(&mut self, first: u32) -> Option<(Link, u32)> {
        let slot = self.links.get_mut(first as usize)?;
        let link = *slot;
        slot.next = self.free;
        self.free = first;
        Some((link, link.next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_were_taken_away_are_used_again() {
        let mut chains = Chains::default();
        for _ in 0..3 {
            let older = chains.push(END, 1, 64, 10, 0);
            let newer = chains.push(older, 2, 72, 20, 1);
            let other = chains.push(END, 3, 80, 30, 0);
            let segments: Vec<_> = chains.all(newer).map(|link| link.segment).collect();
            assert_eq!(segments, [2, 1]);
            let (link, rest) = chains.pop(newer).unwrap();
            assert_eq!((link.octets, rest), (20, older));
            assert_eq!(chains.pop(rest).unwrap().1, END);
            assert_eq!(chains.pop(other).unwrap().1, END);
            assert!(chains.pop(END).is_none());
        }
        assert_eq!(chains.links.len(), 3);
    }
}
