//! A million deferred messages, and a start with them.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bench::space_of;
use mailqueue::{Batch, Filter, Outcome, QueueConfig, Recipient, Schedule, Transport, Trouble};
use rustix::fs::{Advice, fadvise};

use crate::enqueue::{Ours, body, enqueue};
use crate::{Extent, Plan, tell, told};

/// The word by which this program is asked to open a queue and to say how that went, as a server that starts would.
pub(crate) const REOPEN: &str = "reopen";

const OCTETS: usize = 2 << 10;
const TASKS: u64 = 64;

/// A next hop that takes nothing for now.
struct NotNow;

impl Transport for NotNow {
    async fn deliver(&self, batch: Batch) -> Vec<Outcome> {
        let reason = "the next hop takes nothing now".into();
        let outcome = Outcome::Deferred { reason, retry_after: None, class: Trouble::Message };
        vec![outcome; batch.recipients.len()]
    }

    async fn way_back(&self, _: &str) -> Option<Recipient> {
        None
    }
}

pub(crate) fn measure(plan: &Plan) {
    let messages = match plan.extent {
        Extent::Full => 1_000_000,
        Extent::Quick => 100_000,
    };
    let folder = plan.folder("million");
    println!("\n{messages} deferred messages of {OCTETS} octets, the crate alone");
    let filled = fill(&folder, messages);
    let space = space_of(&folder) as f64 / (messages * OCTETS as u64) as f64;
    println!("Taken and tried once in {:.1} s; {space:.2} octets of the disk for each octet.", filled.as_secs_f64());
    println!(
        "| a start | ready to take mail after, s | octets of memory a message | 100,000 listed in, ms |\n|---|--:|--:|--:|"
    );
    for memory in ["nothing in memory", "all in memory"] {
        tell(format_args!("million: a start with {memory}"));
        if memory == "nothing in memory" {
            forget(&folder);
        }
        let output = Command::new(std::env::current_exe().unwrap()).arg(REOPEN).arg(&folder).output().unwrap();
        told();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        println!("| {memory} | {}", String::from_utf8_lossy(&output.stdout));
    }
    fs::remove_dir_all(folder).unwrap();
}

fn fill(folder: &Path, messages: u64) -> Duration {
    // Nothing is due a second time while this goes on.
    let late = Schedule { first: Duration::from_secs(3600), ..Schedule::default() };
    let ours = Ours::open_with(folder, QueueConfig { schedule: late, ..QueueConfig::default() });
    let (body, left) = (Arc::new(body(OCTETS)), Arc::new(AtomicU64::new(messages)));
    let begin = Instant::now();
    ours.runtime.block_on(async {
        for _ in 0..TASKS {
            let (queue, body, left) = (ours.queue.clone(), Arc::clone(&body), Arc::clone(&left));
            tokio::spawn(async move {
                while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                    enqueue(&queue, &body).await;
                }
            });
        }
        let queue = ours.queue.clone();
        let run = tokio::spawn(async move { queue.run(NotNow).await });
        loop {
            let counters = ours.queue.counters();
            tell(format_args!("million: {} taken, {} deferred", counters.accepted, counters.deferred));
            if counters.deferred >= messages && counters.flying == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        ours.queue.drain();
        run.await.unwrap();
        ours.queue.close().await;
    });
    told();
    begin.elapsed()
}

/// Has the system forget what it keeps in memory of a folder's files.
fn forget(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            forget(&entry);
            continue;
        }
        let file = File::open(entry).unwrap();
        file.sync_all().unwrap();
        fadvise(&file, 0, None, Advice::DontNeed).unwrap();
    }
}

/// Opens the queue in a folder and prints the rest of a row.
pub(crate) fn reopened(folder: &Path) -> ExitCode {
    let before = resident();
    let begin = Instant::now();
    let ours = Ours::open(folder);
    let envelope = mailqueue::Envelope::default();
    drop(ours.runtime.block_on(ours.queue.begin(envelope)).unwrap());
    let ready = begin.elapsed();
    let memory = (resident() - before) as f64 / ours.queue.counters().messages as f64;
    let begin = Instant::now();
    let (mut listed, mut after) = (0, None);
    while listed < 100_000 {
        let page = ours.runtime.block_on(ours.queue.list(&Filter::default(), after, 1000)).unwrap();
        (listed, after) = (listed + page.entries.len(), page.next);
    }
    assert_eq!(listed, 100_000);
    let listed = begin.elapsed();
    print!("{:.2} | {memory:.0} | {:.0} |", ready.as_secs_f64(), listed.as_secs_f64() * 1e3);
    ExitCode::SUCCESS
}

/// Octets of this process that are in memory.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
