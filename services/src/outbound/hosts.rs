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
    /// Addresses remembered. Beyond, what ends first is forgotten first.
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
}

impl Failure {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "it refuses connections",
            Self::Timeout => "it does not answer",
            Self::Unreachable => "there is no way to it",
            Self::Mute => "it does not greet as a mail server does",
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
    pub(super) fn ask(&mut self, address: SocketAddr, now: Duration) -> Answer {
        let Some(silence) = self.silent.at(&address) else { return Answer::Go };
        if now < silence.until || silence.probe == Probe::UnderWay {
            return Answer::Wait(*silence);
        }
        silence.probe = Probe::UnderWay;
        Answer::Probe
    }

    /// It answers.
    pub(super) fn reached(&mut self, address: SocketAddr) {
        self.silent.forget(&address);
    }

    /// It failed whoever began at that time.
    pub(super) fn failed(&mut self, address: SocketAddr, began: Duration, now: Duration, how: Failure) {
        // What was long ago says nothing of today.
        let recent = |known: &Silence| now < known.until.saturating_add(self.memory.longest);
        let known = self.silent.at(&address).copied().filter(recent);
        // Many may have been under way when it fell silent. That is one failure, however many hear of it.
        if let Some(known) = known.filter(|known| began < known.last && known.probe == Probe::None) {
            self.silent.remember(address, known.until, Silence { how, ..known });
            return;
        }
        let failures = known.map_or(0, |known| known.failures).saturating_add(1);
        let doubled = 1_u32
            .checked_shl(failures.saturating_sub(1))
            .map_or(Duration::MAX, |n| self.memory.first.saturating_mul(n));
        let window = self.jittered(doubled.min(self.memory.longest), address, failures);
        let since = known.map_or(now, |known| known.since);
        let until = now.saturating_add(window);
        self.silent.remember(address, until, Silence { since, last: now, until, how, failures, probe: Probe::None });
    }

    /// Whoever asked does not know: another may.
    pub(super) fn unsettled(&mut self, address: SocketAddr) {
        if let Some(silence) = self.silent.at(&address) {
            silence.probe = Probe::None;
        }
    }

    /// Its TLS handshake failed, where TLS was optional.
    pub(super) fn tls_failed(&mut self, address: SocketAddr, now: Duration) {
        self.without_tls.remember(address, now.saturating_add(self.memory.without_tls), ());
    }

    /// Whether it is better spoken with in clear, where TLS is optional.
    pub(super) fn is_without_tls(&self, address: SocketAddr, now: Duration) -> bool {
        self.without_tls.end(&address).is_some_and(|until| now < until)
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
    held: HashMap<SocketAddr, (Duration, T)>,
    order: BTreeSet<End>,
}

/// Ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct End {
    at: Duration,
    address: SocketAddr,
}

impl<T> Ends<T> {
    fn new(bound: usize) -> Self {
        Self { bound, held: HashMap::new(), order: BTreeSet::new() }
    }

    fn at(&mut self, address: &SocketAddr) -> Option<&mut T> {
        self.held.get_mut(address).map(|(_, value)| value)
    }

    fn end(&self, address: &SocketAddr) -> Option<Duration> {
        self.held.get(address).map(|(end, _)| *end)
    }

    fn remember(&mut self, address: SocketAddr, at: Duration, value: T) {
        self.forget(&address);
        while self.held.len() >= self.bound {
            let Some(first) = self.order.pop_first() else { return };
            self.held.remove(&first.address);
        }
        self.held.insert(address, (at, value));
        self.order.insert(End { at, address });
    }

    fn forget(&mut self, address: &SocketAddr) {
        if let Some((at, _)) = self.held.remove(address) {
            self.order.remove(&End { at, address: *address });
        }
    }
}
