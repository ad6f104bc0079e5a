//! What all three servers do alike: greetings, logins, counts.

use std::fmt;
use std::time::Duration;

use smtp_proto::{Attribute, Event, Hello, Reply, Secret, ServerSession, Xclient, Xforward};

use super::client::{Client, Origin};
use crate::convert;
use crate::directory::{Account, Accounts, Why};
use crate::engine::Link;
use crate::login;
use crate::net::{Connection, Fault};
use crate::sasl::{Channel, Progress, SaslServer};
use crate::trace::{self, Received};

pub(super) type Conn = Connection<ServerSession>;

/// One client, as far as it has presented itself.
pub(super) struct Dialogue {
    service: &'static str,
    accounts: Accounts,
    /// How long the client is given to speak before it is greeted.
    pause: Duration,
    channel: Channel,
    client: Client,
    sasl: SaslServer,
    user: Option<Account>,
    /// Where the next message was before.
    announced: Option<Origin>,
    /// Where the message of this transaction was before.
    origin: Option<Origin>,
}

impl Dialogue {
    pub(super) fn new(service: &'static str, accounts: Accounts, pause: Duration, link: &Link) -> Self {
        let client = Client::new(link);
        let sasl = SaslServer::new(accounts.clone(), client.address());
        let channel = channel(link);
        Self { service, accounts, pause, channel, client, sasl, user: None, announced: None, origin: None }
    }

    /// Who has logged in.
    pub(super) const fn user(&self) -> Option<&Account> {
        self.user.as_ref()
    }

    /// The client, as it has presented itself.
    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    /// Who hands mail in: a user, or else an address.
    pub(super) fn source(&self) -> String {
        match &self.user {
            Some(user) => user.address().to_owned(),
            None => self.client.whence().named(None).to_string(),
        }
    }

    /// Answers what is no part of a transaction; gives back what is.
    pub(super) async fn event(&mut self, conn: &mut Conn, event: Event) -> Result<Option<Event>, Fault> {
        match event {
            Event::Connected => {
                conn.listen(self.pause).await?;
                conn.speak(|engine, now, out| engine.accept(now, out))?;
            }
            Event::Hello(hello) => self.hello(conn, hello)?,
            Event::Auth { mechanism, initial } => {
                // The engine offers no mechanism that the channel does not allow.
                let initial = initial.as_ref().map(Secret::expose);
                let progress = self.sasl.start(Channel::Private, &mechanism, initial).await;
                self.sasl_progress(conn, progress)?;
            }
            Event::SaslResponse(response) => {
                let progress = self.sasl.respond(response.expose()).await;
                self.sasl_progress(conn, progress)?;
            }
            Event::SaslCancelled => self.sasl.cancel(),
            Event::Xclient(client) => self.xclient(conn, &client).await?,
            Event::Xforward(source) => self.xforward(conn, &source)?,
            Event::Violation(violation) => {
                let violation = violation.as_str();
                metrics::counter!("posthaste_violations_total", "service" => self.service, "violation" => violation)
                    .increment(1);
            }
            Event::Vrfy(_) | Event::Expn(_) | Event::Etrn(_) => {
                conn.speak(|engine, now, out| engine.decline(now, out));
            }
            Event::Mail(_) => {
                self.origin = self.announced.take();
                return Ok(Some(event));
            }
            Event::Rcpt(_) | Event::Data | Event::Chunk(_) | Event::End(_) | Event::Aborted => return Ok(Some(event)),
        }
        Ok(None)
    }

    /// The header that tells this hop.
    pub(super) fn received(&self, link: &Link, host: &str, id: &str, utf8: bool, for_one: Option<&str>) -> String {
        let origin = self.origin.as_ref().map(ToString::to_string);
        Received {
            hello: self.client.hello(),
            whence: self.client.whence(),
            name: self.client.name(),
            origin: origin.as_deref(),
            tls: link.tls.as_ref(),
            host,
            with: trace::with(self.client.spoken(), utf8, link.tls.is_some(), self.user.is_some()),
            id,
            for_one,
            at: jiff::Timestamp::now(),
        }
        .to_string()
    }

    /// Tells operators that a message was accepted, and where it comes from.
    pub(super) fn accepted(&self, id: impl fmt::Display) {
        let (client, origin) = (self.client.whence().named(self.client.name()), self.origin.as_ref());
        tracing::info!(service = self.service, %id, %client, origin = origin.map(tracing::field::display), "accepted");
        metrics::counter!("posthaste_messages_accepted_total", "service" => self.service).increment(1);
    }

    fn hello(&mut self, conn: &mut Conn, hello: Hello) -> Result<(), Fault> {
        // RFC 3207 §4.2: what was said before TLS may have been said by anybody.
        if self.channel != channel(conn.link()) {
            *self = Self::new(self.service, self.accounts.clone(), self.pause, conn.link());
        }
        self.client.greets(hello);
        conn.speak(|engine, now, out| engine.accept(now, out))?;
        Ok(())
    }

    /// A proxy speaks for this client from now on.
    async fn xclient(&mut self, conn: &mut Conn, said: &Xclient) -> Result<(), Fault> {
        self.client.proxied(said);
        self.sasl = SaslServer::new(self.accounts.clone(), self.client.address());
        (self.user, self.announced) = (None, None);
        if let Some(Attribute::Known(login)) = &said.login {
            let found = self.accounts.vouched_for(&login.decode()).await;
            login::told(self.service, self.client.address(), found.as_ref().map_err(|why| *why));
            match found {
                Ok(account) => self.user = Some(account),
                Err(why) => return refuse(conn, &convert::login_refusal(why)),
            }
        }
        conn.speak(|engine, now, out| engine.accept(now, out))?;
        Ok(())
    }

    fn xforward(&mut self, conn: &mut Conn, said: &Xforward) -> Result<(), Fault> {
        self.announced.get_or_insert_default().told(said);
        conn.speak(|engine, now, out| engine.accept(now, out))?;
        Ok(())
    }

    fn sasl_progress(&mut self, conn: &mut Conn, progress: Progress) -> Result<(), Fault> {
        let outcome = match progress {
            Progress::Challenge(challenge) => {
                conn.speak(|engine, now, out| engine.challenge(&challenge, now, out))?;
                return Ok(());
            }
            Progress::Done(account) => Ok(account),
            Progress::Failed(why) => Err(why),
        };
        login::told(self.service, self.client.address(), outcome.as_ref().map_err(|why: &Why| *why));
        match outcome {
            Ok(account) => {
                self.user = Some(account);
                conn.speak(|engine, now, out| engine.authenticated(now, out))?;
            }
            Err(why) => refuse(conn, &convert::login_refusal(why))?,
        }
        Ok(())
    }
}

/// Who could have said what the client said.
const fn channel(link: &Link) -> Channel {
    if link.tls.is_some() { Channel::Private } else { Channel::Open }
}

pub(super) fn refuse(conn: &mut Conn, reply: &Reply) -> Result<(), Fault> {
    conn.speak(|engine, now, out| engine.reply(reply, now, out))?;
    Ok(())
}
