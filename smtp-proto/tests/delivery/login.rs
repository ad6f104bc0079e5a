//! Who logs in before mail is sent.

use smtp_proto::{
    Close, DeliveryEvent, Login, MailParameters, Misuse, Policy, Protocol, ShutDown, Step, Submitter, TlsPolicy,
    Trouble, Waiting,
};

use crate::case::{Client, GREETING, MAIL, PLAIN, envelope, mechanism, needing, offers, secret};

fn password(user: &str, password: &str) -> Login {
    Login::Password { user: user.into(), password: secret(password) }
}

fn sasl(name: &str, initial: Option<&str>) -> Login {
    Login::Sasl { mechanism: mechanism(name), initial: initial.map(secret) }
}

/// A client that may say it in clear, and has been told what the server offers.
fn offered(login: Login, keywords: &[&str]) -> (Client, String) {
    let policy = Policy { tls: TlsPolicy::Never, login: Some(login), ..Policy::default() };
    let mut client = Client::new(Protocol::Smtp, envelope(&["a"]), policy).play(&[GREETING]);
    let said = client.hear(&offers(keywords));
    (client, said)
}

#[test]
fn a_password_goes_by_plain_or_else_by_login() {
    let (client, said) = offered(password("bob", "x"), &["AUTH LOGIN PLAIN"]);
    assert_eq!(said, "AUTH PLAIN AGJvYgB4\r\n");
    // RFC 4954 §4: and no EHLO behind it.
    client.play(&[("235 2.7.0 welcome", MAIL)]);
    let login = [("334 VXNlcm5hbWU6", "Ym9i\r\n"), ("334 UGFzc3dvcmQ6", "eA==\r\n"), ("235 welcome", MAIL)];
    let (client, said) = offered(password("bob", "x"), &["AUTH LOGIN"]);
    assert_eq!(said, "AUTH LOGIN\r\n");
    client.play(&login);
    // PLAIN has no way to say a NUL, and LOGIN no way not to.
    for (user, word) in [("b\0b", "x"), ("bob", "\0")] {
        assert_eq!(offered(password(user, word), &["AUTH LOGIN PLAIN"]).1, "AUTH LOGIN\r\n");
        let (mut client, said) = offered(password(user, word), &["AUTH PLAIN"]);
        assert_eq!(said, "QUIT\r\n");
        assert_eq!(client.told(), "deferred Us login 451 4.7.4 the server has no such way to log in\nLogin\n");
    }
}

#[test]
fn a_password_too_long_for_the_command_waits_for_its_challenge() {
    // RFC 4954 §4: AUTH itself is a command as all others are.
    assert_eq!(offered(password("b", &"x".repeat(369)), &["AUTH PLAIN"]).1.len(), 509);
    let (mut client, said) = offered(password("b", &"x".repeat(370)), &["AUTH PLAIN"]);
    assert_eq!(said, "AUTH PLAIN\r\n");
    assert_eq!(client.hear("334 ").len(), 502);
    assert_eq!(client.hear("235 welcome"), MAIL);
}

#[test]
fn a_server_that_asks_for_more_than_there_is_gets_no_more() {
    let (client, _) = offered(password("bob", "x"), &["AUTH PLAIN"]);
    let mut client = client.play(&[("334 bW9yZQ==", "*\r\n"), ("501 cancelled", "QUIT\r\n")]);
    assert_eq!(client.told(), "deferred Server login 501 cancelled\nLogin\n");
    let (client, _) = offered(password("bob", "x"), &["AUTH LOGIN"]);
    client.play(&[("334 a", "Ym9i\r\n"), ("334 b", "eA==\r\n"), ("334 c", "*\r\n"), ("501 cancelled", "QUIT\r\n")]);
}

