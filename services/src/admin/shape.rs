//! The JSON shapes of the API: what is asked and what is answered.
//!
//! Names are those of [`mailqueue`]. A field that may be missing is `null` in answers and may be left out in questions.
//! Answers may gain fields; a question with a field that nobody knows is refused, so that a misspelt `dry_run` does
//! nothing.

mod from;
mod terms;

use mailqueue::{Action, Counters, Failure, Filter, Handed, Held, Late, MessageId};
use serde::{Deserialize, Serialize};

use super::Time;
use super::words;

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Messages {
    /// What matched, oldest first.
    pub messages: Vec<Message>,
    /// What to give as `after` for the next page; `null` behind the last. A page may be empty and not the last.
    #[serde(with = "words::maybe")]
    pub next: Option<MessageId>,
    /// How many messages were looked at for this page.
    pub looked: usize,
}

/// How a queued message stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its name.
    #[serde(with = "words")]
    pub id: MessageId,
    /// When it arrived.
    pub arrived: Time,
    /// How long it has been here, in seconds.
    pub age_seconds: u64,
    /// The size of its octets.
    pub size: u64,
    /// From -9 to 9.
    pub priority: i8,
    /// The reverse-path, empty for a notification.
    pub sender: String,
    /// Who handed it in.
    pub source: String,
    /// What it waits for as a whole, in the field `state` and those that go with it.
    #[serde(flatten)]
    pub state: MessageState,
    /// The recipients in the envelope's order.
    pub recipients: Vec<Recipient>,
}

/// What a message as a whole waits for: the nearest of what its recipients wait for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum MessageState {
    /// It is being tried, or waits only for its turn.
    Active,
    /// It waits for a time.
    Deferred {
        /// When the first recipient is due.
        until: Time,
    },
    /// It stays until it is released.
    Held {
        /// `asked`, `poison` or `damaged`.
        #[serde(with = "terms::HeldTerm")]
        why: Held,
    },
    /// A rule keeps it.
    Suspended {
        /// The rule.
        rule: u64,
        /// When the rule ends by itself, if it does.
        until: Option<Time>,
    },
    /// Nobody answers where it goes.
    Unreachable {
        /// Where that is.
        site: String,
        /// When one message is tried there.
        probe_at: Time,
    },
}

/// How one recipient of a message stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// The forward-path.
    pub address: String,
    /// The key of the way there.
    pub destination: String,
    /// The site behind it, where it is known now.
    pub site: Option<String>,
    /// How it stands, in the field `state` and those that go with it.
    #[serde(flatten)]
    pub state: RecipientState,
}

/// How one recipient stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum RecipientState {
    /// It will be tried.
    Waiting {
        /// What it waits for.
        waits: Waiting,
        /// How often it was tried.
        attempts: u32,
        /// What was said last.
        detail: Option<Detail>,
    },
    /// An attempt is under way.
    Trying {
        /// Its number, from one.
        attempt: u32,
    },
    /// The next hop has it.
    Delivered {
        /// Since when.
        at: Time,
        /// `mailbox`, `with_duty` or `relayed`.
        #[serde(with = "terms::HandedTerm")]
        handed: Handed,
    },
    /// It will not be tried again.
    Failed {
        /// Since when.
        at: Time,
        /// `refused`, `expired`, `late` or `bounced`.
        #[serde(with = "terms::FailureTerm")]
        why: Failure,
        /// What was said last.
        detail: Detail,
    },
}

/// What a recipient waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum Waiting {
    /// For its turn: it could go now.
    Turn,
    /// For its turn as a suspect: attempts for the message ended without an outcome, and it is tried while no other such
    /// message is.
    Suspect,
    /// For the next attempt that the schedule allows.
    Schedule {
        /// When that is.
        until: Time,
    },
    /// For the time that the sender asked for (RFC 4865).
    Release {
        /// When that is.
        until: Time,
    },
    /// For a site where nobody answers.
    Unreachable {
        /// The site.
        site: String,
        /// When one message is tried there.
        probe_at: Time,
        /// What the last attempt there came to, of whatever message.
        detail: Detail,
    },
    /// For the end of a rule.
    Rule {
        /// The rule.
        rule: u64,
        /// When it ends by itself, if it does.
        until: Option<Time>,
    },
    /// For someone to release the message.
    Held {
        /// `asked`, `poison` or `damaged`.
        #[serde(with = "terms::HeldTerm")]
        why: Held,
    },
}

/// What was said about an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// The words, usually the other server's reply.
    pub text: String,
    /// An enhanced status code such as `4.4.1` (RFC 3463 §2), or empty.
    pub status: String,
    /// The host that said it, or empty.
    pub remote: String,
}

