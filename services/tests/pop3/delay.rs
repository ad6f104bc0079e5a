//! LOGIN-DELAY (RFC 2449 §6.5, §8.1.1).

use std::num::NonZeroU32;
use std::time::Duration;

use mailstore::memory::MemoryStore;
use services::pop3::Pop3Options;
use tokio::time::sleep;

use super::case::{Case, LOGIN, options};

async fn a_minute() -> Case<MemoryStore> {
    Case::with(Pop3Options { login_delay: NonZeroU32::new(60), ..options() }).await
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_too_soon_is_told_so_and_let_in_later() {
    let case = a_minute().await;
    let said = case.session(&format!("CAPA\r\n{LOGIN}CAPA\r\nQUIT\r\n")).await;
    assert_eq!(said.matches("\r\nLOGIN-DELAY 60\r\n").count(), 2, "{said}");
    for seconds in [0, 30, 29] {
        sleep(Duration::from_secs(seconds)).await;
        let said = case.session(&format!("{LOGIN}STAT\r\nQUIT\r\n")).await;
        assert!(said.contains("-ERR [LOGIN-DELAY] ") && !said.contains("+OK 3"), "{said}");
    }
    sleep(Duration::from_secs(1)).await;
    let said = case.session(&format!("{LOGIN}STAT\r\nQUIT\r\n")).await;
    assert!(said.contains("+OK 3 "), "{said}");
}

/// The maildrop that the first session has is the reason then, and whoever is refused holds nothing.
#[tokio::test(start_paused = true)]
async fn a_session_that_is_open_goes_before_the_delay() {
    let case = a_minute().await;
    let mut first = case.connect();
    first.send(LOGIN).await;
    for _ in 0..3 {
        first.line().await;
    }
    let said = case.session(&format!("{LOGIN}QUIT\r\n")).await;
    assert!(said.contains("-ERR [IN-USE] "), "{said}");
    first.session("QUIT\r\n").await;
    let said = case.session(&format!("{LOGIN}QUIT\r\n")).await;
    assert!(said.contains("-ERR [LOGIN-DELAY] "), "{said}");
    sleep(Duration::from_secs(60)).await;
    let said = case.session(&format!("{LOGIN}QUIT\r\n")).await;
    assert!(said.contains("maildrop ready"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn only_who_knows_the_password_learns_of_the_delay() {
    let case = a_minute().await;
    case.session(&format!("{LOGIN}QUIT\r\n")).await;
    let said = case.session("USER bob\r\nPASS wrong\r\nUSER nobody\r\nPASS wrong\r\nQUIT\r\n").await;
    assert_eq!(said.matches("-ERR [AUTH] ").count(), 2, "{said}");
    assert!(!said.contains("LOGIN-DELAY"), "{said}");
    let said = case.session("USER erin\r\nPASS t\u{e5}nstaaf\r\nQUIT\r\n").await;
    assert!(said.contains("maildrop ready"), "another user does not wait: {said}");
}
