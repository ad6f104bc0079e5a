//! What a sender asked for with the DSN extension's parameters (RFC 3461 §4). What does not parse counts as absent: the
//! server that took the message was the place to refuse it.

use std::borrow::Cow;

use super::text::{Charset, utf8_address, verbatim};
use super::{Action, Told};
use crate::{Envelope, Parameter, Recipient};

/// Longest ENVID that is read, in octets of the wire (RFC 3461 §4.4).
const ENVELOPE_ID_MAX: usize = 100;

/// Longest ORCPT that is read, in octets of the wire (RFC 3461 §4.2).
const ORIGINAL_RECIPIENT_MAX: usize = 500;

/// Of what a sender wants to hear, for one recipient (RFC 3461 §4.1). None of it is `NEVER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Notify {
    /// It was delivered.
    pub success: bool,
    /// It could not be delivered.
    pub failure: bool,
    /// It takes its time. Whether anyone is told of that is up to us; without this word nobody is.
    pub delay: bool,
}

/// How much of the original a sender wants back (RFC 3461 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ret {
    /// `FULL`: all of it.
    Full,
    /// `HDRS`: its header.
    Headers,
}

/// Whom the sender meant, before anyone rewrote the address: ORCPT, decoded (RFC 3461 §4.2, RFC 6533 §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginalRecipient<'a> {
    kind: &'a str,
    address: Cow<'a, str>,
    form: Form,
}

/// How an original recipient stands in a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As it came.
    AsIs,
    /// As an address in UTF-8, or in the form that such an address has in ASCII.
    Utf8,
}

impl Notify {
    /// `NEVER`: of nothing.
    pub const NEVER: Self = Self { success: false, failure: false, delay: false };

    /// What holds where the sender did not say: failures, and delays if we tell of them at all (RFC 3461 §4.1).
    pub const UNSAID: Self = Self { success: false, failure: true, delay: true };

    /// What was asked for this recipient.
    pub fn of(recipient: &Recipient) -> Self {
        value(&recipient.parameters, "NOTIFY").and_then(Self::parse).unwrap_or(Self::UNSAID)
    }

    /// Whether this action is among it.
    pub fn covers(self, action: Action) -> bool {
        match action {
            Action::Failed | Action::Expired => self.failure,
            Action::Delayed { .. } => self.delay,
            Action::Delivered | Action::Relayed | Action::Expanded => self.success,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut notify = Self::NEVER;
        if text.eq_ignore_ascii_case("NEVER") {
            return Some(notify);
        }
        for word in text.split(',') {
            if word.eq_ignore_ascii_case("SUCCESS") {
                notify.success = true;
            } else if word.eq_ignore_ascii_case("FAILURE") {
                notify.failure = true;
            } else if word.eq_ignore_ascii_case("DELAY") {
                notify.delay = true;
            } else {
                return None;
            }
        }
        Some(notify)
    }
}

impl Ret {
    /// What was asked for this message, if anything was.
    pub fn of(envelope: &Envelope) -> Option<Self> {
        let text = value(&envelope.parameters, "RET")?;
        if text.eq_ignore_ascii_case("FULL") {
            Some(Self::Full)
        } else if text.eq_ignore_ascii_case("HDRS") {
            Some(Self::Headers)
        } else {
            None
        }
    }

