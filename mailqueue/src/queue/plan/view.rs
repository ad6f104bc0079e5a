//! How things stand, for whoever looks.

use std::sync::Arc;

use crate::queue::dormant::Born;
use crate::queue::entry::{Entry, EntryState, RecipientEntry, RecipientState, Site, SiteState, Waiting};
use crate::queue::message::{Birth, Message};
use crate::queue::step::{Step, Wait};
use crate::queue::times::Moment;
use crate::queue::ways::SiteKey;
use crate::queue::window::{Probe, Window};
use crate::{Envelope, MessageId, Stored, UnixMicros};

use super::{Plan, Prospect};
use crate::queue::dormant::Lot;

impl Plan {
    /// How a message stands, if it is in memory.
    pub(in crate::queue) fn prospect(&self, id: MessageId, at: Moment) -> Prospect {
        if let Some(message) = self.active.get(&id) {
            return Prospect::Entry(Box::new(self.entry(id, message, at)));
        }
        if self.transit.contains_key(&id) || self.dormant.find(id).is_some() {
            return Prospect::Asleep;
        }
        Prospect::Gone
    }

    /// How a message stands that was read for it.
    pub(in crate::queue) fn entry_of(&self, stored: Stored, at: Moment) -> Entry {
        let id = stored.id;
        // It may have come into memory meanwhile: that knows more.
        if let Some(message) = self.active.get(&id) {
            return self.entry(id, message, at);
        }
        let sleeper = self.dormant.find(id).or_else(|| self.transit.get(&id).map(|transit| transit.sleeper));
        let born = sleeper.map_or(Born::Unknown, |sleeper| sleeper.born);
        let mut message = Message::new(stored, Birth::Slept(born), &self.config, &self.times, at);
        match sleeper.map(|sleeper| sleeper.lot) {
            Some(Lot::Prompt) => message.prompt(at.now),
            Some(Lot::Urged) => message.prompt_suspicious(at.now),
            Some(Lot::New | Lot::Old | Lot::Earlier | Lot::Parked | Lot::Suspect | Lot::Suspended | Lot::Held)
            | None => {}
        }
        self.entry(id, &message, at)
    }

    /// The envelope, if it is in memory.
    pub(in crate::queue) fn envelope(&self, id: MessageId) -> Option<Arc<Envelope>> {
        self.active.get(&id).map(|message| Arc::clone(&message.envelope))
    }

    fn entry(&self, id: MessageId, message: &Message, at: Moment) -> Entry {
        let mut recipients = Vec::with_capacity(message.seats.len());
        for (index, (seat, recipient)) in (0_u32..).zip(message.seats.iter().zip(&message.envelope.recipients)) {
            let site = self.ways.last_known(&recipient.destination);
            recipients.push(RecipientEntry {
                address: recipient.address.clone(),
                destination: recipient.destination.clone(),
                site: site.map(|site| Arc::clone(&site.name)),
                state: match &seat.step {
                    Step::Waiting(wait) => RecipientState::Waiting {
                        why: self.waiting_for(id, message, index, wait, site, at),
                        attempts: wait.attempts,
                        detail: wait.detail().cloned(),
                    },
                    Step::Trying { attempt, .. } => RecipientState::Trying { attempt: *attempt },
                    Step::Ended(progress) => progress.into(),
                },
            });
        }
        Entry {
            id,
            arrived: message.envelope.arrived,
            age: message.age(at.now),
            size: message.size,
            priority: message.envelope.priority,
            sender: message.envelope.sender.clone(),
            source: message.envelope.source.clone(),
            state: state(message, &recipients),
            recipients,
        }
    }

    fn waiting_for(
        &self,
        id: MessageId,
        message: &Message,
        index: u32,
        wait: &Wait,
        site: Option<&SiteKey>,
        at: Moment,
    ) -> Waiting {
        if let Some(why) = message.held() {
            return Waiting::Held(why);
        }
        if wait.due > at.now {
            let until = at.wall_at(wait.due);
            return if wait.attempts == 0 && wait.last.is_none() && message.envelope.release.is_some() {
                Waiting::Release { until }
            } else {
                Waiting::Schedule { until }
            };
        }
        if let Some((rule, until)) = self.keeping(message, index, site, at) {
            return Waiting::Rule { rule, until };
        }
        let lane = site.and_then(|site| Some((site, self.lanes.find(site)?)));
        match lane {
            Some((site, lane)) if !lane.window.is_reachable() => Waiting::Unreachable {
                site: Arc::clone(&site.name),
                probe_at: at.wall_at(lane.window.probe_at().unwrap_or(at.now)),
                detail: lane.trouble.as_deref().cloned().unwrap_or_default(),
            },
            Some(_) | None if message.is_suspect() && self.suspects.is_waiting(id) => Waiting::Suspect,
            Some(_) | None => Waiting::Turn,
        }
    }

    /// All sites, by name.
    pub(in crate::queue) fn sites(&self, at: Moment) -> Vec<Site> {
        let site = |(key, lane): (&SiteKey, &crate::queue::lanes::Lane)| Site {
            name: Arc::clone(&key.name),
            state: match lane.window {
                Window::Reachable { failures, .. } => SiteState::Reachable { failures },
                Window::Unreachable { since, probe, .. } => SiteState::Unreachable {
                    since: at.wall_at(since),
                    probe_at: match probe {
                        Probe::At(due) => at.wall_at(due),
                        Probe::Flying => at.wall,
                    },
                },
            },
            window: lane.window.limit(),
            flying: lane.flying,
            waiting: lane.turns.len() + lane.backlog.len(),
            detail: lane.trouble.as_deref().cloned(),
        };
        let mut sites: Vec<_> = self.lanes.all().map(site).collect();
        sites.sort_by(|one, other| one.name.cmp(&other.name));
        sites
    }
}

/// What a message as a whole waits for: the first of what its recipients wait for.
fn state(message: &Message, recipients: &[RecipientEntry]) -> EntryState {
    if let Some(why) = message.held() {
        return EntryState::Held { why };
    }
    let mut first: Option<(UnixMicros, EntryState)> = None;
    for recipient in recipients {
        let (time, state) = match &recipient.state {
            RecipientState::Trying { .. } => return EntryState::Active,
            RecipientState::Delivered { .. } | RecipientState::Failed { .. } => continue,
            RecipientState::Waiting { why, .. } => match why {
                Waiting::Turn | Waiting::Suspect | Waiting::Held(_) => return EntryState::Active,
                Waiting::Schedule { until } | Waiting::Release { until } => {
                    (*until, EntryState::Deferred { until: *until })
                }
                Waiting::Unreachable { site, probe_at, .. } => {
                    (*probe_at, EntryState::Unreachable { site: Arc::clone(site), probe_at: *probe_at })
                }
                Waiting::Rule { rule, until } => {
                    (until.unwrap_or(UnixMicros(u64::MAX)), EntryState::Suspended { rule: *rule, until: *until })
                }
            },
        };
        if first.as_ref().is_none_or(|(sooner, _)| time < *sooner) {
            first = Some((time, state));
        }
    }
    first.map_or(EntryState::Active, |(_, state)| state)
}
