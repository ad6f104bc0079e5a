//! What a server can do: the reply to EHLO (RFC 5321 §4.1.1.1).

use alloc::vec::Vec;
use core::fmt;
use core::fmt::Write as _;

use bytes::BytesMut;

use super::date_time::DateTime;
use super::domain::Domain;
use super::interval::Interval;
use super::number::size;
use super::proxied::{XCLIENT_ATTRIBUTES, XFORWARD_ATTRIBUTES};
use super::reply::Reply;
use super::session_limits::SessionLimits;
use super::text::Mechanism;
use super::verb::upper_case;

/// What the reply to the latest EHLO or LHLO offers; the default offers nothing, as HELO does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// `STARTTLS` (RFC 3207).
    pub start_tls: bool,
    /// `SIZE` (RFC 1870).
    pub size: Option<SizeLimit>,
    /// `AUTH` (RFC 4954): mechanisms, the first sixteen of them.
    pub auth: Vec<Mechanism>,
    /// All the others.
    pub extensions: Extensions,
}

/// What a server speaks beyond RFC 5321: what it may offer, what a client was offered. Make one from [`NONE`](Self::NONE):
/// fields are added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// `PIPELINING`: commands need not wait for replies (RFC 2920).
    pub pipelining: bool,
    /// `SMTPUTF8`: addresses and headers in UTF-8 (RFC 6531).
    pub smtp_utf8: bool,
    /// `8BITMIME`: lines of any octets (RFC 6152).
    pub eight_bit_mime: bool,
    /// `ENHANCEDSTATUSCODES`: replies with codes of three numbers (RFC 2034).
    pub enhanced_status_codes: bool,
    /// `CHUNKING`: BDAT (RFC 3030 §2).
    pub chunking: bool,
    /// `BINARYMIME`: messages that need not be made of lines (RFC 3030 §3). Only with `CHUNKING`.
    pub binary_mime: bool,
    /// `DSN`: who is told of what becomes of a message (RFC 3461).
    pub dsn: bool,
    /// `REQUIRETLS`: never on without TLS (RFC 8689).
    pub require_tls: bool,
    /// `MT-PRIORITY`: what goes first (RFC 6710). The profile that a server may name is passed over.
    pub mt_priority: bool,
    /// `DELIVERBY`: when it is too late (RFC 2852).
    pub deliver_by: Option<DeliverByLimit>,
    /// `FUTURERELEASE`: when it is too early (RFC 4865).
    pub future_release: Option<FutureRelease>,
    /// `RRVS`: only to who has had the mailbox since then (RFC 7293).
    pub rrvs: bool,
    /// `NO-SOLICITING`: what kinds of advertisement a message is (RFC 3865). The kinds that a server may name are passed over.
    pub no_soliciting: bool,
    /// `ETRN`: a client has its queue run (RFC 1985).
    pub etrn: bool,
    /// `EXPN`: who is on a list (RFC 5321 §4.1.1.7).
    pub expn: bool,
    /// `XCLIENT`: a proxy tells whom it speaks for. Not for the world.
    pub xclient: bool,
    /// `XFORWARD`: a content filter tells where a message was before it. Not for the world.
    pub xforward: bool,
    /// `XHANDOVER`, our own: processes that trust each other add a delivery id and a route's epoch to RCPT.
    pub handover: bool,
    /// `LIMITS` (RFC 9422).
    pub limits: SessionLimits,
}

/// What `SIZE` says of the largest message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeLimit {
    /// RFC 1870 §4: no number, or zero.
    Unknown,
    /// Octets.
    Octets(u64),
}

/// What `DELIVERBY` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DeliverByLimit {
    /// The shortest time that is taken with [`ByMode::Return`](crate::ByMode::Return) (RFC 2852 §2), where the server has one.
    pub shortest: Option<Interval>,
}

/// What `FUTURERELEASE` says (RFC 4865 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FutureRelease {
    /// The longest that a message is held.
    pub max_interval: Interval,
    /// The latest that it is held until.
    pub max_date_time: DateTime,
}

/// What stands in a reply to EHLO beside the mechanisms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offers<'a> {
    pub(crate) start_tls: bool,
    pub(crate) size: Option<SizeLimit>,
    pub(crate) extensions: &'a Extensions,
}

