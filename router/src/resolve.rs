//! From an address to its route, one step after the other.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::address::{Address, join};
use crate::change::{Domain, Entry, Others};
use crate::format::Damaged;
use crate::home::Home;
use crate::routes::Routes;
use crate::{MAX_DOMAIN_ALIASES, MAX_NAME, MAX_TARGETS};

/// What becomes of an address, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// What becomes of it.
    pub route: Route,
    /// The step that decided.
    pub reason: Reason,
    /// The name that was looked up: folded, in the domain that an alias domain stands for. Where that is not an
    /// address, what was asked, without control characters and cut to [`MAX_NAME`].
    pub name: String,
    /// The detail that was left off to find the route, as it was written.
    pub detail: Option<String>,
}

/// What becomes of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// It is a mailbox, or is taken for one by the rule of its domain.
    Mailbox {
        /// The one spelling of the mailbox.
        mailbox: String,
        /// The name of the place where it lives.
        place: String,
        /// The epoch that a delivery says, so that the place can refuse one that is behind the times.
        epoch: u64,
    },
    /// It is a mailbox on its way: deliveries wait (4xx), logins wait or are unavailable for a moment.
    Moving {
        /// The one spelling of the mailbox.
        mailbox: String,
        /// The place it leaves.
        from: String,
        /// The place it goes to.
        to: String,
        /// The epoch it will have there.
        epoch: u64,
    },
    /// It stands for these addresses. None of them is an alias or occurs twice; each is resolved by itself when it is
    /// delivered to, and may turn out to be anything but this.
    Forward(Vec<String>),
    /// It goes to another system that we answer for.
    Relay {
        /// The name of the next hop.
        hop: String,
        /// The address to give there, its local part as it was written.
        address: String,
    },
    /// The domain is ours, and nobody there has this name; or it is no address at all. Refused for good.
    Unknown,
    /// The domain is not ours. Who may send anywhere sends it by MX; others are refused.
    Foreign {
        /// The address to give there, its local part as it was written.
        address: String,
    },
    /// The table cannot say: it is damaged, or its aliases run in circles. Never a reason to refuse for good.
    Broken,
}

/// The step that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The address is a mailbox with an entry of its own.
    Mailbox,
    /// The address is an alias.
    Alias,
    /// The domain has a catch-all.
    CatchAll,
    /// The domain has a default place.
    DomainDefault,
    /// The domain lives in slots.
    Slot,
    /// The domain is shared with a peer, who may know more.
    FallbackRelay,
    /// The domain is relayed.
    RelayDomain,
    /// The domain is local and nobody there has this name.
    Nobody,
    /// The domain is not in the table.
    ForeignDomain,
    /// What was asked is not an address.
    NotAnAddress,
    /// Aliases lead to one another and to nobody, or domain aliases go on for too long.
    Loop,
    /// An alias stands for too many.
    TooMany,
    /// The table is damaged.
    Damaged,
}

impl Reason {
    /// A name that stays the same, for metrics and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mailbox => "mailbox",
            Self::Alias => "alias",
            Self::CatchAll => "catch-all",
            Self::DomainDefault => "domain-default",
            Self::Slot => "slot",
            Self::FallbackRelay => "fallback-relay",
            Self::RelayDomain => "relay-domain",
            Self::Nobody => "nobody",
            Self::ForeignDomain => "foreign-domain",
            Self::NotAnAddress => "not-an-address",
            Self::Loop => "loop",
            Self::TooMany => "too-many",
            Self::Damaged => "damaged",
        }
    }

    const fn sentence(self) -> &'static str {
        match self {
            Self::Mailbox => "it has an entry of its own",
            Self::Alias => "it is an alias",
            Self::CatchAll => "it has no entry, and its domain has a catch-all",
            Self::DomainDefault => "it has no entry, and its domain has a default place",
            Self::Slot => "it has no entry, and its domain lives in slots",
            Self::FallbackRelay => "it has no entry, and its domain is shared with a peer",
            Self::RelayDomain => "its domain is relayed",
            Self::Nobody => "it has no entry, and its domain has nobody else",
            Self::ForeignDomain => "its domain is not in the table",
            Self::NotAnAddress => "it is not an address",
            Self::Loop => "aliases lead in a circle",
            Self::TooMany => "aliases lead to too many addresses",
            Self::Damaged => "the table is damaged",
        }
    }
}

