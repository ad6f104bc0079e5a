//! Mail for the queue: from the world to our users, and from our users to anybody.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mailqueue::{CommitError, Incoming, Queue, Recipient, Spool};
use smtp_proto::{Enhanced, Event, ForwardPath, Mail, ParseError, Rcpt, Reply, ReplyCode, ReversePath, ServerSession};
use tokio::task::spawn_blocking;

use super::SmtpOptions;
use super::authenticate::Claims;
use super::dialogue::{Conn, Dialogue, refuse};
use super::fields::Fields;
use super::forwarding::{Forwarded, Forwarding};
use super::options::Configs;
use crate::convert::{self, Accepted};
use crate::directory::{Account, Accounts};
use crate::engine::{Close, Link};
use crate::net::{Fault, Handler, Next, Service};
use crate::routes::{Hop, Routing, Sender};
use crate::sign::{Signer, Signing};
use crate::trace;

/// The service `smtp`: takes mail from anybody for the mailboxes that the routes know. Offers no login, and relays for nobody
/// but a user whom a trusted proxy has logged in.
#[derive(Debug)]
pub struct Mx<S: Spool>(Arc<Shared<S>>);

/// The service `submission`: takes mail from users who have logged in, for anybody (RFC 6409).
#[derive(Debug)]
pub struct Submission<S: Spool>(Arc<Shared<S>>);

#[derive(Debug)]
struct Shared<S: Spool> {
    name: &'static str,
    host: String,
    queue: Queue<S>,
    routing: Arc<Routing>,
    accounts: Accounts,
    configs: Configs,
    signer: Arc<Signer>,
    forwarding: Option<Arc<Forwarding>>,
}

impl<S: Spool> Shared<S> {
    fn new(
        name: &'static str,
        queue: Queue<S>,
        routing: Arc<Routing>,
        accounts: Accounts,
        options: &SmtpOptions,
        configs: Configs,
    ) -> Arc<Self> {
        let (host, signer) = (options.host.clone(), Arc::clone(&options.signer));
        let forwarding = options.forwarding.clone();
        Arc::new(Self { name, host, queue, routing, accounts, configs, signer, forwarding })
    }

    fn connect(self: &Arc<Self>, link: Link) -> (ServerSession, ReceiveSession<S>) {
        let dialogue = Dialogue::new(self.name, self.accounts.clone(), self.configs.pause(), &link);
        let engine = ServerSession::new(self.configs.of(&link), link.into(), Duration::ZERO);
        (engine, ReceiveSession { shared: Arc::clone(self), dialogue, transaction: None })
    }
}

impl<S: Spool> Mx<S> {
    /// Makes the service. One serves any number of listeners.
    ///
    /// # Errors
    /// The host's name is no domain.
    pub fn new(
        queue: Queue<S>,
        routing: Arc<Routing>,
        accounts: Accounts,
        options: &SmtpOptions,
    ) -> Result<Self, ParseError> {
        Ok(Self(Shared::new("smtp", queue, routing, accounts, options, options.mx()?)))
    }
}

impl<S: Spool> Submission<S> {
    /// Makes the service. One serves any number of listeners.
    ///
    /// # Errors
    /// The host's name is no domain.
    pub fn new(
        queue: Queue<S>,
        routing: Arc<Routing>,
        accounts: Accounts,
        options: &SmtpOptions,
    ) -> Result<Self, ParseError> {
        Ok(Self(Shared::new("submission", queue, routing, accounts, options, options.submission()?)))
    }
}

impl<S: Spool> Service for Mx<S> {
    type Engine = ServerSession;
    type Handler = ReceiveSession<S>;

    fn name(&self) -> &'static str {
        self.0.name
    }

    fn connect(&self, link: Link) -> (ServerSession, ReceiveSession<S>) {
        self.0.connect(link)
    }
}

impl<S: Spool> Service for Submission<S> {
    type Engine = ServerSession;
    type Handler = ReceiveSession<S>;

