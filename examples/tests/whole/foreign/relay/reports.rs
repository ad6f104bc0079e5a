//! Who reports what: the next host what it took the duty for, we the rest.

use super::super::mta::{OpenSmtpd, Postfix};
use super::super::{maildrop_of, wait_for_mail_of};
use super::{CAROL, SmtpSink, assert_has, letter, parsed, report, start_with_relay, submit};
use crate::mailctl;
use crate::message::awkward;
use crate::node::{ALICE, Site};

const ASKED: &str = " RET=HDRS ENVID=trip+2B7";

/// Carol, and somebody that nobody knows.
const TWO: [&str; 2] = [
    "<carol@example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;c@example.net",
    "<nobody@example.net> NOTIFY=SUCCESS,FAILURE",
];

#[test]
fn postfix_refuses_one_and_takes_the_duty_for_the_other() {
    let Some(sink) = SmtpSink::start(&["-N"]) else { return };
    // What it has to say goes back by the way of mail from anywhere. Ports stay over a restart.
    let site = Site::new(&["--plaintext-auth"]).start().stop();
    let settings = format!(
        "relay_domains = example.net\nrelay_recipient_maps = inline:{{ {{{CAROL} = ok}} }}\n\
         transport_maps = inline:{{ {{example.org = smtp:[127.0.0.1]:{back}}}, {{example.net = smtp:[127.0.0.1]:{on}}} }}\n",
        back = site.port("smtp"),
        on = sink.address().port(),
    );
    let Some(postfix) = Postfix::start(&settings) else { return };
    let node = site.with(&["--relay", &postfix.address().to_string(), "--dnssec=off"]).start();
    submit(&node, ASKED, &TWO, &letter("two ways"));
    let arrived = sink.wait_for(1);
    assert!(arrived[0].contains("Subject: two ways") && arrived[0].contains(CAROL), "{}", arrived[0]);
    assert!(!arrived[0].contains("nobody"), "{}", arrived[0]);
    let mail = wait_for_mail_of(&node, ALICE, 2);
    assert_eq!(mail.len(), 2, "ours and Postfix's");
    let of = |host: &str| {
        let name = format!("\r\nReporting-MTA: dns; {host}\r\n");
        let mut reports = mail.iter().filter(|one| String::from_utf8_lossy(one).contains(&name));
        parsed(&node, reports.next().unwrap())
    };
    let (Some(ours), Some(theirs)) = (of("example.org"), of("client.example.net")) else { return };
    assert_has(
        &ours,
        &[
            "type multipart/report delivery-status",
            "from <> to alice@example.org",
            "part text/plain",
            "part message/delivery-status",
            "message Original-Envelope-Id: trip+7",
            "message Reporting-MTA: dns; example.org",
            "recipient 0 Final-Recipient: rfc822;nobody@example.net",
            "recipient 0 Action: failed",
            "recipient 0 Status: 5.1.1",
            "recipient 0 Remote-MTA: dns; ",
            "recipient 0 Diagnostic-Code: smtp; 550 ",
            "part text/rfc822-headers",
            "returned two ways 0",
        ],
    );
    assert!(!ours.iter().any(|line| line.contains("carol") || line.starts_with("recipient 1")), "{ours:#?}");
    assert_has(
        &theirs,
        &[
            "type multipart/report delivery-status",
            "message Original-Envelope-Id: trip+7",
            "recipient 0 Original-Recipient: rfc822;c@example.net",
            "recipient 0 Action: relayed",
        ],
    );
    mailctl::wait_until_empty(&node);
    node.stop();
}

#[test]
fn where_nobody_takes_the_duty_the_mail_was_relayed() {
    let Some(sink) = SmtpSink::start(&["-N"]) else { return };
    let node = start_with_relay(sink.address(), &[]);
    submit(&node, ASKED, &TWO[..1], &letter("no duty"));
    let arrived = sink.wait_for(1);
    assert!(!arrived[0].contains("NOTIFY") && !arrived[0].contains("ENVID"), "{}", arrived[0]);
    let Some(lines) = report(&node) else { return };
    assert_has(
        &lines,
        &[
            "type multipart/report delivery-status",
            "message Original-Envelope-Id: trip+7",
            "recipient 0 Original-Recipient: rfc822;c@example.net",
            "recipient 0 Action: relayed",
            "returned no duty 0",
        ],
    );
    mailctl::wait_until_empty(&node);
    node.stop();
}

#[test]
fn where_the_duty_is_taken_all_that_was_asked_goes_along_and_we_are_silent() {
    let Some(sink) = SmtpSink::start(&[]) else { return };
    let node = start_with_relay(sink.address(), &[]);
    submit(&node, ASKED, &TWO[..1], &letter("duty"));
    let arrived = sink.wait_for(1);
    for said in ["RET=HDRS", "ENVID=trip+2B7", "NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;c@example.net"] {
        assert!(arrived[0].contains(said), "{said} was not said: {}", arrived[0]);
    }
    // The message leaves the queue when nothing is left to tell; a report would have been queued before it.
    mailctl::wait_until_empty(&node);
    assert!(maildrop_of(&node, ALICE).is_empty());
    node.stop();
}

#[test]
fn opensmtpd_refuses_one_and_hands_the_other_on() {
    let Some(sink) = SmtpSink::start(&["-N"]) else { return };
    let rules = format!(
        "action \"onward\" relay host \"smtp://{on}\" helo relay.example.net\n\
         match from any for rcpt-to \"{CAROL}\" action \"onward\"\n",
        on = sink.address(),
    );
    let Some(opensmtpd) = OpenSmtpd::start(&rules) else { return };
    let node = start_with_relay(opensmtpd.address(), &[]);
    let letter = awkward("opensmtpd", ALICE.0, CAROL);
    let failure = TWO.map(|recipient| recipient.replace("SUCCESS,", ""));
    submit(&node, ASKED, &failure.each_ref().map(String::as_str), &letter);
    let arrived = sink.wait_for(1);
    assert!(arrived[0].contains("Subject: awkward opensmtpd"), "{}", arrived[0]);
    // Its own trace header may name the one that it refused.
    assert!(!arrived[0].contains("X-Rcpt-Args: <nobody"), "{}", arrived[0]);
    let Some(lines) = report(&node) else { return };
    assert_has(
        &lines,
        &[
            "message Original-Envelope-Id: trip+7",
            "recipient 0 Final-Recipient: rfc822;nobody@example.net",
            "recipient 0 Action: failed",
            "recipient 0 Diagnostic-Code: smtp; 550 ",
            "part text/rfc822-headers",
            "returned awkward opensmtpd 0",
        ],
    );
    mailctl::wait_until_empty(&node);
    node.stop();
}
