//! A server that knows what it was asked, and what it has offered.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use services::engine::{Close, Link};
use smtp_proto::{
    BodyType, Capabilities, Chunk, Class, ClientConfig, Command, Extensions, MailParameters, Protocol, RcptParameters,
    Reply, ReplyCode,
};

use crate::wire::{lines, shown};
use crate::{Broken, Listener, ensure};

/// A server that counts the replies it owes.
#[derive(Clone, Debug)]
pub struct Server {
    protocol: Protocol,
    window: usize,
    transport: Transport,
    offers: Capabilities,
    /// What replies are owed to, the next one first.
    owed: VecDeque<Owed>,
    /// Recipients that were accepted in this transaction.
    recipients: usize,
    message: Message,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    Plain,
    Tls,
}

/// How far the message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    None,
    /// RFC 3030 §3: it may hold anything.
    Binary,
    /// Some of its chunks have come.
    Chunks,
}

/// What a reply is owed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owed {
    Greeting,
    Hello,
    Helo,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    Rset,
    Data,
    Chunk,
    /// The end of a message, which so many replies were given to.
    Verdict(usize),
    Xclient,
    Quit,
    Other,
}

/// What the client has to say next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Nothing,
    Response,
    Message,
}

impl Server {
    /// A server that was asked nothing yet.
    pub(crate) fn new(config: &ClientConfig, link: &Link) -> Self {
        Self {
            protocol: config.protocol,
            window: config.limits.window,
            transport: if link.tls.is_some() { Transport::Tls } else { Transport::Plain },
            offers: Capabilities::default(),
            owed: VecDeque::new(),
            recipients: 0,
            message: Message::None,
        }
    }

    /// The server has said this; what it means.
    fn replied(&mut self, owed: Owed, reply: &Reply) -> Asked {
        match (owed, reply.class()) {
            (Owed::Auth, Class::Intermediate) => return Asked::Response,
            (Owed::Data, Class::Intermediate) => return Asked::Message,
            (Owed::Hello, Class::Success) => {
                self.begin();
                self.offers = Capabilities::parse(reply);
            }
            (Owed::Helo | Owed::Xclient, Class::Success) => self.begin(),
            (Owed::StartTls, Class::Success) => {
                self.begin();
                self.transport = Transport::Tls;
            }
            (Owed::Rcpt, Class::Success) => self.recipients += 1,
            (Owed::Mail | Owed::Rset, Class::Success) => self.recipients = 0,
            (Owed::Verdict(said), _) => self.verdict(said + 1),
            (
                Owed::Greeting
                | Owed::Hello
                | Owed::Helo
                | Owed::StartTls
                | Owed::Auth
                | Owed::Mail
                | Owed::Rcpt
                | Owed::Rset
                | Owed::Data
                | Owed::Chunk
                | Owed::Xclient
                | Owed::Quit
                | Owed::Other,
                _,
            ) => {}
        }
        Asked::Nothing
    }

    /// RFC 2033 §4.2: each recipient has its own.
    fn verdict(&mut self, said: usize) {
        if self.protocol == Protocol::Lmtp && said < self.recipients {
            self.owed.push_front(Owed::Verdict(said));
        } else {
            self.recipients = 0;
        }
    }

    /// Somebody new is spoken to.
    fn begin(&mut self) {
        self.offers = Capabilities::default();
        self.recipients = 0;
        self.message = Message::None;
    }

    /// The client sends this.
    fn asked(&mut self, command: &Command<'_>) -> Result<(), Broken> {
        let next = Owed::to(command);
        if let Some(latest) = self.owed.back() {
            ensure!(
                self.offers.extensions.pipelining && latest.may_be_followed() && !next.stands_alone(),
                "sends {command:?} before {latest:?} is answered"
            );
            ensure!(self.owed.len() < self.window, "sends more than its window: {command:?}");
        }
        ensure!(self.takes(command), "sends {command:?}, which is not offered, or not for now");
        self.message = match command {
            Command::Mail { parameters, .. } if parameters.body == Some(BodyType::BinaryMime) => Message::Binary,
            Command::Mail { .. } | Command::Rset | Command::Bdat(Chunk { last: true, .. }) => Message::None,
            Command::Bdat(Chunk { last: false, .. }) => Message::Chunks,
            Command::Ehlo(_)
            | Command::Helo(_)
            | Command::Lhlo(_)
            | Command::StartTls
            | Command::Auth { .. }
            | Command::Rcpt { .. }
            | Command::Data
            | Command::Noop
            | Command::Vrfy(_)
            | Command::Expn(_)
            | Command::Help(_)
            | Command::Etrn(_)
            | Command::Xclient(_)
            | Command::Xforward(_)
            | Command::Quit => self.message,
        };
        self.owed.push_back(next);
        Ok(())
    }