    fn name(&self) -> &'static str {
        self.0.name
    }

    fn connect(&self, link: Link) -> (ServerSession, ReceiveSession<S>) {
        self.0.connect(link)
    }
}

/// One client's session.
pub struct ReceiveSession<S: Spool> {
    shared: Arc<Shared<S>>,
    dialogue: Dialogue,
    transaction: Option<Transaction<S>>,
}

struct Transaction<S: Spool> {
    mail: Mail,
    recipients: Vec<Recipient>,
    /// The domain through which a stranger's message leaves for others: that of the first such recipient.
    forwarder: Option<String>,
    message: Message<S>,
}

/// The message of a transaction on its way into the queue.
enum Message<S: Spool> {
    /// DATA has not come.
    Awaited,
    /// It comes in.
    Arriving(Box<Arriving<S>>),
    /// It cannot be taken; the rest of it is passed over.
    Refused(CommitError),
}

struct Arriving<S: Spool> {
    incoming: Incoming<S>,
    /// The header of this hop.
    received: String,
    fields: Fields,
    /// For a user's message from a domain that has a key.
    signing: Option<Signing>,
    /// For a stranger's message that goes on to others, where there is a key.
    forwarded: Option<Forwarded>,
}

impl<S: Spool> Handler<ServerSession> for ReceiveSession<S> {
    async fn event(&mut self, conn: &mut Conn, event: Event) -> Result<Next, Fault> {
        let Some(event) = self.dialogue.event(conn, event).await? else { return Ok(Next::Go) };
        match event {
            Event::Mail(mail) => self.mail(conn, mail).await?,
            Event::Rcpt(rcpt) => self.rcpt(conn, &rcpt)?,
            Event::Data => self.data(conn).await?,
            Event::Chunk(chunk) => self.chunk(conn, &chunk).await?,
            Event::End(_) => self.end(conn).await?,
            Event::Aborted => self.transaction = None,
            Event::Connected
            | Event::Hello(_)
            | Event::Auth { .. }
            | Event::SaslResponse(_)
            | Event::SaslCancelled
            | Event::Vrfy(_)
            | Event::Expn(_)
            | Event::Etrn(_)
            | Event::Xclient(_)
            | Event::Xforward(_)
            | Event::Violation(_) => {}
        }
        Ok(Next::Go)
    }

    async fn closed(self, _why: Close) {}
}

impl<S: Spool> ReceiveSession<S> {
    async fn mail(&mut self, conn: &mut Conn, mail: Mail) -> Result<(), Fault> {
        if let Some(user) = self.dialogue.user()
            && !self.may_send_as(user, &mail.from)
        {
            let text = "the sender address is not yours";
            return refuse(conn, &Reply::new(ReplyCode::NAME_NOT_ALLOWED, Enhanced::new(7, 1), text));
        }
        if let Some(size) = mail.parameters.size
            && !has_room_for(&self.shared.queue, size).await
        {
            let text = "there is no room for such a message now";
            return refuse(conn, &Reply::new(ReplyCode::INSUFFICIENT_STORAGE, Enhanced::new(3, 1), text));
        }
        self.transaction =
            Some(Transaction { mail, recipients: Vec::new(), forwarder: None, message: Message::Awaited });
        conn.speak(|engine, now, out| engine.accept(now, out))?;
        Ok(())
    }

    /// A user sends as himself, as an alias that leads to him, or as nobody (RFC 6409 §6.1).
    fn may_send_as(&self, user: &Account, from: &ReversePath) -> bool {
        let Some(mailbox) = from.mailbox() else { return true };
        let Ok(hops) = self.shared.routing.admit(mailbox.as_str(), Sender::Stranger) else { return false };
        hops.iter().any(|hop| match hop {
            Hop::Mailbox { mailbox, .. } => mailbox == user.address(),
            Hop::Relay { .. } | Hop::Outward { .. } => false,
        })
    }

