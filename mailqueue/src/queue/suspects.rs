//! Messages that may be what kills the process: interrupted so often that once more holds them. They are tried one after
//! the other, beside all other mail, so that a crash convicts one of them and not all that were in the air.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::MessageId;

/// Whose turn it is among the suspects, and who waits for it.
#[derive(Debug)]
pub(super) struct Suspects {
    /// How long a turn keeps the others waiting.
    patience: Duration,
    turn: Option<Turn>,
    /// Those who wait, in the order in which they came. Some may be gone: that shows when they are called.
    line: BTreeMap<u64, MessageId>,
    places: HashMap<MessageId, u64>,
    /// How many came so far.
    came: u64,
    /// Attempts under way, for whoever has the turn and for those who had it too long.
    flights: HashMap<MessageId, usize>,
}

#[derive(Clone, Copy, Debug)]
struct Turn {
    id: MessageId,
    /// When others need not wait for it any longer.
    until: Duration,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It is being read, or waits for its site.
    Called,
    /// An attempt for it began.
    Flown,
}

/// Whether an attempt for a suspect may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Clearance {
    /// Another one is tried now.
    Refused,
    /// It is the first of its turn.
    Begins,
    /// Others of its turn came before.
    GoesOn,
}

impl Suspects {
    pub(super) fn new(patience: Duration) -> Self {
        // A turn lasts for its moment at least, or it would go round and round.
        let patience = patience.max(Duration::from_nanos(1));
        Self { patience, turn: None, line: BTreeMap::new(), places: HashMap::new(), came: 0, flights: HashMap::new() }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.line.len()
    }

    pub(super) fn is_waiting(&self, id: MessageId) -> bool {
        self.places.contains_key(&id)
    }

    pub(super) fn is_flying(&self, id: MessageId) -> bool {
        self.flights.contains_key(&id)
    }

    /// Whose turn it is, where others have to wait for that.
    pub(super) fn turn(&self, now: Duration) -> Option<MessageId> {
        self.turn.filter(|turn| turn.until > now).map(|turn| turn.id)
    }

    /// Whether a suspect may wait for its site. It has the turn then: nobody else has it or waited longer.
    pub(super) fn admits(&mut self, id: MessageId, now: Duration) -> bool {
        match self.turn(now) {
            Some(holder) => holder == id,
            None if self.line.is_empty() => {
                self.give(id, Stage::Called, now);
                true
            }
            None => false,
        }
    }

    /// An attempt for a suspect wants to begin. One that waited long at its site goes before another that does so still.
    pub(super) fn take_off(&mut self, id: MessageId, now: Duration) -> Clearance {
        let clearance = match self.turn.filter(|turn| turn.until > now) {
            Some(Turn { id: holder, stage: Stage::Flown, .. }) if holder == id => Clearance::GoesOn,
            Some(Turn { stage: Stage::Flown, .. }) => return Clearance::Refused,
            Some(Turn { stage: Stage::Called, .. }) | None => {
                // Time at the site was no time in the air.
                self.give(id, Stage::Flown, now);
                Clearance::Begins
            }
        };
        *self.flights.entry(id).or_default() += 1;
        clearance
    }

    /// An attempt for a suspect has ended.
    pub(super) fn land(&mut self, id: MessageId) {
        let Some(flights) = self.flights.get_mut(&id) else { return };
        *flights = flights.saturating_sub(1);
        if *flights == 0 {
            self.flights.remove(&id);
        }
    }

    /// Puts a suspect at the end of the line, unless it stands there.
    pub(super) fn join(&mut self, id: MessageId) {
        if self.places.contains_key(&id) {
            return;
        }
        self.came += 1;
        self.places.insert(id, self.came);
        self.line.insert(self.came, id);
    }

    /// Takes a message out of the line.
    pub(super) fn forget(&mut self, id: MessageId) {
        if let Some(place) = self.places.remove(&id) {
            self.line.remove(&place);
        }
    }

    /// Who waits longest of those who can come now.
    pub(super) fn first(&self, can_come: impl Fn(MessageId) -> bool) -> Option<MessageId> {
        self.line.values().copied().find(|id| can_come(*id))
    }

