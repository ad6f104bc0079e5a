//! The verbs, told apart before anything else is looked at.

/// A command's verb: all that SMTP and LMTP have defined, done here or not. What is not in this list is answered 500, what is
/// but is not done is answered 502 (RFC 5321 §4.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// AUTH, RFC 4954.
    Auth,
    /// BDAT, RFC 3030.
    Bdat,
    /// BURL, RFC 4468.
    Burl,
    /// DATA.
    Data,
    /// EHLO.
    Ehlo,
    /// ETRN, RFC 1985.
    Etrn,
    /// EXPN.
    Expn,
    /// HELO.
    Helo,
    /// HELP.
    Help,
    /// LHLO, RFC 2033.
    Lhlo,
    /// MAIL.
    Mail,
    /// NOOP.
    Noop,
    /// QUIT.
    Quit,
    /// RCPT.
    Rcpt,
    /// RSET.
    Rset,
    /// SEND, SOML and SAML, RFC 821.
    Send,
    /// STARTTLS, RFC 3207.
    StartTls,
    /// TURN and ATRN, RFC 821 and RFC 2645.
    Turn,
    /// VRFY.
    Vrfy,
    /// XCLIENT, of Postfix.
    Xclient,
    /// XFORWARD, of Postfix.
    Xforward,
}

impl Verb {
    /// The verb of that name, in any case.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::of(word.as_bytes())
    }

    /// The same, of a word of any octets.
    pub(super) fn of(word: &[u8]) -> Option<Self> {
        let (head, tail) = word.split_first_chunk::<4>()?;
        // Without that bit small letters are capitals, and no other octet becomes one.
        let capitals = u32::from_ne_bytes(*head) & 0xdfdf_dfdf;
        match (&capitals.to_ne_bytes(), tail) {
            (b"AUTH", []) => Some(Self::Auth),
            (b"BDAT", []) => Some(Self::Bdat),
            (b"BURL", []) => Some(Self::Burl),
            (b"DATA", []) => Some(Self::Data),
            (b"EHLO", []) => Some(Self::Ehlo),
            (b"ETRN", []) => Some(Self::Etrn),
            (b"EXPN", []) => Some(Self::Expn),
            (b"HELO", []) => Some(Self::Helo),
            (b"HELP", []) => Some(Self::Help),
            (b"LHLO", []) => Some(Self::Lhlo),
            (b"MAIL", []) => Some(Self::Mail),
            (b"NOOP", []) => Some(Self::Noop),
            (b"QUIT", []) => Some(Self::Quit),
            (b"RCPT", []) => Some(Self::Rcpt),
            (b"RSET", []) => Some(Self::Rset),
            (b"SEND" | b"SOML" | b"SAML", []) => Some(Self::Send),
            (b"STAR", tail) if tail.eq_ignore_ascii_case(b"TTLS") => Some(Self::StartTls),
            (b"TURN" | b"ATRN", []) => Some(Self::Turn),
            (b"VRFY", []) => Some(Self::Vrfy),
            (b"XCLI", tail) if tail.eq_ignore_ascii_case(b"ENT") => Some(Self::Xclient),
            (b"XFOR", tail) if tail.eq_ignore_ascii_case(b"WARD") => Some(Self::Xforward),
            _ => None,
        }
    }
}

/// The word in capitals, where it fits into `scratch`; else nothing.
pub(super) fn upper_case<'s>(word: &str, scratch: &'s mut [u8]) -> &'s [u8] {
    let Some(upper) = scratch.get_mut(..word.len()) else { return &[] };
    for (capital, octet) in upper.iter_mut().zip(word.bytes()) {
        *capital = octet.to_ascii_uppercase();
    }
    upper
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_is_one_in_any_case_and_with_no_other_octet() {
        for verb in [&b"DATA"[..], b"Mail", b"rcpt", b"STARTTLS", b"xclient", b"XForward"] {
            assert!(Verb::of(verb).is_some(), "{verb:?}");
            for (at, letter) in verb.iter().enumerate() {
                for octet in 0..=255_u8 {
                    let mut word = verb.to_vec();
                    word[at] = octet;
                    let same = Verb::of(&word) == Verb::of(verb);
                    assert_eq!(same, octet.eq_ignore_ascii_case(letter), "{word:?}");
                }
            }
        }
        for word in [&b""[..], b"DAT", b"DATAX", b"STAR", b"STARTTL", b"STARTTLSX", b"XCLI"] {
            assert_eq!(Verb::of(word), None, "{word:?}");
        }
    }
}
