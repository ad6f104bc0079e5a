//! Durable enqueues through the crate, beside the same octets appended to one file.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bench::{Cost, Costs, Meter, RawLog, Room, Who};
use mailqueue::files::RealFiles;
use mailqueue::{Clock, Destination, Envelope, LogConfig, LogSpool, Queue, QueueConfig, Recipient, Sleep, UnixMicros};
use tokio::runtime::Runtime;

use crate::{Plan, tell, told};

const SIZES: [usize; 2] = [2 << 10, 100 << 10];
const TASKS: [u64; 3] = [1, 16, 64];

pub(crate) fn measure(plan: &Plan) {
    println!("\nDurable enqueues, `Queue` on `LogSpool` beside one preallocated file ({:?} each)", plan.extent.turn());
    println!(
        "| octets | tasks | case | messages/s, median | min | max | of the raw disk | CPU µs/message | \
         to the disk/octet |\n|--:|--:|---|--:|--:|--:|--:|--:|--:|"
    );
    for octets in SIZES {
        let raw = RawLog::create(&plan.folder("raw").join("log"), Room::Prepared).unwrap();
        let body = Arc::new(body(octets));
        for tasks in TASKS {
            let folder = plan.folder("enqueue");
            let ours = Ours::open(&folder);
            let growing = RawLog::create(&folder.join("growing"), Room::Growing).unwrap();
            let mut sums = <[Costs; 3]>::default();
            for round in 0..=plan.extent.rounds() {
                tell(format_args!("enqueue: {octets} octets, {tasks} tasks, round {round}"));
                let turn = if round == 0 { plan.extent.turn() / 4 } else { plan.extent.turn() };
                let costs = [
                    metered(plan, || raw_turn(&raw, &body, tasks, turn)),
                    metered(plan, || raw_turn(&growing, &body, tasks, turn)),
                    metered(plan, || ours.turn(&body, tasks, turn)),
                ];
                // The first round warms up.
                if round > 0 {
                    sums.iter_mut().zip(costs).for_each(|(sum, cost)| sum.add(cost));
                }
            }
            told();
            let most = sums[0].rate().0;
            for (name, costs) in ["raw disk", "raw disk, a file that grows", "posthaste mailqueue"].iter().zip(sums) {
                let (median, least, greatest) = costs.rate();
                println!(
                    "| {octets} | {tasks} | {name} | {median:.0} | {least:.0} | {greatest:.0} | {:.2} | {:.1} | {:.2} |",
                    median / most,
                    costs.cpu(),
                    costs.device() / octets as f64,
                );
            }
            drop((ours, growing));
            fs::remove_dir_all(&folder).unwrap();
        }
    }
}

fn metered(plan: &Plan, work: impl FnOnce() -> u64) -> Cost {
    let meter = Meter::begin(Who::Us, &plan.device);
    let messages = work();
    meter.end(messages)
}

fn raw_turn(raw: &RawLog, body: &[u8], tasks: u64, turn: Duration) -> u64 {
    let (end, count) = (Instant::now() + turn, AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..tasks {
            scope.spawn(|| {
                while Instant::now() < end {
                    raw.append(body).unwrap();
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    count.into_inner()
}

/// The queue, and what its tasks run on.
pub(crate) struct Ours {
    pub(crate) runtime: Runtime,
    pub(crate) queue: Queue<LogSpool>,
}

impl Ours {
    pub(crate) fn open(folder: &Path) -> Self {
        Self::open_with(folder, QueueConfig::default())
    }

    pub(crate) fn open_with(folder: &Path, config: QueueConfig) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let files = RealFiles::new(folder.join("queue")).unwrap();
        let (spool, _) = LogSpool::open(files, LogConfig::default()).unwrap();
        let queue = runtime.block_on(Queue::open(spool, config, Arc::new(WallClock(Instant::now())))).unwrap();
        Self { runtime, queue }
    }

    fn turn(&self, body: &Arc<Vec<u8>>, tasks: u64, turn: Duration) -> u64 {
        let end = Instant::now() + turn;
        self.runtime.block_on(async {
            let tasks: Vec<_> = (0..tasks)
                .map(|_| {
                    let (queue, body) = (self.queue.clone(), Arc::clone(body));
                    tokio::spawn(async move {
                        let mut count = 0;
                        while Instant::now() < end {
                            enqueue(&queue, &body).await;
                            count += 1;
                        }
                        count
                    })
                })
                .collect();
            let mut count = 0;
            for task in tasks {
                count += task.await.unwrap();
            }
            count
        })
    }
}

/// One message, durable when this returns.
pub(crate) async fn enqueue(queue: &Queue<LogSpool>, body: &[u8]) {
    let recipient = Recipient {
        address: "somebody@dest.invalid".into(),
        destination: Destination::remote("relay:dest.invalid:25"),
        parameters: vec![],
    };
    let envelope = Envelope {
        sender: "sender@client.example".into(),
        recipients: vec![recipient],
        arrived: UnixMicros::now(),
        ..Envelope::default()
    };
    let mut incoming = queue.begin(envelope).await.unwrap();
    let id = incoming.id();
    incoming.write(body).await.unwrap();
    assert_eq!(incoming.commit().await.unwrap().id(), id);
}

/// Random-looking text, so that nothing gains by compressing.
pub(crate) fn body(octets: usize) -> Vec<u8> {
    let mut prng = bench::Prng::new(7);
    (0..octets).map(|_| b'0' + prng.below(64) as u8).collect()
}

#[derive(Debug)]
struct WallClock(Instant);

impl Clock for WallClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn wall(&self) -> UnixMicros {
        UnixMicros::now()
    }

    fn sleep_until(&self, at: Duration) -> Sleep {
        Box::pin(tokio::time::sleep_until((self.0 + at).into()))
    }
}
