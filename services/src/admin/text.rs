//! How the queue looks to people: lines and tables.
//!
//! All of it is pure: what time it is, where, and how wide the terminal is come from outside. What others wrote (addresses,
//! replies of servers) cannot steer a terminal: see [`clean`].

mod table;
mod words;

use jiff::tz::TimeZone;
use mailqueue::{Action, Counters, Failure, Handed, Held};

use super::Time;
use super::shape::{
    Detail, Inspection, Message, MessageState, Messages, Recipient, RecipientState, Rule, Site, SiteState, Status,
    Waiting,
};
use table::{Align, Column, Table};

pub use words::{age, clean, size};

/// What a reader's surroundings are.
#[derive(Clone, Debug)]
pub struct Look {
    /// The time, for how long it is until something.
    pub now: Time,
    /// Where times are shown.
    pub zone: TimeZone,
    /// Columns of the terminal; `None` where lines may be of any length.
    pub width: Option<usize>,
}

/// A listing in the making: the first page decides how wide columns are.
#[derive(Debug)]
pub struct Listing {
    look: Look,
    table: Option<Table>,
}

impl Listing {
    /// Nothing is shown yet.
    #[must_use]
    pub fn new(look: Look) -> Self {
        Self { look, table: None }
    }

    /// The lines of a page, one for each recipient; above the first, the names of the columns.
    pub fn page(&mut self, page: &Messages) -> String {
        if page.messages.is_empty() {
            return String::new();
        }
        let rows: Vec<_> = page.messages.iter().flat_map(|message| self.look.rows(message)).collect();
        match &self.table {
            Some(table) => table.rows(&rows),
            None => {
                let table = Table::fitting(&LISTING, &rows, self.look.width);
                let lines = table.head() + &table.rows(&rows);
                self.table = Some(table);
                lines
            }
        }
    }
}

const LISTING: [Column; 6] = [
    Column::fixed("ID", Align::Left),
    Column::fixed("AGE", Align::Right),
    Column::fixed("SIZE", Align::Right),
    Column::flexible("SENDER"),
    Column::flexible("RECIPIENT"),
    Column::flexible("WHY"),
];

impl Look {
    /// A message with all that is known of it, line by line.
    #[must_use]
    pub fn inspection(&self, inspection: &Inspection) -> String {
        let Inspection { message, envelope } = inspection;
        let mut lines = vec![
            ("message", message.id.to_string()),
            ("arrived", format!("{}, {} ago", self.at(message.arrived), age(message.age_seconds))),
            ("size", format!("{} octets", message.size)),
            ("sender", sender(&message.sender)),
            ("source", clean(&message.source)),
            ("priority", message.priority.to_string()),
            ("state", self.message_state(&message.state)),
        ];
        if !envelope.parameters.is_empty() {
            lines.push(("parameters", clean(&envelope.parameters.join(" "))));
        }
        if let Some(release) = envelope.release {
            lines.push(("release", self.until(release)));
        }
        if let Some(by) = envelope.deliver_by {
            let then = match by.then {
                mailqueue::Late::Return => "else it is returned",
                mailqueue::Late::Notify => "else the sender is told",
            };
            lines.push(("deliver by", format!("{}, {then}", self.until(by.until))));
        }
        for (place, recipient) in message.recipients.iter().enumerate() {
            lines.push(("recipient", clean(&recipient.address)));
            lines.push(("  why", self.why(recipient)));
            lines.push(("  goes to", goes_to(recipient)));
            if let Some(parameters) = envelope.recipient_parameters.get(place).filter(|all| !all.is_empty()) {
                lines.push(("  parameters", clean(&parameters.join(" "))));
            }
        }
        labelled(&lines)
    }

    /// The rules, one a line.
    #[must_use]
    pub fn rules(&self, rules: &[Rule]) -> String {
        let columns = [
            Column::fixed("RULE", Align::Right),
            Column::fixed("ENDS", Align::Left),
            Column::flexible("SUSPENDS"),
            Column::flexible("REASON"),
        ];
        let row = |rule: &Rule| {
            let ends = rule.until.map_or_else(|| "by hand".to_owned(), |until| self.until(until));
            vec![rule.id.to_string(), ends, clean(&rule.filter.to_string()), clean(&rule.reason)]
        };
        self.table(&columns, &rules.iter().map(row).collect::<Vec<_>>())
    }

