//! Killed in the middle of work, again and again: what was answered with 250 is delivered, once. Of what leaves the house
//! the other side may get one more copy for each time that nobody wrote down its answer.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use mailqueue::QueueConfig;
use serde_json::Value;

use crate::beside::Over;
use crate::dialogue::Dialogue;
use crate::mailctl;
use crate::node::{ALICE, BOB, Node, PATIENCE, Site};

const KILLS: usize = 20;

/// The longest life of a server from its start, which is some way into its work.
const LONGEST_LIFE: Duration = Duration::from_millis(700);

/// The same where all that is sent is sent on, and every sender logs in anew after each kill.
const LONGEST_LIFE_OF_A_RELAY: Duration = Duration::from_millis(1500);

/// Somebody with a mailbox on another server.
const CAROL: (&str, &str) = ("carol@example.net", "elsewhere");

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

    /// The same for mail that leaves, all of it or a part.
    fn outward(sender: &str, number: u64) -> Self {
        let recipients: &[_] = if number.is_multiple_of(3) { &[BOB, CAROL] } else { &[CAROL] };
        Self { id: format!("{sender}.{number}"), recipients }
    }

    /// The whole message. Some have a body of many writes, all have lines that begin with dots.
    fn message(&self) -> Vec<u8> {
        let number: u64 = self.id.rsplit('.').next().and_then(|number| number.parse().ok()).unwrap();
        let size = if number % 10 == 3 { LARGE } else { 700 + (number % 7) as usize * 200 };
        // A user's mail gets a date and a name where it has none.
        let mut message = format!(
            "X-Id: {id}\r\nSubject: load\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{id}@load.example.org>\r\n\r\n",
            id = self.id
        )
        .into_bytes();
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
    /// As alice, with mail for somebody elsewhere.
    Submission(SocketAddr),
}

/// What was promised: for each mailbox, the names of messages that were answered with 250.
type Promises = Mutex<Vec<(String, &'static str)>>;

#[test]
fn what_was_answered_with_250_survives_kills_and_arrives_once() {
    let node = Site::new(&["--plaintext-auth", "--log=warn"]).start();
    let doors = [("smtp", Door::Smtp(node.address("smtp"))), ("lmtp", Door::Lmtp(node.lmtp()))];
    let (node, promises) = load_and_kill(node, &doors, LONGEST_LIFE);
    wait_for_empty_queue(&node);
    for user in [ALICE, BOB] {
        assert_all_arrived_once(&promises, user, &mailbox(&node, user).unwrap());
    }
    node.stop();
}

#[test]
fn what_was_answered_with_250_survives_kills_on_its_way_to_another_server() {
    let far = Node::start(&["--plaintext-auth", "--log=warn", "--user", &format!("{}:{}", CAROL.0, CAROL.1)]);
    let relay = far.address("smtp").to_string();
    let node = Site::new(&["--plaintext-auth", "--log=warn", "--relay", &relay, "--dnssec=off"]).start();
    let doors = [("submission", Door::Submission(node.address("submission")))];
    let (node, promises) = load_and_kill(node, &doors, LONGEST_LIFE_OF_A_RELAY);
    wait_for_empty_queue(&node);
    wait_for_empty_queue(&far);
    assert_all_arrived_once(&promises, BOB, &mailbox(&node, BOB).unwrap());
    let there = mailbox(&far, CAROL).unwrap();
    assert_eq!(missing(&promises, CAROL, &there), [""; 0]);
    // An attempt that ends without an outcome is written down before it begins; so many of them in a row hold a message.
    let QueueConfig { poison_after, per_destination, .. } = QueueConfig::default();
    let extra: usize = there.values().map(|copies| copies - 1).sum();
    println!("{extra} copies more than messages on the other side, of {}", there.len());
    let too_often: Vec<_> = there.iter().filter(|(_, copies)| **copies > 1 + poison_after as usize).collect();
    assert!(too_often.is_empty(), "{too_often:?}");
    assert!(extra <= KILLS * per_destination, "{extra} copies more than messages");
    node.stop();
    far.stop();
}

/// Kills a server, and starts it again, while mail comes in by all these doors; what was promised meanwhile.
fn load_and_kill(
    mut node: Node,
    doors: &[(&str, Door)],
    longest_life: Duration,
) -> (Node, Vec<(String, &'static str)>) {
    let seed = std::env::var("POSTHASTE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(seed_of_now);
    println!("POSTHASTE_SEED={seed} repeats these moments");
    let promises = Promises::default();
    let over = AtomicBool::new(false);
    node = thread::scope(|scope| {
        for number in 0..SENDERS {
            for (name, door) in doors {
                let (promises, over) = (&promises, &over);
                scope.spawn(move || send(&format!("{name}{number}"), door, promises, over));
            }
        }
        let _over = Over(&over);
        let (mut random, mut longest_life, mut before) = (Random(seed), longest_life, 0);
        for _ in 0..KILLS {
            thread::sleep(Duration::from_millis(random.below(longest_life.as_millis() as u64)));
            node = node.kill().spawn();
            let now = promises.lock().unwrap().len();
            if now == before {
                // On a busy machine a server takes longer to begin.
                longest_life += longest_life / 4;
            }
            before = now;
        }
        node
    });
    node.wait_until_healthy();
    let promises = promises.into_inner().unwrap();
    println!("{KILLS} kills, {} messages answered with 250 (one for each mailbox)", promises.len());
    assert!(promises.len() > KILLS * 10, "too little was sent to prove anything: {}", promises.len());
    (node, promises)
}

/// What was promised to a user and is not here.
fn missing<'a>(
    promises: &'a [(String, &'static str)],
    user: (&str, &str),
    here: &HashMap<String, usize>,
) -> Vec<&'a str> {
    let promised = promises.iter().filter(|(_, to)| *to == user.0).map(|(id, _)| id.as_str());
    promised.filter(|id| !here.contains_key(*id)).collect()
}

