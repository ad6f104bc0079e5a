//! Messages, ordinary and odd ones.

/// What every signature of these covers.
pub(crate) const LUNCH: &str = "\
Received: from there by here; Sun, 22 Nov 2026 08:00:00 +0000\r\n\
From: Alice <alice@example.org>\r\n\
To: Bob <bob@example.net>,\r\n\
\tCarol <carol@example.net>\r\n\
Subject: lunch\r\n\
Date: Sun, 22 Nov 2026 08:00:00 +0000\r\n\
Message-ID: <1@example.org>\r\n\
MIME-Version: 1.0\r\n\
Content-Type: text/plain; charset=utf-8\r\n\
List-Unsubscribe: <https://example.org/u>\r\n\
\r\n\
At noon?\r\n\
\r\n\
Alice\r\n";

/// A header and a body, by what is odd about them.
const HEADERS: &[(&str, &str)] = &[
    ("short", "From: alice@example.org\r\n"),
    ("folded", "Subject: a\r\n  b \t c\t\r\n d\r\nFrom:\r\n alice@example.org\r\nTo:  bob@example.net  \r\n"),
    ("blank lines in a fold", "From: alice@example.org\r\nSubject: a\r\n \t\r\n b\r\n"),
    ("empty values", "From: alice@example.org\r\nSubject:\r\nCc: \r\nTo:\t\r\n"),
    ("capitals", "FROM: alice@example.org\r\nsUBJECT: A Lunch\r\nmessage-id: <A@Example.ORG>\r\n"),
    ("eight bits", "From: J\u{fc}rgen <j\u{fc}rgen@b\u{fc}cher.example>\r\nSubject: gr\u{fc}\u{df}e \u{1f984}\r\n"),
    ("twice", "Subject: one\r\nTo: a@example.net\r\nFrom: alice@example.org\r\nTo: b@example.net\r\nSubject: two\r\n"),
    ("colons", "From: alice@example.org\r\nSubject: re: re: a:b\r\n"),
    ("tags", "From: alice@example.org\r\nSubject: v=1; b=YWJj; d=example.com\r\n"),
    (
        "resent",
        "Resent-From: x@example.org\r\nResent-To: y@example.org\r\nResent-From: z@example.org\r\nFrom: alice@example.org\r\n",
    ),
    ("unsigned fields", "X-A: 1\r\nReturn-Path: <>\r\nFrom: alice@example.org\r\nReceived: by x\r\nX-A: 2\r\n"),
    (
        "a signature",
        "DKIM-Signature: v=1; a=rsa-sha256; d=example.com; s=x; h=from; bh=YQ==; b=YQ==\r\nFrom: alice@example.org\r\n",
    ),
];

const BODIES: &[(&str, &str)] = &[
    ("no body", ""),
    ("one blank line", "\r\n"),
    ("blank lines", "\r\n\r\n\r\n"),
    ("a space, a last line of blanks", " "),
    ("spaces, a last line of blanks", " \t \r\n\t\r\n  \r\n"),
    ("text", "At noon?\r\n"),
    ("no final line end", "At noon?\r\n-- \r\nAlice"),
    ("a final space", "At noon?\r\nAlice \t"),
    ("trailing blank lines", "At noon?\r\n\r\n\r\n\r\n"),
    ("trailing spaces, a last line of blanks", "At noon?\r\n\r\n \r\n\t\r\n\r\n"),
    ("leading blank lines", "\r\n \r\n\r\nAt noon?\r\n"),
    ("runs of blanks", " a  b\t\tc \t d\r\n\te  \r\n"),
    ("dots", ".\r\n..\r\n.a\r\n"),
    ("eight bits", "Gr\u{fc}\u{df}e \u{a0} \u{1f984}\r\n"),
];

/// Every header with every body.
pub(crate) fn all() -> impl Iterator<Item = (String, String)> {
    HEADERS.iter().flat_map(|(header_name, header)| {
        BODIES
            .iter()
            .map(move |(body_name, body)| (format!("{header_name}, {body_name}"), format!("{header}\r\n{body}")))
    })
}

/// Every header with one body, and every body with one header.
pub(crate) fn some() -> impl Iterator<Item = (String, String)> {
    all().filter(|(name, _)| name.starts_with("short, ") || name.ends_with(", runs of blanks"))
}

/// A message as it is sent, which is in whole lines: what was signed before its last one had an end must hold then.
pub(crate) fn sent(message: &str) -> String {
    let end = if message.ends_with("\r\n") { "" } else { "\r\n" };
    format!("{message}{end}")
}

/// Where the body begins.
pub(crate) fn split(message: &str) -> (&str, &str) {
    if let Some(body) = message.strip_prefix("\r\n") {
        return ("", body);
    }
    let (header, _) = message.split_once("\r\n\r\n").unwrap();
    let (header, body) = message.split_at(header.len() + 2);
    (header, body.strip_prefix("\r\n").unwrap())
}