#[test]
fn a_login_refused_keeps_the_mail() {
    for (said, kept) in [("535 5.7.8 wrong", "535 5.7.8 wrong"), ("534 weak", "534 weak"), ("454 later", "454 later")] {
        let (mut client, _) = offered(password("bob", "x"), &["AUTH PLAIN"]);
        assert_eq!(client.hear(said), "QUIT\r\n");
        assert_eq!(client.told(), format!("deferred Server login {kept}\nLogin\n"));
    }
    for (login, keywords) in
        [(password("bob", "x"), &["AUTH GSSAPI"][..]), (password("bob", "x"), &[]), (sasl("X", None), &["AUTH PLAIN"])]
    {
        let (mut client, said) = offered(login, keywords);
        assert_eq!(said, "QUIT\r\n");
        assert_eq!(client.told(), "deferred Us login 451 4.7.4 the server has no such way to log in\nLogin\n");
    }
}

#[test]
fn nobody_hears_a_password_in_clear_unless_the_policy_says_so() {
    for tls in [TlsPolicy::Opportunistic, TlsPolicy::Required] {
        let new = || {
            let policy = Policy { tls, login: Some(password("bob", "x")), ..Policy::default() };
            Client::new(Protocol::Smtp, envelope(&["a"]), policy).play(&[GREETING])
        };
        let mut client = new().play(&[(offers(&["AUTH PLAIN"]).as_str(), "QUIT\r\n")]);
        assert_eq!(client.told(), "deferred Us starttls 451 4.7.4 TLS is required, and cannot be had\nTls\n");
        let both = offers(&["AUTH PLAIN", "STARTTLS"]);
        let mut client = new().play(&[(both.as_str(), "STARTTLS\r\n"), ("454 no", "QUIT\r\n")]);
        assert_eq!(client.told(), "deferred Server starttls 454 no\nTls\n");
        // Behind HELO there is no AUTH.
        let mut client = new().play(&[("502 what?", "QUIT\r\n")]);
        assert_eq!(client.told(), "failed Server hello 502 what?\nHello\n");
        // What was offered before TLS is not what counts.
        let mut client = new().play(&[(both.as_str(), "STARTTLS\r\n"), ("220 go", "")]);
        assert_eq!(client.shake_hands(), "EHLO a.example\r\n");
        let client = client.play(&[(offers(&["AUTH LOGIN"]).as_str(), "AUTH LOGIN\r\n")]);
        drop(client);
    }
}

#[test]
fn sasl_is_the_applications() {
    let (mut client, said) = offered(sasl("X", Some("hi")), &["AUTH x"]);
    assert_eq!(said, "AUTH X aGk=\r\n");
    assert_eq!(client.hear("334 bW9yZQ=="), "");
    assert_eq!(client.asked, [DeliveryEvent::Challenge(secret("more"))]);
    assert!(client.asked[0].is_question());
    assert_eq!((client.run(), client.delivery.poll_timeout()), (Step::YourTurn, None));
    client.delivery.respond(b"x", client.now, &mut client.out).unwrap();
    assert_eq!(client.said(), "eA==\r\n");
    assert_eq!(client.delivery.respond(b"x", client.now, &mut client.out), Err(Misuse::NotNow));
    client.play(&[("235 welcome", MAIL)]);

    for decline in [false, true] {
        let (mut client, said) = offered(sasl("X", None), &["AUTH X"]);
        assert_eq!(said, "AUTH X\r\n");
        client.hear("334 ");
        assert_eq!(client.asked, [DeliveryEvent::Challenge(secret(""))]);
        if decline {
            client.delivery.decline(client.now, &mut client.out);
        } else {
            client.delivery.cancel(client.now, &mut client.out).unwrap();
        }
        assert_eq!(client.hear("501 cancelled"), "*\r\nQUIT\r\n");
        assert_eq!(client.told(), "deferred Server login 501 cancelled\nLogin\n");
    }
}

