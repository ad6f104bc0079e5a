//! FETCH: messages as they are stored, their parts, envelopes and structures.

use crate::client::{Client, Server};

/// Leading dots, 8-bit text, a line of 990 octets, a blank tail.
fn nasty() -> Vec<u8> {
    let mut text = b"Subject: nasty\r\nX-Raw: \xff\xfe\r\n\r\n.\r\n..two\r\ncaf\xe9 \x80\r\n".to_vec();
    text.extend(std::iter::repeat_n(b'x', 990));
    text.extend_from_slice(b"\r\nt1 OK not a reply\r\n{12}\r\n\r\n\r\n");
    text
}

const MIXED: &str = "From: \"Doe, J.\" <j@example.org>\r\n\
    To: Friends: a@b.example, =?utf-8?q?J=C3=BC?= <c@d>;\r\n\
    Date: Fri, 21 Nov 1997 23:55:06 -0600\r\n\
    Subject: mixed\r\n\
    \x20 and \"folded\"\r\n\
    Message-ID: <1@example.org>\r\n\
    MIME-Version: 1.0\r\n\
    Content-Type: multipart/mixed; boundary=out\r\n\
    \r\n\
    --out\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Transfer-Encoding: quoted-printable\r\n\
    \r\n\
    one=\r\n\
    \x20line\r\n\
    --out\r\n\
    Content-Type: message/rfc822\r\n\
    \r\n\
    Subject: inner\r\n\
    Content-Type: multipart/alternative; boundary=in\r\n\
    \r\n\
    --in\r\n\
    \r\n\
    inner text\r\n\
    --in\r\n\
    Content-Type: text/html\r\n\
    Content-Disposition: attachment; filename=\"a b.html\"\r\n\
    Content-Language: de, en\r\n\
    \r\n\
    <p>\r\n\
    --in--\r\n\
    --out--\r\n";

async fn with(messages: &[&[u8]]) -> (Server, Client) {
    let server = Server::new();
    for message in messages {
        server.deliver("INBOX", message).await;
    }
    let client = server.select("INBOX").await;
    (server, client)
}

/// The one literal of a FETCH of one item.
async fn literal(client: &mut Client, item: &str) -> Option<Vec<u8>> {
    client.send(&format!("FETCH 1 ({item})")).await;
    let line = client.line_octets().await;
    let end = client.line().await;
    assert!(end.contains(" OK "), "{end}");
    let start = line.windows(2).position(|two| two == b"\r\n").unwrap() + 2;
    if start == line.len() {
        assert!(line.ends_with(b" NIL)\r\n"), "{line:?}");
        return None;
    }
    let head = std::str::from_utf8(&line[..start]).unwrap();
    let length: usize = head[head.rfind('{').unwrap() + 1..head.rfind('}').unwrap()].parse().unwrap();
    assert_eq!(line.len(), start + length + 3, "{head}");
    Some(line[start..start + length].to_vec())
}

async fn text(client: &mut Client, item: &str) -> Option<String> {
    literal(client, item).await.map(|octets| String::from_utf8(octets).unwrap())
}

