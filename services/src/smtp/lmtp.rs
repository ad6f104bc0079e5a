//! Mail for mailboxes here, with a verdict for each recipient (RFC 2033).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mailstore::error::AppendError;
use mailstore::{Account as _, Mailbox as _, NewMessage, Store, Writer as _};
use smtp_proto::{
    Enhanced, Event, ForwardPath, Mail, ParseError, Rcpt, RcptParameters, Reply, ReplyCode, ServerSession, Xtext,
};

use super::SmtpOptions;
use super::dialogue::{Conn, Dialogue, refuse};
use super::options::Configs;
use crate::convert::{self, Accepted};
use crate::directory::Accounts;
use crate::engine::{Close, Link};
use crate::net::{Fault, Handler, Next, Service};
use crate::routes::{Hop, Routing, Sender};
use crate::trace;

/// The operator's word for this service.
const NAME: &str = "lmtp";

/// The service `lmtp`: takes mail for the mailboxes of a store from a mail server that is trusted to have judged it.
#[derive(Debug)]
pub struct Lmtp<S>(Arc<Shared<S>>);

#[derive(Debug)]
struct Shared<S> {
    host: String,
    store: Arc<S>,
    routing: Arc<Routing>,
    accounts: Accounts,
    configs: Configs,
}

impl<S: Store> Lmtp<S> {
    /// Makes the service. One serves any number of listeners.
    ///
    /// # Errors
    /// The host's name is no domain.
    pub fn new(
        store: Arc<S>,
        routing: Arc<Routing>,
        accounts: Accounts,
        options: &SmtpOptions,
    ) -> Result<Self, ParseError> {
        let configs = options.lmtp()?;
        Ok(Self(Arc::new(Shared { host: options.host.clone(), store, routing, accounts, configs })))
    }
}

impl<S: Store> Service for Lmtp<S> {
    type Engine = ServerSession;
    type Handler = LmtpSession<S>;

    fn name(&self) -> &'static str {
        NAME
    }

    fn connect(&self, link: Link) -> (ServerSession, LmtpSession<S>) {
        let dialogue = Dialogue::new(NAME, self.0.accounts.clone(), self.0.configs.pause(), &link);
        let engine = ServerSession::new(self.0.configs.of(&link), link.into(), Duration::ZERO);
        (engine, LmtpSession { shared: Arc::clone(&self.0), dialogue, transaction: None })
    }
}

/// One client's session.
pub struct LmtpSession<S: Store> {
    shared: Arc<Shared<S>>,
    dialogue: Dialogue,
    transaction: Option<Transaction<WriterOf<S>>>,
}

type WriterOf<S> = <<<S as Store>::Account as mailstore::Account>::Mailbox as mailstore::Mailbox>::Writer;

struct Transaction<W> {
    mail: Mail,
    recipients: Vec<Delivery<W>>,
}

/// One accepted recipient, and how far the message has come into his mailbox.
struct Delivery<W> {
    mailbox: String,
    /// What the queue that sends it calls the delivery. Who hands it over again, unsure whether it was taken, does no harm.
    id: Option<String>,
    writer: Option<Result<W, AppendError>>,
}

