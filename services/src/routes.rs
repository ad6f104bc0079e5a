//! The router's table of one server: made of its domains and users, swapped whole when they change.
//!
//! ```
//! use services::directory::Account;
//! use services::routes::{Admission, Hop, Outward, Refusal, Routing, Sender};
//!
//! let users = [Account::new("alice@example.org")?];
//! let routing = Routing::new(vec!["example.org".into()], Outward::default(), &users)?;
//!
//! let mailbox = |name: &str| Hop::Mailbox { mailbox: name.into(), place: "local".into(), epoch: 0 };
//! assert_eq!(routing.admit("Alice+news@EXAMPLE.org", Sender::Stranger), Ok(vec![mailbox("alice@example.org")]));
//! assert_eq!(routing.admit("postmaster", Sender::Stranger), Ok(vec![mailbox("alice@example.org")]));
//! assert_eq!(routing.admit("carol@example.org", Sender::Stranger), Err(Refusal::NoSuchMailbox));
//! assert_eq!(routing.admit("dave@example.net", Sender::Stranger), Err(Refusal::NotForStrangers));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod aliases;
mod outward;
mod spread;

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use router::{
    BuildError, Change, ChangeError, Domain, Home, Others, Reason, Resolution, Route, Routes, Snapshot, TableBuilder,
    TableError, resolve,
};
use smtp_proto::Mailbox;
use thiserror::Error;

use crate::directory::{Account, LoginName};
use aliases::simplest;
use spread::Spread;

pub use aliases::{AliasFault, AliasLimits, Aliases, AliasesError};
pub use outward::{NoRelay, NoSuchWay, NoTransport, Outward, RelayHost, Transport, Way};

/// The name of the one place where the mailboxes of a single server live.
pub const LOCAL: &str = "local";

/// Says where mail goes, from a table that can be swapped while others ask.
#[derive(Debug)]
pub struct Routing {
    table: ArcSwap<Routes<Vec<u8>>>,
    domains: Vec<String>,
    outward: Outward,
    /// Those in the table. Locked from reading its version to swapping it, so that it never goes back.
    aliases: Mutex<Aliases>,
}

/// Whose word it is that a message shall go somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Anybody, from wherever the connection comes: only what is ours is taken.
    Stranger,
    /// A user who is logged in.
    User,
}

/// Where the mail for one recipient goes; several where the address stands for several.
pub type Admission = Result<Vec<Hop>, Refusal>;

/// One way onward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hop {
    /// Into a mailbox.
    Mailbox {
        /// The one spelling of its address.
        mailbox: String,
        /// Where it lives; [`LOCAL`] is here.
        place: String,
        /// What a delivery there says, see [`Home`].
        epoch: u64,
    },
    /// To a server that the table names.
    Relay {
        /// Its name.
        hop: String,
        /// The address to give there.
        address: String,
    },
    /// To a domain that is not ours, by the way that [`Outward`] says when it is delivered.
    Outward {
        /// The domain, folded.
        domain: String,
        /// The address.
        address: String,
    },
}

impl Hop {
    /// Whether mail goes on to another server, which takes it from us as from anybody.
    #[must_use]
    pub const fn leads_away(&self) -> bool {
        match self {
            Self::Mailbox { .. } => false,
            Self::Relay { .. } | Self::Outward { .. } => true,
        }
    }
}

/// Why mail for a recipient is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The domain is ours, and nobody there has this name: 550 5.1.1 (RFC 3463 §3.2).
    #[error("no such mailbox")]
    NoSuchMailbox,
    /// The domain is not ours, and neither is the sender: 550 5.7.1 (RFC 3463 §3.8).
    #[error("relaying is not allowed")]
    NotForStrangers,
    /// The domain is not ours, and no way out is configured for it: 550 5.4.4 (RFC 3463 §3.5).
    #[error("this server has no way to that domain")]
    NoWay,
    /// It cannot be said now: 451 4.3.0 (RFC 3463 §3.4).
    #[error("the mailbox cannot be found now")]
    NotNow,
}

