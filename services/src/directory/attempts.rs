//! How often somebody may guess.
//!
//! Every failed login fills two buckets, that of the peer's address and that of the account named, and a bucket leaks
//! at a steady rate. The fuller the bucket, the longer the refusal is held back; when it is full, attempts are refused
//! unlooked at. An account that an address has logged in to before is judged there by a bucket of that pair instead: a
//! stranger's guesses do not lock the owner out, and a phone with an old password does not lock its office out.
//!
//! Names are counted whether an account has them or not, so that the limits do not tell who exists.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::recent::Recent;

/// How many failures are borne, and how long they count.
#[derive(Clone, Debug)]
pub struct AttemptLimits {
    /// Failures from one address (one /64 of IPv6) before it must wait. Large, for an office stands behind one address.
    pub per_address: u32,
    /// Failures on one account from addresses that never logged in to it.
    pub per_account: u32,
    /// Failures on one account from an address that did.
    pub per_pair: u32,
    /// How long it takes for one failure to be forgiven.
    pub forgiven_after: Duration,
    /// How long the first failure's answer is held back; each further one doubles it.
    pub first_delay: Duration,
    /// The longest that an answer is held back: shorter than clients wait for one.
    pub longest_delay: Duration,
    /// How long an address is known to belong to an account's owner after it was last seen.
    pub familiar_for: Duration,
    /// Buckets held, and as many known addresses. About 50 octets each.
    pub tracked: usize,
}

impl Default for AttemptLimits {
    fn default() -> Self {
        Self {
            per_address: 60,
            per_account: 20,
            per_pair: 20,
            forgiven_after: Duration::from_secs(30),
            first_delay: Duration::from_millis(250),
            longest_delay: Duration::from_secs(8),
            familiar_for: Duration::from_secs(7 * 24 * 3600),
            tracked: 65_536,
        }
    }
}

/// Counts failed logins; shared by all services of a process. Pure but for its lock: the caller brings the time.
#[derive(Debug)]
pub struct Attempts {
    limits: AttemptLimits,
    hasher: RandomState,
    table: Mutex<Table>,
}

/// An attempt that is refused without being looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// When it may be tried again.
    pub wait: Duration,
}

impl Attempts {
    /// Starts with nobody known.
    #[must_use]
    pub fn new(limits: AttemptLimits) -> Self {
        let fullest = limits.per_address.max(limits.per_account).max(limits.per_pair).saturating_add(1);
        let table = Table {
            buckets: Recent::new(limits.tracked, limits.forgiven_after.saturating_mul(fullest)),
            familiar: Recent::new(limits.tracked, limits.familiar_for),
        };
        Self { limits, hasher: RandomState::new(), table: Mutex::new(table) }
    }

    /// Asks whether an attempt may be looked at.
    ///
    /// # Errors
    /// [`Blocked`] while one of the buckets that would judge it is full.
    pub fn admit(&self, peer: Option<IpAddr>, name: &str, now: Instant) -> Result<(), Blocked> {
        let mut table = self.table();
        for (key, burst) in self.judges(&mut table, peer, name, now) {
            let Some(&mut empty_at) = table.buckets.find(&key, now) else { continue };
            let allowed = self.limits.forgiven_after.saturating_mul(burst.saturating_sub(1));
            let filled = empty_at.saturating_duration_since(now);
            if filled > allowed {
                return Err(Blocked { wait: filled - allowed });
            }
        }
        Ok(())
    }

    /// Counts a failure, and says how long its answer is to be held back. The delay depends on the failures before
    /// it only, not on why this one failed.
    pub fn failed(&self, peer: Option<IpAddr>, name: &str, now: Instant) -> Duration {
        let mut table = self.table();
        let mut most = Duration::ZERO;
        for (key, burst) in self.judges(&mut table, peer, name, now) {
            let before = table.buckets.find(&key, now).map_or(now, |empty_at| *empty_at).max(now);
            // A full bucket does not overflow: else many failures told at once would shut somebody out for days.
            let fullest = now + self.limits.forgiven_after.saturating_mul(burst.saturating_add(1));
            table.buckets.insert(key, (before + self.limits.forgiven_after).min(fullest), now);
            most = most.max(before - now);
        }
        self.delay(most)
    }

    /// Notes that this address belongs to the account's owner, and forgives what they got wrong there.
    pub fn succeeded(&self, peer: Option<IpAddr>, name: &str, now: Instant) {
        let Some(peer) = peer else { return };
        let pair = self.key(&(Kind::Pair, network(peer), name));
        let mut table = self.table();
        table.familiar.insert(pair, (), now);
        table.buckets.remove(&pair);
    }

    fn judges(&self, table: &mut Table, peer: Option<IpAddr>, name: &str, now: Instant) -> Vec<(u64, u32)> {
        let account = (self.key(&(Kind::Account, name)), self.limits.per_account);
        let Some(peer) = peer.map(network) else { return vec![account] };
        let pair = self.key(&(Kind::Pair, peer, name));
        if table.familiar.find(&pair, now).is_some() {
            return vec![(pair, self.limits.per_pair)];
        }
        vec![account, (self.key(&(Kind::Address, peer)), self.limits.per_address)]
    }

