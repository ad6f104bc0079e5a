//! From a host's addresses to a connection: one after the other, and soon side by side.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mailqueue::UnixMicros;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use super::fate::{Place, Word};
use super::hosts::{Answer, Failure, HostMemory, Hosts, Silence, Spot};
use crate::engine::Link;

/// The way out: by which address, and what is known of those who did not answer.
#[derive(Debug)]
pub(super) struct Ways {
    /// Longest wait for one address.
    pub(super) connect: Duration,
    /// How long one address is waited for alone, before the next is tried beside it.
    pub(super) stagger: Duration,
    /// Our own addresses to choose from; none: the system chooses.
    pub(super) sources: Vec<IpAddr>,
    pub(super) known: Arc<Known>,
}

/// [`Hosts`] with a clock.
#[derive(Debug)]
pub(super) struct Known {
    hosts: Mutex<Hosts>,
    origin: Instant,
}

/// A connection, and no octet has gone over it.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) stream: TcpStream,
    pub(super) link: Link,
    pub(super) asked: Asked,
}

/// An address is being asked. Who drops it leaves open what the address is like.
#[derive(Debug)]
pub(super) struct Asked {
    known: Arc<Known>,
    spot: Spot,
    began: Duration,
}

/// How long an address is waited for: for its own time, and not beyond that of all.
#[derive(Clone, Copy, Debug)]
struct Until {
    own: Instant,
    all: Instant,
}

/// Why an address could not be connected to.
#[derive(Debug)]
enum Unreached {
    /// Our own address cannot be used: says nothing of the other.
    Source(IpAddr, io::Error),
    /// We are out of something: nor does this.
    Ourselves(io::Error),
    /// It was not given the time that it may take: nor does this.
    Late,
    Failed(Failure, io::Error),
}

impl Known {
    pub(super) fn new(memory: HostMemory, seed: u64) -> Arc<Self> {
        Arc::new(Self { hosts: Mutex::new(Hosts::new(memory, seed)), origin: Instant::now() })
    }

    /// Its TLS handshake failed, where TLS was optional.
    pub(super) fn tls_failed(&self, address: SocketAddr) {
        self.lock().tls_failed(address, self.now());
    }

    /// Whether it is better spoken with in clear, where TLS is optional.
    pub(super) fn is_without_tls(&self, address: SocketAddr) -> bool {
        self.lock().is_without_tls(address, self.now())
    }

    fn ask(self: &Arc<Self>, spot: Spot) -> Result<Asked, Silence> {
        let began = self.now();
        match self.lock().ask(spot, began) {
            Answer::Go | Answer::Probe => Ok(Asked { known: Arc::clone(self), spot, began }),
            Answer::Wait(silence) => Err(silence),
        }
    }

    /// For people: since when, and until when.
    fn tell(&self, silence: Silence) -> String {
        let (now, wall) = (self.now(), UnixMicros::now());
        let since = shown(wall, silence.since, now);
        let until = shown(wall, silence.until.max(now), now);
        format!("not asked: {} (since {since}); asked again from {until} on", silence.how.as_str())
    }