impl<S: Store> Handler<ServerSession> for LmtpSession<S> {
    async fn event(&mut self, conn: &mut Conn, event: Event) -> Result<Next, Fault> {
        let Some(event) = self.dialogue.event(conn, event).await? else { return Ok(Next::Go) };
        match event {
            Event::Mail(mail) => {
                self.transaction = Some(Transaction { mail, recipients: Vec::new() });
                conn.speak(|engine, now, out| engine.accept(now, out))?;
            }
            Event::Rcpt(rcpt) => self.rcpt(conn, &rcpt)?,
            Event::Data => self.data(conn).await?,
            Event::Chunk(chunk) => self.chunk(&chunk).await,
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

impl<S: Store> LmtpSession<S> {
    fn rcpt(&mut self, conn: &mut Conn, rcpt: &Rcpt) -> Result<(), Fault> {
        let Some(transaction) = &mut self.transaction else {
            conn.speak(|engine, now, out| engine.decline(now, out));
            return Ok(());
        };
        let address = match &rcpt.to {
            ForwardPath::Postmaster => "postmaster",
            ForwardPath::Mailbox(mailbox) => mailbox.as_str(),
        };
        let hops = match self.shared.routing.admit(address, Sender::Stranger) {
            Ok(hops) => hops,
            Err(refusal) => return refuse(conn, &convert::recipient_refusal(refusal)),
        };
        // One recipient, one verdict: an address that stands for several, or for somebody elsewhere, is the queue's business.
        let Ok([Hop::Mailbox { mailbox, epoch, .. }]) = <[Hop; 1]>::try_from(hops) else {
            let text = "not a mailbox of this store";
            return refuse(conn, &Reply::new(ReplyCode::MAILBOX_UNAVAILABLE, Enhanced::new(1, 1), text));
        };
        if is_stale(&rcpt.parameters, epoch) {
            let text = "the mailbox has moved since it was looked up";
            return refuse(conn, &Reply::new(ReplyCode::LOCAL_ERROR, Enhanced::new(4, 0), text));
        }
        let id = rcpt.parameters.delivery.as_ref().map(delivery_id);
        transaction.recipients.push(Delivery { mailbox, id, writer: None });
        conn.speak(|engine, now, out| engine.accept(now, out))?;
        Ok(())
    }

    async fn data(&mut self, conn: &mut Conn) -> Result<(), Fault> {
        let Some(Transaction { mail, recipients }) = &mut self.transaction else {
            conn.speak(|engine, now, out| engine.decline(now, out));
            return Ok(());
        };
        let mut id = [0; 8];
        getrandom::fill(&mut id).map_err(std::io::Error::from)?;
        let id = format!("{:016x}", u64::from_be_bytes(id));
        let top = trace::return_path(&convert::sender(&mail.from));
        let utf8 = mail.parameters.smtp_utf8;
        for delivery in recipients.iter_mut() {
            let for_one = Some(delivery.mailbox.as_str());
            let received = self.dialogue.received(conn.link(), &self.shared.host, &id, utf8, for_one);
            let header = Bytes::from(format!("{top}{received}"));
            // Ours is the same for all: whoever is named twice gets the message once.
            let delivery_id = Some(delivery.id.take().unwrap_or_else(|| id.clone()));
            let new = NewMessage { delivery_id, size_hint: mail.parameters.size, ..NewMessage::default() };
            delivery.writer = Some(begin(&*self.shared.store, &delivery.mailbox, new, header).await);
        }
        conn.speak(|engine, now, out| engine.accept(now, out))?;
        Ok(())
    }

    async fn chunk(&mut self, chunk: &Bytes) {
        let Some(Transaction { recipients, .. }) = &mut self.transaction else { return };
        for delivery in recipients {
            let Some(Ok(writer)) = &mut delivery.writer else { continue };
            if let Err(error) = writer.write(chunk.clone()).await {
                delivery.writer = Some(Err(error));
            }
        }
    }

    async fn end(&mut self, conn: &mut Conn) -> Result<(), Fault> {
        let Some(Transaction { recipients, .. }) = self.transaction.take() else {
            conn.speak(|engine, now, out| engine.decline(now, out));
            return Ok(());
        };
        // All begin at once, so that they share what can be shared; the replies keep the order of RCPT (RFC 2033 §4.2).
        let deliveries: Vec<_> = recipients
            .into_iter()
            .map(|delivery| {
                tokio::spawn(async move {
                    match delivery.writer {
                        Some(Ok(writer)) => writer.deliver().await,
                        Some(Err(error)) => Err(error),
                        None => Err(AppendError::Trouble(mailstore::error::Trouble::Unavailable)),
                    }
                })
            })
            .collect();
        for delivery in deliveries {
            let reply = match delivery.await? {
                Ok(custody) => {
                    self.dialogue.accepted(custody.guid());
                    Accepted::from(custody).reply()
                }
                Err(error) => {
                    tracing::error!(service = NAME, %error, "message not delivered");
                    convert::append_refusal(&error)
                }
            };
            conn.speak(|engine, now, out| engine.reply_next(&reply, now, out))?;
        }
        Ok(())
    }
}

/// Whether whoever sends has looked a mailbox up before it came here. A store keeps the fence of each move: see
/// [`router::Home`].
fn is_stale(parameters: &RcptParameters, epoch: u64) -> bool {
    parameters.epoch.is_some_and(|told| told < epoch)
}

/// What cannot be the name of a delivery, the store refuses.
fn delivery_id(told: &Xtext) -> String {
    String::from_utf8_lossy(&told.decode()).into_owned()
}

/// Opens a message in somebody's INBOX and writes its first lines.
async fn begin<S: Store>(store: &S, mailbox: &str, new: NewMessage, header: Bytes) -> Result<WriterOf<S>, AppendError> {
    let unavailable = |error: &dyn std::error::Error| {
        tracing::error!(service = NAME, %error, "mailbox unavailable");
        AppendError::Trouble(mailstore::error::Trouble::Unavailable)
    };
    let account = store.open(mailbox).await.map_err(|error| unavailable(&error))?;
    let inbox = account.open("INBOX").await.map_err(|error| unavailable(&error))?;
    let mut writer = inbox.append(new).await?;
    writer.write(header).await?;
    Ok(writer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_older_than_our_own_is_stale_and_none_other() {
        let told = |epoch| RcptParameters { epoch, ..RcptParameters::default() };
        assert!(is_stale(&told(Some(0)), 1) && is_stale(&told(Some(6)), 7));
        assert!(!is_stale(&told(Some(7)), 7) && !is_stale(&told(Some(8)), 7) && !is_stale(&told(None), 7));
    }
}