#[test]
fn a_long_token_answers_the_first_challenge_and_the_next_is_the_applications() {
    let (mut client, said) = offered(sasl("OAUTHBEARER", Some(&"t".repeat(400))), &["AUTH OAUTHBEARER"]);
    assert_eq!(said, "AUTH OAUTHBEARER\r\n");
    assert_eq!(client.hear("334 ").len(), 538);
    assert_eq!(client.asked, []);
    client.hear("334 eyJzdGF0dXMiOiI0MDEifQ==");
    assert_eq!(client.asked, [DeliveryEvent::Challenge(secret(r#"{"status":"401"}"#))]);
}

#[test]
fn a_long_challenge_is_whole_and_one_that_is_none_is_not_answered() {
    // RFC 4954 §4: 12288 octets are to be had.
    let (mut client, _) = offered(sasl("GSSAPI", None), &["AUTH GSSAPI"]);
    client.hear(&format!("334 {}", "eHh4".repeat(12_288 / 4)));
    assert_eq!(client.asked, [DeliveryEvent::Challenge(secret(&"x".repeat(12_288 / 4 * 3)))]);
    let (client, _) = offered(sasl("GSSAPI", None), &["AUTH GSSAPI"]);
    let client = client.play(&[("334 not base64", "*\r\n"), ("501 cancelled", "QUIT\r\n")]);
    assert_eq!(client.asked, []);
}

#[test]
fn a_session_lost_in_a_login_says_where() {
    let begun = || offered(password("bob", "x"), &["AUTH PLAIN"]).0;
    let mut client = begun();
    client.hear("421 4.3.2 stopping");
    assert_eq!(client.told(), "deferred Server login 421 4.3.2 stopping\nLost(ShutDown(Stopping))\n");
    let mut client = begun();
    client.delivery.handle_eof();
    assert_eq!(client.told(), "deferred Us login 451 4.4.2 the server closed the connection\nLost(Eof)\n");
    let mut client = begun();
    let deadline = client.delivery.poll_timeout().unwrap();
    assert_eq!(deadline.waiting_for, Waiting::Reply);
    client.delivery.handle_timeout(deadline.at, &mut client.out);
    assert!(client.told().ends_with("Lost(Timeout(Reply))\n"));
    // Who leaves before the login does not begin it, and who leaves in it hears its end.
    let policy = Policy { tls: TlsPolicy::Never, login: Some(password("bob", "x")), ..Policy::default() };
    let mut client = Client::new(Protocol::Smtp, envelope(&["a"]), policy).play(&[GREETING]);
    client.delivery.shut_down(ShutDown::Stopping, client.now, &mut client.out);
    assert_eq!(client.hear(&offers(&["AUTH PLAIN"])), "QUIT\r\n");
    assert_eq!(client.told(), "deferred Us login 451 4.3.2 the session was ended\nLost(ShutDown(Stopping))\n");
    let mut client = begun();
    client.delivery.shut_down(ShutDown::Stopping, client.now, &mut client.out);
    assert_eq!(client.hear("235 welcome"), "QUIT\r\n");
    assert_eq!(client.closed(), Close::ShutDown(ShutDown::Stopping));
    let report = client.reports.pop().unwrap();
    assert_eq!(report.trouble, Some(Trouble::Lost(Close::ShutDown(ShutDown::Stopping))));
    // Nor is anybody asked what nobody will hear.
    let (mut client, _) = offered(sasl("X", None), &["AUTH X"]);
    client.delivery.shut_down(ShutDown::Stopping, client.now, &mut client.out);
    assert_eq!(client.hear("334 "), "");
    assert_eq!(client.told(), "deferred Us login 451 4.3.2 the session was ended\nLost(ShutDown(Stopping))\n");
    assert_eq!(client.asked, []);
}

#[test]
fn the_submitter_is_named_where_auth_is_offered() {
    let parameters = || MailParameters { auth: Some(Submitter::Unknown), ..MailParameters::default() };
    let play = |offer: &str, said: &str| {
        let client = Client::new(Protocol::Smtp, needing(parameters()), Policy::default());
        client.play(&[GREETING, (offer, said)]);
    };
    play(&offers(&["AUTH PLAIN"]), "MAIL FROM:<me@a.example> AUTH=<>\r\n");
    play(PLAIN, MAIL);
}
