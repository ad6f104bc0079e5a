//! What TLS changes, and what becomes of it where it cannot be had.

use std::sync::Arc;

use smtp_proto::{
    ClientConfig, Close, Delivery, Domain, Layer, Link, Policy, Step, Switched, TlsInfo, TlsPolicy, Violation, Waiting,
};

use crate::case::{Client, GREETING, MAIL, PLAIN, envelope};

#[test]
fn tls_is_taken_where_it_is_offered_and_all_before_it_forgotten() {
    let mut client = Client::smtp(&["a"]).play(&[
        ("220 mx.example", "EHLO a.example\r\n"),
        ("250-mx.example\r\n250-SMTPUTF8\r\n250-PIPELINING\r\n250 STARTTLS", "STARTTLS\r\n"),
        ("220 go", ""),
    ]);
    assert_eq!(client.run(), Step::Switch(Layer::Tls));
    assert_eq!(client.delivery.poll_timeout().map(|deadline| deadline.waiting_for), Some(Waiting::Tls));
    client.delivery.switched(Switched::Tls(TlsInfo::default()), client.now);
    let _ = client.run();
    assert_eq!(client.out.split(), "EHLO a.example\r\n");
    // A server that knew EHLO a moment ago is no old one: HELO would only lose what it offers.
    let refused = client.hear("502 what?");
    assert_eq!(refused, "QUIT\r\n");
    assert_eq!(client.told(), "failed Server hello 502 what?\nHello\n");
}

#[test]
fn behind_tls_only_what_is_offered_there_counts() {
    let mut client = Client::smtp(&["a"]).play(&[
        ("220 mx.example", "EHLO a.example\r\n"),
        ("250-mx.example\r\n250-PIPELINING\r\n250 STARTTLS", "STARTTLS\r\n"),
        ("220 go", ""),
    ]);
    client.delivery.switched(Switched::Tls(TlsInfo::default()), client.now);
    let _ = client.run();
    client.out.clear();
    // STARTTLS is offered again or not, and no PIPELINING here.
    let client = client.play(&[("250-mx.example\r\n250 STARTTLS", "MAIL FROM:<me@a.example>\r\n")]);
    assert!(client.delivery.session().is_under_tls());
}

#[test]
fn octets_behind_the_reply_to_starttls_are_fatal() {
    // CVE-2021-38371 and its kind.
    let mut client = Client::smtp(&["a"]).play(&[
        ("220 mx.example", "EHLO a.example\r\n"),
        ("250-mx.example\r\n250 STARTTLS", "STARTTLS\r\n"),
        ("220 go\r\n250-evil.example\r\n250 AUTH PLAIN", ""),
    ]);
    assert_eq!(client.told(), "deferred Us starttls 451 4.5.0 the server does not speak the protocol\nTls\n");
    assert_eq!(client.closed(), Close::Violation(Violation::PipelinedTls));
}

#[test]
fn what_becomes_of_tls_that_cannot_be_had() {
    let play = |tls, dialogue: &[(&str, &str)]| {
        let client = Client::under(tls);
        client.play(&[("220 mx.example", "EHLO a.example\r\n")]).play(dialogue)
    };
    let offered = "250-mx.example\r\n250 STARTTLS";
    let mail = "MAIL FROM:<me@a.example>\r\n";
    play(TlsPolicy::Never, &[(offered, mail)]);
    play(TlsPolicy::Opportunistic, &[(PLAIN, mail)]);
    play(TlsPolicy::Opportunistic, &[(offered, "STARTTLS\r\n"), ("454 no", mail)]);
    let mut client = play(TlsPolicy::Required, &[(PLAIN, "QUIT\r\n")]);
    assert_eq!(client.told(), "deferred Us starttls 451 4.7.4 TLS is required, and cannot be had\nTls\n");
    let mut client = play(TlsPolicy::Required, &[(offered, "STARTTLS\r\n"), ("554 no", "QUIT\r\n")]);
    assert_eq!(client.told(), "deferred Server starttls 554 no\nTls\n");
    // A handshake that fails is told as the end of input.
    let mut client = play(TlsPolicy::Opportunistic, &[(offered, "STARTTLS\r\n"), ("220 go", "")]);
    client.delivery.handle_eof();
    assert_eq!(client.told(), "deferred Us starttls 451 4.4.2 the server closed the connection\nTls\n");
    // Another positive reply than 220 is none.
    let mut client = play(TlsPolicy::Opportunistic, &[(offered, "STARTTLS\r\n"), ("250 go", "")]);
    assert_eq!(client.closed(), Close::Violation(Violation::BadReply));
}

#[test]
fn a_connection_born_under_tls_needs_no_other() {
    for tls in [TlsPolicy::Never, TlsPolicy::Opportunistic, TlsPolicy::Required] {
        let config = ClientConfig::new(Domain::parse("a.example").unwrap().into_owned());
        let link = Link { tls: Some(TlsInfo::default()), ..Link::default() };
        let mut client = Client::under(tls);
        let policy = Policy { tls, ..Policy::default() };
        client.delivery = Delivery::new(Arc::new(config), envelope(&["a"]), policy, link, client.now);
        let client = client.play(&[GREETING, ("250-mx.example\r\n250 STARTTLS", MAIL)]);
        assert!(client.delivery.session().is_under_tls());
    }
}

#[test]
fn who_wants_no_tls_may_do_with_helo() {
    let client = Client::under(TlsPolicy::Never);
    client.play(&[GREETING, ("502 what?", "HELO a.example\r\n"), ("250 mx.example", MAIL)]);
}
