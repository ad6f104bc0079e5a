//! Which site lies behind a destination: what the transport said, and what it is still to be asked.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::{Destination, Repeat};

use super::turns::Ticket;

/// A site, as lanes are known by. Mailboxes of this house never share a lane with hosts of the same name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SiteKey {
    pub(super) name: Arc<str>,
    pub(super) repeat: Repeat,
}

/// What is known of destinations.
#[derive(Debug)]
pub(super) struct Ways {
    memory: Duration,
    ways: HashMap<Destination, Way>,
    /// When what is known may be forgotten, the first one first.
    ends: VecDeque<(Duration, Destination)>,
    /// What nobody asked yet.
    questions: VecDeque<Destination>,
    /// Questions under way.
    asking: usize,
}

#[derive(Debug)]
enum Way {
    /// Those who wait for the answer, and the answer of the last time.
    Asked {
        waiting: Vec<Ticket>,
        before: Option<SiteKey>,
    },
    Known {
        site: SiteKey,
        until: Duration,
    },
}

/// The most destinations to remember.
const MOST: usize = 100_000;

impl Ways {
    pub(super) fn new(memory: Duration) -> Self {
        Self { memory, ways: HashMap::new(), ends: VecDeque::new(), questions: VecDeque::new(), asking: 0 }
    }

    /// The site, where the transport's word still holds.
    pub(super) fn find(&self, destination: &Destination, now: Duration) -> Option<&SiteKey> {
        match self.ways.get(destination)? {
            Way::Known { site, until } if *until > now => Some(site),
            Way::Known { .. } | Way::Asked { .. } => None,
        }
    }

    /// The site as it was last known.
    pub(super) fn last_known(&self, destination: &Destination) -> Option<&SiteKey> {
        match self.ways.get(destination)? {
            Way::Known { site, .. } => Some(site),
            Way::Asked { before, .. } => before.as_ref(),
        }
    }

    /// Lets a leg wait for the answer, and has the question asked.
    pub(super) fn ask(&mut self, destination: &Destination, ticket: Ticket) {
        let before = match self.ways.get_mut(destination) {
            Some(Way::Asked { waiting, .. }) => return waiting.push(ticket),
            Some(Way::Known { site, .. }) => Some(site.clone()),
            None => None,
        };
        self.ways.insert(destination.clone(), Way::Asked { waiting: vec![ticket], before });
        self.questions.push_back(destination.clone());
    }

    /// The next question, where fewer than `most` are under way.
    pub(super) fn next_question(&mut self, most: usize) -> Option<Destination> {
        if self.asking >= most.max(1) {
            return None;
        }
        let destination = self.questions.pop_front()?;
        self.asking += 1;
        Some(destination)
    }

    /// Takes an answer in. Returns those who waited for it.
    pub(super) fn answer(&mut self, destination: &Destination, name: Arc<str>, now: Duration) -> Vec<Ticket> {
        self.asking = self.asking.saturating_sub(1);
        let until = now.saturating_add(self.memory).max(now + Duration::from_secs(1));
        let site = SiteKey { name, repeat: destination.repeat() };
        self.ends.push_back((until, destination.clone()));
        match self.ways.insert(destination.clone(), Way::Known { site, until }) {
            Some(Way::Asked { waiting, .. }) => waiting,
            Some(Way::Known { .. }) | None => Vec::new(),
        }
    }

    /// A question whose answer will not come: it is asked again.
    pub(super) fn ask_again(&mut self, destination: Destination) {
        self.asking = self.asking.saturating_sub(1);
        self.questions.push_back(destination);
    }

    /// Has a destination asked for anew when it is needed next.
    pub(super) fn forget(&mut self, destination: &Destination) {
        if let Some(Way::Known { until, .. }) = self.ways.get_mut(destination) {
            *until = Duration::ZERO;
        }
    }

    /// Drops what holds no more, except where `keep` says that someone may still want to see it.
    pub(super) fn tidy(&mut self, now: Duration, keep: impl Fn(&SiteKey) -> bool) {
        while let Some((until, _)) = self.ends.front()
            && (*until <= now || self.ways.len() > MOST)
        {
            let Some((until, destination)) = self.ends.pop_front() else { return };
            let Some(Way::Known { site, until: valid }) = self.ways.get(&destination) else { continue };
            if *valid > until && self.ways.len() <= MOST {
                continue; // It was asked for again since, and stands further back.
            }
            if keep(site) && self.ways.len() <= MOST {
                self.ends.push_back((now.saturating_add(self.memory.max(Duration::from_secs(1))), destination));
            } else {
                self.ways.remove(&destination);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{MessageId, UnixMicros};

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn ticket(number: u64) -> Ticket {
        Ticket { id: MessageId::new(UnixMicros(number), 0), leg: 0 }
    }

    #[test]
    fn one_question_is_asked_for_all_who_wait() {
        let mut ways = Ways::new(5 * MINUTE);
        let (here, there) = (Destination::remote("here"), Destination::remote("there"));
        (0..3).for_each(|number| ways.ask(&here, ticket(number)));
        ways.ask(&there, ticket(9));
        assert_eq!(ways.next_question(1), Some(here.clone()));
        assert_eq!(ways.next_question(1), None, "one at a time");
        assert_eq!(ways.answer(&here, "site".into(), MINUTE), [ticket(0), ticket(1), ticket(2)]);
        assert_eq!(ways.find(&here, 5 * MINUTE).map(|site| &*site.name), Some("site"));
        assert_eq!(ways.next_question(1), Some(there.clone()));
        ways.ask_again(there.clone());
        assert_eq!(ways.next_question(1), Some(there));
    }

    #[test]
    fn an_answer_holds_for_a_while() {
        let mut ways = Ways::new(5 * MINUTE);
        let there = Destination::remote("there");
        ways.answer(&there, "site".into(), MINUTE);
        assert!(ways.find(&there, 6 * MINUTE).is_none());
        ways.tidy(7 * MINUTE, |_| true);
        assert!(ways.last_known(&there).is_some(), "someone may look at it");
        ways.tidy(20 * MINUTE, |_| false);
        assert!(ways.last_known(&there).is_none());
        ways.answer(&there, "site".into(), 30 * MINUTE);
        ways.forget(&there);
        assert!(ways.find(&there, 30 * MINUTE).is_none());
    }

    #[test]
    fn memory_is_bounded() {
        let mut ways = Ways::new(MINUTE);
        for number in 0..MOST + 50 {
            ways.answer(&Destination::remote(number.to_string()), "site".into(), Duration::ZERO);
            ways.tidy(Duration::ZERO, |_| true);
        }
        assert!(ways.ways.len() <= MOST && ways.ends.len() <= MOST);
    }
}
