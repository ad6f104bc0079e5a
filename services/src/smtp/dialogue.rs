//! What all three servers do alike: greetings, logins, counts.

use std::net::IpAddr;

use smtp_proto::{Event, Hello, HelloVerb, Reply, Secret, ServerSession};

use crate::convert;
use crate::directory::{Account, Accounts, Why};
use crate::engine::Link;
use crate::login;
use crate::net::{Connection, Fault};
use crate::sasl::{Channel, Progress, SaslServer};
use crate::trace::{self, Received, Spoken};

pub(super) type Conn = Connection<ServerSession>;

/// One client, as far as it has presented itself.
pub(super) struct Dialogue {
    service: &'static str,
    peer: Option<IpAddr>,
    sasl: SaslServer,
    hello: Option<Hello>,
    user: Option<Account>,
}

impl Dialogue {
    pub(super) fn new(service: &'static str, accounts: Accounts, link: &Link) -> Self {
        let peer = link.peer.map(|peer| peer.ip());
        Self { service, peer, sasl: SaslServer::new(accounts, peer), hello: None, user: None }
    }

    /// Who has logged in.
    pub(super) const fn user(&self) -> Option<&Account> {
        self.user.as_ref()
    }

    /// Answers what is no part of a transaction; gives back what is.
    pub(super) async fn event(&mut self, conn: &mut Conn, event: Event) -> Result<Option<Event>, Fault> {
        match event {
            Event::Connected => conn.speak(|engine, now, out| engine.accept(now, out))?,
            Event::Hello(hello) => {
                self.hello = Some(hello);
                conn.speak(|engine, now, out| engine.accept(now, out))?;
            }
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
            Event::Violation(violation) => {
                let violation = violation.as_str();
                metrics::counter!("posthaste_violations_total", "service" => self.service, "violation" => violation)
                    .increment(1);
            }
            Event::Vrfy(_) | Event::Expn(_) | Event::Etrn(_) | Event::Xclient(_) | Event::Xforward(_) => {
                conn.speak(|engine, now, out| engine.decline(now, out));
            }
            Event::Mail(_) | Event::Rcpt(_) | Event::Data | Event::Chunk(_) | Event::End(_) | Event::Aborted => {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// The header that tells this hop.
    pub(super) fn received(&self, link: &Link, host: &str, id: &str, utf8: bool, for_one: Option<&str>) -> String {
        let spoken = match self.hello.as_ref().map(|hello| hello.verb) {
            Some(HelloVerb::Ehlo) => Spoken::Esmtp,
            Some(HelloVerb::Lhlo) => Spoken::Lmtp,
            Some(HelloVerb::Helo) | None => Spoken::Smtp,
        };
        Received {
            hello: self.hello.as_ref().map(|hello| hello.name.as_str()),
            link,
            host,
            with: trace::with(spoken, utf8, link.tls.is_some(), self.user.is_some()),
            id,
            for_one,
            at: jiff::Timestamp::now(),
        }
        .to_string()
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
        login::told(self.service, self.peer, outcome.as_ref().map_err(|why: &Why| *why));
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

pub(super) fn refuse(conn: &mut Conn, reply: &Reply) -> Result<(), Fault> {
    conn.speak(|engine, now, out| engine.reply(reply, now, out))?;
    Ok(())
}
