//! Killed in the middle of work, again and again: what was answered with 250 is delivered, once.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::beside::Over;
use crate::dialogue::Dialogue;
use crate::node::{ALICE, BOB, Node, PATIENCE, Site, metric};

const KILLS: usize = 20;

/// The longest life of a server from its start, which is some way into its work.
const LONGEST_LIFE: Duration = Duration::from_millis(700);

/// Connections that send by SMTP, and as many by LMTP straight into the store.
const SENDERS: usize = 3;

/// A message is this large, now and then.
const LARGE: usize = 100 * 1024;

/// Numbers that look random, and are the same for the same seed (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// Who sends what to whom: the message follows from its name alone.
struct Plan {
    id: String,
    recipients: &'static [(&'static str, &'static str)],
}

impl Plan {
    fn new(sender: &str, number: u64) -> Self {
        let recipients: &[_] = match number % 5 {
            0 => &[ALICE, BOB],
            1 | 2 => &[ALICE],
            _ => &[BOB],
        };
        Self { id: format!("{sender}.{number}"), recipients }
    }

    /// The whole message. Some have a body of many writes, all have lines that begin with dots.
    fn message(&self) -> Vec<u8> {
        let number: u64 = self.id.rsplit('.').next().and_then(|number| number.parse().ok()).unwrap();
        let size = if number % 10 == 3 { LARGE } else { 700 + (number % 7) as usize * 200 };
        let mut message = format!("X-Id: {}\r\nSubject: load\r\n\r\n", self.id).into_bytes();
        while message.len() < size {
            let line = format!("..{} {}\r\n{}\r\n", self.id, message.len(), "x".repeat(70));
            message.extend(line.as_bytes());
        }
        message
    }
}

/// Where a sender finds the server.
#[derive(Clone)]
enum Door {
    Smtp(SocketAddr),
    Lmtp(PathBuf),
}

/// What was promised: for each mailbox, the names of messages that were answered with 250.
type Promises = Mutex<Vec<(String, &'static str)>>;

#[test]
fn what_was_answered_with_250_survives_kills_and_arrives_once() {
    let seed = std::env::var("POSTHASTE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(seed_of_now);
    println!("POSTHASTE_SEED={seed} repeats these moments");
    let promises = Promises::default();
    let over = AtomicBool::new(false);

    let mut node = Site::new(&["--plaintext-auth", "--log=warn"]).start();
    let smtp = Door::Smtp(node.address("smtp"));
    let lmtp = Door::Lmtp(node.lmtp());
    node = thread::scope(|scope| {
        for number in 0..SENDERS {
            for (name, door) in [("smtp", &smtp), ("lmtp", &lmtp)] {
                let (promises, over) = (&promises, &over);
                scope.spawn(move || send(&format!("{name}{number}"), door, promises, over));
            }
        }
        let _over = Over(&over);
        let mut random = Random(seed);
        for _ in 0..KILLS {
            thread::sleep(Duration::from_millis(random.below(LONGEST_LIFE.as_millis() as u64)));
            node = node.kill().spawn();
        }
        node
    });
    node.wait_until_healthy();

    let promises = promises.into_inner().unwrap();
    println!("{KILLS} kills, {} messages answered with 250 (one for each mailbox)", promises.len());
    assert!(promises.len() > KILLS * 10, "too little was sent to prove anything: {}", promises.len());
    // Nothing waits for a retry: the first of those comes minutes after a failed attempt, and none has failed.
    wait_for_empty_queue(&node);
    for user in [ALICE, BOB] {
        let here = mailbox(&node, user).unwrap();
        let missing: Vec<_> =
            promises.iter().filter(|(id, to)| *to == user.0 && !here.contains_key(id)).map(|(id, _)| id).collect();
        let twice: Vec<_> = here.iter().filter(|(_, count)| **count > 1).collect();
        assert!(missing.is_empty() && twice.is_empty(), "{}: missing {missing:?}, not once {twice:?}", user.0);
    }
    node.stop();
}

fn seed_of_now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos().into()
}

/// Sends until it is over, over as many connections as it takes.
fn send(name: &str, door: &Door, promises: &Promises, over: &AtomicBool) {
    let mut number = 0;
    while !over.load(Ordering::Relaxed) {
        // The server is killed at any moment of this, so that any of it may fail.
        let _ = send_by_one_connection(name, door, promises, over, &mut number);
        thread::sleep(Duration::from_millis(10));
    }
}

fn send_by_one_connection(
    name: &str,
    door: &Door,
    promises: &Promises,
    over: &AtomicBool,
    number: &mut u64,
) -> io::Result<()> {
    let (mut dialogue, hello) = match door {
        Door::Smtp(address) => (Dialogue::tcp(*address)?, "EHLO client.example.net"),
        Door::Lmtp(path) => (Dialogue::unix(path)?, "LHLO client.example.net"),
    };
    dialogue.reply()?;
    dialogue.smtp(hello, "250")?;
    while !over.load(Ordering::Relaxed) {
        *number += 1;
        let plan = Plan::new(name, *number);
        let recipients: Vec<_> = plan.recipients.iter().map(|(address, _)| *address).collect();
        dialogue.transaction("load@example.net", &recipients, &plan.message())?;
        // SMTP answers once for all, LMTP once for each.
        match door {
            Door::Smtp(_) => {
                if dialogue.reply()?.starts_with("250") {
                    let mut promises = promises.lock().unwrap();
                    promises.extend(recipients.iter().map(|recipient| (plan.id.clone(), *recipient)));
                }
            }
            Door::Lmtp(_) => {
                for recipient in recipients {
                    if dialogue.reply()?.starts_with("250") {
                        promises.lock().unwrap().push((plan.id.clone(), recipient));
                    }
                }
            }
        }
    }
    Ok(())
}

fn wait_for_empty_queue(node: &Node) {
    let end = Instant::now() + PATIENCE;
    loop {
        let waiting = metric(node, "posthaste_queue_messages").unwrap();
        if waiting == 0.0 {
            return;
        }
        assert!(Instant::now() < end, "{waiting} messages are still in the queue");
        thread::sleep(Duration::from_millis(50));
    }
}

/// How often each message is in a mailbox. Each must be whole.
fn mailbox(node: &Node, user: (&str, &str)) -> io::Result<HashMap<String, usize>> {
    let mut pop3 = Dialogue::tcp(node.address("pop3"))?;
    pop3.pop3_login(user)?;
    let stat = pop3.pop3("STAT")?;
    let count: usize = stat.split(' ').nth(1).and_then(|count| count.parse().ok()).unwrap();
    let mut counts = HashMap::new();
    for number in 1..=count {
        pop3.pop3(&format!("RETR {number}"))?;
        let copy = pop3.pop3_body()?;
        let text = String::from_utf8_lossy(&copy);
        let id = text.lines().find_map(|line| line.strip_prefix("X-Id: ")).unwrap().to_owned();
        let (sender, number) = id.rsplit_once('.').unwrap();
        let sent = Plan::new(sender, number.parse().unwrap()).message();
        assert!(crate::message::is_copy(&copy, &sent), "{id} is not what was sent");
        *counts.entry(id).or_default() += 1;
    }
    pop3.pop3("QUIT")?;
    Ok(counts)
}
