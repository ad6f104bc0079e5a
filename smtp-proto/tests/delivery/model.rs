//! A server with whims, and a memory of what it was told.

use std::collections::BTreeMap;

use bytes::{Buf, BytesMut};
use smtp_proto::{Chunk, Command, Protocol};

/// What a server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whim {
    Yes,
    /// This code.
    No(u16),
    /// By 421, and leaves.
    Farewell,
    /// By what is no reply, and nothing more.
    Nonsense,
    /// It hangs up.
    Gone,
    /// It does not, and says nothing more.
    Silent,
}

/// Whether the server still talks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Talking,
    Gone,
    Silent,
}

#[derive(Clone, Copy, Debug)]
enum Expecting {
    Command,
    Lines,
    Octets { left: usize, last: bool },
}

#[derive(Clone, Debug)]
pub(crate) struct Offers {
    pub(crate) pipelining: bool,
    pub(crate) chunking: bool,
    pub(crate) rcpt_max: Option<usize>,
    pub(crate) mail_max: Option<usize>,
}

#[derive(Debug)]
pub(crate) struct Server {
    protocol: Protocol,
    offers: Offers,
    whims: std::vec::IntoIter<u8>,
    expecting: Expecting,
    pub(crate) mood: Mood,
    is_open: bool,
    accepted: Vec<String>,
    named: usize,
    mails: usize,
    body: Vec<u8>,
    message: Vec<u8>,
    /// How often each recipient has got the message, by the server's own word.
    pub(crate) delivered: BTreeMap<String, usize>,
}

impl Server {
    pub(crate) fn new(protocol: Protocol, offers: Offers, whims: Vec<u8>, message: &[u8]) -> Self {
        Self {
            protocol,
            offers,
            whims: whims.into_iter(),
            expecting: Expecting::Command,
            mood: Mood::Talking,
            is_open: false,
            accepted: vec![],
            named: 0,
            mails: 0,
            body: vec![],
            message: message.to_vec(),
            delivered: BTreeMap::new(),
        }
    }

    /// Greets.
    pub(crate) fn greet(&mut self, out: &mut BytesMut) {
        self.say("220 mx.example", out);
    }

    /// Answers all that has come.
    pub(crate) fn hear(&mut self, input: &mut BytesMut, out: &mut BytesMut) {
        let alone = !self.offers.pipelining;
        let mut answered = 0;
        while self.mood == Mood::Talking && !input.is_empty() {
            match self.expecting {
                Expecting::Command => {
                    let end = memchr::memmem::find(input, b"\r\n").expect("a whole line");
                    let line = input.split_to(end);
                    input.advance(2);
                    assert!(!alone || answered == 0, "speaks out of turn: {line:?}");
                    answered += 1;
                    self.obey(&Command::parse(&line).expect("a command"), out);
                }
                Expecting::Lines => {
                    self.body.extend_from_slice(&input.split());
                    if self.body != b".\r\n" && !self.body.ends_with(b"\r\n.\r\n") {
                        return;
                    }
                    self.body = unstuffed(&self.body);
                    self.judge(out);
                }
                Expecting::Octets { left, last } => {
                    let here = left.min(input.len());
                    self.body.extend_from_slice(&input.split_to(here));
                    self.expecting = Expecting::Octets { left: left - here, last };
                    if left == here {
                        self.chunk_is_whole(last, out);
                    }
                }
            }
        }
    }

