//! The reply to EHLO.

use std::collections::BTreeMap;

use peer_smtp_proto as peer;
use proptest::collection::vec;
use proptest::sample::select;
use smtp_proto::{Capabilities, Reply, SizeLimit};

use crate::{Reason, compare};

/// What is offered, each with what is said of it.
type Offers = BTreeMap<&'static str, String>;

struct Case {
    wire: String,
    ours: Option<Offers>,
    theirs: Option<Offers>,
}

impl Case {
    /// Whether they differ in this and nothing else is said of it by either.
    fn differ_in(&self, keyword: &str) -> bool {
        let of = |offers: &Option<Offers>| offers.as_ref().and_then(|offers| offers.get(keyword).cloned());
        of(&self.ours) != of(&self.theirs)
    }
}

const LINES: &[&str] = &[
    "PIPELINING",
    "pipelining",
    "SIZE",
    "SIZE 1000",
    "SIZE 0",
    "SIZE x",
    "SIZE 99999999999999999999",
    "8BITMIME",
    "SMTPUTF8",
    "SMTPUTF8 whatever",
    "STARTTLS",
    "AUTH PLAIN LOGIN",
    "AUTH=LOGIN",
    "AUTH",
    "AUTH XYZZY CRAM-MD5",
    "CHUNKING",
    "BINARYMIME",
    "DSN",
    "REQUIRETLS",
    "ENHANCEDSTATUSCODES",
    "MT-PRIORITY MIXER",
    "DELIVERBY",
    "DELIVERBY 240",
    "FUTURERELEASE 1234 2026-08-10T03:00:00Z",
    "FUTURERELEASE 1234",
    "RRVS",
    "NO-SOLICITING",
    "NO-SOLICITING net.example:ADV",
    "ETRN",
    "EXPN",
    "HELP",
    "XYZZY",
    "PIPELININGS",
    "LIMITS RCPTMAX=5",
    "",
];

const REASONS: &[Reason<Case>] = &[
    Reason::new("RFC 4954 §3: AUTH offers mechanisms, known or not; theirs are those with a number, or none", |case| {
        case.differ_in("AUTH") && (case.wire.contains("AUTH\r\n") || case.wire.contains("XYZZY"))
    }),
    Reason::new("RFC 1870 §3: a SIZE beyond 64 bits is the largest there is; theirs is none at all", |case| {
        case.differ_in("SIZE") && case.wire.contains("SIZE 9999")
    }),
    Reason::new("RFC 4865 §3: FUTURERELEASE has two arguments; theirs may have one", |case| {
        case.differ_in("FUTURERELEASE") && case.wire.contains("FUTURERELEASE 1234\r\n")
    }),
];

#[test]
fn offers_are_the_same_or_there_is_a_reason() {
    let read = |lines: &Vec<&str>| {
        let last = lines.len();
        let wire: String = core::iter::once(&"server.test")
            .chain(lines)
            .enumerate()
            .map(|(at, line)| format!("250{}{line}\r\n", if at == last { ' ' } else { '-' }))
            .collect();
        Case { ours: ours(wire.as_bytes()), theirs: theirs(wire.as_bytes()), wire }
    };
    let told = |case: &Case| format!("{:?}\n  ours {:?}\n  theirs {:?}", case.wire, case.ours, case.theirs);
    compare(10_000, vec(select(LINES), 0..6), REASONS, read, |case| case.ours == case.theirs, told);
}