    fn takes(&self, command: &Command<'_>) -> bool {
        let Capabilities { start_tls, size, auth, extensions } = &self.offers;
        let utf8 = extensions.smtp_utf8;
        let between_chunks = matches!(command, Command::Bdat(_) | Command::Rset | Command::Quit);
        if self.message == Message::Chunks && !between_chunks {
            return false;
        }
        match command {
            Command::Ehlo(_) | Command::Helo(_) => self.protocol == Protocol::Smtp,
            Command::Lhlo(_) => self.protocol == Protocol::Lmtp,
            Command::StartTls => *start_tls && self.transport == Transport::Plain,
            Command::Auth { mechanism, .. } => auth.iter().any(|offer| offer == mechanism),
            Command::Mail { from, parameters } => {
                (from.is_ascii() || parameters.smtp_utf8)
                    && (parameters.size.is_none() || size.is_some())
                    && (parameters.auth.is_none() || !auth.is_empty())
                    && (!parameters.require_tls || self.transport == Transport::Tls)
                    && offers_mail(extensions, parameters)
            }
            Command::Rcpt { to, parameters } => (to.is_ascii() || utf8) && offers_rcpt(extensions, parameters),
            Command::Data => self.message != Message::Binary,
            Command::Bdat(_) => extensions.chunking,
            Command::Vrfy(lookup) => lookup.name.as_str().is_ascii() && !lookup.smtp_utf8 || utf8,
            Command::Expn(lookup) => extensions.expn && (lookup.name.as_str().is_ascii() && !lookup.smtp_utf8 || utf8),
            Command::Etrn(_) => extensions.etrn,
            Command::Xclient(_) => extensions.xclient,
            Command::Xforward(_) => extensions.xforward,
            Command::Rset | Command::Noop | Command::Help(_) | Command::Quit => true,
        }
    }

    /// Takes commands off the front of what was said, with the octets behind BDAT.
    fn take_commands(&mut self, mut said: &[u8], end: Option<Close>) -> Result<(), Broken> {
        while let Some(line) = lines(said).next() {
            said = said.get(line.len()..).unwrap_or_default();
            let command = line.strip_suffix(b"\r\n").map(Command::parse);
            let Some(Ok(command)) = command else {
                return Err(Broken::new(format!("says what is no command: {}", shown(line))));
            };
            self.asked(&command)?;
            if let Command::Bdat(Chunk { octets, .. }) = command {
                let length = usize::try_from(octets).unwrap_or(usize::MAX);
                // Who cannot keep what was announced goes.
                ensure!(
                    length <= said.len() || end == Some(Close::Aborted),
                    "sends less than it announced: {}",
                    shown(line)
                );
                said = said.get(length..).unwrap_or_default();
            }
        }
        Ok(())
    }

    /// Takes the message off the front of what was said; a client that went away may not have ended it.
    fn take_message<'s>(&mut self, said: &'s [u8], end: Option<Close>) -> Result<&'s [u8], Broken> {
        let mut lines = lines(said);
        if !lines.any(|line| line == b".\r\n") {
            ensure!(end.is_some(), "does not end its message: {}", shown(said));
            return Ok(&[]);
        }
        let rest: usize = lines.map(<[u8]>::len).sum();
        if self.protocol == Protocol::Smtp || self.recipients > 0 {
            self.owed.push_back(Owed::Verdict(0));
        }
        Ok(said.get(said.len().saturating_sub(rest)..).unwrap_or_default())
    }

    fn take_response<'s>(&mut self, said: &'s [u8], end: Option<Close>) -> Result<&'s [u8], Broken> {
        let Some(line) = lines(said).next() else {
            ensure!(end.is_some(), "leaves a challenge open");
            return Ok(said);
        };
        let text = line.strip_suffix(b"\r\n").unwrap_or(line);
        ensure!(text == b"*" || STANDARD.decode(text).is_ok(), "responds with {}", shown(line));
        self.owed.push_back(Owed::Auth);
        Ok(said.get(line.len()..).unwrap_or_default())
    }
}

