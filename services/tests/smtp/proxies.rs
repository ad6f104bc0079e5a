//! Peers that say for whom they speak, and where a message was before.

use mailqueue::MemorySpool;
use services::net::Service;
use services::smtp::SmtpOptions;
use smtp_proto::PlaintextLogin;

use crate::node::{Node, Onward, options, transaction};

const PROXY: Option<&str> = Some("192.0.2.7:5000");
const STRANGERS: [Option<&str>; 3] = [Some("198.51.100.1:5000"), Some("192.0.2.16:5000"), None];
/// "\0alice\0secret", "\0alice\0wrong"
const LOGIN: &str = "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n";
const WRONG: &str = "AUTH PLAIN AGFsaWNlAHdyb25n\r\n";
const ALICE: &str = "alice@example.org";
const BOB: &str = "bob@example.org";

/// Trusts one network; passwords need TLS. One address may fail once.
async fn trusting() -> Node {
    let trusted_proxies = vec!["192.0.2.0/28".parse().unwrap()];
    let plaintext_login = PlaintextLogin::UnderTls;
    let options = SmtpOptions { trusted_proxies, plaintext_login, ..options("mail.example.org") };
    Node::with(MemorySpool::default(), options, &[ALICE, BOB], Onward::Relay("127.0.0.1:9".parse().unwrap())).await
}

async fn from_proxy<S: Service>(node: &Node, service: &S, text: &str) -> String {
    node.session_from(PROXY, service, text).await
}

#[tokio::test]
async fn all_servers_offer_it_to_trusted_peers_and_to_nobody_else() {
    let node = trusting().await;
    let [smtp, lmtp] = ["EHLO", "LHLO"].map(|hello| {
        format!("{hello} p.example\r\nXFORWARD ADDR=203.0.113.5\r\nXCLIENT ADDR=203.0.113.5\r\n{hello} c\r\nQUIT\r\n")
    });
    for said in [
        from_proxy(&node, &*node.mx, &smtp).await,
        from_proxy(&node, &*node.submission, &smtp).await,
        from_proxy(&node, &*node.lmtp, &lmtp).await,
    ] {
        assert_eq!(said.matches("XCLIENT NAME ADDR").count(), 2, "{said}");
        assert!(
            said.contains("\r\n250-XFORWARD NAME") && said.contains("\r\n250 2.0.0 noted\r\n220 mail.ex"),
            "{said}"
        );
    }
    for peer in STRANGERS {
        for said in [
            node.session_from(peer, &*node.mx, &smtp).await,
            node.session_from(peer, &*node.submission, &smtp).await,
            node.session_from(peer, &*node.lmtp, &lmtp).await,
        ] {
            assert!(!said.contains("-XCLIENT") && !said.contains(" XCLIENT") && !said.contains("XFORWARD"), "{said}");
            assert!(!said.contains("XHANDOVER") && said.matches("\r\n502 5.5.1 ").count() == 2, "{said}");
        }
    }
}

#[tokio::test]
async fn a_message_s_header_tells_the_client_and_not_the_proxy() {
    let node = trusting().await;
    let text = format!(
        "EHLO proxy.example\r\nXCLIENT ADDR=203.0.113.5 NAME=dns.example HELO=client.example\r\nEHLO proxy.example\r\n{}QUIT\r\n",
        transaction("a@b.example", &[ALICE], "S: 1\r\n\r\n")
    );
    let said = from_proxy(&node, &*node.mx, &text).await;
    assert!(said.contains("accepted as"), "{said}");
    let text = node.inbox_of(ALICE, 1).await.remove(0);
    assert!(text.contains("\r\nReceived: from client.example (dns.example [203.0.113.5])\r\n\tby mail."), "{text}");
    assert!(!text.contains("proxy"), "{text}");
}

#[tokio::test]
async fn an_origin_is_told_with_one_message_and_then_forgotten() {
    let node = trusting().await;
    let message = transaction("a@b.example", &[ALICE], "S: 1\r\n\r\n");
    let text = format!(
        "EHLO filter.example\r\nXFORWARD NAME=dns.example ADDR=203.0.113.5\r\nXFORWARD HELO=first.example PROTO=ESMTP\r\n\
         {message}{message}XFORWARD ADDR=203.0.113.6\r\nMAIL FROM:<a@b.example>\r\nRSET\r\n{message}QUIT\r\n"
    );
    let said = from_proxy(&node, &*node.mx, &text).await;
    assert_eq!(said.matches("accepted as").count(), 3, "{said}");
    let texts = node.inbox_of(ALICE, 3).await;
    let told: Vec<_> = texts.iter().filter(|text| text.contains("before that")).collect();
    assert_eq!(told.len(), 1, "{texts:?}");
    let received = "Received: from filter.example ([192.0.2.7])\r\n\t\
                    (before that: first.example (dns.example [203.0.113.5]) with ESMTP)\r\n\tby mail.example.org ";
    assert!(told[0].contains(received), "{}", told[0]);
}

