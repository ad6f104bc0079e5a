//! Running a future on the thread that wants its result.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

struct Unpark {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Runs a future to its end; the thread sleeps while it waits.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let unpark = Arc::new(Unpark { thread: thread::current(), woken: AtomicBool::new(true) });
    let waker = Waker::from(Arc::clone(&unpark));
    let mut context = Context::from_waker(&waker);
    loop {
        while !unpark.woken.swap(false, Ordering::Acquire) {
            thread::park();
        }
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

/// How [`settle`] left a future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled<T> {
    /// It ended.
    Done(T),
    /// It waits for something that is not going to happen by itself.
    Waiting,
}

/// Polls a future until it ends, or waits without having been woken. It does not sleep: with a spool that answers at once
/// and a virtual clock, what is left to wait for is time.
pub fn settle<T>(mut future: Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Settled<T> {
    let unpark = Arc::new(Unpark { thread: thread::current(), woken: AtomicBool::new(true) });
    let waker = Waker::from(Arc::clone(&unpark));
    let mut context = Context::from_waker(&waker);
    while unpark.woken.swap(false, Ordering::Acquire) {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return Settled::Done(value);
        }
    }
    Settled::Waiting
}