    /// What a report about these recipients returns: the whole where that was asked for and one of them failed, else the
    /// header (RFC 3461 §4.3, §6.2). Without a word from the sender that is the header too, although
    /// RFC 6522 §3 would rather have the whole: a report to a forged sender carries no advertisement along. Of what demands
    /// TLS the header alone comes back, whatever was asked for (RFC 8689 §5).
    pub fn due(envelope: &Envelope, recipients: &[Told<'_>]) -> Self {
        let has_failed = recipients.iter().any(|told| told.action.is_failure());
        if has_failed && !requires_tls(envelope) { Self::of(envelope).unwrap_or(Self::Headers) } else { Self::Headers }
    }
}

impl<'a> OriginalRecipient<'a> {
    /// What was said about this recipient, if anything was.
    pub fn of(recipient: &'a Recipient) -> Option<Self> {
        let (kind, address) = value(&recipient.parameters, "ORCPT")
            .filter(|text| text.len() <= ORIGINAL_RECIPIENT_MAX)?
            .split_once(';')?;
        if kind.is_empty() || !kind.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-') {
            return None;
        }
        if !kind.eq_ignore_ascii_case("utf-8") {
            return Some(Self { kind, address: decode_xtext(address)?.into(), form: Form::AsIs });
        }
        if address.is_empty() || address.chars().any(|letter| letter.is_control() || letter == ' ') {
            return None;
        }
        match decode_unitext(address) {
            Some(address) => Some(Self { kind, address: address.into(), form: Form::Utf8 }),
            // RFC 6533 §3: what is called UTF-8 and is not is copied.
            None => Some(Self { kind, address: address.into(), form: Form::AsIs }),
        }
    }

    /// The type of the address: `rfc822`, `utf-8`, or that of some other network.
    pub fn kind(&self) -> &str {
        self.kind
    }

    /// The address itself.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The address as a field of this charset has it.
    pub(super) fn written(&self, charset: Charset) -> String {
        match self.form {
            Form::AsIs => verbatim(&self.address, charset),
            Form::Utf8 => utf8_address(&self.address, charset),
        }
    }
}

/// The name that the sender gave to the transaction: ENVID, decoded (RFC 3461 §4.4, §6.3).
pub fn envelope_id(envelope: &Envelope) -> Option<String> {
    value(&envelope.parameters, "ENVID").filter(|text| text.len() <= ENVELOPE_ID_MAX).and_then(decode_xtext)
}

/// Whether the message demands TLS on its way (RFC 8689 §2).
pub(super) fn requires_tls(envelope: &Envelope) -> bool {
    envelope.parameters.iter().any(|parameter| parameter.keyword.eq_ignore_ascii_case("REQUIRETLS"))
}

/// Whether the original was sent with SMTPUTF8 (RFC 6531 §3.4).
pub(super) fn is_utf8(envelope: &Envelope) -> bool {
    envelope.parameters.iter().any(|parameter| parameter.keyword.eq_ignore_ascii_case("SMTPUTF8"))
}

/// The value of a parameter. RFC 3461 §4.5: it may stand there only once.
fn value<'a>(parameters: &'a [Parameter], keyword: &str) -> Option<&'a str> {
    let mut found = parameters.iter().filter(|parameter| parameter.keyword.eq_ignore_ascii_case(keyword));
    let first = found.next()?;
    if found.next().is_some() {
        return None;
    }
    first.value.as_deref()
}

/// Decodes xtext (RFC 3461 §4) that must stand for printable ASCII.
fn decode_xtext(text: &str) -> Option<String> {
    let mut decoded = String::with_capacity(text.len());
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        let octet = match octet {
            b'+' => hex_digit(octets.next()?)? << 4 | hex_digit(octets.next()?)?,
            b'!'..=b'~' if octet != b'=' => octet,
            _ => return None,
        };
        if !matches!(octet, b' '..=b'~') {
            return None;
        }
        decoded.push(char::from(octet));
    }
    (!decoded.is_empty()).then_some(decoded)
}

/// Upper case alone, as RFC 3461 §4 has it.
fn hex_digit(octet: u8) -> Option<u8> {
    match octet {
        b'0'..=b'9' => Some(octet - b'0'),
        b'A'..=b'F' => Some(octet - b'A' + 10),
        _ => None,
    }
}

