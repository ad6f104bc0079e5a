//! Messages that POP3 could lose something of, and what clients make of them on purpose.

/// A message's name, and the message with CRLF, as it was sent.
pub(super) type Letter = (String, Vec<u8>);

/// All of them whose lines are not longer than a client can take.
pub(super) fn nasty(longest_line: usize) -> Vec<Letter> {
    let every_octet: Vec<u8> = (1..=u8::MAX).filter(|octet| !b"\r\n".contains(octet)).collect();
    let megabyte: String = (0..16 * 1024).map(|line| format!("{line:08} {}\r\n", "octets ".repeat(7))).collect();
    let long = |length: usize| [".".repeat(length), "x".repeat(length)].map(|line| line + "\r\n").concat();
    let mut letters = vec![
        (".first.octet: is a dot\r\n\r\n.\r\n".into(), "first-octet"),
        (b".\r\n".to_vec(), "one-dot"),
        (letter("dots", ".\r\n..\r\n...\r\n. and text\r\n\r\n.\r\n"), "dots"),
        (letter("last-dot", "text\r\n.\r\n"), "last-dot"),
        (letter("empty-body", ""), "empty-body"),
        (b"From: Alice <alice@example.org>\r\nSubject: header alone\r\n".to_vec(), "header-alone"),
        (letter("blank-lines", "\r\n\r\n \r\n\t\r\n\r\n\r\n"), "blank-lines"),
        (letter("\u{4f60}\u{597d}, Gr\u{fc}\u{df}e \u{1f4ee}", "Gr\u{fc}\u{df}e\r\n"), "utf-8"),
        ([&b"Subject: \xfcml\xe4ut\xdf\r\n\r\n"[..], &every_octet, b" \t \r\n"].concat(), "octets"),
        (letter("no-end", "no end"), "no-end"),
        (letter("no-end-dot", "no end\r\n."), "no-end-dot"),
        (letter("from", "From here on\r\n>From there on\r\n\r\nFrom me\r\n"), "from"),
        (letter("megabyte", &megabyte), "megabyte"),
    ];
    // What RFC 5322 §2.1.1 allows, what poplib reads, what fetchmail reads, and what nobody should write.
    for length in [998, 2000, 8000, 50_000] {
        letters.push((letter("long-lines", &long(length)), "long-lines"));
    }
    letters.retain(|(content, _)| content.split(|octet| *octet == b'\n').all(|line| line.len() <= longest_line));
    letters.into_iter().map(|(content, name)| (name.to_owned(), content)).collect()
}

/// One that comes later.
pub(super) fn new() -> Letter {
    ("new".to_owned(), letter("new", ".new\r\n"))
}

fn letter(subject: &str, body: &str) -> Vec<u8> {
    format!(
        "From: Alice <alice@example.org>\r\n\
         To: <bob@example.org>\r\n\
         Subject: {subject}\r\n\
         Date: Sat, 21 Nov 2026 12:00:00 +0000\r\n\
         MIME-Version: 1.0\r\n\
         \r\n\
         {body}"
    )
    .into_bytes()
}

/// What the server sends of a message: on its wire there is no line without an end.
pub(super) fn ended(sent: &[u8]) -> Vec<u8> {
    let end: &[u8] = if sent.ends_with(b"\r\n") { b"" } else { b"\r\n" };
    [sent, end].concat()
}

/// A message that has come to the end of its header, for clients that cannot do without: a blank line at the end of one
/// that is a header alone.
pub(super) fn with_header_ended(text: &[u8]) -> Vec<u8> {
    let has_end = text.starts_with(b"\r\n") || text.windows(4).any(|octets| octets == b"\r\n\r\n");
    [text, if has_end { b"" } else { b"\r\n" }].concat()
}

/// The same, and a blank line at the beginning where the first line is no field: then all is body.
pub(super) fn with_header(text: &[u8]) -> Vec<u8> {
    let first_line = text.split(|octet| *octet == b'\n').next().unwrap_or_default();
    if first_line.contains(&b':') { with_header_ended(text) } else { [b"\r\n", text].concat() }
}

/// As it stands in an mbox: no line of the body begins a message.
pub(super) fn from_quoted(text: &[u8]) -> Vec<u8> {
    let lines = text.split_inclusive(|octet| *octet == b'\n');
    lines.flat_map(|line| [if line.starts_with(b"From ") { &b">"[..] } else { b"" }, line]).flatten().copied().collect()
}

#[test]
fn what_clients_make_of_messages() {
    assert_eq!(ended(b"a"), b"a\r\n");
    assert_eq!(ended(b"a\r\n"), b"a\r\n");
    assert_eq!(with_header_ended(b"A: b\r\n"), b"A: b\r\n\r\n");
    assert_eq!(with_header_ended(b"A: b\r\n\r\n"), b"A: b\r\n\r\n");
    assert_eq!(with_header(b".\r\n"), b"\r\n.\r\n");
    assert_eq!(with_header(b"A: b\r\n"), b"A: b\r\n\r\n");
    assert_eq!(from_quoted(b"From a\r\nFrom\r\n>From \r\nFrom "), b">From a\r\nFrom\r\n>From \r\n>From ");
}