    /// On whose word the message comes.
    fn sender(&self) -> Sender {
        if self.dialogue.user().is_some() { Sender::User } else { Sender::Stranger }
    }

    fn rcpt(&mut self, conn: &mut Conn, rcpt: &Rcpt) -> Result<(), Fault> {
        let sender = self.sender();
        let Some(transaction) = &mut self.transaction else {
            conn.speak(|engine, now, out| engine.decline(now, out));
            return Ok(());
        };
        if transaction.recipients.len() >= RECIPIENTS {
            let text = "too many recipients, their aliases followed";
            return refuse(conn, &Reply::new(ReplyCode::INSUFFICIENT_STORAGE, Enhanced::new(5, 3), text));
        }
        let address = match &rcpt.to {
            ForwardPath::Postmaster => "postmaster",
            ForwardPath::Mailbox(mailbox) => mailbox.as_str(),
        };
        match self.shared.routing.admit(address, sender) {
            Ok(hops) => {
                if sender == Sender::Stranger && transaction.forwarder.is_none() && hops.iter().any(Hop::leads_away) {
                    let domain = rcpt.to.mailbox().map(|mailbox| mailbox.domain().as_str().to_owned());
                    transaction.forwarder = Some(domain.unwrap_or_else(|| self.shared.host.clone()));
                }
                for recipient in hops.into_iter().map(|hop| convert::recipient(hop, rcpt)) {
                    // Whoever is named twice gets the message once.
                    let known =
                        |one: &Recipient| one.address == recipient.address && one.destination == recipient.destination;
                    if !transaction.recipients.iter().any(known) {
                        transaction.recipients.push(recipient);
                    }
                }
                conn.speak(|engine, now, out| engine.accept(now, out))?;
                Ok(())
            }
            Err(refusal) => refuse(conn, &convert::recipient_refusal(refusal)),
        }
    }

    async fn data(&mut self, conn: &mut Conn) -> Result<(), Fault> {
        let Some(transaction) = &mut self.transaction else {
            conn.speak(|engine, now, out| engine.decline(now, out));
            return Ok(());
        };
        let recipients = std::mem::take(&mut transaction.recipients);
        let for_one = match recipients.as_slice() {
            [one] => Some(one.address.clone()),
            _ => None,
        };
        let mail = &transaction.mail;
        let envelope = convert::envelope(mail, recipients, self.dialogue.source());
        let incoming = match self.shared.queue.begin(envelope).await {
            Ok(incoming) => incoming,
            Err(error) => return refuse(conn, &convert::commit_refusal(&error)),
        };
        let (id, utf8) = (incoming.id().to_string(), mail.parameters.smtp_utf8);
        let received = self.dialogue.received(conn.link(), &self.shared.host, &id, utf8, for_one.as_deref());
        // What strangers send is theirs to sign.
        let signing = self.dialogue.user().and_then(|user| {
            let domain = mail.from.mailbox().map(|mailbox| mailbox.domain().to_string());
            self.shared.signer.begin(domain.as_deref().unwrap_or(user.domain()), SystemTime::now())
        });
        let forwarding = self.shared.forwarding.as_ref().zip(transaction.forwarder.as_deref());
        let forwarded = forwarding.and_then(|(forwarding, domain)| {
            let (client, from) = (self.dialogue.client(), mail.from.mailbox().cloned());
            let claims = Claims { client: client.address(), hello: client.hello().map(str::to_owned), from };
            forwarding.begin(domain, &self.shared.host, claims)
        });
        let fields = Fields::new();
        transaction.message = Message::Arriving(Box::new(Arriving { incoming, received, fields, signing, forwarded }));
        conn.speak(|engine, now, out| engine.accept(now, out))?;
        Ok(())
    }