#[tokio::test]
async fn octets_come_back_as_they_were() {
    let nasty = nasty();
    let (_server, mut client) = with(&[&nasty]).await;
    assert_eq!(literal(&mut client, "BODY.PEEK[]").await.unwrap(), nasty);
    assert_eq!(client.ok("FETCH 1 RFC822.SIZE").await, format!("* 1 FETCH (RFC822.SIZE {})\r\n", nasty.len()));
    let body = nasty.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(literal(&mut client, "RFC822.HEADER").await.unwrap(), nasty[..body]);
    assert_eq!(literal(&mut client, "BODY.PEEK[HEADER]").await.unwrap(), nasty[..body]);
    assert_eq!(literal(&mut client, "BODY.PEEK[TEXT]").await.unwrap(), nasty[body..]);
    assert_eq!(literal(&mut client, "BODY.PEEK[1]").await.unwrap(), nasty[body..]);
    // Piece by piece, too.
    let mut pieces = Vec::new();
    for offset in (0..nasty.len()).step_by(100) {
        pieces.extend(literal(&mut client, &format!("BODY.PEEK[]<{offset}.100>")).await.unwrap());
    }
    assert_eq!(pieces, nasty);
    // What the client appends is no different from what is delivered.
    client.append("INBOX", &nasty).await;
    client.ok("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    client.ok("EXPUNGE").await;
    assert_eq!(literal(&mut client, "BODY.PEEK[]").await.unwrap(), nasty);
}

#[tokio::test]
async fn a_large_message_streams_past_a_small_pipe() {
    let large: Vec<u8> =
        b"A: b\r\n\r\n".iter().copied().chain((0..3_000_000_u32).map(|n| n.to_be_bytes()[3])).collect();
    let (_server, mut client) = with(&[&large]).await;
    assert_eq!(literal(&mut client, "BODY.PEEK[]").await.unwrap(), large);
    assert_eq!(literal(&mut client, "BODY.PEEK[TEXT]<2999990.4294967295>").await.unwrap(), large[large.len() - 10..]);
}

#[tokio::test]
async fn parts_are_fetched_by_their_numbers() {
    let (_server, mut client) = with(&[MIXED.as_bytes()]).await;
    let c = &mut client;
    let inner = &MIXED[MIXED.find("Subject: inner").unwrap()..MIXED.find("\r\n--out--").unwrap()];
    assert_eq!(text(c, "BODY.PEEK[1]").await.as_deref(), Some("one=\r\n line"));
    assert_eq!(
        text(c, "BODY.PEEK[1.MIME]").await.as_deref(),
        Some("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n")
    );
    assert_eq!(text(c, "BODY.PEEK[2]").await.as_deref(), Some(inner));
    assert_eq!(text(c, "BODY.PEEK[2.MIME]").await.as_deref(), Some("Content-Type: message/rfc822\r\n\r\n"));
    let end = inner.find("\r\n\r\n").unwrap() + 4;
    assert_eq!(text(c, "BODY.PEEK[2.HEADER]").await.as_deref(), Some(&inner[..end]));
    assert_eq!(text(c, "BODY.PEEK[2.TEXT]").await.as_deref(), Some(&inner[end..]));
    assert_eq!(text(c, "BODY.PEEK[2.HEADER.FIELDS (SUBJECT)]").await.as_deref(), Some("Subject: inner\r\n\r\n"));
    assert_eq!(text(c, "BODY.PEEK[2.1]").await.as_deref(), Some("inner text"));
    assert_eq!(text(c, "BODY.PEEK[2.1.MIME]").await.as_deref(), Some("\r\n"));
    assert_eq!(text(c, "BODY.PEEK[2.2]").await.as_deref(), Some("<p>"));
    assert_eq!(text(c, "BODY.PEEK[2.2]<1.1>").await.as_deref(), Some("p"));
    assert_eq!(text(c, "BODY.PEEK[2.2]<9.1>").await.as_deref(), Some(""));
    for missing in ["3", "1.1", "1.HEADER", "2.3", "2.2.TEXT", "9.MIME", "2.2.HEADER.FIELDS (A)"] {
        assert_eq!(text(c, &format!("BODY.PEEK[{missing}]")).await, None, "{missing}");
    }
}

#[tokio::test]
async fn header_fields_are_chosen_and_keep_their_form() {
    let (_server, mut client) = with(&[MIXED.as_bytes()]).await;
    let c = &mut client;
    assert_eq!(
        text(c, "BODY.PEEK[HEADER.FIELDS (subject MESSAGE-id x-none)]").await.as_deref(),
        Some("Subject: mixed\r\n  and \"folded\"\r\nMessage-ID: <1@example.org>\r\n\r\n")
    );
    assert_eq!(
        text(c, "BODY.PEEK[HEADER.FIELDS.NOT (From To Date Subject \"Content-Type\")]").await.as_deref(),
        Some("Message-ID: <1@example.org>\r\nMIME-Version: 1.0\r\n\r\n")
    );
    assert_eq!(text(c, "BODY.PEEK[HEADER.FIELDS (x-none)]").await.as_deref(), Some("\r\n"));
    assert_eq!(text(c, "BODY.PEEK[HEADER.FIELDS (Subject)]<9.5>").await.as_deref(), Some("mixed"));
    let told = c.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS (x-none)]").await;
    assert_eq!(told, "* 1 FETCH (BODY[HEADER.FIELDS (x-none)] {2}\r\n\r\n)\r\n");
}