#[tokio::test]
async fn who_has_logged_in_at_the_proxy_is_logged_in() {
    let node = trusting().await;
    for (login, from) in [("alice", ALICE), ("ALICE@example.org", ALICE), ("bob+40example.org", BOB)] {
        let text = format!(
            "EHLO p\r\nXCLIENT LOGIN={login} ADDR=203.0.113.5\r\nEHLO p\r\nMAIL FROM:<x@y.example>\r\n{}QUIT\r\n",
            transaction(from, &["stranger@elsewhere.example"], "S: 1\r\n\r\n")
        );
        let said = from_proxy(&node, &*node.submission, &text).await;
        assert!(said.contains("\r\n553 5.7.1 ") && said.contains("accepted as"), "{login}: {said}");
    }
}

#[tokio::test]
async fn who_is_not_known_here_is_turned_away() {
    let node = trusting().await;
    for login in ["carol@example.org", "carol", "+C3+28", "alice@example.com"] {
        let text = format!("EHLO p\r\nXCLIENT LOGIN={login}\r\nEHLO p\r\nMAIL FROM:<{ALICE}>\r\nQUIT\r\n");
        let said = from_proxy(&node, &*node.submission, &text).await;
        let refusals = said.split("\r\n").filter(|line| line.starts_with('5')).count();
        assert!(refusals == 3 && !said.contains("sender ok"), "{login}: {said}");
    }
}

#[tokio::test]
async fn another_client_does_not_inherit_a_login() {
    let node = trusting().await;
    let text = format!(
        "EHLO p\r\n{LOGIN}XCLIENT ADDR=203.0.113.5\r\nEHLO p\r\nMAIL FROM:<{ALICE}>\r\n\
         XCLIENT LOGIN=alice\r\nEHLO p\r\nXCLIENT LOGIN=[UNAVAILABLE]\r\nEHLO p\r\nMAIL FROM:<{ALICE}>\r\nQUIT\r\n"
    );
    let said = from_proxy(&node, &*node.submission, &text).await;
    assert!(said.contains("\r\n235 ") && said.matches("\r\n530 5.7.0 ").count() == 2, "{said}");
    // Nor does a relay for strangers come of it.
    let text = format!(
        "EHLO p\r\nXCLIENT LOGIN=alice\r\nEHLO p\r\nXCLIENT LOGIN=[UNAVAILABLE]\r\nEHLO p\r\nMAIL FROM:<{ALICE}>\r\n\
         RCPT TO:<stranger@elsewhere.example>\r\nQUIT\r\n"
    );
    let said = from_proxy(&node, &*node.mx, &text).await;
    assert!(said.contains("\r\n550 5.7.1 relaying is not allowed\r\n"), "{said}");
}

#[tokio::test]
async fn a_proxy_s_passwords_need_no_tls_and_limits_hold_for_its_client() {
    let node = trusting().await;
    let from = async |client: &str, login: &str| {
        let text = format!("EHLO p\r\nXCLIENT ADDR={client}\r\nEHLO p\r\n{login}QUIT\r\n");
        from_proxy(&node, &*node.submission, &text).await
    };
    assert!(from("203.0.113.5", WRONG).await.contains("\r\n535 5.7.8 "));
    let said = from("203.0.113.5", LOGIN).await;
    assert!(said.contains("\r\n454 4.7.0 too many failed attempts"), "{said}");
    assert!(from("203.0.113.6", LOGIN).await.contains("\r\n235 "));
    let said = from_proxy(&node, &*node.submission, &format!("EHLO p\r\n{LOGIN}QUIT\r\n")).await;
    assert!(said.contains("\r\n235 "), "the proxy itself has not failed: {said}");
    for peer in STRANGERS {
        let said = node.session_from(peer, &*node.submission, &format!("EHLO c\r\n{LOGIN}QUIT\r\n")).await;
        assert!(said.contains("\r\n538 5.7.11 "), "{said}");
    }
}
