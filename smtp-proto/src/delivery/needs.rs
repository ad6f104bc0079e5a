//! What a message needs of a server, and what it can do without.

use super::outcome::refusal;
use super::{Chunking, Envelope, Trouble};
use crate::{
    BodyType, ByMode, Capabilities, MailParameters, Mailbox, OriginalRecipient, Rcpt, RcptParameters, Reply, ReplyCode,
    ReversePath, RrvsAction, SizeLimit,
};

/// How the message itself goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    /// By DATA.
    Data,
    /// By one BDAT of so many octets.
    Chunk(u64),
}

/// Why a message cannot go to this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    Tls,
    RequireTls,
    SmtpUtf8,
    EightBitMime,
    BinaryMime,
    DeliverBy,
    FutureRelease,
    Room,
    /// Of ours: a message for BDAT, and nobody knows how long it is.
    Size,
}

impl Lack {
    /// What a server would say.
    pub(super) const fn reply(self) -> Reply {
        match self {
            // RFC 8689 §4.2.1, with the codes of §7.
            Self::Tls => refusal(ReplyCode::MAILBOX_UNAVAILABLE, 7, 10, "TLS is required, and cannot be had"),
            Self::RequireTls => refusal(ReplyCode::MAILBOX_UNAVAILABLE, 7, 30, "the server does not take REQUIRETLS"),
            Self::SmtpUtf8 => refusal(ReplyCode::NAME_NOT_ALLOWED, 6, 7, "the server does not take SMTPUTF8"),
            Self::EightBitMime => refusal(ReplyCode::FAILED, 6, 3, "the server does not take 8BITMIME"),
            Self::BinaryMime => refusal(ReplyCode::FAILED, 6, 3, "the server does not take BINARYMIME"),
            Self::DeliverBy => refusal(ReplyCode::FAILED, 3, 3, "the server does not take DELIVERBY"),
            Self::FutureRelease => refusal(ReplyCode::FAILED, 3, 3, "the server does not take FUTURERELEASE"),
            Self::Room => refusal(ReplyCode::STORAGE_EXCEEDED, 3, 4, "the message is too big for the server"),
            Self::Size => refusal(ReplyCode::FAILED, 6, 0, "the message has no known size"),
        }
    }

    /// Whether another server may have it.
    pub(super) const fn trouble(self) -> Option<Trouble> {
        match self {
            Self::Tls
            | Self::RequireTls
            | Self::SmtpUtf8
            | Self::EightBitMime
            | Self::BinaryMime
            | Self::DeliverBy
            | Self::FutureRelease
            | Self::Room => Some(Trouble::Lacking),
            Self::Size => None,
        }
    }
}

impl Envelope {
    /// How the message goes to a server that offers this.
    ///
    /// # Errors
    /// What of it the server lacks. Where an extension's promise would be broken by a server that does not know it, the message
    /// may not go there: by RFC 6531 §3.2, RFC 3030 §3, RFC 8689 §4.2.1, RFC 2852 §4 (where it is to be returned when it is
    /// late) and RFC 4865 §5.
    pub(super) fn means(&self, offers: &Capabilities, is_under_tls: bool, chunking: Chunking) -> Result<Means, Lack> {
        let (needs, extensions) = (&self.mail.parameters, &offers.extensions);
        let is_due = needs.deliver_by.is_some_and(|by| by.mode() == ByMode::Return);
        let room = match offers.size {
            Some(SizeLimit::Octets(limit)) => limit,
            Some(SizeLimit::Unknown) | None => u64::MAX,
        };
        if self.requires_tls() && !is_under_tls {
            return Err(Lack::Tls);
        }
        if self.requires_tls() && !extensions.require_tls {
            return Err(Lack::RequireTls);
        }
        if self.needs_utf8() && !extensions.smtp_utf8 {
            return Err(Lack::SmtpUtf8);
        }
        if is_due && extensions.deliver_by.is_none() {
            return Err(Lack::DeliverBy);
        }
        if needs.hold.is_some() && extensions.future_release.is_none() {
            return Err(Lack::FutureRelease);
        }
        if needs.size.is_some_and(|size| size > room) {
            return Err(Lack::Room);
        }
        match (needs.body, needs.size, chunking) {
            (Some(BodyType::BinaryMime), _, _) if !(extensions.binary_mime && extensions.chunking) => {
                Err(Lack::BinaryMime)
            }
            (Some(BodyType::BinaryMime), size, _) => size.map(Means::Chunk).ok_or(Lack::Size),
            (Some(BodyType::EightBitMime), _, _) if !extensions.eight_bit_mime => Err(Lack::EightBitMime),
            (Some(BodyType::EightBitMime | BodyType::SevenBit) | None, Some(size), Chunking::WhereOffered)
                if extensions.chunking =>
            {
                Ok(Means::Chunk(size))
            }
            (Some(BodyType::EightBitMime | BodyType::SevenBit) | None, _, _) => Ok(Means::Data),
        }
    }

