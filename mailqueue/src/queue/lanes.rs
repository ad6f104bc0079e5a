//! One lane for each site: who waits for it, in memory and in the spool, how many fly, and what it can bear. Lanes take
//! turns.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::{Detail, MessageId, Priority, Repeat, Schedule};

use super::backlog::Backlog;
use super::config::QueueConfig;
use super::turns::{Row, Ticket, Turns};
use super::ways::SiteKey;
use super::window::{Bounds, Contact, Turnabout, Window};

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) window: Window,
    pub(super) turns: Turns,
    pub(super) backlog: Backlog,
    pub(super) flying: usize,
    /// Messages of the backlog that are on their way into memory.
    coming: usize,
    /// What the last attempt that did not reach the site came to.
    pub(super) trouble: Option<Arc<Detail>>,
    row: Standing,
    thirst: Standing,
    /// Under which time it stands among the probes or the idle, if it does.
    probe: Option<Duration>,
    idle: Option<Duration>,
}

/// Whether a lane stands in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Out,
    InRow,
}

/// What becomes of a leg that could go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It waits in memory for its turn.
    Turn,
    /// It waits in the spool.
    Backlog,
}

#[derive(Debug)]
pub(super) struct Lanes {
    bounds: Bounds,
    remote_waits: Schedule,
    local_waits: Schedule,
    /// How long a lane without mail is remembered.
    memory: Duration,
    lanes: HashMap<SiteKey, Lane>,
    /// Lanes with someone ready and room to fly, in the order of their turns.
    row: VecDeque<SiteKey>,
    /// Lanes that want mail from their backlog.
    thirsty: VecDeque<SiteKey>,
    /// When to look for sites that do not answer.
    probes: BTreeSet<(Duration, SiteKey)>,
    /// Lanes without mail, and when to forget them.
    idle: BTreeSet<(Duration, SiteKey)>,
    unreachable: usize,
}

/// The most that one source has in memory for one site: not so much that it takes the place of others.
const AHEAD: usize = 128;

/// A lane reads its backlog when it has less than so many times what may fly at once, and then until it has the other. So
/// many are read together.
const LOW: usize = 2;
const HIGH: usize = 4;

/// The most sites that are known to be unreachable, and the most without mail that are remembered at all. With more, mail for
/// the others goes by its own schedule.
const SITES: usize = 10_000;

impl Lanes {
    pub(super) fn new(config: &QueueConfig) -> Self {
        let bounds =
            Bounds { initial: config.initial_concurrency, most: config.per_destination, dead_after: config.dead_after };
        let remote_waits =
            Schedule { first: config.probe_first, longest: config.probe_longest, ..config.schedule.clone() };
        Self {
            bounds,
            remote_waits,
            local_waits: config.local_schedule.clone(),
            memory: config.probe_longest.saturating_mul(2),
            lanes: HashMap::new(),
            row: VecDeque::new(),
            thirsty: VecDeque::new(),
            probes: BTreeSet::new(),
            idle: BTreeSet::new(),
            unreachable: 0,
        }
    }

    pub(super) fn find(&self, site: &SiteKey) -> Option<&Lane> {
        self.lanes.get(site)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&SiteKey, &Lane)> {
        self.lanes.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.lanes.len()
    }

    pub(super) fn unreachable(&self) -> usize {
        self.unreachable
    }

    pub(super) fn is_reachable(&self, site: &SiteKey) -> bool {
        self.lanes.get(site).is_none_or(|lane| lane.window.is_reachable())
    }

    /// Where a leg waits that could go now, when memory has so many free places.
    pub(super) fn place(&self, site: &SiteKey, priority: Priority, source: &str, now: Duration, free: usize) -> Place {
        let Some(lane) = self.lanes.get(site) else { return Place::Turn };
        let is_welcome = if lane.window.is_reachable() {
            // As memory fills up, everyone gets less of it; what a lane reads ahead always has a place.
            let least = lane.window.limit() * HIGH;
            lane.turns.of(priority, source) < (free / 16).clamp(least, AHEAD.max(least))
        } else {
            lane.window.has_room(lane.flying, now) && lane.turns.is_empty()
        };
        if is_welcome { Place::Turn } else { Place::Backlog }
    }

