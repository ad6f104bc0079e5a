//! Durable deliveries into Maildirs: `cargo bench -p posthaste-mailstore [-- DIRECTORY]`.
//!
//! Threads deliver messages of 2 KB, each into its own mailbox or all into one, and wait for every answer.

#![allow(clippy::print_stdout, reason = "a benchmark prints")]

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use mailstore::{
    Account, Mailbox, NewMessage, Store, Writer,
    error::AppendError,
    maildir::{MaildirConfig, MaildirMailbox, MaildirStore},
    testing::block_on,
};

const TASKS: usize = 16;
const TIME: Duration = Duration::from_secs(3);

/// Who delivers where.
#[derive(Clone, Copy, Debug)]
enum Spread {
    EachTheirOwn,
    AllIntoOne,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let place = match std::env::args().skip(1).find(|argument| !argument.starts_with("--")) {
        Some(directory) => tempfile::tempdir_in(directory)?,
        None => tempfile::tempdir_in(".")?,
    };
    // Cargo runs benches as tests too; then a moment is enough to see that it works.
    let time = if std::env::args().any(|argument| argument == "--bench") { TIME } else { Duration::ZERO };
    for spread in [Spread::EachTheirOwn, Spread::AllIntoOne] {
        let rate = deliveries(&place.path().join(format!("{spread:?}")), spread, time)?;
        println!("{TASKS} tasks, {spread:?}: {rate:>7.0} deliveries/s");
    }
    Ok(())
}

fn deliveries(root: &Path, spread: Spread, time: Duration) -> Result<f64, Box<dyn std::error::Error>> {
    let store = MaildirStore::open(root, &MaildirConfig::default())?;
    let mut mailboxes = Vec::with_capacity(TASKS);
    for task in 0..TASKS {
        let name = match spread {
            Spread::EachTheirOwn => task,
            Spread::AllIntoOne => 0,
        };
        let account = block_on(store.open(&format!("user{name}@example.org")))?;
        mailboxes.push(block_on(account.open("INBOX"))?);
    }
    let start = Instant::now();
    let counts = thread::scope(|scope| {
        let tasks: Vec<_> = mailboxes.iter().map(|mailbox| scope.spawn(|| block_on(task(mailbox, time)))).collect();
        tasks.into_iter().map(|task| task.join().map_err(|_| "a task panicked")).collect::<Result<Vec<_>, _>>()
    })?;
    let sum: u32 = counts.into_iter().sum::<Result<u32, _>>()?;
    Ok(f64::from(sum) / start.elapsed().as_secs_f64())
}

async fn task(mailbox: &MaildirMailbox, time: Duration) -> Result<u32, AppendError> {
    let body = Bytes::from(b"This line is repeated until there are two kilobytes.\r\n".repeat(38));
    let (start, mut count) = (Instant::now(), 0);
    loop {
        let mut writer = mailbox.append(NewMessage::default()).await?;
        writer.write(body.clone()).await?;
        let _custody = writer.deliver().await?;
        count += 1;
        if start.elapsed() >= time {
            return Ok(count);
        }
    }
}
