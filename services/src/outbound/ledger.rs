//! What becomes of each recipient while host after host is asked. Pure: reports in, fates out.

use smtp_proto::{Outcome, ReplyCode, Report, Said, SaidBy, Stage, Trouble};

use super::fate::{self, Fate, Fault, Onward, Place, Word};
use super::reply;

/// How all the recipients of a message stand, in its order.
#[derive(Debug)]
pub(super) struct Ledger {
    each: Vec<Standing>,
}

/// How one of them stands.
#[derive(Clone, Debug)]
enum Standing {
    /// No host has been asked.
    Untried,
    /// Hosts were asked, or could not be; one of them may do better another time.
    Hopeful(Word, Fault),
    /// All hosts that were asked have refused for good, before they heard of the recipient: another may yet take it.
    Refused(Word),
    /// Nothing more becomes of it in this attempt.
    Settled(Fate),
}

/// How a session ended, where it did not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The connection broke under the message.
    Line,
    /// The message could not be read.
    Unreadable(String),
    /// The message cannot be sent to anybody in that form.
    Unsendable,
    /// The TLS handshake failed.
    Handshake(String),
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// All is settled.
    Nothing,
    /// The same host, in a new connection: nothing is wrong with it.
    SameHost,
    /// Another host, or another address of this one.
    OtherHost,
    /// Nobody else would do better.
    Stop,
}

impl Ledger {
    pub(super) fn new(recipients: usize) -> Self {
        Self { each: vec![Standing::Untried; recipients] }
    }

    /// The recipients that are still to be told of, by index.
    pub(super) fn open(&self) -> Vec<usize> {
        let open = |(index, standing): (usize, &Standing)| (!standing.is_settled()).then_some(index);
        self.each.iter().enumerate().filter_map(open).collect()
    }

    pub(super) fn is_settled(&self) -> bool {
        self.each.iter().all(Standing::is_settled)
    }

    /// A host could not be asked at all. What others said is worth more.
    pub(super) fn unasked(&mut self, word: &Word) {
        for standing in &mut self.each {
            match standing {
                Standing::Untried | Standing::Refused(_) => standing.hope(word.clone(), Fault::Connection),
                Standing::Hopeful(..) | Standing::Settled(_) => {}
            }
        }
    }

    /// A session ended without a word, which none should: what it did nobody knows.
    pub(super) fn broken_off(&mut self, sent: &[usize], place: &Place) {
        let word = place.found("4.3.0", "the delivery was broken off".to_owned());
        for index in sent {
            if let Some(standing) = self.each.get_mut(*index) {
                standing.settle_as(Fate::Deferred { word: word.clone(), retry_after: None, fault: Fault::Message });
            }
        }
    }

    /// Nobody else is asked for those of whom a host has already heard.
    pub(super) fn settle_heard(&mut self) {
        for standing in &mut self.each {
            if matches!(standing, Standing::Hopeful(_, Fault::Message)) {
                *standing = Standing::Settled(standing.clone().close());
            }
        }
    }

    /// A session told what became of those recipients, in their order.
    pub(super) fn heard(&mut self, sent: &[usize], place: &Place, report: &Report, cut: Option<&Cut>) -> Next {
        let onward = Onward { dsn: report.extensions.dsn, deliver_by: report.extensions.deliver_by.is_some() };
        let before = self.open().len();
        for (index, outcome) in sent.iter().zip(&report.outcomes) {
            let Some(standing) = self.each.get_mut(*index) else { continue };
            let word = word(place, outcome.said(), cut);
            match meaning(outcome, report.trouble, cut) {
                Meaning::Final => standing.settle(outcome, word, onward),
                Meaning::Unsendable => standing.settle_as(Fate::Failed { word }),
                Meaning::Refused => standing.refuse(word),
                Meaning::Hope(fault) => standing.hope(word, fault),
            }
        }
        let left = self.open().len();
        match report.trouble {
            _ if left == 0 => Next::Nothing,
            // A fresh connection that brings nobody further will not do so the next time.
            Some(Trouble::Limits | Trouble::Stale) if left < before => Next::SameHost,
            Some(Trouble::Limits) => Next::Stop,
            Some(Trouble::Login) if report.outcomes.iter().any(is_wrong_password) => Next::Stop,
            Some(_) | None => Next::OtherHost,
        }
    }

    /// The end of the attempt: what became of each.
    pub(super) fn close(self) -> Vec<Fate> {
        self.each.into_iter().map(Standing::close).collect()
    }
}

impl Standing {
    const fn is_settled(&self) -> bool {
        matches!(self, Self::Settled(_))
    }

    fn settle(&mut self, outcome: &Outcome, word: Word, onward: Onward) {
        self.settle_as(match outcome {
            Outcome::Accepted(_) => Fate::Delivered { word, onward },
            Outcome::Deferred(said) => deferred(said, word),
            Outcome::Failed(_) => Fate::Failed { word },
        });
    }

    fn settle_as(&mut self, fate: Fate) {
        if !self.is_settled() {
            *self = Self::Settled(fate);
        }
    }

    /// A host may do better another time.
    fn hope(&mut self, word: Word, fault: Fault) {
        match self {
            Self::Untried | Self::Refused(_) => *self = Self::Hopeful(word, fault),
            // One that has heard of the message says more about it than another that was not there.
            Self::Hopeful(_, Fault::Message) if fault == Fault::Connection => {}
            Self::Hopeful(..) => *self = Self::Hopeful(word, fault),
            Self::Settled(_) => {}
        }
    }

