//! Whole POP3 servers side by side: ours and Debian's Dovecot, each on its own copy of the same maildrops. With a word,
//! as in `cargo bench --bench pop3_server -- RETR`, only what has it in its title.

use std::fs;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::{Duration, Instant};

use bench::{
    Case, Dovecot, Maildrop, PASSWORD, Place, Pop3Client, Pop3Server, Setup, compare, dovecot_missing, single_node,
};

/// Messages in the large maildrop.
const MESSAGES: u64 = 10_000;

/// The user who has it.
const BIG: &str = "big@example.org";

/// Connections that log in at the same time, each as a user of its own: a maildrop is locked.
const PARALLEL: u64 = 8;

/// Logins of a connection's user before the other server may have its turn.
const LOGINS: u64 = 10;

/// Sessions that idle at the same time.
const IDLE: u64 = 500;

/// Messages fetched before the other server has its turn.
const PORTION: u64 = 500;

const FIRST: &str = "The first login ever, and STAT";

const WAITING: &str = "Users who are in and do nothing";

const ROUNDS: usize = 5;
const TURN: Duration = Duration::from_secs(1);

fn main() {
    let folder = tempfile::tempdir().unwrap();
    // Dovecot's users have to get through.
    fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let ours = Place::ours(folder.path().join("ours"));
    fill(&ours);
    let dovecots = match dovecot_missing() {
        Some(why) => {
            println!("{why}; ours runs alone.");
            None
        }
        None => Some(Place::dovecots(folder.path().join("dovecots"))),
    };
    dovecots.iter().for_each(fill);

    let servers = start(&ours, dovecots.as_ref());
    // The setups of Dovecot differ in how sessions begin and end. What happens within one is measured once.
    let two = &servers[..servers.len().min(2)];
    if is_wanted(FIRST) {
        first_login(two);
        same_mail(two);
    }
    logins(&servers);
    listings(two);
    fetches(two, "RETR of all, one by one", |client, numbers| {
        numbers.map(|number| client.octets(&format!("RETR {number}"))).sum()
    });
    fetches(two, "RETR of all, pipelined", |client, numbers| {
        client.pipelined(numbers, |number| format!("RETR {number}"))
    });
    fetches(two, "TOP n 0 of all, pipelined", |client, numbers| {
        client.pipelined(numbers, |number| format!("TOP {number} 0"))
    });
    // Servers that are fresh: memory that earlier work has left over would be used again.
    drop(servers);
    if is_wanted(WAITING) {
        idle(&start(&ours, dovecots.as_ref()));
    }
}

fn start(ours: &Place, dovecots: Option<&Place>) -> Vec<Box<dyn Pop3Server>> {
    let mut servers: Vec<Box<dyn Pop3Server>> = vec![Box::new(single_node(ours))];
    for setup in [Setup::KeptAndLocked, Setup::Kept, Setup::Shipped] {
        servers.extend(dovecots.map(|place| Box::new(Dovecot::start(place, setup)) as Box<dyn Pop3Server>));
    }
    servers
}

fn fill(place: &Place) {
    place.add("big", Maildrop { messages: MESSAGES });
    (0..PARALLEL).for_each(|number| place.add(&format!("small{number}"), Maildrop { messages: 1 }));
    (0..IDLE).for_each(|number| place.add(&format!("idle{number}"), Maildrop { messages: 1 }));
}

/// The first login of all: nothing was ever read, nothing is remembered, no UID is given.
fn first_login(servers: &[Box<dyn Pop3Server>]) {
    println!("\n{FIRST} (once, {MESSAGES} messages)");
    println!("| case | ms | CPU ms |\n|---|--:|--:|");
    for server in servers {
        let (begin, cpu) = (Instant::now(), server.processes().cpu());
        let mut client = Pop3Client::login(server.address(), BIG, PASSWORD);
        assert_eq!(client.stat().messages, MESSAGES);
        let (time, cpu) = (begin.elapsed(), server.processes().cpu() - cpu);
        println!("| {} | {} | {} |", server.name(), time.as_millis(), cpu.as_millis());
        client.quit();
    }
}

/// That both servers say the same: the sizes, and the messages to the last octet.
fn same_mail(servers: &[Box<dyn Pop3Server>]) {
    let said = |server: &dyn Pop3Server| {
        let mut client = Pop3Client::login(server.address(), BIG, PASSWORD);
        let digests: Vec<_> = (1..=MESSAGES).map(|number| client.digest(number)).collect();
        let said = (client.stat(), client.count_lines("LIST"), client.count_lines("UIDL"), digests);
        client.quit();
        said
    };
    let first = said(&*servers[0]);
    assert_eq!((first.0.messages, first.1, first.2), (MESSAGES, MESSAGES, MESSAGES));
    println!("\n{} messages, {} octets", first.0.messages, first.0.octets);
    for server in &servers[1..] {
        assert!(said(&**server) == first, "{} does not have the same mail", server.name());
        println!("{} gives the same, message by message.", server.name());
    }
}

