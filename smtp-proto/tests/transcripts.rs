//! Sessions written down as text, one file each in `transcripts/`.
//!
//! | line | means |
//! |---|---|
//! | `# text` | a comment |
//! | `config word…` | first line: `lmtp`, `starttls`, `starttls-required`, `auth`, `auth-required`, `auth-in-clear`, `utf8-off`, `vrfy`, `recipients=n`, `size=n`, `violations=n`, `chatter=n`, `line=n` |
//! | `C: text` | the client says this line; lines that follow one another are one write. `\r`, `\n`, `\0`, `\\`, `\xHH` are octets, and `\c` at the end means: no CRLF |
//! | `S: text` | the server says this line, and nothing more until the next `C:`; `\s` is a space at the end |
//! | `wait 5m` | time passes, in `s` or `m` |
//! | `tls` | the server wants a handshake, and it is done |
//! | `eof` | the client closes its half |
//! | `stop`, `fault` | the application shuts down |
//! | `aborted` | since the last `aborted` the application was told once to drop its transaction |
//! | `close Quit` | the session is over, for this reason |
//!
//! Each is run twice: as it stands, and octet by octet. The application is that of `common`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test may fail"
)]

mod common;

use std::path::Path;
use std::time::Duration;

use common::{Server, config, submission};
use smtp_proto::{Event, Layer, PlaintextLogin, Protocol, Senders, ServerConfig, ShutDown, StartTls, Step, Vrfy};

#[test]
fn every_transcript_is_what_happens() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 10, "where are they?");
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        Player::new(&name, &text, Pieces::Writes).play(&text);
        Player::new(&name, &text, Pieces::Octets).play(&text);
    }
}

#[derive(Clone, Copy, Debug)]
enum Pieces {
    Writes,
    Octets,
}

struct Player<'a> {
    name: &'a str,
    pieces: Pieces,
    server: Server,
    heard: String,
    unsent: Vec<u8>,
    aborts_seen: usize,
}

impl<'a> Player<'a> {
    fn new(name: &'a str, text: &str, pieces: Pieces) -> Self {
        let words = text.lines().find_map(|line| line.strip_prefix("config ")).unwrap_or_default();
        let mut server = Server::new(configured(words));
        let _ = server.run();
        Self { name, pieces, server, heard: String::new(), unsent: vec![], aborts_seen: 0 }
    }

    fn play(mut self, text: &str) {
        for (number, line) in text.lines().enumerate() {
            let at = format!("{}:{} ({:?})", self.name, number + 1, self.pieces);
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            if word != "C:" {
                self.send();
            }
            if !matches!(word, "S:" | "#" | "" | "config") {
                assert_eq!(self.heard, "", "{at}: said, but not written down");
            }
            match word {
                "#" | "" | "config" => {}
                "C:" => self.unsent.extend_from_slice(&octets(rest)),
                "S:" => {
                    let (said, left) =
                        self.heard.split_once("\r\n").unwrap_or_else(|| panic!("{at}: nothing more was said"));
                    assert_eq!(said, rest.replace("\\s", " "), "{at}");
                    self.heard = left.to_owned();
                }
                "wait" => self.wait(rest),
                "tls" => {
                    assert_eq!(self.server.run(), Step::Switch(Layer::Tls), "{at}");
                    self.server.shake_hands();
                }
                "eof" => self.server.session.handle_eof(),
                "stop" => self.shut_down(ShutDown::Stopping),
                "fault" => self.shut_down(ShutDown::Fault),
                "aborted" => {
                    let _ = self.server.run();
                    let aborts = self.server.told.iter().filter(|event| **event == Event::Aborted).count();
                    assert_eq!(aborts, self.aborts_seen + 1, "{at}");
                    self.aborts_seen = aborts;
                }
                "close" => assert_eq!(format!("{:?}", self.server.closed()), rest, "{at}"),
                _ => panic!("{at}: not a line of a transcript"),
            }
        }
        self.send();
        assert_eq!(self.heard, "", "{}: said at the end, but not written down", self.name);
        let aborts = self.server.told.iter().filter(|event| **event == Event::Aborted).count();
        assert_eq!(aborts, self.aborts_seen, "{}: an abort that is not written down", self.name);
    }

    fn send(&mut self) {
        let unsent = std::mem::take(&mut self.unsent);
        match self.pieces {
            Pieces::Writes => self.heard += &self.server.say(unsent),
            Pieces::Octets => unsent.chunks(1).for_each(|octet| self.heard += &self.server.say(octet)),
        }
        self.heard += &self.server.heard();
    }

    fn wait(&mut self, time: &str) {
        let (number, unit) = time.split_at(time.len() - 1);
        let seconds = number.parse::<u64>().unwrap() * if unit == "m" { 60 } else { 1 };
        self.server.now += Duration::from_secs(seconds);
        self.server.session.handle_timeout(self.server.now, &mut self.server.out);
        self.heard += &self.server.heard();
    }

    fn shut_down(&mut self, why: ShutDown) {
        self.server.session.shut_down(why, self.server.now, &mut self.server.out);
        self.heard += &self.server.heard();
    }
}

fn configured(words: &str) -> ServerConfig {
    let mut config = config();
    for word in words.split_whitespace() {
        let (name, number) = word.split_once('=').unwrap_or((word, "0"));
        let number = number.parse::<u32>().unwrap();
        match name {
            "lmtp" => config.protocol = Protocol::Lmtp,
            "starttls" => config.start_tls = StartTls::Offered,
            "starttls-required" => config.start_tls = StartTls::Required,
            "auth" => config.mechanisms = submission().mechanisms,
            "auth-required" => config.senders = Senders::LoggedIn,
            "auth-in-clear" => config.plaintext_login = PlaintextLogin::Always,
            "utf8-off" => config.extensions.smtp_utf8 = false,
            "vrfy" => config.vrfy = Vrfy::Ask,
            "recipients" => config.limits.recipients = number,
            "size" => config.limits.message = u64::from(number),
            "violations" => config.limits.violations = number,
            "chatter" => config.limits.chatter = number,
            "line" => config.limits.command_line = number as usize,
            _ => panic!("{word} configures nothing"),
        }
    }
    config
}

fn octets(text: &str) -> Vec<u8> {
    let mut octets = vec![];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            octets.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        match chars.next().unwrap() {
            'r' => octets.push(b'\r'),
            'n' => octets.push(b'\n'),
            '0' => octets.push(0),
            '\\' => octets.push(b'\\'),
            'x' => octets.push(u8::from_str_radix(&chars.by_ref().take(2).collect::<String>(), 16).unwrap()),
            'c' => return octets,
            other => panic!("\\{other} is no octet"),
        }
    }
    octets.extend_from_slice(b"\r\n");
    octets
}
