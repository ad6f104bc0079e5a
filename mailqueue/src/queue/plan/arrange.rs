//! Where each leg waits, and what is to be done about a message as a whole.

use std::sync::Arc;
use std::time::Duration;

use crate::filter::domain;
use crate::queue::events::News;
use crate::queue::lanes;
use crate::queue::message::{Hands, Message, Spot, Trust};
use crate::queue::rules::Mail;
use crate::queue::step::Step;
use crate::queue::times::Moment;
use crate::queue::turns::{Row, Ticket};
use crate::queue::ways::SiteKey;
use crate::{Detail, Failure, Held, MessageId, Standing};

use super::{Attempt, Dial, Errand, Plan, Repute, Trial, Whole};

/// What a leg could do now.
enum Prospects {
    /// Nothing, before a time if one is given.
    Later(Option<Duration>),
    /// Recipients are due. The time is that of the next ones.
    Now { row: Row, then: Option<Duration> },
    /// Recipients are due, and rules keep all of them.
    Kept { then: Option<Duration> },
}

impl Plan {
    /// Puts a leg where it belongs: asks for its site, gives it a place in a lane, or has it wait for a time.
    pub(super) fn arrange(&mut self, id: MessageId, leg: u32, at: Moment) {
        self.displace(id, leg, at.now);
        let Some(message) = self.active.get(&id) else { return };
        if !message.may_go() {
            return;
        }
        let Some(destination) = message.legs.get(leg as usize).map(|leg| leg.destination.clone()) else { return };
        let site = self.ways.find(&destination, at.now).cloned();
        let (row, then) = match self.prospects(message, leg, site.as_ref(), at) {
            Prospects::Later(then) => return self.settle_leg(id, leg, Spot::Nowhere, then),
            Prospects::Kept { then } => return self.settle_leg(id, leg, Spot::Suspended, then),
            Prospects::Now { row, then } => (row, then),
        };
        let ticket = Ticket { id, leg };
        let Some(site) = site else {
            self.ways.ask(&destination, ticket);
            return self.settle_leg(id, leg, Spot::Asking, then);
        };
        let (priority, source) = (message.envelope.priority, Arc::clone(&message.source));
        let is_suspect = message.is_suspect();
        let place = match self.lanes.place(&site, priority, &source, at.now, self.free()) {
            // The one that has the turn takes little of anyone's place.
            lanes::Place::Backlog if is_suspect && self.lanes.is_reachable(&site) => lanes::Place::Turn,
            place @ (lanes::Place::Turn | lanes::Place::Backlog) => place,
        };
        match place {
            lanes::Place::Turn if is_suspect && !self.suspects.admits(id, at.now) => {
                self.lanes.unpark(&site, &source, id, at.now);
                self.suspects.join(id);
                self.settle_leg(id, leg, Spot::Suspect, then);
            }
            lanes::Place::Turn => {
                // It may have come by another way than through the backlog, and must not come again.
                self.lanes.unpark(&site, &source, id, at.now);
                self.lanes.add(&site, priority, &source, row, ticket, at.now);
                self.settle_leg(id, leg, Spot::Turn(site, row), then);
            }
            lanes::Place::Backlog => {
                self.lanes.park(&site, &source, id, at.now);
                self.settle_leg(id, leg, Spot::Backlog(site), then);
            }
        }
    }

    /// Gives what is left of a leg another turn, behind the others.
    pub(super) fn requeue(&mut self, id: MessageId, leg: u32, site: &SiteKey, at: Moment) {
        let Some(message) = self.active.get(&id) else { return };
        match self.prospects(message, leg, Some(site), at) {
            Prospects::Now { then, .. } => {
                let (priority, source) = (message.envelope.priority, Arc::clone(&message.source));
                let row = self.lanes.next_round(site);
                self.lanes.add(site, priority, &source, row, Ticket { id, leg }, at.now);
                self.settle_leg(id, leg, Spot::Turn(site.clone(), row), then);
            }
            Prospects::Later(then) | Prospects::Kept { then } => self.settle_leg(id, leg, Spot::Nowhere, then),
        }
    }

    /// Takes a leg out of wherever it waits. A backlog keeps its name: there it does no harm.
    pub(super) fn displace(&mut self, id: MessageId, leg: u32, now: Duration) {
        let Some(message) = self.active.get_mut(&id) else { return };
        let Some(slot) = message.legs.get_mut(leg as usize) else { return };
        if let Some(due) = slot.alarm.take() {
            self.alarms.remove(&(due, id, Whole::Leg(leg)));
        }
        match std::mem::replace(&mut slot.place, Spot::Nowhere) {
            // The line keeps its name.
            Spot::Nowhere | Spot::Suspect | Spot::Suspended => {}
            // The answer finds nobody who waits for it.
            Spot::Asking => message.busy -= 1,
            Spot::Turn(site, row) => {
                message.busy -= 1;
                let priority = message.envelope.priority;
                self.lanes.remove(&site, priority, &message.source, row, Ticket { id, leg }, now);
            }
            Spot::Backlog(site) => self.lanes.unpark(&site, &message.source, id, now),
        }
    }

