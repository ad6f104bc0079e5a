//! Both halves of POP3 against each other, under a law of their own: whatever becomes of the connection, both come to an end,
//! messages arrive as they are, and nothing is deleted that the client did not mean.

mod host;
mod visitor;

use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::Arc;

use pop3_proto::{Choice, Fetch, Reply, ServerSession};
use services::engine::{Engine, ShutDown};

use self::host::Host;
use self::visitor::Visitor;
use crate::fetch::{self, Visit};
use crate::half::{Half, Line, carry, reason, shake_hands};
use crate::{Broken, Draw, ensure};

/// What lies between the two. All but the first have a fault, by which the law shows that it can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Octets, in pieces of any size.
    Sound,
    /// An octet of a message is another one.
    Garbles,
    /// DELE is for another message.
    Misleads,
    /// What the server says behind its greeting never comes.
    Swallows,
}

/// What a visit has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Messages that arrived whole.
    pub received: usize,
    /// Messages that the server was told to delete at QUIT.
    pub deleted: usize,
}

/// Lets a client visit a server, as drawn: how both are configured, what the maildrop holds, what either application wants, how
/// the octets travel, and what else happens on the way. Behind the end of `data` everybody is polite and patient.
///
/// # Errors
/// If one of them waits for ever, if a message arrives otherwise than it is, or if the two do not agree on what is deleted.
pub fn visit(data: &[u8], wire: Wire) -> Result<Outcome, Broken> {
    let mut draw = Draw::new(data);
    let mut pair = Pair::new(&mut draw, wire);
    while !draw.rest().is_empty() && !pair.is_over() {
        pair.happen(&mut draw);
        pair.run(&mut draw)?;
    }
    // Each round carries all there is, so that a round without any is the last one.
    while !pair.is_over() {
        let carried = pair.carry_all();
        let ran = pair.run(&mut draw)?;
        ensure!(carried || ran || pair.is_over(), "waits for ever, as does its peer");
    }
    pair.judge()
}

/// The two, and the time that passes for both.
struct Pair {
    now: Duration,
    wire: Wire,
    line: Line,
    client: Half<Fetch>,
    visitor: Visitor,
    server: Half<ServerSession>,
    host: Host,
}

impl Pair {
    fn new(draw: &mut Draw<'_>, wire: Wire) -> Self {
        let now = Duration::from_secs(1000);
        let Visit { config, login, policy, link } = fetch::visit(draw.octet());
        let host_config = Arc::new(host::configuration(draw.octet()));
        let texts: Vec<Vec<u8>> = (0..draw.octet() % 6).map(|_| text(draw)).collect();
        let fetch = Fetch::new(Arc::new(config), login.clone(), policy, link.clone().into(), now);
        Self {
            now,
            wire,
            line: Line::Up,
            client: Half::new(fetch),
            visitor: Visitor::new(texts.clone()),
            server: Half::new(ServerSession::new(host_config, link.into(), now)),
            host: Host::new(texts, login),
        }
    }

    const fn is_over(&self) -> bool {
        self.client.is_closed() && self.server.is_closed()
    }

    /// Something happens between them, or to one of them.
    fn happen(&mut self, draw: &mut Draw<'_>) {
        match draw.octet() {
            0 => {
                self.carry_all();
            }
            octet @ 1..=110 => {
                self.carry_up(octet.into());
            }
            octet @ 111..=220 => {
                self.carry_down((octet - 110).into());
            }
            221..=225 => {
                self.now += Duration::from_secs(draw.octet().into()) * 4;
                self.client.engine.handle_timeout(self.now, &mut self.client.out);
                self.server.engine.handle_timeout(self.now, &mut self.server.out);
            }
            226..=231 => {
                let why = reason(draw);
                self.visitor.leaves_early = true;
                self.visitor.fails |= why == ShutDown::Fault && !self.is_goodbye_said();
                Engine::shut_down(&mut self.client.engine, why, self.now, &mut self.client.out);
            }
            232..=237 => Engine::shut_down(&mut self.server.engine, reason(draw), self.now, &mut self.server.out),
            238..=240 => {
                self.visitor.fails |= !self.is_goodbye_said();
                self.client.engine.abort();
            }
            241..=243 => self.server.engine.abort(),
            244..=246 => {
                self.line = Line::Cut;
                self.client.hear_no_more();
                self.server.hear_no_more();
            }
            247.. => {}
        }
    }

    fn is_goodbye_said(&self) -> bool {
        self.visitor.says_goodbye || self.client.out.ends_with(b"QUIT\r\n")
    }

    /// Carries all there is, both ways; says whether that was anything.
    fn carry_all(&mut self) -> bool {
        let up = self.carry_up(usize::MAX);
        let down = self.carry_down(usize::MAX);
        up || down
    }

