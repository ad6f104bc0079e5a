//! Durable enqueues: `cargo bench -p posthaste-mailqueue [-- DIRECTORY]`.
//!
//! Tasks on two threads commit messages of 2 KB as fast as each is answered, and remove every other one. The first line is
//! a bare log for comparison: one thread that writes as much, to a file prepared with zeros, one sync for 16 messages.

#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};
use mailqueue::files::RealFiles;
use mailqueue::testing::block_on;
use mailqueue::{
    Destination, Draft, Envelope, Facts, LogConfig, LogSpool, MessageId, Note, Recipient, Spool, Synced, UnixMicros,
    Wake,
};

const BODY: usize = 2048;
const TIME: Duration = Duration::from_secs(2);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let place = match std::env::args().skip(1).find(|argument| !argument.starts_with("--")) {
        Some(directory) => tempfile::tempdir_in(directory)?,
        None => tempfile::tempdir_in(".")?,
    };
    // Cargo runs benches as tests too; then one round is enough to see that it works.
    let rounds = if std::env::args().any(|argument| argument == "--bench") { 3 } else { 0 };
    for round in 0..rounds {
        let directory = place.path().join(round.to_string());
        fs::create_dir(&directory)?;
        println!("bare log         16: {:>8.0}/s", bare(&directory, 16)?);
        for tasks in [1, 16, 64] {
            let spool = directory.join(tasks.to_string());
            let (rate, cpu) = enqueue(&spool, tasks)?;
            println!("durable enqueue {tasks:>3}: {rate:>8.0}/s  {cpu:>5.1} µs CPU each");
            fs::remove_dir_all(&spool)?;
        }
    }
    Ok(())
}

fn bare(directory: &Path, group: u64) -> io::Result<f64> {
    let file = File::create(directory.join("bare"))?;
    let batch = vec![b'x'; (BODY + 300) * group as usize];
    let size = 256 << 20;
    for offset in (0..size).step_by(1 << 20) {
        file.write_all_at(&vec![0; 1 << 20], offset)?;
    }
    file.sync_all()?;
    let (start, mut written) = (Instant::now(), 0);
    while start.elapsed() < TIME {
        file.write_all_at(&batch, written % (size - batch.len() as u64))?;
        file.sync_data()?;
        written += batch.len() as u64;
    }
    Ok(written as f64 / (BODY as f64 + 300.0) / start.elapsed().as_secs_f64())
}

fn enqueue(directory: &Path, tasks: u64) -> Result<(f64, f64), Box<dyn std::error::Error>> {
    let (spool, _) = LogSpool::open(RealFiles::new(directory)?, LogConfig::default())?;
    let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let before = cpu_time()?;
    let start = Instant::now();
    let threads = tasks.min(2);
    thread::scope(|scope| {
        for thread in 0..threads {
            let (spool, stop, count) = (&spool, &stop, &count);
            scope.spawn(move || {
                let tasks =
                    (thread..tasks).step_by(threads as usize).map(|task| enqueue_until(spool, task, stop, count));
                block_on(tasks.collect::<FuturesUnordered<_>>().count());
            });
        }
        thread::sleep(TIME);
        stop.store(true, Ordering::Relaxed);
    });
    let (count, time) = (count.load(Ordering::Relaxed) as f64, start.elapsed().as_secs_f64());
    let cpu = cpu_time()?.saturating_sub(before);
    block_on(spool.close());
    Ok((count / time, cpu.as_secs_f64() * 1e6 / count))
}

async fn enqueue_until(spool: &impl Spool, task: u64, stop: &AtomicBool, count: &AtomicU64) {
    let body = vec![b'x'; BODY];
    for number in 0.. {
        let id = MessageId::new(UnixMicros(number), task);
        if stop.load(Ordering::Relaxed) || one(spool, id, &body).await.is_err() {
            return;
        }
        count.fetch_add(1, Ordering::Relaxed);
    }
}

async fn one(spool: &impl Spool, id: MessageId, body: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    let envelope = Envelope {
        sender: "alice@example.org".to_owned(),
        recipients: vec![Recipient {
            address: "bob@example.org".to_owned(),
            destination: Destination::idempotent("local"),
            parameters: Vec::new(),
        }],
        ..Envelope::default()
    };
    let mut draft = spool.begin(id, body.len() as u64).await?;
    draft.write(body).await?;
    let custody = draft.commit(&envelope, None).await?;
    // Every other one goes at once, so that segments are emptied and used again as in a server's day.
    if id.time().0.is_multiple_of(2) {
        spool.take(64).await?;
        spool.record(Facts { id: custody.id(), notes: vec![Note::Done], wake: Wake::Now, synced: Synced::Now }).await?;
    }
    Ok(())
}

/// User and system time of this process so far.
fn cpu_time() -> io::Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}
