//! Durable enqueues of 2 KB by sixteen callers: our log beside fjall and redb, each behind one committer that shares syncs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use bench::{Case, compare};
use futures_executor::block_on;
use mailqueue::files::RealFiles;
use mailqueue::{Destination, Draft, Envelope, LogConfig, LogSpool, MessageId, Recipient, Spool, UnixMicros};

const CALLERS: usize = 16;
/// Messages of each caller in one turn of the bench.
const EACH: u64 = 200;

fn envelope() -> Envelope {
    let recipient = Recipient {
        address: "somebody@example.org".into(),
        destination: Destination::idempotent("store:local"),
        parameters: vec![],
    };
    Envelope { sender: "sender@client.example".into(), recipients: vec![recipient], ..Envelope::default() }
}

/// Random-looking text, so that no engine gains by compressing.
fn body() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    (0..2048)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            b'0' + (state % 64) as u8
        })
        .collect()
}

/// A message's name and octets, and who waits for it.
type Request = (u64, Vec<u8>, SyncSender<()>);

/// One thread that commits for all who wait, as a database behind a queue would be used.
fn committer(commit: impl Fn(Vec<(u64, Vec<u8>)>) + Send + 'static) -> SyncSender<Request> {
    let (sender, receiver): (_, Receiver<Request>) = sync_channel(CALLERS);
    thread::spawn(move || {
        while let Ok(first) = receiver.recv() {
            let mut batch = vec![first];
            while let Ok(more) = receiver.try_recv() {
                batch.push(more);
            }
            let (items, replies): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|(id, body, reply)| ((id, body), reply)).unzip();
            commit(items);
            replies.into_iter().for_each(|reply| reply.send(()).unwrap());
        }
    });
    sender
}

fn callers(enqueue: impl Fn() + Sync) -> u64 {
    thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| (0..EACH).for_each(|_| enqueue()));
        }
    });
    CALLERS as u64 * EACH
}

fn main() {
    let place = tempfile::tempdir_in(".").expect("a directory on a real disk");
    let body = body();
    let numbers = AtomicU64::new(0);

    let files = RealFiles::new(place.path().join("log")).unwrap();
    let (log, _) = LogSpool::open(files, LogConfig::default()).unwrap();
    let log = Arc::new(log);
    let ours = || {
        let enqueue = || {
            let id = MessageId::new(UnixMicros::now(), numbers.fetch_add(1, Ordering::Relaxed));
            block_on(async {
                let mut draft = log.begin(id, 0).await.unwrap();
                draft.write(&body).await.unwrap();
                let custody = draft.commit(&envelope(), None).await.unwrap();
                assert_eq!(custody.id(), id);
            });
        };
        callers(enqueue)
    };

    let database = redb::Database::create(place.path().join("redb")).unwrap();
    const TABLE: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("messages");
    let redb = committer(move |items| {
        let transaction = database.begin_write().unwrap();
        {
            let mut table = transaction.open_table(TABLE).unwrap();
            for (id, body) in &items {
                table.insert(id, body.as_slice()).unwrap();
            }
        }
        transaction.commit().unwrap();
    });

    let database = fjall::Database::builder(place.path().join("fjall")).open().unwrap();
    let keyspace = database.keyspace("messages", fjall::KeyspaceCreateOptions::default).unwrap();
    let fjall = committer(move |items| {
        let mut batch = database.batch();
        for (id, body) in items {
            batch.insert(&keyspace, id.to_be_bytes(), body);
        }
        batch.commit().unwrap();
        database.persist(fjall::PersistMode::SyncData).unwrap();
    });

    let peer = |sender: &SyncSender<Request>| {
        callers(|| {
            let (reply, answer) = sync_channel(1);
            sender.send((numbers.fetch_add(1, Ordering::Relaxed), body.clone(), reply)).unwrap();
            answer.recv().unwrap();
        })
    };
    let cases = vec![
        Case::new("posthaste LogSpool", ours),
        Case::new("fjall 3, batch + SyncData", || peer(&fjall)),
        Case::new("redb 4, immediate durability", || peer(&redb)),
    ];
    compare("Spool: durable enqueue of 2 KB, 16 callers", "message", 5, Duration::from_secs(1), cases);
}
