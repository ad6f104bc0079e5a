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
        let mut scratch = [0; 8];
        Some(match upper_case(word, &mut scratch) {
            b"AUTH" => Self::Auth,
            b"BDAT" => Self::Bdat,
            b"BURL" => Self::Burl,
            b"DATA" => Self::Data,
            b"EHLO" => Self::Ehlo,
            b"ETRN" => Self::Etrn,
            b"EXPN" => Self::Expn,
            b"HELO" => Self::Helo,
            b"HELP" => Self::Help,
            b"LHLO" => Self::Lhlo,
            b"MAIL" => Self::Mail,
            b"NOOP" => Self::Noop,
            b"QUIT" => Self::Quit,
            b"RCPT" => Self::Rcpt,
            b"RSET" => Self::Rset,
            b"SEND" | b"SOML" | b"SAML" => Self::Send,
            b"STARTTLS" => Self::StartTls,
            b"TURN" | b"ATRN" => Self::Turn,
            b"VRFY" => Self::Vrfy,
            b"XCLIENT" => Self::Xclient,
            b"XFORWARD" => Self::Xforward,
            _ => return None,
        })
    }
}

/// The word in capitals, where it fits into `scratch`; else nothing.
pub(super) fn upper_case<'s>(word: &str, scratch: &'s mut [u8]) -> &'s [u8] {
    let Some(upper) = scratch.get_mut(..word.len()) else { return &[] };
    upper.copy_from_slice(word.as_bytes());
    upper.make_ascii_uppercase();
    upper
}
