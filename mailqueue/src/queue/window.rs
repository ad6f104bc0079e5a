//! What a site can bear: how many attempts at one time, and whether anyone answers there.

use std::time::Duration;

use crate::{Outcome, Schedule, Trouble};

/// The limits of a window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) initial: usize,
    pub(super) most: usize,
    pub(super) dead_after: u32,
}

/// How many attempts a site gets at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Window {
    /// As far as is known, someone answers.
    Reachable {
        /// In thousandths of an attempt.
        limit: u32,
        /// Attempts in a row that did not reach it.
        failures: u32,
    },
    /// Nobody answers: one attempt at a time looks again.
    Unreachable {
        since: Duration,
        /// How often it was looked for since.
        tries: u32,
        probe: Probe,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probe {
    At(Duration),
    Flying,
}

/// What an attempt learned about the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contact {
    /// It took or refused mail.
    Made,
    /// It answered, and wants mail later. That says nothing about how much it bears: greylisting is no congestion.
    Heard,
    /// It could not be reached.
    Failed,
    /// Nothing: the attempt was not made, or nobody knows how it ended.
    Nothing,
}

/// What changed with a landing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turnabout {
    None,
    /// Nobody answers from now on.
    Lost,
    /// Someone answers again.
    Found,
}

/// One attempt, in the measure of a limit.
const ONE: u32 = 1000;

impl Contact {
    /// What the outcomes of one batch say together: one that heard of the message reached the site.
    pub(super) fn of(outcomes: &[Outcome]) -> Self {
        let one = |outcome: &Outcome| match outcome {
            Outcome::Delivered { .. } | Outcome::Failed { .. } => Self::Made,
            Outcome::Deferred { class: Trouble::Message, .. } => Self::Heard,
            Outcome::Deferred { class: Trouble::Connection, .. } => Self::Failed,
        };
        outcomes.iter().map(one).min_by_key(|contact| *contact as u8).unwrap_or(Self::Nothing)
    }
}

impl Window {
    pub(super) fn new(bounds: &Bounds) -> Self {
        Self::Reachable { limit: thousandths(bounds.initial.min(bounds.most).max(1)), failures: 0 }
    }

    /// Whether this is what a site begins with: nothing to remember.
    pub(super) fn is_new(&self, bounds: &Bounds) -> bool {
        *self == Self::new(bounds)
    }

    pub(super) fn is_reachable(&self) -> bool {
        match self {
            Self::Reachable { .. } => true,
            Self::Unreachable { .. } => false,
        }
    }

    /// The most attempts at one time.
    pub(super) fn limit(&self) -> usize {
        match self {
            Self::Reachable { limit, .. } => (limit / ONE) as usize,
            Self::Unreachable { .. } => 1,
        }
    }

    /// Whether one more may fly beside those that do.
    pub(super) fn has_room(&self, flying: usize, now: Duration) -> bool {
        match self {
            Self::Reachable { .. } => flying < self.limit(),
            Self::Unreachable { probe: Probe::At(at), .. } => flying == 0 && *at <= now,
            Self::Unreachable { probe: Probe::Flying, .. } => false,
        }
    }

    /// When the next one may look for the site, where nobody answers.
    pub(super) fn probe_at(&self) -> Option<Duration> {
        match self {
            Self::Reachable { .. } | Self::Unreachable { probe: Probe::Flying, .. } => None,
            Self::Unreachable { probe: Probe::At(at), .. } => Some(*at),
        }
    }

    /// Lets the next one look now.
    pub(super) fn probe_now(&mut self, now: Duration) {
        match self {
            Self::Unreachable { probe: Probe::At(at), .. } => *at = now.min(*at),
            Self::Reachable { .. } | Self::Unreachable { probe: Probe::Flying, .. } => {}
        }
    }

    /// An attempt begins.
    pub(super) fn take_off(&mut self) {
        match self {
            Self::Reachable { .. } => {}
            Self::Unreachable { probe, .. } => *probe = Probe::Flying,
        }
    }

