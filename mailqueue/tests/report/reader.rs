//! A strict reader of reports: it takes nothing but CRLF for a line end, and looks for the parts by their delimiter alone.

use mail_parser::{MessageParser, PartType};

use crate::setting::{Letter, id};

/// A report in pieces.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) header: Fields,
    pub(crate) parts: Vec<Part>,
}

#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) header: Fields,
    pub(crate) content: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fields(pub(crate) Vec<(String, String)>);

impl Fields {
    /// Fields of whole lines, unfolded.
    pub(crate) fn parse(text: &str) -> Self {
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in text.strip_suffix("\r\n").unwrap().split("\r\n") {
            assert!(!line.trim().is_empty(), "a line of spaces in {text:?}");
            if line.starts_with(' ') {
                fields.last_mut().unwrap().1.push_str(line);
                continue;
            }
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no field: {line:?}"));
            assert!(name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-'), "{line:?}");
            fields.push((name.to_owned(), value.to_owned()));
        }
        Self(fields)
    }

    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().filter(|(known, _)| known == name);
        let value = found.next()?.1.as_str();
        assert_eq!(found.next(), None, "two of {name}");
        Some(value)
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }
}

impl Part {
    pub(crate) fn kind(&self) -> &str {
        self.header.value("Content-Type").unwrap()
    }

    pub(crate) fn encoding(&self) -> &str {
        self.header.value("Content-Transfer-Encoding").unwrap_or("7bit")
    }

    /// What it stands for.
    pub(crate) fn decoded(&self) -> Vec<u8> {
        match self.encoding() {
            "quoted-printable" => unquote(&self.content),
            _ => self.content.clone(),
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.decoded()).unwrap()
    }
}

impl Read {
    /// The groups of fields for programs: about the message, then about each recipient.
    pub(crate) fn groups(&self) -> Vec<Fields> {
        let text = self.parts[1].text();
        let text = text.strip_suffix("\r\n").unwrap();
        text.split("\r\n\r\n").map(|group| Fields::parse(&format!("{group}\r\n"))).collect()
    }

    /// The letter for people, on one line.
    pub(crate) fn words(&self) -> String {
        self.parts[0].text().split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// Reads a report, and has the other parser read it too.
pub(crate) fn read(letter: &Letter) -> Read {
    let lines: Vec<_> = split(&letter.octets, b"\r\n");
    for line in &lines {
        assert!(line.len() <= 998, "a line of {} octets", line.len());
        assert!(!line.contains(&b'\r') && !line.contains(&b'\n') && !line.contains(&0), "{line:?}");
    }
    let (header, _) = cut(&letter.octets, b"\r\n\r\n").unwrap();
    let body = &letter.octets[header.len()..];
    let header = Fields::parse(std::str::from_utf8(header).unwrap());
    let boundary = format!("=_{}", id());
    assert_eq!(
        header.value("Content-Type").unwrap(),
        format!("multipart/report; report-type=delivery-status; boundary=\"{boundary}\"")
    );
    let delimiter = format!("\r\n--{boundary}");
    let mut pieces = split(body, delimiter.as_bytes());
    assert_eq!(pieces.remove(0), b"", "something stands before the first part");
    assert_eq!(pieces.pop().unwrap(), b"--\r\n");
    let parts = pieces.into_iter().map(|piece| {
        let piece = piece.strip_prefix(b"\r\n").unwrap();
        let (header, content) = cut(piece, b"\r\n\r\n").unwrap();
        Part { header: Fields::parse(std::str::from_utf8(header).unwrap()), content: content.to_vec() }
    });
    let read = Read { header, parts: parts.collect() };
    for part in &read.parts {
        assert_eq!(split(&part.content, boundary.as_bytes()).len(), 1, "the boundary stands in {:?}", part.header);
    }
    check_encodings(letter, &read);
    check_with_the_other(letter, &read);
    read
}

/// Each part says what it has, and the whole says what its parts do (RFC 2045 §6.4).
fn check_encodings(letter: &Letter, read: &Read) {
    let mut widest = "7bit";
    for part in &read.parts {
        match part.encoding() {
            "8bit" => widest = "8bit",
            "7bit" | "quoted-printable" => assert!(part.content.is_ascii(), "{:?}", part.header),
            other => panic!("{other}"),
        }
    }
    assert_eq!(read.header.value("Content-Transfer-Encoding").unwrap_or("7bit"), widest);
    let said: Vec<_> = letter.parameters.iter().map(|parameter| parameter.keyword.as_str()).collect();
    let is_eight_bit = !letter.octets.is_ascii();
    assert!(!is_eight_bit || said.contains(&"BODY"), "{said:?}");
    let (header, _) = cut(&letter.octets, b"\r\n\r\n").unwrap();
    assert!(header.is_ascii() || said.contains(&"SMTPUTF8"), "{said:?}");
}

fn check_with_the_other(letter: &Letter, read: &Read) {
    let message = MessageParser::default().parse(&letter.octets).unwrap();
    let PartType::Multipart(ids) = &message.root_part().body else { panic!("not a multipart") };
    assert_eq!(ids.len(), read.parts.len());
    for (id, part) in ids.iter().zip(&read.parts) {
        let seen = message.part(*id).unwrap();
        // That parser reads into a returned message, and beyond its end where it is none: then it has no empty line.
        let is_message = matches!(part.kind(), "message/rfc822" | "message/global");
        if is_message && cut(&part.content, b"\r\n\r\n").is_none() {
            continue;
        }
        assert!(!seen.is_encoding_problem);
        assert_eq!(&letter.octets[seen.offset_body as usize..seen.offset_end as usize], part.content);
        if let PartType::Text(text) = &seen.body {
            assert_eq!(*text, String::from_utf8_lossy(&part.decoded()));
        }
    }
    assert!(message.date().unwrap().is_valid());
    assert_eq!(message.message_id().unwrap().split_once('@').unwrap().0, id().to_string());
    assert_eq!(message.from().unwrap().iter().count(), 1);
}

/// Everything before the first `separator` with its first CRLF, and everything behind it.
fn cut<'a>(octets: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = octets.windows(separator.len()).position(|window| window == separator)?;
    Some((&octets[..at + 2], &octets[at + separator.len()..]))
}

fn split<'a>(mut octets: &'a [u8], separator: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    while let Some(at) = octets.windows(separator.len()).position(|window| window == separator) {
        pieces.push(&octets[..at]);
        octets = &octets[at + separator.len()..];
    }
    pieces.push(octets);
    pieces
}

/// Decodes quoted-printable, and accepts only lines as RFC 2045 §6.7 has them.
pub(crate) fn unquote(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let lines = split(octets, b"\r\n");
    let last = lines.len() - 1;
    for (index, line) in lines.iter().enumerate() {
        assert!(line.len() <= 76, "{line:?}");
        assert!(!line.ends_with(b" ") && !line.ends_with(b"\t"), "{line:?}");
        let soft = line.strip_suffix(b"=");
        let mut rest = soft.unwrap_or(line).iter();
        while let Some(octet) = rest.next() {
            match octet {
                b'=' => {
                    let digits = [*rest.next().unwrap(), *rest.next().unwrap()];
                    assert!(!digits.iter().any(u8::is_ascii_lowercase));
                    out.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
                }
                b' '..=b'~' | b'\t' => out.push(*octet),
                _ => panic!("{line:?}"),
            }
        }
        if soft.is_none() && index < last {
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}
