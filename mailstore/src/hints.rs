//! Hints: word that something may have changed. They wake who waits; only `changes` says what happened.

use std::{
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Poll, Waker},
};

/// How many mailboxes one listener's unread hints may name; more become [`Hint::Account`]. Enough for a session that
/// watches a few, and a bound for one that never listens.
const PENDING_MAX: usize = 64;

/// Word that something may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// In this mailbox.
    Mailbox(Arc<str>),
    /// Anywhere in the account: its list of mailboxes, or more mailboxes than were worth naming.
    Account,
}

/// Where a store publishes hints for one account.
#[derive(Clone, Debug, Default)]
pub struct Hub {
    listeners: Arc<Mutex<Vec<Weak<Mutex<Pending>>>>>,
}

#[derive(Debug, Default)]
struct Pending {
    mailboxes: Vec<Arc<str>>,
    account: bool,
    waker: Option<Waker>,
}

impl Hub {
    /// Makes one that nobody listens to.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins to listen: what is published from now on will be heard.
    pub fn listen(&self) -> Hints {
        let pending = Arc::new(Mutex::default());
        let mut listeners = locked(&self.listeners);
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(Arc::downgrade(&pending));
        Hints { pending }
    }

    /// Whether anybody listens.
    pub fn is_heard(&self) -> bool {
        locked(&self.listeners).iter().any(|listener| listener.strong_count() > 0)
    }

    /// Tells all listeners. The same hint told twice before it is taken is taken once.
    pub fn publish(&self, hint: &Hint) {
        let listeners: Vec<_> = locked(&self.listeners).iter().filter_map(Weak::upgrade).collect();
        for listener in listeners {
            let waker = {
                let mut pending = locked(&listener);
                pending.add(hint);
                pending.waker.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl Pending {
    fn add(&mut self, hint: &Hint) {
        match hint {
            Hint::Account => self.account = true,
            Hint::Mailbox(name) if self.mailboxes.contains(name) => {}
            Hint::Mailbox(name) if self.mailboxes.len() < PENDING_MAX => self.mailboxes.push(Arc::clone(name)),
            Hint::Mailbox(_) => self.account = true,
        }
    }

    fn take(&mut self) -> Option<Hint> {
        if std::mem::take(&mut self.account) {
            self.mailboxes.clear();
            return Some(Hint::Account);
        }
        self.mailboxes.pop().map(Hint::Mailbox)
    }
}

/// One listener's stream of hints. It never ends.
#[derive(Debug)]
pub struct Hints {
    pending: Arc<Mutex<Pending>>,
}

impl Hints {
    /// Waits for the next hint. Dropping the future loses none.
    pub async fn next(&mut self) -> Hint {
        poll_fn(|cx| {
            let mut pending = locked(&self.pending);
            if let Some(hint) = pending.take() {
                return Poll::Ready(hint);
            }
            pending.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Takes the next hint if there is one.
    pub fn try_next(&mut self) -> Option<Hint> {
        locked(&self.pending).take()
    }
}

/// Locks, also after a panic elsewhere: what is guarded here is whole after every statement.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(name: &str) -> Hint {
        Hint::Mailbox(name.into())
    }

    #[test]
    fn a_hint_told_twice_is_taken_once() {
        let hub = Hub::new();
        let mut hints = hub.listen();
        hub.publish(&mailbox("a"));
        hub.publish(&mailbox("a"));
        assert_eq!(hints.try_next(), Some(mailbox("a")));
        assert_eq!(hints.try_next(), None);
        hub.publish(&mailbox("a"));
        assert_eq!(hints.try_next(), Some(mailbox("a")));
    }

    #[test]
    fn too_many_names_become_one_hint_for_all() {
        let hub = Hub::new();
        let mut hints = hub.listen();
        for n in 0..1000 {
            hub.publish(&mailbox(&n.to_string()));
        }
        assert_eq!(hints.try_next(), Some(Hint::Account));
        assert_eq!(hints.try_next(), None);
    }

    #[test]
    fn who_left_is_not_heard() {
        let hub = Hub::new();
        assert!(!hub.is_heard());
        let hints = hub.listen();
        assert!(hub.is_heard());
        drop(hints);
        assert!(!hub.is_heard());
    }
}