impl Resolution {
    /// Says in a sentence what becomes of the address and why, for the operator who asks. It names addresses.
    #[must_use]
    pub fn explain(&self) -> String {
        let detail = self.detail.as_ref().map_or(String::new(), |detail| format!(" (detail {detail} left off)"));
        format!("{}{detail} {}: {}", self.name, self.route, self.reason.sentence())
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mailbox { mailbox, place, epoch } => write!(f, "is mailbox {mailbox} at {place}, epoch {epoch}"),
            Self::Moving { mailbox, from, to, epoch } => {
                write!(f, "is mailbox {mailbox} moving from {from} to {to}, epoch {epoch}")
            }
            Self::Forward(targets) => write!(f, "stands for {}", targets.join(", ")),
            Self::Relay { hop, address } => write!(f, "goes as {address} to {hop}"),
            Self::Unknown => f.write_str("is unknown"),
            Self::Foreign { address } => write!(f, "goes as {address} to where its domain says"),
            Self::Broken => f.write_str("cannot be resolved"),
        }
    }
}

/// Says what becomes of `address`. The work is bounded whatever the table holds.
#[must_use]
pub fn resolve<B: AsRef<[u8]>>(routes: &Routes<B>, address: &str) -> Resolution {
    let Some(parsed) = Address::parse(address) else {
        return Resolution {
            route: Route::Unknown,
            reason: Reason::NotAnAddress,
            name: address.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect(),
            detail: None,
        };
    };
    let name = parsed.name();
    let step = match look_up(routes, parsed) {
        Ok(step) => step,
        Err(fault) => return Resolution { route: Route::Broken, reason: fault.reason(), name, detail: None },
    };
    let route = match step.found {
        Found::Alias(targets) => expand(routes, &step.mailbox, targets).map(Route::Forward),
        Found::Home(home) => Ok(at_home(step.mailbox, home)),
        Found::Relay(hop) => Ok(Route::Relay { hop, address: step.as_written }),
        Found::Nobody => Ok(Route::Unknown),
        Found::Foreign => Ok(Route::Foreign { address: step.as_written }),
    };
    let (route, reason) = match route {
        Ok(route) => (route, step.reason),
        Err(fault) => (Route::Broken, fault.reason()),
    };
    Resolution { route, reason, name: step.name, detail: step.detail }
}

/// What one address is by itself, its alias not yet followed.
struct Step {
    found: Found,
    reason: Reason,
    /// The name looked up, with detail.
    name: String,
    /// The name that was found, or that the rule of the domain is for: without a detail that was left off.
    mailbox: String,
    as_written: String,
    detail: Option<String>,
}

enum Found {
    Home(Home),
    Alias(Vec<String>),
    Relay(String),
    Nobody,
    Foreign,
}

/// Why the table has no answer.
enum Fault {
    Damaged(Damaged),
    Loop,
    TooMany,
}

impl Fault {
    const fn reason(&self) -> Reason {
        match self {
            Self::Damaged(Damaged) => Reason::Damaged,
            Self::Loop => Reason::Loop,
            Self::TooMany => Reason::TooMany,
        }
    }
}

impl From<Damaged> for Fault {
    fn from(damaged: Damaged) -> Self {
        Self::Damaged(damaged)
    }
}

