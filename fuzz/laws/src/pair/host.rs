//! The server's application.

use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::BytesMut;
use pop3_proto::{
    Ending, Event, Limits, Login, Maildrop, Message, Misuse, PlaintextLogin, Progress, Reply, ServerConfig,
    ServerSession, Stls, Timestamp, Utf8,
};

use super::{RESPONSE, is_ended, message};
use crate::wire::shown;
use crate::{Broken, Draw, ensure};

/// Refuses or agrees as drawn, and knows who its visitor has to be.
pub(super) struct Host {
    texts: Vec<Vec<u8>>,
    login: Login,
    /// What was to be deleted at QUIT, and whether it then was.
    pub(super) asked: Option<BTreeSet<u32>>,
    pub(super) agreed: bool,
}

impl Host {
    pub(super) const fn new(texts: Vec<Vec<u8>>, login: Login) -> Self {
        Self { texts, login, asked: None, agreed: false }
    }

    pub(super) fn hear(
        &mut self,
        session: &mut ServerSession,
        event: Event,
        draw: &mut Draw<'_>,
        now: Duration,
        out: &mut BytesMut,
    ) -> Result<(), Broken> {
        let refuses = event.is_question() && draw.octet() >= 225;
        let answered = match event {
            Event::Violation(violation) => {
                return Err(Broken::new(format!("offends its own kin by {}", violation.as_str())));
            }
            Event::SaslCancelled | Event::Proxied(_) => Ok(()),
            // What cannot be done leaves no trace: nothing was deleted.
            Event::Update { .. } if refuses => {
                session.abort();
                Ok(())
            }
            Event::Connected
            | Event::Login { .. }
            | Event::Apop { .. }
            | Event::Auth { .. }
            | Event::SaslResponse(_)
            | Event::List
            | Event::Retrieve { .. }
            | Event::Top { .. }
                if refuses =>
            {
                session.reply(&Reply::err("no"), now, out)
            }
            Event::Connected => match Timestamp::parse("<1896.697170952@dbc.mtview.ca.us>") {
                Ok(timestamp) => session.greet(timestamp, now, out),
                Err(_) => session.accept(now, out),
            },
            Event::Login { user, password } => {
                let expected = Login::Password { user, password };
                ensure!(self.login == expected, "logs in by another name or password");
                session.open(self.maildrop(), now, out)
            }
            Event::Apop { user, proof } => {
                let Login::Apop { user: name, password } = &self.login else {
                    return Err(Broken::new("logs in by APOP"));
                };
                ensure!(user == *name && proof.matches(password.expose()), "does not prove its password");
                session.open(self.maildrop(), now, out)
            }
            Event::Auth { initial: None, .. } => session.challenge(b"", now, out),
            Event::Auth { initial: Some(said), .. } | Event::SaslResponse(said) => {
                ensure!(self.is_response(said.expose()), "responds with {}", shown(said.expose()));
                if matches!(self.login, Login::Sasl { .. }) && draw.octet() >= 200 {
                    session.challenge(b"more", now, out)
                } else {
                    session.open(self.maildrop(), now, out)
                }
            }
            Event::List => self.list(session, now, out),
            Event::Retrieve { number } | Event::Top { number } => self.send(session, number, draw, now, out),
            Event::Update { deleted } => {
                self.asked = Some(deleted.into_iter().collect());
                self.agreed = draw.octet() < 200;
                let reply = if self.agreed { Reply::ok("bye") } else { Reply::err("some are left") };
                session.reply(&reply, now, out)
            }
        };
        answered.map_err(|misuse| Broken::new(format!("does not take the answer to its question: {misuse}")))
    }

    fn is_response(&self, said: &[u8]) -> bool {
        match &self.login {
            Login::Password { user, password } => said == [b"", user.as_bytes(), password.expose()].join(&0),
            Login::Sasl { initial, .. } => {
                said == RESPONSE || initial.as_ref().is_some_and(|initial| said == initial.expose())
            }
            Login::Apop { .. } => false,
        }
    }

    fn list(&self, session: &mut ServerSession, now: Duration, out: &mut BytesMut) -> Result<(), Misuse> {
        while session.list_more(now, out)? == Progress::More {}
        Ok(())
    }

    /// Sends a message, or begins to and fails.
    fn send(
        &self,
        session: &mut ServerSession,
        number: u32,
        draw: &mut Draw<'_>,
        now: Duration,
        out: &mut BytesMut,
    ) -> Result<(), Misuse> {
        session.accept(now, out)?;
        let fails = draw.octet() >= 240;
        for piece in message(&self.texts, number).chunks(usize::from(draw.octet()).max(1)) {
            if session.wants_body() {
                session.body(piece, out)?;
            }
            if fails {
                session.abort();
                return Ok(());
            }
        }
        session.end_body(now, out)
    }

    /// The maildrop of the texts; an empty one if they make none.
    fn maildrop(&self) -> Arc<Maildrop> {
        let message = |(number, text): (u32, &Vec<u8>)| Message {
            size: text.len() as u64,
            ending: if is_ended(text) { Ending::Crlf } else { Ending::Open },
            uidl: format!("uid{number}").into(),
        };
        Arc::new(Maildrop::new((1..).zip(&self.texts).map(message).collect()).unwrap_or_default())
    }
}

pub(super) fn configuration(number: u8) -> ServerConfig {
    ServerConfig {
        greeting: "ready".into(),
        stls: if number % 4 == 1 { Stls::Off } else { Stls::Offered },
        plaintext_login: if number / 4 % 4 == 1 { PlaintextLogin::UnderTls } else { PlaintextLogin::Always },
        utf8: if (number / 16).is_multiple_of(2) { Utf8::Offered } else { Utf8::Off },
        mechanisms: vec!["PLAIN".into(), "X".into()],
        mechanisms_before_tls: vec!["X".into()],
        limits: Limits { listing: if number < 128 { 4096 } else { 10 }, failed_logins: 0, ..Limits::default() },
        ..ServerConfig::default()
    }
}