    /// The sites, one a line.
    #[must_use]
    pub fn sites(&self, sites: &[Site]) -> String {
        let columns = [
            Column::flexible("SITE"),
            Column::fixed("WAITING", Align::Right),
            Column::fixed("FLYING", Align::Right),
            Column::fixed("WINDOW", Align::Right),
            Column::flexible("STATE"),
        ];
        let row = |site: &Site| {
            let state = match site.state {
                SiteState::Reachable { failures: 0 } => "reachable".to_owned(),
                SiteState::Reachable { failures } => format!("reachable, {failures} failed in a row"),
                SiteState::Unreachable { since, probe_at } => {
                    format!("unreachable since {}, next look {}", self.at(since), self.until(probe_at))
                }
            };
            let state = with_detail(state, site.detail.as_ref());
            let numbers = [site.waiting, site.flying, site.window].map(|number| number.to_string());
            [vec![clean(&site.name)], numbers.to_vec(), vec![state]].concat()
        };
        self.table(&columns, &sites.iter().map(row).collect::<Vec<_>>())
    }

    /// How the queue as a whole stands.
    #[must_use]
    pub fn status(&self, status: &Status) -> String {
        let Counters { messages, active, recipients, waiting, held, suspended, flying, sites, unreachable, .. } =
            status.counters;
        let counters = status.counters;
        let attempts = match counters.suspects {
            0 => format!("{flying} under way"),
            waiting => {
                format!("{flying} under way, {} for a turn alone", count(waiting, "message waits", "messages wait"))
            }
        };
        let now = format!(
            "{active} active with {recipients} recipients, {waiting} waiting, {held} held, {suspended} suspended"
        );
        labelled(&[
            ("queued", count(messages, "message", "messages")),
            ("", now),
            ("attempts", attempts),
            ("sites", format!("{sites}, {unreachable} of them unreachable")),
            ("spool", format!("{} used, {} free", size(status.space.used), size(status.space.free))),
            ("", format!("{} spool errors", counters.spool_errors)),
            ("since start", format!("{} accepted, {} removed", counters.accepted, counters.removed)),
            (
                "",
                format!(
                    "{} delivered, {} deferred, {} interrupted",
                    counters.delivered, counters.deferred, counters.interrupted
                ),
            ),
            (
                "",
                format!(
                    "{} refused, {} expired, {} late, {} bounced",
                    counters.refused, counters.expired, counters.late, counters.bounced
                ),
            ),
            (
                "",
                format!(
                    "{} senders told of ends, {} of delays, {} could not be told",
                    counters.notified, counters.warned, counters.untold
                ),
            ),
            ("", format!("{} held as poison, {} as damaged", counters.poisoned, counters.damaged)),
        ])
    }

    /// A rule that was made, and how to be rid of it.
    #[must_use]
    pub fn suspended(&self, rule: &Rule) -> String {
        let until = rule.until.map_or_else(|| "it is taken back".to_owned(), |until| self.until(until));
        format!("rule {0} suspends {1} until {until}", rule.id, clean(&rule.filter.to_string()))
    }

    fn rows(&self, message: &Message) -> Vec<Vec<String>> {
        let row = |recipient: String, why: String| {
            let columns =
                [message.id.to_string(), age(message.age_seconds), size(message.size), sender(&message.sender)];
            [columns.to_vec(), vec![recipient, why]].concat()
        };
        if message.recipients.is_empty() {
            return vec![row("-".to_owned(), self.message_state(&message.state))];
        }
        message.recipients.iter().map(|one| row(clean(&one.address), self.why(one))).collect()
    }

    fn message_state(&self, state: &MessageState) -> String {
        match state {
            MessageState::Active => "active".to_owned(),
            MessageState::Deferred { until } => format!("deferred until {}", self.until(*until)),
            MessageState::Held { why } => held(*why),
            MessageState::Suspended { rule, until } => self.suspended_by(*rule, *until),
            MessageState::Unreachable { site, probe_at } => self.unreachable(site, *probe_at),
        }
    }

    /// How a recipient stands: what it waits for, until when, and what was said last.
    fn why(&self, recipient: &Recipient) -> String {
        match &recipient.state {
            RecipientState::Waiting { waits, attempts, detail } => {
                let told = self.waiting(waits);
                let told =
                    if *attempts == 0 { told } else { format!("{told}, {}", count(*attempts, "attempt", "attempts")) };
                match waits {
                    Waiting::Unreachable { detail, .. } => with_detail(told, Some(detail)),
                    Waiting::Turn
                    | Waiting::Suspect
                    | Waiting::Schedule { .. }
                    | Waiting::Release { .. }
                    | Waiting::Rule { .. }
                    | Waiting::Held { .. } => with_detail(told, detail.as_ref()),
                }
            }
            RecipientState::Trying { attempt } => format!("attempt {attempt} is under way"),
            RecipientState::Delivered { at, handed } => {
                let to = match handed {
                    Handed::Mailbox => "to the mailbox",
                    Handed::WithDuty | Handed::Relayed => "to the next server",
                };
                format!("delivered {to} {}", self.at(*at))
            }
            RecipientState::Failed { at, why, detail } => {
                let why = match why {
                    Failure::Refused => "refused",
                    Failure::Expired => "expired",
                    Failure::Late => "too late",
                    Failure::Bounced => "bounced",
                };
                with_detail(format!("{why} {}", self.at(*at)), Some(detail))
            }
        }
    }

