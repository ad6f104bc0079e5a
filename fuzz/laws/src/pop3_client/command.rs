//! Commands, drawn and told.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::BytesMut;
use pop3_proto::{Command, Digest, Language, Mechanism, Name, ParseError, Password, Proxied, Secret};

use crate::wire::hex;
use crate::{Draw, Written};

/// A command as it is written.
pub(super) fn write(draw: &mut Draw<'_>) -> Written {
    let (command, mut wire) = (command(draw), BytesMut::new());
    command.write(&mut wire);
    Written { wire: wire.to_vec(), meant: told(&command), read }
}

const NAMES: [&[u8]; 4] = [b"bob", b"a b", b"b\xc3\xb6b", b" "];
const PASSWORDS: [&[u8]; 5] = [b"secret", b"", b" two words ", b"\xff", b"p\xc3\xa4ss"];
const SECRETS: [&[u8]; 4] = [b"\0bob\0secret", b"", b"x", &[0xff; 48]];
const LANGUAGES: [&[u8]; 3] = [b"en-GB", b"*", b"i-default"];

/// Any command; those that lead on come more often.
pub(super) fn command(draw: &mut Draw<'_>) -> Command<'static> {
    let mechanism = Mechanism::parse(draw.pick(&[b"X".as_slice(), b"PLAIN", b"SCRAM-SHA-256"]));
    let name = Name::parse(draw.pick(&NAMES));
    let number = match draw.octet() {
        octet @ 0..=223 => u32::from(octet % 4) + 1,
        octet => u32::MAX - u32::from(octet),
    };
    let command = match draw.octet() % 30 {
        0 => mechanism.map(|mechanism| Command::Auth { mechanism, initial: None }),
        1 | 2 => mechanism
            .map(|mechanism| Command::Auth { mechanism, initial: Some(Secret::new(draw.pick(&SECRETS).to_vec())) }),
        3..=5 => Password::parse(draw.pick(&PASSWORDS)).map(Command::Pass),
        6 => name.map(Command::User),
        7 => name.and_then(|user| Ok(Command::Apop { user, digest: digest(draw)? })),
        8 => Ok(Command::Stls),
        9 => Ok(Command::Utf8),
        10 => Ok(Command::Lang(None)),
        11 => Language::parse(draw.pick(&LANGUAGES)).map(|range| Command::Lang(Some(range))),
        12 => Ok(Command::Xclient(Proxied { address: address(draw), port: None })),
        13 => Ok(Command::Xclient(Proxied { address: address(draw), port: Some(draw.octet().into()) })),
        14 => Ok(Command::Xoip(address(draw))),
        15 => Ok(Command::List(None)),
        16 => Ok(Command::List(Some(number))),
        17 => Ok(Command::Uidl(None)),
        18 => Ok(Command::Uidl(Some(number))),
        19 | 20 => Ok(Command::Retr(number)),
        21 | 22 => Ok(Command::Top { number, lines: draw.octet().into() }),
        23 | 24 => Ok(Command::Dele(number)),
        25 => Ok(Command::Stat),
        26 => Ok(Command::Rset),
        27 => Ok(Command::Noop),
        28 if draw.octet() < 64 => Ok(Command::Quit),
        _ => Ok(Command::Capa),
    };
    command.unwrap_or(Command::Capa)
}

fn digest(draw: &mut Draw<'_>) -> Result<Digest, ParseError> {
    let text: String = (0..16).map(|_| format!("{:02x}", draw.octet())).collect();
    Digest::parse(text.as_bytes())
}

fn address(draw: &mut Draw<'_>) -> IpAddr {
    let octets: [u8; 16] = core::array::from_fn(|_| draw.octet());
    match octets {
        [0..=127, a, b, c, d, ..] => Ipv4Addr::new(a, b, c, d).into(),
        [128..=255, ..] => Ipv6Addr::from(octets).into(),
    }
}

/// A command in text, with what it keeps secret in hexadecimal.
fn told(command: &Command<'_>) -> String {
    match command {
        Command::Pass(password) => format!("Pass {}", hex(password.expose())),
        Command::Apop { user, digest } => format!("Apop {user:?} {digest}"),
        Command::Auth { mechanism, initial } => {
            format!("Auth {mechanism:?} {:?}", initial.as_ref().map(|initial| hex(initial.expose())))
        }
        Command::Capa
        | Command::Dele(_)
        | Command::Lang(_)
        | Command::List(_)
        | Command::Noop
        | Command::Quit
        | Command::Retr(_)
        | Command::Rset
        | Command::Stat
        | Command::Stls
        | Command::Top { .. }
        | Command::Uidl(_)
        | Command::User(_)
        | Command::Utf8
        | Command::Xclient(_)
        | Command::Xoip(_) => format!("{command:?}"),
    }
}

fn read(wire: &[u8]) -> String {
    match wire.strip_suffix(b"\r\n").map(Command::parse) {
        Some(Ok(command)) => told(&command),
        Some(Err(error)) => error.to_string(),
        None => "no whole line".into(),
    }
}
