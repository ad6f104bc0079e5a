//! POP3 over any mail store.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use mailstore::error::{LeaseError, ReadError};
use mailstore::{Account as _, Expunge, Lease, LeaseKind, Mailbox, Reader as _, Recent, Store};
use pop3_proto::{
    Code, Ending, Event, Maildrop, Message, PlaintextLogin, Progress, Reply, Secret, ServerConfig, ServerSession, Stls,
};

use crate::directory::{Account, Accounts, Why};
use crate::engine::{Close, Link};
use crate::login;
use crate::net::{Connection, Fault, Handler, Next, Service};
use crate::sasl::{self, Channel, SaslServer};

/// The operator's word for this service.
const NAME: &str = "pop3";

/// What the service needs to know.
#[derive(Clone, Debug)]
pub struct Pop3Options {
    /// The host's name, for the greeting.
    pub host: String,
    /// Whether STLS is offered.
    pub stls: Stls,
    /// Whether passwords may cross the network as they are.
    pub plaintext_login: PlaintextLogin,
}

/// Serves maildrops from a store to those whom the directory lets in.
#[derive(Debug)]
pub struct Pop3<S> {
    shared: Arc<Shared<S>>,
}

#[derive(Debug)]
struct Shared<S> {
    store: Arc<S>,
    accounts: Accounts,
    config: Arc<ServerConfig>,
}

impl<S: Store> Pop3<S> {
    /// Makes the service. One serves any number of listeners.
    #[must_use]
    pub fn new(store: Arc<S>, accounts: Accounts, options: Pop3Options) -> Self {
        let Pop3Options { host, stls, plaintext_login } = options;
        let names = |channel| sasl::mechanisms(channel).iter().map(ToString::to_string).collect();
        let config = ServerConfig {
            greeting: format!("{host} POP3 server ready"),
            implementation: Some("Posthaste".to_owned()),
            stls,
            plaintext_login,
            mechanisms: names(Channel::Private),
            mechanisms_before_tls: names(Channel::Open),
            ..ServerConfig::default()
        };
        Self { shared: Arc::new(Shared { store, accounts, config: Arc::new(config) }) }
    }
}

impl<S: Store> Service for Pop3<S> {
    type Engine = ServerSession;
    type Handler = Session<S>;

    fn name(&self) -> &'static str {
        NAME
    }

    fn connect(&self, link: Link) -> (ServerSession, Session<S>) {
        let peer = link.peer.map(|peer| peer.ip());
        let sasl = SaslServer::new(self.shared.accounts.clone(), peer);
        let engine = ServerSession::new(Arc::clone(&self.shared.config), link.into(), Duration::ZERO);
        (engine, Session { shared: Arc::clone(&self.shared), peer, sasl, open: None })
    }
}

/// One client's session.
pub struct Session<S: Store> {
    shared: Arc<Shared<S>>,
    peer: Option<IpAddr>,
    sasl: SaslServer,
    open: Option<Open<MailboxOf<S>>>,
}

type MailboxOf<S> = <<S as Store>::Account as mailstore::Account>::Mailbox;
type Conn = Connection<ServerSession>;

/// The maildrop of a user who is in, and the lease that keeps others out (RFC 1939 §4).
struct Open<M> {
    mailbox: M,
    lease: Lease,
    /// UID and size of each message, in the order of their numbers.
    messages: Vec<(u32, u64)>,
}

impl<S: Store> Handler<ServerSession> for Session<S> {
    async fn event(&mut self, conn: &mut Conn, event: Event) -> Result<Next, Fault> {
        match event {
            Event::Connected => conn.speak(|engine, now, out| engine.accept(now, out))?,
            Event::Login { user, password } => {
                let outcome = self.shared.accounts.login(self.peer, user.as_bytes(), password.expose()).await;
                self.login(conn, outcome).await?;
            }
            Event::Auth { mechanism, initial } => {
                // The engine offers no mechanism that the channel does not allow.
                let initial = initial.as_ref().map(Secret::expose);
                let progress = self.sasl.start(Channel::Private, &mechanism, initial).await;
                self.sasl_progress(conn, progress).await?;
            }
            Event::SaslResponse(response) => {
                let progress = self.sasl.respond(response.expose()).await;
                self.sasl_progress(conn, progress).await?;
            }
            // Not offered: the greeting has no timestamp.
            Event::Apop { .. } => conn.speak(|engine, now, out| engine.decline(now, out)),
            Event::Proxied(client) => self.peer = Some(client.address),
            Event::SaslCancelled => self.sasl.cancel(),
            Event::List => {
                while conn.speak(|engine, now, out| engine.list_more(now, out))? == Progress::More {
                    conn.drain().await?;
                }
            }
            Event::Retrieve { number } | Event::Top { number } => self.send(conn, number).await?,
            Event::Update { deleted } => self.update(conn, &deleted).await?,
            Event::Violation(violation) => {
                metrics::counter!("posthaste_violations_total", "service" => NAME, "violation" => violation.as_str())
                    .increment(1);
            }
        }
        Ok(Next::Go)
    }

    async fn closed(mut self, _why: Close) {
        self.release().await;
    }
}

impl<S: Store> Session<S> {
    async fn sasl_progress(&mut self, conn: &mut Conn, progress: sasl::Progress) -> Result<(), Fault> {
        match progress {
            sasl::Progress::Challenge(challenge) => {
                conn.speak(|engine, now, out| engine.challenge(&challenge, now, out))?;
                Ok(())
            }
            sasl::Progress::Done(account) => self.login(conn, Ok(account)).await,
            sasl::Progress::Failed(why) => self.login(conn, Err(why)).await,
        }
    }