    /// Whether a server will do that knows no extension, and no TLS.
    pub(super) fn is_plain(&self) -> bool {
        let anyone = self.recipients.iter().any(Rcpt::needs_rrvs);
        !anyone && self.means(&Capabilities::default(), false, Chunking::WhereNeeded) == Ok(Means::Data)
    }

    /// RFC 8689 §5: a report is better sent without it than not at all.
    pub(super) fn requires_tls(&self) -> bool {
        self.mail.parameters.require_tls && self.mail.from != ReversePath::<&str>::Null
    }

    /// RFC 6531 §3.1: some address, or the message, cannot be said in ASCII.
    fn needs_utf8(&self) -> bool {
        let ascii = self.mail.from.is_ascii() && self.recipients.iter().all(|rcpt| rcpt.to.is_ascii());
        self.mail.parameters.smtp_utf8 || !ascii
    }

    /// What MAIL tells: of what there is to tell, all that the server offers to hear.
    pub(super) fn parameters(&self, offers: &Capabilities, is_under_tls: bool) -> MailParameters<&str> {
        let (all, extensions) = (self.mail.parameters.borrowed(), &offers.extensions);
        let body = match all.body {
            Some(BodyType::SevenBit | BodyType::EightBitMime) if !extensions.eight_bit_mime => None,
            body => body,
        };
        MailParameters {
            size: all.size.filter(|_| offers.size.is_some()),
            body,
            smtp_utf8: self.needs_utf8(),
            auth: all.auth.filter(|_| !offers.auth.is_empty()),
            require_tls: all.require_tls && extensions.require_tls && is_under_tls,
            ret: all.ret.filter(|_| extensions.dsn),
            envid: all.envid.filter(|_| extensions.dsn),
            priority: all.priority.filter(|_| extensions.mt_priority),
            deliver_by: all.deliver_by.filter(|_| extensions.deliver_by.is_some()),
            hold: all.hold,
            solicit: all.solicit.filter(|_| extensions.no_soliciting),
        }
    }
}

impl Rcpt {
    /// RFC 7293 §3.1: the recipient is not to get it from a server that cannot see to the condition.
    pub(super) fn needs_rrvs(&self) -> bool {
        self.parameters.rrvs.is_some_and(|rrvs| rrvs.otherwise == RrvsAction::Reject)
    }

    /// The original recipient as every server with DSN takes it (RFC 6533 §3), where it was given otherwise.
    pub(super) fn orcpt_in_ascii(&self) -> Option<OriginalRecipient> {
        let original = self.parameters.orcpt.as_ref().filter(|original| !original.is_ascii())?;
        OriginalRecipient::of(&Mailbox::parse(&original.address()).ok()?)
    }

    /// What RCPT tells: of what there is to tell, all that the server offers to hear.
    pub(super) fn said<'a>(
        &'a self,
        orcpt_in_ascii: Option<&'a OriginalRecipient>,
        offers: &Capabilities,
    ) -> RcptParameters<&'a str> {
        let (all, extensions) = (self.parameters.borrowed(), &offers.extensions);
        let orcpt = all.orcpt.filter(OriginalRecipient::is_ascii);
        RcptParameters {
            notify: all.notify.filter(|_| extensions.dsn),
            orcpt: orcpt.or(orcpt_in_ascii.map(OriginalRecipient::borrowed)).filter(|_| extensions.dsn),
            rrvs: all.rrvs.filter(|_| extensions.rrvs),
            delivery: all.delivery.filter(|_| extensions.handover),
            epoch: all.epoch.filter(|_| extensions.handover),
        }
    }
}

/// What a server would say to a recipient whose condition it cannot see to.
pub(super) const NO_RRVS: Reply = refusal(ReplyCode::FAILED, 3, 3, "the server does not take RRVS");
