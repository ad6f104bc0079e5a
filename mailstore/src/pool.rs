//! A few threads for calls that may wait for a disk, and one that tells the time.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::error::Trouble;

type Job = Box<dyn FnOnce() + Send>;

/// Threads that run jobs in the order they came. There are never more than the limit; each is started when it is first
/// needed. Nobody may wait in a job for anything but the disk.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    limit: usize,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    closed: bool,
}

impl Pool {
    pub(crate) fn new(limit: usize) -> Self {
        Self { shared: Arc::default(), limit: limit.max(1) }
    }

    /// Runs a job and says what came of it. The job runs to its end also when nobody waits for it any more.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, Trouble>> + Send + 'static {
        let (sender, receiver) = oneshot::async_channel();
        self.start(move || {
            // Nobody may be waiting any more.
            let _ = sender.send(job());
        });
        async move { receiver.await.map_err(|_| Trouble::Unavailable) }
    }

    /// Starts a job that nobody waits for.
    pub(crate) fn start(&self, job: impl FnOnce() + Send + 'static) {
        let mut queue = self.shared.queue();
        queue.jobs.push_back(Box::new(job));
        if queue.idle >= queue.jobs.len() {
            self.shared.work.notify_one();
        } else if queue.threads < self.limit {
            let shared = Arc::clone(&self.shared);
            let spawned = thread::Builder::new().name("mailstore".to_owned()).spawn(move || shared.work());
            match spawned {
                Ok(_) => queue.threads += 1,
                // The threads that are there will come to it; without any, the job is dropped and so refused.
                Err(_) if queue.threads > 0 => {}
                Err(_) => drop(queue.jobs.pop_back()),
            }
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut queue = self.queue();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                drop(queue);
                // Who waits learns of a panic by the sender that is dropped; the thread goes on.
                let _ = catch_unwind(AssertUnwindSafe(job));
                queue = self.queue();
            } else if queue.closed {
                return;
            } else {
                queue.idle += 1;
                queue = self.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
                queue.idle -= 1;
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Not waited for: the last reference may be dropped in a job.
        self.shared.queue().closed = true;
        self.shared.work.notify_all();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// A thread that does small things at their time.
#[derive(Default)]
pub(crate) struct Timer {
    shared: Arc<Clock>,
}

#[derive(Default)]
struct Clock {
    alarms: Mutex<Alarms>,
    changed: Condvar,
}

#[derive(Default)]
struct Alarms {
    next: BinaryHeap<Reverse<Alarm>>,
    last: u64,
    running: bool,
    closed: bool,
}

struct Alarm {
    at: Instant,
    number: u64,
    ring: Job,
}

impl Timer {
    /// Waits. If no thread can be had it does not wait at all.
    pub(crate) fn sleep(&self, time: Duration) -> impl Future<Output = ()> + Send + 'static {
        let (sender, receiver) = oneshot::async_channel();
        self.after(time, move || {
            let _ = sender.send(());
        });
        async move {
            let _ = receiver.await;
        }
    }

    /// Does something later, if the timer lives as long. It must be short and not wait.
    pub(crate) fn after(&self, time: Duration, ring: impl FnOnce() + Send + 'static) {
        let mut alarms = self.shared.alarms();
        if !alarms.running {
            let shared = Arc::clone(&self.shared);
            let spawned = thread::Builder::new().name("mailstore-timer".to_owned()).spawn(move || shared.tick());
            alarms.running = spawned.is_ok();
        }
        if alarms.running {
            alarms.last += 1;
            let alarm = Alarm { at: Instant::now() + time, number: alarms.last, ring: Box::new(ring) };
            alarms.next.push(Reverse(alarm));
            self.shared.changed.notify_one();
        }
    }
}

impl Clock {
    fn alarms(&self) -> MutexGuard<'_, Alarms> {
        self.alarms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tick(&self) {
        let mut alarms = self.alarms();
        while !alarms.closed {
            let now = Instant::now();
            let wait = alarms.next.peek().map(|Reverse(alarm)| alarm.at.saturating_duration_since(now));
            match wait {
                Some(Duration::ZERO) => {
                    let due = alarms.next.pop();
                    drop(alarms);
                    if let Some(Reverse(alarm)) = due {
                        let _ = catch_unwind(AssertUnwindSafe(alarm.ring));
                    }
                    alarms = self.alarms();
                }
                Some(wait) => {
                    alarms = self.changed.wait_timeout(alarms, wait).unwrap_or_else(PoisonError::into_inner).0;
                }
                None => alarms = self.changed.wait(alarms).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let mut alarms = self.shared.alarms();
        alarms.closed = true;
        // Dropping an alarm wakes who waits for it.
        let left = std::mem::take(&mut alarms.next);
        drop(alarms);
        drop(left);
        self.shared.changed.notify_all();
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Timer")
    }
}

impl PartialEq for Alarm {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Alarm {}

impl PartialOrd for Alarm {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Alarm {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::testing::block_on;

    #[test]
    fn there_are_never_more_threads_than_allowed_and_all_jobs_run() {
        let pool = Pool::new(3);
        let jobs: Vec<_> = (0..100).map(|n| pool.run(move || n)).collect();
        let answers: Vec<_> = jobs.into_iter().map(|job| block_on(job).unwrap()).collect();
        assert_eq!(answers, (0..100).collect::<Vec<_>>());
        assert!(pool.shared.queue().threads <= 3);
    }

    #[test]
    fn a_panic_is_told_and_the_thread_goes_on() {
        let pool = Pool::new(1);
        let panics = pool.run(|| panic!("on purpose"));
        let after = pool.run(|| 7);
        assert!(matches!(block_on::<_>(panics), Err::<(), _>(Trouble::Unavailable)));
        assert_eq!(block_on(after).unwrap(), 7);
    }

    #[test]
    fn as_many_jobs_as_threads_run_at_once() {
        let pool = Pool::new(2);
        let (to_first, first) = mpsc::channel::<()>();
        let waits = pool.run(move || first.recv().is_ok());
        let wakes = pool.run(move || to_first.send(()).is_ok());
        assert!(block_on(waits).unwrap() && block_on(wakes).unwrap());
    }

    #[test]
    fn alarms_ring_in_order_of_their_time() {
        let timer = Timer::default();
        let (sender, receiver) = mpsc::channel();
        for millis in [30_u64, 10, 20] {
            let sender = sender.clone();
            timer.after(Duration::from_millis(millis), move || sender.send(millis).unwrap());
        }
        assert_eq!(receiver.iter().take(3).collect::<Vec<_>>(), [10, 20, 30]);
    }

    #[test]
    fn a_timer_that_goes_lets_sleepers_go() {
        let timer = Timer::default();
        let sleep = timer.sleep(Duration::from_secs(100_000));
        drop(timer);
        block_on(sleep);
    }
}
