//! Envelopes: as SMTP says them, and as the queue keeps them. Parameters keep their wire form there, so that what this
//! version does not know of is sent on as it came.

use std::time::Duration;

use bytes::BytesMut;
use mailqueue::{Batch, DeliverBy, Destination, Envelope, Late, Parameter, Priority, Recipient, UnixMicros};
use smtp_proto::{
    ByMode, Command, ForwardPath, Hold, Mail, MailParameters, OriginalRecipient, Rcpt, RcptParameters, ReversePath,
};

use crate::outbound::Demands;
use crate::routes::Hop;

/// The queue's envelope for a transaction. `source` is who hands the message in.
pub(crate) fn envelope(mail: &Mail, recipients: Vec<Recipient>, source: String) -> Envelope {
    let arrived = UnixMicros::now();
    let MailParameters { priority, deliver_by, hold, .. } = mail.parameters.borrowed();
    // The size is counted, who may send is settled (RFC 4954 §5 lets no one pass on what he does not vouch for), and times are
    // kept as moments.
    let kept = MailParameters { size: None, auth: None, deliver_by: None, hold: None, ..mail.parameters.borrowed() };
    let from = mail.from.borrowed();
    let parameters = words(
        &Command::Mail { from, parameters: kept },
        &Command::Mail { from, parameters: MailParameters::default() },
    );
    Envelope {
        sender: sender(&mail.from),
        recipients,
        parameters,
        arrived,
        priority: Priority::new(priority.map_or(0, smtp_proto::Priority::value)),
        source,
        release: hold.map(|hold| match hold {
            Hold::For(interval) => arrived.after(Duration::from_secs(interval.seconds().into())),
            Hold::Until(moment) => UnixMicros(0).after(seconds(moment.unix_seconds())),
        }),
        deliver_by: deliver_by.map(|by| DeliverBy {
            until: moment(arrived, by.seconds()),
            then: match by.mode() {
                ByMode::Return => Late::Return,
                ByMode::Notify => Late::Notify,
            },
        }),
    }
}

/// Writes down that the message says `TLS-Required: No` (RFC 8689 §3): whoever delivers it does not read it. REQUIRETLS, if
/// both are there, goes before it (§4.1).
pub(crate) fn prefers_delivery(envelope: &mut Envelope) {
    if !envelope.parameters.iter().any(|parameter| parameter.keyword == "REQUIRETLS") {
        envelope.parameters.push(Parameter::new(TLS_REQUIRED, "No"));
    }
}

/// What is kept among the parameters under the name of its header field, and never said as one.
const TLS_REQUIRED: &str = "TLS-Required";

/// What a message's sender demands of the way.
pub(crate) fn demands(envelope: &Envelope) -> Demands {
    let says = |keyword: &str| envelope.parameters.iter().any(|parameter| parameter.keyword == keyword);
    match (says("REQUIRETLS"), says(TLS_REQUIRED)) {
        // RFC 8689 §5: a notification is better told in the open than not at all.
        (true, _) if envelope.sender.is_empty() => Demands::Any,
        (true, _) => Demands::RequireTls,
        (false, true) => Demands::TlsOptional,
        (false, false) => Demands::Any,
    }
}

/// A reverse-path without its angle brackets.
pub(crate) fn sender(from: &ReversePath) -> String {
    from.mailbox().map(ToString::to_string).unwrap_or_default()
}

/// The queue's word for a way onward, for mail that came with `rcpt`. Mailboxes know their deliveries by id; other servers
/// do not.
pub(crate) fn recipient(hop: Hop, rcpt: &Rcpt) -> Recipient {
    let (address, destination) = way_to(hop);
    let RcptParameters { notify, orcpt, rrvs, .. } = rcpt.parameters.borrowed();
    // RFC 3461 §5.2.1 (b): whoever changes the address says what it was.
    let meant = match (&orcpt, &rcpt.to) {
        (None, ForwardPath::Mailbox(mailbox)) if mailbox.as_str() != address => OriginalRecipient::of(mailbox),
        (None | Some(_), ForwardPath::Mailbox(_) | ForwardPath::Postmaster) => None,
    };
    let orcpt = orcpt.or_else(|| meant.as_ref().map(OriginalRecipient::borrowed));
    let kept = RcptParameters { notify, orcpt, rrvs, ..RcptParameters::default() };
    let parameters = words(
        &Command::Rcpt { to: ForwardPath::Postmaster, parameters: kept },
        &Command::Rcpt { to: ForwardPath::Postmaster, parameters: RcptParameters::default() },
    );
    Recipient { address, destination, parameters }
}

