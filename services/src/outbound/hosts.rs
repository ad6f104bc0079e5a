//! What is remembered of addresses that could not be reached: so that the next message does not wait for them too.
//!
//! Pure: time is a duration since an origin that the caller chose, and the jitter comes from a seed.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

/// How long an address that fails is left alone, and how many of them are remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostMemory {
    /// How long after the first failure. Long enough that a queue of mail does not wait for each message's own timeout, short
    /// enough that a restart there delays nothing much.
    pub first: Duration,
    /// How long at most; each failure in a row doubles it.
    pub longest: Duration,
    /// How long an address is spoken with in clear where TLS is optional and its handshake failed.
    pub without_tls: Duration,
    /// Addresses remembered, and with them those whose TLS did not do where it had to. Beyond, what ends first is forgotten
    /// first.
    pub addresses: usize,
}

impl Default for HostMemory {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(60),
            longest: Duration::from_secs(30 * 60),
            without_tls: Duration::from_secs(60 * 60),
            addresses: 10_000,
        }
    }
}

/// The addresses that fail.
#[derive(Debug)]
pub(super) struct Hosts {
    memory: HostMemory,
    seed: u64,
    silent: Ends<Silence>,
    without_tls: Ends<()>,
}

/// What is asked: an address, and perhaps for the TLS that some mail must have there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Spot {
    pub(super) address: SocketAddr,
    demand: Option<u64>,
}

impl Spot {
    /// The address, for whoever is content with it.
    pub(super) const fn of(address: SocketAddr) -> Self {
        Self { address, demand: None }
    }

    /// The address, for mail that goes under such TLS or not at all. Demands are told apart by a number; two that share one
    /// wait for each other's failures, no more.
    pub(super) const fn demanding(address: SocketAddr, demand: Option<u64>) -> Self {
        Self { address, demand }
    }

    /// All that must be well for it: that the address answers, and that it has what is demanded.
    fn parts(self) -> impl Iterator<Item = Self> {
        std::iter::once(Self::of(self.address)).chain(self.demand.map(|_| self))
    }
}

/// Whether an address may be asked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nothing is known against it.
    Go,
    /// It has failed, its time is over, and this is the one that finds out: until that is told, all others wait.
    Probe,
    /// Not now.
    Wait(Silence),
}

/// An address that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Silence {
    /// When it failed first.
    pub(super) since: Duration,
    /// When it failed last.
    last: Duration,
    /// Until when it is left alone.
    pub(super) until: Duration,
    /// How it failed last.
    pub(super) how: Failure,
    failures: u32,
    probe: Probe,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probe {
    None,
    UnderWay,
}

/// How an address fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It refuses connections.
    Refused,
    /// It does not answer.
    Timeout,
    /// The network knows no way to it.
    Unreachable,
    /// It answers, and does not speak SMTP, or not in time.
    Mute,
    /// It speaks SMTP, and has not the TLS that is demanded: says nothing to those that demand none, or other.
    Tls,
}

impl Failure {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "it refuses connections",
            Self::Timeout => "it does not answer",
            Self::Unreachable => "there is no way to it",
            Self::Mute => "it does not greet as a mail server does",
            Self::Tls => "it has not the TLS that must be",
        }
    }

    /// The enhanced status code (RFC 3463 §3.5, §3.8).
    pub(super) const fn status(self) -> &'static str {
        match self {
            Self::Refused | Self::Timeout | Self::Unreachable | Self::Mute => "4.4.1",
            Self::Tls => "4.7.5",
        }
    }
}

impl Hosts {
    pub(super) fn new(memory: HostMemory, seed: u64) -> Self {
        let bound = memory.addresses;
        Self { memory, seed, silent: Ends::new(bound), without_tls: Ends::new(bound) }
    }

    /// Whether the address may be asked. Behind [`Go`](Answer::Go) and [`Probe`](Answer::Probe), tell
    /// [`reached`](Self::reached), [`failed`](Self::failed) or [`unsettled`](Self::unsettled).
    pub(super) fn ask(&mut self, spot: Spot, now: Duration) -> Answer {
        for part in spot.parts() {
            let Some(silence) = self.silent.at(&part) else { continue };
            if now < silence.until || silence.probe == Probe::UnderWay {
                return Answer::Wait(*silence);
            }
        }
        let mut answer = Answer::Go;
        for part in spot.parts() {
            let Some(silence) = self.silent.at(&part) else { continue };
            silence.probe = Probe::UnderWay;
            answer = Answer::Probe;
        }
        answer
    }

