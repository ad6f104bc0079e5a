//! Replies, and the one to EHLO.

use std::collections::BTreeSet;

use peer_smtp_proto::response::parser::ResponseReceiver;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use smtp_proto::Reply;

use crate::{Reason, compare};

/// What a reply means: its code, its enhanced code, its text.
#[derive(Debug, PartialEq, Eq)]
struct Meaning {
    code: u16,
    enhanced: Option<(u16, u16, u16)>,
    text: String,
}

struct Case {
    wire: Vec<u8>,
    ours: Option<Meaning>,
    theirs: Option<Meaning>,
}

impl Case {
    /// The codes of all lines, as far as they have one.
    fn codes(&self) -> impl Iterator<Item = u16> {
        let lines = self.wire.split(|octet| *octet == b'\n');
        lines.filter_map(|line| core::str::from_utf8(line.get(..3)?).ok()?.parse().ok())
    }

    fn has_bare_code(&self) -> bool {
        self.wire
            .split(|octet| *octet == b'\n')
            .any(|line| matches!(line, [_, _, _, b'\r'] | [_, _, _, b' ' | b'-', b'\r']))
    }

    fn has_bare_lf(&self) -> bool {
        self.wire.first() == Some(&b'\n') || self.wire.windows(2).any(|two| two[0] != b'\r' && two[1] == b'\n')
    }

    fn has_bare_cr(&self) -> bool {
        self.wire.last() == Some(&b'\r') || self.wire.windows(2).any(|two| two[0] == b'\r' && two[1] != b'\n')
    }

    fn only_they(&self) -> bool {
        self.ours.is_none() && self.theirs.is_some()
    }

    fn both(&self) -> Option<(&Meaning, &Meaning)> {
        self.ours.as_ref().zip(self.theirs.as_ref())
    }
}

const LINES: &[&str] = &[
    "250 ok",
    "250-ok",
    "250 2.1.0 sender ok",
    "250-2.1.0 sender",
    "250",
    "250-",
    "250 ",
    "550 5.1.1 no such user",
    "550-5.1.1 no",
    "550 5.1.1",
    "550 5.123.456 no",
    "550 4.1.1 no",
    "550 5.1.1no",
    "550 05.1.1 no",
    "421 going",
    "354 go on",
    "199 low",
    "600 high",
    "999 no",
    "25",
    "25x no",
    "250ok",
    "hello",
    "",
    "220 server.test ESMTP",
    "250 1.2.3.4 is where you are",
    "250 tab\there",
    "250 ä",
];

const REASONS: &[Reason<Case>] = &[
    Reason::new("RFC 5321 §2.3.8: an LF without its CR ends no line; they take it for an end", Case::has_bare_lf),
    Reason::new("RFC 5321 §2.3.8: a CR without its LF ends no line; they leave it out", Case::has_bare_cr),
    Reason::new("RFC 5321 §4.2: a reply begins with 2, 3, 4 or 5", |case| {
        case.only_they() && case.codes().any(|code| !(200..600).contains(&code))
    }),
    Reason::new("RFC 5321 §4.2.1: all lines of a reply have the same code; they take the first", |case| {
        case.only_they() && case.codes().collect::<BTreeSet<_>>().len() > 1
    }),
    Reason::new("RFC 5321 §4.2: a line's CR is no part of its text; they keep it behind short ones", |case| {
        case.theirs.as_ref().is_some_and(|theirs| theirs.text.contains('\r'))
    }),
    Reason::new("RFC 5321 §4.2.1: a line may have a code and nothing else; theirs goes on then", |case| {
        case.theirs.is_none() && case.has_bare_code()
    }),
    Reason::new("RFC 3463 §2: each number of an enhanced code has a digit; theirs may have none", |case| {
        case.theirs.as_ref().is_some_and(|theirs| theirs.enhanced.is_some())
            && case.wire.windows(2).any(|two| two == b". ")
    }),
    Reason::new("RFC 5321 §4.2: text is printable ASCII; what is not is ? here", |case| {
        let safe = |c: char| if c == '\n' || (' '..='~').contains(&c) { c } else { '?' };
        case.both().is_some_and(|(ours, theirs)| ours.text == theirs.text.chars().map(safe).collect::<String>())
    }),
    Reason::new("RFC 2034 §4: an enhanced code begins with the first digit of the code", |case| {
        let class = |theirs: &Meaning| theirs.enhanced.is_some_and(|(class, _, _)| class != theirs.code / 100);
        case.theirs.as_ref().is_some_and(class)
    }),
    Reason::new("RFC 2034 §4: an enhanced code's class is one digit; they let zeros stand before it", |case| {
        case.both().is_some_and(|(ours, theirs)| {
            theirs.enhanced.is_some() && ours.text.lines().any(|line| line.starts_with('0'))
        })
    }),
    Reason::new("RFC 3463 §2: its numbers have up to three digits; theirs go up to 255", |case| {
        case.theirs.as_ref().is_some_and(|theirs| theirs.enhanced.is_some_and(|(_, _, detail)| detail == 255))
    }),
    Reason::new("RFC 2034 §4: an enhanced code stands on all lines; they take the latest", |case| {
        case.both().is_some_and(|(ours, theirs)| ours.enhanced != theirs.enhanced && ours.text.contains('\n'))
    }),
];

#[test]
fn replies_mean_the_same_or_there_is_a_reason() {
    let drawn = (vec(select(LINES), 0..2), select(LINES), vec((any::<Index>(), select(&b" -.\r\n\0x5"[..])), 0..2));
    let read = |(inner, last, changes): &(Vec<&str>, &str, Vec<(Index, u8)>)| {
        let inner: String = inner.iter().map(|line| line.replacen(' ', "-", 1) + "\r\n").collect();
        let mut wire = format!("{inner}{last}\r\n").into_bytes();
        for (at, octet) in changes {
            let at = at.index(wire.len());
            wire[at] = *octet;
        }
        Case { ours: ours(&wire), theirs: theirs(&wire), wire }
    };
    let told =
        |case: &Case| format!("{}\n  ours {:?}\n  theirs {:?}", case.wire.escape_ascii(), case.ours, case.theirs);
    compare(20_000, drawn, REASONS, read, |case| case.ours == case.theirs, told);
}

fn ours(wire: &[u8]) -> Option<Meaning> {
    let reply = Reply::parse(wire).ok()?;
    let code = reply.code().value();
    let enhanced = reply.enhanced().map(|enhanced| (code / 100, enhanced.subject(), enhanced.detail()));
    Some(Meaning { code, enhanced, text: reply.lines().collect::<Vec<_>>().join("\n") })
}

fn theirs(wire: &[u8]) -> Option<Meaning> {
    let mut octets = wire.iter();
    let reply = ResponseReceiver::default().parse(&mut octets).ok().filter(|_| octets.len() == 0)?;
    let [class, subject, detail] = reply.esc.map(u16::from);
    let enhanced = (class > 0).then_some((class, subject, detail));
    Some(Meaning { code: reply.code, enhanced, text: reply.message })
}
