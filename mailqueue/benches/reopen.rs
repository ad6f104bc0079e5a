//! A start with much mail: `cargo bench -p posthaste-mailqueue --bench reopen [-- DIRECTORY]`.
//!
//! Fills a log with a million messages of 200 octets, or `MESSAGES` of them, drops every handle without closing it, as a
//! crash of the process does, and opens it again; then reads how 100,000 of them stand, and counts memory.

#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use std::fs;
use std::time::Instant;

use futures_util::stream::{self, StreamExt};
use mailqueue::files::RealFiles;
use mailqueue::testing::block_on;
use mailqueue::{
    Destination, Detail, Draft, Envelope, Facts, LogConfig, LogSpool, MessageId, Note, Progress, Recipient, Spool,
    Synced, UnixMicros, Wake,
};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    // Cargo runs benches as tests too; then a few messages are enough to see that it works.
    let bench = std::env::args().any(|argument| argument == "--bench");
    let count = match std::env::var("MESSAGES") {
        Ok(count) => count.parse()?,
        Err(_) if bench => 1_000_000,
        Err(_) => 1000,
    };
    let place = match std::env::args().skip(1).find(|argument| !argument.starts_with("--")) {
        Some(directory) => tempfile::tempdir_in(directory)?,
        None => tempfile::tempdir_in(".")?,
    };
    let files = || RealFiles::new(place.path());
    let start = Instant::now();
    let (spool, _) = LogSpool::open(files()?, LogConfig::default())?;
    let fill = stream::iter(0..count).map(|number| one(&spool, number)).buffer_unordered(256);
    let failed = block_on(fill.filter(|done| std::future::ready(done.is_err())).count());
    println!("filled with {count} in {:.2?}, {failed} failed", start.elapsed());
    drop(spool);
    // The committer lets the lock go when it sees that nobody is left.
    std::thread::sleep(std::time::Duration::from_millis(100));

    let start = Instant::now();
    let (spool, report) = LogSpool::open(files()?, LogConfig::default())?;
    drop(block_on(spool.begin(MessageId::new(UnixMicros(1), 1), 2048))?);
    println!("open until begin: {:.2?}, {} messages in {} segments", start.elapsed(), report.messages, report.segments);
    println!("resident with names to be taken: {} MiB", resident()? >> 20);

    let start = Instant::now();
    let mut ids = Vec::new();
    loop {
        let taken = block_on(spool.take(10_000))?;
        if taken.is_empty() {
            break;
        }
        ids.extend(taken.into_iter().map(|taken| taken.id).take(100_000_usize.saturating_sub(ids.len())));
    }
    println!("all taken: {:.2?}", start.elapsed());
    println!("resident when they are taken: {} MiB", resident()? >> 20);
    let start = Instant::now();
    let good = block_on(spool.read(&ids)).into_iter().filter(Result::is_ok).count();
    println!("read how {good} stand: {:.2?}", start.elapsed());
    block_on(spool.close());
    Ok(())
}

async fn one(spool: &impl Spool, number: u64) -> Result<(), Failure> {
    let envelope = Envelope {
        sender: "alice@example.org".to_owned(),
        recipients: vec![Recipient {
            address: "bob@example.org".to_owned(),
            destination: Destination::remote("example.org"),
            parameters: Vec::new(),
        }],
        ..Envelope::default()
    };
    let id = MessageId::new(UnixMicros(number), 5);
    let mut draft = spool.begin(id, 200).await?;
    draft.write(&[b'x'; 200]).await?;
    drop(draft.commit(&envelope, None).await?);
    let (at, until) = (UnixMicros(number), UnixMicros(number + 1));
    let detail = Detail::from("450 4.2.0 come back later");
    let progress = Progress::Deferred { attempts: 1, at, until, detail };
    let wake = Wake::After { since: at, wait: std::time::Duration::from_secs(300) };
    Ok(spool.record(Facts { id, notes: vec![Note::Progress(vec![(0, progress)])], wake, synced: Synced::Now }).await?)
}

/// Memory of this process, in octets.
fn resident() -> Result<u64, Failure> {
    let pages = fs::read_to_string("/proc/self/statm")?;
    Ok(pages.split_whitespace().nth(1).unwrap_or_default().parse::<u64>()? * 4096)
}