fn look_up<B: AsRef<[u8]>>(routes: &Routes<B>, mut address: Address<'_>) -> Result<Step, Fault> {
    let domain = domain_of(routes, &mut address)?;
    let (name, as_written) = (address.name(), address.as_written());
    let detail = address.detail(routes.snapshot().separator());
    let user = detail.map(|(user, _)| join(&user.to_ascii_lowercase(), &address.domain));
    let detail = detail.map(|(_, detail)| String::from(detail));

    if let Some(entry) = routes.find(&name)? {
        let (found, reason) = of_entry(entry)?;
        return Ok(Step { found, reason, mailbox: name.clone(), name, as_written, detail: None });
    }
    let mailbox = user.unwrap_or_else(|| name.clone());
    if detail.is_some()
        && let Some(entry) = routes.find(&mailbox)?
    {
        let (found, reason) = of_entry(entry)?;
        return Ok(Step { found, reason, name, mailbox, as_written, detail });
    }
    let (found, reason) = match domain {
        Some(Domain::Local(others)) => of_others(routes, others, &mailbox)?,
        Some(Domain::Relay(hop)) => (Found::Relay(hop), Reason::RelayDomain),
        Some(Domain::Alias(_)) => return Err(Fault::Loop),
        None => (Found::Foreign, Reason::ForeignDomain),
    };
    let detail = if matches!(found, Found::Home(_)) { detail } else { None };
    Ok(Step { found, reason, name, mailbox, as_written, detail })
}

/// Replaces an alias domain by the one it stands for, and says what that is.
fn domain_of<B: AsRef<[u8]>>(routes: &Routes<B>, address: &mut Address<'_>) -> Result<Option<Domain>, Fault> {
    for _ in 0..=MAX_DOMAIN_ALIASES {
        match routes.find(&address.domain)? {
            Some(Entry::Domain(Domain::Alias(of))) => address.domain = of,
            Some(Entry::Domain(domain)) => return Ok(Some(domain)),
            Some(Entry::Mailbox(_) | Entry::Alias(_)) => return Err(Damaged.into()),
            None => return Ok(None),
        }
    }
    Err(Fault::Loop)
}

fn of_entry(entry: Entry) -> Result<(Found, Reason), Damaged> {
    match entry {
        Entry::Mailbox(home) => Ok((Found::Home(home), Reason::Mailbox)),
        Entry::Alias(targets) => Ok((Found::Alias(targets), Reason::Alias)),
        Entry::Domain(_) => Err(Damaged),
    }
}

fn of_others<B: AsRef<[u8]>>(routes: &Routes<B>, others: Others, mailbox: &str) -> Result<(Found, Reason), Damaged> {
    Ok(match others {
        Others::Nobody => (Found::Nobody, Reason::Nobody),
        Others::CatchAll(target) => (Found::Alias([target].into()), Reason::CatchAll),
        Others::Home(home) => (Found::Home(home), Reason::DomainDefault),
        Others::Slots => {
            let slot = routes.snapshot().slot_of(mailbox).ok_or(Damaged)?;
            (Found::Home(routes.slot(slot)?), Reason::Slot)
        }
        Others::Relay(hop) => (Found::Relay(hop), Reason::FallbackRelay),
    })
}

fn at_home(mailbox: String, home: Home) -> Route {
    match home {
        Home::At { place, epoch } => Route::Mailbox { mailbox, place, epoch },
        Home::Moving { from, to, epoch } => Route::Moving { mailbox, from, to, epoch },
    }
}

/// Follows aliases until none is left. A name that was met before adds nothing the second time, so circles end; one
/// that leads to nobody else is a fault.
fn expand<B: AsRef<[u8]>>(routes: &Routes<B>, name: &str, targets: Vec<String>) -> Result<Vec<String>, Fault> {
    let mut met = BTreeSet::from([String::from(name)]);
    let (mut reached, mut told) = (Vec::new(), BTreeSet::new());
    let mut visits = targets.len();
    let mut open = VecDeque::from(targets);
    while let Some(target) = open.pop_front() {
        let step = look_up(routes, Address::parse(&target).ok_or(Damaged)?)?;
        let address = match step.found {
            Found::Alias(more) => {
                if met.insert(step.mailbox) {
                    visits += more.len();
                    if visits > MAX_TARGETS {
                        return Err(Fault::TooMany);
                    }
                    // Unfolded where it stands, so that the order is the reader's.
                    more.into_iter().rev().for_each(|target| open.push_front(target));
                }
                continue;
            }
            Found::Home(_) => step.name,
            Found::Relay(_) | Found::Nobody | Found::Foreign => step.as_written,
        };
        if told.insert(address.clone()) {
            reached.push(address);
        }
    }
    if reached.is_empty() { Err(Fault::Loop) } else { Ok(reached) }
}
