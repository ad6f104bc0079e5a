//! Why a line is not what it should be.

/// Why a line does not parse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{expected} expected at octet {at}")]
pub struct ParseError {
    /// Offset into the line.
    pub at: usize,
    /// What should stand there.
    pub expected: Expected,
}

/// What a parser expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Expected {
    /// A keyword that this crate knows.
    #[error("a known command")]
    Keyword,
    /// No control character: those end lines, or are taken for the end by others.
    #[error("a printable octet")]
    Printable,
    /// Valid UTF-8 (RFC 6856 §2.2).
    #[error("valid utf-8")]
    Utf8,
    /// An argument.
    #[error("an argument")]
    Argument,
    /// Nothing more.
    #[error("the end of the line")]
    End,
    /// Digits that make a number in range.
    #[error("a number")]
    Number,
    /// Base64 with its padding (RFC 4648 §4).
    #[error("base64")]
    Base64,
    /// The name of a SASL mechanism (RFC 4422 §3.1).
    #[error("a sasl mechanism")]
    Mechanism,
    /// 32 hexadecimal digits (RFC 1939 §7, APOP).
    #[error("a digest")]
    Digest,
    /// A message-id in angle brackets (RFC 1939 §7, APOP).
    #[error("a timestamp")]
    Timestamp,
    /// A basic language range (RFC 4647 §2.1).
    #[error("a language range")]
    Language,
    /// An IPv4 or IPv6 address.
    #[error("an address")]
    Address,
    /// 1 to 70 octets from `!` to `~` (RFC 1939 §7, UIDL).
    #[error("a unique-id")]
    UniqueId,
    /// `+OK` or `-ERR` (RFC 1939 §3).
    #[error("a status indicator")]
    Status,
}

impl ParseError {
    pub(super) const fn new(at: usize, expected: Expected) -> Self {
        Self { at, expected }
    }

    /// The same fault, seen from the line that the text was found in.
    pub(super) const fn moved(self, by: usize) -> Self {
        Self { at: self.at.saturating_add(by), expected: self.expected }
    }
}
