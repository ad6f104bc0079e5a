//! A message that is hard to carry, and the judgement whether a copy is it.

/// Header fields that servers put on top of a message they pass on.
const TRACE: [&str; 2] = ["return-path", "received"];

/// Header fields that mbsync and mutt put into their own copies.
const READERS: [&str; 6] = ["x-tuid", "content-length", "lines", "status", "x-status", "x-keywords"];

/// A message with all that gets lost on the way: leading dots, octets of no encoding, a long line, a line that begins a
/// message in an mbox, blanks at the end of a line, and blank lines at the end.
pub(crate) fn awkward(id: &str, from: &str, to: &str) -> Vec<u8> {
    let mut message = format!(
        "From: Alice <{from}>\r\n\
         To: <{to}>\r\n\
         Subject: awkward {id}\r\n\
         Date: Sat, 21 Nov 2026 12:00:00 +0000\r\n\
         Message-ID: <{id}@awkward.example.org>\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=unknown-8bit\r\n\
         Content-Transfer-Encoding: 8bit\r\n\
         X-Folded: one\r\n\
         \ttwo\r\n\
         \r\n\
         .\r\n\
         ..\r\n\
         ...\r\n\
         . and text\r\n\
         \r\n\
         .\r\n\
         From here on, no line begins a message.\r\n\
         Gr\u{fc}\u{df}e, \u{4f60}\u{597d}, \u{1f4ee}\r\n"
    )
    .into_bytes();
    message.extend((0x80..=0xff_u8).chain(*b" and blanks \t \r\n"));
    message.extend((0..990_u32).map(|at| b'a' + (at % 26) as u8));
    message.extend(b"\r\n");
    message.extend([b'.'; 990]);
    message.extend(b"\r\n.end\r\n\r\n\r\n\r\n");
    message
}

/// Whether `copy` is `sent` with nothing but trace headers on top.
pub(crate) fn is_copy(copy: &[u8], sent: &[u8]) -> bool {
    copy.strip_suffix(sent).is_some_and(only_trace)
}

/// Whether `copy` is `sent` as a client keeps it: with LF, and its own headers among the others.
pub(crate) fn is_kept_copy(copy: &[u8], sent: &[u8]) -> bool {
    let sent = unix_lines(sent);
    without_readers_fields(copy).strip_suffix(&sent[..]).is_some_and(only_trace)
}

/// A message without what readers put into their own copies.
pub(crate) fn without_readers_fields(copy: &[u8]) -> Vec<u8> {
    without_fields(copy, &READERS)
}

/// CRLF to LF.
pub(crate) fn unix_lines(text: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        match line {
            [line @ .., b'\r', b'\n'] => lines.extend(line.iter().chain(b"\n")),
            line => lines.extend(line),
        }
    }
    lines
}

/// Pairs all copies with all that was sent, one to one, and tells what does not fit.
pub(crate) fn compare(
    copies: &[Vec<u8>],
    sent: &[(String, Vec<u8>)],
    same: fn(&[u8], &[u8]) -> bool,
) -> Result<(), String> {
    let mut left: Vec<_> = copies.iter().collect();
    let mut lost = Vec::new();
    for (name, sent) in sent {
        match left.iter().position(|copy| same(copy, sent)) {
            Some(at) => drop(left.swap_remove(at)),
            None => lost.push(name.as_str()),
        }
    }
    if lost.is_empty() && left.is_empty() {
        return Ok(());
    }
    let strange: Vec<_> = left.iter().map(|copy| copy.escape_ascii().to_string()).collect();
    Err(format!("no copy of what was sent by {lost:?}; copies of nothing that was sent: {strange:#?}"))
}

fn only_trace(top: &[u8]) -> bool {
    (top.is_empty() || top.ends_with(b"\n")) && without_fields(top, &TRACE).is_empty()
}

/// A header, or a message, without these fields.
fn without_fields(text: &[u8], names: &[&str]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(text.len());
    let mut left_out = false;
    let mut rest = text;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = &rest[..=end];
        if matches!(line, b"\n" | b"\r\n") {
            break;
        }
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            left_out = names.iter().any(|left_out| name.eq_ignore_ascii_case(left_out.as_bytes()));
        }
        if !left_out {
            kept.extend(line);
        }
        rest = &rest[end + 1..];
    }
    kept.extend(rest);
    kept
}

#[test]
fn a_copy_may_have_trace_headers_on_top_and_nothing_else() {
    let sent = awkward("1", "a@example.org", "b@example.org");
    let with = |top: &str| [top.as_bytes(), &sent[..]].concat();
    assert!(is_copy(&sent, &sent));
    assert!(is_copy(&with("Return-Path: <>\r\nReceived: from a\r\n\tby b\r\n"), &sent));
    assert!(!is_copy(&with("X-Spam: no\r\n"), &sent));
    assert!(!is_copy(&with("Received: from a\r\n\r\n"), &sent));
    assert!(!is_copy(&with("Received: from a"), &sent));
    assert!(!is_copy(&[&sent[..], b"\r\n"].concat(), &sent));
    assert!(!is_copy(&sent[..sent.len() - 2], &sent));
}

#[test]
fn a_kept_copy_may_have_the_headers_of_its_keeper() {
    let sent = b"A: b\r\n\r\nX-TUID: body\r\n\r\n";
    assert!(is_kept_copy(b"Received: x\n y\nA: b\nX-TUID: 1\n\nX-TUID: body\n\n", sent));
    assert!(!is_kept_copy(b"A: b\n\n\n", sent));
    assert!(!is_kept_copy(b"A: b\nB: c\n\nX-TUID: body\n\n", sent));
}

#[test]
fn pairs_are_one_to_one() {
    let sent =
        |texts: &[&str]| texts.iter().map(|text| (text.to_string(), text.as_bytes().to_vec())).collect::<Vec<_>>();
    let copies = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect::<Vec<_>>();
    let (a, b) = ("A: a\r\n\r\n", "B: b\r\n\r\n");
    compare(&copies(&[b, a]), &sent(&[a, b]), is_copy).unwrap();
    compare(&copies(&[a]), &sent(&[a, b]), is_copy).unwrap_err();
    compare(&copies(&[a, b, b]), &sent(&[a, b]), is_copy).unwrap_err();
    compare(&copies(&[a, b]), &sent(&[a, a]), is_copy).unwrap_err();
}