fn logins(servers: &[Box<dyn Pop3Server>]) {
    each(servers, "Connect, USER, PASS, QUIT; one message; one connection after another", "login", |server| {
        Case::at(server, || {
            (0..LOGINS).for_each(|_| log_in_and_out(server.address(), "small0@example.org"));
            LOGINS
        })
    });
    let title = format!("The same, {PARALLEL} connections at a time");
    each(servers, &title, "login", |server| {
        let address = server.address();
        Case::at(server, move || {
            thread::scope(|scope| {
                for number in 0..PARALLEL {
                    let user = format!("small{number}@example.org");
                    scope.spawn(move || (0..LOGINS).for_each(|_| log_in_and_out(address, &user)));
                }
            });
            LOGINS * PARALLEL
        })
    });
    let title = format!("Connect, USER, PASS, STAT, QUIT; {MESSAGES} messages");
    each(servers, &title, "login", |server| {
        Case::at(server, || {
            let mut client = Pop3Client::login(server.address(), BIG, PASSWORD);
            assert_eq!(client.stat().messages, MESSAGES);
            client.quit();
            1
        })
    });
}

fn log_in_and_out(address: SocketAddr, user: &str) {
    Pop3Client::login(address, user, PASSWORD).quit();
}

fn listings(servers: &[Box<dyn Pop3Server>]) {
    for command in ["STAT", "UIDL", "LIST"] {
        let title = format!("{command} of {MESSAGES} messages, in a session");
        each(servers, &title, "answer", |server| {
            let mut client = Pop3Client::login(server.address(), BIG, PASSWORD);
            Case::at(server, move || {
                let messages = match command {
                    "STAT" => client.stat().messages,
                    _ => client.count_lines(command),
                };
                assert_eq!(messages, MESSAGES);
                1
            })
        });
    }
}

/// Fetches messages in portions, from the first to the last and over again.
fn fetches(servers: &[Box<dyn Pop3Server>], title: &str, fetch: impl Fn(&mut Pop3Client, RangeInclusive<u64>) -> u64) {
    if !is_wanted(title) {
        return;
    }
    let portion = |at: usize| at as u64 * PORTION + 1..=(at as u64 + 1) * PORTION;
    let mut octets: Option<Vec<u64>> = None;
    let mut clients = Vec::new();
    for server in servers {
        let mut client = Pop3Client::login(server.address(), BIG, PASSWORD);
        let all: Vec<_> = (0..(MESSAGES / PORTION) as usize).map(|at| fetch(&mut client, portion(at))).collect();
        assert_eq!(octets.get_or_insert(all.clone()), &all, "{} sends something else", server.name());
        clients.push(client);
    }
    let octets = octets.unwrap_or_default();
    let cases = servers.iter().zip(clients).map(|(server, mut client)| {
        let mut order = (0..octets.len()).cycle();
        let (fetch, octets) = (&fetch, &octets);
        Case::at(&**server, move || {
            let at = order.next().unwrap();
            assert_eq!(fetch(&mut client, portion(at)), octets[at]);
            PORTION
        })
    });
    compare(title, "message", ROUNDS, TURN, cases.collect());
}

fn is_wanted(title: &str) -> bool {
    // Cargo adds options of its own.
    std::env::args().skip(1).find(|argument| !argument.starts_with('-')).is_none_or(|word| title.contains(&word))
}

/// What sessions cost that only wait.
fn idle(servers: &[Box<dyn Pop3Server>]) {
    println!("\n{WAITING} ({IDLE} of them)");
    println!("| case | KB/session | processes |\n|---|--:|--:|");
    for server in servers {
        let (memory, processes) = (server.processes().memory(), server.processes().count());
        let user = |number| format!("idle{number}@example.org");
        let sessions: Vec<_> =
            (0..IDLE).map(|number| Pop3Client::login(server.address(), &user(number), PASSWORD)).collect();
        let more = server.processes().memory().saturating_sub(memory);
        let grown = server.processes().count() - processes;
        println!("| {} | {:.1} | +{grown} |", server.name(), more as f64 / 1024.0 / IDLE as f64);
        sessions.into_iter().for_each(Pop3Client::quit);
    }
}

fn each<'a>(
    servers: &'a [Box<dyn Pop3Server>],
    title: &str,
    unit: &str,
    case: impl Fn(&'a dyn Pop3Server) -> Case<'a>,
) {
    if !is_wanted(title) {
        return;
    }
    compare(title, unit, ROUNDS, TURN, servers.iter().map(|server| case(&**server)).collect());
}
