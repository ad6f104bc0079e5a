//! What both are given: commands by the grammar, and what becomes of them when some octets are others.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

const PATHS: &[&str] = &[
    "<>",
    "<a@client.test>",
    "<b.c+d@sub.server.test>",
    "<Postmaster>",
    "<postmaster@server.test>",
    "<@relay.test,@other.test:b@server.test>",
    "<\"a b\"@server.test>",
    "<\"a@b\"@server.test>",
    "<\"a\\\"b\\\\\"@server.test>",
    "<\"\"@server.test>",
    "<a@[192.0.2.1]>",
    "<a@[IPv6:2001:db8::1]>",
    "<a@localhost>",
    "<ä@server.test>",
    "<a@ä.test>",
    "<a..b@server.test>",
    "<a.@server.test>",
    "<a@server.test.>",
    "<a@-server.test>",
    "<a@b@c.test>",
    "<a_b@c_d.test>",
    "<abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz@server.test>",
];

const OF_MAIL: &[&str] = &[
    "SIZE=1",
    "SIZE=0",
    "SIZE=99999999999999999999",
    "SIZE=999999999999999999999",
    "SIZE=99999999999999999999999",
    "SIZE=x",
    "SIZE= 1",
    "BODY=7BIT",
    "BODY=8bitmime",
    "BODY=BINARYMIME",
    "SMTPUTF8",
    "AUTH=<>",
    "AUTH=a+40b.test",
    "AUTH=a+4b",
    "AUTH=a+A0b.test",
    "REQUIRETLS",
    "RET=FULL",
    "RET=HDRS",
    "ENVID=QQ314159",
    "ENVID=a+2Bb",
    "ENVID=a+2bb",
    "MT-PRIORITY=-9",
    "MT-PRIORITY=0",
    "MT-PRIORITY=+3",
    "MT-PRIORITY=10",
    "BY=120;R",
    "BY=-120;NT",
    "BY=0;R",
    "BY=1234567890;N",
    "HOLDFOR=600",
    "HOLDFOR=0",
    "HOLDUNTIL=2030-12-31T23:00:00+01:00",
    "HOLDUNTIL=2030-12-31T23:00:00Z",
    "HOLDUNTIL=2030-02-30T23:00:00Z",
    "HOLDUNTIL=2016-12-31T23:59:60Z",
    "HOLDUNTIL=2030-1-1T0:0:0Z",
    "HOLDUNTIL=1960-01-01T00:00:00Z",
    "SOLICIT=org.example:ADV:ADLT",
    "MTRK=AAAA:60",
    "CONPERM",
    "TRANSID=<1@client.test>",
    "XYZZY=1",
];

const OF_RCPT: &[&str] = &[
    "NOTIFY=NEVER",
    "NOTIFY=SUCCESS,FAILURE,DELAY",
    "NOTIFY=NEVER,SUCCESS",
    "NOTIFY=delay",
    "ORCPT=rfc822;b@server.test",
    "ORCPT=rfc822;b+2Bc@server.test",
    "ORCPT=utf-8;\\x{E4}@server.test",
    "ORCPT=x400;abc",
    "RRVS=2014-04-03T23:01:00Z",
    "RRVS=2014-04-03T23:01:00Z;C",
    "RRVS=2014-04-03T23:01:00.5-05:00;R",
    "RRVS=1969-04-03T23:01:00Z",
    "CONNEG",
    "XDELIVERY=abc",
    "XEPOCH=7",
];

const OTHERS: &[&str] = &[
    "EHLO client.test",
    "EHLO [192.0.2.1]",
    "EHLO client.test and more",
    "EHLO  client.test",
    "EHLO client.test.",
    "EHLO",
    "HELO client_test",
    "LHLO a",
    "STARTTLS",
    "STARTTLS now",
    "DATA",
    "DATA now",
    "RSET",
    "RSET now",
    "QUIT",
    "QUIT now",
    "NOOP",
    "NOOP with words",
    "HELP",
    "HELP MAIL",
    "HELP MAIL FROM",
    "VRFY bob",
    "VRFY \"bob b\"",
    "VRFY bob b",
    "VRFY bob SMTPUTF8",
    "VRFY",
    "EXPN staff",
    "EXPN staff SMTPUTF8",
    "ETRN @client.test",
    "ETRN #queue",
    "ATRN client.test,other.test",
    "BURL imap://client.test LAST",
    "BDAT 0",
    "BDAT 10",
    "BDAT 10 LAST",
    "BDAT 0 last",
    "BDAT 10 FIRST",
    "BDAT  10  LAST ",
    "BDAT 18446744073709551615",
    "BDAT 18446744073709551616",
    "BDAT 18446744073709551615999 LAST",
    "BDAT x",
    "BDAT",
    "AUTH PLAIN",
    "AUTH PLAIN AGJvYgB4",
    "AUTH PLAIN =",
    "AUTH PLAIN A",
    "AUTH LOGIN Ym9i",
    "AUTH SCRAM-SHA-256 bixzPW4sLHI9",
    "AUTH CRAM-MD5",
    "AUTH XYZZY",
    "AUTH",
    "XCLIENT NAME=client.test",
    "XFORWARD NAME=client.test",
    "XYZZY",
    "SEND FROM:<a@client.test>",
    "",
];

const OCTETS: &[u8] = b" \r\n\0\t<>:;=,+-.@\"\\[]{}#axAX019\x7f\xc3\xa4\xff";

/// What happens to a command on its way.
#[derive(Clone, Debug)]
enum Change {
    Replace(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    OtherCase(Index),
}

/// A line, without its CRLF.
pub(crate) fn line() -> impl Strategy<Value = Vec<u8>> {
    let path = || select(PATHS);
    let mail = (path(), vec(select(OF_MAIL), 0..4)).prop_map(|(path, rest)| join("MAIL FROM:", path, &rest));
    let rcpt = (path(), vec(select(OF_RCPT), 0..3)).prop_map(|(path, rest)| join("RCPT TO:", path, &rest));
    let other = select(OTHERS).prop_map(String::from);
    let changes = prop_oneof![3 => Just(Vec::new()), 2 => vec(change(), 1..3)];
    (prop_oneof![3 => mail, 3 => rcpt, 4 => other], changes).prop_map(|(line, changes)| {
        let mut line = line.into_bytes();
        changes.iter().for_each(|change| change.make(&mut line));
        line
    })
}

fn join(verb: &str, path: &str, parameters: &[&str]) -> String {
    core::iter::once(format!("{verb}{path}"))
        .chain(parameters.iter().map(|word| (*word).into()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<Index>(), select(OCTETS)).prop_map(|(at, octet)| Change::Replace(at, octet)),
        (any::<Index>(), select(OCTETS)).prop_map(|(at, octet)| Change::Insert(at, octet)),
        any::<Index>().prop_map(Change::Remove),
        any::<Index>().prop_map(Change::OtherCase),
    ]
}

impl Change {
    fn make(&self, line: &mut Vec<u8>) {
        match self {
            Self::Insert(at, octet) => line.insert(at.index(line.len() + 1), *octet),
            Self::Replace(..) | Self::Remove(_) | Self::OtherCase(_) if line.is_empty() => {}
            Self::Replace(at, octet) => {
                let at = at.index(line.len());
                line.splice(at..=at, [*octet]);
            }
            Self::Remove(at) => {
                line.remove(at.index(line.len()));
            }
            Self::OtherCase(at) => {
                let at = at.index(line.len());
                let octet = line[at];
                line[at] =
                    if octet.is_ascii_lowercase() { octet.to_ascii_uppercase() } else { octet.to_ascii_lowercase() };
            }
        }
    }
}
