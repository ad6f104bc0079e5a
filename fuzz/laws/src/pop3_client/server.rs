//! A server that knows what it was asked.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pop3_proto::{Capabilities, ClientConfig, Code, Command, LineEnds, Reply};
use services::engine::{Close, Link};

use crate::wire::{lines, shown};
use crate::{Broken, Listener, ensure};

/// A server that counts the answers it owes, and knows what it has offered.
#[derive(Clone, Debug)]
pub struct Server {
    pub(crate) transport: Transport,
    pub(crate) offers: Capabilities,
    /// What answers are owed to, the next one first.
    pub(crate) owed: VecDeque<Owed>,
    config: ClientConfig,
    stage: Stage,
    greeting: Option<Reply>,
}

/// What an answer is owed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owed {
    Greeting,
    Capa,
    /// LIST or UIDL of all.
    Listing,
    /// RETR or TOP.
    Message(u32),
    Languages,
    Stls,
    Utf8,
    Login,
    Auth,
    Quit,
    Line,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Plain,
    Tls,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Authorization,
    Transaction,
}

impl Server {
    /// A server that was asked nothing yet.
    pub(crate) fn new(config: ClientConfig, link: &Link) -> Self {
        Self {
            transport: if link.tls.is_some() { Transport::Tls } else { Transport::Plain },
            offers: Capabilities::default(),
            owed: VecDeque::new(),
            config,
            stage: Stage::Authorization,
            greeting: None,
        }
    }

    /// The whole lines of an answer, each without its end.
    pub(crate) fn lines<'w>(&self, answer: &'w [u8]) -> impl Iterator<Item = &'w [u8]> {
        self.with_ends(answer).map_while(|line| self.without_end(line))
    }

    /// The reply, if it is one, that an answer begins with.
    pub(crate) fn reply(&self, answer: &[u8]) -> Option<Reply> {
        let line = self.lines(answer).next()?;
        let is_one_line = !line.iter().any(|octet| matches!(octet, b'\r' | b'\n'));
        Reply::parse(line).ok().filter(|_| is_one_line)
    }

    /// The lines of an answer as they came; the last one may have no end.
    fn with_ends<'w>(&self, answer: &'w [u8]) -> Box<dyn Iterator<Item = &'w [u8]> + 'w> {
        match self.config.line_ends {
            LineEnds::Crlf => Box::new(lines(answer)),
            LineEnds::CrlfOrLf => Box::new(answer.split_inclusive(|octet| *octet == b'\n')),
        }
    }

    fn without_end<'w>(&self, line: &'w [u8]) -> Option<&'w [u8]> {
        match self.config.line_ends {
            LineEnds::Crlf => line.strip_suffix(b"\r\n"),
            LineEnds::CrlfOrLf => line.strip_suffix(b"\r\n").or_else(|| line.strip_suffix(b"\n")),
        }
    }

    /// The server has said this; what it means.
    fn answered(&mut self, owed: Owed, reply: Reply, answer: &[u8]) {
        let positive = reply.is_positive();
        match owed {
            Owed::Greeting => self.greeting = Some(reply),
            Owed::Capa => {
                let mut offers = Capabilities::default();
                for line in self.lines(answer).skip(1) {
                    offers.add(line.strip_prefix(b".").unwrap_or(line));
                }
                self.offers = offers;
            }
            Owed::Stls if positive => {
                self.transport = Transport::Tls;
                self.offers = Capabilities::default();
            }
            Owed::Login | Owed::Auth if positive => self.stage = Stage::Transaction,
            Owed::Stls
            | Owed::Login
            | Owed::Auth
            | Owed::Listing
            | Owed::Message(_)
            | Owed::Languages
            | Owed::Utf8
            | Owed::Quit
            | Owed::Line => {}
        }
    }

    /// The client sends this.
    fn asked(&mut self, command: &Command<'_>) -> Result<(), Broken> {
        let next = Owed::to(command);
        if let Some(latest) = self.owed.back() {
            ensure!(
                self.offers.pipelining && latest.may_be_followed() && next != Owed::Stls,
                "sends {command:?} before {latest:?} is answered"
            );
            ensure!(self.owed.len() < self.config.limits.window, "sends more than its window: {command:?}");
        }
        ensure!(self.takes(command), "sends {command:?}, which is not offered or not for now");
        self.owed.push_back(next);
        Ok(())
    }

    fn takes(&self, command: &Command<'_>) -> bool {
        let begins = self.stage == Stage::Authorization;
        match command {
            Command::Stls => begins && self.transport == Transport::Plain && self.offers.stls,
            Command::Utf8 => begins && self.offers.utf8,
            Command::Auth { mechanism, .. } => begins && self.offers.sasl.iter().any(|offer| offer == mechanism),
            Command::User(name) | Command::Apop { user: name, .. } => {
                begins && (name.as_str().is_ascii() || self.offers.utf8_user)
            }
            Command::Pass(_) => begins,
            Command::Xclient(_) | Command::Xoip(_) => {
                begins && self.greeting.as_ref().and_then(Reply::code) == Some(Code::Xclient)
            }
            Command::Lang(_) => self.offers.lang,
            Command::Capa | Command::Quit => true,
            Command::Dele(_)
            | Command::List(_)
            | Command::Noop
            | Command::Retr(_)
            | Command::Rset
            | Command::Stat
            | Command::Top { .. }
            | Command::Uidl(_) => !begins,
        }
    }
}

