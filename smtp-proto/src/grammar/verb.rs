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
        Self::take(word.as_bytes()).and_then(|(verb, behind)| behind.is_empty().then_some(verb))
    }

    /// Takes a verb off the front of a line; behind it stands nothing, or a space.
    pub(super) fn take(line: &[u8]) -> Option<(Self, &[u8])> {
        let (head, tail) = line.split_first_chunk::<4>()?;
        // Without that bit small letters are capitals, and no other octet becomes one.
        let capitals = u32::from_ne_bytes(*head) & 0xdfdf_dfdf;
        let (verb, more): (_, &[u8]) = match &capitals.to_ne_bytes() {
            b"AUTH" => (Self::Auth, b""),
            b"BDAT" => (Self::Bdat, b""),
            b"BURL" => (Self::Burl, b""),
            b"DATA" => (Self::Data, b""),
            b"EHLO" => (Self::Ehlo, b""),
            b"ETRN" => (Self::Etrn, b""),
            b"EXPN" => (Self::Expn, b""),
            b"HELO" => (Self::Helo, b""),
            b"HELP" => (Self::Help, b""),
            b"LHLO" => (Self::Lhlo, b""),
            b"MAIL" => (Self::Mail, b""),
            b"NOOP" => (Self::Noop, b""),
            b"QUIT" => (Self::Quit, b""),
            b"RCPT" => (Self::Rcpt, b""),
            b"RSET" => (Self::Rset, b""),
            b"SEND" | b"SOML" | b"SAML" => (Self::Send, b""),
            b"STAR" => (Self::StartTls, b"TTLS"),
            b"TURN" | b"ATRN" => (Self::Turn, b""),
            b"VRFY" => (Self::Vrfy, b""),
            b"XCLI" => (Self::Xclient, b"ENT"),
            b"XFOR" => (Self::Xforward, b"WARD"),
            _ => return None,
        };
        let (end, behind) = tail.split_at_checked(more.len())?;
        let is_whole = matches!(behind, [] | [b' ', ..]) && end.eq_ignore_ascii_case(more);
        is_whole.then_some((verb, behind))
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
        for verb in ["DATA", "Mail", "rcpt", "STARTTLS", "xclient", "XForward"] {
            assert!(Verb::parse(verb).is_some(), "{verb:?}");
            for (at, letter) in verb.bytes().enumerate() {
                for octet in 0..=255_u8 {
                    let mut word = verb.as_bytes().to_vec();
                    word[at] = octet;
                    let same = Verb::take(&word) == Verb::take(verb.as_bytes());
                    assert_eq!(same, octet.eq_ignore_ascii_case(&letter), "{word:?}");
                }
            }
        }
        for word in ["", "DAT", "DATAX", "STAR", "STARTTL", "STARTTLSX", "XCLI", "DATA "] {
            assert_eq!(Verb::parse(word), None, "{word:?}");
        }
        assert_eq!(Verb::take(b"starttls  now"), Some((Verb::StartTls, &b"  now"[..])));
    }
}
