//! A connection that is cut, wherever that may be: each recipient comes out once, and nobody gets a message twice in one attempt.

use std::net::{Ipv4Addr, SocketAddr};

use services::outbound::{Couriers, Fate, Hop, Route, Security};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::session_sender::{carry, forgetful, target, targets, told};
use crate::session_server::Act::Say;
use crate::session_server::{Certificate, Manner, Server, listener};

const BOB: &str = "bob@far.example";
const NOBODY: &str = "nobody@far.example";

/// Where a line between two sides is cut.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// Behind so many octets from the client.
    FromClient(usize),
    /// Behind so many from the server.
    FromServer(usize),
}

/// Lets octets through to a server and back, and then cuts both ways.
async fn cutting(listener: TcpListener, server: SocketAddr, cut: Cut) {
    while let Ok((client, _)) = listener.accept().await {
        let server = TcpStream::connect(server).await.unwrap();
        let (up, down) = match cut {
            Cut::FromClient(octets) => (octets, usize::MAX),
            Cut::FromServer(octets) => (usize::MAX, octets),
        };
        tokio::spawn(async move {
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            tokio::select! {
                () = pass(from_client, to_server, up) => {}
                () = pass(from_server, to_client, down) => {}
            }
        });
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut octets: usize) {
    let mut buffer = [0; 4096];
    while octets > 0 {
        let room = octets.min(buffer.len());
        let Ok(read @ 1..) = from.read(&mut buffer[..room]).await else { break };
        if to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
        octets -= read;
    }
    // The other side has what was said before.
    let _ = to.shutdown().await;
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
}

/// Sends a message to two recipients by a host behind a cut line, with another host behind it that works. The first host knows one
/// of them only. Says whether the cut was felt.
async fn cut_at(couriers: &Couriers, manner: &Manner, security: Security, cut: Cut) -> bool {
    let first = Server::new(vec![manner.clone()]).await;
    let other = Server::new(vec![Manner { acts: Vec::new(), ..manner.clone() }]).await;
    let line = listener(Ipv4Addr::LOCALHOST.into()).await;
    let hosts = vec![target(line.local_addr().unwrap(), security.clone()), target(other.address, security)];
    let line = tokio::spawn(cutting(line, first.address, cut));
    let route = Route { first: Hop::to(targets(hosts)), fallback: None };
    let fates = carry(couriers, &route, &[BOB, NOBODY]).await;
    line.abort();
    assert_eq!(fates.len(), 2, "{cut:?}");
    let (firsts, others) = (first.book().messages, other.book().messages);
    let copies = |who: &str| {
        let has = |message: &&crate::session_server::Message| message.to.iter().any(|to| to == who);
        (firsts.iter().filter(has).count(), others.iter().filter(has).count())
    };
    for (fate, who) in fates.iter().zip([BOB, NOBODY]) {
        let copies = copies(who);
        match fate {
            Fate::Delivered { word, .. } => {
                assert_eq!(copies.0 + copies.1, 1, "{cut:?} {who}: {fates:?}");
                let told_by =
                    if copies.0 == 1 { hosts_port(&first, &fates, word.address) } else { other.address.port() };
                assert_eq!(word.address.unwrap().port(), told_by, "{cut:?} {who}");
            }
            Fate::Deferred { .. } => {
                assert!(
                    told(fate).ends_with("whether the server has taken the message is not known"),
                    "{cut:?}: {fates:?}"
                );
                assert_eq!(copies.1, 0, "{cut:?} {who}: who may have it is not given it by another");
            }
            Fate::Failed { .. } => {
                assert_eq!((who, told(fate).as_str(), copies), (NOBODY, "failed 550 nobody", (0, 0)), "{cut:?}");
            }
        }
    }
    other.connections() > 0 || fates.iter().any(|fate| matches!(fate, Fate::Deferred { .. }))
}

/// The first host is known by its line's port.
fn hosts_port(first: &Server, fates: &[Fate], address: Option<SocketAddr>) -> u16 {
    let address = address.unwrap();
    assert_ne!(address, first.address, "{fates:?}");
    address.port()
}

fn manner(offers: &[&'static str]) -> Manner {
    let acts = vec![("RCPT TO:<nobody", Say("550 5.1.1 nobody\r\n"))];
    Manner { offers: offers.to_vec(), acts, ..Manner::default() }
}

/// Cuts behind each octet in steps, until no cut is felt any more.
async fn cut_everywhere(manner: &Manner, security: &Security, step: usize) -> usize {
    let couriers = Couriers::new(forgetful());
    let mut felt = 0;
    for from_server in [false, true] {
        for octets in (0..).step_by(step) {
            let cut = if from_server { Cut::FromServer(octets) } else { Cut::FromClient(octets) };
            // What is said by QUIT is nothing to the message.
            if !cut_at(&couriers, manner, security.clone(), cut).await {
                break;
            }
            felt += 1;
            assert!(octets < 100_000);
        }
    }
    felt
}

#[tokio::test]
async fn cut_behind_each_octet_of_a_dialogue_in_groups() {
    let felt = cut_everywhere(&manner(&["PIPELINING", "ENHANCEDSTATUSCODES"]), &Security::Clear, 1).await;
    assert!(felt > 250, "{felt}");
}

#[tokio::test]
async fn cut_behind_each_octet_of_a_dialogue_command_by_command() {
    let felt = cut_everywhere(&manner(&["SIZE"]), &Security::Clear, 1).await;
    assert!(felt > 250, "{felt}");
}

#[tokio::test]
async fn cut_here_and_there_under_tls() {
    let manner = manner(&["PIPELINING"]).and_tls(&Certificate::of(&["mx.far.example"]));
    let felt = cut_everywhere(&manner, &Security::Encrypted, 23).await;
    assert!(felt > 50, "{felt}");
}