    /// Answers a login: opens the maildrop, or says why not.
    async fn login(&mut self, conn: &mut Conn, outcome: Result<Account, Why>) -> Result<(), Fault> {
        login::told(NAME, self.peer, outcome.as_ref().map_err(|why| *why));
        let opened = match outcome {
            Ok(account) => self.open(&account).await,
            Err(why) => Err(refusal(why)),
        };
        match opened {
            Ok(maildrop) => conn.speak(|engine, now, out| engine.open(maildrop, now, out))?,
            Err(reply) => conn.speak(|engine, now, out| engine.reply(&reply, now, out))?,
        }
        Ok(())
    }

    async fn open(&mut self, account: &Account) -> Result<Arc<Maildrop>, Reply> {
        let store_account = self.shared.store.open(account.address()).await.map_err(|error| unavailable(&error))?;
        let lease = store_account.lease(LeaseKind::Maildrop).await.map_err(|error| match error {
            LeaseError::Taken => Reply::err("another session has the maildrop").with_code(Code::InUse),
            LeaseError::Trouble(error) => unavailable(&error),
        })?;
        let mailbox = store_account.open("INBOX").await.map_err(|error| unavailable(&error))?;
        let snapshot = mailbox.snapshot(Recent::Peek).await.map_err(|error| unavailable(&error))?;
        let messages = snapshot.messages.iter().map(|message| (message.uid, message.size)).collect();
        let listed = snapshot
            .messages
            .iter()
            .map(|message| Message {
                size: message.size,
                ending: Ending::Crlf,
                uidl: message.uidl(snapshot.uidvalidity).into(),
            })
            .collect();
        let maildrop = Maildrop::new(listed).map_err(|error| unavailable(&error))?;
        self.open = Some(Open { mailbox, lease, messages });
        Ok(Arc::new(maildrop))
    }

    /// Sends a message, or as much of it as the engine wants.
    async fn send(&mut self, conn: &mut Conn, number: u32) -> Result<(), Fault> {
        let Some((open, uid, size)) = self.open.as_ref().and_then(|open| {
            let (uid, size) = open.messages.get(usize::try_from(number).ok()?.checked_sub(1)?)?;
            Some((open, *uid, *size))
        }) else {
            conn.speak(|engine, now, out| engine.decline(now, out));
            return Ok(());
        };
        let mut reader = match open.mailbox.read(uid, 0..size).await {
            Ok(reader) => reader,
            Err(error) => {
                let reply = match error {
                    ReadError::Gone => Reply::err("the message is gone"),
                    ReadError::Trouble(error) => unavailable(&error),
                };
                conn.speak(|engine, now, out| engine.reply(&reply, now, out))?;
                return Ok(());
            }
        };
        conn.speak(|engine, now, out| engine.accept(now, out))?;
        while conn.speak(|engine, _, _| engine.wants_body()) {
            let Some(chunk) = reader.next().await? else { break };
            conn.speak(|engine, _, out| engine.body(&chunk, out))?;
            conn.drain().await?;
        }
        conn.speak(|engine, now, out| engine.end_body(now, out))?;
        Ok(())
    }

    /// RFC 1939 §6: removes what was marked, and lets the maildrop go before the client hears of it.
    async fn update(&mut self, conn: &mut Conn, deleted: &[u32]) -> Result<(), Fault> {
        let removed = match &self.open {
            Some(open) if !deleted.is_empty() => {
                let uids =
                    deleted.iter().filter_map(|number| open.messages.get(*number as usize - 1)).map(|(uid, _)| *uid);
                open.mailbox.expunge(Expunge::These(&ranges(uids))).await.map(|_| ())
            }
            Some(_) | None => Ok(()),
        };
        self.release().await;
        match removed {
            Ok(()) => conn.speak(|engine, now, out| engine.accept(now, out))?,
            Err(error) => {
                tracing::error!(service = NAME, %error, "deleted messages were not removed");
                let reply = Reply::err("some deleted messages were not removed").with_code(Code::SysTemp);
                conn.speak(|engine, now, out| engine.reply(&reply, now, out))?;
            }
        }
        Ok(())
    }

    async fn release(&mut self) {
        if let Some(Open { lease, .. }) = self.open.take() {
            lease.release().await;
        }
    }
}

/// Joins ascending UIDs into ranges.
fn ranges(uids: impl Iterator<Item = u32>) -> Vec<RangeInclusive<u32>> {
    let mut ranges: Vec<RangeInclusive<u32>> = Vec::new();
    for uid in uids {
        match ranges.last_mut() {
            Some(last) if last.end().checked_add(1) == Some(uid) => *last = *last.start()..=uid,
            Some(_) | None => ranges.push(uid..=uid),
        }
    }
    ranges
}

/// RFC 3206 §4: [AUTH] only where other credentials could help.
fn refusal(why: Why) -> Reply {
    match why {
        Why::Denied => Reply::err("invalid user name or password").with_code(Code::Auth),
        Why::NotAuthorized => Reply::err("not authorized to act for that user").with_code(Code::Auth),
        Why::Malformed => Reply::err("malformed credentials").with_code(Code::Auth),
        Why::Unsupported => Reply::err("mechanism not supported"),
        Why::NeedsTls => Reply::err("use STLS first"),
        Why::Throttled { .. } => Reply::err("too many failed attempts, try again later").with_code(Code::SysTemp),
        Why::Unavailable => Reply::err("logins are not possible now, try again later").with_code(Code::SysTemp),
    }
}

fn unavailable(error: &dyn std::error::Error) -> Reply {
    tracing::error!(service = NAME, %error, "maildrop unavailable");
    Reply::err("the maildrop is not available now, try again later").with_code(Code::SysTemp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_joined() {
        assert_eq!(ranges([1, 2, 3, 7, u32::MAX].into_iter()), [1..=3, 7..=7, u32::MAX..=u32::MAX]);
    }
}