    /// Gives someone the turn.
    pub(super) fn call(&mut self, id: MessageId, now: Duration) {
        self.give(id, Stage::Called, now);
    }

    /// Whoever has the turn makes no use of it.
    pub(super) fn end_turn(&mut self) {
        self.turn = None;
    }

    /// When the next one need not wait any longer.
    pub(super) fn next_wake(&self) -> Option<Duration> {
        self.turn.filter(|_| !self.line.is_empty()).map(|turn| turn.until)
    }

    fn give(&mut self, id: MessageId, stage: Stage, now: Duration) {
        self.forget(id);
        self.turn = Some(Turn { id, until: now.saturating_add(self.patience), stage });
    }
}

#[cfg(test)]
mod tests {
    use crate::UnixMicros;

    use super::*;

    const PATIENCE: u64 = 30;

    const fn secs(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn id(number: u64) -> MessageId {
        MessageId::new(UnixMicros(number), 0)
    }

    fn suspects() -> Suspects {
        Suspects::new(secs(PATIENCE))
    }

    #[test]
    fn one_has_the_turn_and_the_others_wait_in_line() {
        let mut suspects = suspects();
        assert!(suspects.admits(id(7), secs(0)));
        assert!(suspects.admits(id(7), secs(0)), "another of its legs");
        for number in [9, 8, 9] {
            assert!(!suspects.admits(id(number), secs(0)));
            suspects.join(id(number));
        }
        assert_eq!(suspects.len(), 2);
        suspects.end_turn();
        assert!(!suspects.admits(id(1), secs(0)), "others waited longer");
        assert_eq!(suspects.first(|_| true), Some(id(9)));
        assert_eq!(suspects.first(|one| one != id(9)), Some(id(8)));
        suspects.call(id(9), secs(0));
        assert_eq!((suspects.turn(secs(0)), suspects.len()), (Some(id(9)), 1));
        suspects.forget(id(8));
        assert_eq!((suspects.first(|_| true), suspects.is_waiting(id(8))), (None, false));
    }

    #[test]
    fn time_at_a_site_is_no_time_in_the_air() {
        let mut suspects = suspects();
        assert!(suspects.admits(id(1), secs(0)));
        suspects.join(id(2));
        assert_eq!(suspects.next_wake(), Some(secs(PATIENCE)));
        assert_eq!(suspects.take_off(id(1), secs(20)), Clearance::Begins);
        assert_eq!(suspects.take_off(id(1), secs(40)), Clearance::GoesOn);
        assert_eq!(suspects.next_wake(), Some(secs(50)), "further batches prolong nothing");
        assert_eq!(suspects.take_off(id(2), secs(49)), Clearance::Refused);
        suspects.land(id(1));
        assert!(suspects.is_flying(id(1)));
        suspects.land(id(1));
        assert!(!suspects.is_flying(id(1)));
        assert_eq!(suspects.take_off(id(2), secs(49)), Clearance::Refused, "its next batch may be about to begin");
        assert_eq!(suspects.take_off(id(2), secs(50)), Clearance::Begins);
        assert_eq!(suspects.take_off(id(1), secs(50)), Clearance::Refused);
    }

    #[test]
    fn whoever_waited_at_its_site_goes_before_one_that_waits_there_still() {
        let mut suspects = suspects();
        assert!(suspects.admits(id(1), secs(0)));
        suspects.join(id(2));
        suspects.call(id(2), secs(PATIENCE));
        assert_eq!(suspects.take_off(id(1), secs(PATIENCE + 1)), Clearance::Begins);
        assert_eq!(suspects.take_off(id(2), secs(PATIENCE + 1)), Clearance::Refused);
    }

    #[test]
    fn whoever_had_it_too_long_is_known_until_it_lands() {
        let mut suspects = suspects();
        assert_eq!(suspects.take_off(id(1), secs(0)), Clearance::Begins);
        assert_eq!(suspects.take_off(id(2), secs(PATIENCE)), Clearance::Begins);
        suspects.land(id(2));
        assert!(suspects.is_flying(id(1)));
        suspects.land(id(1));
        suspects.land(id(1));
        assert!(suspects.flights.is_empty());
    }
}