/// A message with its envelope. Contents are not shown to anyone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspection {
    /// How it stands.
    #[serde(flatten)]
    pub message: Message,
    /// What came with MAIL and RCPT.
    pub envelope: Envelope,
}

/// What came with MAIL and RCPT.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The parameters of MAIL, in wire form (RFC 5321 §4.1.2).
    pub parameters: Vec<String>,
    /// The parameters of RCPT, for each recipient in order.
    pub recipient_parameters: Vec<Vec<String>>,
    /// Nothing is delivered before this (RFC 4865 §4).
    pub release: Option<Time>,
    /// By when the sender wants it delivered (RFC 2852 §4).
    pub deliver_by: Option<DeliverBy>,
}

/// By when a sender wants a message delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliverBy {
    /// The moment.
    pub until: Time,
    /// What follows then: `return` or `notify`.
    #[serde(with = "terms::LateTerm")]
    pub then: Late,
}

/// A wish about messages: one page of work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// `hold`, `release`, `retry`, `requeue`, `bounce` or `delete`.
    #[serde(with = "terms::ActionTerm")]
    pub action: Action,
    /// Which messages, in the text form of [`Filter`]; `all` for all of them.
    #[serde(with = "words")]
    pub filter: Filter,
    /// Whether to count only.
    #[serde(default)]
    pub dry_run: bool,
    /// Where to begin: `next` of the page before.
    #[serde(default, with = "words::maybe")]
    pub after: Option<MessageId>,
    /// The most messages to touch: 1 to 1000, of itself 100.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// What a page of work came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Messages that were looked at.
    pub looked: usize,
    /// Messages that the filter means.
    pub matched: usize,
    /// Messages that are different now; after a dry run, those that would be.
    pub changed: usize,
    /// What to give as `after` for the next page; `null` when all is done.
    #[serde(with = "words::maybe")]
    pub next: Option<MessageId>,
}

/// What all pages of a piece of work came to: what `mailctl` prints with `--json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// What was asked for.
    #[serde(with = "terms::ActionTerm")]
    pub action: Action,
    /// Whether it was only counted.
    pub dry_run: bool,
    /// Messages that were looked at.
    pub looked: usize,
    /// Messages that the filter means.
    pub matched: usize,
    /// Messages that are different now; after a dry run, those that would be.
    pub changed: usize,
}

/// A wish for a rule that keeps mail from going.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspend {
    /// Which mail: `domain`, `site`, `source` and `sender` in the text form of [`Filter`].
    #[serde(with = "words")]
    pub filter: Filter,
    /// When it ends by itself.
    #[serde(default)]
    pub until: Option<Time>,
    /// After how many seconds it ends by itself; not beside `until`.
    #[serde(default)]
    pub for_seconds: Option<u64>,
    /// Why, for people.
    #[serde(default)]
    pub reason: String,
}

/// A rule that keeps mail from going.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its name.
    pub id: u64,
    /// Which mail, in the text form of [`Filter`].
    #[serde(with = "words")]
    pub filter: Filter,
    /// When it ends by itself, if it does.
    pub until: Option<Time>,
    /// Why, for people.
    pub reason: String,
}

/// All rules, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// The rules.
    pub rules: Vec<Rule>,
}

/// The hosts behind one or many destinations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// Its name.
    pub name: String,
    /// Whether someone answers there, in the field `state` and those that go with it.
    #[serde(flatten)]
    pub state: SiteState,
    /// The most attempts at one time, for now.
    pub window: usize,
    /// Attempts under way.
    pub flying: usize,
    /// Messages that wait for a turn or for an answer there.
    pub waiting: usize,
    /// What the last attempt that did not reach it came to.
    pub detail: Option<Detail>,
}

/// Whether someone answers at a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum SiteState {
    /// As far as is known.
    Reachable {
        /// How many attempts in a row failed to reach it.
        failures: u32,
    },
    /// Nobody; one attempt at a time looks again.
    Unreachable {
        /// Since when.
        since: Time,
        /// When the next one looks.
        probe_at: Time,
    },
}

/// All sites with mail or with something to remember, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sites {
    /// The sites.
    pub sites: Vec<Site>,
}

/// How the queue as a whole stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// What the server's clock says.
    pub time: Time,
    /// What the queue has done since it started, and what it has to do; the fields of [`Counters`].
    #[serde(with = "terms::CountersTerm")]
    pub counters: Counters,
    /// Room in the spool.
    pub space: Space,
}

/// Room in the spool, in octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    /// How much could still be accepted.
    pub free: u64,
    /// How much of the disk it holds now.
    pub used: u64,
}

#[cfg(test)]
mod tests;