    async fn chunk(&mut self, conn: &mut Conn, chunk: &[u8]) -> Result<(), Fault> {
        let Some(Transaction { message, .. }) = &mut self.transaction else { return Ok(()) };
        let Message::Arriving(arriving) = message else { return Ok(()) };
        arriving.fields.look(chunk);
        if let Some(signing) = &mut arriving.signing {
            signing.write(chunk);
        }
        if let Some(forwarded) = &mut arriving.forwarded {
            forwarded.write(chunk);
        }
        if let Err(error) = arriving.incoming.write(chunk).await {
            *message = Message::Refused(error);
            conn.speak(|engine, _, _| engine.discard_body())?;
        }
        Ok(())
    }

    async fn end(&mut self, conn: &mut Conn) -> Result<(), Fault> {
        let Some(Transaction { message, .. }) = self.transaction.take() else {
            conn.speak(|engine, now, out| engine.decline(now, out));
            return Ok(());
        };
        let incoming = match message {
            Message::Arriving(arriving) if arriving.fields.is_loop() => {
                let text = "too many hops, the message is in a loop";
                return refuse(conn, &Reply::new(ReplyCode::FAILED, Enhanced::new(4, 6), text));
            }
            Message::Arriving(arriving) => topped(*arriving, self.sender(), Arc::clone(&self.shared)).await?,
            Message::Refused(error) => return refuse(conn, &convert::commit_refusal(&error)),
            Message::Awaited => {
                conn.speak(|engine, now, out| engine.decline(now, out));
                return Ok(());
            }
        };
        // In a task of its own: a commit that has begun runs to its end even when the peer, or the server, goes away.
        let committed = tokio::spawn(incoming.commit()).await?;
        let reply = match committed {
            Ok(custody) => {
                self.dialogue.accepted(custody.id());
                Accepted::from(custody).reply()
            }
            Err(error) => {
                tracing::error!(service = self.shared.name, %error, "message not accepted");
                convert::commit_refusal(&error)
            }
        };
        refuse(conn, &reply)
    }
}

/// Behind so many, another recipient waits for the next transaction (RFC 5321 §4.5.3.1.10). An alias may bring
/// [`router::MAX_TARGETS`] beyond it: more is neither held nor compared. As many as the engine lets a client name.
const RECIPIENTS: usize = 1000;

/// Puts on top of a message what belongs there: where it came from, and for a user's what every message has
/// (RFC 6409 §8.1, §8.2), and a signature; on a stranger's that goes on to others, a seal.
async fn topped<S: Spool>(arriving: Arriving<S>, sender: Sender, shared: Arc<Shared<S>>) -> Result<Incoming<S>, Fault> {
    let Arriving { mut incoming, received, fields, signing, forwarded } = arriving;
    let id = incoming.id();
    let mut top = String::new();
    if sender == Sender::User {
        if !fields.date {
            top.push_str(&trace::date_field(jiff::Timestamp::now()));
        }
        if !fields.message_id {
            top.push_str(&trace::message_id_field(&id.to_string(), &shared.host));
        }
    }
    if fields.tls_optional {
        convert::prefers_delivery(incoming.envelope_mut());
    }
    incoming.prepend(top.as_bytes());
    if let Some(signing) = signing {
        // A signature takes a millisecond, for which others would wait here.
        match spawn_blocking(move || signing.finish(top.as_bytes())).await? {
            Ok(signatures) => incoming.prepend(&signatures),
            Err(error) => tracing::warn!(%id, %error, "message not signed"),
        }
    }
    if let Some(forwarded) = forwarded {
        match forwarded.seal().await {
            Ok(set) => incoming.prepend(&set),
            Err(why) => tracing::info!(%id, %why, "message forwarded without a seal"),
        }
    }
    incoming.prepend(received.as_bytes());
    Ok(incoming)
}

/// RFC 1870 §6.1: said before the message is sent. Where the disk does not say what room it has, the writes will.
async fn has_room_for<S: Spool>(queue: &Queue<S>, size: u64) -> bool {
    queue.space().await.map_or(true, |space| size <= space.free)
}