fn assert_all_arrived_once(promises: &[(String, &'static str)], user: (&str, &str), here: &HashMap<String, usize>) {
    let missing = missing(promises, user, here);
    let twice: Vec<_> = here.iter().filter(|(_, count)| **count > 1).collect();
    assert!(missing.is_empty() && twice.is_empty(), "{}: missing {missing:?}, not once {twice:?}", user.0);
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
    let mut dialogue = match door {
        Door::Smtp(address) | Door::Submission(address) => Dialogue::tcp(*address)?,
        Door::Lmtp(path) => Dialogue::unix(path)?,
    };
    let from = match door {
        Door::Smtp(_) => {
            dialogue.reply()?;
            dialogue.smtp("EHLO client.example.net", "250")?;
            "load@example.net"
        }
        Door::Lmtp(_) => {
            dialogue.reply()?;
            dialogue.smtp("LHLO client.example.net", "250")?;
            "load@example.net"
        }
        Door::Submission(_) => {
            dialogue.submission_login(ALICE)?;
            ALICE.0
        }
    };
    while !over.load(Ordering::Relaxed) {
        *number += 1;
        let plan = match door {
            Door::Smtp(_) | Door::Lmtp(_) => Plan::new(name, *number),
            Door::Submission(_) => Plan::outward(name, *number),
        };
        let recipients: Vec<_> = plan.recipients.iter().map(|(address, _)| *address).collect();
        dialogue.transaction(from, &recipients, &plan.message())?;
        // SMTP answers once for all, LMTP once for each.
        match door {
            Door::Smtp(_) | Door::Submission(_) => {
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

/// Waits until all that is queued has gone. A message during which the server died three times in a row is held, as it
/// may be what kills it, and one for others waits for its next time; whoever operates the server lets them go.
fn wait_for_empty_queue(node: &Node) {
    let end = Instant::now() + PATIENCE;
    loop {
        let queued = mailctl::list(node);
        if queued.is_empty() {
            return;
        }
        let fine = |message: &Value| message["state"] != "held" || message["why"] == "poison";
        assert!(queued.iter().all(fine), "{queued:#?}");
        for work in ["release", "retry"] {
            mailctl::queue_if_any(node, &[work, "--all", "--yes"]);
        }
        assert!(Instant::now() < end, "{} messages are still in the queue: {:#?}", queued.len(), queued.first());
        thread::sleep(Duration::from_millis(200));
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