    fn delay(&self, filled: Duration) -> Duration {
        // A failure half forgiven still counts whole: else two of them seconds apart would never count as two.
        let failures = filled.as_millis().div_ceil(self.limits.forgiven_after.as_millis().max(1));
        let doublings = u32::try_from(failures).unwrap_or(u32::MAX).min(31);
        self.limits.first_delay.saturating_mul(1 << doublings).min(self.limits.longest_delay)
    }

    /// A keyed hash instead of the name itself: of a fixed size, and nobody outside can make two of them meet.
    fn key(&self, of: &impl Hash) -> u64 {
        self.hasher.hash_one(of)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing in there is half done when a panic leaves it.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each bucket is the moment when it will have leaked empty.
#[derive(Debug)]
struct Table {
    buckets: Recent<u64, Instant>,
    familiar: Recent<u64, ()>,
}

#[derive(Hash)]
enum Kind {
    Address,
    Account,
    Pair,
}

/// The address a limit is for. Whoever has one address of IPv6 has its /64.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts() -> Attempts {
        Attempts::new(AttemptLimits { per_address: 5, per_account: 3, per_pair: 3, ..AttemptLimits::default() })
    }

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn a_full_account_bucket_blocks_strangers_until_it_leaks() {
        let (attempts, now) = (attempts(), Instant::now());
        for n in 0..3 {
            let stranger = ip(&format!("192.0.2.{n}"));
            assert_eq!(attempts.admit(stranger, "alice", now), Ok(()));
            attempts.failed(stranger, "alice", now);
        }
        let Err(Blocked { wait }) = attempts.admit(ip("192.0.2.9"), "alice", now) else { panic!("not blocked") };
        assert_eq!(wait, Duration::from_secs(30));
        assert_eq!(attempts.admit(ip("192.0.2.9"), "bob", now), Ok(()));
        assert_eq!(attempts.admit(ip("192.0.2.9"), "alice", now + wait), Ok(()));
    }

    #[test]
    fn an_address_that_tries_many_names_is_blocked() {
        let (attempts, now) = (attempts(), Instant::now());
        for n in 0..5 {
            attempts.failed(ip("192.0.2.1"), &format!("user{n}"), now);
        }
        assert!(attempts.admit(ip("192.0.2.1"), "another", now).is_err());
        assert!(attempts.admit(ip("192.0.2.2"), "another", now).is_ok());
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_share_a_bucket() {
        let (attempts, now) = (attempts(), Instant::now());
        for n in 0..5 {
            attempts.failed(ip(&format!("2001:db8::{n}")), &format!("user{n}"), now);
        }
        assert!(attempts.admit(ip("2001:db8::ffff:1"), "another", now).is_err());
        assert!(attempts.admit(ip("2001:db8:0:1::1"), "another", now).is_ok());
    }

    #[test]
    fn a_stranger_does_not_lock_the_owner_out() {
        let (attempts, now) = (attempts(), Instant::now());
        attempts.succeeded(ip("192.0.2.1"), "alice", now);
        for _ in 0..50 {
            attempts.failed(ip("198.51.100.1"), "alice", now);
        }
        assert!(attempts.admit(ip("198.51.100.1"), "alice", now).is_err());
        assert!(attempts.admit(ip("192.0.2.1"), "alice", now).is_ok());
    }

    #[test]
    fn a_phone_with_an_old_password_does_not_lock_its_office_out() {
        let (attempts, now) = (attempts(), Instant::now());
        attempts.succeeded(ip("192.0.2.1"), "alice", now);
        for _ in 0..50 {
            attempts.failed(ip("192.0.2.1"), "alice", now);
        }
        assert!(attempts.admit(ip("192.0.2.1"), "alice", now).is_err());
        assert!(attempts.admit(ip("192.0.2.1"), "bob", now).is_ok());
    }

    #[test]
    fn the_delay_doubles_up_to_its_bound_and_sinks_again() {
        let (attempts, now) = (attempts(), Instant::now());
        let delays: Vec<_> = (0..4).map(|_| attempts.failed(None, "alice", now).as_millis()).collect();
        assert_eq!(delays, [250, 500, 1000, 2000]);
        let later = now + Duration::from_secs(3600);
        assert_eq!(attempts.failed(None, "alice", later).as_millis(), 250);
        assert_eq!(attempts.failed(None, "alice", later + Duration::from_secs(1)).as_millis(), 500);

        let patient = Attempts::new(AttemptLimits { per_account: 100, ..AttemptLimits::default() });
        let longest = (0..100).map(|_| patient.failed(None, "alice", now)).max().unwrap();
        assert_eq!(longest, AttemptLimits::default().longest_delay);
    }

    #[test]
    fn failures_told_at_once_do_not_block_for_days() {
        let (attempts, now) = (attempts(), Instant::now());
        for _ in 0..10_000 {
            attempts.failed(None, "alice", now);
        }
        assert!(attempts.admit(None, "alice", now + Duration::from_secs(30 * 4)).is_ok());
    }

    #[test]
    fn a_unix_socket_is_judged_by_the_account_alone() {
        let (attempts, now) = (attempts(), Instant::now());
        attempts.succeeded(None, "alice", now);
        for _ in 0..3 {
            attempts.failed(None, "alice", now);
        }
        assert!(attempts.admit(None, "alice", now).is_err());
    }
}