    /// An attempt ended. `waits` says how long to leave an unreachable site alone, `seed` spreads that.
    pub(super) fn land(
        &mut self,
        contact: Contact,
        now: Duration,
        bounds: &Bounds,
        waits: &Schedule,
        seed: u64,
    ) -> Turnabout {
        match (*self, contact) {
            (Self::Reachable { limit, .. }, Contact::Made) => {
                let limit = limit.saturating_add(ONE).min(thousandths(bounds.most.max(1)));
                *self = Self::Reachable { limit, failures: 0 };
                Turnabout::None
            }
            (Self::Reachable { limit, .. }, Contact::Heard) => {
                *self = Self::Reachable { limit, failures: 0 };
                Turnabout::None
            }
            (Self::Reachable { limit, failures }, Contact::Failed) => {
                let failures = failures.saturating_add(1);
                if failures >= bounds.dead_after.max(1) {
                    let probe = Probe::At(now.saturating_add(waits.delay(1, seed)));
                    *self = Self::Unreachable { since: now, tries: 1, probe };
                    return Turnabout::Lost;
                }
                // One of N that fails takes away an N-th: a whole window that fails takes away one attempt.
                let limit = limit.saturating_sub(ONE * ONE / limit.max(ONE)).max(ONE);
                *self = Self::Reachable { limit, failures };
                Turnabout::None
            }
            (Self::Reachable { .. }, Contact::Nothing) => Turnabout::None,
            (Self::Unreachable { .. }, Contact::Made | Contact::Heard) => {
                *self = Self::new(bounds);
                Turnabout::Found
            }
            // Only what was sent to look tells anything; others began before.
            (Self::Unreachable { since, tries, probe: Probe::Flying }, Contact::Failed) => {
                let tries = tries.saturating_add(1);
                let probe = Probe::At(now.saturating_add(waits.delay(tries, seed)));
                *self = Self::Unreachable { since, tries, probe };
                Turnabout::None
            }
            (Self::Unreachable { since, tries, probe: Probe::Flying }, Contact::Nothing) => {
                *self = Self::Unreachable { since, tries, probe: Probe::At(now) };
                Turnabout::None
            }
            (Self::Unreachable { probe: Probe::At(_), .. }, Contact::Failed | Contact::Nothing) => Turnabout::None,
        }
    }
}