    fn obey(&mut self, command: &Command<'_>, out: &mut BytesMut) {
        match command {
            Command::Ehlo(_) | Command::Lhlo(_) => {
                let offers = self.offers.clone();
                let keyword = |on: bool, word: &str| if on { format!("250-{word}\r\n") } else { String::new() };
                let limit = |name: &str, limit: Option<usize>| limit.map_or(String::new(), |n| format!(" {name}={n}"));
                let limits = limit("RCPTMAX", offers.rcpt_max) + &limit("MAILMAX", offers.mail_max);
                let lines = keyword(offers.pipelining, "PIPELINING") + &keyword(offers.chunking, "CHUNKING");
                self.say(&format!("250-mx.example\r\n{lines}250-LIMITS{limits}\r\n250 SIZE"), out);
            }
            Command::Helo(_) => {
                self.offers = Offers { pipelining: false, chunking: false, rcpt_max: None, mail_max: None };
                self.say("250 mx.example", out);
            }
            Command::Rset => {
                assert!(self.mails > 0, "nothing to forget");
                if self.say("250 forgotten", out) {
                    self.is_open = false;
                    self.accepted.clear();
                }
            }
            Command::Mail { .. } => {
                self.mails += 1;
                self.named = 0;
                assert!(self.offers.mail_max.is_none_or(|max| self.mails <= max), "too many transactions");
                if self.is_open {
                    write(503, out);
                } else if self.say("250 go on", out) {
                    self.is_open = true;
                }
            }
            Command::Rcpt { to, .. } => {
                self.named += 1;
                assert!(self.offers.rcpt_max.is_none_or(|max| self.named <= max), "too many recipients");
                if !self.is_open {
                    write(503, out);
                } else if self.say("250 known", out) {
                    self.accepted.push(to.mailbox().unwrap().local_part().to_owned());
                }
            }
            Command::Data => {
                // It may want a message that nobody gets.
                let wants = !self.accepted.is_empty() || self.whims.next().is_some_and(|octet| octet < 128);
                if !wants {
                    write(554, out);
                } else if self.say("354 go", out) {
                    self.body.clear();
                    self.expecting = Expecting::Lines;
                }
            }
            Command::Bdat(Chunk { octets, last }) => {
                assert!(!self.accepted.is_empty(), "a message for nobody");
                self.body.clear();
                self.expecting = Expecting::Octets { left: usize::try_from(*octets).unwrap(), last: *last };
                if *octets == 0 {
                    self.chunk_is_whole(*last, out);
                }
            }
            Command::Quit => {
                self.say("221 bye", out);
                self.mood = Mood::Gone;
            }
            command => panic!("{command:?}"),
        }
    }

    fn chunk_is_whole(&mut self, last: bool, out: &mut BytesMut) {
        assert!(last, "all in one");
        self.judge(out);
    }

    /// The message is whole.
    fn judge(&mut self, out: &mut BytesMut) {
        self.expecting = Expecting::Command;
        self.is_open = false;
        let accepted = std::mem::take(&mut self.accepted);
        if !accepted.is_empty() {
            assert_eq!(self.body, self.message, "the whole message");
        }
        let verdicts: Vec<&[String]> = match self.protocol {
            Protocol::Smtp => vec![&accepted],
            Protocol::Lmtp => accepted.chunks(1).collect(),
        };
        for names in verdicts {
            let is_good = self.mood == Mood::Talking && self.say("250 queued", out);
            for name in names.iter().filter(|_| is_good) {
                *self.delivered.entry(name.clone()).or_default() += 1;
            }
        }
    }

    /// Says that, unless there is a whim; whether it was said.
    fn say(&mut self, text: &str, out: &mut BytesMut) -> bool {
        let whim = match self.whims.next().unwrap_or_default() {
            ..=189 => Whim::Yes,
            190..=209 => Whim::No(452),
            210..=219 => Whim::No(552),
            220..=229 => Whim::No(550),
            230..=239 => Whim::No(450),
            240..=244 => Whim::Farewell,
            245..=248 => Whim::Nonsense,
            249..=252 => Whim::Gone,
            253.. => Whim::Silent,
        };
        match whim {
            Whim::Yes => out.extend_from_slice(format!("{text}\r\n").as_bytes()),
            Whim::No(code) => write(code, out),
            Whim::Farewell => write(421, out),
            Whim::Nonsense => out.extend_from_slice(b"well, well\r\n"),
            Whim::Gone | Whim::Silent => {}
        }
        self.mood = match whim {
            Whim::Yes | Whim::No(_) => Mood::Talking,
            Whim::Farewell | Whim::Gone => Mood::Gone,
            Whim::Nonsense | Whim::Silent => Mood::Silent,
        };
        whim == Whim::Yes
    }
}

fn write(code: u16, out: &mut BytesMut) {
    out.extend_from_slice(format!("{code} no\r\n").as_bytes());
}

/// A message without the dots that protected it, and without the one that ended it.
fn unstuffed(wire: &[u8]) -> Vec<u8> {
    let text = format!("\r\n{}", str::from_utf8(wire).unwrap());
    let plain = text.strip_suffix(".\r\n").unwrap().replace("\r\n.", "\r\n");
    plain.strip_prefix("\r\n").unwrap().into()
}
