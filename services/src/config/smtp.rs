//! What is done about clients of SMTP that are not careful, as operators write it.

use std::fmt;
use std::str::FromStr;

use smtp_proto::{EarlyTalk, Stray};
use thiserror::Error;

/// What holds for SMTP and LMTP only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmtpSettings {
    /// What becomes of clients on the listener `smtp` that do not wait for their turn.
    pub early_talk: EarlyTalkers,
    /// What becomes of a CR or an LF alone in a message.
    pub bare_line_ends: BareLineEnds,
}

/// What becomes of clients that do not wait for their turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EarlyTalkers(pub EarlyTalk);

/// The text says nothing that is done about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not what becomes of clients that do not wait; write ignore, report or refuse")]
pub struct NoEarlyTalkers;

/// What becomes of a CR or an LF alone in a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BareLineEnds(pub Stray);

/// The text says nothing that is done about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not what becomes of a CR or an LF alone; write reject or normalize")]
pub struct NoBareLineEnds;

impl FromStr for EarlyTalkers {
    type Err = NoEarlyTalkers;

    fn from_str(text: &str) -> Result<Self, NoEarlyTalkers> {
        match text {
            "ignore" => Ok(Self(EarlyTalk::Ignore)),
            "report" => Ok(Self(EarlyTalk::Report)),
            "refuse" => Ok(Self(EarlyTalk::Refuse)),
            _ => Err(NoEarlyTalkers),
        }
    }
}

impl fmt::Display for EarlyTalkers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            EarlyTalk::Ignore => "ignore",
            EarlyTalk::Report => "report",
            EarlyTalk::Refuse => "refuse",
        })
    }
}

/// Nobody can ask for them to be kept: they would do harm at the next server.
impl FromStr for BareLineEnds {
    type Err = NoBareLineEnds;

    fn from_str(text: &str) -> Result<Self, NoBareLineEnds> {
        match text {
            "reject" => Ok(Self(Stray::Reject)),
            "normalize" => Ok(Self(Stray::Normalize)),
            _ => Err(NoBareLineEnds),
        }
    }
}

impl fmt::Display for BareLineEnds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Stray::Reject => "reject",
            Stray::Normalize => "normalize",
            Stray::Keep => "keep",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_done_is_understood_and_shown_as_it_is_written() {
        for text in ["ignore", "report", "refuse"] {
            assert_eq!(text.parse::<EarlyTalkers>().unwrap().to_string(), text);
        }
        for text in ["reject", "normalize"] {
            assert_eq!(text.parse::<BareLineEnds>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for text in ["", "reject", "Refuse", "true"] {
            assert_eq!(text.parse::<EarlyTalkers>(), Err(NoEarlyTalkers), "{text}");
        }
        for text in ["", "refuse", "keep", "Reject", "false"] {
            assert_eq!(text.parse::<BareLineEnds>(), Err(NoBareLineEnds), "{text}");
        }
    }
}
