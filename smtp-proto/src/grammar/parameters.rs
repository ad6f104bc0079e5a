//! Parameters of MAIL and RCPT (RFC 5321 §4.1.1.11), and the keywords that extensions have given them.

use alloc::boxed::Box;
use core::fmt::Write as _;

use bytes::BytesMut;

use super::capabilities::Extensions;
use super::deliver_by::DeliverBy;
use super::domain::is_utf8_char;
use super::dsn::{Notify, OriginalRecipient, Ret};
use super::error::{Expected, ParseError};
use super::hold::Hold;
use super::number::{number, size};
use super::priority::Priority;
use super::rrvs::Rrvs;
use super::solicitation::Solicitation;
use super::text::{Alphabet, Xtext, behind_spaces};
use super::verb::upper_case;

/// What stands behind the path in MAIL. Make one with `..Default::default()`: extensions add fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MailParameters<S = Box<str>> {
    /// `SIZE=`: the message's octets, roughly (RFC 1870 §5). More digits than fit are the largest number.
    pub size: Option<u64>,
    /// `BODY=`: what the message is made of (RFC 6152 §3, RFC 3030 §3).
    pub body: Option<BodyType>,
    /// `SMTPUTF8`: addresses or headers are UTF-8 (RFC 6531 §3.4).
    pub smtp_utf8: bool,
    /// `AUTH=`: who gave the message up first (RFC 4954 §5).
    pub auth: Option<Submitter<S>>,
    /// `REQUIRETLS`: to be sent on under verified TLS only, or not at all (RFC 8689 §2).
    pub require_tls: bool,
    /// `RET=`: how much of the message a report of failure gives back (RFC 3461 §4.3).
    pub ret: Option<Ret>,
    /// `ENVID=`: what the sender calls the transaction (RFC 3461 §4.4).
    pub envid: Option<Xtext<S>>,
    /// `MT-PRIORITY=` (RFC 6710 §4.1).
    pub priority: Option<Priority>,
    /// `BY=`: until when to deliver (RFC 2852 §4).
    pub deliver_by: Option<DeliverBy>,
    /// `HOLDFOR=` or `HOLDUNTIL=`: from when on to deliver (RFC 4865 §5).
    pub hold: Option<Hold>,
    /// `SOLICIT=`: what kind of advertisement the message is (RFC 3865 §3).
    pub solicit: Option<Solicitation<S>>,
}

/// What stands behind the path in RCPT. Make one with `..Default::default()`: extensions add fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RcptParameters<S = Box<str>> {
    /// `NOTIFY=`: when to report to the sender (RFC 3461 §4.1).
    pub notify: Option<Notify>,
    /// `ORCPT=`: whom the sender had named (RFC 3461 §4.2).
    pub orcpt: Option<OriginalRecipient<S>>,
    /// `RRVS=`: since when the address must have been the recipient's own (RFC 7293 §3.1).
    pub rrvs: Option<Rrvs>,
    /// `XDELIVERY=`: what our own queue calls the delivery of this message to this recipient, however often it tries. A store
    /// that knows the name has the message already.
    pub delivery: Option<Xtext<S>>,
    /// `XEPOCH=`: the age of the route by which the message came, as our own router counts.
    pub epoch: Option<u64>,
}

/// What octets a message is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BodyType {
    /// Lines of ASCII.
    SevenBit,
    /// Lines of any octets (RFC 6152 §2).
    EightBitMime,
    /// Any octets, in lines or not; sent by BDAT only (RFC 3030 §3).
    BinaryMime,
}

/// The value of `AUTH=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Submitter<S = Box<str>> {
    /// `<>`: not known, or not believed.
    Unknown,
    /// A mailbox in xtext.
    Mailbox(Xtext<S>),
}

/// More than a name of ours needs.
const DELIVERY_MAX: usize = 100;

/// One `esmtp-param`, not yet understood.
struct Parameter<'a> {
    at: usize,
    keyword: &'a str,
    value: Option<&'a str>,
}

