//! Messages that POP3 could lose something of.

/// A message as it was sent, with CRLF.
pub(crate) struct Letter {
    pub(crate) name: &'static str,
    pub(crate) text: Vec<u8>,
}

pub(crate) fn nasty() -> Vec<Letter> {
    let octets: Vec<u8> = (1..=u8::MAX).filter(|octet| !b"\r\n".contains(octet)).collect();
    let octets = [b"Subject: \xfcml\xe4ut\r\n\r\n", &octets[..], b" \t \r\n"].concat();
    let megabyte: String = (0..16 * 1024).map(|line| format!("{line:08} {}\r\n", "octets ".repeat(7))).collect();
    let long = [".".repeat(50_000), "x".repeat(50_000)].join("\r\n");
    [
        ("first-octet", b".first.octet: is a dot\r\n\r\n.\r\n".to_vec()),
        ("one-dot", b".\r\n".to_vec()),
        ("dots", b"A: b\r\n\r\n.\r\n..\r\n...\r\n. and text\r\n\r\n.\r\n".to_vec()),
        ("empty-body", b"Subject: empty\r\n\r\n".to_vec()),
        ("header-alone", b"Subject: alone\r\n".to_vec()),
        ("body-alone", b"\r\nalone\r\n".to_vec()),
        ("blank-lines", b"A: c\r\n\r\n\r\n \r\n\t\r\n\r\n\r\n".to_vec()),
        ("utf-8", "Subject: \u{4f60}\u{597d}, Gr\u{fc}\u{df}e \u{1f4ee}\r\n\r\nGr\u{fc}\u{df}e\r\n".into()),
        ("octets", octets),
        ("no-end", b"Subject: no end\r\n\r\nno end".to_vec()),
        ("no-end-dot", b"Subject: no end\r\n\r\nno end\r\n.".to_vec()),
        ("long-lines", format!("Subject: long\r\n\r\n{long}\r\n").into()),
        ("megabyte", format!("Subject: megabyte\r\n\r\n{megabyte}").into()),
    ]
    .map(|(name, text)| Letter { name, text })
    .into()
}