impl Capabilities {
    /// Reads the reply to EHLO. Lines that are not understood are passed over, as RFC 5321 §4.1.1.1 wants.
    #[must_use]
    pub fn parse(reply: &Reply) -> Self {
        let mut offered = Self::default();
        // The first line is the server's name and its compliments.
        for line in reply.lines().skip(1) {
            offered.add(line);
        }
        offered
    }

    /// Appends the reply to EHLO of a server of that name.
    pub fn write(&self, host: &Domain<impl AsRef<str>>, out: &mut BytesMut) {
        let Self { start_tls, size, auth, extensions } = self;
        let offers = Offers { start_tls: *start_tls, size: *size, extensions };
        offers.write(host, auth.iter().map(Mechanism::as_str), out);
    }

    fn add(&mut self, line: &str) {
        let space = line.bytes().position(|octet| octet == b' ').unwrap_or(line.len());
        let (keyword, argument) = line.split_at_checked(space).unwrap_or((line, ""));
        let argument = argument.trim_ascii();
        match upper_case(keyword, &mut [0; KEYWORD_MAX]) {
            b"STARTTLS" => self.start_tls = true,
            b"SIZE" => self.size = Some(SizeLimit::parse(argument)),
            b"AUTH" => self.add_mechanisms(argument),
            capitals => match keyword.split_at_checked(5) {
                // An old spelling, which some servers still say beside the right one.
                Some((first, name)) if first.eq_ignore_ascii_case("AUTH=") => {
                    self.add_mechanisms(name);
                    self.add_mechanisms(argument);
                }
                Some(_) | None => self.extensions.add(capitals, argument),
            },
        }
    }

    fn add_mechanisms(&mut self, names: &str) {
        for name in names.split(' ').filter_map(|name| Mechanism::parse(name).ok()) {
            if self.auth.len() < MECHANISMS_MAX && !self.auth.iter().any(|known| *known == name) {
                self.auth.push(name.into_owned());
            }
        }
    }

    /// Octets of heap it holds.
    pub(crate) fn memory(&self) -> usize {
        let names: usize = self.auth.iter().map(|name| name.as_str().len()).sum();
        names.saturating_add(self.auth.capacity().saturating_mul(size_of::<Mechanism>()))
    }
}

impl Extensions {
    /// No extension at all.
    pub const NONE: Self = Self {
        pipelining: false,
        smtp_utf8: false,
        eight_bit_mime: false,
        enhanced_status_codes: false,
        chunking: false,
        binary_mime: false,
        dsn: false,
        require_tls: false,
        mt_priority: false,
        deliver_by: None,
        future_release: None,
        rrvs: false,
        no_soliciting: false,
        etrn: false,
        expn: false,
        xclient: false,
        xforward: false,
        handover: false,
        limits: SessionLimits::NONE,
    };

    /// Adds what a keyword in capitals stands for.
    fn add(&mut self, keyword: &[u8], argument: &str) {
        match keyword {
            b"DELIVERBY" => {
                // RFC 2852 §2: options that other documents add follow the time.
                let time = argument.split(',').next().unwrap_or_default();
                self.deliver_by = Some(DeliverByLimit { shortest: Interval::parse(time).ok() });
            }
            b"FUTURERELEASE" => self.future_release = FutureRelease::parse(argument).or(self.future_release),
            b"LIMITS" => self.limits = SessionLimits::parse(argument),
            _ => {
                if let Some(plain) = PLAIN.iter().find(|plain| plain.keyword.as_bytes() == keyword) {
                    *(plain.field)(self) = true;
                }
            }
        }
    }
}

impl SizeLimit {
    fn parse(text: &str) -> Self {
        match size(text) {
            Some(octets @ 1..) => Self::Octets(octets),
            Some(0) | None => Self::Unknown,
        }
    }
}

impl FutureRelease {
    fn parse(text: &str) -> Option<Self> {
        let (interval, date_time) = text.split_once(' ')?;
        let (max_interval, max_date_time) = (Interval::parse(interval).ok()?, DateTime::parse(date_time).ok()?);
        Some(Self { max_interval, max_date_time })
    }
}