    fn carry_up(&mut self, at_most: usize) -> bool {
        if self.wire == Wire::Misleads
            && let Some(at) = self.client.out.windows(6).position(|octets| octets == b"DELE 1")
            && let Some(number) = self.client.out.get_mut(at + 5)
        {
            *number = b'2';
        }
        self.visitor.says_goodbye = self.is_goodbye_said();
        carry(&mut self.client, &mut self.server, self.line, at_most)
    }

    fn carry_down(&mut self, at_most: usize) -> bool {
        match self.wire {
            Wire::Sound | Wire::Misleads => {}
            Wire::Garbles => self.server.out.iter_mut().filter(|octet| **octet == b'~').for_each(|octet| *octet = b'-'),
            Wire::Swallows if self.server.out.starts_with(b"+OK ready") => {}
            Wire::Swallows => self.server.out.clear(),
        }
        carry(&mut self.server, &mut self.client, self.line, at_most)
    }

    /// Lets both go on until they want to hear more; says whether either did.
    fn run(&mut self, draw: &mut Draw<'_>) -> Result<bool, Broken> {
        let (visitor, host, now) = (&mut self.visitor, &mut self.host, self.now);
        let client =
            self.client.run(now, draw, |engine, event, draw, out| visitor.hear(engine, event, draw, now, out))?;
        let server = self.server.run(now, draw, |engine, event, draw, out| host.hear(engine, event, draw, now, out))?;
        Ok(shake_hands(&mut self.client, &mut self.server, draw, now) || client || server)
    }

    /// Whether what is left on either side fits what happened.
    fn judge(self) -> Result<Outcome, Broken> {
        let Self { visitor, host, .. } = self;
        let Some(report) = visitor.report else { return Err(Broken::new("ends without a report")) };
        ensure!(report.received == visitor.received, "reports {} messages, not {}", report.received, visitor.received);
        ensure!(
            report.not_deleted == visitor.not_deleted.len(),
            "reports {} refusals, not {}",
            report.not_deleted,
            visitor.not_deleted.len()
        );
        let is_done = report.goodbye.as_ref().is_some_and(Reply::is_positive);
        ensure!(
            is_done || report.deleted == 0 || report.trouble.is_some(),
            "has no trouble with a goodbye that it lacks"
        );
        let Some(asked) = host.asked else {
            ensure!(
                !is_done || report.deleted == 0,
                "reports {} deleted messages, of which the server knows nothing",
                report.deleted
            );
            return Ok(Outcome { received: visitor.received, deleted: 0 });
        };
        ensure!(visitor.says_goodbye, "deletes without QUIT");
        ensure!(!visitor.fails, "deletes although its application has failed");
        ensure!(asked.len() == report.deleted, "reports {} deleted messages of {asked:?}", report.deleted);
        if let Some(goodbye) = &report.goodbye {
            ensure!(goodbye.is_positive() == host.agreed, "reports {goodbye:?}");
        }
        let chosen = visitor.choices.iter().filter(|(_, choice)| **choice == Choice::Delete).map(|(number, _)| *number);
        let (chosen, meant) = (chosen.collect::<BTreeSet<_>>(), &visitor.confirmed);
        let unmeant = asked.iter().find(|number| !meant.contains(number) && !chosen.contains(number));
        ensure!(unmeant.is_none(), "deletes message {unmeant:?}, which was to stay");
        // Who leaves early need not do all that was chosen; but what came and was confirmed is done.
        let mut due = meant.iter().chain(chosen.iter().filter(|_| !visitor.leaves_early));
        let missed = due.find(|number| !asked.contains(number) && !visitor.not_deleted.contains(number));
        ensure!(missed.is_none(), "does not delete message {missed:?}, and reports no trouble with it");
        Ok(Outcome { received: visitor.received, deleted: asked.len() })
    }
}

/// What the client's application says to a challenge.
const RESPONSE: &[u8] = b"response";

/// What messages are made of: all that ends lines and messages, or seems to.
const PIECES: [&[u8]; 12] = [
    b"A: b~\r\n",
    b"\r\n",
    b".",
    b".\r\n",
    b"\r\n.\r\n",
    b"\n.\n",
    b"\n..\r\n",
    b"\r",
    b"\n",
    b"\0",
    b"\xff",
    b"a long line without any end that is worth the name ....................................................",
];

fn text(draw: &mut Draw<'_>) -> Vec<u8> {
    (0..draw.octet() % 16).flat_map(|_| draw.pick(&PIECES).to_vec()).collect()
}

fn message(texts: &[Vec<u8>], number: u32) -> &[u8] {
    let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    index.and_then(|index| texts.get(index)).map(Vec::as_slice).unwrap_or_default()
}

/// A message as it arrives: what ends it needs a CRLF before it.
fn sent(texts: &[Vec<u8>], number: u32) -> Vec<u8> {
    let text = message(texts, number);
    if is_ended(text) { text.to_vec() } else { [text, b"\r\n"].concat() }
}

fn is_ended(text: &[u8]) -> bool {
    text.is_empty() || text.ends_with(b"\r\n")
}