impl<'a> MailParameters<&'a str> {
    /// Parses what follows the path, which stands `offset` octets into the line.
    pub(super) fn parse(text: &'a str, offset: usize) -> Result<Self, ParseError> {
        let mut all = Self::default();
        for parameter in Parameters::new(text, offset) {
            let parameter = parameter?;
            let mut scratch = [0; KEYWORD_MAX];
            match upper_case(parameter.keyword, &mut scratch) {
                b"SIZE" => parameter.once(&mut all.size, size)?,
                b"BODY" => parameter.once(&mut all.body, |value| BodyType::parse(value).ok())?,
                b"SMTPUTF8" => parameter.flag(&mut all.smtp_utf8)?,
                b"AUTH" => parameter.once(&mut all.auth, Submitter::parse)?,
                b"REQUIRETLS" => parameter.flag(&mut all.require_tls)?,
                b"RET" => parameter.once(&mut all.ret, |value| Ret::parse(value).ok())?,
                b"ENVID" => parameter.once(&mut all.envid, |value| Xtext::parse_envelope_id(value).ok())?,
                b"MT-PRIORITY" => parameter.once(&mut all.priority, |value| Priority::parse(value).ok())?,
                b"BY" => parameter.once(&mut all.deliver_by, |value| DeliverBy::parse(value).ok())?,
                b"HOLDFOR" => parameter.once(&mut all.hold, |value| Hold::parse_for(value).ok())?,
                b"HOLDUNTIL" => parameter.once(&mut all.hold, |value| Hold::parse_until(value).ok())?,
                b"SOLICIT" => parameter.once(&mut all.solicit, |value| Solicitation::parse(value).ok())?,
                _ => return Err(parameter.error(Expected::KnownParameter)),
            }
        }
        Ok(all)
    }

    /// The same, owned.
    #[must_use]
    pub fn into_owned(self) -> MailParameters {
        MailParameters {
            size: self.size,
            body: self.body,
            smtp_utf8: self.smtp_utf8,
            auth: self.auth.map(|auth| match auth {
                Submitter::Unknown => Submitter::Unknown,
                Submitter::Mailbox(xtext) => Submitter::Mailbox(xtext.into_owned()),
            }),
            require_tls: self.require_tls,
            ret: self.ret,
            envid: self.envid.map(Xtext::into_owned),
            priority: self.priority,
            deliver_by: self.deliver_by,
            hold: self.hold,
            solicit: self.solicit.map(Solicitation::into_owned),
        }
    }

    /// Whether none is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl<S: AsRef<str>> MailParameters<S> {
    /// The same, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> MailParameters<&str> {
        MailParameters {
            size: self.size,
            body: self.body,
            smtp_utf8: self.smtp_utf8,
            auth: self.auth.as_ref().map(|auth| match auth {
                Submitter::Unknown => Submitter::Unknown,
                Submitter::Mailbox(xtext) => Submitter::Mailbox(xtext.borrowed()),
            }),
            require_tls: self.require_tls,
            ret: self.ret,
            envid: self.envid.as_ref().map(Xtext::borrowed),
            priority: self.priority,
            deliver_by: self.deliver_by,
            hold: self.hold,
            solicit: self.solicit.as_ref().map(Solicitation::borrowed),
        }
    }

    /// Whether each belongs to what is offered. `SIZE=` and `AUTH=` are for the caller to judge.
    pub(crate) const fn belong_to(&self, offered: &Extensions) -> bool {
        let body = match self.body {
            None => true,
            Some(BodyType::SevenBit | BodyType::EightBitMime) => offered.eight_bit_mime,
            Some(BodyType::BinaryMime) => offered.binary_mime && offered.chunking,
        };
        body && (!self.smtp_utf8 || offered.smtp_utf8)
            && (!self.require_tls || offered.require_tls)
            && (self.ret.is_none() && self.envid.is_none() || offered.dsn)
            && (self.priority.is_none() || offered.mt_priority)
            && (self.deliver_by.is_none() || offered.deliver_by.is_some())
            && (self.hold.is_none() || offered.future_release.is_some())
            && (self.solicit.is_none() || offered.no_soliciting)
    }

    /// Appends them, each with a space before it.
    pub(super) fn write(&self, out: &mut BytesMut) {
        if let Some(size) = self.size {
            // Writing to memory does not fail.
            let _ = write!(out, " SIZE={size}");
        }
        if let Some(body) = self.body {
            append(out, " BODY=", body.as_str());
        }
        if self.smtp_utf8 {
            out.extend_from_slice(b" SMTPUTF8");
        }
        match &self.auth {
            Some(Submitter::Unknown) => out.extend_from_slice(b" AUTH=<>"),
            Some(Submitter::Mailbox(xtext)) => append(out, " AUTH=", xtext.as_str()),
            None => {}
        }
        if self.require_tls {
            out.extend_from_slice(b" REQUIRETLS");
        }
        if let Some(ret) = self.ret {
            let _ = write!(out, " RET={ret}");
        }
        if let Some(envid) = &self.envid {
            append(out, " ENVID=", envid.as_str());
        }
        if let Some(priority) = self.priority {
            let _ = write!(out, " MT-PRIORITY={priority}");
        }
        if let Some(deliver_by) = self.deliver_by {
            let _ = write!(out, " BY={deliver_by}");
        }
        if let Some(hold) = self.hold {
            let _ = write!(out, " {hold}");
        }
        if let Some(solicit) = &self.solicit {
            let _ = write!(out, " SOLICIT={solicit}");
        }
    }
}

