//! What was sent to whom, what arrived, and whether the two fit.

use std::collections::BTreeMap;

use smtp_proto::{
    BodyType, Chunking, Envelope, ForwardPath, Mail, MailParameters, Outcome as Fate, Rcpt, RcptParameters, Report,
    ReversePath, SaidBy, Stage, Trouble,
};

use super::Outcome;
use super::sender::{Sender, Visit};
use crate::wire::shown;
use crate::{Broken, Draw, ensure};

/// A message, and who is to get it.
#[derive(Clone, Debug, Default)]
pub(super) struct Letter {
    pub(super) from: String,
    pub(super) to: Vec<String>,
    pub(super) text: Vec<u8>,
    /// Whether it may hold anything.
    binary: bool,
}

impl Letter {
    pub(super) fn draw(number: u8, visit: &Visit, draw: &mut Draw<'_>) -> Self {
        let domains = ["a.test", "b.test"];
        let to = (0..=draw.octet() % 4)
            .map(|index| {
                // Some are named twice.
                let index = if draw.octet() >= 240 { 0 } else { index };
                let domain = domains.get(usize::from(draw.octet() >= 128)).copied().unwrap_or_default();
                format!("<r{index}.m{number}@{domain}>")
            })
            .collect();
        let binary = visit.sends_binary() && draw.octet() >= 128;
        let text: Vec<u8> = (0..draw.octet() % 12).flat_map(|_| draw.pick(&PIECES).to_vec()).collect();
        Self { from: format!("<m{number}@client.test>"), to, text, binary }
    }

    pub(super) fn envelope(&self) -> Envelope {
        let to = |path: &String| ForwardPath::parse(path).map_or(ForwardPath::Postmaster, ForwardPath::into_owned);
        let eight_bit = (!self.text.is_ascii()).then_some(BodyType::EightBitMime);
        let parameters = MailParameters {
            size: Some(self.text.len() as u64),
            body: if self.binary { Some(BodyType::BinaryMime) } else { eight_bit },
            ..MailParameters::default()
        };
        let from = ReversePath::parse(&self.from).map_or(ReversePath::Null, ReversePath::into_owned);
        Envelope {
            mail: Mail { from, parameters },
            recipients: self
                .to
                .iter()
                .map(|path| Rcpt { to: to(path), parameters: RcptParameters::default() })
                .collect(),
        }
    }

    /// The message as it arrives: what ends it, by DATA, needs a CRLF before it.
    fn arrives_as(&self, policy: Chunking, extension: Extension) -> Vec<u8> {
        let by_bdat = self.binary || policy == Chunking::WhereOffered && extension == Extension::Offered;
        let ended = self.text.is_empty() || self.text.ends_with(b"\r\n");
        if by_bdat || ended { self.text.clone() } else { [&self.text[..], b"\r\n"].concat() }
    }
}

/// What messages are made of: all that ends lines and messages, or seems to.
const PIECES: [&[u8]; 14] = [
    b"A: b~\r\n",
    b"\r\n",
    b".",
    b".\r\n",
    b"\r\n.\r\n",
    b"..\r\n",
    b"x",
    b"QUIT\r\nRSET\r\n",
    b"\r\n.\r\nMAIL FROM:<smuggled@client.test>\r\n",
    b"\xc3\xa4",
    b"\n.\n",
    b"\r",
    b"\0",
    b"a long line without any end that is worth the name ....................................................",
];

/// Something that the server's application has taken: what it answers for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    from: String,
    to: String,
}

/// A message that has come in.
#[derive(Clone, Debug)]
struct Arrived {
    from: String,
    text: Vec<u8>,
    chunking: Extension,
}

/// Whether the client was told of an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extension {
    Offered,
    Unknown,
}

/// All that the server's application has said of messages.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    taken: BTreeMap<Entry, usize>,
    arrived: Vec<Arrived>,
}

impl Ledger {
    pub(super) fn take(&mut self, from: &str, to: &str) {
        *self.taken.entry(Entry { from: from.into(), to: to.into() }).or_default() += 1;
    }

    /// A message arrived that somebody was willing to take.
    pub(super) fn keep(&mut self, from: &str, text: &[u8], chunking: Extension) {
        self.arrived.push(Arrived { from: from.into(), text: text.to_vec(), chunking });
    }

    /// Whether all of it fits.
    pub(super) fn balance(&self, letters: &[Letter], sender: &Sender) -> Result<Outcome, Broken> {
        let find = |from: &str| letters.iter().find(|letter| letter.from == from);
        for Arrived { from, text, chunking } in &self.arrived {
            let Some(letter) = find(from) else { return Err(Broken::new(format!("brings a letter of {from}"))) };
            let expected = letter.arrives_as(sender.chunking(), *chunking);
            ensure!(*text == expected, "brings {} for {}", shown(text), shown(&expected));
        }
        let mut outcome = Outcome { accepted: 0, taken: self.taken.values().sum() };
        for (entry, taken) in &self.taken {
            let named = find(&entry.from).map_or(0, |letter| letter.to.iter().filter(|to| **to == entry.to).count());
            ensure!(*taken <= named, "brings {entry:?} {taken} times, which was sent {named} times");
        }
        let begun = letters.get(..sender.begun()).unwrap_or_default();
        ensure!(sender.reports().len() == begun.len(), "reports {} letters of {}", sender.reports().len(), begun.len());
        for (letter, report) in begun.iter().zip(sender.reports()) {
            outcome.accepted += self.compare(letter, report)?;
        }
        let secret = self.taken.keys().find(|entry| !begun.iter().any(|letter| letter.from == entry.from));
        ensure!(secret.is_none(), "brings {secret:?}, which was not sent");
        Ok(outcome)
    }

    /// Whether a letter's report fits; says how many recipients it says are served.
    fn compare(&self, letter: &Letter, report: &Report) -> Result<usize, Broken> {
        ensure!(
            report.outcomes.len() == letter.to.len(),
            "has {} outcomes for {} recipients",
            report.outcomes.len(),
            letter.to.len()
        );
        let mut served: BTreeMap<&str, Counts> = BTreeMap::new();
        for (to, fate) in letter.to.iter().zip(&report.outcomes) {
            let counts = served.entry(to).or_default();
            match fate {
                Fate::Accepted(said) => {
                    ensure!(
                        said.by == SaidBy::Server && said.stage == Stage::Verdict,
                        "is told by {said:?} that {to} is served"
                    );
                    counts.accepted += 1;
                }
                // What became of it, nobody has heard.
                Fate::Deferred(said) if lost_verdict(report, said.stage) => counts.unheard += 1,
                Fate::Deferred(_) | Fate::Failed(_) => {}
            }
        }
        for (to, counts) in &served {
            let taken =
                self.taken.get(&Entry { from: letter.from.clone(), to: (*to).into() }).copied().unwrap_or_default();
            ensure!(
                counts.accepted <= taken,
                "reports {to} as served {} times, which is {taken} times",
                counts.accepted
            );
            ensure!(taken <= counts.accepted + counts.unheard, "does not report {to} as served, which is: {report:?}");
        }
        Ok(served.values().map(|counts| counts.accepted).sum())
    }
}

/// Recipients of one name.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    accepted: usize,
    unheard: usize,
}

/// Whether the session was lost when the message was out, and before its verdict was heard.
const fn lost_verdict(report: &Report, stage: Stage) -> bool {
    matches!((report.trouble, stage), (Some(Trouble::Lost(_)), Stage::Verdict))
}