impl Listener for Server {
    fn utterance(&self, wire: &[u8]) -> Option<usize> {
        let mut length = 0;
        for line in lines(wire) {
            length += line.len();
            if !matches!(line, [b'0'..=b'9', _, _, b'-', ..]) {
                return line.ends_with(b"\r\n").then_some(length);
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
        let reply = Reply::parse(utterance).ok();
        let Some(reply) = reply.filter(|_| !matches!(end, Some(Close::Violation(_)))) else {
            ensure!(matches!(end, Some(Close::Violation(_))), "takes this for a reply: {}", shown(utterance));
            ensure!(said.is_empty(), "answers what it does not understand: {}", shown(said));
            return Ok(());
        };
        let Some(owed) = self.owed.pop_front() else {
            // RFC 5321 §3.8
            ensure!(reply.code() == ReplyCode::NOT_AVAILABLE, "takes {} for a reply to nothing", shown(utterance));
            return Ok(());
        };
        let rest = match self.replied(owed, &reply) {
            Asked::Nothing => said,
            Asked::Response => self.take_response(said, end)?,
            Asked::Message => self.take_message(said, end)?,
        };
        self.take_commands(rest, end)?;
        ensure!(end.is_some() || !self.owed.is_empty(), "waits for nothing behind {}", shown(utterance));
        ensure!(end != Some(Close::Quit) || owed == Owed::Quit, "takes {} for a goodbye", shown(utterance));
        Ok(())
    }
}

impl Owed {
    const fn to(command: &Command<'_>) -> Self {
        match command {
            Command::Ehlo(_) | Command::Lhlo(_) => Self::Hello,
            Command::Helo(_) => Self::Helo,
            Command::StartTls => Self::StartTls,
            Command::Auth { .. } => Self::Auth,
            Command::Mail { .. } => Self::Mail,
            Command::Rcpt { .. } => Self::Rcpt,
            Command::Data => Self::Data,
            Command::Bdat(Chunk { last: false, .. }) => Self::Chunk,
            Command::Bdat(Chunk { last: true, .. }) => Self::Verdict(0),
            Command::Rset => Self::Rset,
            Command::Xclient(_) => Self::Xclient,
            Command::Quit => Self::Quit,
            Command::Noop
            | Command::Vrfy(_)
            | Command::Expn(_)
            | Command::Help(_)
            | Command::Etrn(_)
            | Command::Xforward(_) => Self::Other,
        }
    }

    /// RFC 2920 §3.1, RFC 3030 §4.2: whether its reply leaves open what may be said.
    const fn may_be_followed(self) -> bool {
        match self {
            Self::Mail | Self::Rcpt | Self::Rset | Self::Chunk => true,
            Self::Greeting
            | Self::Hello
            | Self::Helo
            | Self::StartTls
            | Self::Auth
            | Self::Data
            | Self::Verdict(_)
            | Self::Xclient
            | Self::Quit
            | Self::Other => false,
        }
    }

    /// Whether all that was said before is to be answered first.
    const fn stands_alone(self) -> bool {
        match self {
            Self::Hello | Self::Helo | Self::StartTls | Self::Auth | Self::Xclient => true,
            Self::Greeting
            | Self::Mail
            | Self::Rcpt
            | Self::Rset
            | Self::Data
            | Self::Chunk
            | Self::Verdict(_)
            | Self::Quit
            | Self::Other => false,
        }
    }
}

fn offers_mail(offered: &Extensions, parameters: &MailParameters<&str>) -> bool {
    let body = match parameters.body {
        None => true,
        Some(BodyType::SevenBit | BodyType::EightBitMime) => offered.eight_bit_mime,
        Some(BodyType::BinaryMime) => offered.binary_mime && offered.chunking,
    };
    body && (!parameters.smtp_utf8 || offered.smtp_utf8)
        && (!parameters.require_tls || offered.require_tls)
        && (parameters.ret.is_none() && parameters.envid.is_none() || offered.dsn)
        && (parameters.priority.is_none() || offered.mt_priority)
        && (parameters.deliver_by.is_none() || offered.deliver_by.is_some())
        && (parameters.hold.is_none() || offered.future_release.is_some())
        && (parameters.solicit.is_none() || offered.no_soliciting)
}

const fn offers_rcpt(offered: &Extensions, parameters: &RcptParameters<&str>) -> bool {
    (parameters.notify.is_none() && parameters.orcpt.is_none() || offered.dsn)
        && (parameters.rrvs.is_none() || offered.rrvs)
        && (parameters.delivery.is_none() && parameters.epoch.is_none() || offered.handover)
}