#[tokio::test]
async fn envelope_and_structure() {
    let (_server, mut client) = with(&[MIXED.as_bytes()]).await;
    let from = "((\"Doe, J.\" NIL \"j\" \"example.org\"))";
    let envelope = format!(
        "(\"Fri, 21 Nov 1997 23:55:06 -0600\" \"mixed  and \\\"folded\\\"\" {from} {from} {from} \
         ((NIL NIL \"Friends\" NIL)(NIL NIL \"a\" \"b.example\")(\"=?utf-8?q?J=C3=BC?=\" NIL \"c\" \"d\")\
         (NIL NIL NIL NIL)) NIL NIL NIL \"<1@example.org>\")"
    );
    let inner = MIXED.find("\r\n--out--").unwrap() - MIXED.find("Subject: inner").unwrap();
    let structure = format!(
        "((\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"quoted-printable\" 11 1 NIL NIL NIL NIL)\
         (\"message\" \"rfc822\" NIL NIL NIL \"7BIT\" {inner} \
         (NIL \"inner\" NIL NIL NIL NIL NIL NIL NIL NIL) \
         ((\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 10 0 NIL NIL NIL NIL)\
         (\"text\" \"html\" NIL NIL NIL \"7BIT\" 3 0 NIL (\"attachment\" (\"filename\" \"a b.html\")) (\"de\" \"en\") NIL) \
         \"alternative\" (\"boundary\" \"in\") NIL NIL NIL) 12 NIL NIL NIL NIL) \
         \"mixed\" (\"boundary\" \"out\") NIL NIL NIL)"
    );
    // The second time they are what was kept.
    for _ in 0..2 {
        let told = client.ok("FETCH 1 (ENVELOPE BODYSTRUCTURE)").await;
        assert_eq!(told, format!("* 1 FETCH (ENVELOPE {envelope} BODYSTRUCTURE {structure})\r\n"));
    }
    let basic = client.ok("FETCH 1 BODY").await;
    assert!(basic.starts_with(
        "* 1 FETCH (BODY ((\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"quoted-printable\" 11 1)"
    ));
    let full = client.ok("FETCH 1 FULL").await;
    assert!(full.contains("INTERNALDATE") && full.contains(&envelope) && full.contains(" BODY (("), "{full}");
}