impl Offers<'_> {
    /// Appends the reply to EHLO of a server of that name. A mechanism's name that is not one is left out.
    pub(crate) fn write(
        &self,
        host: &Domain<impl AsRef<str>>,
        mechanisms: impl Iterator<Item = impl AsRef<str>> + Clone,
        out: &mut BytesMut,
    ) {
        let Self { start_tls, size, extensions } = *self;
        let mut lines = Lines { latest: out.len(), out };
        lines.add(host.as_str(), "");
        match size {
            Some(SizeLimit::Unknown) => lines.add("SIZE", ""),
            Some(SizeLimit::Octets(octets)) => lines.add_shown(format_args!("SIZE {octets}")),
            None => {}
        }
        if start_tls {
            lines.add("STARTTLS", "");
        }
        let mechanisms = Words(mechanisms.filter(|name| Mechanism::parse(name.as_ref()).is_ok()));
        if mechanisms.0.clone().next().is_some() {
            lines.add_shown(format_args!("AUTH{mechanisms}"));
        }
        let mut offered = *extensions;
        for Plain { keyword, argument, field } in PLAIN {
            if *field(&mut offered) {
                lines.add(keyword, argument);
            }
        }
        match extensions.deliver_by {
            Some(DeliverByLimit { shortest: Some(shortest) }) => lines.add_shown(format_args!("DELIVERBY {shortest}")),
            Some(DeliverByLimit { shortest: None }) => lines.add("DELIVERBY", ""),
            None => {}
        }
        if let Some(FutureRelease { max_interval, max_date_time }) = extensions.future_release {
            lines.add_shown(format_args!("FUTURERELEASE {max_interval} {max_date_time}"));
        }
        if !extensions.limits.is_empty() {
            lines.add_shown(format_args!("LIMITS {}", extensions.limits));
        }
        lines.end();
    }
}

/// Lines of a reply, the latest of which becomes the last.
struct Lines<'a> {
    out: &'a mut BytesMut,
    latest: usize,
}

impl Lines<'_> {
    fn add(&mut self, keyword: &str, argument: &str) {
        self.latest = self.out.len();
        for text in ["250-", keyword, argument, "\r\n"] {
            self.out.extend_from_slice(text.as_bytes());
        }
    }

    /// A line that is spelled by what it is made of, which takes longer.
    fn add_shown(&mut self, text: fmt::Arguments<'_>) {
        self.latest = self.out.len();
        // Writing to memory does not fail.
        let _ = write!(self.out, "250-{text}\r\n");
    }

    fn end(self) {
        if let Some(separator) = self.out.get_mut(self.latest.saturating_add(3)) {
            *separator = b' ';
        }
    }
}

/// Words, each with a space before it.
struct Words<I>(I);

impl<S: AsRef<str>, I: Iterator<Item = S> + Clone> fmt::Display for Words<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.clone().try_for_each(|word| write!(f, " {}", word.as_ref()))
    }
}

/// An extension of which a server says no more than that it has it.
struct Plain {
    keyword: &'static str,
    /// What we say behind the keyword all the same.
    argument: &'static str,
    field: fn(&mut Extensions) -> &mut bool,
}

const PLAIN: [Plain; 16] = [
    Plain::new("PIPELINING", |all| &mut all.pipelining),
    Plain::new("SMTPUTF8", |all| &mut all.smtp_utf8),
    Plain::new("8BITMIME", |all| &mut all.eight_bit_mime),
    Plain::new("ENHANCEDSTATUSCODES", |all| &mut all.enhanced_status_codes),
    Plain::new("CHUNKING", |all| &mut all.chunking),
    Plain::new("BINARYMIME", |all| &mut all.binary_mime),
    Plain::new("DSN", |all| &mut all.dsn),
    Plain::new("REQUIRETLS", |all| &mut all.require_tls),
    Plain::new("MT-PRIORITY", |all| &mut all.mt_priority),
    Plain::new("RRVS", |all| &mut all.rrvs),
    Plain::new("NO-SOLICITING", |all| &mut all.no_soliciting),
    Plain::new("ETRN", |all| &mut all.etrn),
    Plain::new("EXPN", |all| &mut all.expn),
    Plain { keyword: "XCLIENT", argument: XCLIENT_ATTRIBUTES, field: |all| &mut all.xclient },
    Plain { keyword: "XFORWARD", argument: XFORWARD_ATTRIBUTES, field: |all| &mut all.xforward },
    Plain::new("XHANDOVER", |all| &mut all.handover),
];

