//! What the server is configured as.

use core::time::Duration;

use services::engine::{Link, TlsInfo};
use smtp_proto::{
    DateTime, DeliverByLimit, Domain, EarlyTalk, Extensions, FutureRelease, Interval, Limits, PlaintextLogin, Protocol,
    Senders, ServerConfig, StartTls, Stray, Strays, Timeouts, Vrfy,
};

/// Offers all there is, believes everybody, takes every octet.
pub(super) const PROMISING: u8 = 0;

/// Takes lines only, and TLS where it is asked for.
pub(super) const STRICT: u8 = 1;

/// LMTP for all there is, and lines only.
pub(super) const PLAIN_LMTP: u8 = 3;

/// Speaks of no extension at all.
pub(super) const BARE: u8 = 8;

/// Takes no more than twenty octets.
pub(super) const TINY_MESSAGES: u8 = 11;

const ALL: u8 = 14;

pub(super) fn configuration(number: u8) -> ServerConfig {
    let patient = Limits { violations: 10_000, failed_logins: 10_000, chatter: 10_000, ..Limits::default() };
    let promising = ServerConfig {
        plaintext_login: PlaintextLogin::Always,
        mechanisms: vec!["PLAIN".into(), "SCRAM-SHA-256".into()],
        mechanisms_before_tls: vec!["SCRAM-SHA-256".into()],
        extensions: everything(),
        data: Strays::KEEP,
        bdat: Strays::KEEP,
        before_greeting: EarlyTalk::Ignore,
        before_reply: EarlyTalk::Ignore,
        vrfy: Vrfy::Ask,
        limits: patient.clone(),
        ..ServerConfig::new(domain("server.test"))
    };
    let strict = ServerConfig {
        data: Strays::default(),
        bdat: Strays::default(),
        vrfy: Vrfy::SayNothing,
        extensions: ServerConfig::new(domain("server.test")).extensions,
        ..promising.clone()
    };
    match number % ALL {
        PROMISING => promising,
        STRICT => ServerConfig { start_tls: StartTls::Offered, ..strict },
        2 => ServerConfig {
            start_tls: StartTls::Required,
            plaintext_login: PlaintextLogin::UnderTls,
            senders: Senders::LoggedIn,
            before_greeting: EarlyTalk::Refuse,
            ..strict
        },
        PLAIN_LMTP => ServerConfig { protocol: Protocol::Lmtp, extensions: everything(), ..strict },
        4 => ServerConfig { start_tls: StartTls::Offered, limits: small(), timeouts: short(), ..strict },
        5 => ServerConfig { limits: small(), timeouts: short(), protocol: Protocol::Lmtp, ..promising },
        6 => ServerConfig { before_greeting: EarlyTalk::Report, before_reply: EarlyTalk::Refuse, ..promising },
        7 => ServerConfig {
            before_greeting: EarlyTalk::Refuse,
            before_reply: EarlyTalk::Report,
            extensions: Extensions { pipelining: false, ..everything() },
            start_tls: StartTls::Offered,
            ..promising
        },
        BARE => ServerConfig { extensions: Extensions::NONE, limits: patient, ..strict },
        9 => ServerConfig {
            protocol: Protocol::Lmtp,
            data: NORMALIZE,
            bdat: NORMALIZE,
            before_greeting: EarlyTalk::Report,
            before_reply: EarlyTalk::Report,
            ..promising
        },
        // See `link`.
        10 => ServerConfig {
            senders: Senders::LoggedIn,
            start_tls: StartTls::Offered,
            data: NORMALIZE,
            limits: Limits { body_line: 20, sasl_line: 24, failed_logins: 0, ..patient },
            ..promising
        },
        TINY_MESSAGES => ServerConfig {
            limits: Limits { message: 20, recipients: 2, refused_chunks: 100, progress: PROGRESS, ..patient },
            timeouts: short(),
            ..promising
        },
        // Each of these ends sessions soon, if nothing else has.
        12 => ServerConfig {
            mechanisms: Vec::new(),
            mechanisms_before_tls: Vec::new(),
            limits: Limits { transactions: 1, chatter: 3, ..patient },
            ..promising
        },
        _ => ServerConfig {
            bdat: Strays { cr: Stray::Normalize, lf: Stray::Keep, nul: Stray::Reject },
            data: Strays { cr: Stray::Reject, lf: Stray::Normalize, nul: Stray::Keep },
            limits: Limits { refused_chunks: 20, message: 40, oversize_factor: 1, progress: PROGRESS, ..patient },
            timeouts: short(),
            ..promising
        },
    }
}

/// The connection: under TLS from its beginning, in one of them.
pub(super) fn link(number: u8) -> Link {
    Link { tls: (number % ALL == 10).then(TlsInfo::default), ..Link::default() }
}

/// The least that any of them wants to hear of a message in each step.
pub(super) const PROGRESS: u64 = 6;

const NORMALIZE: Strays = Strays { cr: Stray::Normalize, lf: Stray::Normalize, nul: Stray::Normalize };

/// Limits that every other script reaches.
fn small() -> Limits {
    Limits {
        command_line: 60,
        sasl_line: 80,
        recipients: 2,
        message: 40,
        oversize_factor: 2,
        body_line: 20,
        refused_chunks: 10,
        progress: PROGRESS,
        transactions: 3,
        violations: 3,
        failed_logins: 1,
        chatter: 5,
    }
}

/// So little that a message's whole time may be over with a client that keeps pace.
fn short() -> Timeouts {
    Timeouts { body: Duration::from_secs(150), progress: Duration::from_secs(60), ..Timeouts::default() }
}

fn everything() -> Extensions {
    Extensions {
        pipelining: true,
        smtp_utf8: true,
        eight_bit_mime: true,
        enhanced_status_codes: true,
        chunking: true,
        binary_mime: true,
        dsn: true,
        require_tls: true,
        mt_priority: true,
        deliver_by: Some(DeliverByLimit { shortest: Interval::parse("60").ok() }),
        future_release: Interval::parse("3600")
            .ok()
            .zip(DateTime::parse("2031-01-01T00:00:00Z").ok())
            .map(|(max_interval, max_date_time)| FutureRelease { max_interval, max_date_time }),
        rrvs: true,
        no_soliciting: true,
        etrn: true,
        expn: true,
        xclient: true,
        xforward: true,
        handover: true,
        ..Extensions::NONE
    }
}

#[expect(clippy::expect_used, reason = "the name is a constant")]
pub(crate) fn domain(name: &'static str) -> Domain {
    Domain::parse(name).expect("a domain").into_owned()
}
