//! SEARCH, by what the store knows and by reading.

use crate::client::{Client, Server};

const LATIN: &[u8] =
    b"From: =?iso-8859-1?Q?J=FCrgen?= <j@example.org>\r\nTo: x@y\r\nDate: Fri, 21 Nov 1997 23:55:06 -0600\r\n\
    Subject: =?utf-8?B?R3LDvMOfZQ==?=\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\
    Content-Transfer-Encoding: quoted-printable\r\n\r\nSch=F6ne Gr=\r\n=FC=DFe\r\n";

const PARTS: &[u8] = b"Subject: parts\r\nX-Note: here\r\nDate: 22 Nov 1997 00:10:00 +0200\r\n\
    Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\n\
    aGlkZGVuIGlu\r\nIGJhc2U2NA==\r\n--b\r\nContent-Type: image/png\r\n\r\nneedle\r\n--b\r\n\
    Content-Type: message/rfc822\r\n\r\nSubject: within\r\n\r\ndeep\r\n--b--\r\n";

const PLAIN: &[u8] = b"Subject: plain\r\nBcc: secret@y\r\n\r\nneedle in hay\r\n";

async fn search(client: &mut Client, key: &str) -> String {
    let found = client.ok(&format!("SEARCH {key}")).await;
    found.strip_prefix("* SEARCH").unwrap().trim_end().trim_start().to_owned()
}

#[tokio::test]
async fn keys_of_all_kinds() {
    let server = Server::new();
    for message in [LATIN, PARTS, PLAIN] {
        server.deliver("INBOX", message).await;
    }
    let mut client = server.select("INBOX").await;
    let c = &mut client;
    c.append("INBOX \" 5-Jan-2001 23:30:00 -0100\"", b"Subject: old\r\n\r\n").await;
    c.ok("STORE 1 +FLAGS.SILENT (\\Flagged $Work)").await;
    c.ok("STORE 2 +FLAGS.SILENT (\\Seen)").await;
    for (key, expected) in [
        ("ALL", "1 2 3 4"),
        ("2:3", "2 3"),
        ("UID 3:* NOT 4", "3"),
        ("FLAGGED", "1"),
        ("KEYWORD $work", "1"),
        ("UNKEYWORD $Work SEEN", "2"),
        ("OR FLAGGED SEEN", "1 2"),
        ("NEW", "1 3 4"),
        ("OLD", ""),
        ("LARGER 100 UNSEEN", "1"),
        ("SMALLER 20", "4"),
        ("ON 6-Jan-2001", "4"),
        ("BEFORE 6-Jan-2001", ""),
        ("SINCE 1-Jan-2020", "1 2 3"),
        // By the day as it is written, whatever the zone.
        ("SENTON 21-Nov-1997", "1"),
        ("SENTSINCE 22-Nov-1997", "2"),
        ("SENTBEFORE 1-Jan-2030", "1 2"),
        ("NOT SENTBEFORE 1-Jan-2030", "3 4"),
        ("SUBJECT PARTS", "2"),
        ("TO x@Y", "1"),
        ("BCC secret", "3"),
        ("HEADER X-Note \"\"", "2"),
        ("HEADER x-note HER", "2"),
        ("HEADER X-None \"\"", ""),
        ("BODY needle", "3"),
        ("TEXT needle", "3"),
        ("BODY \"hidden in base64\"", "2"),
        ("BODY deep", "2"),
        ("BODY within", "2"),
        ("TEXT plain NOT BODY needle", "1"),
        ("BODY parts", ""),
        ("TEXT \"subject: plain\"", "3"),
        ("BODY \"Subject: within\"", "2"),
        ("OR BODY nowhere SUBJECT parts", "2"),
        ("NOT TEXT needle UNFLAGGED", "2 4"),
        ("BODY \"\"", "1 2 3 4"),
    ] {
        assert_eq!(search(c, key).await, expected, "{key}");
    }
    for (key, text) in [
        ("FROM", "j\u{dc}rgen"),
        ("SUBJECT", "gr\u{fc}\u{df}e"),
        ("BODY", "SCH\u{d6}NE GR\u{dc}\u{df}E"),
        ("TEXT", "J\u{fc}rgen"),
    ] {
        let mut command = format!("SEARCH CHARSET UTF-8 {key} {{{}+}}\r\n", text.len()).into_bytes();
        command.extend_from_slice(text.as_bytes());
        let answer = c.command_octets(&command).await;
        assert!(answer.starts_with("* SEARCH 1\r\n"), "{key} {text}: {answer}");
    }
    assert!(c.reply("SEARCH CHARSET x-none ALL").await.starts_with("NO [BADCHARSET "));
    assert_eq!(c.ok("UID SEARCH 4").await, "* SEARCH 4\r\n");
}

#[tokio::test]
async fn a_set_of_many_pieces_is_searched_in_time() {
    let server = Server::new();
    for _ in 0..300 {
        server.deliver("INBOX", b"A: b\r\n\r\n").await;
    }
    let mut client = server.select("INBOX").await;
    let odd: Vec<String> = (1..300).step_by(2).map(|uid| uid.to_string()).collect();
    assert_eq!(search(&mut client, &format!("UID {}", odd.join(","))).await, odd.join(" "));
    assert_eq!(search(&mut client, &format!("NOT UID {}", odd.join(","))).await.split(' ').count(), 150);
}
