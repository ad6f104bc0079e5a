//! Wakes tasks: the one piece of scheduling that a crate without a runtime needs.

use std::future::{Future, poll_fn};
use std::sync::{Mutex, PoisonError};
use std::task::{Poll, Waker};

/// Wakes everyone who waits for a condition, whenever it may have changed.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    waiting: Mutex<Vec<Waker>>,
}

impl Bell {
    /// Wakes all that wait. Call it after the condition changed, and not under the lock that guards the condition.
    pub(crate) fn ring(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Waits until the condition holds.
    pub(crate) fn when<'a>(&'a self, condition: impl Fn() -> bool + Send + 'a) -> impl Future<Output = ()> + Send + 'a {
        poll_fn(move |context| {
            if condition() {
                return Poll::Ready(());
            }
            self.register(context.waker());
            // The bell may have rung between the first look and the registration.
            if condition() { Poll::Ready(()) } else { Poll::Pending }
        })
    }

    fn register(&self, waker: &Waker) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if !waiting.iter().any(|known| known.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Context;

    use super::*;

    #[test]
    fn what_happens_between_the_look_and_the_wait_is_seen() {
        let (bell, looks) = (Bell::default(), AtomicU32::new(0));
        let mut wait = pin!(bell.when(|| looks.fetch_add(1, Ordering::Relaxed) > 0));
        assert!(wait.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    }
}
