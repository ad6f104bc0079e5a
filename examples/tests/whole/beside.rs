//! What goes on beside a test, and ends with it, well or not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Says that a test is over when it is dropped, so also where the test fails: nobody waits for threads that go on.
pub(crate) struct Over<'a>(pub(crate) &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Does something again and again, with pauses, while the test runs.
pub(crate) fn beside<R>(pause: Duration, again: impl Fn() + Sync, test: impl FnOnce() -> R) -> R {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                again();
                thread::sleep(pause);
            }
        });
        let _over = Over(&over);
        test()
    })
}