/// The queue's word for a way back to a sender.
pub(crate) fn way_back(hop: Hop) -> Recipient {
    let (address, destination) = way_to(hop);
    Recipient { address, destination, parameters: Vec::new() }
}

fn way_to(hop: Hop) -> (String, Destination) {
    match hop {
        Hop::Mailbox { mailbox, place, epoch: _ } => (mailbox, Destination::idempotent(format!("{STORE}{place}"))),
        Hop::Relay { hop, address } => (address, Destination::remote(format!("{RELAY}{hop}"))),
        Hop::Outward { domain, address } => (address, Destination::remote(format!("{DOMAIN}{domain}"))),
    }
}

const STORE: &str = "store:";
const RELAY: &str = "relay:";
const DOMAIN: &str = "domain:";

/// What a destination's key means: [`recipient`] turned round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// The mailboxes here.
    Store,
    /// A host and port that the routing table names.
    Relay(&'a str),
    /// A domain that is not ours, by whatever way leads there now.
    Domain(&'a str),
}

/// Reads a destination's key.
pub(crate) fn place(destination: &Destination) -> Option<Place<'_>> {
    let key = destination.key();
    if key.starts_with(STORE) {
        return Some(Place::Store);
    }
    key.strip_prefix(RELAY).map(Place::Relay).or_else(|| key.strip_prefix(DOMAIN).map(Place::Domain))
}

/// A name for what a destination is, for metrics.
pub(crate) fn transport(destination: &Destination) -> &'static str {
    match place(destination) {
        Some(Place::Store) => "local",
        Some(Place::Relay(_) | Place::Domain(_)) => "smtp",
        None => "none",
    }
}

/// A moment of the queue's, to be shown.
pub(crate) fn time(at: UnixMicros) -> jiff::Timestamp {
    let micros = i64::try_from(at.0).unwrap_or(i64::MAX);
    jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::MAX)
}

/// The client engine's envelope for a batch; `None` where an address or parameter does not parse, which none of ours should.
pub(crate) fn delivery(batch: &Batch) -> Option<smtp_proto::Envelope> {
    let kept = &batch.envelope;
    let line = line(&format!("MAIL FROM:<{}>", kept.sender), &kept.parameters);
    let Command::Mail { from, parameters } = Command::parse(line.as_bytes()).ok()? else { return None };
    let parameters = MailParameters {
        size: Some(batch.body.size()),
        deliver_by: kept.deliver_by.and_then(remaining),
        ..parameters.into_owned()
    };
    let recipients = batch.recipients().map(|recipient| {
        let line = self::line(&format!("RCPT TO:<{}>", recipient.address), &recipient.parameters);
        let Command::Rcpt { to, parameters } = Command::parse(line.as_bytes()).ok()? else { return None };
        Some(Rcpt { to: to.into_owned(), parameters: parameters.into_owned() })
    });
    let recipients = recipients.collect::<Option<_>>()?;
    Some(smtp_proto::Envelope { mail: Mail { from: from.into_owned(), parameters }, recipients })
}

/// What is left of a time (RFC 2852 §4.1.4.1); `None` where a server would not take it, and the queue decides alone.
fn remaining(by: DeliverBy) -> Option<smtp_proto::DeliverBy> {
    let (now, mode) = (UnixMicros::now(), by.then);
    let left = i64::try_from(by.until.since(now).as_secs()).ok()?;
    let over = i64::try_from(now.since(by.until).as_secs()).ok()?;
    let mode = match mode {
        Late::Return => ByMode::Return,
        Late::Notify => ByMode::Notify,
    };
    smtp_proto::DeliverBy::new(i32::try_from(left - over).ok()?, mode)
}

/// What a command says beyond its bare form.
fn words(whole: &Command<'_>, bare: &Command<'_>) -> Vec<Parameter> {
    let (mut all, mut path) = (BytesMut::new(), BytesMut::new());
    whole.write(&mut all);
    bare.write(&mut path);
    // Both end with CRLF.
    let rest = all.get(path.len().saturating_sub(2)..).unwrap_or_default();
    let text = String::from_utf8_lossy(rest);
    let parameter = |word: &str| match word.split_once('=') {
        Some((keyword, value)) => Parameter::new(keyword, value),
        None => Parameter::flag(word),
    };
    text.split_ascii_whitespace().map(parameter).collect()
}

/// A command without its CRLF.
fn line(command: &str, parameters: &[Parameter]) -> String {
    let mut line = command.to_owned();
    for Parameter { keyword, value } in parameters.iter().filter(|parameter| parameter.keyword != TLS_REQUIRED) {
        line.push(' ');
        line.push_str(keyword);
        if let Some(value) = value {
            line.push('=');
            line.push_str(value);
        }
    }
    line
}