#[tokio::test]
async fn what_is_malformed_is_told_in_good_form() {
    let messages: [(&[u8], &str); 8] = [
        (b"", "\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 0 0 NIL NIL NIL NIL"),
        (b"no header at all", "\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 0 0 NIL NIL NIL NIL"),
        (b"Content-Type: text\r\n\r\nx\n", "\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 2 1 NIL NIL NIL NIL"),
        (
            b"Content-Type: multipart/mixed\r\n\r\n--x\r\n",
            "\"APPLICATION\" \"OCTET-STREAM\" NIL NIL NIL \"7BIT\" 5 NIL NIL NIL NIL",
        ),
        (
            b"Content-Type: multipart/mixed; boundary=x\r\n\r\nnone\r\n",
            "(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 0 0) \"mixed\" (\"boundary\" \"x\") NIL NIL NIL",
        ),
        (
            b"Content-Type: image/png; =x; name; name=a b.png ; name*0*=utf-8''x\r\nContent-Transfer-Encoding:\r\nContent-Disposition:\r\n\r\n",
            "\"image\" \"png\" (\"name\" \"a b.png\" \"name*0*\" \"utf-8''x\") NIL NIL \"7BIT\" 0 NIL NIL NIL NIL",
        ),
        (
            b"Content-Type: a\"b/c; x=\"y\r\n z\\\"; q=1\r\nContent-ID: \"\xe4\0\r\n\r\n",
            "\"a\\\"b\" \"c\" (\"x\" \"y z\\\"; q=1\") {2}\r\n\"? NIL \"7BIT\" 0 NIL NIL NIL NIL",
        ),
        (
            b"Content-Type: message/rfc822\r\n\r\n",
            "\"message\" \"rfc822\" NIL NIL NIL \"7BIT\" 0 (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) \
             (\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 0 0 NIL NIL NIL NIL) 0 NIL NIL NIL NIL",
        ),
    ];
    for (message, structure) in messages {
        let (_server, mut client) = with(&[message]).await;
        let told = client.ok("FETCH 1 BODYSTRUCTURE").await;
        assert_eq!(told, format!("* 1 FETCH (BODYSTRUCTURE ({structure}))\r\n"), "{}", message.escape_ascii());
        let told = client.ok("FETCH 1 ENVELOPE").await;
        assert_eq!(told, "* 1 FETCH (ENVELOPE (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL))\r\n");
    }
    let (_server, mut client) =
        with(&[b"SUBJECT : x\xff\r\nFrom: <\r\nTo: a b\r\nSender: ,\r\nsubject: y\r\n\r\n"]).await;
    let told = client.ok("FETCH 1 ENVELOPE").await;
    let from = "((NIL NIL \"\" \"\"))";
    assert_eq!(
        told,
        format!(
            "* 1 FETCH (ENVELOPE (NIL {{2}}\r\nx? {from} {from} {from} ((NIL NIL \"a b\" \"\")) NIL NIL NIL NIL))\r\n"
        )
    );
}

#[tokio::test]
async fn fetching_marks_as_seen_unless_it_peeks_or_only_reads() {
    let (server, mut client) = with(&[b"A: 1\r\n\r\none", b"A: 2\r\n\r\ntwo"]).await;
    assert_eq!(client.ok("FETCH 1 BODY.PEEK[TEXT]").await, "* 1 FETCH (BODY[TEXT] {3}\r\none)\r\n");
    let mut other = server.select("INBOX").await;
    assert_eq!(client.ok("FETCH 1 BODY[TEXT]").await, "* 1 FETCH (BODY[TEXT] {3}\r\none FLAGS (\\Seen \\Recent))\r\n");
    assert_eq!(client.ok("FETCH 1 BODY[TEXT]").await, "* 1 FETCH (BODY[TEXT] {3}\r\none)\r\n");
    assert_eq!(client.ok("NOOP").await, "");
    assert_eq!(other.ok("NOOP").await, "* 1 FETCH (FLAGS (\\Seen))\r\n");
    assert_eq!(
        client.ok("UID FETCH 1:2 (FLAGS RFC822.TEXT)").await,
        "* 1 FETCH (UID 1 FLAGS (\\Seen \\Recent) RFC822.TEXT {3}\r\none)\r\n\
         * 2 FETCH (UID 2 FLAGS (\\Seen \\Recent) RFC822.TEXT {3}\r\ntwo)\r\n"
    );
    other.ok("STORE 2 -FLAGS.SILENT (\\Seen)").await;
    other.ok("EXAMINE INBOX").await;
    assert_eq!(other.ok("FETCH 2 BODY[TEXT]").await, "* 2 FETCH (BODY[TEXT] {3}\r\ntwo)\r\n");
    assert_eq!(other.ok("FETCH 2 FLAGS").await, "* 2 FETCH (FLAGS ())\r\n");
    assert!(other.reply("STORE 2 +FLAGS (\\Seen)").await.starts_with("NO "));
}

#[tokio::test]
async fn an_item_named_twice_is_told_once() {
    let (_server, mut client) = with(&[b"A: 1\r\n\r\none"]).await;
    let items = "BODY.PEEK[TEXT] ".repeat(500);
    let told = client.ok(&format!("FETCH 1 ({}UID UID)", items)).await;
    assert_eq!(told, "* 1 FETCH (UID 1 BODY[TEXT] {3}\r\none)\r\n");
}
