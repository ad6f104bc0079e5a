//! APOP (RFC 1939 §7).

use mailstore::memory::MemoryStore;
use pop3_proto::{Digest, PlaintextLogin, Timestamp};
use services::pop3::{ApopLogin, Pop3Options};

use super::case::{Case, Client, LOGIN, options};

async fn offered() -> Case<MemoryStore> {
    let plaintext_login = PlaintextLogin::UnderTls;
    Case::with(Pop3Options { apop: ApopLogin::Offered, plaintext_login, ..options() }).await
}

async fn greeted(case: &Case<MemoryStore>) -> (Client, Timestamp) {
    let mut client = case.connect();
    let greeting = client.line().await;
    let timestamp = Timestamp::parse(greeting.rsplit(' ').next().unwrap()).unwrap();
    (client, timestamp)
}

#[tokio::test]
async fn a_right_digest_logs_in_without_tls_and_a_wrong_one_does_not() {
    let case = offered().await;
    let (mut client, timestamp) = greeted(&case).await;
    let digest = |password: &str| Digest::new(&timestamp, password.as_bytes());
    let wrong = client.ask(&format!("APOP erin {}", digest("tanstaaf"))).await;
    assert_eq!(wrong, "-ERR [AUTH] invalid user name or password");
    assert_eq!(client.ask(&format!("APOP ERIN@example.org {}", digest("t\u{e5}nstaaf"))).await, "+OK maildrop ready");
    assert!(client.ask("STAT").await.starts_with("+OK 0 0"));
}

#[tokio::test]
async fn a_digest_is_good_for_one_connection() {
    let case = offered().await;
    let (_client, timestamp) = greeted(&case).await;
    let digest = Digest::new(&timestamp, "t\u{e5}nstaaf".as_bytes());
    let (mut other, timestamp) = greeted(&case).await;
    assert!(timestamp.as_str().ends_with("@mail.example.org>"));
    assert!(other.ask(&format!("APOP erin {digest}")).await.starts_with("-ERR [AUTH]"));
}

#[tokio::test]
async fn who_has_no_password_in_the_clear_is_refused_as_who_does_not_exist() {
    let case = offered().await;
    for user in ["bob", "nobody"] {
        let (mut client, timestamp) = greeted(&case).await;
        let digest = Digest::new(&timestamp, b"secret");
        let said = client.ask(&format!("APOP {user} {digest}")).await;
        assert_eq!(said, "-ERR [AUTH] invalid user name or password", "{user}");
    }
}

#[tokio::test]
async fn it_is_off_unless_the_operator_says_otherwise() {
    let case = Case::new().await;
    let said = case.session(&format!("APOP erin {}\r\nQUIT\r\n", "0".repeat(32))).await;
    assert!(said.starts_with("+OK mail.example.org POP3 server ready\r\n-ERR "), "{said}");
}

#[tokio::test]
async fn a_password_in_the_clear_serves_the_other_ways_too() {
    let case = Case::new().await;
    let said = case.session("USER erin\r\nPASS t\u{e5}nstaaf\r\nQUIT\r\n").await;
    assert!(said.contains("maildrop ready"), "{said}");
    let said = case.session(&format!("{LOGIN}QUIT\r\n")).await;
    assert!(said.contains("maildrop ready"), "{said}");
}