    /// The transport named the site of a destination.
    pub(in crate::queue) fn answer(&mut self, destination: &crate::Destination, name: Arc<str>, at: Moment) {
        for Ticket { id, leg } in self.ways.answer(destination, name, at.now) {
            self.arrange(id, leg, at);
            self.attend(id, at);
        }
    }

    pub(in crate::queue) fn ask_again(&mut self, destination: crate::Destination) {
        self.ways.ask_again(destination);
    }

    /// A site is lost: those that waited for their turn there wait in the spool.
    pub(super) fn retreat(&mut self, tickets: Vec<Ticket>, at: Moment) {
        for ticket in &tickets {
            // The lane has let go of them already.
            let Some(message) = self.active.get_mut(&ticket.id) else { continue };
            let Some(leg) = message.legs.get_mut(ticket.leg as usize) else { continue };
            if let Spot::Turn(..) = leg.place {
                leg.place = Spot::Nowhere;
                message.busy -= 1;
            }
        }
        for Ticket { id, leg } in tickets {
            self.arrange(id, leg, at);
            self.attend(id, at);
        }
    }

    /// Rules have gone: whatever they kept is looked at again.
    pub(in crate::queue) fn let_go(&mut self, at: Moment) {
        self.dormant.wake_all(crate::queue::dormant::Lot::Suspended, at.now);
        self.rearrange(at, |place| matches!(place, Spot::Suspended));
    }

    /// A rule has come: what waits for a turn may have to wait longer.
    pub(in crate::queue) fn keep_back(&mut self, at: Moment) {
        self.rearrange(at, |place| matches!(place, Spot::Turn(..) | Spot::Asking));
    }

    fn rearrange(&mut self, at: Moment, is_meant: fn(&Spot) -> bool) {
        let legs = |(id, message): (&MessageId, &Message)| {
            let id = *id;
            let all = message.legs.iter().enumerate().filter(|(_, leg)| is_meant(&leg.place));
            all.map(|(leg, _)| (id, leg as u32)).collect::<Vec<_>>()
        };
        let all: Vec<_> = self.active.iter().flat_map(legs).collect();
        for (id, leg) in all {
            self.arrange(id, leg, at);
            self.attend(id, at);
        }
    }

    /// Sees to a message as a whole: whether it is done, whom to tell, whom to give up, when to look again; and puts it to
    /// sleep where nothing of it can go on.
    pub(super) fn attend(&mut self, id: MessageId, at: Moment) {
        let Some(message) = self.active.get(&id) else { return };
        if message.hands != Hands::Free || message.trust == Trust::Doubt {
            return self.rest(id, at);
        }
        if message.open == 0 {
            let errand = if message.tell_at.is_some() { Errand::Tell(id, News::Ends) } else { Errand::Finish(id) };
            return self.send(id, errand, at.now);
        }
        if message.tell_at.is_some_and(|due| due <= at.now) {
            return self.send(id, Errand::Tell(id, News::Ends), at.now);
        }
        if message.held().is_some() {
            self.set_alarm(id, None);
            return self.rest(id, at);
        }
        if message.interruptions >= self.config.poison_after.max(1) {
            return self.send(id, Errand::Hold(id, Held::Poison), at.now);
        }
        if message.busy > 0 && message.alarm.is_some_and(|due| due > at.now) {
            // Nothing else can have changed, and a message may have a hundred thousand recipients.
            return;
        }
        self.give_up_late(id, at);
        let Some(message) = self.active.get(&id) else { return };
        let warn_at = message.warn_at(&self.config);
        if warn_at.is_some_and(|due| due <= at.now) {
            return self.send(id, Errand::Tell(id, News::Delay), at.now);
        }
        let expiries = message.legs.iter().filter_map(|leg| self.expiry(message, leg));
        let alarm = expiries.chain(message.deadline()).chain(message.tell_at).chain(warn_at);
        let alarm = alarm.filter(|due| *due > at.now).min();
        self.set_alarm(id, alarm);
        self.rest(id, at);
    }

    /// When a leg is given up that waits for an unreachable site.
    fn expiry(&self, message: &Message, leg: &crate::queue::message::Leg) -> Option<Duration> {
        match &leg.place {
            Spot::Backlog(site) if !self.lanes.is_reachable(site) => {
                Some(message.when_aged(message.lifetime(&leg.destination, &self.config)))
            }
            Spot::Backlog(_) | Spot::Nowhere | Spot::Asking | Spot::Turn(..) | Spot::Suspect | Spot::Suspended => None,
        }
    }

    /// Gives up those that wait too long without an attempt of their own: for a time that the sender named, or at a site
    /// where nobody answered any other message either.
    fn give_up_late(&mut self, id: MessageId, at: Moment) {
        let Some(message) = self.active.get(&id) else { return };
        let is_late = message.deadline().is_some_and(|due| due <= at.now);
        let mut farewells = Vec::new();
        for (number, leg) in (0..).zip(&message.legs) {
            let (why, detail) = if is_late {
                (Failure::Late, None)
            } else if self.expiry(message, leg).is_some_and(|due| due <= at.now) {
                let Spot::Backlog(site) = &leg.place else { continue };
                (Failure::Expired, self.lanes.find(site).and_then(|lane| lane.trouble.clone()))
            } else {
                continue;
            };
            farewells.push((number, why, detail));
        }
        for (leg, why, detail) in farewells {
            self.give_up(id, leg, why, detail, at);
        }
    }

