//! Proxies that say whom they speak for.

use mailstore::memory::MemoryStore;
use pop3_proto::PlaintextLogin;
use services::pop3::Pop3Options;

use super::case::{Case, LOGIN, options};

const PROXY: Option<&str> = Some("192.0.2.7:5000");
const STRANGER: Option<&str> = Some("198.51.100.1:5000");

/// Trusts one network; passwords need TLS. One address may fail once.
async fn trusting() -> Case<MemoryStore> {
    let trusted_proxies = vec!["192.0.2.0/28".parse().unwrap()];
    Case::with(Pop3Options { trusted_proxies, plaintext_login: PlaintextLogin::UnderTls, ..options() }).await
}

#[tokio::test]
async fn a_trusted_proxy_may_name_its_client_and_needs_no_tls() {
    let case = trusting().await;
    for introduction in ["XCLIENT ADDR=203.0.113.5 PORT=7 SESSION=x\r\n", "XOIP 203.0.113.5\r\n", ""] {
        let said = case.connect_from(PROXY).session(&format!("{introduction}{LOGIN}STAT\r\nQUIT\r\n")).await;
        assert!(said.starts_with("+OK [XCLIENT] ") && said.contains("+OK 3 "), "{said}");
    }
}

#[tokio::test]
async fn a_stranger_may_not() {
    let case = trusting().await;
    for peer in [STRANGER, Some("192.0.2.16:5000"), None] {
        let said = case.connect_from(peer).session("XCLIENT ADDR=203.0.113.5\r\nXOIP 203.0.113.5\r\nQUIT\r\n").await;
        assert_eq!(said.matches("-ERR ").count(), 2, "{said}");
        assert!(!said.contains("XCLIENT]"), "{said}");
        let said = case.connect_from(peer).session(&format!("{LOGIN}QUIT\r\n")).await;
        assert!(!said.contains("maildrop ready"), "{said}");
    }
}

#[tokio::test]
async fn limits_hold_for_the_client_and_not_for_the_proxy() {
    let case = trusting().await;
    let from = |client: &str, commands: &str| {
        let commands = format!("XCLIENT ADDR={client}\r\n{commands}QUIT\r\n");
        let connection = case.connect_from(PROXY);
        async move { connection.session(&commands).await }
    };
    let wrong = "USER nobody\r\nPASS wrong\r\n";
    assert!(from("203.0.113.5", wrong).await.contains("-ERR [AUTH] "));
    let said = from("203.0.113.5", LOGIN).await;
    assert!(said.contains("-ERR [SYS/TEMP] too many failed attempts"), "{said}");
    // By SASL too, which is told of the client as well.
    let said = from("203.0.113.5", "AUTH PLAIN AGJvYgBzZWNyZXQ=\r\n").await;
    assert!(said.contains("-ERR [SYS/TEMP] too many failed attempts"), "{said}");
    let said = from("203.0.113.6", LOGIN).await;
    assert!(said.contains("maildrop ready"), "{said}");
    let said = case.connect_from(PROXY).session(&format!("{LOGIN}QUIT\r\n")).await;
    assert!(said.contains("maildrop ready"), "the proxy itself has not failed: {said}");
}
