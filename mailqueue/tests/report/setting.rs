//! A message, what became of it, and the report about it.

use mailqueue::report::{Action, Facts, Report, Ret, Survey, Told, Unreportable};
use mailqueue::{Destination, Detail, Envelope, MessageId, Parameter, Recipient, UnixMicros};

/// Sun, 22 Nov 2026 08:00:00 +0000.
pub(crate) const ARRIVED: UnixMicros = UnixMicros(1_795_334_400_000_000);

pub(crate) const ORIGINAL: &[u8] = b"From: Alice <alice@example.org>\r\n\
    To: Bob <bob@example.com>\r\n\
    Subject: lunch\r\n\
    \r\n\
    At noon?\r\n";

pub(crate) const fn hours(count: u64) -> UnixMicros {
    UnixMicros(ARRIVED.0 + count * 3_600_000_000)
}

pub(crate) fn id() -> MessageId {
    "01jd8z3m9k4w2q7h5x6t1b0a".parse().unwrap()
}

pub(crate) fn detail(text: &str, status: &str, remote: &str) -> Detail {
    Detail { text: text.into(), status: status.into(), remote: remote.into() }
}

pub(crate) fn recipient(address: &str, parameters: &[(&str, &str)]) -> Recipient {
    Recipient {
        address: address.into(),
        destination: Destination::remote("relay"),
        parameters: parameters.iter().map(|(keyword, value)| Parameter::new(*keyword, *value)).collect(),
    }
}

#[derive(Clone, Debug)]
pub(crate) struct News {
    pub(crate) recipient: Recipient,
    pub(crate) action: Action,
    pub(crate) detail: Detail,
    pub(crate) last_attempt: Option<UnixMicros>,
}

#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) host: String,
    pub(crate) from: String,
    pub(crate) envelope: Envelope,
    pub(crate) news: Vec<News>,
    pub(crate) original: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Letter {
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) octets: Vec<u8>,
}

impl Setting {
    pub(crate) fn new(action: Action, detail: Detail) -> Self {
        let envelope = Envelope { sender: "alice@example.org".into(), arrived: ARRIVED, ..Envelope::default() };
        let setting = Self {
            host: "mx.example.org".into(),
            from: "mailer-daemon@mx.example.org".into(),
            envelope,
            news: Vec::new(),
            original: ORIGINAL.to_vec(),
        };
        setting.and(recipient("bob@example.com", &[]), action, detail)
    }

    /// One more recipient.
    pub(crate) fn and(mut self, recipient: Recipient, action: Action, detail: Detail) -> Self {
        self.news.push(News { recipient, action, detail, last_attempt: Some(hours(1)) });
        self
    }

    /// One more parameter of MAIL.
    pub(crate) fn with(mut self, keyword: &str, value: Option<&str>) -> Self {
        self.envelope.parameters.push(Parameter { keyword: keyword.into(), value: value.map(str::to_owned) });
        self
    }

    /// The report, with the original read in pieces of this size.
    pub(crate) fn letter_in(&self, piece: usize) -> Result<Letter, Unreportable> {
        let told: Vec<_> = self
            .news
            .iter()
            .map(|News { recipient, action, detail, last_attempt }| Told {
                recipient,
                action: *action,
                detail,
                last_attempt: *last_attempt,
            })
            .collect();
        let mut survey = Survey::new(id(), Ret::due(&self.envelope, &told));
        self.original.chunks(piece).for_each(|octets| survey.look(octets));
        let report = Report::new(Facts {
            id: id(),
            host: &self.host,
            from: &self.from,
            date: hours(2),
            queue_id: "01jd8z3m9k4w2q7h5x6t1b00".parse().unwrap(),
            envelope: &self.envelope,
            recipients: &told,
            original: survey.finish(),
        })?;
        let mut octets = report.head().into_bytes();
        let mut returned = report.returned();
        for piece in self.original.chunks(piece) {
            if returned.is_complete() {
                break;
            }
            octets.extend_from_slice(&returned.pass(piece));
        }
        assert!(returned.is_complete());
        octets.extend_from_slice(report.tail().as_bytes());
        assert_eq!(report.to(), self.envelope.sender);
        Ok(Letter { parameters: report.parameters(), octets })
    }

    pub(crate) fn letter(&self) -> Letter {
        self.letter_in(usize::MAX).unwrap()
    }
}