    fn waiting(&self, waits: &Waiting) -> String {
        match waits {
            Waiting::Turn => "waits for its turn".to_owned(),
            Waiting::Suspect => "waits to be tried alone: attempts for it ended without an outcome".to_owned(),
            Waiting::Schedule { until } => format!("deferred until {}", self.until(*until)),
            Waiting::Release { until } => format!("not wanted before {}", self.until(*until)),
            Waiting::Unreachable { site, probe_at, .. } => self.unreachable(site, *probe_at),
            Waiting::Rule { rule, until } => self.suspended_by(*rule, *until),
            Waiting::Held { why } => held(*why),
        }
    }

    fn suspended_by(&self, rule: u64, until: Option<Time>) -> String {
        let until =
            until.map_or_else(|| "until it is taken back".to_owned(), |until| format!("until {}", self.until(until)));
        format!("suspended by rule {rule} {until}")
    }

    fn unreachable(&self, site: &str, probe_at: Time) -> String {
        format!("nobody answers at {}, next look {}", clean(site), self.until(probe_at))
    }

    /// A time to come: the hour, on another day the date too, and how far away it is.
    fn until(&self, time: Time) -> String {
        let seconds = time.timestamp().as_second().saturating_sub(self.now.timestamp().as_second());
        match u64::try_from(seconds) {
            Ok(seconds @ 1..) => format!("{} (in {})", self.at(time), age(seconds)),
            Ok(_) | Err(_) => format!("{} (now)", self.at(time)),
        }
    }

    fn at(&self, time: Time) -> String {
        let [there, now] = [time, self.now].map(|time| time.timestamp().to_zoned(self.zone.clone()));
        let form = if there.date() == now.date() { "%H:%M" } else { "%Y-%m-%d %H:%M" };
        there.strftime(form).to_string()
    }

    fn table(&self, columns: &[Column], rows: &[Vec<String>]) -> String {
        let table = Table::fitting(columns, rows, self.width);
        table.head() + &table.rows(rows)
    }
}

/// What an action did, in the past tense.
#[must_use]
pub fn done(action: Action) -> &'static str {
    match action {
        Action::Hold => "held",
        Action::Release => "released",
        Action::Retry => "retried",
        Action::Requeue => "requeued",
        Action::Bounce => "bounced",
        Action::Delete => "deleted",
    }
}

/// A number with its noun.
#[must_use]
pub fn count(number: impl Into<u64>, one: &str, many: &str) -> String {
    match number.into() {
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    }
}

fn held(why: Held) -> String {
    match why {
        Held::Asked => "held until it is released",
        Held::Poison => "held until it is released: attempts for it ended without an outcome",
        Held::Damaged => "held: its octets cannot be read",
    }
    .to_owned()
}

fn sender(sender: &str) -> String {
    if sender.is_empty() { "<>".to_owned() } else { clean(sender) }
}

fn goes_to(recipient: &Recipient) -> String {
    match recipient.site.as_deref().filter(|site| *site != recipient.destination) {
        Some(site) => format!("{} by {}", clean(&recipient.destination), clean(site)),
        None => clean(&recipient.destination),
    }
}

fn with_detail(told: String, detail: Option<&Detail>) -> String {
    let Some(Detail { text, status, remote }) = detail.filter(|detail| !detail.text.is_empty()) else { return told };
    let status = if status.is_empty() || text.contains(status.as_str()) { String::new() } else { format!("{status} ") };
    let remote = if remote.is_empty() { String::new() } else { format!(" ({remote})") };
    format!("{told}: {}", clean(&format!("{status}{text}{remote}")))
}

/// Names and values, one a line, the values below one another.
fn labelled(lines: &[(&str, String)]) -> String {
    let widest = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    lines.iter().map(|(name, value)| format!("{name:widest$}  {value}").trim_end().to_owned() + "\n").collect()
}

#[cfg(test)]
mod tests;