fn thousandths(attempts: usize) -> u32 {
    u32::try_from(attempts).unwrap_or(u32::MAX).saturating_mul(ONE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::{Detail, Handed};

    use super::*;

    const BOUNDS: Bounds = Bounds { initial: 2, most: 20, dead_after: 5 };
    const MINUTE: Duration = Duration::from_secs(60);

    fn waits() -> Schedule {
        Schedule { first: 5 * MINUTE, longest: 60 * MINUTE, jitter: 0, ..Schedule::default() }
    }

    fn land(window: &mut Window, contact: Contact, minute: u32) -> Turnabout {
        window.land(contact, minute * MINUTE, &BOUNDS, &waits(), 1)
    }

    #[test]
    fn it_opens_by_one_with_each_contact() {
        let mut window = Window::new(&BOUNDS);
        let mut limits = vec![window.limit()];
        for _ in 0..20 {
            land(&mut window, Contact::Made, 0);
            limits.push(window.limit());
        }
        assert_eq!(limits[..4], [2, 3, 4, 5]);
        assert_eq!(limits[18..], [20, 20, 20]);
    }

    #[test]
    fn a_whole_window_that_fails_takes_away_one() {
        let mut window = Window::Reachable { limit: 20_000, failures: 0 };
        let bounds = Bounds { dead_after: 100, ..BOUNDS };
        for _ in 0..20 {
            window.land(Contact::Failed, MINUTE, &bounds, &waits(), 1);
        }
        assert!((18..20).contains(&window.limit()), "{window:?}");
    }

    #[test]
    fn messages_that_are_refused_for_now_do_not_touch_it() {
        let mut window = Window::Reachable { limit: 7_500, failures: 3 };
        land(&mut window, Contact::Heard, 0);
        assert_eq!(window, Window::Reachable { limit: 7_500, failures: 0 });
    }

    #[test]
    fn a_dead_site_is_probed_by_one_at_a_time_and_less_and_less() {
        let mut window = Window::new(&BOUNDS);
        let turns: Vec<_> = (0..5).map(|_| land(&mut window, Contact::Failed, 0)).collect();
        assert_eq!(turns[3..], [Turnabout::None, Turnabout::Lost]);
        let mut probes = Vec::new();
        for _ in 0..6 {
            let at = window.probe_at().unwrap();
            assert!(!window.has_room(0, at - MINUTE) && window.has_room(0, at) && !window.has_room(1, at));
            window.take_off();
            assert!(!window.has_room(0, at));
            probes.push(at.as_secs() / 60);
            assert_eq!(window.land(Contact::Failed, at, &BOUNDS, &waits(), 1), Turnabout::None);
        }
        assert_eq!(probes, [5, 15, 35, 75, 135, 195]);
        window.take_off();
        assert_eq!(land(&mut window, Contact::Heard, 999), Turnabout::Found);
        assert_eq!(window, Window::new(&BOUNDS));
    }

    #[test]
    fn those_that_began_before_do_not_put_off_the_probe() {
        let mut window = Window::Unreachable { since: MINUTE, tries: 1, probe: Probe::At(5 * MINUTE) };
        assert_eq!(land(&mut window, Contact::Failed, 2), Turnabout::None);
        assert_eq!(window.probe_at(), Some(5 * MINUTE));
        window.probe_now(3 * MINUTE);
        assert_eq!(window.probe_at(), Some(3 * MINUTE));
        window.take_off();
        assert_eq!(land(&mut window, Contact::Nothing, 3), Turnabout::None);
        assert_eq!(window.probe_at(), Some(3 * MINUTE));
    }

    #[test]
    fn a_batch_that_was_heard_reached_the_site() {
        let delivered = Outcome::Delivered { detail: Detail::default(), handed: Handed::Mailbox };
        let deferred = |class| Outcome::Deferred { reason: Detail::default(), retry_after: None, class };
        let (refused, lost) = (deferred(Trouble::Message), deferred(Trouble::Connection));
        assert_eq!(Contact::of(&[lost.clone(), refused.clone(), delivered]), Contact::Made);
        assert_eq!(Contact::of(&[lost.clone(), refused]), Contact::Heard);
        assert_eq!(Contact::of(&[lost]), Contact::Failed);
        assert_eq!(Contact::of(&[]), Contact::Nothing);
    }

    proptest! {
        #[test]
        fn it_stays_within_its_bounds(
            steps in prop::collection::vec(0_u8..4, 0..200),
            initial in 0_usize..40,
            most in 0_usize..40,
        ) {
            let bounds = Bounds { initial, most, dead_after: 3 };
            let mut window = Window::new(&bounds);
            let mut now = Duration::ZERO;
            for step in steps {
                now += 30 * MINUTE;
                if window.has_room(0, now) {
                    window.take_off();
                }
                let contact = [Contact::Made, Contact::Heard, Contact::Failed, Contact::Nothing][usize::from(step)];
                let was_reachable = window.is_reachable();
                let turn = window.land(contact, now, &bounds, &waits(), 9);
                prop_assert_eq!(turn == Turnabout::Lost, was_reachable && !window.is_reachable());
                prop_assert_eq!(turn == Turnabout::Found, !was_reachable && window.is_reachable());
                prop_assert!((1..=most.max(1)).contains(&window.limit()));
                if let Some(at) = window.probe_at() {
                    prop_assert!(at <= now + 72 * MINUTE);
                }
            }
        }
    }
}