    pub(super) fn next_round(&mut self, site: &SiteKey) -> Row {
        self.lane(site).turns.next_round()
    }

    pub(super) fn add(
        &mut self,
        site: &SiteKey,
        priority: Priority,
        source: &Arc<str>,
        row: Row,
        ticket: Ticket,
        now: Duration,
    ) {
        self.lane(site).turns.add(priority, source, row, ticket);
        self.settle(site, now);
    }

    pub(super) fn remove(
        &mut self,
        site: &SiteKey,
        priority: Priority,
        source: &str,
        row: Row,
        ticket: Ticket,
        now: Duration,
    ) {
        if let Some(lane) = self.lanes.get_mut(site) {
            lane.turns.remove(priority, source, row, ticket);
        }
        self.settle(site, now);
    }

    pub(super) fn park(&mut self, site: &SiteKey, source: &str, id: MessageId, now: Duration) {
        self.lane(site).backlog.insert(source, id);
        self.settle(site, now);
    }

    pub(super) fn unpark(&mut self, site: &SiteKey, source: &str, id: MessageId, now: Duration) {
        if let Some(lane) = self.lanes.get_mut(site) {
            lane.backlog.remove(source, id);
        }
        self.settle(site, now);
    }

    /// The next leg to fly. It counts as flying from now on.
    pub(super) fn next(&mut self, now: Duration) -> Option<(SiteKey, Ticket)> {
        while let Some(site) = self.row.pop_front() {
            let Some(lane) = self.lanes.get_mut(&site) else { continue };
            lane.row = Standing::Out;
            if !lane.window.has_room(lane.flying, now) {
                continue;
            }
            let Some(ticket) = lane.turns.next() else { continue };
            lane.window.take_off();
            lane.flying += 1;
            self.settle(&site, now);
            return Some((site, ticket));
        }
        None
    }

    /// Whether a lane wants mail from its backlog.
    pub(super) fn has_thirst(&self) -> bool {
        !self.thirsty.is_empty()
    }

    /// The next message that a lane wants from its backlog. It counts as coming until [`Lanes::came`].
    pub(super) fn draw(&mut self, now: Duration) -> Option<(SiteKey, MessageId)> {
        while let Some(site) = self.thirsty.pop_front() {
            let Some(lane) = self.lanes.get_mut(&site) else { continue };
            lane.thirst = Standing::Out;
            if !lane.is_thirsty(HIGH, now) {
                continue;
            }
            let id = if lane.window.is_reachable() { lane.backlog.draw() } else { lane.backlog.draw_oldest() };
            let Some(id) = id else { continue };
            lane.coming += 1;
            if lane.is_thirsty(HIGH, now) {
                lane.thirst = Standing::InRow;
                self.thirsty.push_back(site.clone());
            }
            self.settle(&site, now);
            return Some((site, id));
        }
        None
    }

    /// A message that was drawn is there, or will not come.
    pub(super) fn came(&mut self, site: &SiteKey, now: Duration) {
        if let Some(lane) = self.lanes.get_mut(site) {
            lane.coming = lane.coming.saturating_sub(1);
        }
        self.settle(site, now);
    }

    /// An attempt ended. Where the site is lost, those that waited for their turn are handed back: they wait in the spool.
    pub(super) fn land(
        &mut self,
        site: &SiteKey,
        contact: Contact,
        trouble: Option<Arc<Detail>>,
        seed: u64,
        now: Duration,
    ) -> (Turnabout, Vec<Ticket>) {
        let bounds = match self.unreachable < SITES {
            true => self.bounds,
            false => Bounds { dead_after: u32::MAX, ..self.bounds },
        };
        let waits = match site.repeat {
            Repeat::Idempotent => &self.local_waits,
            Repeat::Duplicates => &self.remote_waits,
        };
        let Some(lane) = self.lanes.get_mut(site) else { return (Turnabout::None, Vec::new()) };
        lane.flying = lane.flying.saturating_sub(1);
        if contact == Contact::Failed {
            lane.trouble = trouble;
        }
        let turnabout = lane.window.land(contact, now, &bounds, waits, seed);
        let lost = match turnabout {
            Turnabout::Lost => {
                self.unreachable += 1;
                lane.turns.drain()
            }
            Turnabout::Found => {
                self.unreachable = self.unreachable.saturating_sub(1);
                lane.trouble = None;
                Vec::new()
            }
            Turnabout::None => Vec::new(),
        };
        self.settle(site, now);
        (turnabout, lost)
    }