    fn give_up(&mut self, id: MessageId, leg: u32, why: Failure, detail: Option<Arc<Detail>>, at: Moment) {
        self.displace(id, leg, at.now);
        let Some(message) = self.active.get_mut(&id) else { return };
        let envelope = Arc::clone(&message.envelope);
        let Some(slot) = message.legs.get(leg as usize) else { return };
        let destination = slot.destination.clone();
        let mut recipients = Vec::new();
        let mut said = detail;
        for index in slot.seats.clone() {
            let Some(wait) = message.seats.get(index as usize).and_then(|seat| seat.step.waiting()) else { continue };
            let wait = wait.clone();
            if said.is_none() {
                said = wait.last.as_ref().map(|(_, detail)| Arc::clone(detail));
            }
            recipients.push(Trial { index, attempt: wait.attempts, interrupted: wait.interrupted });
            message.set(index, Step::Trying { attempt: wait.attempts, since: at.wall, before: wait });
        }
        if recipients.is_empty() {
            return;
        }
        message.busy += 1;
        message.flying += 1;
        let said = said.unwrap_or_else(|| Arc::new(Detail::from("no attempt was made in time")));
        let dial = Dial::Nobody(why, said);
        let repute = Repute::Good;
        self.farewells.push_back(Attempt { id, envelope, destination, leg, dial, recipients, repute });
    }

    /// What the recipients of a leg could do now.
    fn prospects(&self, message: &Message, leg: u32, site: Option<&SiteKey>, at: Moment) -> Prospects {
        let Some(leg) = message.legs.get(leg as usize) else { return Prospects::Later(None) };
        let mut then: Option<Duration> = None;
        let mut row = None;
        let mut is_kept = false;
        for index in &leg.seats {
            let Some(wait) = message.seats.get(*index as usize).and_then(|seat| seat.step.waiting()) else { continue };
            if wait.due > at.now {
                then = Some(then.map_or(wait.due, |one| one.min(wait.due)));
            } else if self.is_kept(message, *index, site, at) {
                is_kept = true;
            } else if row != Some(Row::Fresh) {
                row = Some(if wait.attempts == 0 { Row::Fresh } else { Row::Retried });
            }
        }
        match (row, is_kept) {
            (Some(row), _) => Prospects::Now { row, then },
            (None, true) => Prospects::Kept { then },
            (None, false) => Prospects::Later(then),
        }
    }

    /// Whether a rule keeps a recipient.
    pub(super) fn is_kept(&self, message: &Message, index: u32, site: Option<&SiteKey>, at: Moment) -> bool {
        !self.rules.is_empty() && self.keeping(message, index, site, at).is_some()
    }

    pub(super) fn keeping(
        &self,
        message: &Message,
        index: u32,
        site: Option<&SiteKey>,
        at: Moment,
    ) -> Option<(crate::RuleId, Option<crate::UnixMicros>)> {
        let recipient = message.recipient(index)?;
        let mail = Mail {
            sender: &message.envelope.sender,
            source: &message.source,
            domain: domain(&recipient.address),
            site: site.map(|site| &*site.name),
        };
        self.rules.keeping(&mail, at.wall)
    }

    fn settle_leg(&mut self, id: MessageId, leg: u32, place: Spot, then: Option<Duration>) {
        let Some(message) = self.active.get_mut(&id) else { return };
        let Some(slot) = message.legs.get_mut(leg as usize) else { return };
        match place {
            Spot::Asking | Spot::Turn(..) => message.busy += 1,
            Spot::Nowhere | Spot::Backlog(_) | Spot::Suspect | Spot::Suspended => {}
        }
        slot.place = place;
        slot.alarm = then;
        if let Some(due) = then {
            self.alarms.insert((due, id, Whole::Leg(leg)));
        }
    }

    fn set_alarm(&mut self, id: MessageId, due: Option<Duration>) {
        let Some(message) = self.active.get_mut(&id) else { return };
        if message.alarm == due {
            return;
        }
        if let Some(before) = message.alarm {
            self.alarms.remove(&(before, id, Whole::Message));
        }
        if let Some(due) = due {
            self.alarms.insert((due, id, Whole::Message));
        }
        message.alarm = due;
    }

    /// Has something recorded about the whole of a message.
    fn send(&mut self, id: MessageId, errand: Errand, now: Duration) {
        let Some(message) = self.active.get_mut(&id) else { return };
        message.hands = Hands::Errand;
        if let Errand::Hold(_, why) = errand {
            message.standing = Standing::Held(why);
            self.withdraw(id, now);
        }
        self.errands.push_back(errand);
    }
}
