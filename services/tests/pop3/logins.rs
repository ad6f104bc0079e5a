//! Who comes in, by which way, and what CAPA says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use pop3_proto::{Expire, PlaintextLogin};
use services::pop3::Pop3Options;

use super::case::{Case, LOGIN, options};

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_are_told_alike() {
    let case = Case::new().await;
    let said = case.session("USER bob\r\nPASS wrong\r\nUSER nobody\r\nPASS x\r\nQUIT\r\n").await;
    assert_eq!(said.matches("-ERR [AUTH] invalid user name or password\r\n").count(), 2, "{said}");
}

#[tokio::test]
async fn sasl_plain_logs_in() {
    let case = Case::new().await;
    let said = case.session(&format!("AUTH PLAIN {}\r\nSTAT\r\nQUIT\r\n", BASE64.encode("\0bob\0secret"))).await;
    assert!(said.contains("+OK 3 ") && said.ends_with("+OK goodbye\r\n"), "{said}");
}

#[tokio::test]
async fn a_name_with_a_nul_is_nobody_s() {
    let case = Case::new().await;
    let plain = |message: &str| format!("AUTH PLAIN {}\r\n", BASE64.encode(message));
    let login = format!("AUTH LOGIN\r\n{}\r\n{}\r\n", BASE64.encode("bob\0x"), BASE64.encode("secret"));
    for commands in [
        "USER bob\0x\r\nPASS secret\r\n".to_owned(),
        "USER bob\0\r\nPASS secret\r\n".to_owned(),
        "USER bob\r\nPASS secret\0x\r\n".to_owned(),
        plain("\0bob\0x\0secret"),
        plain("\0bob\0secret\0x"),
        plain("\0bob\0\0secret"),
        login,
    ] {
        let said = case.session(&format!("{commands}STAT\r\nQUIT\r\n")).await;
        assert!(said.contains("-ERR ") && !said.contains("maildrop ready") && !said.contains("+OK 3"), "{said}");
    }
}

#[tokio::test]
async fn names_and_passwords_may_be_in_utf8() {
    let case = Case::new().await;
    for command in ["", "UTF8\r\n"] {
        let said = case.session(&format!("{command}USER J\u{dc}RGEN\r\nPASS pa\u{308}sse\r\nQUIT\r\n")).await;
        assert!(said.contains("maildrop ready"), "{said}");
    }
    let said = case.session("USER j\u{fc}rgen\r\nPASS passe\r\nQUIT\r\n").await;
    assert!(said.contains("-ERR [AUTH]"), "{said}");
}

#[tokio::test]
async fn a_password_without_tls_is_refused_unless_the_operator_says_otherwise() {
    let case = Case::with(Pop3Options { plaintext_login: PlaintextLogin::UnderTls, ..options() }).await;
    let said = case.session(&format!("CAPA\r\n{LOGIN}QUIT\r\n")).await;
    assert!(!said.contains("\r\nUSER\r\n") && !said.contains("\r\nSASL") && !said.contains("maildrop ready"), "{said}");
}

fn capabilities(said: &str) -> Vec<&str> {
    let (_, list) = said.split_once("capabilities follow\r\n").unwrap();
    list.split_once("\r\n.\r\n").unwrap().0.split("\r\n").collect()
}

#[tokio::test]
async fn capa_says_what_the_operator_chose() {
    let case = Case::new().await;
    let said = case.session("CAPA\r\nQUIT\r\n").await;
    let offered = capabilities(&said);
    for line in ["UTF8 USER", "EXPIRE NEVER", "IMPLEMENTATION Posthaste", "SASL SCRAM-SHA-256 PLAIN LOGIN", "LANG"] {
        assert!(offered.contains(&line), "{line} in {offered:?}");
    }
    assert!(!said.contains("LOGIN-DELAY") && !said.contains("XCLIENT") && !said.contains('<'), "{said}");

    let expire = Expire::Days(30);
    let case = Case::with(Pop3Options { software: None, expire, ..options() }).await;
    let said = case.session(&format!("CAPA\r\n{LOGIN}CAPA\r\nQUIT\r\n")).await;
    assert_eq!(said.matches("\r\nEXPIRE 30\r\n").count(), 2, "{said}");
    assert!(!said.contains("IMPLEMENTATION") && !said.to_lowercase().contains("posthaste"), "{said}");
}