impl Listener for Server {
    fn utterance(&self, wire: &[u8]) -> Option<usize> {
        let goes_on = self.owed.front().is_some_and(|owed| owed.has_several_lines())
            && self.reply(wire).is_some_and(|reply| reply.is_positive());
        let mut length = 0;
        for line in self.with_ends(wire) {
            let text = self.without_end(line)?;
            length += line.len();
            if !goes_on || text == b"." {
                return Some(length);
            }
        }
        None
    }

    fn hear(&mut self, utterance: &[u8], said: &[u8], end: Option<Close>) -> Result<(), Broken> {
        if utterance.is_empty() {
            ensure!(said.is_empty(), "speaks before it is greeted: {}", shown(said));
            self.owed.push_back(Owed::Greeting);
            return Ok(());
        }
        let Some(owed) = self.owed.pop_front() else {
            return Err(Broken::new(format!("waits for more than it has asked: {}", shown(utterance))));
        };
        let mut challenged = false;
        match self.reply(utterance) {
            Some(reply) => self.answered(owed, reply, utterance),
            // RFC 5034 §4: only AUTH is challenged.
            None if owed == Owed::Auth && end.is_none() => {
                self.owed.push_front(Owed::Auth);
                challenged = true;
            }
            None => {
                ensure!(matches!(end, Some(Close::Violation(_))), "takes this for an answer: {}", shown(utterance));
            }
        }
        for line in lines(said) {
            let Some(line) = line.strip_suffix(b"\r\n") else {
                return Err(Broken::new(format!("says no whole line: {}", shown(said))));
            };
            if core::mem::take(&mut challenged) {
                ensure!(line == b"*" || STANDARD.decode(line).is_ok(), "responds with {}", shown(line));
                continue;
            }
            match Command::parse(line) {
                Ok(command) => self.asked(&command)?,
                Err(_) => return Err(Broken::new(format!("says what is no command: {}", shown(said)))),
            }
        }
        ensure!(!challenged, "leaves a challenge open: {}", shown(utterance));
        ensure!(end.is_some() || !self.owed.is_empty(), "waits for nothing behind {}", shown(utterance));
        ensure!(end != Some(Close::Quit) || owed == Owed::Quit, "takes {} for a goodbye", shown(utterance));
        Ok(())
    }
}

impl Owed {
    fn to(command: &Command<'_>) -> Self {
        match command {
            Command::Capa => Self::Capa,
            Command::List(None) | Command::Uidl(None) => Self::Listing,
            Command::Retr(number) | Command::Top { number, .. } => Self::Message(*number),
            Command::Lang(None) => Self::Languages,
            Command::Stls => Self::Stls,
            Command::Utf8 => Self::Utf8,
            Command::Pass(_) | Command::Apop { .. } => Self::Login,
            Command::Auth { .. } => Self::Auth,
            Command::Quit => Self::Quit,
            Command::Dele(_)
            | Command::Lang(Some(_))
            | Command::List(Some(_))
            | Command::Noop
            | Command::Rset
            | Command::Stat
            | Command::Uidl(Some(_))
            | Command::User(_)
            | Command::Xclient(_)
            | Command::Xoip(_) => Self::Line,
        }
    }

    const fn has_several_lines(self) -> bool {
        match self {
            Self::Capa | Self::Listing | Self::Message(_) | Self::Languages => true,
            Self::Greeting | Self::Stls | Self::Utf8 | Self::Login | Self::Auth | Self::Quit | Self::Line => false,
        }
    }

    /// RFC 2449 §6.6: whether its answer leaves open what may be said.
    const fn may_be_followed(self) -> bool {
        match self {
            Self::Listing | Self::Message(_) | Self::Languages | Self::Line => true,
            Self::Greeting | Self::Capa | Self::Stls | Self::Utf8 | Self::Login | Self::Auth | Self::Quit => false,
        }
    }
}