    /// It answers, and has what was demanded.
    pub(super) fn reached(&mut self, spot: Spot) {
        spot.parts().for_each(|part| self.silent.forget(&part));
    }

    /// It failed whoever began at that time.
    pub(super) fn failed(&mut self, spot: Spot, began: Duration, now: Duration, how: Failure) {
        let failed = match how {
            Failure::Refused | Failure::Timeout | Failure::Unreachable | Failure::Mute => Spot::of(spot.address),
            Failure::Tls if spot.demand.is_some() => spot,
            // Who demands none goes on without it.
            Failure::Tls => return,
        };
        // What was long ago says nothing of today.
        let recent = |known: &Silence| now < known.until.saturating_add(self.memory.longest);
        let known = self.silent.at(&failed).copied().filter(recent);
        // Many may have been under way when it fell silent. That is one failure, however many hear of it.
        if let Some(known) = known.filter(|known| began < known.last && known.probe == Probe::None) {
            self.silent.remember(failed, known.until, Silence { how, ..known });
            return;
        }
        let failures = known.map_or(0, |known| known.failures).saturating_add(1);
        let doubled = 1_u32
            .checked_shl(failures.saturating_sub(1))
            .map_or(Duration::MAX, |n| self.memory.first.saturating_mul(n));
        let window = self.jittered(doubled.min(self.memory.longest), spot.address, failures);
        let since = known.map_or(now, |known| known.since);
        let until = now.saturating_add(window);
        self.silent.remember(failed, until, Silence { since, last: now, until, how, failures, probe: Probe::None });
    }

    /// Whoever asked does not know: another may.
    pub(super) fn unsettled(&mut self, spot: Spot) {
        for part in spot.parts() {
            if let Some(silence) = self.silent.at(&part) {
                silence.probe = Probe::None;
            }
        }
    }

    /// Its TLS handshake failed, where TLS was optional.
    pub(super) fn tls_failed(&mut self, address: SocketAddr, now: Duration) {
        self.without_tls.remember(Spot::of(address), now.saturating_add(self.memory.without_tls), ());
    }

    /// Whether it is better spoken with in clear, where TLS is optional.
    pub(super) fn is_without_tls(&self, address: SocketAddr, now: Duration) -> bool {
        self.without_tls.end(&Spot::of(address)).is_some_and(|until| now < until)
    }

    /// Up to a quarter less, and another for each address and time: what failed together is not asked again together.
    fn jittered(&self, window: Duration, address: SocketAddr, failures: u32) -> Duration {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut hasher = DefaultHasher::new();
        (self.seed, address, failures).hash(&mut hasher);
        let sixtyfourths = u32::try_from(hasher.finish() % 17).unwrap_or_default();
        window.saturating_sub((window / 64).saturating_mul(sixtyfourths))
    }
}

/// What holds of addresses until some time. Where there is no room, what ends first makes it.
#[derive(Debug)]
struct Ends<T> {
    bound: usize,
    held: HashMap<Spot, (Duration, T)>,
    order: BTreeSet<End>,
}

/// Ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct End {
    at: Duration,
    spot: Spot,
}

impl<T> Ends<T> {
    fn new(bound: usize) -> Self {
        Self { bound, held: HashMap::new(), order: BTreeSet::new() }
    }

    fn at(&mut self, spot: &Spot) -> Option<&mut T> {
        self.held.get_mut(spot).map(|(_, value)| value)
    }

    fn end(&self, spot: &Spot) -> Option<Duration> {
        self.held.get(spot).map(|(end, _)| *end)
    }

    fn remember(&mut self, spot: Spot, at: Duration, value: T) {
        self.forget(&spot);
        while self.held.len() >= self.bound {
            let Some(first) = self.order.pop_first() else { return };
            self.held.remove(&first.spot);
        }
        self.held.insert(spot, (at, value));
        self.order.insert(End { at, spot });
    }

