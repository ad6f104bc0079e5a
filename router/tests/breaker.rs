//! The breaker, by its steps and by its laws.
#![expect(clippy::unwrap_used, reason = "a test may fail")]

use core::time::Duration;

use proptest::prelude::*;
use router::{Breaker, BreakerLimits, Outcome, Refused};

const SECOND: Duration = Duration::from_secs(1);

fn breaker() -> Breaker {
    Breaker::new(BreakerLimits::default(), 1)
}

fn call(breaker: &mut Breaker, outcome: Outcome, now: Duration) {
    let pass = breaker.admit(now).unwrap();
    breaker.report(pass, outcome, now);
}

/// Fails until the breaker opens, and says when it may be asked again.
fn opened(breaker: &mut Breaker, now: Duration) -> Duration {
    while breaker.is_closed() {
        call(breaker, Outcome::Failed, now);
    }
    breaker.admit(now).unwrap_err().retry_at
}

#[test]
fn only_failures_in_a_row_open_it() {
    let mut breaker = breaker();
    for outcome in [Outcome::Failed, Outcome::Failed, Outcome::Answered, Outcome::Failed, Outcome::Failed] {
        call(&mut breaker, outcome, SECOND);
        assert!(breaker.is_closed());
    }
    call(&mut breaker, Outcome::Failed, SECOND);
    assert!(!breaker.is_closed());
}

#[test]
fn open_it_refuses_until_the_wait_is_over() {
    let mut breaker = breaker();
    let retry_at = opened(&mut breaker, SECOND);
    assert!(retry_at >= SECOND + SECOND / 2 && retry_at <= SECOND * 2, "{retry_at:?}");
    let before = retry_at - Duration::from_nanos(1);
    assert_eq!(breaker.admit(before).unwrap_err(), Refused { retry_at });
    assert!(breaker.admit(retry_at).is_ok());
}

#[test]
fn a_probe_that_is_answered_closes_it() {
    let mut breaker = breaker();
    let now = opened(&mut breaker, SECOND);
    let probe = breaker.admit(now).unwrap();
    assert_eq!(breaker.admit(now).unwrap_err().retry_at, now + BreakerLimits::default().probe);
    breaker.report(probe, Outcome::Answered, now);
    assert!(breaker.is_closed());
    // And it takes as many failures as ever to open it again.
    call(&mut breaker, Outcome::Failed, now);
    assert!(breaker.is_closed());
}

#[test]
fn each_failed_probe_doubles_the_wait_up_to_the_longest() {
    let mut breaker = breaker();
    let mut now = opened(&mut breaker, SECOND);
    for longest in [2, 4, 8, 16, 30, 30, 30] {
        call(&mut breaker, Outcome::Failed, now);
        let retry_at = breaker.admit(now).unwrap_err().retry_at;
        let (wait, longest) = (retry_at - now, SECOND * longest);
        assert!(wait >= longest / 2 && wait <= longest, "{wait:?} {longest:?}");
        now = retry_at;
    }
}

#[test]
fn a_probe_that_never_reports_is_followed_by_another() {
    let mut breaker = breaker();
    let now = opened(&mut breaker, SECOND);
    let lost = breaker.admit(now).unwrap();
    let later = breaker.admit(now).unwrap_err().retry_at;
    let probe = breaker.admit(later).unwrap();
    breaker.report(lost, Outcome::Failed, later);
    breaker.report(probe, Outcome::Answered, later);
    assert!(breaker.is_closed());
}

#[test]
fn a_call_from_before_it_opened_does_not_close_it() {
    let mut breaker = breaker();
    let slow = breaker.admit(SECOND).unwrap();
    opened(&mut breaker, SECOND);
    breaker.report(slow, Outcome::Answered, SECOND);
    assert!(!breaker.is_closed());
}

#[test]
fn seeds_keep_probes_out_of_step() {
    let retries: std::collections::BTreeSet<_> =
        (0..20).map(|seed| opened(&mut Breaker::new(BreakerLimits::default(), seed), SECOND)).collect();
    assert!(retries.len() > 10, "{retries:?}");
}

#[test]
fn the_ends_of_time_do_no_harm() {
    let limits =
        BreakerLimits { failures: 0, first_wait: Duration::MAX, longest_wait: Duration::MAX, probe: Duration::MAX };
    let mut breaker = Breaker::new(limits, u64::MAX);
    let now = opened(&mut breaker, SECOND);
    call(&mut breaker, Outcome::Failed, now);
    assert_eq!(breaker.admit(now).unwrap_err().retry_at, Duration::MAX);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// While it is not closed at most one call is out within the patience for a probe, and who is refused is told a
    /// time that lies ahead but not too far.
    #[test]
    fn one_probe_at_a_time(seed in any::<u64>(), steps in prop::collection::vec((0..4_u8, 0..4000_u64), 0..200)) {
        let limits = BreakerLimits::default();
        let mut breaker = Breaker::new(limits.clone(), seed);
        let mut now = Duration::ZERO;
        let mut out = Vec::new();
        let mut probe = None;
        for (number, (step, pause)) in steps.into_iter().enumerate() {
            now += Duration::from_millis(pause);
            match step {
                0 | 1 => match breaker.admit(now) {
                    Ok(pass) => {
                        if !breaker.is_closed() {
                            prop_assert!(probe.is_none_or(|(_, since)| now >= since + limits.probe));
                            probe = Some((number, now));
                        }
                        out.push((number, pass));
                    }
                    Err(Refused { retry_at }) => {
                        prop_assert!(!breaker.is_closed());
                        prop_assert!(retry_at > now && retry_at <= now + limits.longest_wait);
                    }
                },
                _ if out.is_empty() => {}
                outcome => {
                    let (number, pass) = out.remove(pause as usize % out.len());
                    breaker.report(pass, if outcome == 2 { Outcome::Answered } else { Outcome::Failed }, now);
                    probe = probe.filter(|(known, _)| *known != number);
                }
            }
        }
    }
}
