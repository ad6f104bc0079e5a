//! Clients that break the protocol, or bend it: each gets one clear answer or is hung up on, and no message comes of it that
//! was not sent, nor a second one out of one.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::dialogue::Dialogue;
use crate::node::{ALICE, BOB, Node, PATIENCE, Site, metric};

/// Who is connected to, what it is told at once, and how each of its replies to that begins, up to the end of the connection.
struct Case {
    service: &'static str,
    says: Vec<u8>,
    hears: Vec<String>,
}

fn case(service: &'static str, says: impl AsRef<[u8]>, hears: &[&str]) -> Case {
    Case { service, says: says.as_ref().to_vec(), hears: hears.iter().map(ToString::to_string).collect() }
}

/// Says all of it once it was greeted, and that there is no more; all replies, without the greeting.
fn replies(node: &Node, service: &str, says: &[u8]) -> Vec<String> {
    let mut stream = TcpStream::connect(node.address(service)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut greeting = [0];
    while greeting[0] != b'\n' {
        stream.read_exact(&mut greeting).unwrap();
    }
    // Whoever is hung up on in the middle of it may hear of that here.
    let _ = stream.write_all(says).and_then(|()| stream.shutdown(Shutdown::Write));
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    let lines = String::from_utf8(heard).unwrap();
    assert!(lines.is_empty() || lines.ends_with("\r\n"), "{lines:?}");
    lines.split_terminator("\r\n").filter(|line| line.as_bytes().get(3) != Some(&b'-')).map(ToOwned::to_owned).collect()
}

fn mail(node: &Node, user: (&str, &str)) -> Vec<String> {
    let mut pop3 = Dialogue::tcp(node.address("pop3")).unwrap();
    pop3.pop3_login(user).unwrap();
    let stat = pop3.pop3("STAT").unwrap();
    let count: usize = stat.split(' ').nth(1).unwrap().parse().unwrap();
    let copies = (1..=count).map(|number| {
        pop3.pop3(&format!("RETR {number}")).unwrap();
        String::from_utf8(pop3.pop3_body().unwrap()).unwrap()
    });
    copies.collect()
}

/// Waits until the queue is empty.
fn wait_for_deliveries(node: &Node) {
    let end = Instant::now() + PATIENCE;
    while metric(node, "posthaste_queue_messages") != Some(0.0) {
        assert!(Instant::now() < end, "something stays in the queue");
        thread::sleep(Duration::from_millis(20));
    }
}

const HELLO: &str = "EHLO client.example.net\r\n";
const ENVELOPE: &str = "MAIL FROM:<a@example.net>\r\nRCPT TO:<bob@example.org>\r\n";
/// What must never run.
const HIDDEN: &str = "MAIL FROM:<hidden@example.net>\r\nRCPT TO:<alice@example.org>\r\nDATA\r\nS: hidden\r\n\r\n.\r\n";

fn broken() -> Vec<Case> {
    let bdat = |octets: &str| format!("{HELLO}{ENVELOPE}BDAT {octets}\r\n{HIDDEN}");
    let skipped = format!("BDAT {} LAST\r\n{HIDDEN}QUIT\r\n", HIDDEN.len());
    let mut cases = vec![
        // Ends of lines that are none.
        case("smtp", "EHLO c\nMAIL FROM:<>\nQUIT\n", &[]),
        case("smtp", "EHLO c\nQUIT\r\nNOOP\rQUIT\r\nQUIT\r\n", &["500 5.5.2", "500 5.5.2", "221"]),
        case("smtp", "NOOP\0\r\nNOOP \u{1}\r\nQUIT\r\n", &["500 5.5.2", "500 5.5.2", "221"]),
        case("smtp", b"NOOP \xff\r\nQUIT\r\n", &["500 5.5.2", "221"]),
        case("smtp", format!("NOOP {}\r\nQUIT\r\n", "x".repeat(100_000)), &["500 5.5.2", "221"]),
        case("smtp", "x".repeat(100_000), &[]),
        // Other protocols.
        case("smtp", "POST / HTTP/1.1\r\nHost: x\r\n\r\nEHLO c\r\n", &["421 4.7.0"]),
        case("submission", "GET / HTTP/1.1\r\n\r\n", &["421 4.7.0"]),
        case("smtp", b"\x16\x03\x01\x00\xf4\x01\x00\x00\xf0\x03\x03\r\nQUIT\r\n", &["500 5.5.2", "221"]),
        case("smtp", "LHLO c\r\nQUIT\r\n", &["500 5.5.1", "221"]),
        // Out of turn.
        case("smtp", "MAIL FROM:<>\r\nRCPT TO:<bob@example.org>\r\nDATA\r\nQUIT\r\n", &["503", "503", "503", "221"]),
        case(
            "smtp",
            format!("{HELLO}MAIL FROM:<>\r\nMAIL FROM:<>\r\nDATA\r\nQUIT\r\n"),
            &["250", "250", "503", "554 5.5.1", "221"],
        ),
        case("submission", format!("{HELLO}{ENVELOPE}DATA\r\nQUIT\r\n"), &["250", "530", "503", "503", "221"]),
        case(
            "smtp",
            format!("{HELLO}AUTH PLAIN AGEAYg==\r\nXCLIENT ADDR=::1\r\nXFORWARD ADDR=::1\r\nETRN x\r\nQUIT\r\n"),
            &["250", "502", "502", "502", "502", "221"],
        ),
        // What cannot be meant, or is not offered.
        case(
            "smtp",
            format!("{HELLO}MAIL FROM:<> X=1\r\nMAIL FROM:<> SIZE=1 SIZE=1\r\nMAIL FROM:a@b\r\nQUIT\r\n"),
            &["250", "555 5.5.4", "501 5.5.4", "501", "221"],
        ),
        case(
            "smtp",
            format!(
                "{HELLO}MAIL FROM:<> REQUIRETLS\r\nMAIL FROM:<> BODY=BINARYMIME\r\nMAIL FROM:<> MT-PRIORITY=9\r\n\
                 MAIL FROM:<> HOLDFOR=9\r\nMAIL FROM:<> BY=9;R\r\nQUIT\r\n"
            ),
            &["250", "504 5.5.4", "504 5.5.4", "504 5.5.4", "504 5.5.4", "504 5.5.4", "221"],
        ),
        case(
            "smtp",
            format!(
                "{HELLO}MAIL FROM:<> RET=ALL RET=HDRS\r\nMAIL FROM:<> RET=NONE\r\nMAIL FROM:<> ENVID=+\r\n\
                 MAIL FROM:<>\r\nRCPT TO:<bob@example.org> NOTIFY=NEVER,FAILURE\r\n\
                 RCPT TO:<bob@example.org> ORCPT=bob@example.org\r\nQUIT\r\n"
            ),
            &["250", "501 5.5.4", "501 5.5.4", "501 5.5.4", "250", "501 5.5.4", "501 5.5.4", "221"],
        ),
        case(
            "smtp",
            format!("{HELLO}MAIL FROM:<> SIZE=99999999999999999999\r\nQUIT\r\n"),
            &["250", "552 5.3.4", "221"],
        ),
        case("smtp", format!("{HELLO}MAIL FROM:<ren\u{e9}@example.net>\r\nQUIT\r\n"), &["250", "553 5.6.7", "221"]),
        case(
            "smtp",
            format!("{HELLO}MAIL FROM:<>\r\nRCPT TO:<bob@example.org> XDELIVERY=a\r\nQUIT\r\n"),
            &["250", "250", "555", "221"],
        ),
        // Commands in front of TLS.
        case("smtp", format!("{HELLO}STARTTLS\r\n{HELLO}{HIDDEN}"), &["250", "554 5.5.1"]),
        case("submission", "EHLO c\r\nSTARTTLS\r\n\0", &["250", "554 5.5.1"]),
        // Chunks, of which no octet may run.
        case("smtp", format!("{HELLO}{skipped}"), &["250", "503", "221"]),
        case("smtp", format!("HELO c\r\n{skipped}"), &["250", "502", "221"]),
        case(
            "smtp",
            format!("{HELLO}MAIL FROM:<>\r\nRCPT TO:<nobody@example.org>\r\n{skipped}"),
            &["250", "250", "550", "554", "221"],
        ),
        case("smtp", bdat(""), &["250", "250", "250", "501 5.5.4"]),
        case("smtp", bdat("-1 LAST"), &["250", "250", "250", "501 5.5.4"]),
        case("smtp", bdat("0x10"), &["250", "250", "250", "501 5.5.4"]),
        case("smtp", bdat("99999999999999999999999 LAST"), &["250", "250", "250", "501 5.5.4"]),
        case("smtp", bdat("9999999999999 LAST"), &["250", "250", "250", "421 4.5.1"]),
        case("smtp", bdat(&"1".repeat(5000)), &["250", "250", "250", "501 5.5.4"]),
        case("smtp", bdat("1000"), &["250", "250", "250"]),
        // Messages that never end.
        case(
            "smtp",
            format!("{HELLO}{ENVELOPE}DATA\r\n{}", HIDDEN.trim_end_matches(".\r\n")),
            &["250", "250", "250", "354"],
        ),
        // Too much of everything.
        case("smtp", "FOO\r\n".repeat(100), &[&["500 5.5.1"; 20][..], &["421 4.7.0"]].concat()),
        case("smtp", "RSET\r\n".repeat(1000), &[&["250"; 200][..], &["421 4.7.0"]].concat()),
    ];
    for service in ["smtp", "submission"] {
        cases.push(case(service, "QUIT\r\nEHLO c\r\nMAIL FROM:<>\r\n", &["221"]));
        cases.push(case(service, "", &[]));
    }
    cases
}

#[test]
fn who_breaks_the_protocol_gets_one_answer_or_is_hung_up_on() {
    let node = Node::start(&["--plaintext-auth"]);
    for Case { service, says, hears } in broken() {
        let heard = replies(&node, service, &says);
        let says = says.get(..200).unwrap_or(&says).escape_ascii();
        let alike =
            heard.len() == hears.len() && heard.iter().zip(&hears).all(|(heard, begin)| heard.starts_with(begin));
        assert!(alike, "{service} {says}: {heard:#?}, instead of {hears:?}");
    }
    wait_for_deliveries(&node);
    assert!(mail(&node, ALICE).is_empty() && mail(&node, BOB).is_empty());
    assert!(metric(&node, "posthaste_violations_total").unwrap() > 100.0);
    // And it goes on.
    let heard = replies(&node, "smtp", format!("{HELLO}{ENVELOPE}DATA\r\nS: 1\r\n\r\n.\r\nQUIT\r\n").as_bytes());
    assert!(heard[4].starts_with("250 2.0.0 accepted as"), "{heard:?}");
    node.stop();
}

/// What some hosts take for the end of a message: a CR or an LF where there should be both, one more CR, a NUL.
const ENDS: [&str; 11] = [
    "\n.\n",
    "\n.\r\n",
    "\r\n.\n",
    "\r.\r",
    "\r.\r\n",
    "\r\n.\r",
    "\n.\r",
    "\r\n.\r\r\n",
    "\n\n.\r\n\r\n",
    "\r\n\0.\r\n",
    "\r\n.\0\r\n",
];

#[test]
fn no_message_is_smuggled_in_another() {
    for (arguments, mended) in [(&[][..], false), (&["--bare-line-ends=normalize"], true)] {
        let node = Site::new(&["--plaintext-auth"]).with(arguments).start();
        let mut expected = 0;
        for end in ENDS {
            let message = format!("S: outer\r\n\r\nouter{end}{HIDDEN}");
            // The hidden one's end is this one's.
            let content = message.strip_suffix(".\r\n").unwrap();
            // A NUL cannot be mended here.
            let taken = mended && !end.contains('\0');
            let verdict = if taken { "250 2.0.0 accepted" } else { "554 5.6.0 message holds a" };
            let by_data = format!("{HELLO}{ENVELOPE}DATA\r\n{message}QUIT\r\n");
            let by_bdat = format!("{HELLO}{ENVELOPE}BDAT {} LAST\r\n{content}QUIT\r\n", content.len());
            for (says, at) in [(by_data, 4), (by_bdat, 3)] {
                let heard = replies(&node, "smtp", says.as_bytes());
                assert!(heard.len() == at + 2 && heard[at].starts_with(verdict), "{end:?}: {heard:#?}");
                expected += usize::from(taken);
            }
        }
        wait_for_deliveries(&node);
        let copies = mail(&node, BOB);
        assert!(copies.len() == expected && mail(&node, ALICE).is_empty(), "{copies:#?}");
        let one_of_two = |copy: &String| copy.matches("S: outer\r\n").count() == 1 && copy.contains("S: hidden\r\n");
        assert!(copies.iter().all(one_of_two), "{copies:#?}");
        node.stop();
    }
}

#[test]
fn who_does_not_wait_for_the_greeting_is_turned_away_where_it_is_wished() {
    let node = Node::start(&["--early-talk=refuse"]);
    // Where the machine lets a client wait for longer than the server does, the client is not hasty.
    let refused = (0..10).any(|_| {
        let mut hasty = Dialogue::tcp(node.address("smtp")).unwrap();
        hasty.send(b"EHLO client.example.net\r\n").unwrap();
        assert!(hasty.reply().unwrap().starts_with("220 "));
        hasty.reply().unwrap().starts_with("554 5.5.1 ") && hasty.reply().is_err()
    });
    assert!(refused);
    let mut patient = Dialogue::tcp(node.address("smtp")).unwrap();
    assert!(patient.reply().unwrap().starts_with("220 "));
    patient.smtp("EHLO client.example.net", "250").unwrap();
    patient.smtp("QUIT", "221").unwrap();
    drop(patient);
    node.stop();
}