impl Plain {
    const fn new(keyword: &'static str, field: fn(&mut Extensions) -> &mut bool) -> Self {
        Self { keyword, argument: "", field }
    }
}

/// The longest keyword that is known.
const KEYWORD_MAX: usize = "ENHANCEDSTATUSCODES".len();

/// More than these no server means, and nobody picks from.
const MECHANISMS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use proptest::prelude::*;

    use super::super::session_limits::SessionLimit;
    use super::*;

    fn read(lines: &str) -> Capabilities {
        Capabilities::parse(&Reply::parse(lines.as_bytes()).unwrap())
    }

    fn written(offered: &Capabilities) -> String {
        let mut out = BytesMut::new();
        offered.write(&Domain::parse("mx.example").unwrap(), &mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn a_reply_to_ehlo_is_read_in_any_case_and_order() {
        let offered = read(
            "250-STARTTLS greets you\r\n250-pipelining\r\n250-Size 1000\r\n250-AUTH PLAIN scram-sha-256\r\n\
             250-AUTH=LOGIN PLAIN\r\n250-X-FOO bar\r\n250-8bitmime\r\n250-SMTPUTF8\r\n250-dsn\r\n250-MT-PRIORITY MIXER\r\n\
             250-DeliverBy 1000\r\n250-FutureRelease 3600 2031-01-01T00:00:00Z\r\n250-NO-SOLICITING net.example:ADV\r\n\
             250-Limits RCPTMAX=100 FOO=1\r\n250 xclient NAME ADDR\r\n",
        );
        assert!(!offered.start_tls, "the first line is a name");
        assert_eq!(offered.size, Some(SizeLimit::Octets(1000)));
        let names: Vec<&str> = offered.auth.iter().map(Mechanism::as_str).collect();
        assert_eq!(names, ["PLAIN", "scram-sha-256", "LOGIN"]);
        let expected = Extensions {
            pipelining: true,
            eight_bit_mime: true,
            smtp_utf8: true,
            dsn: true,
            mt_priority: true,
            no_soliciting: true,
            xclient: true,
            deliver_by: Some(DeliverByLimit { shortest: Interval::new(1000) }),
            future_release: Some(FutureRelease {
                max_interval: Interval::new(3600).unwrap(),
                max_date_time: DateTime::parse("2031-01-01T00:00:00Z").unwrap(),
            }),
            limits: SessionLimits { rcpt_max: SessionLimit::new(100), ..SessionLimits::NONE },
            ..Extensions::NONE
        };
        assert_eq!(offered.extensions, expected);
    }

    #[test]
    fn a_size_without_a_number_says_nothing() {
        for size in ["", " ", " 0", " x", " +5", " 1 2", " 123456789012345678901"] {
            assert_eq!(read(&format!("250-a\r\n250 SIZE{size}\r\n")).size, Some(SizeLimit::Unknown), "{size:?}");
        }
        let huge = read("250-a\r\n250 SIZE 99999999999999999999\r\n");
        assert_eq!(huge.size, Some(SizeLimit::Octets(u64::MAX)));
    }

    #[test]
    fn times_that_make_no_sense_are_passed_over() {
        for argument in ["", " 0", " x", " ,foo", " 1234567890"] {
            let offered = read(&format!("250-a\r\n250 DELIVERBY{argument}\r\n"));
            assert_eq!(offered.extensions.deliver_by, Some(DeliverByLimit::default()), "{argument:?}");
        }
        let shortest = read("250-a\r\n250 DELIVERBY 5,later\r\n").extensions.deliver_by.unwrap().shortest;
        assert_eq!(shortest, Interval::new(5));
        for argument in ["", " 1", " 0 2031-01-01T00:00:00Z", " 1 2031-01-01", " 1 2031-01-01T00:00:00Z x"] {
            let offered = read(&format!("250-a\r\n250 FUTURERELEASE{argument}\r\n"));
            assert_eq!(offered.extensions.future_release, None, "{argument:?}");
            let again =
                read(&format!("250-a\r\n250-FUTURERELEASE 1 2031-01-01T00:00:00Z\r\n250 FUTURERELEASE{argument}\r\n"));
            assert!(again.extensions.future_release.is_some(), "{argument:?}");
        }
    }

    #[test]
    fn no_more_mechanisms_are_kept_than_anyone_picks_from() {
        let names: String = (0..40).map(|number| format!(" M{number}")).collect();
        let offered = read(&format!("250-a\r\n250 AUTH{names} !\r\n"));
        assert_eq!(offered.auth.len(), MECHANISMS_MAX);
        assert!(offered.memory() > MECHANISMS_MAX);
    }

    #[test]
    fn who_offers_nothing_still_has_a_name() {
        assert_eq!(written(&Capabilities::default()), "250 mx.example\r\n");
    }

    #[test]
    fn a_server_cannot_offer_a_line_that_is_not_its_own() {
        let offers =
            Offers { start_tls: true, size: None, extensions: &Extensions { xforward: true, ..Extensions::NONE } };
        let mut out = BytesMut::from("354 go on\r\n");
        let names = ["PLAIN", "A\r\n250-XCLIENT", "", "LOGIN"];
        offers.write(&Domain::parse("a").unwrap(), names.into_iter(), &mut out);
        let expected = "354 go on\r\n250-a\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n\
                        250 XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\r\n";
        assert_eq!(out, expected);
        offers.write(&Domain::parse("a").unwrap(), names.into_iter().filter(|name| name.is_empty()), &mut out);
        assert!(!out[expected.len()..].windows(4).any(|word| word == b"AUTH"));
    }

    fn capabilities() -> impl Strategy<Value = Capabilities> {
        let size = prop_oneof![Just(SizeLimit::Unknown), (1..=u64::MAX).prop_map(SizeLimit::Octets)];
        let auth = prop::collection::btree_set("[A-Z0-9_-]{1,20}", 0..=MECHANISMS_MAX).prop_map(|names| {
            names.iter().map(|name| Mechanism::parse(name).unwrap().into_owned()).collect::<Vec<_>>()
        });
        let interval = || (1_u32..=999_999_999).prop_map(|seconds| Interval::new(seconds).unwrap());
        let deliver_by = prop::option::of(interval()).prop_map(|shortest| DeliverByLimit { shortest });
        let future_release = (interval(), 0_i64..253_402_300_800).prop_map(|(max_interval, seconds)| FutureRelease {
            max_interval,
            max_date_time: DateTime::new(seconds).unwrap(),
        });
        let limit = || prop::option::of((1_u32..=999_999).prop_map(|value| SessionLimit::new(value).unwrap()));
        let limits = (limit(), limit(), limit()).prop_map(|(mail_max, rcpt_max, rcpt_domain_max)| SessionLimits {
            mail_max,
            rcpt_max,
            rcpt_domain_max,
        });
        let plain = prop::array::uniform16(any::<bool>());
        let valued = (prop::option::of(deliver_by), prop::option::of(future_release), limits);
        (any::<bool>(), prop::option::of(size), auth, plain, valued).prop_map(
            |(start_tls, size, auth, plain, (deliver_by, future_release, limits))| {
                let mut extensions = Extensions { deliver_by, future_release, limits, ..Extensions::NONE };
                for (Plain { field, .. }, offered) in PLAIN.iter().zip(plain) {
                    *field(&mut extensions) = offered;
                }
                Capabilities { start_tls, size, auth, extensions }
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_offered_is_what_is_read(offered in capabilities()) {
            prop_assert_eq!(read(&written(&offered)), offered);
        }

        #[test]
        fn whatever_a_server_offers_can_be_offered_again(lines in "(250-[ -~]{0,20}\r\n){0,4}250 (DELIVERBY|LIMITS|AUTH|SIZE|FUTURERELEASE|RRVS)?[ -~]{0,20}\r\n") {
            let offered = read(&lines);
            prop_assert_eq!(read(&written(&offered)), offered);
        }
    }
}
