//! Turns: one at a time, in the order they asked, and nobody blocks a thread while it waits.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Where turns are taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Turns(Arc<Mutex<Line>>);

#[derive(Debug, Default)]
struct Line {
    taken: bool,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Option<Turns>,
}

impl Turns {
    /// Waits for a turn. Dropping the future leaves the line.
    pub(crate) async fn take(&self) -> Turn {
        loop {
            let waiting = {
                let mut line = self.line();
                if !line.taken {
                    line.taken = true;
                    return Turn { turns: Some(self.clone()) };
                }
                let (sender, receiver) = oneshot::async_channel();
                line.waiting.push_back(sender);
                receiver
            };
            // A sender is not dropped unused; if it were, asking again is right.
            if let Ok(turn) = waiting.await {
                return turn;
            }
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(turns) = self.turns.take() else { return };
        loop {
            let next = {
                let mut line = turns.line();
                let Some(next) = line.waiting.pop_front() else {
                    line.taken = false;
                    return;
                };
                next
            };
            match next.send(Self { turns: Some(turns.clone()) }) {
                Ok(()) => return,
                // Who waited has left: the turn comes back, and is not passed on a second time when it is dropped.
                Err(error) => drop(error.into_inner().turns.take()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        sync::atomic::{AtomicUsize, Ordering},
        task::{Context, Waker},
        thread,
    };

    use super::*;
    use crate::testing::block_on;

    #[test]
    fn there_is_one_turn_at_a_time() {
        let (turns, inside, times) = (Turns::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let turn = block_on(turns.take());
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                        drop(turn);
                        times.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(times.into_inner(), 800);
    }

    #[test]
    fn who_leaves_the_line_does_not_hold_it_up() {
        let turns = Turns::default();
        let first = block_on(turns.take());
        let mut cx = Context::from_waker(Waker::noop());
        {
            let mut leaves = pin!(turns.take());
            assert!(leaves.as_mut().poll(&mut cx).is_pending());
        }
        let mut stays = pin!(turns.take());
        assert!(stays.as_mut().poll(&mut cx).is_pending());
        drop(first);
        drop(block_on(stays));
        drop(block_on(turns.take()));
    }

    #[test]
    fn a_turn_given_to_who_has_left_meanwhile_is_passed_on() {
        let turns = Turns::default();
        let first = block_on(turns.take());
        let mut cx = Context::from_waker(Waker::noop());
        {
            let mut leaves = pin!(turns.take());
            assert!(leaves.as_mut().poll(&mut cx).is_pending());
            drop(first);
            // The turn lies ready, and nobody comes for it.
        }
        drop(block_on(turns.take()));
    }
}