impl<'a> RcptParameters<&'a str> {
    /// Parses what follows the path, which stands `offset` octets into the line.
    pub(super) fn parse(text: &'a str, offset: usize) -> Result<Self, ParseError> {
        let mut all = Self::default();
        for parameter in Parameters::new(text, offset) {
            let parameter = parameter?;
            let mut scratch = [0; KEYWORD_MAX];
            match upper_case(parameter.keyword, &mut scratch) {
                b"NOTIFY" => parameter.once(&mut all.notify, |value| Notify::parse(value).ok())?,
                b"ORCPT" => parameter.once(&mut all.orcpt, |value| OriginalRecipient::parse(value).ok())?,
                b"RRVS" => parameter.once(&mut all.rrvs, |value| Rrvs::parse(value).ok())?,
                b"XDELIVERY" => parameter.once(&mut all.delivery, delivery)?,
                b"XEPOCH" => parameter.once(&mut all.epoch, number)?,
                _ => return Err(parameter.error(Expected::KnownParameter)),
            }
        }
        Ok(all)
    }

    /// The same, owned.
    #[must_use]
    pub fn into_owned(self) -> RcptParameters {
        RcptParameters {
            notify: self.notify,
            orcpt: self.orcpt.map(OriginalRecipient::into_owned),
            rrvs: self.rrvs,
            delivery: self.delivery.map(Xtext::into_owned),
            epoch: self.epoch,
        }
    }

    /// Whether none is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl<S: AsRef<str>> RcptParameters<S> {
    /// The same, borrowed.
    #[must_use]
    pub fn borrowed(&self) -> RcptParameters<&str> {
        RcptParameters {
            notify: self.notify,
            orcpt: self.orcpt.as_ref().map(OriginalRecipient::borrowed),
            rrvs: self.rrvs,
            delivery: self.delivery.as_ref().map(Xtext::borrowed),
            epoch: self.epoch,
        }
    }

    /// Whether each belongs to what is offered.
    pub(crate) const fn belong_to(&self, offered: &Extensions) -> bool {
        (self.notify.is_none() && self.orcpt.is_none() || offered.dsn)
            && (self.rrvs.is_none() || offered.rrvs)
            && (!self.are_ours() || offered.handover)
    }

    /// Whether some are known among our own processes only.
    pub(crate) const fn are_ours(&self) -> bool {
        self.delivery.is_some() || self.epoch.is_some()
    }

    /// Whether they can be sent without SMTPUTF8.
    pub(crate) fn is_ascii(&self) -> bool {
        self.orcpt.as_ref().is_none_or(OriginalRecipient::is_ascii)
    }

    /// Appends them, each with a space before it.
    pub(super) fn write(&self, out: &mut BytesMut) {
        // Writing to memory does not fail.
        if let Some(notify) = self.notify {
            let _ = write!(out, " NOTIFY={notify}");
        }
        if let Some(orcpt) = &self.orcpt {
            let _ = write!(out, " ORCPT={orcpt}");
        }
        if let Some(rrvs) = self.rrvs {
            let _ = write!(out, " RRVS={rrvs}");
        }
        if let Some(delivery) = &self.delivery {
            append(out, " XDELIVERY=", delivery.as_str());
        }
        if let Some(epoch) = self.epoch {
            let _ = write!(out, " XEPOCH={epoch}");
        }
    }
}

