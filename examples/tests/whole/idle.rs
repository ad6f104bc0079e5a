//! Ten thousand clients that say nothing.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::node::{ALICE, Node, PATIENCE, Site, metric};
use crate::program::skip;

const CONNECTIONS: usize = 10_000;

/// Descriptors that this process and the server need for everything else.
const OTHERS: usize = 500;

/// The most that the process may have in memory while all are connected.
const MEGABYTES: u64 = 200;

/// Connections from one address: as many as an office has.
const PER_ADDRESS: usize = 50;

#[test]
fn ten_thousand_idle_connections_cost_less_than_200_megabytes() {
    let allowed = descriptors();
    if allowed < CONNECTIONS + OTHERS {
        skip("10,000 idle connections", &format!("the system allows a process {allowed} descriptors only"));
        return;
    }
    let site = Site::new(&[]);
    let config = site.folder().join("limits.toml");
    let limits =
        format!("connections = {}\nconnections-per-address = {PER_ADDRESS}\nplaintext-auth = true\n", CONNECTIONS + 50);
    fs::write(&config, limits).unwrap();
    let node = site.with(&["--config", &config.display().to_string()]).start();

    let before = resident(node.pid());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let clients = runtime.block_on(connect_all(&node));
    let after = resident(node.pid());
    println!(
        "{} idle connections: {before} MB before, {after} MB with them, {} kB each",
        clients.len(),
        (after - before) * 1024 / clients.len() as u64
    );
    let open = metric(&node, "posthaste_connections").unwrap();
    assert!(open >= CONNECTIONS as f64, "only {open} are open");
    assert!(after < MEGABYTES, "{after} MB");
    drop(clients);
    node.stop();
}

/// A third of them each for IMAP, SMTP and POP3, each as far as clients go that keep a connection. Who may stay longest comes
/// first, so that the first are still there when the last come, on a machine however slow: IMAP has half an hour to idle,
/// SMTP five minutes, and POP3, where nobody logs in here because a maildrop has one session at a time, two minutes from its
/// greeting.
async fn connect_all(node: &Node) -> Vec<TcpStream> {
    let mut clients = Vec::with_capacity(CONNECTIONS);
    let login = format!("a LOGIN {} \"{}\"\r\n", ALICE.0, ALICE.1);
    let dialogues: [(&str, &[(&str, &str)]); 3] = [
        ("imap", &[("", "* OK"), (&login, "a OK"), ("b SELECT INBOX\r\n", "b OK"), ("c IDLE\r\n", "+")]),
        ("smtp", &[("", "220"), ("EHLO client.example.net\r\n", "250 ")]),
        ("pop3", &[("", "+OK"), ("CAPA\r\n", ".")]),
    ];
    for number in 0..CONNECTIONS {
        let address = number / PER_ADDRESS;
        let from = Ipv4Addr::new(127, 0, 1 + (address / 250) as u8, 1 + (address % 250) as u8);
        let (service, dialogue) = dialogues[number * dialogues.len() / CONNECTIONS];
        let client = connect(from, node.address(service), dialogue);
        clients.push(timeout(PATIENCE, client).await.unwrap_or_else(|_| panic!("{service} is silent")));
    }
    // What was only for the beginning of the last sessions may be given back.
    tokio::time::sleep(Duration::from_millis(500)).await;
    clients
}

/// Connects, and waits after each line until the server's answer has come to the line that begins so.
async fn connect(from: Ipv4Addr, to: SocketAddr, dialogue: &[(&str, &str)]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((IpAddr::V4(from), 0).into()).unwrap();
    let mut stream = BufReader::with_capacity(1024, socket.connect(to).await.unwrap());
    for (say, expected) in dialogue {
        stream.get_mut().write_all(say.as_bytes()).await.unwrap();
        let mut line = String::new();
        while !line.starts_with(expected) {
            line.clear();
            assert!(stream.read_line(&mut line).await.unwrap() > 0, "the server hung up on {from} after {say:?}");
        }
    }
    stream.into_inner()
}

/// Lets this process have as many descriptors as it may, and says how many.
fn descriptors() -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    maximum.map_or(usize::MAX, |maximum| usize::try_from(maximum).unwrap())
}

/// The megabytes that a process has in memory.
fn resident(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kilobytes: u64 = line.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    kilobytes / 1024
}
