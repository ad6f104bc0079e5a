//! What a sender asked for with the DSN extension's parameters (RFC 3461 §4). What does not parse counts as absent: the
//! server that took the message was the place to refuse it.

use std::borrow::Cow;

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
    /// header (RFC 3461 §4.3, §6.2). Without a word from the sender that is the header too: a report to a forged
    /// sender carries no advertisement along.
    pub fn due(envelope: &Envelope, recipients: &[Told<'_>]) -> Self {
        let has_failed = recipients.iter().any(|told| told.action.is_failure());
        if has_failed { Self::of(envelope).unwrap_or(Self::Headers) } else { Self::Headers }
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
            return Some(Self { kind, address: decode_xtext(address)?.into() });
        }
        if address.is_empty() || address.chars().any(|letter| letter.is_control() || letter == ' ') {
            return None;
        }
        // RFC 6533 §3: what is called UTF-8 and is not, is copied as it stands.
        Some(Self { kind, address: decode_unitext(address).map_or(address.into(), Cow::Owned) })
    }

    /// The type of the address: `rfc822`, `utf-8`, or that of some other network.
    pub fn kind(&self) -> &str {
        self.kind
    }

    /// The address itself.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether the address may have characters beyond ASCII.
    pub(super) fn is_utf8(&self) -> bool {
        self.kind.eq_ignore_ascii_case("utf-8")
    }
}

/// The name that the sender gave to the transaction: ENVID, decoded (RFC 3461 §4.4, §6.3).
pub fn envelope_id(envelope: &Envelope) -> Option<String> {
    value(&envelope.parameters, "ENVID").filter(|text| text.len() <= ENVELOPE_ID_MAX).and_then(decode_xtext)
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