    /// A host wants nothing to do with us, ever. That is final only where all say so.
    fn refuse(&mut self, word: Word) {
        match self {
            Self::Untried | Self::Refused(_) => *self = Self::Refused(word),
            Self::Hopeful(..) | Self::Settled(_) => {}
        }
    }

    fn close(self) -> Fate {
        match self {
            Self::Untried => {
                let word = Place::nowhere().found("4.4.1", "no host could be asked".to_owned());
                Fate::Deferred { word, retry_after: None, fault: Fault::Connection }
            }
            Self::Hopeful(word, fault) => {
                let retry_after = match word.by {
                    SaidBy::Server => reply::retry_after(&word.text),
                    SaidBy::Us => None,
                };
                Fate::Deferred { word, retry_after, fault }
            }
            Self::Refused(word) => Fate::Failed { word },
            Self::Settled(fate) => fate,
        }
    }
}

/// What an outcome means, once it is known how the session ended.
enum Meaning {
    /// What it says.
    Final,
    /// That no host will take the message in this form.
    Unsendable,
    /// Nothing but that this host will never do.
    Refused,
    /// Nothing but that this host did not do now.
    Hope(Fault),
}

fn meaning(outcome: &Outcome, trouble: Option<Trouble>, cut: Option<&Cut>) -> Meaning {
    let said = match outcome {
        Outcome::Accepted(_) => return Meaning::Final,
        Outcome::Deferred(said) | Outcome::Failed(said) => said,
    };
    match (trouble, cut) {
        (None, _) => Meaning::Final,
        (Some(Trouble::Lost(_)), Some(Cut::Unsendable)) if said.by == SaidBy::Us => Meaning::Unsendable,
        (Some(Trouble::Lost(_)), Some(Cut::Unreadable(_))) => Meaning::Final,
        (Some(Trouble::Greeting | Trouble::Hello), _) => match outcome {
            Outcome::Failed(_) => Meaning::Refused,
            Outcome::Deferred(_) | Outcome::Accepted(_) => Meaning::Hope(Fault::Connection),
        },
        (Some(Trouble::Tls | Trouble::Login), _) => Meaning::Hope(Fault::Connection),
        // Another host may have what this one lacks.
        (Some(Trouble::Lacking), _) if said.by == SaidBy::Us => Meaning::Refused,
        (Some(Trouble::Limits), _) if said.by == SaidBy::Us => Meaning::Hope(Fault::Message),
        (Some(Trouble::Stale), _) if said.stage == Stage::Mail => Meaning::Hope(Fault::Message),
        (Some(Trouble::Lost(_)), _) if is_unfinished(said) => Meaning::Hope(fault(said.stage)),
        (Some(Trouble::Lacking | Trouble::Limits | Trouble::Stale | Trouble::Lost(_)), _) => Meaning::Final,
    }
}

/// Whether the server has surely not taken the message for a recipient, nor decided about him: it left before the message was
/// whole, or left by 421, which also answers what it had not answered (RFC 5321 §3.8).
fn is_unfinished(said: &Said) -> bool {
    match said.by {
        SaidBy::Us => said.stage != Stage::Verdict,
        SaidBy::Server => said.reply.code() == ReplyCode::NOT_AVAILABLE,
    }
}

/// Whose fault it is when a session ends there.
const fn fault(stage: Stage) -> Fault {
    match stage {
        Stage::Greeting | Stage::Hello | Stage::StartTls | Stage::Login => Fault::Connection,
        Stage::Mail | Stage::Rcpt | Stage::Data | Stage::Verdict => Fault::Message,
    }
}

fn deferred(said: &Said, word: Word) -> Fate {
    let retry_after = match said.by {
        SaidBy::Server => reply::retry_after(&fate::text(&said.reply)),
        SaidBy::Us => None,
    };
    Fate::Deferred { word, retry_after, fault: fault(said.stage) }
}

/// Whether the login will fail with the other hosts too, and perhaps lock the account.
fn is_wrong_password(outcome: &Outcome) -> bool {
    let said = outcome.said();
    said.by == SaidBy::Server && said.stage == Stage::Login && said.reply.class() == smtp_proto::Class::Permanent
}

/// What decided, in the words of whoever knows best.
fn word(place: &Place, said: &Said, cut: Option<&Cut>) -> Word {
    match (said.by, cut) {
        (SaidBy::Server, _) => place.said(said),
        (SaidBy::Us, _) if said.stage == Stage::Verdict => place.found(
            "4.4.2",
            format!("{}: whether the server has taken the message is not known", fate::text(&said.reply)),
        ),
        (SaidBy::Us, None) => place.said(said),
        (SaidBy::Us, Some(Cut::Line)) => {
            place.found("4.4.2", "the connection was lost before the message was whole".to_owned())
        }
        (SaidBy::Us, Some(Cut::Unreadable(error))) => place.found("4.3.0", error.clone()),
        (SaidBy::Us, Some(Cut::Unsendable)) => {
            place.found("5.6.0", "the message has line ends that cannot be sent".to_owned())
        }
        (SaidBy::Us, Some(Cut::Handshake(error))) => place.found("4.7.5", format!("TLS handshake failed: {error}")),
    }
}

#[cfg(test)]
mod tests;