/// Why there is no table.
#[derive(Debug, Error)]
pub enum RoutingError {
    /// A domain or an address cannot stand in a table.
    #[error("{name:?} cannot be routed: {fault}")]
    Name {
        /// Which.
        name: String,
        /// Why.
        fault: ChangeError,
    },
    /// The table could not be written.
    #[error("the routing table cannot be written: {0}")]
    Build(#[from] BuildError),
    /// The table could not be read back.
    #[error("the routing table cannot be read: {0}")]
    Open(#[from] TableError),
    /// The aliases lead nowhere, or to too many.
    #[error(transparent)]
    Aliases(#[from] AliasesError),
    /// The system gave no randomness.
    #[error("the system gives no random numbers: {0}")]
    Random(#[from] io::Error),
}

impl Routing {
    /// Makes the table. Each user is a mailbox in [`LOCAL`]; the domains given and those of the users are ours; mail for
    /// others goes by the ways given. In each domain `postmaster` is somebody (RFC 5321 §4.5.1): unless a user or an alias
    /// has the name, the first user of the domain, or of all.
    ///
    /// # Errors
    /// A name cannot be routed, or the system has no random numbers.
    pub fn new(domains: Vec<String>, outward: Outward, accounts: &[Account]) -> Result<Self, RoutingError> {
        Self::with_aliases(domains, outward, accounts, Aliases::default())
    }

    /// The same with aliases. What in them does no harm and cannot be meant, as a target that is nobody, is logged.
    ///
    /// # Errors
    /// As for [`new`](Self::new), and where aliases lead in a circle or to too many.
    pub fn with_aliases(
        domains: Vec<String>,
        outward: Outward,
        accounts: &[Account],
        aliases: Aliases,
    ) -> Result<Self, RoutingError> {
        let table = ArcSwap::from_pointee(table(1, &domains, accounts, &aliases, &outward)?);
        Ok(Self { table, domains, outward, aliases: Mutex::new(aliases) })
    }

    /// Takes a table that was made elsewhere, with aliases and places of its own. The first of the domains is the one whose
    /// `postmaster` has no domain. [`rebuild`](Self::rebuild) would put a table of users in its place.
    #[must_use]
    pub fn with_table(table: Routes<Vec<u8>>, domains: Vec<String>, outward: Outward) -> Self {
        Self { table: ArcSwap::from_pointee(table), domains, outward, aliases: Mutex::default() }
    }

    /// Puts a table of other users in the place of the one in use, with the same aliases. Blocks as long as writing it takes.
    ///
    /// # Errors
    /// As for [`with_aliases`](Self::with_aliases); what was in use stays.
    pub fn rebuild(&self, accounts: &[Account]) -> Result<(), RoutingError> {
        let aliases = self.aliases.lock().unwrap_or_else(PoisonError::into_inner);
        self.replace(accounts, &aliases)
    }

    /// Puts a table of other users and other aliases in the place of the one in use, both at once.
    ///
    /// # Errors
    /// As for [`rebuild`](Self::rebuild); what was in use stays, the aliases too.
    pub fn rebuild_with(&self, accounts: &[Account], aliases: Aliases) -> Result<(), RoutingError> {
        let mut used = self.aliases.lock().unwrap_or_else(PoisonError::into_inner);
        self.replace(accounts, &aliases)?;
        *used = aliases;
        Ok(())
    }

    /// Only for who holds the lock of the aliases.
    fn replace(&self, accounts: &[Account], aliases: &Aliases) -> Result<(), RoutingError> {
        let version = self.table.load().delta().version().saturating_add(1);
        self.table.store(Arc::new(table(version, &self.domains, accounts, aliases, &self.outward)?));
        Ok(())
    }

    /// Says what becomes of an address, and why.
    #[must_use]
    pub fn resolve(&self, address: &str) -> Resolution {
        let table = self.table.load();
        if let Some(domain) = self.domains.first().filter(|_| address.eq_ignore_ascii_case("postmaster")) {
            return resolve(&table, &format!("{address}@{domain}"));
        }
        let simple = address.starts_with('"').then(|| Mailbox::parse(address).map(simplest).ok()).flatten();
        let address = simple.as_deref().unwrap_or(address);
        // The table folds ASCII only. Users and aliases have the spelling of the directory, which folds the rest too.
        if !address.is_ascii()
            && let Ok(folded) = LoginName::parse(address.as_bytes())
        {
            let found = resolve(&table, folded.as_str());
            if matches!(found.reason, Reason::Mailbox | Reason::Alias) {
                return found;
            }
        }
        resolve(&table, address)
    }

    /// Decides whether a recipient is taken, and where the mail goes. Nobody is relayed for because of an address:
    /// loopback is a stranger too.
    ///
    /// # Errors
    /// [`Refusal`], each with its reply.
    pub fn admit(&self, address: &str, sender: Sender) -> Admission {
        let route = self.resolve(address).route;
        if let Route::Forward(targets) = &route {
            return self.forward(targets);
        }
        self.hop(route, sender).map(|hop| vec![hop])
    }

    fn hop(&self, route: Route, sender: Sender) -> Result<Hop, Refusal> {
        match route {
            Route::Mailbox { mailbox, place, epoch } => Ok(Hop::Mailbox { mailbox, place, epoch }),
            Route::Relay { hop, address } => Ok(Hop::Relay { hop, address }),
            Route::Foreign { address } => match sender {
                Sender::Stranger => Err(Refusal::NotForStrangers),
                Sender::User => self.leave(address),
            },
            Route::Unknown => Err(Refusal::NoSuchMailbox),
            // A target of an alias is no alias.
            Route::Moving { .. } | Route::Broken | Route::Forward(_) => Err(Refusal::NotNow),
        }
    }

    fn leave(&self, address: String) -> Result<Hop, Refusal> {
        let domain = address.rsplit_once('@').map(|(_, domain)| domain.to_lowercase()).unwrap_or_default();
        match self.outward.way(&domain) {
            Way::Closed => Err(Refusal::NoWay),
            Way::Exchangers | Way::Relay(_) => Ok(Hop::Outward { domain, address }),
        }
    }

    /// The ways out.
    #[must_use]
    pub const fn outward(&self) -> &Outward {
        &self.outward
    }

    /// An alias is our own word that its targets want the mail, so strangers reach them through it.
    fn forward(&self, targets: &[String]) -> Admission {
        let mut hops = Vec::with_capacity(targets.len());
        for target in targets {
            match self.hop(self.resolve(target).route, Sender::User) {
                Ok(hop) => hops.push(hop),
                Err(Refusal::NotNow) => return Err(Refusal::NotNow),
                Err(Refusal::NoSuchMailbox | Refusal::NotForStrangers | Refusal::NoWay) => {}
            }
        }
        if hops.is_empty() { Err(Refusal::NoSuchMailbox) } else { Ok(hops) }
    }
}

fn table(
    version: u64,
    domains: &[String],
    accounts: &[Account],
    aliases: &Aliases,
    outward: &Outward,
) -> Result<Routes<Vec<u8>>, RoutingError> {
    let mut ours: Vec<&str> = Vec::new();
    let mut known = HashSet::new();
    let all = domains.iter().map(String::as_str).chain(accounts.iter().map(Account::domain));
    ours.extend(all.filter(|domain| known.insert(*domain)));
    let spread = Spread::new(aliases, &ours, accounts, outward)?;
    spread.tell(aliases.path());
    // A key under which names collide is as rare as it is harmless: another one does.
    let mut tries = 3;
    loop {
        let mut key = [0; 16];
        getrandom::fill(&mut key).map_err(io::Error::from)?;
        match fill(TableBuilder::new(version, key), &ours, accounts, &spread)?.finish() {
            Ok(bytes) => return Ok(Routes::new(Snapshot::open(bytes)?)),
            Err(BuildError::Key) if tries > 1 => tries -= 1,
            Err(error) => return Err(error.into()),
        }
    }
}

fn fill(
    mut table: TableBuilder,
    ours: &[&str],
    accounts: &[Account],
    spread: &Spread,
) -> Result<TableBuilder, RoutingError> {
    let mut apply =
        |name: &str, change| table.apply(change).map_err(|fault| RoutingError::Name { name: name.to_owned(), fault });
    for domain in ours {
        let others = spread.others.get(*domain).cloned().map_or(Others::Nobody, Others::CatchAll);
        apply(domain, Change::domain(*domain, Domain::Local(others)))?;
        let theirs = accounts.iter().find(|account| account.domain() == *domain);
        if let Some(first) = theirs.or(accounts.first()) {
            let postmaster = format!("postmaster@{domain}");
            if first.address() != postmaster {
                apply(&postmaster, Change::alias(postmaster.as_str(), [first.address()]))?;
            }
        }
    }
    for (address, line) in &spread.aliases {
        apply(address, Change::alias(address.as_str(), line.targets.iter().map(String::as_str)))?;
    }
    // A mailbox takes the place of the alias of the same name.
    for account in accounts {
        apply(account.address(), Change::mailbox(account.address(), Home::at(LOCAL)))?;
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "alice@example.org";
    const BOB: &str = "bob@example.org";

    fn accounts(addresses: &[&str]) -> Vec<Account> {
        addresses.iter().map(|address| Account::new(address).unwrap()).collect()
    }

    fn routing(relay: Option<&str>, addresses: &[&str]) -> Routing {
        let outward = relay.map_or_else(Outward::default, |relay| Outward::new(relay.parse().unwrap()));
        Routing::new(vec!["example.org".into()], outward, &accounts(addresses)).unwrap()
    }

    fn mailbox(name: &str) -> Admission {
        Ok(vec![Hop::Mailbox { mailbox: name.into(), place: LOCAL.into(), epoch: 0 }])
    }

    #[test]
    fn domains_of_users_are_ours_though_nobody_named_them() {
        let routing = routing(None, &["alice@example.org", "zoe@other.example"]);
        assert_eq!(routing.admit("ZOE+x@Other.Example.", Sender::Stranger), mailbox("zoe@other.example"));
        assert_eq!(routing.admit("alice@other.example", Sender::Stranger), Err(Refusal::NoSuchMailbox));
    }

    #[test]
    fn postmaster_is_somebody_everywhere() {
        let none = routing(None, &[]);
        assert_eq!(none.admit("postmaster@example.org", Sender::Stranger), Err(Refusal::NoSuchMailbox));
        let routing = routing(None, &["adam@a.example", "postmaster@b.example", "zoe@b.example"]);
        for (address, owner) in [
            ("postmaster", "adam@a.example"),
            ("POSTMASTER@example.org", "adam@a.example"),
            ("postmaster@a.example", "adam@a.example"),
            ("postmaster@b.example", "postmaster@b.example"),
        ] {
            assert_eq!(routing.admit(address, Sender::Stranger), mailbox(owner), "{address}");
        }
    }

    #[test]
    fn only_users_are_relayed_for_and_only_where_there_is_a_relay() {
        let with = routing(Some("smtp.example.net:25"), &["alice@example.org"]);
        let hop = Hop::Outward { domain: "example.net".into(), address: "Bob+X@example.net".into() };
        assert_eq!(with.admit("Bob+X@Example.NET", Sender::User), Ok(vec![hop]));
        assert_eq!(with.admit("bob@example.net", Sender::Stranger), Err(Refusal::NotForStrangers));
        assert_eq!(with.admit("nobody@example.org", Sender::User), Err(Refusal::NoSuchMailbox));
        let without = routing(None, &["alice@example.org"]);
        assert_eq!(without.admit("bob@example.net", Sender::User), Err(Refusal::NoWay));
    }

    #[test]
    fn what_is_no_address_is_nobody() {
        let routing = routing(Some("smtp.example.net:25"), &["alice@example.org"]);
        for address in ["", "alice", "@example.org", "alice@", "a\r\n@example.org"] {
            assert_eq!(routing.admit(address, Sender::User), Err(Refusal::NoSuchMailbox), "{address:?}");
        }
    }

    #[test]
    fn users_outside_ascii_are_found_in_any_spelling() {
        let routing = routing(None, &["renée@example.org"]);
        assert_eq!(routing.admit("RENE\u{301}E@example.org", Sender::Stranger), mailbox("renée@example.org"));
    }

    #[test]
    fn a_rebuilt_table_is_asked_at_once_and_newer() {
        let routing = routing(None, &["alice@example.org"]);
        let before = routing.table.load().delta().version();
        routing.rebuild(&accounts(&["bob@example.org"])).unwrap();
        assert_eq!(routing.admit("alice@example.org", Sender::Stranger), Err(Refusal::NoSuchMailbox));
        assert_eq!(routing.admit("bob@example.org", Sender::Stranger), mailbox("bob@example.org"));
        assert_eq!(routing.table.load().delta().version(), before + 1);
    }

    fn aliases(text: &str) -> Aliases {
        Aliases::parse(text.as_bytes(), "aliases".as_ref(), AliasLimits::default()).unwrap()
    }

    fn with_aliases(text: &str, users: &[&str]) -> Routing {
        let outward = Outward::new("smtp.example.net:25".parse().unwrap());
        Routing::with_aliases(vec!["example.org".into()], outward, &accounts(users), aliases(text)).unwrap()
    }

    #[test]
    fn strangers_reach_all_for_whom_an_alias_stands() {
        let routing = with_aliases("team: alice, more\nmore: bob, ALICE, Carol@Far.example", &[ALICE, BOB]);
        let carol = Hop::Outward { domain: "far.example".into(), address: "Carol@far.example".into() };
        let all = [mailbox(ALICE).unwrap(), mailbox(BOB).unwrap(), vec![carol]].concat();
        assert_eq!(routing.admit("Team+x@Example.org", Sender::Stranger), Ok(all));
        assert_eq!(routing.admit("carol@far.example", Sender::Stranger), Err(Refusal::NotForStrangers));
    }

    #[test]
    fn an_alias_goes_before_the_postmaster_of_the_server_and_behind_a_user() {
        let routing = with_aliases("postmaster: bob\nabuse: postmaster\nalice: bob", &[ALICE, BOB]);
        for address in ["postmaster", "postmaster@example.org", "abuse@example.org"] {
            assert_eq!(routing.admit(address, Sender::Stranger), mailbox(BOB), "{address}");
        }
        assert_eq!(routing.admit(ALICE, Sender::Stranger), mailbox(ALICE));
    }

    #[test]
    fn who_takes_the_rest_takes_nobody_else_s_mail() {
        let users = [ALICE, BOB, "renée@example.org"];
        let routing = with_aliases("@example.org: bob\ninfo: alice", &users);
        for (address, owner) in [
            ("nobody@example.org", BOB),
            ("info@example.org", ALICE),
            (ALICE, ALICE),
            ("postmaster@example.org", ALICE),
            ("RENE\u{301}E+x@example.org", "renée@example.org"),
        ] {
            assert_eq!(routing.admit(address, Sender::Stranger), mailbox(owner), "{address}");
        }
    }

    #[test]
    fn names_in_quotes_that_they_do_not_need_are_found() {
        let routing = with_aliases("\"the boss\": \"Alice\"", &[ALICE]);
        for address in ["\"The Boss\"@example.org", "\"\\the boss\"@example.org", "\"alice\"@example.org"] {
            assert_eq!(routing.admit(address, Sender::Stranger), mailbox(ALICE), "{address}");
        }
    }

    #[test]
    fn users_and_aliases_change_without_each_other() {
        let routing = with_aliases("info: bob\nhelp: carol", &[ALICE, BOB]);
        let admitted = |address: &str| routing.admit(address, Sender::Stranger);
        assert_eq!(admitted("help@example.org"), Err(Refusal::NoSuchMailbox));
        routing.rebuild(&accounts(&[BOB, "carol@example.org"])).unwrap();
        assert_eq!(admitted("help@example.org"), mailbox("carol@example.org"));
        assert_eq!(admitted("info@example.org"), mailbox(BOB));
        routing.rebuild_with(&accounts(&[BOB]), aliases("help: bob")).unwrap();
        assert_eq!(admitted("help@example.org"), mailbox(BOB));
        assert_eq!(admitted("info@example.org"), Err(Refusal::NoSuchMailbox));
    }

    #[test]
    fn aliases_that_cannot_be_used_change_nothing() {
        let routing = with_aliases("info: bob", &[BOB]);
        let refused = routing.rebuild_with(&accounts(&[ALICE]), aliases("a: b\nb: a")).unwrap_err().to_string();
        assert!(refused.starts_with("the aliases' file aliases, line 1: aliases lead in a circle"), "{refused}");
        assert_eq!(routing.admit("info@example.org", Sender::Stranger), mailbox(BOB));
        // Nor are they what the next table is made of.
        routing.rebuild(&accounts(&[ALICE, BOB])).unwrap();
        assert_eq!(routing.admit("info@example.org", Sender::Stranger), mailbox(BOB));
    }
}