    fn forget(&mut self, spot: &Spot) {
        if let Some((at, _)) = self.held.remove(spot) {
            self.order.remove(&End { at, spot: *spot });
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn host(number: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, number], 25))
    }

    fn address(number: u8) -> Spot {
        Spot::of(host(number))
    }

    fn hosts() -> Hosts {
        Hosts::new(HostMemory::default(), 7)
    }

    fn wait(hosts: &mut Hosts, number: u8, now: Duration) -> Silence {
        match hosts.ask(address(number), now) {
            Answer::Wait(silence) => silence,
            other @ (Answer::Go | Answer::Probe) => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_address_that_fails_is_left_alone_and_then_probed_by_one() {
        let (mut hosts, now) = (hosts(), Duration::from_secs(1000));
        assert_eq!(hosts.ask(address(1), now), Answer::Go);
        hosts.failed(address(1), now, now, Failure::Refused);
        let silence = wait(&mut hosts, 1, now);
        assert_eq!((silence.since, silence.how), (now, Failure::Refused));
        assert!(silence.until > now + MINUTE * 3 / 4 - Duration::from_secs(1) && silence.until <= now + MINUTE);
        assert_eq!(hosts.ask(address(2), now), Answer::Go, "another is another");
        assert_eq!(hosts.ask(address(1), silence.until), Answer::Probe);
        assert_eq!(wait(&mut hosts, 1, silence.until).since, now, "one at a time");
        hosts.reached(address(1));
        assert_eq!(hosts.ask(address(1), silence.until), Answer::Go);
    }

    #[test]
    fn a_probe_that_nobody_finishes_leaves_its_place_to_another() {
        let (mut hosts, now) = (hosts(), MINUTE);
        hosts.failed(address(1), now, now, Failure::Timeout);
        assert_eq!(hosts.ask(address(1), now + MINUTE), Answer::Probe);
        hosts.unsettled(address(1));
        assert_eq!(hosts.ask(address(1), now + MINUTE), Answer::Probe);
    }

    #[test]
    fn each_failed_probe_doubles_the_wait_up_to_a_bound() {
        let (mut hosts, mut now) = (hosts(), Duration::ZERO);
        let mut waits = Vec::new();
        for _ in 0..9 {
            hosts.failed(address(1), now, now, Failure::Timeout);
            let silence = wait(&mut hosts, 1, now);
            assert_eq!(silence.since, Duration::ZERO);
            waits.push((silence.until - now).as_secs_f64() / 60.0);
            now = silence.until;
            assert_eq!(hosts.ask(address(1), now), Answer::Probe);
        }
        for (wait, whole) in waits.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]) {
            assert!((0.74 * whole..=whole).contains(wait), "{waits:?}");
        }
    }

    #[test]
    fn what_many_hear_at_once_is_one_failure() {
        let (mut hosts, began) = (hosts(), MINUTE);
        for late in 0..20 {
            hosts.failed(address(1), began, began + Duration::from_secs(30 + late), Failure::Timeout);
        }
        let silence = wait(&mut hosts, 1, MINUTE * 2);
        assert!(silence.until <= began + Duration::from_secs(30) + MINUTE, "{silence:?}");
    }

    #[test]
    fn a_failure_of_long_ago_is_none() {
        let mut hosts = hosts();
        for now in [Duration::ZERO, MINUTE, 3 * MINUTE, 1000 * MINUTE] {
            hosts.failed(address(1), now, now, Failure::Timeout);
        }
        let silence = wait(&mut hosts, 1, 1000 * MINUTE);
        assert_eq!(silence.since, 1000 * MINUTE);
        assert!(silence.until <= 1001 * MINUTE);
    }

    #[test]
    fn addresses_that_fail_together_are_not_asked_together() {
        let mut hosts = hosts();
        (0..50).for_each(|number| hosts.failed(address(number), MINUTE, MINUTE, Failure::Refused));
        let mut ends: Vec<_> = (0..50).map(|number| wait(&mut hosts, number, MINUTE).until).collect();
        ends.sort_unstable();
        ends.dedup();
        assert!(ends.len() > 5, "{ends:?}");
    }

    #[test]
    fn tls_that_fails_is_left_out_for_a_while() {
        let mut hosts = hosts();
        hosts.tls_failed(host(1), MINUTE);
        assert!(hosts.is_without_tls(host(1), MINUTE) && !hosts.is_without_tls(host(2), MINUTE));
        assert!(hosts.is_without_tls(host(1), 60 * MINUTE) && !hosts.is_without_tls(host(1), 61 * MINUTE));
    }

    #[test]
    fn tls_that_must_be_and_fails_stops_those_alone_who_demand_it() {
        let (mut hosts, now) = (hosts(), MINUTE);
        let [one, other] = [Some(1), Some(2)].map(|demand| Spot::demanding(host(1), demand));
        hosts.failed(one, now, now, Failure::Tls);
        let Answer::Wait(silence) = hosts.ask(one, now) else { panic!("it is asked again") };
        assert_eq!((silence.since, silence.how), (now, Failure::Tls));
        assert_eq!((hosts.ask(other, now), hosts.ask(address(1), now)), (Answer::Go, Answer::Go));
        assert_eq!(hosts.ask(one, silence.until), Answer::Probe);
        assert!(matches!(hosts.ask(one, silence.until), Answer::Wait(_)), "one at a time");
        // That it answers does not say that its TLS will do.
        hosts.reached(address(1));
        assert!(matches!(hosts.ask(one, silence.until), Answer::Wait(_)));
        hosts.unsettled(one);
        assert_eq!(hosts.ask(one, silence.until), Answer::Probe);
        hosts.reached(one);
        assert_eq!(hosts.ask(one, now), Answer::Go);
    }

    #[test]
    fn an_address_that_does_not_answer_stops_all() {
        let (mut hosts, now) = (hosts(), MINUTE);
        let demanding = Spot::demanding(host(1), Some(1));
        hosts.failed(demanding, now, now, Failure::Timeout);
        let until = wait(&mut hosts, 1, now).until;
        assert!(matches!(hosts.ask(demanding, now), Answer::Wait(_)));
        assert_eq!(hosts.ask(demanding, until), Answer::Probe);
        wait(&mut hosts, 1, until);
    }

    #[test]
    fn what_ends_first_is_forgotten_first() {
        let mut hosts = Hosts::new(HostMemory { addresses: 3, ..HostMemory::default() }, 7);
        for number in 0..5 {
            let now = MINUTE * 10 * u32::from(number);
            hosts.failed(address(number), now, now, Failure::Refused);
        }
        let known: Vec<_> = (0..5).filter(|number| hosts.ask(address(*number), Duration::ZERO) != Answer::Go).collect();
        assert_eq!(known, [2, 3, 4]);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Ask(u8),
        Reached(u8),
        Failed(u8),
        Unsettled(u8),
        Pass(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let number = 0..6_u8;
        prop_oneof![
            4 => number.clone().prop_map(Step::Ask),
            1 => number.clone().prop_map(Step::Reached),
            3 => number.clone().prop_map(Step::Failed),
            1 => number.prop_map(Step::Unsettled),
            3 => (0..4000_u64).prop_map(Step::Pass),
        ]
    }

    proptest! {
        #[test]
        fn nobody_is_left_alone_for_ever_nor_asked_by_two_while_it_is_in_doubt(
            steps in proptest::collection::vec(step(), 0..200),
            bound in 0..8_usize,
        ) {
            let memory = HostMemory { addresses: bound, ..HostMemory::default() };
            let mut hosts = Hosts::new(memory.clone(), 1);
            let mut now = Duration::ZERO;
            let mut probes: HashMap<u8, ()> = HashMap::new();
            for step in steps {
                match step {
                    Step::Pass(seconds) => now += Duration::from_secs(seconds),
                    Step::Ask(number) => match hosts.ask(address(number), now) {
                        // Where there is no room, doubt is forgotten.
                        Answer::Go => { probes.remove(&number); }
                        Answer::Probe => prop_assert!(probes.insert(number, ()).is_none()),
                        Answer::Wait(silence) => {
                            prop_assert!(silence.until <= now + memory.longest || probes.contains_key(&number));
                            prop_assert!(silence.since <= silence.until);
                        }
                    },
                    Step::Reached(number) => {
                        hosts.reached(address(number));
                        probes.remove(&number);
                        prop_assert_eq!(hosts.ask(address(number), now), Answer::Go);
                    }
                    Step::Failed(number) => {
                        hosts.failed(address(number), now, now, Failure::Timeout);
                        probes.remove(&number);
                        prop_assert_eq!(matches!(hosts.ask(address(number), now), Answer::Wait(_)), bound > 0);
                    }
                    Step::Unsettled(number) => {
                        hosts.unsettled(address(number));
                        probes.remove(&number);
                    }
                }
                prop_assert!(hosts.silent.held.len() <= bound && hosts.silent.order.len() == hosts.silent.held.len());
            }
        }
    }
}