/// Decodes the `\x{…}` of RFC 6533 §3. None where it is something else, or stands for a control character.
fn decode_unitext(text: &str) -> Option<String> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        let (digits, after) = escaped.strip_prefix("x{")?.split_once('}')?;
        if !(2..=6).contains(&digits.len()) || !digits.bytes().all(|digit| hex_digit(digit).is_some()) {
            return None;
        }
        let letter = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
        if letter.is_control() {
            return None;
        }
        decoded.push_str(plain);
        decoded.push(letter);
        rest = after;
    }
    decoded.push_str(rest);
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Destination;

    #[test]
    fn an_envelope_id_is_decoded_and_what_is_none_is_absent() {
        let table = [
            ("QQ314159", Some("QQ314159")),
            ("a+2Bb+3Dc+20d", Some("a+b=c d")),
            ("", None),
            ("a+2", None),
            ("a+2b", None),
            ("a=b", None),
            ("a b", None),
            ("a+0D+0Ab", None),
            ("a+E9", None),
            ("\u{e9}", None),
        ];
        for (text, expected) in table {
            let parameters = vec![Parameter::new("Envid", text)];
            let envelope = Envelope { parameters, ..Envelope::default() };
            assert_eq!(envelope_id(&envelope).as_deref(), expected, "{text:?}");
        }
        for (length, is_read) in [(100, true), (101, false)] {
            let parameters = vec![Parameter::new("ENVID", "x".repeat(length))];
            assert_eq!(envelope_id(&Envelope { parameters, ..Envelope::default() }).is_some(), is_read);
        }
        assert_eq!(envelope_id(&Envelope { parameters: vec![Parameter::flag("ENVID")], ..Envelope::default() }), None);
    }

    #[test]
    fn an_original_recipient_is_decoded_and_what_is_none_is_absent() {
        let table = [
            ("rfc822;bob@example.com", Some(("rfc822", "bob@example.com"))),
            ("RFC822;bob+2Bx@Example.com", Some(("RFC822", "bob+x@Example.com"))),
            ("x400;/C=+20", None),
            ("x400;/C+3D+20", Some(("x400", "/C= "))),
            ("utf-8;ren\u{e9}@example.com", Some(("utf-8", "ren\u{e9}@example.com"))),
            (r"UTF-8;ren\x{E9}\x{2B}\x{10FFFF}@x", Some(("UTF-8", "ren\u{e9}+\u{10ffff}@x"))),
            // RFC 6533 §3: copied without alteration.
            (r"utf-8;ren\x{D800}@x", Some(("utf-8", r"ren\x{D800}@x"))),
            (r"utf-8;ren\x{e9}@x", Some(("utf-8", r"ren\x{e9}@x"))),
            (r"utf-8;ren\x{0A}@x", Some(("utf-8", r"ren\x{0A}@x"))),
            (r"utf-8;ren\x{E9", Some(("utf-8", r"ren\x{E9"))),
            ("utf-8;", None),
            ("utf-8;a b", None),
            ("utf-8;a\r\nb", None),
            ("rfc822;ren\u{e9}@example.com", None),
            ("rfc822", None),
            ("rfc822;", None),
            (";bob@example.com", None),
            ("rfc 822;bob@example.com", None),
        ];
        for (text, expected) in table {
            let recipient = recipient(text);
            let seen = OriginalRecipient::of(&recipient);
            assert_eq!(seen.as_ref().map(|seen| (seen.kind(), seen.address())), expected, "{text:?}");
        }
        for (length, is_read) in [(500, true), (501, false)] {
            let recipient = recipient(&format!("rfc822;{}", "x".repeat(length - 7)));
            assert_eq!(OriginalRecipient::of(&recipient).is_some(), is_read);
        }
    }

    #[test]
    fn what_is_called_utf_8_and_is_not_is_copied_as_it_stands() {
        for text in [r"ren\x{e9}+=@x", r"\x{", r"\\"] {
            let recipient = recipient(&format!("utf-8;{text}"));
            let seen = OriginalRecipient::of(&recipient).unwrap();
            assert_eq!(seen.written(Charset::Ascii), text);
            assert_eq!(seen.written(Charset::Utf8), text);
        }
    }

    fn recipient(original: &str) -> Recipient {
        let parameters = vec![Parameter::new("Orcpt", original)];
        Recipient { address: "bob@example.com".into(), destination: Destination::remote(""), parameters }
    }
}