fn seconds(count: i64) -> Duration {
    Duration::from_secs(u64::try_from(count).unwrap_or_default())
}

fn moment(from: UnixMicros, after: i32) -> UnixMicros {
    let span = Duration::from_secs(after.unsigned_abs().into());
    if after < 0 { UnixMicros(from.0.saturating_sub(span.as_micros() as u64)) } else { from.after(span) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(line: &str) -> Mail {
        let Ok(Command::Mail { from, parameters }) = Command::parse(line.as_bytes()) else { panic!("{line}") };
        Mail { from: from.into_owned(), parameters: parameters.into_owned() }
    }

    fn rcpt(line: &str) -> Rcpt {
        let Ok(Command::Rcpt { to, parameters }) = Command::parse(line.as_bytes()) else { panic!("{line}") };
        Rcpt { to: to.into_owned(), parameters: parameters.into_owned() }
    }

    fn outward(address: &str) -> Hop {
        Hop::Outward { domain: "example.net".into(), address: address.into() }
    }

    fn text(parameters: &[Parameter]) -> String {
        line("", parameters).trim_start().to_owned()
    }

    #[test]
    fn what_is_said_about_a_message_is_kept_and_said_again() {
        let line = "MAIL FROM:<\"a b\"@example.org> SIZE=9 BODY=8BITMIME SMTPUTF8 AUTH=<> REQUIRETLS RET=HDRS ENVID=x+20y MT-PRIORITY=3";
        let to = "RCPT TO:<Bob@example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;bob@example.com";
        let recipient = recipient(outward("Bob@example.net"), &rcpt(to));
        let kept = envelope(&mail(line), vec![recipient], "alice".into());
        assert_eq!(kept.sender, "\"a b\"@example.org");
        assert_eq!(text(&kept.parameters), "BODY=8BITMIME SMTPUTF8 REQUIRETLS RET=HDRS ENVID=x+20y MT-PRIORITY=3");
        assert_eq!(text(&kept.recipients[0].parameters), "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;bob@example.com");
        assert_eq!((kept.priority.value(), demands(&kept)), (3, Demands::RequireTls));
        let said = mail(&self::line(&format!("MAIL FROM:<{}>", kept.sender), &kept.parameters));
        assert_eq!(said.parameters.envid, mail(line).parameters.envid);
        assert!(said.parameters.require_tls && said.parameters.smtp_utf8);
    }

    #[test]
    fn whom_the_sender_meant_is_said_where_an_alias_changed_it() {
        let parameters = |to: &str, address: &str| text(&recipient(outward(address), &rcpt(to)).parameters);
        assert_eq!(parameters("RCPT TO:<info@example.org>", "bob@example.net"), "ORCPT=rfc822;info@example.org");
        assert_eq!(parameters("RCPT TO:<bob@example.net>", "bob@example.net"), "");
        assert_eq!(
            parameters("RCPT TO:<info@example.org> ORCPT=rfc822;i@example.com", "bob@example.net"),
            "ORCPT=rfc822;i@example.com"
        );
    }

    #[test]
    fn times_are_kept_as_moments_and_not_among_the_parameters() {
        let kept = envelope(&mail("MAIL FROM:<a@b.example> BY=120;N HOLDFOR=60"), Vec::new(), String::new());
        assert_eq!(kept.parameters, []);
        assert_eq!(kept.release, Some(kept.arrived.after(Duration::from_secs(60))));
        let by = DeliverBy { until: kept.arrived.after(Duration::from_secs(120)), then: Late::Notify };
        assert_eq!(kept.deliver_by, Some(by));
        let left = remaining(by).unwrap();
        assert!((110..=120).contains(&left.seconds()) && left.mode() == ByMode::Notify);
        let over = DeliverBy { until: UnixMicros(0), then: Late::Return };
        assert_eq!(remaining(over), None, "the queue returns it");
        let kept = envelope(&mail("MAIL FROM:<a@b.example> HOLDUNTIL=2030-01-01T00:00:00Z"), Vec::new(), String::new());
        assert_eq!(kept.release, Some(UnixMicros(1_893_456_000_000_000)));
    }

    #[test]
    fn delivery_is_preferred_to_secrecy_unless_secrecy_was_demanded() {
        for (line, demanded) in [
            ("MAIL FROM:<a@b.example>", Demands::TlsOptional),
            ("MAIL FROM:<a@b.example> REQUIRETLS", Demands::RequireTls),
        ] {
            let mut kept = envelope(&mail(line), Vec::new(), String::new());
            prefers_delivery(&mut kept);
            assert_eq!(demands(&kept), demanded);
            assert!(!text(&kept.parameters).contains("TLS-Required"));
        }
    }
}