    fn now(&self) -> Duration {
        self.origin.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, Hosts> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A time of ours on the wall's clock.
fn shown(wall: UnixMicros, at: Duration, now: Duration) -> String {
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let seconds = wall.0.saturating_add(micros(at)).saturating_sub(micros(now)) / 1_000_000;
    let at = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    at.map_or_else(|| "some time".to_owned(), |at| at.to_string())
}

impl Asked {
    pub(super) const fn address(&self) -> SocketAddr {
        self.spot.address
    }

    /// It answers, and has the TLS that was demanded, if any was.
    pub(super) fn reached(self) {
        self.known.lock().reached(self.spot);
    }

    /// It does not.
    pub(super) fn failed(self, how: Failure) {
        self.known.lock().failed(self.spot, self.began, self.known.now(), how);
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.known.lock().unsettled(self.spot);
    }
}

impl Ways {
    /// Which of our addresses speaks to a destination: always the same, since hosts that greylist remember it.
    pub(super) fn source(&self, site: &str, to: IpAddr) -> Option<IpAddr> {
        let fitting: Vec<_> = self.sources.iter().filter(|source| source.is_ipv4() == to.is_ipv4()).collect();
        let count = u64::try_from(fitting.len()).ok().filter(|count| *count > 0)?;
        let chosen = usize::try_from(fnv(site.as_bytes()).checked_rem(count)?).ok()?;
        fitting.get(chosen).copied().copied()
    }

    /// Connects to the first of these addresses that answers, and takes it and those that did not from the list. Says why by
    /// `missed` for each that was not to be had.
    ///
    /// RFC 8305 §5 in simple form: the next address is tried when one fails, or does not answer soon; the first that answers wins.
    pub(super) async fn reach(
        &self,
        host: &str,
        site: &str,
        demand: Option<u64>,
        left: &mut VecDeque<SocketAddr>,
        until: Instant,
        mut missed: impl FnMut(Word),
    ) -> Option<Reached> {
        let (mut under_way, mut dialled) = (JoinSet::new(), Vec::new());
        loop {
            if let Some(address) = self.next(host, demand, left, &mut missed) {
                let source = self.source(site, address.address().ip());
                let until = Until { own: Instant::now() + self.connect, all: until };
                dialled.push(address.address());
                under_way.spawn(connect(address, source, until));
            } else if under_way.is_empty() {
                return None;
            }
            tokio::select! {
                Some(joined) = under_way.join_next() => match joined {
                    Ok(Ok(reached)) => {
                        // Those that have only been slower may be asked yet.
                        let winner = reached.asked.address();
                        dialled.into_iter().filter(|address| *address != winner).for_each(|address| left.push_back(address));
                        return Some(reached);
                    }
                    Ok(Err((address, unreached))) => {
                        dialled.retain(|dialled| *dialled != address);
                        missed(word(host, address, unreached));
                    }
                    // It was neither aborted, nor does it panic.
                    Err(_) => {}
                },
                () = sleep(self.stagger), if !left.is_empty() => {}
            }
        }
    }

    /// The next address that may be asked.
    fn next(
        &self,
        host: &str,
        demand: Option<u64>,
        left: &mut VecDeque<SocketAddr>,
        missed: &mut impl FnMut(Word),
    ) -> Option<Asked> {
        loop {
            let address = left.pop_front()?;
            match self.known.ask(Spot::demanding(address, demand)) {
                Ok(asked) => return Some(asked),
                Err(silence) => {
                    let place = Place::at(host.to_owned(), address);
                    missed(place.found(silence.how.status(), self.known.tell(silence)));
                }
            }
        }
    }
}

async fn connect(asked: Asked, source: Option<IpAddr>, until: Until) -> Result<Reached, (SocketAddr, Unreached)> {
    let address = asked.address();
    match dial(address, source, until).await {
        Ok(stream) => {
            // Commands are written whole; waiting for more of them would only add a round trip.
            let _ = stream.set_nodelay(true);
            let link = Link { peer: Some(address), local: stream.local_addr().ok(), tls: None };
            Ok(Reached { stream, link, asked })
        }
        Err(unreached) => {
            if let Unreached::Failed(how, _) = unreached {
                asked.failed(how);
            }
            Err((address, unreached))
        }
    }
}

async fn dial(address: SocketAddr, source: Option<IpAddr>, until: Until) -> Result<TcpStream, Unreached> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    let socket = socket.map_err(Unreached::Ourselves)?;
    if let Some(source) = source {
        socket.bind(SocketAddr::new(source, 0)).map_err(|error| Unreached::Source(source, error))?;
    }
    match timeout_at(until.own.min(until.all), socket.connect(address)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(match failure(error.kind()) {
            Some(how) => Unreached::Failed(how, error),
            None => Unreached::Ourselves(error),
        }),
        Err(_) if until.all < until.own => Err(Unreached::Late),
        Err(_) => Err(Unreached::Failed(Failure::Timeout, io::ErrorKind::TimedOut.into())),
    }
}

/// What a failed connection says of the address; `None` where it says something of us.
fn failure(kind: io::ErrorKind) -> Option<Failure> {
    use io::ErrorKind::{ConnectionRefused, ConnectionReset, HostUnreachable, NetworkUnreachable, TimedOut};
    let kinds = [
        (ConnectionRefused, Failure::Refused),
        (ConnectionReset, Failure::Refused),
        (TimedOut, Failure::Timeout),
        (HostUnreachable, Failure::Unreachable),
        (NetworkUnreachable, Failure::Unreachable),
    ];
    kinds.into_iter().find_map(|(known, how)| (known == kind).then_some(how))
}

fn word(host: &str, address: SocketAddr, unreached: Unreached) -> Word {
    let place = Place::at(host.to_owned(), address);
    match unreached {
        Unreached::Source(source, error) => {
            tracing::error!(%source, %error, "mail cannot be sent from the configured address");
            place.found("4.3.5", format!("the source address {source} cannot be used: {error}"))
        }
        Unreached::Ourselves(error) => place.found("4.3.0", format!("cannot connect: {error}")),
        Unreached::Late => place.found("4.4.1", "cannot connect: the attempt has taken long enough".to_owned()),
        Unreached::Failed(_, error) => place.found("4.4.1", format!("cannot connect: {error}")),
    }
}

/// FNV-1a: the same in every process and every version, which Rust's own hasher does not promise.
fn fnv(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3))
}
