//! The frame of a report: its header and its parts (RFC 3464 §2, RFC 6522 §3).

use super::original::{Enclosure, Encoding};
use super::quoted::Quoted;
use super::text::{Charset, date, field, is_mailbox};
use super::{Report, fields, words};
use crate::MessageId;

/// The boundary between the parts. Quoted-printable never has `=_` (RFC 2045 §6.7), what others said is disarmed, and a
/// [`super::Survey`] looks for it in the rest.
pub(super) fn boundary(id: MessageId) -> String {
    format!("=_{id}")
}

/// The header, the parts for people and for programs, and the header of the part that returns the original.
pub(super) fn head(report: &Report<'_>) -> String {
    let facts = &report.facts;
    let enclosure = report.enclosure();
    let boundary = boundary(facts.id);
    // Who guesses the boundary reads two equals signs in its place.
    let disarmed = |content: String| content.replace(&boundary, &format!("=={}", facts.id));
    let words = Part::text(disarmed(words::letter(facts, enclosure)), report.charset);
    let fields = Part::fields(disarmed(fields::fields(facts, report.charset)));

    let mut out = String::new();
    header(&mut out, report);
    let is_eight_bit =
        enclosure.is_eight_bit() || [&words, &fields].iter().any(|part| part.encoding == Encoding::EightBit);
    if is_eight_bit {
        // RFC 2045 §6.4: a whole is labelled by its parts.
        field(&mut out, "Content-Transfer-Encoding", Encoding::EightBit.as_str());
    }
    field(&mut out, "Content-Type", &format!("multipart/report; report-type=delivery-status; boundary=\"{boundary}\""));
    for part in [words, fields] {
        out.push_str(&format!("\r\n--{boundary}\r\n"));
        part_header(&mut out, part.kind, part.encoding);
        out.push_str(&part.content);
    }
    match enclosure {
        Enclosure::Nothing => {}
        Enclosure::Part { kind, encoding, .. } => {
            out.push_str(&format!("\r\n--{boundary}\r\n"));
            part_header(&mut out, kind, encoding);
        }
    }
    out
}

/// The end of the last part.
pub(super) fn tail(report: &Report<'_>) -> String {
    format!("\r\n--{}--\r\n", boundary(report.facts.id))
}

fn header(out: &mut String, report: &Report<'_>) {
    let facts = &report.facts;
    let host = identifier(facts.host);
    field(out, "Date", &date(facts.date));
    let from = if is_mailbox(facts.from, report.charset) { facts.from } else { &format!("postmaster@{host}") };
    field(out, "From", &format!("Mail Delivery System <{from}>"));
    let sender = report.to();
    if is_mailbox(sender, report.charset) {
        field(out, "To", &format!("<{sender}>"));
    } else {
        // A header field cannot name it, the envelope still does. RFC 5322 §3.4: a group may be empty.
        field(out, "To", "undisclosed-recipients:;");
    }
    field(out, "Subject", words::subject(facts.recipients));
    field(out, "Message-ID", &format!("<{}@{host}>", facts.id));
    // RFC 3834 §5.
    field(out, "Auto-Submitted", "auto-replied");
    field(out, "MIME-Version", "1.0");
}

/// The host's name as the right side of a Message-ID (RFC 5322 §3.6.4), whatever it was.
pub(super) fn identifier(host: &str) -> String {
    let letters: String =
        host.chars().filter(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.')).collect();
    let atoms: Vec<_> = letters.split('.').filter(|atom| !atom.is_empty()).collect();
    let mut name = atoms.join(".");
    name.truncate(255);
    if name.is_empty() { "localhost".to_owned() } else { name }
}

fn part_header(out: &mut String, kind: &str, encoding: Encoding) {
    field(out, "Content-Type", kind);
    match encoding {
        // RFC 2045 §6.1: so it is where nothing is said.
        Encoding::SevenBit => {}
        Encoding::EightBit | Encoding::Quoted => field(out, "Content-Transfer-Encoding", encoding.as_str()),
    }
    out.push_str("\r\n");
}

/// One of the parts that a report writes itself.
struct Part {
    kind: &'static str,
    encoding: Encoding,
    content: String,
}

impl Part {
    fn text(content: String, charset: Charset) -> Self {
        if content.is_ascii() {
            return Self { kind: "text/plain; charset=us-ascii", encoding: Encoding::SevenBit, content };
        }
        let kind = "text/plain; charset=utf-8";
        match charset {
            Charset::Utf8 => Self { kind, encoding: Encoding::EightBit, content },
            Charset::Ascii => {
                let mut quoted = Quoted::default();
                let mut out = Vec::with_capacity(content.len() + content.len() / 4);
                quoted.push(content.as_bytes(), &mut out);
                quoted.finish(&mut out);
                let content = out.into_iter().map(char::from).collect();
                Self { kind, encoding: Encoding::Quoted, content }
            }
        }
    }

    fn fields(content: String) -> Self {
        if content.is_ascii() {
            return Self { kind: "message/delivery-status", encoding: Encoding::SevenBit, content };
        }
        Self { kind: "message/global-delivery-status", encoding: Encoding::EightBit, content }
    }
}