fn ours(wire: &[u8]) -> Option<Offers> {
    let Capabilities { start_tls, size, auth, extensions } = Capabilities::parse(&Reply::parse(wire).ok()?);
    let flags = [
        ("PIPELINING", extensions.pipelining),
        ("8BITMIME", extensions.eight_bit_mime),
        ("SMTPUTF8", extensions.smtp_utf8),
        ("STARTTLS", start_tls),
        ("CHUNKING", extensions.chunking),
        ("BINARYMIME", extensions.binary_mime),
        ("DSN", extensions.dsn),
        ("REQUIRETLS", extensions.require_tls),
        ("ENHANCEDSTATUSCODES", extensions.enhanced_status_codes),
        ("MT-PRIORITY", extensions.mt_priority),
        ("RRVS", extensions.rrvs),
        ("NO-SOLICITING", extensions.no_soliciting),
        ("ETRN", extensions.etrn),
        ("EXPN", extensions.expn),
    ];
    let mut offers = set(flags);
    offers.extend(size.map(|size| match size {
        SizeLimit::Unknown => ("SIZE", 0.to_string()),
        SizeLimit::Octets(octets) => ("SIZE", octets.to_string()),
    }));
    let mechanisms =
        MECHANISMS.iter().map(|(_, name)| *name).filter(|name| auth.iter().any(|offer| offer.as_str() == *name));
    let mechanisms: Vec<_> = mechanisms.collect();
    if !auth.is_empty() {
        offers.insert("AUTH", mechanisms.join(" "));
    }
    offers.extend(
        extensions.deliver_by.map(|by| ("DELIVERBY", by.shortest.map_or(0, |least| least.seconds()).to_string())),
    );
    offers.extend(extensions.future_release.map(|release| {
        let (interval, until) = (release.max_interval.seconds(), release.max_date_time.unix_seconds());
        ("FUTURERELEASE", format!("{interval} {until}"))
    }));
    Some(offers)
}

const MECHANISMS: [(u64, &str); 3] =
    [(peer::AUTH_PLAIN, "PLAIN"), (peer::AUTH_LOGIN, "LOGIN"), (peer::AUTH_CRAM_MD5, "CRAM-MD5")];

fn theirs(wire: &[u8]) -> Option<Offers> {
    let response = peer::EhloResponse::parse(&mut wire.iter()).ok()?;
    let is = |flag: u32| response.has_capability(flag);
    let mut offers = set([
        ("PIPELINING", is(peer::EXT_PIPELINING)),
        ("8BITMIME", is(peer::EXT_8BIT_MIME)),
        ("SMTPUTF8", is(peer::EXT_SMTP_UTF8)),
        ("STARTTLS", is(peer::EXT_START_TLS)),
        ("CHUNKING", is(peer::EXT_CHUNKING)),
        ("BINARYMIME", is(peer::EXT_BINARY_MIME)),
        ("DSN", is(peer::EXT_DSN)),
        ("REQUIRETLS", is(peer::EXT_REQUIRE_TLS)),
        ("ENHANCEDSTATUSCODES", is(peer::EXT_ENHANCED_STATUS_CODES)),
        ("MT-PRIORITY", is(peer::EXT_MT_PRIORITY)),
        ("RRVS", is(peer::EXT_RRVS)),
        ("NO-SOLICITING", is(peer::EXT_NO_SOLICITING)),
        ("ETRN", is(peer::EXT_ETRN)),
        ("EXPN", is(peer::EXT_EXPN)),
    ]);
    let values = [
        (peer::EXT_SIZE, "SIZE", response.size.to_string()),
        (peer::EXT_DELIVER_BY, "DELIVERBY", response.deliver_by.to_string()),
        (
            peer::EXT_FUTURE_RELEASE,
            "FUTURERELEASE",
            format!("{} {}", response.future_release_interval, response.future_release_datetime),
        ),
    ];
    offers.extend(values.into_iter().filter(|(flag, ..)| is(*flag)).map(|(_, name, value)| (name, value)));
    if is(peer::EXT_AUTH) {
        let names = MECHANISMS.iter().filter(|(bit, _)| response.auth() & bit != 0).map(|(_, name)| *name);
        offers.insert("AUTH", names.collect::<Vec<_>>().join(" "));
    }
    Some(offers)
}

fn set<const N: usize>(flags: [(&'static str, bool); N]) -> Offers {
    flags.into_iter().filter(|(_, on)| *on).map(|(name, _)| (name, String::new())).collect()
}