impl BodyType {
    /// Parses a whole text, in any case.
    ///
    /// # Errors
    /// Where it is something else.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        match upper_case(text, &mut [0; KEYWORD_MAX]) {
            b"7BIT" => Ok(Self::SevenBit),
            b"8BITMIME" => Ok(Self::EightBitMime),
            b"BINARYMIME" => Ok(Self::BinaryMime),
            _ => Err(ParseError { at: 0, expected: Expected::ParameterValue }),
        }
    }

    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SevenBit => "7BIT",
            Self::EightBitMime => "8BITMIME",
            Self::BinaryMime => "BINARYMIME",
        }
    }
}

impl<'a> Submitter<&'a str> {
    fn parse(value: &'a str) -> Option<Self> {
        match value {
            "<>" => Some(Self::Unknown),
            "" => None,
            _ => Xtext::parse(value).ok().map(Self::Mailbox),
        }
    }
}

/// Longest keyword that is known.
const KEYWORD_MAX: usize = 11;

impl<'a> Parameter<'a> {
    const fn error(&self, expected: Expected) -> ParseError {
        ParseError { at: self.at, expected }
    }

    /// Sets what has a value, and no more than one.
    fn once<T>(&self, slot: &mut Option<T>, parse: impl FnOnce(&'a str) -> Option<T>) -> Result<(), ParseError> {
        if slot.is_some() {
            return Err(self.error(Expected::ParameterOnce));
        }
        *slot = Some(self.value.and_then(parse).ok_or(self.error(Expected::ParameterValue))?);
        Ok(())
    }

    /// Sets what has no value.
    fn flag(&self, slot: &mut bool) -> Result<(), ParseError> {
        match self.value {
            Some(_) => Err(self.error(Expected::ParameterValue)),
            None if *slot => Err(self.error(Expected::ParameterOnce)),
            None => {
                *slot = true;
                Ok(())
            }
        }
    }
}

fn append(out: &mut BytesMut, keyword: &str, value: &str) {
    out.extend_from_slice(keyword.as_bytes());
    out.extend_from_slice(value.as_bytes());
}

fn delivery(value: &str) -> Option<Xtext<&str>> {
    Xtext::parse(value).ok().filter(|_| value.len() <= DELIVERY_MAX)
}

/// `*( SP esmtp-param )`, where several spaces count as one.
struct Parameters<'a> {
    rest: &'a str,
    /// Where the text ends in the line.
    end: usize,
}

impl<'a> Parameters<'a> {
    /// Of what stands `offset` octets into the line.
    const fn new(text: &'a str, offset: usize) -> Self {
        Self { rest: text, end: offset.saturating_add(text.len()) }
    }

    /// `esmtp-param = esmtp-keyword ["=" esmtp-value]`.
    fn parameter(&mut self, text: &'a str) -> Result<Parameter<'a>, ParseError> {
        let at = self.end.saturating_sub(text.len());
        let bad = |expected| ParseError { at, expected };
        let (keyword, behind) = KEYWORD.split(text);
        if text.len() == self.rest.len() || matches!(keyword.as_bytes(), [] | [b'-', ..]) {
            return Err(bad(Expected::End));
        }
        let (value, behind) = match behind.strip_prefix('=').map(|behind| VALUE.split(behind)) {
            Some(("", _)) => return Err(bad(Expected::ParameterValue)),
            Some((value, behind)) => (Some(value), behind),
            None => (None, behind),
        };
        match (behind.as_bytes(), value) {
            ([] | [b' ', ..], _) => self.rest = behind,
            (_, Some(_)) => return Err(bad(Expected::ParameterValue)),
            (_, None) => return Err(bad(Expected::End)),
        }
        Ok(Parameter { at, keyword, value })
    }
}

impl<'a> Iterator for Parameters<'a> {
    type Item = Result<Parameter<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        let text = behind_spaces(self.rest);
        (!text.is_empty()).then(|| self.parameter(text))
    }
}

/// RFC 5321 §4.1.2 `esmtp-keyword`.
static KEYWORD: Alphabet = Alphabet::alphanumeric_and(b"-", |_| false);

/// RFC 5321 §4.1.2 `esmtp-value`, and RFC 6531 §3.3 beyond ASCII.
static VALUE: Alphabet = Alphabet::alphanumeric_and(b"!\"#$%&'()*+,-./:;<>?@[\\]^_`{|}~", is_utf8_char);
