//! The POP3 service over a store in memory and over a Maildir, spoken to octet by octet.
#![cfg(feature = "pop3")]
#![expect(clippy::unwrap_used, reason = "a test may fail")]

#[path = "pop3/apop.rs"]
mod apop;
#[path = "pop3/case.rs"]
mod case;
#[path = "pop3/counts.rs"]
mod counts;
#[path = "pop3/delay.rs"]
mod delay;
#[path = "pop3/logins.rs"]
mod logins;
#[path = "pop3/maildrop.rs"]
mod maildrop;
#[path = "pop3/proxies.rs"]
mod proxies;
#[path = "pop3/uidl.rs"]
mod uidl;
