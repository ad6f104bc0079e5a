//! A client that knows what it is answered, and how often.

use services::engine::Close;
use smtp_proto::{Chunk, Command, Limits, Protocol};

use super::configuration;
use crate::wire::{line, lines, shown};
use crate::{Broken, Listener, ensure};

/// A client that knows what it is answered, and how often.
#[derive(Clone, Debug)]
pub struct Client {
    protocol: Protocol,
    /// A larger chunk is refused at once, and so is the client.
    largest_chunk: u64,
    expects: Expects,
    /// How many recipients of the transaction were accepted; `None` where there is no transaction.
    recipients: Option<usize>,
}

/// What the client has to say next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expects {
    Command,
    SaslLine,
    Body,
}

impl Client {
    /// A client of the server under that configuration, that has heard nothing yet.
    pub(super) fn new(config: u8) -> Self {
        let config = configuration(config);
        let Limits { refused_chunks, message, .. } = config.limits;
        let largest_chunk = refused_chunks.max(message);
        Self { protocol: config.protocol, largest_chunk, expects: Expects::Command, recipients: None }
    }

    /// RFC 3030 §2: so many octets follow a BDAT, whatever is answered. A server that will not even skip them closes.
    fn chunk_behind(&self, line: &[u8]) -> Option<usize> {
        match command(line) {
            Some(Command::Bdat(Chunk { octets, .. })) if octets <= self.largest_chunk => octets.try_into().ok(),
            Some(_) | None => Some(0),
        }
    }

    /// How many replies there are to it: RFC 2033 §4.2, and RFC 3030 §2 for its BDAT.
    fn owed(&self, utterance: &[u8]) -> usize {
        let ends_message = match self.expects {
            Expects::Body => true,
            Expects::Command => {
                matches!(first_command(utterance), Some(Command::Bdat(Chunk { last: true, .. })))
            }
            Expects::SaslLine => false,
        };
        match self.protocol {
            Protocol::Lmtp if ends_message => self.recipients.unwrap_or_default().max(1),
            Protocol::Lmtp | Protocol::Smtp => 1,
        }
    }

    /// # Errors
    /// If something was taken that belongs to no transaction.
    fn learn(&mut self, utterance: &[u8], code: u16) -> Result<(), Broken> {
        let expected = core::mem::replace(&mut self.expects, Expects::Command);
        match (expected, code) {
            (_, 334) => self.expects = Expects::SaslLine,
            (Expects::Body, _) => self.recipients = None,
            (Expects::SaslLine, _) => {}
            (Expects::Command, _) => {
                if let Some(command) = first_command(utterance) {
                    self.learn_of(&command, code)?;
                }
            }
        }
        Ok(())
    }

    fn learn_of(&mut self, command: &Command<'_>, code: u16) -> Result<(), Broken> {
        let has_recipients = self.recipients.is_some_and(|recipients| recipients > 0);
        match (command, code) {
            (
                Command::Ehlo(_)
                | Command::Helo(_)
                | Command::Lhlo(_)
                | Command::StartTls
                | Command::Rset
                | Command::Xclient(_),
                200..=299,
            ) => self.recipients = None,
            (Command::Mail { .. }, 200..=299) => {
                ensure!(self.recipients.is_none(), "begins a transaction inside another");
                self.recipients = Some(0);
            }
            (Command::Rcpt { .. }, 200..=299) => {
                let Some(recipients) = &mut self.recipients else {
                    return Err(Broken::new("takes a recipient of no transaction"));
                };
                *recipients += 1;
            }
            (Command::Data, 354) => {
                ensure!(has_recipients, "asks for a message for nobody");
                self.expects = Expects::Body;
            }
            (Command::Bdat(Chunk { last, .. }), 200..=299) => {
                ensure!(has_recipients, "takes a chunk for nobody");
                self.recipients = self.recipients.filter(|_| !last);
            }
            // A message that can begin later: only the order was wrong, or nobody speaks BDAT, or is to get it.
            (Command::Data | Command::Bdat(_), 500..=509) => {}
            (Command::Data | Command::Bdat(_), _) if has_recipients => self.recipients = None,
            (
                Command::Ehlo(_)
                | Command::Helo(_)
                | Command::Lhlo(_)
                | Command::StartTls
                | Command::Auth { .. }
                | Command::Mail { .. }
                | Command::Rcpt { .. }
                | Command::Data
                | Command::Bdat(_)
                | Command::Rset
                | Command::Noop
                | Command::Vrfy(_)
                | Command::Expn(_)
                | Command::Help(_)
                | Command::Etrn(_)
                | Command::Xclient(_)
                | Command::Xforward(_)
                | Command::Quit,
                _,
            ) => {}
        }
        Ok(())
    }
}

impl Listener for Client {
    fn utterance(&self, wire: &[u8]) -> Option<usize> {
        match self.expects {
            Expects::SaslLine => line(wire),
            Expects::Command => {
                let length = line(wire)?;
                let whole = length.checked_add(self.chunk_behind(wire.get(..length)?)?)?;
                (whole <= wire.len()).then_some(whole)
            }
            Expects::Body if wire.starts_with(b".\r\n") => Some(3),
            Expects::Body => wire.windows(5).position(|five| five == b"\r\n.\r\n").map(|at| at + 5),
        }
    }

    fn hear(&mut self, utterance: &[u8], said: &[u8], end: Option<Close>) -> Result<(), Broken> {
        let heard = || format!("{} to {}", shown(said), shown(utterance));
        let mut codes = codes(said).ok_or_else(|| Broken::new(format!("says what is no reply: {}", heard())))?;
        let owed = self.owed(utterance);
        // RFC 5321 §3.8: a server that has to go may say so at any time, and no more.
        if codes.len() == owed + 1 && codes.last() == Some(&421) {
            codes.pop();
        }
        // Who breaks a message off says so once.
        let enough = if end.is_some() { !codes.is_empty() && codes.len() <= owed } else { codes.len() == owed };
        ensure!(enough, "owes {owed} replies and says {}: {}", codes.len(), heard());
        self.learn(utterance, codes.first().copied().unwrap_or_default())
    }
}

/// The command that is this line.
fn command(line: &[u8]) -> Option<Command<'_>> {
    Command::parse(line.strip_suffix(b"\r\n")?).ok()
}

fn first_command(utterance: &[u8]) -> Option<Command<'_>> {
    command(lines(utterance).next()?)
}

/// The codes of whole replies. `None` where it is something else.
fn codes(said: &[u8]) -> Option<Vec<u16>> {
    let (mut codes, mut inner) = (Vec::new(), None);
    for line in lines(said) {
        let code: u16 = core::str::from_utf8(line.get(..3)?).ok()?.parse().ok()?;
        if !line.ends_with(b"\r\n") || inner.is_some_and(|inner| inner != code) {
            return None;
        }
        match line.get(3)? {
            b'-' => inner = Some(code),
            b' ' => {
                codes.push(code);
                inner = None;
            }
            _ => return None,
        }
    }
    inner.is_none().then_some(codes)
}
