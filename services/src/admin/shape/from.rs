//! From the queue's own types to those of the API.

use mailqueue::{Entry, EntryState, Page, Parameter, RecipientEntry, RuleId};

use super::{
    DeliverBy, Detail, Envelope, Inspection, Message, MessageState, Messages, Recipient, RecipientState, Rule, Site,
    SiteState, Space, Tally, Waiting,
};

impl From<Page> for Messages {
    fn from(page: Page) -> Self {
        let Page { entries, next, looked } = page;
        Self { messages: entries.into_iter().map(Message::from).collect(), next, looked }
    }
}

impl From<Entry> for Message {
    fn from(entry: Entry) -> Self {
        let Entry { id, arrived, age, size, priority, sender, source, state, recipients } = entry;
        Self {
            id,
            arrived: arrived.into(),
            age_seconds: age.as_secs(),
            size,
            priority: priority.value(),
            sender,
            source,
            state: state.into(),
            recipients: recipients.into_iter().map(Recipient::from).collect(),
        }
    }
}

impl From<EntryState> for MessageState {
    fn from(state: EntryState) -> Self {
        match state {
            EntryState::Active => Self::Active,
            EntryState::Deferred { until } => Self::Deferred { until: until.into() },
            EntryState::Held { why } => Self::Held { why },
            EntryState::Suspended { rule, until } => Self::Suspended { rule: rule.0, until: until.map(Into::into) },
            EntryState::Unreachable { site, probe_at } => {
                Self::Unreachable { site: site.to_string(), probe_at: probe_at.into() }
            }
        }
    }
}

impl From<RecipientEntry> for Recipient {
    fn from(entry: RecipientEntry) -> Self {
        let RecipientEntry { address, destination, site, state } = entry;
        let site = site.map(|site| site.to_string());
        Self { address, destination: destination.key().to_owned(), site, state: state.into() }
    }
}

impl From<mailqueue::RecipientState> for RecipientState {
    fn from(state: mailqueue::RecipientState) -> Self {
        use mailqueue::RecipientState as Library;
        match state {
            Library::Waiting { why, attempts, detail } => {
                Self::Waiting { waits: why.into(), attempts, detail: detail.map(Into::into) }
            }
            Library::Trying { attempt } => Self::Trying { attempt },
            Library::Delivered { at, handed } => Self::Delivered { at: at.into(), handed },
            Library::Failed { at, why, detail } => Self::Failed { at: at.into(), why, detail: detail.into() },
        }
    }
}

impl From<mailqueue::Waiting> for Waiting {
    fn from(waiting: mailqueue::Waiting) -> Self {
        use mailqueue::Waiting as Library;
        match waiting {
            Library::Turn => Self::Turn,
            Library::Suspect => Self::Suspect,
            Library::Schedule { until } => Self::Schedule { until: until.into() },
            Library::Release { until } => Self::Release { until: until.into() },
            Library::Unreachable { site, probe_at, detail } => {
                Self::Unreachable { site: site.to_string(), probe_at: probe_at.into(), detail: detail.into() }
            }
            Library::Rule { rule, until } => Self::Rule { rule: rule.0, until: until.map(Into::into) },
            Library::Held(why) => Self::Held { why },
        }
    }
}

impl From<mailqueue::Detail> for Detail {
    fn from(detail: mailqueue::Detail) -> Self {
        let mailqueue::Detail { text, status, remote } = detail;
        Self { text, status, remote }
    }
}

impl From<mailqueue::Inspection> for Inspection {
    fn from(inspection: mailqueue::Inspection) -> Self {
        Self { message: inspection.entry.into(), envelope: inspection.envelope.into() }
    }
}

impl From<mailqueue::Envelope> for Envelope {
    fn from(envelope: mailqueue::Envelope) -> Self {
        let all = |parameters: &[Parameter]| parameters.iter().map(written).collect();
        let deliver_by = envelope.deliver_by.map(|by| DeliverBy { until: by.until.into(), then: by.then });
        Self {
            parameters: all(&envelope.parameters),
            recipient_parameters: envelope.recipients.iter().map(|one| all(&one.parameters)).collect(),
            release: envelope.release.map(Into::into),
            deliver_by,
        }
    }
}

/// A parameter as it stands in a command (RFC 5321 §4.1.2).
fn written(parameter: &Parameter) -> String {
    match &parameter.value {
        Some(value) => format!("{}={value}", parameter.keyword),
        None => parameter.keyword.clone(),
    }
}

impl From<mailqueue::Tally> for Tally {
    fn from(tally: mailqueue::Tally) -> Self {
        let mailqueue::Tally { looked, matched, changed, next } = tally;
        Self { looked, matched, changed, next }
    }
}

impl Rule {
    /// The rule of this name.
    pub(in crate::admin) fn of(id: RuleId, rule: mailqueue::Rule) -> Self {
        Self { id: id.0, filter: rule.filter(), until: rule.until.map(Into::into), reason: rule.reason }
    }
}

impl From<mailqueue::Site> for Site {
    fn from(site: mailqueue::Site) -> Self {
        let mailqueue::Site { name, state, window, flying, waiting, detail } = site;
        Self { name: name.to_string(), state: state.into(), window, flying, waiting, detail: detail.map(Into::into) }
    }
}

impl From<mailqueue::SiteState> for SiteState {
    fn from(state: mailqueue::SiteState) -> Self {
        match state {
            mailqueue::SiteState::Reachable { failures } => Self::Reachable { failures },
            mailqueue::SiteState::Unreachable { since, probe_at } => {
                Self::Unreachable { since: since.into(), probe_at: probe_at.into() }
            }
        }
    }
}

impl From<mailqueue::Space> for Space {
    fn from(space: mailqueue::Space) -> Self {
        let mailqueue::Space { free, used } = space;
        Self { free, used }
    }
}
