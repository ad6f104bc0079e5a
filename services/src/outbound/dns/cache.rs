//! Answers from DNS, for as long as they hold.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::{Answer, DnsFault, Kind};

/// Longest that an answer is believed, whatever its time to live: a mistake there must end some day (RFC 8767 §4).
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest that an absence is believed. RFC 2308 §5 suggests one to three hours.
pub(super) const NEGATIVE: Duration = Duration::from_secs(60 * 60);

/// How long a failure is remembered, so that a burst of mail asks once, and waits once (RFC 9520 §3.2: up to five minutes).
pub(super) const FAILURE: Duration = Duration::from_secs(30);

/// Bounded by the number of answers.
pub(super) struct Cache {
    answers: HashMap<(String, Kind), Kept>,
    entries: usize,
}

struct Kept {
    answer: Result<Answer, DnsFault>,
    until: Instant,
}

impl Cache {
    pub(super) fn new(entries: usize) -> Self {
        Self { answers: HashMap::new(), entries }
    }

    pub(super) fn look_up(&self, name: &str, kind: Kind, now: Instant) -> Option<Result<Answer, DnsFault>> {
        let kept = self.answers.get(&(name.to_owned(), kind))?;
        (now < kept.until).then(|| kept.answer.clone())
    }

    pub(super) fn keep(
        &mut self,
        name: &str,
        kind: Kind,
        answer: Result<Answer, DnsFault>,
        ttl: Duration,
        now: Instant,
    ) {
        let Some(until) = now.checked_add(ttl).filter(|_| !ttl.is_zero() && self.entries > 0) else { return };
        if self.answers.len() >= self.entries {
            self.make_room(now);
        }
        self.answers.insert((name.to_owned(), kind), Kept { answer, until });
    }

    /// Drops what is over, and if that is little, half of the rest: rare, and each answer can be had again.
    fn make_room(&mut self, now: Instant) {
        self.answers.retain(|_, kept| now < kept.until);
        if self.answers.len() > self.entries / 2 {
            let mut nth = 0_usize;
            self.answers.retain(|_, _| {
                nth += 1;
                nth.is_multiple_of(2)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Trust;
    use super::*;

    #[test]
    fn answers_are_kept_for_their_time_and_no_longer() {
        let (mut cache, start) = (Cache::new(10), Instant::now());
        let second = Duration::from_secs(1);
        cache.keep("a.example", Kind::A, Ok(Answer::NoData(Trust::Secure)), 10 * second, start);
        cache.keep("a.example", Kind::Mx, Err(DnsFault::Timeout), second, start);
        cache.keep("zero.example", Kind::A, Ok(Answer::NoData(Trust::Secure)), Duration::ZERO, start);
        assert_eq!(cache.look_up("a.example", Kind::A, start + 9 * second), Some(Ok(Answer::NoData(Trust::Secure))));
        assert_eq!(cache.look_up("a.example", Kind::Mx, start), Some(Err(DnsFault::Timeout)));
        assert_eq!(cache.look_up("a.example", Kind::A, start + 10 * second), None);
        assert_eq!(cache.look_up("a.example", Kind::Txt, start), None);
        assert_eq!(cache.look_up("zero.example", Kind::A, start), None);
    }

    #[test]
    fn there_are_never_more_answers_than_allowed() {
        let (mut cache, start) = (Cache::new(100), Instant::now());
        for number in 0..10_000_u64 {
            let (name, ttl) = (format!("{number}.example"), Duration::from_secs(1 + number % 7));
            let now = start + Duration::from_millis(number);
            cache.keep(&name, Kind::A, Ok(Answer::NoName(Trust::Insecure)), ttl, now);
            assert!(cache.answers.len() <= 100);
            assert!(cache.look_up(&name, Kind::A, now).is_some());
        }
        let mut none = Cache::new(0);
        none.keep("a", Kind::A, Err(DnsFault::Bogus), FAILURE, start);
        assert!(none.answers.is_empty());
    }
}