    /// Has an unreachable site looked for now.
    pub(super) fn probe_now(&mut self, site: &SiteKey, now: Duration) {
        if let Some(lane) = self.lanes.get_mut(site) {
            lane.window.probe_now(now);
        }
        self.settle(site, now);
    }

    /// When the next site is to be looked for, or forgotten.
    pub(super) fn next_wake(&self) -> Option<Duration> {
        self.probes.first().into_iter().chain(self.idle.first()).map(|(at, _)| *at).min()
    }

    /// Lets those look whose time has come, and forgets lanes that were long without mail.
    pub(super) fn tend(&mut self, now: Duration) {
        while let Some((at, site)) = self.probes.first().cloned()
            && at <= now
        {
            self.probes.pop_first();
            if let Some(lane) = self.lanes.get_mut(&site) {
                lane.probe = None;
                self.settle(&site, now);
            }
        }
        while let Some((at, _)) = self.idle.first()
            && (*at <= now || self.idle.len() > SITES)
        {
            if let Some((_, site)) = self.idle.pop_first()
                && let Some(lane) = self.lanes.remove(&site)
            {
                self.unlist(&site, &lane);
            }
        }
    }

    fn lane(&mut self, site: &SiteKey) -> &mut Lane {
        if !self.lanes.contains_key(site) {
            self.lanes.insert(site.clone(), Lane::new(&self.bounds));
        }
        self.lanes.entry(site.clone()).or_insert_with(|| Lane::new(&self.bounds))
    }

    /// Puts a lane into the rows where it belongs.
    fn settle(&mut self, site: &SiteKey, now: Duration) {
        let Some(lane) = self.lanes.get_mut(site) else { return };
        if lane.row == Standing::Out && !lane.turns.is_empty() && lane.window.has_room(lane.flying, now) {
            lane.row = Standing::InRow;
            self.row.push_back(site.clone());
        }
        if lane.thirst == Standing::Out && lane.is_thirsty(LOW, now) {
            lane.thirst = Standing::InRow;
            self.thirsty.push_back(site.clone());
        }
        let has_mail = !lane.turns.is_empty() || !lane.backlog.is_empty();
        let probe = lane.window.probe_at().filter(|at| has_mail && *at > now);
        if lane.probe != probe {
            if let Some(before) = lane.probe {
                self.probes.remove(&(before, site.clone()));
            }
            if let Some(at) = probe {
                self.probes.insert((at, site.clone()));
            }
            lane.probe = probe;
        }
        let is_idle = !has_mail && lane.flying == 0 && lane.coming == 0;
        if let Some(before) = lane.idle.take() {
            self.idle.remove(&(before, site.clone()));
        }
        if !is_idle {
            return;
        }
        if lane.window.is_new(&self.bounds) {
            self.lanes.remove(site);
            return;
        }
        let end = lane.window.probe_at().unwrap_or(now).max(now).saturating_add(self.memory);
        lane.idle = Some(end);
        self.idle.insert((end, site.clone()));
    }

    fn unlist(&mut self, site: &SiteKey, lane: &Lane) {
        if let Some(at) = lane.probe {
            self.probes.remove(&(at, site.clone()));
        }
        if !lane.window.is_reachable() {
            self.unreachable = self.unreachable.saturating_sub(1);
        }
    }
}

impl Lane {
    fn new(bounds: &Bounds) -> Self {
        Self {
            window: Window::new(bounds),
            turns: Turns::default(),
            backlog: Backlog::default(),
            flying: 0,
            coming: 0,
            trouble: None,
            row: Standing::Out,
            thirst: Standing::Out,
            probe: None,
            idle: None,
        }
    }

    /// Whether it wants mail from its backlog, where it should have so many times what may fly at once.
    fn is_thirsty(&self, times: usize, now: Duration) -> bool {
        if self.backlog.is_empty() {
            return false;
        }
        if self.window.is_reachable() {
            self.turns.len() + self.coming < self.window.limit() * times
        } else {
            self.turns.is_empty() && self.coming == 0 && self.window.has_room(self.flying, now)
        }
    }
}
